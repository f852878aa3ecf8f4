# SPDX-License-Identifier: Apache-2.0
"""Site, hub, region: the same two programs three times. The middle is killed while it carries."""

import itertools
import os
import random
import time
import unittest

from tombolo_lab import Lab, Message
from tombolo_lab import journal

SEED = int(os.environ.get("TMB_SEED", "3"))


def source(topic):
    return (Message(topic, {"v": v}, 0.01) for v in itertools.count())


class ThreeTiersTest(unittest.TestCase):
    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        self.region = self.lab.node("region", has_children=True)
        self.hub = self.lab.node("hub", parent=self.region, has_children=True)
        self.sites = [self.lab.node(name, parent=self.hub) for name in ("s1", "s2")]
        self.lab.start()

    def test_nothing_is_lost_when_the_middle_is_killed(self):
        print(f"seed {SEED}")
        draw = random.Random(SEED)
        topics = set()
        self.lab.subscribe(self.region, heard=lambda message: topics.add(message.topic))
        publishers = [self.lab.publish(self.sites[0], "p1", source("a/one")),
                      self.lab.publish(self.sites[0], "p2", source("a/two"), version=4, qos=2),
                      self.lab.publish(self.sites[1], "p3", source("b/three"), is_numbered=True),
                      self.lab.publish(self.hub, "p4", source("c/four")),
                      self.lab.publish(self.hub, "p5", source("c/five"), is_numbered=True)]
        for _ in range(3):
            time.sleep(draw.uniform(0.3, 1))
            self.hub.syncd.kill9()
            time.sleep(draw.uniform(0, 0.5))
            self.hub.syncd.start()
            time.sleep(draw.uniform(0.3, 1))
            self.hub.broker.kill9()
            time.sleep(draw.uniform(0, 0.5))
            self.hub.broker.start()
        time.sleep(0.5)
        self.lab.wait_acked(publishers)
        self.lab.wait_drained(90)
        time.sleep(0.3)
        verdict = self.lab.ledger.verdict()
        print(verdict)
        self.assertTrue(verdict.is_clean(), self.lab.ledger.evidence() + self.lab.logs())
        self.assertEqual(verdict.redelivered, 0, "the region's broker was not killed")
        self.assertEqual(verdict.published, verdict.acked)
        self.assertGreater(verdict.acked, 500)
        # What was born at a site was never in doubt: only the hub's own clients were cut off.
        self.assertEqual(sum(p.account.verdict().resent for p in publishers[:3]), 0)
        self.assertEqual(topics, {"hub/s1/a/one", "hub/s1/a/two", "hub/s2/b/three", "hub/c/four", "hub/c/five"})
        self.check_log(publishers)

    def check_log(self, publishers):
        """The region's log tells where each record was born, and by whom it came."""
        records = journal.dump(self.region, self.lab.built)
        judges = journal.judge_log(records, self.lab.ledger.accounts)
        for publisher in publishers:
            account = publisher.account
            judge = judges[account.name]
            found = judge.verdict(len(account.sent_at), account.acked, account.in_doubt)
            self.assertTrue(found.is_clean(), f"{account.name} in the region's log: {found}")
        born = {(record.get("origin") or {}).get("node") for record in records}
        self.assertTrue({"s1", "s2", "hub"} <= born, born)


if __name__ == "__main__":
    unittest.main()
