# SPDX-License-Identifier: Apache-2.0
"""Bad lines, below TCP: always progress, everything arrives once, and who has gone silent is noticed.

    30 % loss both ways    a backlog drains
    600 ms there and back  a backlog drains
    flapping               up for 5 s, dead for 5 s, over and over: the backlog gets smaller in each turn
    half-open              the line swallows everything: both ends notice within 15 s, though nothing is said

TMB_SEED, TMB_LONG=1 (larger backlogs).
"""

import itertools
import os
import random
import time
import unittest

from tombolo_lab import Ear, Lab, Line, Message, Talker
from tombolo_lab.net import wait_until
from tombolo_lab.node import Settings

IS_LONG = bool(os.environ.get("TMB_LONG"))
SEED = int(os.environ.get("TMB_SEED") or random.SystemRandom().randrange(1 << 32))


def source(topic: str, count: int, draw: random.Random):
    return (Message(topic, {"v": v, "pad": draw.randbytes(100).hex()})
            for v in itertools.islice(itertools.count(), count))


@unittest.skipUnless(Line.is_possible(), "NOT RUN: no right to make TUN devices and network namespaces")
class BadLineTest(unittest.TestCase):
    def setUp(self):
        print(f"seed {SEED}", flush=True)
        self.lab = Lab()
        self.is_well = False
        self.addCleanup(lambda: self.lab.close(failed=not self.is_well))
        self.line = self.lab.line(SEED)
        self.hub = self.lab.node("hub", has_children=True)
        self.s1 = self.lab.node("s1", parent=self.hub, line=self.line, settings=Settings(durability="process"))
        self.lab.start()
        self.ear = self.lab.subscribe(self.hub)
        self.large_ear = Ear("large-ear", self.hub.broker.port, "s1/+")
        self.addCleanup(self.large_ear.halt)
        wait_until(lambda: self.s1.told().get("state") == "streaming", 20, "the session")

    def fill(self, count: int) -> list:
        """A backlog behind a cut line, of three publishers."""
        self.line.cut()
        draw = random.Random(SEED)
        publishers = [self.lab.publish(self.s1, f"p-{n}", source(f"a/{n}", count // 3, draw)) for n in range(3)]
        self.lab.wait_acked(publishers, stop=False)
        return publishers

    def drain(self, timeout_s: float) -> None:
        began = time.monotonic()
        backlog = self.lab.ledger.waiting()[0]
        self.assertGreater(backlog, 0)
        self.lab.wait_drained(timeout_s)
        verdict = self.lab.ledger.verdict()
        told = self.s1.told()
        print(f"{backlog} in {time.monotonic() - began:.1f} s, {told['link']['dials']} dials, "
              f"{self.line.up.dropped} packets lost on the way up\n{verdict}", flush=True)
        self.assertTrue(verdict.is_clean(), f"{verdict}\n{self.lab.ledger.evidence()}\n{self.lab.logs()}")
        self.assertEqual((verdict.lost, verdict.duplicated, verdict.resent), (0, 0, 0))
        self.is_well = True

    def test_30_percent_loss(self):
        self.fill(3000 if IS_LONG else 150)
        self.line.rate(1_000_000)
        self.line.delay(0.02)
        self.line.loss(0.3)
        self.line.heal()
        self.drain(300)
        self.assertGreater(self.line.up.dropped + self.line.down.dropped, 2)

    def test_600_ms_there_and_back(self):
        self.fill(30_000 if IS_LONG else 900)
        self.line.rate(1_000_000)
        self.line.delay(0.3, 0.02)
        self.line.heal()
        self.drain(120)
        self.assertGreater(self.s1.told()["line"]["round_trip_ms"], 590)

    def test_a_line_that_flaps_every_5_s(self):
        self.fill(12_000 if IS_LONG else 900)
        self.line.rate(128_000)
        self.line.delay(0.02)
        turns = 0
        left = self.lab.ledger.waiting()[0]
        while left > 0 and turns < 60:
            self.line.heal()
            time.sleep(5)
            self.line.cut()
            time.sleep(5)
            turns += 1
            now_left = self.lab.ledger.waiting()[0]
            print(f"turn {turns}: {now_left} left", flush=True)
            self.assertLess(now_left, left, f"no progress in turn {turns}\n{self.lab.logs()}")
            left = now_left
        self.assertGreater(turns, 1, "the backlog was too small")
        verdict = self.lab.ledger.verdict()
        self.assertTrue(verdict.is_clean(), f"{verdict}\n{self.lab.ledger.evidence()}")
        self.is_well = True

    def test_a_large_record_gets_through_in_pieces(self):
        """It needs longer than the line ever stays up; what has arrived is not sent again."""
        self.line.rate(64_000)
        self.line.delay(0.02)
        size = 100_000 if IS_LONG else 40_000
        large = random.Random(SEED).randbytes(size)
        with Talker(self.s1.broker.port, "talker") as talker:
            talker.publish("large", large, 1)
            turns = 0
            while not self.large_ear.of("s1/large") and turns < 40:
                time.sleep(3.5)
                turns += 1
                if not self.large_ear.of("s1/large"):
                    self.line.cut()
                    time.sleep(6)
                    self.line.heal()
            self.assertEqual([message.payload for message in self.large_ear.of("s1/large")], [large], self.lab.logs())
            told = self.s1.told()
            print(f"{size} bytes in {turns} turns of 3.5 s, {told['link']['dials']} dials, "
                  f"{told['link']['bytes_out']} bytes out", flush=True)
            self.assertGreater(turns, 1)
            self.assertGreater(told["link"]["dials"], 1)
            talker.publish("small", b"after", 1)
            self.large_ear.wait("s1/small")
        self.is_well = True

    def test_half_open_is_noticed_within_15_s(self):
        dials = self.s1.told()["link"]["dials"]
        self.line.cut()
        began = time.monotonic()
        took = {}

        def look() -> bool:
            if self.s1.told()["link"]["dials"] > dials:
                took.setdefault("child", time.monotonic() - began)
            if "exceeded timeout" in self.hub.broker.daemon.tail(30):
                took.setdefault("parent", time.monotonic() - began)
            return len(took) == 2

        wait_until(look, 30, lambda: f"both to notice, not only {took}\n{self.lab.logs()}")
        print(f"noticed after {took}", flush=True)
        self.assertLess(max(took.values()), 15)
        self.line.heal()
        wait_until(lambda: self.s1.told().get("state") == "streaming", 30, "the session")
        self.is_well = True


if __name__ == "__main__":
    unittest.main()
