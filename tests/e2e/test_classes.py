# SPDX-License-Identifier: Apache-2.0
"""An alarm in the midst of a day of telemetry: on a slow line with thousands of records waiting, it is at the hub before
most of them, and they all come, in their order, once. The statistics tell what each class took of the line."""

import os
import random
import time
import unittest

from tombolo_lab import Ear, Lab, Talker
from tombolo_lab.net import wait_until
from tombolo_lab.node import Settings

BYTES_PER_S = int(os.environ.get("TMB_RATE", "60000"))
BACKLOG = int(os.environ.get("TMB_BACKLOG", "3000"))
PAD = random.Random(7)


class ClassesTest(unittest.TestCase):
    def setUp(self):
        self.lab = Lab()
        streams = (("alarms", '["alarm/#"]', "strict\n    class: alarm"), ("bulk", '["#"]', "none\n    class: bulk"))
        settings = Settings(streams=streams, batch_bytes="8KiB", backoff_base="50ms", backoff_cap="300ms")
        self.hub = self.lab.node("hub", has_children=True, settings=Settings(streams=streams))
        self.s1 = self.lab.node("s1", parent=self.hub, settings=settings)
        self.s1.link.throttle(BYTES_PER_S)
        self.is_well = False
        self.addCleanup(lambda: self.lab.close(failed=not self.is_well))
        self.lab.start()
        self.ear = Ear("ear", self.hub.broker.port)
        self.addCleanup(self.ear.halt)

    def test_an_alarm_overtakes_a_backlog(self):
        with Talker(self.s1.broker.port, "talker") as talker:
            talker.publish("alarm/first", b"", 1)
            self.ear.wait("s1/alarm/first")
            self.s1.link.cut("reset")
            for number in range(BACKLOG):
                talker.publish("t", b"%06d" % number + PAD.randbytes(100), 0)
            self.assertEqual(talker.publish("t", b"%06d" % BACKLOG, 1), 0)
            self.s1.link.heal()
            wait_until(lambda: len(self.ear.of("s1/t")) > 0, 30, lambda: f"the backlog to begin\n{self.lab.logs()}")
            self.assertEqual(talker.publish("alarm/now", b"", 1), 0)
            began, heard = time.monotonic(), len(self.ear.of("s1/t"))  # when it was acked
            self.assertLess(heard, BACKLOG * 0.9, "there is no backlog any more: nothing is shown")
            self.ear.wait("s1/alarm/now")
            took = time.monotonic() - began
            before = [message.topic for message in list(self.ear.messages)].index("s1/alarm/now") - 1  # alarm/first
            print(f"the alarm took {took:.2f} s, and overtook all but {before - heard} of the {BACKLOG + 1 - heard} records "
                  "that waited", flush=True)
            self.assertLess(before - heard, (BACKLOG - heard) * 0.6)
            told = self.ear.wait("s1/t", BACKLOG + 1, 60)
        self.assertEqual([int(message.payload[:6]) for message in told], list(range(BACKLOG + 1)))
        self.assertEqual(len(self.ear.of("s1/alarm/now")), 1)
        # What each class took of the line: random bytes do not get smaller, two alarms are not much.
        wait_until(lambda: self.s1.told()["line"]["class_bytes"]["bulk"] > BACKLOG * 100, 30,
                   lambda: f"the bytes of the backlog: {self.s1.told()['line']}")
        told = self.s1.told()
        by_class = told["line"]["class_bytes"]
        self.assertEqual(list(by_class), ["control", "alarm", "state", "telemetry", "bulk"])
        self.assertTrue(0 < by_class["alarm"] < 2000, by_class)
        self.assertEqual((by_class["control"], by_class["telemetry"]), (0, 0))
        self.assertLess(sum(by_class.values()), told["link"]["bytes_out"])
        self.is_well = True


if __name__ == "__main__":
    unittest.main()
