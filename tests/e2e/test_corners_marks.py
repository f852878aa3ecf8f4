# SPDX-License-Identifier: Apache-2.0
"""Marked streams through kill -9: the same message comes again under the same mark, another never does, and a
subscriber that drops the marks it knows gets every message exactly once."""

import unittest

from plugin_lab import PluginTest
from plugin_raw import PUBREC, encode_record, user_properties, user_property
from test_full_disk import FullDiskTest
from test_plugin_replay import publish_many

MARKED = """\
  - name: marked
    topics: ["m/#", "+/m/#"]
    durability: process
    mark: true
"""


def mark_of(message) -> str:
    return dict(user_properties(message[4])).get("tombolo-id")


def is_replay(message) -> bool:
    return ("tombolo-replay", "1") in user_properties(message[4])


class Subscriber:
    """As a careful program would: keeps what it has not seen yet, by mark; counts what it drops."""

    def __init__(self):
        self.seen, self.kept, self.dropped = {}, [], 0

    def take(self, messages) -> None:
        for message in messages:
            mark = mark_of(message)
            assert mark, f"no mark on {message}"
            if mark in self.seen:
                assert self.seen[mark] == message[1], f"{mark} is two messages"
                self.dropped += 1
                continue
            self.seen[mark] = message[1]
            self.kept.append(int(message[1]))


class MarksTest(PluginTest):
    settings = {"max_inflight_messages": "1000"}

    def config(self):
        head, tail = super().config().split("checkpoint:")
        return head.replace("streams:\n", "streams:\n" + MARKED) + "checkpoint:" + tail

    def expect(self, message, seq: int, replay: bool = False):
        node, stream, number, life = mark_of(message).split("/")
        self.assertEqual((node, stream, int(number), len(life)), ("hub", "marked", seq, 8))
        self.assertEqual(is_replay(message), replay)

    def test_exactly_once_for_who_drops_known_marks(self):
        self.broker.start()
        self.session("sub", "m/#", version=5)
        subscriber, sent = Subscriber(), 0
        for _ in range(4):  # each life: 300 sent, some received at once, the rest by who comes back
            publisher = self.client("pub")
            publish_many(publisher, "m/a", sent + 1, sent + 200)
            subscriber.take(self.come_back("sub", 5))
            publish_many(publisher, "m/a", sent + 201, sent + 300)
            sent += 300
            self.broker.kill9()
            self.broker.start()
        subscriber.take(self.come_back("sub", 5))
        self.assertEqual(sorted(subscriber.kept), list(range(1, sent + 1)))
        self.assertGreater(subscriber.dropped, 0, "nothing came again: the kills prove nothing")

    def test_first_and_again_with_every_qos_and_version(self):
        self.broker.start()
        self.session("sub", "#", 2, version=5)
        self.session("old", "#", 2)
        live = self.client("live", 5)
        live.subscribe("#", 2)
        for qos, version in ((0, 4), (1, 4), (2, 4), (0, 5), (1, 5), (2, 5)):
            self.client(f"pub{version}{qos}", version).publish("m/a", b"%d" % qos, qos)
        self.client("pub", 5).publish("plain", b"9", props=user_property("k", "v"))
        first = live.receive_all()
        self.assertEqual([m[1] for m in first], [b"0", b"1", b"2", b"0", b"1", b"2", b"9"])
        for seq, message in enumerate(first[:6], 1):
            self.expect(message, seq)
        self.assertEqual(user_properties(first[6][4]), [("k", "v")])
        self.journal(6, stream="marked")
        self.broker.kill9()
        self.broker.start()
        again = self.come_back("sub", 5)
        self.assertEqual([m[1] for m in again], [b"1", b"2", b"1", b"2", b"9"])
        for seq, message in zip((2, 3, 5, 6), again[:4]):
            self.expect(message, seq, replay=True)
        self.assertEqual({mark_of(m) for m in again[:4]}, {mark_of(m) for m in first[:6] if m[2]})
        self.assertEqual(user_properties(again[4][4]), [("k", "v")])
        self.assertEqual(self.come_back("old")[0][1:4], (b"1", 1, False))

    def test_retained_has_it_too_and_keeps_it(self):
        self.broker.start()
        self.client("pub", 5).publish("m/r", b"1", retain=True)
        for replay in (False, True, True):
            reader = self.client("reader", 5)
            reader.subscribe("m/r")
            message = reader.receive()
            self.assertTrue(message[3])
            self.expect(message, 1, replay)
            self.broker.kill9()
            self.broker.start()

    def test_what_a_kill_took_is_not_known_by_the_next(self):
        """QoS 0 is delivered before it is in any file: its number must not come again. A good end leaves no hole."""
        self.broker.start()
        seen, given = {}, self.data / "marks.given"
        for number in range(10):
            reader, publisher = self.client("reader", 5), self.client("pub")
            self.assertEqual(reader.subscribe("m/#"), 1)
            for payload, qos in ((b"acked %d" % number, 1), (b"lost %d" % number, 0)):
                publisher.publish("m/a", payload, qos)
                message = reader.receive()
                self.assertEqual(message[1], payload)
                mark = mark_of(message)
                self.assertNotIn(mark, seen, f"{payload} has the mark of {seen.get(mark)}")
                seen[mark] = payload
            self.assertTrue(given.exists())
            self.broker.kill9()
            self.broker.start()
        self.assertLess(len(self.journal(10, stream="marked")), 20, "no kill lost anything: they prove nothing")
        reader, marks = self.client("reader", 5), []
        for _ in range(2):
            reader = self.client("reader", 5)
            self.assertEqual(reader.subscribe("m/#"), 1)
            self.assertEqual(self.client("pub").publish("m/a", b"x"), 0)
            marks.append(int(mark_of(reader.receive()).split("/")[2]))
            self.broker.stop()
            self.assertFalse(given.exists())
            self.broker.start()
        self.assertEqual(marks[1], marks[0] + 1)

    def test_a_snapshot_between_changes_no_mark(self):
        self.broker.start()
        self.session("sub", "m/#", version=5)
        publisher = self.client("pub")
        publish_many(publisher, "m/a", 1, 50)
        self.snapshot()
        publish_many(publisher, "m/a", 51, 60)
        self.broker.kill9()
        self.broker.start()
        messages = self.come_back("sub", 5)
        for seq, message in enumerate(messages, 1):
            self.expect(message, seq, replay=seq > 50)
        self.assertEqual(len(messages), 60)

    def test_marks_that_a_client_sends_are_taken_off(self):
        self.broker.start()
        live = self.client("live", 5)
        live.subscribe("#", 2)
        forged = (user_property("tombolo-id", "hub/marked/1/00000000") + user_property("k", "v") +
                  user_property("tombolo-replay", "1"))
        publisher = self.client("pub", 5)
        for topic in ("m/a", "plain", "$x/a"):
            self.assertLess(publisher.publish(topic, b"1", props=forged), 0x80)
        marked, plain = live.receive_all()
        self.expect(marked, 1)
        self.assertEqual(user_properties(marked[4])[0], ("k", "v"))
        self.assertNotIn("00000000", mark_of(marked))
        self.assertEqual(user_properties(plain[4]), [("k", "v")])
        for stream in ("marked", "default"):
            self.assertEqual([user_properties(r["props"]) for r in self.journal(1, stream=stream)], [[("k", "v")]])
        self.assertEqual(self.wait_stat("forged_marks", 6)["forged_marks"], 6)

    def test_qos_2_has_its_mark_when_it_is_released(self):
        self.broker.start()
        live = self.client("live", 5)
        live.subscribe("m/#", 2)
        publisher = self.client("pub")
        mids = [publisher.send("m/a", b"%d" % n, 2) for n in range(3)]
        for _ in mids:
            publisher.ack(PUBREC)
        for mid in reversed(mids):
            publisher.release(mid)
        for message in live.receive_all():
            self.expect(message, int(message[1]) + 1)


