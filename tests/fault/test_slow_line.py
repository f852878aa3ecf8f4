# SPDX-License-Identifier: Apache-2.0
"""A slow line is not a dead one: 1 Mbit/s up, and messages that need longer than ack_timeout to leave.

They arrive at the first attempt, and so does what stands behind them. When the same line goes silent in the midst of
one, that is noticed within 15 seconds, and after it has come back everything arrives.

TMB_SIZE: bytes of the large message (1 MiB).
"""

import os
import random
import time
import unittest

from tombolo_lab import Ear, Lab, Talker
from tombolo_lab.net import wait_until

BYTES_PER_S = 125_000
SIZE = int(os.environ.get("TMB_SIZE", 1 << 20))
NEEDED_S = SIZE / BYTES_PER_S


class SlowLineTest(unittest.TestCase):
    def setUp(self):
        self.lab = Lab()
        self.hub = self.lab.node("hub", has_children=True)
        self.s1 = self.lab.node("s1", parent=self.hub)
        self.s1.link.throttle(BYTES_PER_S)
        self.is_well = False
        self.addCleanup(lambda: self.lab.close(failed=not self.is_well))
        self.lab.start()
        self.ear = Ear("ear", self.hub.broker.port)
        self.addCleanup(self.ear.halt)
        self.large = random.Random(1).randbytes(SIZE)  # nothing that could be packed

    def timeouts(self) -> int:
        return (self.s1.folder / "syncd.log").read_text(encoding="utf-8").count("session.timeout")

    def say(self, talker: Talker, name: str) -> None:
        talker.publish(f"{name}/large", self.large, 1)
        for number in range(3):
            talker.publish(f"{name}/small", str(number).encode(), 1)

    def check_arrived(self, name: str, timeout_s: float) -> None:
        large = self.ear.wait(f"s1/{name}/large", timeout_s=timeout_s)
        small = self.ear.wait(f"s1/{name}/small", 3)
        self.assertEqual([message.payload for message in large], [self.large])
        self.assertEqual([message.payload for message in small], [b"0", b"1", b"2"])

    def test_what_is_slow_arrives_and_what_is_dead_is_noticed(self):
        link = self.s1.link
        with Talker(self.s1.broker.port, "talker") as talker:
            talker.publish("first", b"", 1)
            self.ear.wait("s1/first")
            before = self.timeouts()  # the first HELLO may have come before the hub's daemon
            began, bytes_before = time.monotonic(), link.bytes_up
            self.say(talker, "slow")
            self.check_arrived("slow", 2 * NEEDED_S + 10)
            took, went_up = time.monotonic() - began, link.bytes_up - bytes_before
            print(f"{SIZE} bytes took {took:.1f} s, {went_up} bytes went up", flush=True)
            self.assertGreater(took, 0.9 * NEEDED_S, "the line was not slow")
            self.assertGreater(took, 5, "the line was faster than ack_timeout")
            self.assertLess(went_up, 1.2 * SIZE, "something was sent twice")
            self.assertEqual(link.connections, 1)
            self.assertEqual(self.timeouts(), before)

            self.say(talker, "dead")
            wait_until(lambda: link.bytes_up > bytes_before + went_up + SIZE // 8, 30, "the line to be busy")
            link.cut("blackhole")
            began = time.monotonic()
            wait_until(lambda: self.timeouts() > before, 15, "the dead line to be noticed")
            took = time.monotonic() - began
            print(f"the dead line was noticed after {took:.1f} s", flush=True)
            self.assertGreater(took, 3)
            link.heal()
            self.check_arrived("dead", 2 * NEEDED_S + 10)
        # It hung up at once: on that line, whatever it said would have stood behind the large message.
        self.assertEqual(self.timeouts(), before + 1)
        self.is_well = True


if __name__ == "__main__":
    unittest.main()
