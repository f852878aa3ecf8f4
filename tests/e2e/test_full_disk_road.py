# SPDX-License-Identifier: Apache-2.0
"""Full disks on the road: what a site sheds is what its ledger says at the hub, to the message; a full hub in the
middle neither loses nor doubles anything, and its daemon stays up."""

import os
import random
import re
import time
import unittest

from full_disk import entries, lost
from tombolo_lab import Lab, Message
from tombolo_lab.net import wait_until
from tombolo_lab.node import Settings
from tombolo_lab.small_disk import small_disk
from tombolo_lab.talker import plugin_stats

KIB, MIB = 1 << 10, 1 << 20
SEED = int(os.environ.get("TMB_SEED", "5"))
SEGMENT = 64 * KIB
BATCH = 16 * KIB
IN_FLIGHT = 8  # batches: TMB_INFLIGHT_BATCHES_MAX


def may_arrive(size: int) -> int:
    """Records of size bytes that can be on their way, or read from an open segment, while what they lie in is dropped:
    they arrive all the same, and the ledger says so much too much."""
    return SEGMENT // size + IN_FLIGHT * (BATCH // size + 1)


def settings(policy: str, **more) -> Settings:
    return Settings(stream_lines=f"    full: {policy}\n",
                    more="journal: { segment_bytes: 64KiB }\ndisk: { reserve: 1MiB }\n", **more)


def source(count: int, body: dict, pause_s: float = 0.0):
    return (Message("t/a", body, pause_s) for _ in range(count))


