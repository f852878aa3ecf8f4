# SPDX-License-Identifier: Apache-2.0
"""A disk that is full, by a stranger's file or by our own traffic, and has space again; and one that turns read-only.

The policy is the one as shipped, `full: reject`. What was acked is never lost; QoS 0 and local delivery go on; the
broker's process is the same before, in and after it, and works again by itself. So do a site and its parent: what the
parent has no space for waits at the site.
"""

import itertools
import os
import random
import shutil
import tempfile
import unittest
from pathlib import Path

from one_node import OneNode
from tombolo_lab import Lab, Message, journal
from tombolo_lab.net import wait_until
from tombolo_lab.node import Settings
from tombolo_lab.small_disk import small_disk

SEED = int(os.environ.get("TMB_SEED") or random.SystemRandom().randrange(1 << 32))
PAD = b"." * 2000
MIB = 1 << 20


class DiskTest(unittest.TestCase):
    def setUp(self):
        print(f"seed {SEED}", flush=True)
        self.folder = Path(tempfile.mkdtemp(prefix="tombolo-full-"))
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.draw = random.Random(SEED)
        self.count = itertools.count()

    def small_node(self, reserve: str = "64KiB", **options) -> OneNode:
        """data_dir and the broker's database are on the small disk."""
        self.disk = small_disk(self, self.folder / "disk", **options)
        (self.disk.at / "broker").mkdir()
        node = OneNode(self.folder / "node", segment="64KiB", data=self.disk.at / "data", reserve=reserve,
                       settings={"persistence_location": f"{self.disk.at}/broker/"})
        self.addCleanup(node.broker.stop)
        node.broker.start()
        node.make_session()
        self.pid = node.daemon.pid
        return node

    def payload(self) -> bytes:
        return b"%d" % next(self.count) + PAD[:self.draw.randrange(len(PAD))]

    def publish_until_refused(self, node: OneNode) -> int:
        for number in range(10_000):
            if not node.publish(self.payload()):
                return number
        self.fail("20 MB are on a disk of a few")

    def check_local(self, node: OneNode) -> None:
        """QoS 0 arrives though nothing can be stored."""
        listener, talker = node.connect("listener"), node.connect("talker")
        listener.subscribe("local/#", 0)
        talker.publish("local/a", b"heard", 0)
        self.assertEqual(listener.receive()[1], b"heard")
        listener.close()
        talker.close()

    def check_well(self, node: OneNode) -> None:
        """Stores again by itself; nothing is lost, now and after a kill."""
        wait_until(lambda: node.publish(self.payload()), 30,
                   lambda: f"a message to be stored again\n{node.daemon.tail()}", 0.05)
        self.assertTrue(node.publish(self.payload(), 2))
        node.snapshot()
        self.assertTrue(node.publish(self.payload()))
        self.assertEqual(node.daemon.pid, self.pid)
        self.assertTrue(node.daemon.is_alive())
        node.end("kill")
        node.broker.start()
        self.assertEqual(node.complaints(), [], node.daemon.tail())


class FullTest(DiskTest):
    def test_a_strangers_file_fills_the_disk_and_goes(self):
        for kind in ("tmpfs", "ext4"):
            with self.subTest(kind):
                node = self.small_node(kind=kind, size=8 * MIB, image=self.folder / "image")
                for _ in range(5):
                    for _ in range(self.draw.randrange(1, 60)):
                        self.assertTrue(node.publish(self.payload()), node.daemon.tail())
                    self.disk.fill()
                    # The node may have given its reserve back already.
                    self.assertLess(self.disk.free(), 65536 + 4096, "the disk is not full")
                    self.publish_until_refused(node)
                    self.check_local(node)
                    node.snapshot()  # the broker cuts its database off, and the plugin puts it back
                    self.assertFalse(node.publish(self.payload()), "stored on a full disk")
                    self.disk.clear()
                    wait_until(lambda: node.publish(self.payload()), 30, "a message to be stored again", 0.05)
                self.assertIn("has space again", node.daemon.log())
                self.check_well(node)
                node.end("stop")
                self.disk.close()
                shutil.rmtree(self.folder / "node")

    def test_our_own_traffic_fills_the_disk_and_it_grows(self):
        node = self.small_node(size=3 * MIB)
        stored = self.publish_until_refused(node)
        self.assertGreater(stored, 200)
        self.check_local(node)
        node.snapshot()
        for _ in range(20):
            self.assertFalse(node.publish(PAD))
        self.disk.grow(32 * MIB)
        self.check_well(node)
        print(f"{stored} messages until it was full, {len(node.acked)} at the end", flush=True)

    def test_killed_while_the_disk_is_full(self):
        node = self.small_node(size=3 * MIB)
        self.publish_until_refused(node)
        node.snapshot()
        node.end("kill")
        self.disk.fill()
        self.assertLess(self.disk.free(), 4096, "the disk is not full")
        node.broker.start(wait=False)
        wait_until(lambda: node.broker.answers() or not node.daemon.is_alive(), 30, "the broker, or its end")
        if node.daemon.is_alive():
            node.end("stop")
        else:
            self.assertIn("tombolo: ", node.daemon.log())
            self.assertGreater(node.broker.stop(), 0, "ended by a signal")
        self.disk.grow(32 * MIB)
        node.broker.start()
        self.pid = node.daemon.pid
        self.check_well(node)

    def test_the_disk_turns_read_only(self):
        node = self.small_node(kind="ext4", size=16 * MIB, image=self.folder / "image")
        for _ in range(50):
            self.assertTrue(node.publish(self.payload()))
        node.snapshot()
        for _ in range(20):
            self.assertTrue(node.publish(self.payload()))
        self.disk.break_down()
        for qos in (1, 2, 1):
            self.assertFalse(node.publish(self.payload(), qos), "stored on a disk that is read-only")
        self.check_local(node)
        node.snapshot()
        self.assertFalse(node.publish(self.payload()))
        self.assertEqual(node.daemon.pid, self.pid)
        self.assertTrue(node.daemon.is_alive())
        node.end(self.draw.choice(("stop", "kill")))
        self.disk.mend()
        node.broker.start()
        self.pid = node.daemon.pid
        self.check_well(node)


