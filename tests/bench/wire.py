# SPDX-License-Identifier: Apache-2.0
"""What a link costs: the same messages once over ours and once over a bridge of a stock Mosquitto, QoS 1 and mutual
TLS 1.3 both, every byte of the TCP connection counted in both directions."""

import hashlib
import json
import random
import sys
import threading
import time
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tombolo_lab import Broker, Lab
from tombolo_lab.link import Link
from tombolo_lab.net import wait_until

import line

NOISE_BYTES = 1024
NOISE_PER_S = 60
ARMS = 60


def line_messages(seconds: int) -> list:
    source = line.Source("line", seed=7, arms=ARMS, seconds=seconds, is_paced=False)
    return [(m.topic, json.dumps({"p": "line", "n": n, **m.body}, separators=(",", ":")).encode(), "application/json")
            for n, m in enumerate(source, 1)]


def noise_messages(seconds: int) -> list:
    draw = random.Random(11)
    return [(f"camera/{n % 4}/frame", draw.randbytes(NOISE_BYTES), "") for n in range(NOISE_PER_S * seconds)]


def fingerprint(payloads) -> tuple:
    """How many, and which, in whatever order."""
    count, total = 0, 0
    for payload in payloads:
        count, total = count + 1, total + int.from_bytes(hashlib.sha256(payload).digest()[:16], "big")
    return count, total


class Ear:
    """Hears everything at the parent."""

    def __init__(self, port: int):
        self._lock, self._heard = threading.Lock(), []
        self._is_ready = threading.Event()
        self._client = mqtt.Client("wire-ear", protocol=mqtt.MQTTv5)
        self._client.on_connect = lambda client, *_: client.subscribe("#", 1)
        self._client.on_subscribe = lambda *_: self._is_ready.set()
        self._client.on_message = self._on_message
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        if not self._is_ready.wait(10):
            raise TimeoutError("the subscriber at the parent was not acknowledged")

    def _on_message(self, _client, _userdata, message):
        with self._lock:
            self._heard.append(message.payload)

    def count(self) -> int:
        with self._lock:
            return len(self._heard)

    def take(self) -> list:
        with self._lock:
            heard, self._heard = self._heard, []
            return heard

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def publish(port: int, messages: list, per_s: float) -> None:
    """per_s 0: as fast as it goes."""
    client = mqtt.Client("line-1", protocol=mqtt.MQTTv5)
    client.max_queued_messages_set(0)
    client.connect("127.0.0.1", port)
    client.loop_start()
    begin, last = time.monotonic(), None
    for n, (topic, payload, kind) in enumerate(messages):
        if per_s:
            time.sleep(max(0.0, begin + n / per_s - time.monotonic()))
        properties = Properties(PacketTypes.PUBLISH)
        if kind:
            properties.ContentType = kind
        last = client.publish(topic, payload, 1, properties=properties)
    last.wait_for_publish(120)
    wait_until(lambda: not client._out_messages, 60, "the publisher's acks")
    client.disconnect()
    client.loop_stop()


class Bridge:
    """Two stock brokers, one bridged to the other."""

    def __init__(self, folder: Path, authority):
        self.hub = Broker("bridge-hub", folder / "hub", authority.issue("bridge-hub"))
        self.link = Link("bridge", self.hub.tls_port)
        self.link.start()
        own = authority.issue("bridge-site")
        self.site = Broker("bridge-site", folder / "site", settings={
            "connection": "up", "address": f"127.0.0.1:{self.link.port}", "topic": "# out 1", "cleansession": "false",
            "bridge_protocol_version": "mqttv50", "bridge_cafile": own.ca_file, "bridge_certfile": own.cert_file,
            "bridge_keyfile": own.key_file, "bridge_tls_version": "tlsv1.3", "notifications": "false",
            "try_private": "false", "restart_timeout": "1", "remote_clientid": "site"})
        self.port, self.hub_port = self.site.port, self.hub.port
        self.hub.start()
        self.site.start()
        wait_until(lambda: self.link.bytes_down > 0, 30, lambda: f"the bridge to come up\n{self.site.daemon.tail()}")

    def close(self) -> None:
        self.site.stop()
        self.hub.stop()
        self.link.close()


class Ours:
    def __init__(self, site, hub):
        self.link, self.port, self.hub_port = site.link, site.broker.port, hub.broker.port


def settle(link, quiet_s: float = 0.6) -> None:
    last = {"bytes": link.bytes_up + link.bytes_down, "at": time.monotonic()}

    def is_quiet():
        now = link.bytes_up + link.bytes_down
        if now != last["bytes"]:
            last.update(bytes=now, at=time.monotonic())
        return time.monotonic() - last["at"] > quiet_s
    wait_until(is_quiet, 30, "the last acks on the link")


def carry(road, ear: Ear, messages: list, per_s: float) -> dict:
    """per_s 0: published while the link is cut, and carried when it is there again."""
    settle(road.link)
    ear.take()
    if not per_s:
        road.link.cut("reset")
    up, down = road.link.bytes_up, road.link.bytes_down
    publish(road.port, messages, per_s)
    if not per_s:
        up, down = road.link.bytes_up, road.link.bytes_down
        road.link.heal()
    wait_until(lambda: ear.count() >= len(messages), 120, lambda: f"{len(messages) - ear.count()} messages to arrive")
    settle(road.link)
    heard = fingerprint(ear.take())
    assert heard == fingerprint(m[1] for m in messages), f"{heard[0]} messages of {len(messages)}, or others"
    payload = sum(len(m[1]) for m in messages)
    up, down = road.link.bytes_up - up, road.link.bytes_down - down
    return {"messages": len(messages), "payload_bytes": payload, "up_bytes": up, "down_bytes": down,
            "per_payload_byte": round((up + down) / payload, 4)}


def beside_bridge(lab: Lab, site, hub, folder: Path, seconds: int) -> dict:
    """Four loads, each over both; what ours took, and under `bridge` what the bridge took. site and hub are up."""
    found = {}
    bridge = Bridge(folder / "bridge", lab.authority)
    roads = {"ours": Ours(site, hub), "bridge": bridge}
    ears = {name: Ear(road.hub_port) for name, road in roads.items()}
    loads = {"live": (line_messages(seconds), ARMS), "backlog": (line_messages(2 * seconds), 0),
             "noise": (noise_messages(seconds), NOISE_PER_S), "noise_backlog": (noise_messages(2 * seconds), 0)}
    try:
        for load, (messages, per_s) in loads.items():
            took = {name: carry(road, ears[name], messages, per_s) for name, road in roads.items()}
            found[load] = {**took["ours"], "bridge": took["bridge"]}
            print(f"bench: wire, {load}: {took['ours']['per_payload_byte']:.3f} a payload byte, bridge "
                  f"{took['bridge']['per_payload_byte']:.3f}", file=sys.stderr, flush=True)
    finally:
        for ear in ears.values():
            ear.close()
        bridge.close()
    return found
