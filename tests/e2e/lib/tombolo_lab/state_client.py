# SPDX-License-Identifier: Apache-2.0
"""A client of state: says operations, and knows the values that are retained.

    with StateClient(node, "plc") as plc:
        plc.say("line-7/parts/inc", 3)
        plc.wait("line-7/parts", 3)
"""

import itertools
import json
import threading

import paho.mqtt.client as mqtt

from .net import wait_until

_NAMES = itertools.count(1)
_VERBS = set("set inc dec reset count add rm admit revoke insert enable disable permit forbid raise lower new del"
             .split())


class StateClient:
    """version 4 is MQTT 3.1.1. Every say waits for its ack, and is said again when the connection is lost.

    What is said while there is no connection waits for it: Paho would send it before what it repeats.
    """

    def __init__(self, node, name: str = "", *, root: str = "state", version: int = 4):
        self.node, self.root = node, root
        self.values, self.heard, self.errors = {}, [], []
        self.acked = set()
        self._lock = threading.Lock()
        self._there, self._is_there = threading.Condition(), False
        self._client = mqtt.Client(name or f"state-{next(_NAMES)}",
                                   protocol=mqtt.MQTTv311 if version == 4 else mqtt.MQTTv5)
        self._client.max_queued_messages_set(0)
        self._client.reconnect_delay_set(0.1, 0.5)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = lambda *_: self._turn(True)  # behind what is repeated
        self._client.on_disconnect = lambda *_: self._turn(False)
        self._client.on_message = self._on_message
        self._client.on_publish = lambda _client, _data, mid: self.acked.add(mid)

    def start(self) -> "StateClient":
        self._client.connect("127.0.0.1", self.node.broker.port, 30)
        self._client.loop_start()
        return self

    def close(self) -> None:
        self._client.loop_stop()
        self._client.disconnect()

    __enter__ = start

    def __exit__(self, *_):
        self.close()

    def _on_connect(self, client, *_):
        client.subscribe(f"{self.root}/#", 1)

    def _turn(self, is_there: bool) -> None:
        with self._there:
            self._is_there = is_there
            self._there.notify_all()

    def _on_message(self, _client, _data, message):
        topic = message.topic[len(self.root) + 1:]
        if topic.rsplit("/", 1)[-1] in _VERBS:
            return  # an operation passes by
        with self._lock:
            if topic.endswith("/error"):
                self.errors.append((topic, json.loads(message.payload)))
                return
            self.heard.append((topic, message.payload))
            if message.payload:
                self.values[topic] = message.payload
            else:
                self.values.pop(topic, None)

    def publish(self, topic: str, payload="", **options) -> int:
        """Gives the message's id; it is in acked when it is acked."""
        if not isinstance(payload, (bytes, str)):
            payload = json.dumps(payload)
        with self._there:
            self._there.wait_for(lambda: self._is_there, 30)
            return self._client.publish(f"{self.root}/{topic}", payload, 1, **options).mid

    def say(self, topic: str, payload="", timeout_s: float = 30, **options) -> None:
        mid = self.publish(topic, payload, **options)
        wait_until(lambda: mid in self.acked, timeout_s, lambda: f"the ack of {topic}\n{self.node.logs()}")

    def get(self, path: str):
        """The value: as JSON says it, or its bytes; None: there is none."""
        payload = self.values.get(path)
        if payload is None:
            return None
        try:
            return json.loads(payload)
        except ValueError:
            return payload

    def wait(self, path: str, value, timeout_s: float = 30) -> None:
        wait_until(lambda: self.get(path) == value, timeout_s,
                   lambda: f"{path} to be {value!r}: it is {self.get(path)!r}\n{self.node.logs()}")
