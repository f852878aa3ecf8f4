# SPDX-License-Identifier: Apache-2.0
"""State by protobuf, values that stand for others, and numbered operations: what docs/state.md says and no
mosquitto_pub line shows."""

import json
import os
import signal
import struct
import time
import unittest

from plugin_raw import Raw, number_property
from tombolo_lab import Lab
from tombolo_lab.node import Settings

PROTOBUF = b"\x03\x00\x14application/protobuf"
JSON = b"\x03\x00\x10application/json"
PATIENCE_S = 30


def field(number: int, kind: int, value: bytes) -> bytes:
    """One field of a protobuf message; kind 2: with its length in front."""
    return bytes([number << 3 | kind]) + (bytes([len(value)]) if kind == 2 else b"") + value


VERSION = field(1, 0, b"\x01")


class FormsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = Lab()
        cls.addClassCleanup(cls.lab.close)
        cls.node = cls.lab.node("line-7", has_children=True, settings=Settings(
            more="state: { scopes: [ line-7, fleet ], protobuf: true, value_max: 1KiB }\n"))
        cls.lab.start()
        cls.node.syncd.wait_for_log("state.broker_up")  # answers are told to who is there

    def client(self, name: str, version: int = 5) -> Raw:
        client = Raw(self.node.broker.port, name, version)
        self.addCleanup(client.close)
        return client

    def say(self, topic: str, payload: bytes, **options) -> None:
        self.assertLess(self.client("plc").publish(f"state/line-7/{topic}", payload, **options), 0x80)

    def wait(self, path: str, wanted) -> bytes:
        """Waits until the value is wanted, or wanted(value) is true."""
        reader = self.client("reader")
        reader.subscribe(f"state/line-7/{path}")
        end, found = time.monotonic() + PATIENCE_S, None
        while time.monotonic() < end:
            for message in reader.receive_all(0.2):
                found = message[1]
            if found is not None and (wanted(found) if callable(wanted) else found == wanted):
                return found
        self.fail(f"{path}: {found}, not {wanted}\n{self.node.logs()}")

    def test_an_operation_and_its_value_in_protobuf(self):
        self.say("pb/speed/set", VERSION + field(2, 2, b"80"), props=PROTOBUF)
        self.say("pb/parts/inc", VERSION + field(3, 0, b"\x07") + field(6, 2, b"plc:1"), props=PROTOBUF)
        self.say("pb/parts/inc", VERSION + field(3, 0, b"\x07") + field(6, 2, b"plc:1"), props=PROTOBUF)
        self.say("pb/peak/raise", VERSION + field(4, 1, struct.pack("<d", 21.5)), props=PROTOBUF)
        self.say("pb/open/add", VERSION + field(5, 2, field(1, 2, b"wo-17") + field(1, 2, b"wo-18")), props=PROTOBUF)
        self.say("pb/night/enable", VERSION, props=PROTOBUF)
        for path, payload, kind, value in (
                ("speed", b"80", b"register", field(2, 2, b"80")),
                ("parts", b"7", b"pn_counter", field(3, 0, b"\x0e")),
                ("peak", b"21.5", b"max_register", field(4, 1, struct.pack("<d", 21.5))),
                ("open", b'["wo-17","wo-18"]', b"aw_set", field(5, 2, field(1, 2, b"wo-17") + field(1, 2, b"wo-18"))),
                ("night", b"true", b"ew_flag", field(6, 0, b"\x01"))):
            self.wait(f"pb/{path}", payload)
            found = self.wait(f"pb/{path}/pb", lambda found: len(found) > 0)
            self.assertTrue(found.startswith(VERSION + field(2, 2, field(1, 2, kind) + value)), (path, found))

    def test_an_answer_is_published_where_no_value_is(self):
        listener = self.client("listener")
        listener.subscribe("state/line-7/forged/#")
        listener.subscribe("answers/#")
        for topic in (b"state/line-7/forged/value", b"state/line-7/forged/parts/inc", b"answers/me"):
            self.say("asked/inc", b"1", props=b"\x08" + struct.pack(">H", len(topic)) + topic)
        self.assertEqual(listener.receive()[0], "answers/me")
        self.wait("asked", b"3")
        self.assertEqual(listener.receive_all(0.3), [])

    def test_what_is_not_understood_has_no_token_of_the_operation_before_it(self):
        listener = self.client("listener")
        listener.subscribe("answers/#")
        self.say("before/inc", b"1")
        self.wait("before", b"1")
        os.kill(self.node.syncd.pid, signal.SIGSTOP)  # it takes both at once
        try:
            self.assertLess(self.client("other").publish("state/fleet/parts/inc", b"1"), 0x80)
            self.say("before/inc", b"many", props=b"\x08" + struct.pack(">H", 10) + b"answers/me")
        finally:
            os.kill(self.node.syncd.pid, signal.SIGCONT)
        told = json.loads(listener.receive()[1])
        self.assertEqual((told["verdict"], told.get("token")), ("malformed", None))

    def test_a_mistake_in_protobuf_is_told(self):
        listener = self.client("listener")
        listener.subscribe("state/line-7/+/error")
        for payload, why in ((b"\xff", "no StateOp"), (VERSION, "inc takes amount of StateOp"),
                             (field(1, 0, b"\x02"), "version 2 of StateOp")):
            self.say("wrong/inc", payload, props=PROTOBUF)
            told = json.loads(listener.receive()[1])
            self.assertEqual((told["ok"], told["verdict"]), (False, "malformed"))
            self.assertTrue(told["why"].startswith(why), told)
        self.say("wrong/set", b"on", props=JSON)
        self.assertIn("JSON", json.loads(listener.receive()[1])["why"])

    def test_two_types_at_one_path_are_shown_as_two(self):
        self.say("clash/set", b"on")
        self.say("clash/inc", b"3")
        self.wait("clash", b'{"clash":{"register":"on","pn_counter":3}}')
        self.say("clash/del", b"")
        self.say("clash/set", b"off")
        self.wait("clash", b"off")

    def test_a_value_that_is_too_large_has_a_stand_in(self):
        self.say("large/set", b"x" * 1025)
        self.wait("large", b'{"too_large":{"type":"register","count":1,"bytes":1025,"max":1024}}')
        self.say("large/set", b"x" * 1024)
        self.wait("large", b"x" * 1024)
        self.say("orders/add", json.dumps([f"wo-{i:04}" for i in range(200)]).encode())
        self.wait("orders", b'{"too_large":{"type":"aw_set","count":200,"bytes":1400,"max":1024}}')

    def test_numbered_operations_count_once(self):
        for _ in range(3):
            for number in (1, 2, 3):
                self.say("numbered/inc", b"1", props=number_property(number))
        self.wait("numbered", b"3")
        self.say("numbered/inc", b"1", props=number_property(4))
        self.wait("numbered", b"4")

    def test_retained_or_of_qos_0_it_is_an_operation(self):
        self.say("flagged/inc", b"1", retain=True)
        self.say("flagged/inc", b"1", qos=0)
        self.wait("flagged", b"2")
        late = self.client("late")
        late.subscribe("state/line-7/flagged/inc")
        self.assertEqual(late.receive_all(0.3), [])
