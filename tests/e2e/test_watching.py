# SPDX-License-Identifier: Apache-2.0
"""What a daemon tells of itself, in <data_dir>/syncd.json and on $tombolo/v1/stats/syncd, while its parent is away:
how much waits, and how old the oldest of it is."""

import json
import time
import unittest

from tombolo_lab import Ear, Lab, Talker
from tombolo_lab.net import wait_until
from tombolo_lab.node import Settings

TOPIC = "$tombolo/v1/stats/syncd"
COUNT = 20
PATIENCE_S = 30


class WatchingTest(unittest.TestCase):
    """The node watched has a parent and children: only such a daemon talks to its own broker."""

    def setUp(self):
        settings = Settings(backoff_base="50ms", backoff_cap="300ms", ack_timeout="1s", keepalive="5s")
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        self.region = self.lab.node("region", has_children=True)
        self.hub = self.lab.node("hub", parent=self.region, has_children=True, settings=settings)
        self.lab.start()
        self.ear = Ear("ear", self.hub.broker.port, TOPIC, wants_retained=True)
        self.addCleanup(self.ear.halt)

    def both(self) -> list:
        """What the topic says of the stream and what the file says; one that has not said yet is left out."""
        told = [json.loads(self.ear.wait(TOPIC)[-1].payload), self.hub.told()]
        return [whole["streams"]["default"] for whole in told if "default" in whole.get("streams", {})]

    def wait_both(self, what: str, is_so) -> list:
        """Waits until both say what is_so, and gives it."""
        found = []

        def are_so() -> bool:
            found[:] = self.both()
            return len(found) == 2 and all(is_so(told) for told in found)
        wait_until(are_so, PATIENCE_S, lambda: f"{what}; told: {found}\n{self.lab.logs()}")
        return list(found)

    def publish(self, count: int) -> None:
        with Talker(self.hub.broker.port, "talker") as talker:
            for number in range(count):
                self.assertLess(talker.publish("t", str(number)), 0x80)

    def test_what_waits_and_for_how_long(self):
        self.publish(1)
        self.wait_both("one acked", lambda told: told["acked"] == 1 and told["waiting"] == 0)
        self.hub.link.cut()
        said_at = time.monotonic()
        self.publish(COUNT)
        first = self.wait_both("waiting", lambda told: told["waiting"] == COUNT and told["oldest_waiting_age_ms"] > 0)
        older_ms = max(2000, *(told["oldest_waiting_age_ms"] + 1 for told in first))
        second = self.wait_both("older, and two seconds", lambda told: told["oldest_waiting_age_ms"] >= older_ms)
        age_ms = (time.monotonic() - said_at) * 1000
        for after in second:
            self.assertEqual((after["waiting"], after["acked"], after["last_seq"]), (COUNT, 1, COUNT + 1))
            self.assertLess(after["oldest_waiting_age_ms"], age_ms + 100)
        self.hub.link.heal()
        self.wait_both("nothing waiting", lambda told: told["waiting"] == 0 and told["oldest_waiting_age_ms"] == 0 and
                       told["acked"] == COUNT + 1)

    def test_the_parent_tells_of_its_child(self):
        self.publish(3)
        wait_until(lambda: self.region.told().get("children", {}).get("hub", {}).get("marks") == {"default": 3}, PATIENCE_S,
                   lambda: f"the mark of the child; told: {self.region.told()}")
        child = self.region.told()["children"]["hub"]
        self.assertEqual((child["open"], child["records"], child["refused"]), (True, 3, 0))


if __name__ == "__main__":
    unittest.main()
