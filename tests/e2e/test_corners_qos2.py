# SPDX-License-Identifier: Apache-2.0
"""QoS 2 between PUBREC and PUBREL, what a publisher sends again, and clients whose place is taken: what is promised
through kill -9, and where the broker leaves nothing to promise."""

import os
import random
import struct
import time
import unittest

from plugin_lab import PluginTest
from plugin_raw import PUBACK, PUBCOMP, PUBREC, number_property

SEED = int(os.environ.get("TMB_SEED") or random.randrange(1 << 32))
INFLIGHT_MAX, INFLIGHT_S = 256, 30  # broker-plugin/inflight.h


class CornerTest(PluginTest):
    def restart(self):
        self.broker.kill9()
        self.broker.start()

    def payloads(self, name: str, version: int = 4) -> list:
        return [m[1] for m in self.come_back(name, version)]

    def stored(self, count: int) -> list:
        return [record["payload"] for record in self.journal(count)]

    def half(self, name: str = "pub", version: int = 4, clean: bool = True, payload: bytes = b"1", **options):
        """A QoS 2 message that has its PUBREC, and no PUBREL yet."""
        publisher = self.client(name, version, clean=clean)
        mid = publisher.send("t/a", payload, 2, **options)
        self.assertEqual(publisher.ack(PUBREC), 0)
        return publisher, mid


class BetweenTest(CornerTest):
    """PUBREC is the ack: from there on the message is the broker's to deliver."""

    settings = {"max_inflight_messages": "1000"}

    def test_killed_between_for_every_kind_of_session(self):
        for version in (4, 5):
            for clean in (True, False):
                for with_snapshot in (False, True):
                    with self.subTest(version=version, clean=clean, with_snapshot=with_snapshot):
                        self.broker.start()
                        self.session("sub", "t/#", 2)
                        _, mid = self.half(version=version, clean=clean)
                        if with_snapshot:
                            self.snapshot()
                        self.restart()
                        if not clean:  # it goes on where it was
                            self.client("pub", version, clean=False).release(mid)
                        got = self.payloads("sub")
                        wanted = ([b"1"],) if clean or not with_snapshot else ([b"1"], [b"1"] * 2)
                        self.assertIn(got, wanted)
                        self.assertEqual(self.broker.stop(), 0)

    def test_more_than_256_between(self):
        count = INFLIGHT_MAX + 44
        self.broker.start()
        self.session("sub", "t/#", 2)
        publisher = self.client("pub")
        mids = [publisher.send("t/a", b"%d" % n, 2) for n in range(count)]
        for _ in mids:
            self.assertEqual(publisher.ack(PUBREC), 0)
        self.snapshot()
        for mid in mids:
            publisher.release(mid)
        self.restart()
        self.assertEqual(sorted(map(int, self.payloads("sub"))), list(range(count)))

    def test_taken_over_between(self):
        self.broker.start()
        self.session("sub", "t/#", 2)
        _, mid = self.half(clean=False)
        second = self.client("pub", clean=False)  # the same id: the first connection ends
        self.assertTrue(second.session_present)
        second.release(mid)
        self.restart()
        self.assertEqual(self.payloads("sub"), [b"1"])

    @unittest.skipUnless(os.environ.get("TMB_LONG"), "TMB_LONG=1: half a minute")
    def test_known_released_after_30_s_with_a_snapshot_between(self):
        self.broker.start()
        self.session("sub", "t/#", 2)
        publisher, mid = self.half()
        time.sleep(INFLIGHT_S + 1)
        self.client("other").publish("x", b"")
        self.snapshot()
        publisher.release(mid)
        self.restart()
        self.assertEqual(self.payloads("sub"), [])
        self.assertEqual(self.stored(2), [b"1", b""])

    def test_known_a_publisher_that_never_releases_and_whose_session_ends(self):
        """The broker drops its half of the message; after a restart soon enough it comes all the same."""
        self.broker.start()
        self.session("sub", "t/#", 2)
        publisher, _ = self.half(clean=True)
        publisher.close()
        self.assertEqual(self.payloads("sub"), [])
        self.assertEqual(self.stored(1), [b"1"])
        self.restart()
        self.assertEqual(self.payloads("sub"), [b"1"])


