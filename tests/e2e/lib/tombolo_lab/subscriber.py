# SPDX-License-Identifier: Apache-2.0
"""A subscriber that writes down what it hears. MQTT 5, a session that outlives the connection, QoS 1 or 2.

QoS 1 when order is judged: with QoS 2 among more than max_inflight_messages (20) messages on their way to one
subscriber, Mosquitto 2.0.11 lets a QoS 1 message overtake others that it has queued.
"""

import json
import threading

from paho.mqtt.subscribeoptions import SubscribeOptions

from .client import ClientThread
from .ledger import Ledger


class Subscriber(ClientThread):
    """ledger: told of every numbered payload. heard: a function(message), called for each message."""

    def __init__(self, name: str, port: int, topic: str = "#", qos: int = 1, ledger: Ledger = None,
                 heard=None, certificate=None, wants_retained: bool = False):
        super().__init__(name, port, certificate=certificate)
        self._topic, self._qos = topic, qos
        self._ledger, self._heard = ledger, heard
        self._wants_retained = wants_retained
        self._ready = threading.Event()
        self.sessions_lost = 0   # reconnects at which the broker did not know the session any more
        self.unreadable = 0      # payloads that are no numbered JSON
        self.received = 0
        self.client.on_message = self._on_message
        self.client.on_subscribe = self._on_subscribe

    def on_up(self, session_present: bool) -> None:
        if self._ledger:
            self._ledger.subscriber_is_up()
        if session_present:
            self._ready.set()
            return
        if self.connects > 1:
            self.sessions_lost += 1
        # When repeats are counted, retained messages are not wanted again with a subscription.
        handling = SubscribeOptions.RETAIN_SEND_ON_SUBSCRIBE if self._wants_retained else \
            SubscribeOptions.RETAIN_DO_NOT_SEND
        self.client.subscribe(self._topic, options=SubscribeOptions(
            qos=self._qos, retainAsPublished=True, retainHandling=handling))

    def _on_subscribe(self, _client, _userdata, _mid, reasons, _properties=None) -> None:
        assert all(reason.value < 0x80 for reason in reasons), f"subscription refused: {reasons}"
        self._ready.set()

    def wait_ready(self, timeout_s: float = 30) -> None:
        if not self._ready.wait(timeout_s):
            raise TimeoutError(f"{self.name} is not subscribed after {timeout_s:g} s")

    def _on_message(self, _client, _userdata, message) -> None:
        self.received += 1
        if self._heard:
            self._heard(message)
        if self._ledger is None:
            return
        try:
            said = json.loads(message.payload)
            publisher, number = said["p"], said["n"]
        except (ValueError, KeyError, TypeError):
            self.unreadable += 1
            return
        self._ledger.arrived(publisher, number)
