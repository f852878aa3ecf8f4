# SPDX-License-Identifier: Apache-2.0
"""A restored backup, a cloned disk, two boxes under one name: one of the two stops, nothing is taken for something
else, and people see it. And nothing of that kind is seen where there is one box with one past."""

import json
import os
import random
import shutil
import subprocess
import time
import unittest

from tombolo_lab import Lab, Talker
from tombolo_lab.journal import dump, payload_of
from tombolo_lab.net import wait_until
from tombolo_lab.node import Node

SEED = int(os.environ.get("TMB_SEED", "0")) or random.randrange(1 << 32)


class FenceCase(unittest.TestCase):
    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        self.hub = self.lab.node("hub", has_children=True)
        self.s1 = self.lab.node("s1", parent=self.hub)
        self.lab.start()
        self.acked = []

    def publish(self, node, words) -> None:
        with Talker(node.broker.port, f"pub-{random.randrange(1 << 30)}") as talker:
            for word in words:
                self.assertEqual(talker.publish("t", word), 0, word)
                self.acked.append(word)

    def at_hub(self) -> list:
        if not list(self.hub.journal_root.glob("default/*.seg")):
            return []
        return [payload_of(record).decode() for record in dump(self.hub, self.lab.built)]

    def wait_at_hub(self, words) -> None:
        wait_until(lambda: set(words) <= set(self.at_hub()), 30,
                   lambda: f"{sorted(set(words) - set(self.at_hub()))[:9]} to arrive\n{self.lab.logs()}", step_s=0.2)

    def child(self) -> dict:
        return (self.hub.told().get("children") or {}).get("s1", {})

    def wait_fenced(self, node, why: str) -> None:
        """The box says it, its statistics say it, and so do the hub's."""
        def uplink():
            return node.told().get("fenced") or {}
        wait_until(lambda: uplink().get("why") == why, 20, lambda: f"{why}: {uplink()}\n{node.logs()}", step_s=0.2)
        node.syncd.wait_for_log("session.fenced")
        wait_until(lambda: (self.child().get("fenced") or {}).get("why") == why, 20,
                   lambda: f"the hub to say {why}: {self.child()}\n{self.lab.logs()}", step_s=0.2)

    def assert_none_merged_wrongly(self) -> None:
        """Each number of a life is one message, and each message came out of the life that it was put into."""
        seen = {}
        for record in dump(self.hub, self.lab.built):
            origin = record["origin"]
            key = (origin["node"], origin["incarnation"], origin["stream"], origin["seq"])
            self.assertNotIn(key, seen)
            seen[key] = payload_of(record)

    def clone(self, name: str = "clone") -> Node:
        """Another box with all that the first one has, its name and certificate too. The first is stopped."""
        node = Node("s1", self.lab.folder / name, self.lab.authority, self.lab.built,
                    parent_port=self.s1.link.port)
        self.lab.nodes[name] = node
        shutil.copytree(self.s1.data, node.data)
        return node


class RestoredBackupTest(FenceCase):
    def make_backup(self):
        self.publish(self.s1, [f"common-{i}" for i in range(5)])
        self.wait_at_hub(self.acked)
        self.s1.stop()
        shutil.copytree(self.s1.data, self.lab.folder / "backup")
        self.s1.start()
        self.publish(self.s1, [f"first-{i}" for i in range(5)])
        self.wait_at_hub(self.acked)
        self.s1.stop()
        shutil.rmtree(self.s1.data)
        shutil.copytree(self.lab.folder / "backup", self.s1.data)

    def test_with_fewer_records_than_the_parent_has(self):
        self.make_backup()
        self.s1.start()
        self.wait_fenced(self.s1, "ahead")
        self.assertIn("tombolo-journal renew", self.s1.syncd.log())
        self.assertEqual(self.at_hub(), self.acked)

    def test_which_has_written_beyond_the_mark_meanwhile(self):
        self.make_backup()
        self.s1.broker.start()
        self.publish(self.s1, [f"second-{i}" for i in range(20)])
        before = self.at_hub()
        self.assertFalse([word for word in before if word.startswith("second")])
        self.s1.syncd.start()
        self.wait_fenced(self.s1, "forked")
        self.hub.syncd.wait_for_log("child.forked")
        time.sleep(1)
        self.assertEqual(self.at_hub(), before)  # not one of them
        self.s1.syncd.stop()
        self.s1.syncd.start()  # a restart is no cure
        self.wait_fenced(self.s1, "forked")
        self.assertEqual(self.at_hub(), before)


class TwoBoxesTest(FenceCase):
    def test_a_clone_beside_the_first_is_fenced_and_the_first_goes_on(self):
        self.publish(self.s1, [f"common-{i}" for i in range(5)])
        self.wait_at_hub(self.acked)
        self.s1.stop()
        twin = self.clone()
        self.s1.start()
        self.publish(self.s1, [f"first-{i}" for i in range(3)])
        self.wait_at_hub(self.acked)
        mine = list(self.acked)
        twin.broker.start()
        self.publish(twin, [f"twin-{i}" for i in range(10)])
        begin = time.monotonic()
        twin.syncd.start()
        self.wait_fenced(twin, "twin")
        self.assertLess(time.monotonic() - begin, 15)
        self.hub.syncd.wait_for_log("child.twin")
        more = [f"more-{i}" for i in range(5)]
        self.publish(self.s1, more)
        self.wait_at_hub(mine + more)
        self.assertFalse([word for word in self.at_hub() if word.startswith("twin")])
        self.assertEqual(self.s1.told()["fenced"], None)
        self.assertEqual(self.child()["fenced"]["why"], "twin")
        self.assert_none_merged_wrongly()


if __name__ == "__main__":
    unittest.main()
