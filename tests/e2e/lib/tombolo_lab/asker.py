# SPDX-License-Identifier: Apache-2.0
"""A client that asks for receipts, and keeps what comes by what it was asked with."""

import json

from .net import wait_until
from .talker import Talker


class Asker(Talker):
    """topic: where the answers are to come."""

    def __init__(self, port: int, client_id: str = "asker", topic: str = "answers/asker"):
        super().__init__(port, client_id)
        self.topic = topic

    def __enter__(self):
        super().__enter__()
        code = self.subscribe(self.topic, 2)
        assert code is not None and code < 0x80, code
        return self

    def ask(self, topic: str, payload, *levels: str, number: str = "", qos: int = 1, to: str = "", key: str = ""):
        pairs = [("tombolo-receipt", level) for level in levels] + ([("tombolo-seq", number)] if number else [])
        return self.publish(topic, payload, qos, ResponseTopic=to or self.topic,
                            CorrelationData=(key or str(payload)).encode(), UserProperty=pairs)

    def receipts(self, key: str) -> list:
        found = []
        for message in list(self.heard):
            if message.topic == self.topic and message.properties.CorrelationData == key.encode():
                said = json.loads(message.payload)
                marked = dict(message.properties.UserProperty)
                assert marked == {"tombolo-receipt": said["receipt"]}, (marked, said)
                assert message.qos == 1 and not message.retain
                found.append(said)
        return found

    def wait(self, key: str, count: int = 1, timeout_s: float = 30) -> list:
        wait_until(lambda: len(self.receipts(key)) >= count, timeout_s,
                   lambda: f"{count} receipts for {key}; there are {self.receipts(key)}")
        return self.receipts(key)

    def wait_level(self, key: str, level: str) -> dict:
        def found():
            return [said for said in self.receipts(key) if said["receipt"] == level]
        wait_until(lambda: bool(found()), 30, lambda: f"{level} for {key}; there are {self.receipts(key)}")
        return found()[0]