class FullRoadTest(unittest.TestCase):
    def setUp(self):
        print(f"seed {SEED}", flush=True)
        self.folder = Path(tempfile.mkdtemp(prefix="tombolo-fullroad-"))
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.is_well = False

    def start(self, small: str):
        """A hub and a site; the data_dir and the broker's database of the one that is named are on 8 MiB."""
        self.disk = small_disk(self, self.folder / small / "data", size=8 * MIB)
        (self.disk.at / "broker").mkdir()
        settings = {name: Settings(checkpoint_interval="500ms", ack_timeout="1s", backoff_base="50ms", backoff_cap="500ms",
                                   batch_bytes="16KiB",
                                   broker={"persistence_location": f"{self.disk.at}/broker/"} if name == small else None)
                    for name in ("hub", "s1")}
        self.lab = Lab(str(self.folder))
        self.hub = self.lab.node("hub", has_children=True, settings=settings["hub"])
        self.s1 = self.lab.node("s1", parent=self.hub, settings=settings["s1"])
        for node in (self.hub, self.s1):
            text = node.config_file.read_text(encoding="utf-8")
            node.config_file.write_text(text + "disk:\n  reserve: 64KiB\n", encoding="utf-8")
        self.addCleanup(lambda: self.lab.close(failed=not self.is_well))
        self.lab.start()
        self.ear = self.lab.subscribe(self.hub)
        self.pids = {node.name: node.broker.daemon.pid for node in (self.hub, self.s1)}

    def publish(self):
        return self.lab.publish(self.s1, "p", (Message("a/b", {"v": v, "pad": "x" * 1000}, 0.002)
                                               for v in itertools.count()))

    def check(self, publisher) -> None:
        self.lab.wait_acked([publisher])
        self.lab.wait_drained()
        ledger = self.lab.ledger
        verdict = ledger.verdict()
        print(f"at the subscriber: {verdict}", flush=True)
        self.assertEqual((verdict.lost, verdict.duplicated, self.ear.sessions_lost), (0, 0, 0), ledger.evidence())
        for node in (self.hub, self.s1):
            self.assertEqual(node.broker.daemon.pid, self.pids[node.name])
            self.assertTrue(node.broker.daemon.is_alive())
            self.assertTrue(node.syncd.is_alive())
        records = journal.dump(self.hub, self.lab.built)
        sources = [record["origin"]["seq"] for record in records]
        self.assertEqual(sources, sorted(set(sources)), "a record of the site is in the hub's log twice")
        self.is_well = True

    def test_the_hubs_disk_is_full_for_a_while(self):
        self.start("hub")
        publisher = self.publish()
        ledger = self.lab.ledger
        wait_until(lambda: ledger.counts()[2] > 100, 30, "messages at the hub")
        self.disk.fill()
        before = ledger.counts()[1]
        wait_until(lambda: ledger.counts()[1] > before + 300, 30,
                   lambda: f"the site to go on\n{self.lab.logs()}")
        wait_until(lambda: ledger.waiting()[0] > 200, 30, "messages to wait: the hub's disk was to be full")
        self.assertLess(self.disk.free(), 2 * 65536)  # the node's own reserve, given back
        self.disk.clear()
        self.check(publisher)

    def test_the_sites_disk_is_full_for_a_while(self):
        self.start("s1")
        publisher = self.publish()
        ledger, account = self.lab.ledger, publisher.account
        wait_until(lambda: ledger.counts()[2] > 100, 30, "messages at the hub")
        self.disk.fill()
        wait_until(lambda: len(account.refused) > 100, 30, lambda: f"messages to be refused\n{self.lab.logs()}")
        self.lab.wait_drained()  # what was acked goes up though the site's disk is full
        self.disk.clear()
        acked = ledger.counts()[1]
        wait_until(lambda: ledger.counts()[1] > acked + 200, 30, lambda: f"acks again\n{self.lab.logs()}")
        print(f"{len(account.refused)} messages were refused", flush=True)
        self.check(publisher)


if __name__ == "__main__":
    unittest.main()
