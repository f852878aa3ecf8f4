# SPDX-License-Identifier: Apache-2.0
"""Two plain clients for tests: a Talker that says a few words and hears the broker's answers, and an Ear that
keeps what it hears, message by message."""

import json
import socket
import struct
import threading

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from .client import PahoClient
from .net import wait_until
from .subscriber import Subscriber

_LINGER_0 = struct.pack("ii", 1, 0)


def publish_properties(**values) -> Properties:
    """Properties of a PUBLISH: publish_properties(ContentType="text/plain", UserProperty=[("a", "1")])."""
    properties = Properties(PacketTypes.PUBLISH)
    for name, value in values.items():
        if name == "UserProperty":
            for pair in value:
                properties.UserProperty = pair
        else:
            setattr(properties, name, value)
    return properties


class Talker:
    """One connection, with a clean session; a context manager. port: plain, or TLS with a certificate."""

    def __init__(self, port: int, client_id: str, *, version: int = 5, certificate=None, will: dict = None):
        self.client_id = client_id
        protocol = mqtt.MQTTv5 if version == 5 else mqtt.MQTTv311
        options = {} if version == 5 else {"clean_session": True}
        self._client = PahoClient(client_id, protocol=protocol, reconnect_on_failure=False, **options)
        if certificate:
            self._client.tls_set(str(certificate.ca_file), str(certificate.cert_file) if certificate.cert_file else
                                 None, str(certificate.key_file) if certificate.key_file else None)
        if will:
            self._client.will_set(**will)
        self._answers, self._changed = {}, threading.Condition()
        self.connected = threading.Event()
        self.is_gone = threading.Event()
        self.heard = []
        self._client.on_connect = lambda _c, _u, _f, reason, *_: self._note_connect(reason)
        self._client.on_disconnect = lambda *_: self._note_disconnect()
        self._client.on_publish = lambda client, _u, mid: self._answer(mid, client.refused_mids.pop(mid, 0))
        self._client.on_subscribe = lambda _c, _u, mid, granted, *_: self._answer(
            mid, max(getattr(code, "value", code) for code in granted))
        self._client.on_message = lambda _c, _u, message: self.heard.append(message)
        self._port = port

    def _note_connect(self, reason) -> None:
        if getattr(reason, "value", reason) == 0:
            self.connected.set()

    def _note_disconnect(self) -> None:
        with self._changed:
            self.is_gone.set()
            self._changed.notify_all()

    def _answer(self, mid: int, reason: int) -> None:
        with self._changed:
            self._answers[mid] = reason
            self._changed.notify_all()

    def _wait_answer(self, mid: int, timeout_s: float):
        with self._changed:
            self._changed.wait_for(lambda: mid in self._answers or self.is_gone.is_set(), timeout_s)
            return self._answers.pop(mid, None)

    def __enter__(self):
        self._client.connect("127.0.0.1", self._port, 30)
        self._client.loop_start()
        if not self.connected.wait(30):
            self._client.loop_stop()
            raise TimeoutError(f"{self.client_id} is not connected after 30 s")
        return self

    def __exit__(self, *_):
        self._client.disconnect()
        self._client.loop_stop()

    def publish(self, topic: str, payload=b"", qos: int = 1, retain: bool = False, timeout_s: float = 30,
                **properties):
        """The reason code of the ack: 0 is well; None: hung up, or no answer in time. QoS 0: always 0."""
        info = self._client.publish(topic, payload, qos, retain,
                                    publish_properties(**properties) if properties else None)
        if qos == 0:
            return 0
        return self._wait_answer(info.mid, timeout_s)

    def subscribe(self, topic: str, qos: int = 1, timeout_s: float = 30):
        """The reason code: 0 to 2 is the QoS granted, 0x80 and above a refusal."""
        _rc, mid = self._client.subscribe(topic, qos)
        return self._wait_answer(mid, timeout_s)

    def drop(self) -> None:
        """Goes without a word: the broker publishes the will."""
        sock = self._client.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_0)
        sock.shutdown(socket.SHUT_RDWR)


class Ear(Subscriber):
    """Keeps every message; ready to hear when made. Stop it with halt()."""

    def __init__(self, name: str, port: int, topic: str = "#", qos: int = 2, **options):
        self.messages = []
        super().__init__(name, port, topic, qos, heard=self.messages.append, **options)
        self.start()
        self.wait_ready()

    def of(self, topic: str) -> list:
        return [message for message in list(self.messages) if message.topic == topic]

    def wait(self, topic: str, count: int = 1, timeout_s: float = 30) -> list:
        """Waits until count messages of a topic are there, and gives them."""
        wait_until(lambda: len(self.of(topic)) >= count, timeout_s,
                   lambda: f"{count} of {topic} (there are {len(self.of(topic))}; heard: "
                           f"{sorted({m.topic for m in self.messages})[:20]})")
        return self.of(topic)


def plugin_stats(port: int) -> dict:
    """The plugin's counters since the broker's start, at most about a second old."""
    with Talker(port, "stats-reader") as reader:
        reader.subscribe("$tombolo/v1/stats/plugin", 0)
        wait_until(lambda: bool(reader.heard), 30, "the plugin's statistics")
        return json.loads(reader.heard[-1].payload)