class AgainTest(CornerTest):
    """A publisher that saw no ack sends again: DUP, and the same packet id. The plugin is told of neither."""

    def unanswered(self, qos: int, version: int = 4, clean: bool = False, **options) -> int:
        """Stored, and its ack lost: the publisher is gone before it could read it."""
        count = len(self.journal())
        publisher = self.client("pub", version, clean=clean)
        mid = publisher.send("t/a", b"1", qos, **options)
        self.journal(count + 1)
        publisher.drop()
        return mid

    def again(self, qos: int, mid: int, version: int = 4, clean: bool = False, **options):
        publisher = self.client("pub", version, clean=clean)
        publisher.send("t/a", b"1", qos, mid=mid, dup=True, **options)
        if qos == 1:
            self.assertLess(publisher.ack(), 0x80)
        else:
            self.assertLess(publisher.ack(PUBREC), 0x80)
            publisher.release(mid)

    def test_qos_1_is_at_least_once(self):
        for killed in (False, True):
            with self.subTest(killed=killed):
                self.broker.start()
                self.session("sub", "t/#")
                before = len(self.journal())
                mid = self.unanswered(1)
                if killed:
                    self.restart()
                self.again(1, mid)
                self.assertEqual(len(self.journal(before + 2)) - before, 2)
                self.assertEqual(self.payloads("sub"), [b"1"] * 2)
                self.broker.stop()

    def test_known_qos_2_again_is_stored_twice_and_delivered_once(self):
        self.broker.start()
        self.session("sub", "t/#", 2)
        mid = self.unanswered(2)
        self.again(2, mid)
        self.assertEqual(self.stored(2), [b"1"] * 2)
        self.assertEqual(self.payloads("sub"), [b"1"])

    def test_known_qos_2_again_after_a_kill_is_delivered_again(self):
        self.broker.start()
        self.session("sub", "t/#", 2)
        mid = self.unanswered(2)
        self.restart()
        self.again(2, mid)
        self.assertEqual(self.payloads("sub"), [b"1"] * 2)

    def test_numbered_it_is_stored_and_delivered_once(self):
        seq = 0
        for qos in (1, 2):
            for clean in (True, False):
                for killed in (False, True):
                    with self.subTest(qos=qos, clean=clean, killed=killed):
                        self.broker.start()
                        self.session("sub", "t/#", 2)
                        before, seq = len(self.journal()), seq + 1
                        mid = self.unanswered(qos, 5, clean, props=number_property(seq))
                        if killed:
                            self.restart()
                        self.again(qos, mid, 5, clean, props=number_property(seq))
                        self.assertEqual(len(self.journal()) - before, 1)
                        self.assertEqual(self.payloads("sub"), [b"1"])
                        self.broker.stop()


class NumberedTest(CornerTest):
    """Numbered publishers through resets of their connection, stops and kills: every number exactly once."""

    settings = {"max_inflight_messages": "100"}

    def test_through_resets_stops_and_kills(self):
        print(f"seed {SEED}")
        for qos in (1, 2):
            with self.subTest(qos=qos):
                self.broker.start()
                self.session(f"sub{qos}", f"n{qos}", 2)
                self.run_with(qos, random.Random(SEED + qos))
                self.broker.stop()

    def test_begun_with_qos_2_and_sent_again_with_qos_1(self):
        """Its connection, and with it the session, ended before PUBREL: it is stored, and nobody has got it."""
        self.broker.start()
        ear = self.client("ear", 5)
        ear.subscribe("t/#", 2)
        first = self.client("pub", 5)
        first.send("t/a", b"once", 2, props=number_property(1))
        self.assertLess(first.ack(PUBREC), 0x80)
        first.drop()
        self.wait_stat("messages", 1)
        for _ in range(3):
            self.assertLess(self.client("pub", 5).publish("t/a", b"once", 1, props=number_property(1)), 0x80)
        self.assertEqual([message[1] for message in ear.receive_all(1)], [b"once"])
        self.assertEqual([record["payload"] for record in self.journal()], [b"once"])

    def run_with(self, qos: int, dice: random.Random):
        acked, last, faults = 0, 600, {"reset": 0, "stop": 0, "kill": 0}
        while acked < last:
            publisher = self.client(f"pub{qos}", 5)
            burst = min(dice.randint(1, 60), last - acked)
            for number in range(acked + 1, acked + burst + 1):  # again from the first that has no ack
                publisher.send(f"n{qos}", b"%d" % number, qos, props=number_property(number))
            for _ in range(dice.randint(0, 2 * burst if qos == 2 else burst)):
                kind, _, body = publisher.packet()  # in order, so that each last ack is of the next number
                if kind == PUBREC:
                    self.assertLess(body[2] if len(body) > 2 else 0, 0x80)
                    publisher.send_release(struct.unpack(">H", body[:2])[0])
                else:
                    self.assertIn(kind, (PUBACK, PUBCOMP))
                    acked += 1
            fault = dice.choice([name for name in faults if not faults[name]] or ("reset", "reset", "stop", "kill"))
            faults[fault] += 1
            publisher.drop()
            if fault == "stop":
                self.assertEqual(self.broker.stop(), 0)
                self.broker.start()
            elif fault == "kill":
                self.restart()
        self.assertTrue(all(faults.values()), faults)
        count = last * qos  # those of the first qos are before
        numbers = [int(r["payload"]) for r in self.journal(count) if r["topic"] == f"n{qos}"]
        self.assertEqual(numbers, list(range(1, last + 1)))
        got = [int(payload) for payload in self.payloads(f"sub{qos}")]
        self.assertEqual(sorted(set(got)), list(range(1, last + 1)))


if __name__ == "__main__":
    unittest.main()
