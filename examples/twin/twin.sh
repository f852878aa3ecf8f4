#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# twin.sh [HOST [PORT [SCOPE]]]: an operator and a press share a twin, with nothing but mosquitto_pub and mosquitto_sub.
#
# HOST and PORT are those of the broker of the node that SCOPE is called after (localhost, 1883, line-7). What the
# press does could be done by any MQTT 3.1.1 client; docs/state.md says what it means.
set -euo pipefail
host=${1:-localhost} port=${2:-1883} scope=${3:-line-7}
twin=state/$scope/twin/press-3
broker=(-h "$host" -p "$port")

say() { printf '\n# %s\n' "$*"; }

# Waits until the difference says so, and prints it.
expect() {
    local listener is_said=1
    exec 3< <(exec timeout 20 mosquitto_sub "${broker[@]}" -t "$twin/delta")
    listener=$!
    grep -m 1 -E "$1" <&3 || is_said=0
    kill $listener 2>/dev/null || true
    exec 3<&-
    if [ $is_said = 0 ]; then
        echo "twin.sh: $twin/delta does not come to say $1; is tombolo-syncd running here, and is this the node that $scope is called after?" >&2
        exit 1
    fi
}

say "the operator wants a speed and a mode; nobody has heard of the press"
mosquitto_pub "${broker[@]}" -q 1 -t "$twin/desired/speed/set" -m 80
mosquitto_pub "${broker[@]}" -q 1 -t "$twin/desired/mode/set" -m eco
expect '"speed":80.*"online":null'

say "the press connects: its will says that it is gone, its first word that it is there; it reads what is wanted"
mosquitto_sub "${broker[@]}" -i press-3 -q 1 -t "$twin/desired/+" -v \
    --will-topic "$twin/reported/online/set" --will-payload false --will-qos 1 -k 5 &
press=$!
trap 'kill -9 $press 2>/dev/null || true' EXIT
mosquitto_pub "${broker[@]}" -q 1 -t "$twin/reported/online/set" -m true
expect '"online":true'

say "it reports what it runs at: first not yet what is wanted, then just that"
mosquitto_pub "${broker[@]}" -q 1 -t "$twin/reported/speed/set" -m 60
mosquitto_pub "${broker[@]}" -q 1 -t "$twin/reported/mode/set" -m eco
expect '"delta":\{"speed":80\}'
mosquitto_pub "${broker[@]}" -q 1 -t "$twin/reported/speed/set" -m 80
expect '"delta":\{\}'

say "its cable is cut: the broker sends its will, and the twin says since when it was not heard"
kill -9 $press
expect '"online":false.*"seen":"'

say "the press is scrapped: everything of its twin goes"
mosquitto_pub "${broker[@]}" -q 1 -t "$twin/del" -n