class MarkedCommitTest(PluginTest):
    needs_certificates = True

    def config(self):
        return super().config().replace("durability: process", "durability: process\n    mark: true")

    def test_what_children_send_up_has_the_mark_of_the_node_that_delivers_it(self):
        self.broker.start()
        self.session("sub", "#", version=5)
        syncd, life = self.tls_client("hub"), bytes(range(16))
        forged = user_property("tombolo-id", "hub/default/9/00000000")

        def record(seq):
            return encode_record("s1/t", b"%d" % seq, origin=("s1", life, "default", seq), props=forged)

        self.client("pub").publish("t", b"0")
        self.assertLess(syncd.publish("$tombolo/v1/commit", b"\x01" + record(1) + record(2)), 0x80)
        self.assertLess(syncd.publish("$tombolo/v1/commit", b"\x01" + record(2) + record(3)), 0x80)
        first = self.come_back("sub", 5)
        self.assertEqual([m[1] for m in first], [b"0", b"1", b"2", b"3"])
        self.assertEqual([mark_of(m).split("/")[:3] for m in first],
                         [["hub", "default", str(seq)] for seq in range(1, 5)])
        self.broker.kill9()
        self.broker.start()
        again = self.come_back("sub", 5)
        self.assertEqual([(mark_of(m), m[1]) for m in again], [(mark_of(m), m[1]) for m in first])
        self.assertTrue(all(is_replay(m) for m in again))


class MarkedFullDiskTest(FullDiskTest):
    policy = "drop-newest\n    mark: true"

    def test_what_is_delivered_and_not_stored_has_no_mark(self):
        """It has no place in the log; with the mark of another it would be dropped for a repeat."""
        publisher = self.client("v5", 5)
        self.publish(publisher, 10)
        self.become_full()
        shed = self.publish(publisher, 50, start=10)
        self.become_well()
        self.publish(publisher, 10, start=60)
        messages = self.ear.receive_all(0.5)
        self.assertEqual((len(messages), len(shed)), (70, 50))
        self.assertEqual({m[1] for m in messages if not mark_of(m)}, set(shed))
        self.assertEqual(len({mark_of(m) for m in messages if mark_of(m)}), 20)


if __name__ == "__main__":
    unittest.main()
