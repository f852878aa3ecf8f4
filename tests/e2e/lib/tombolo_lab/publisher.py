# SPDX-License-Identifier: Apache-2.0
"""A publisher that numbers what it says, in the payload, and never lets go of what was not acked.

Payload: {"p": publisher, "n": 1, 2, 3 ..., and what the source says}. QoS 1 or 2, MQTT 3.1.1 or 5. One that
is_numbered also puts the number into the MQTT 5 user property `tombolo-seq`, by which Tombolo drops repeats.

Its session is clean: what is in doubt is kept on this side. (Mosquitto restores the half-finished QoS 2 messages
of a persistent publisher from its snapshot, also those that were finished after it; nobody ever releases them, and
when there are 20 it answers 0x97, quota exceeded, to each further one.)
"""

import json
import threading
import time
from dataclasses import dataclass, field

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from .client import ClientThread
from .ledger import Account, Ledger


@dataclass
class Message:
    topic: str
    body: dict = field(default_factory=dict)
    pause_s: float = 0.0  # how long after the one before it is due
    retain: bool = False


class Publisher(ClientThread):
    """source: an iterator of Message; asked for the next one only when that is due and can be sent."""

    # Fewer than the 20 that Mosquitto lets a client have in flight: Paho would not keep to its limit.
    WINDOW = 10

    def __init__(self, name: str, site: str, port: int, ledger: Ledger, source, *, version: int = 5,
                 qos: int = 1, is_numbered: bool = False, run_name: str = ""):
        assert qos in (1, 2), "what is QoS 0 cannot be counted on"
        assert version == 5 or not is_numbered, "a number needs MQTT 5"
        super().__init__(name, port, version=version, persistent=False)
        self.account: Account = ledger.open(name, site, is_numbered)
        self._ledger, self._source, self._qos = ledger, source, qos
        self._run_name = run_name
        self._flight = {}  # mid -> number
        self._due = 0.0
        self._is_over = False
        self._finish = threading.Event()
        self._pause = threading.Event()
        self.client.on_publish = self._on_publish

    def finish(self) -> None:
        """No new messages; the thread ends when everything sent is acked."""
        self._finish.set()

    def pause(self, paused: bool = True) -> None:
        """No new messages for a while; acks are still read."""
        if paused:
            self._pause.set()
        else:
            self._due = time.monotonic()
            self._pause.clear()

    @property
    def in_flight(self) -> int:
        return len(self._flight)

    def is_behind(self, when: float) -> bool:
        """Whether it is cut off, or something that it sent before `when` is not acked."""
        return not self.is_up or any(self.account.sent_at[number - 1] < when for number in list(self._flight.values()))

    def is_done(self) -> bool:
        return not self._flight and (self._is_over or self._finish.is_set())

    def on_down(self) -> None:
        self._ledger.doubted(self.account, list(self._flight.values()))

    def _on_publish(self, client, _userdata, mid) -> None:
        number = self._flight.pop(mid, 0)
        if mid in client.refused_mids:
            del client.refused_mids[mid]
            self._ledger.refused(self.account, number)
        elif number:
            self._ledger.acked(self.account, number)

    def work(self) -> None:
        now = time.monotonic()
        self._due = self._due or now
        may_send = not (self._is_over or self._finish.is_set() or self._pause.is_set())
        if may_send and self._due <= now and len(self._flight) < self.WINDOW:
            message = next(self._source, None)
            if message is None:
                self._is_over = True
                return
            # A publisher that was held up sends what is due at once, but does not make up for hours.
            self._due = max(self._due, now - 10) + message.pause_s
            self._send(message)
            self.drive(0)
        elif may_send and len(self._flight) < self.WINDOW:
            self.drive(min(self._due - now, 0.1))
        else:
            self.drive(0.05)

    def _send(self, message: Message) -> None:
        number = self._ledger.sent(self.account)
        payload = json.dumps({"p": self.name, "n": number, **message.body}, ensure_ascii=False,
                             separators=(",", ":")).encode()
        self.account.payload_bytes += len(payload)
        properties = None
        if self.version == 5:
            properties = Properties(PacketTypes.PUBLISH)
            properties.ContentType = "application/json"
            if self.account.is_numbered:
                run = f"{self._run_name}:" if self._run_name else ""
                properties.UserProperty = ("tombolo-seq", f"{run}{number}")
        info = self.client.publish(message.topic, payload, self._qos, message.retain, properties)
        # Paho has taken it even when the connection is just breaking: it will send it after the next CONNACK.
        assert info.rc in (mqtt.MQTT_ERR_SUCCESS, mqtt.MQTT_ERR_NO_CONN, mqtt.MQTT_ERR_CONN_LOST), info.rc
        self._flight[info.mid] = number
        if info.rc != mqtt.MQTT_ERR_SUCCESS:
            self.lost()