@unittest.skipUnless(os.geteuid() == 0, "mounting a small disk needs root")
class FullDiskRoadTest(unittest.TestCase):
    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)

    def wait_full(self, node, is_full: bool) -> None:
        reserve = node.data / "reserve"
        wait_until(lambda: (reserve.stat().st_size == 0) == is_full, 30,
                   lambda: f"the disk to be {'full' if is_full else 'well'}\n{node.logs()}", 0.02)

    def say(self, name: str, node, count: int, body=None, **options):
        publisher = self.lab.publish(node, name, source(count, body or {}), **options)
        self.lab.wait_acked([publisher], 120, stop=False)
        self.assertEqual(len(publisher.account.acked), count, f"{name}: {publisher.account.refused[:5]}")
        return publisher

    def wait_ledgers(self, site, hub) -> list:
        """Waits until the hub has all that the site's ledger has, and gives it."""
        def here():
            return entries(site.journal_root)

        def there():
            return entries(hub.journal_root, site.name)
        wait_until(lambda: here() and here() == there(), 60, lambda: f"{here()} to arrive: {there()}\n{self.lab.logs()}")
        return there()

    def start_pair(self, policy: str, **more):
        hub = self.lab.node("hub", has_children=True)
        site = self.lab.node("s1", parent=hub, settings=settings(policy, batch_bytes=f"{BATCH}", **more))
        disk = small_disk(self, site.data, size=16 * MIB)
        self.lab.start()
        self.lab.subscribe(hub, topic="s1/t/#")
        return hub, site, disk

    def wait_marks(self, site, seq: int) -> None:
        """Waits until the site knows that the hub has all up to seq."""
        marks = site.data / "uplink.marks"
        line = re.compile(rf"^stream default {seq}\b", re.MULTILINE)  # its chain may follow
        wait_until(lambda: marks.exists() and line.search(marks.read_text(encoding="utf-8")), 30, f"the mark {seq}")

    def hub_gaps(self, hub) -> dict:
        return (hub.told().get("children") or {}).get("s1", {}).get("gaps", {})

    def test_what_a_site_does_not_store(self):
        hub, site, disk = self.start_pair("drop-newest")
        pids = site.broker.daemon.pid, site.syncd.pid
        self.say("before", site, 200)
        self.lab.wait_drained()
        site.link.cut()
        self.say("cut off", site, 200)
        disk.fill(leave=64 * KIB)
        self.wait_full(site, True)
        shed = self.say("shed", site, 300)
        disk.clear()
        self.wait_full(site, False)
        site.link.heal()
        self.say("after", site, 100)
        wait_until(lambda: self.lab.ledger.counts()[2] == 500, 60,
                   lambda: f"{self.lab.ledger.counts()}\n{self.lab.logs()}")
        found = self.wait_ledgers(site, hub)
        self.assertEqual(lost(found), 300)
        self.assertEqual(lost(found, "full-newest"), 300)
        self.assertEqual(self.lab.ledger.verdict().lost, 300)
        self.assertEqual(len(shed.account.judge.first_epoch), 0)
        self.assertEqual((found[0]["first"], found[-1]["last"]), (401, 700))
        wait_until(lambda: self.hub_gaps(hub).get("retention") == 300, 30, lambda: f"{hub.told()}")
        self.assertEqual((site.broker.daemon.pid, site.syncd.pid), pids)

    def test_what_a_site_drops_to_make_room(self):
        hub, site, _ = self.start_pair("drop-oldest", checkpoint_interval="200ms", durability="process")
        self.say("before", site, 100)
        self.wait_marks(site, 100)
        site.link.cut()
        count = 24 * KIB * KIB // 4100

        def flood():  # who was refused waits a moment: a snapshot that took long puts off the next, which makes room
            refused = self.lab.ledger.accounts["flood"].refused
            for _ in range(count):
                before = len(refused)
                yield Message("t/a", {"x": "x" * 4000}, 0.001)
                if len(refused) > before:
                    time.sleep(0.1)
        publisher = self.lab.publish(site, "flood", flood())
        self.lab.wait_acked([publisher], 180, stop=False)
        print("refused for a moment:", len(publisher.account.refused), "of", count)
        acked = len(publisher.account.acked)
        self.assertEqual(acked + len(publisher.account.refused), count)
        self.assertGreater(acked, count * 8 // 10, "older ones could go, but the newest were refused")
        site.link.heal()
        self.wait_full(site, False)
        self.say("after", site, 10)

        def is_told() -> bool:
            return 0 <= lost(self.wait_ledgers(site, hub)) - self.lab.ledger.verdict().lost <= may_arrive(4000)
        wait_until(is_told, 60, lambda: f"{self.lab.ledger.verdict()}, told {lost(self.wait_ledgers(site, hub))}")
        time.sleep(1)
        self.assertTrue(is_told())
        found = self.wait_ledgers(site, hub)
        self.assertGreater(lost(found), 1000, "the disk did not get full")
        print("told", lost(found), "lost", self.lab.ledger.verdict().lost)
        self.assertEqual(lost(found, "full-oldest"), lost(found))
        self.assertEqual(found[0]["first"], 101, "what the hub has is not told as lost")

    def test_what_retention_drops_before_the_parent_has_it(self):
        hub = self.lab.node("hub", has_children=True)
        site = self.lab.node("s1", parent=hub, settings=Settings(
            stream_lines="    retention: { bytes: 256KiB }\n", more="journal: { segment_bytes: 64KiB }\n",
            checkpoint_interval="200ms", batch_bytes=f"{BATCH}"))
        self.lab.start()
        self.lab.subscribe(hub, topic="s1/t/#")
        self.say("before", site, 50)
        self.wait_marks(site, 50)
        site.link.cut()
        self.say("cut off", site, 500, {"x": "x" * 4000})
        wait_until(lambda: lost(entries(site.journal_root), "retention") > 300, 40,
                   lambda: f"retention to drop\n{site.logs()}")
        site.link.heal()
        self.say("after", site, 10)

        def is_told() -> bool:
            return 0 <= lost(self.wait_ledgers(site, hub)) - self.lab.ledger.verdict().lost <= may_arrive(4000)
        wait_until(is_told, 60, lambda: f"{self.lab.ledger.verdict()}, told {lost(self.wait_ledgers(site, hub))}")
        found = self.wait_ledgers(site, hub)
        self.assertEqual(found[0]["first"], 51, "what the hub has is not told as lost")
        self.assertEqual({entry["reason"] for entry in found}, {"retention"})

    def test_a_childs_ledger_waits_for_the_parents_disk(self):
        """The parent's reserve is for what the parent must write itself."""
        hub = self.lab.node("hub", has_children=True, settings=settings("reject"))
        site = self.lab.node("s1", parent=hub, settings=settings("drop-newest"))
        hub_disk, disk = (small_disk(self, node.data, size=16 * MIB) for node in (hub, site))
        self.lab.start()
        self.lab.subscribe(hub, topic="s1/t/#")
        self.say("before", site, 50)
        self.lab.wait_drained()
        for node, full in ((hub, hub_disk), (site, disk)):
            full.fill(leave=64 * KIB)
            self.wait_full(node, True)
        self.say("shed", site, 50)
        wait_until(lambda: lost(entries(site.journal_root)) == 50, 30, "the site's ledger to have it")
        wait_until(lambda: plugin_stats(hub.broker.port)["commits_refused"] >= 1, 30, lambda: f"the batch to be refused\n{self.lab.logs()}", 0.2)
        self.assertEqual(entries(hub.journal_root, "s1"), [])
        hub_disk.clear()
        self.assertEqual(lost(self.wait_ledgers(site, hub)), 50)

    def test_a_full_hub_in_the_middle(self):
        print(f"seed {SEED}")
        draw = random.Random(SEED)
        region = self.lab.node("region", has_children=True)
        hub = self.lab.node("hub", parent=region, has_children=True, settings=settings("reject"))
        site = self.lab.node("s1", parent=hub)
        disk = small_disk(self, hub.data, size=96 * MIB)
        self.lab.start()
        self.lab.subscribe(region)
        pids = hub.broker.daemon.pid, hub.syncd.pid
        publishers = [self.lab.publish(site, "p1", source(10_000_000, {"x": "x" * 200}, 0.003)),
                      self.lab.publish(site, "p2", source(10_000_000, {"x": "x" * 5000}, 0.01), is_numbered=True)]
        for round_ in range(6):
            time.sleep(draw.uniform(0.2, 0.6))
            disk.fill(leave=draw.choice((0, 0, 20 * KIB, 150 * KIB)))
            self.wait_full(hub, True)
            time.sleep(draw.uniform(0.3, 0.8))
            disk.clear()
            self.wait_full(hub, False)
        wait_until(lambda: self.lab.ledger.counts()[1] > 500, 60, lambda: f"500 acks: {self.lab.ledger.counts()}")
        self.lab.wait_acked(publishers)
        self.lab.wait_drained(90)
        time.sleep(0.3)
        verdict = self.lab.ledger.verdict()
        print(verdict)
        self.assertTrue(verdict.is_clean(), self.lab.ledger.evidence() + self.lab.logs())
        self.assertGreater(verdict.acked, 500)
        self.assertEqual((hub.broker.daemon.pid, hub.syncd.pid), pids, "broker or daemon of the full hub went down")
        self.assertEqual(lost(entries(hub.journal_root)), 0)
        log = hub.broker.daemon.log()
        self.assertGreater(log.count("is full ("), 0)
        self.assertIn("a commit of", log, "the full disk refused nothing: the fault did not fire")


if __name__ == "__main__":
    unittest.main()
