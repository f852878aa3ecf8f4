# SPDX-License-Identifier: Apache-2.0
"""The lab against a plain Mosquitto, without plugin or tombolo-syncd: do its publishers send again only what
was in doubt, and in order; does its link cut; does its broker die and come back?"""

import itertools
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

from tombolo_lab import Broker, Ledger, Link, Message, Publisher, Subscriber
from tombolo_lab.net import free_port, wait_until

SEED = int(os.environ.get("TMB_SEED", "1"))


def endless(topic, pause_s=0.001):
    return (Message(topic, {"v": v}, pause_s) for v in itertools.count())


class LabTest(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="tombolo-lab-"))
        self.broker = Broker("plain", self.folder)
        self.broker.start()
        self.ledger = Ledger()
        self.clients = []

    def tearDown(self):
        for client in self.clients:
            client.halt()
        self.broker.stop()
        shutil.rmtree(self.folder)

    def subscriber(self, **options):
        heard = Subscriber("ear", self.broker.port, ledger=self.ledger, **options)
        self.clients.append(heard)
        heard.start()
        heard.wait_ready()
        return heard

    def publisher(self, name, port, **options):
        said = Publisher(name, "s1", port, self.ledger, endless(f"t/{name}"), **options)
        self.clients.append(said)
        said.start()
        return said

    def finish(self, *publishers):
        for publisher in publishers:
            publisher.finish()
        for publisher in publishers:
            publisher.join(60)
            self.assertFalse(publisher.is_alive(), f"{publisher.name} is not done")
        wait_until(lambda: self.ledger.waiting()[0] == 0, 60, "the last messages")

    def test_resends_are_of_messages_in_doubt_and_in_order(self):
        print(f"seed {SEED}")
        draw = random.Random(SEED)
        link = Link("publishers", self.broker.port)
        link.start()
        self.addCleanup(link.close)
        self.subscriber()
        publishers = [self.publisher("v4-q1", link.port, version=4), self.publisher("v5-q1", link.port),
                      self.publisher("v4-q2", link.port, version=4, qos=2),
                      self.publisher("v5-q2", link.port, qos=2),
                      self.publisher("v5-q1-blind", link.port, is_numbered=True)]
        for _ in range(12):
            time.sleep(draw.uniform(0.05, 0.25))
            link.cut("reset")
            time.sleep(draw.uniform(0.0, 0.1))
            link.heal()
        counted = publishers[:4]
        wait_until(lambda: min(len(p.account.acked) for p in counted) > 100, 30, "a hundred of each")
        self.finish(*publishers)
        for publisher in counted:
            found = publisher.account.verdict()
            self.assertTrue(found.is_clean(), f"{publisher.name}: {found}\n{self.ledger.evidence()}")
            self.assertGreater(found.acked, 100)
            self.assertEqual(found.acked, found.published)
        self.assertGreater(sum(len(p.account.in_doubt) for p in counted), 0, "no cut hit a message")
        resent = sum(p.account.verdict().resent for p in counted)
        self.assertGreater(resent, 0, "no message was sent twice: the cuts did not bite")
        # A plain broker knows nothing of numbers: its repeats to a numbered publisher must be called duplicates.
        blind = publishers[4].account.verdict()
        self.assertEqual((blind.resent, blind.lost, blind.reordered), (0, 0, 0))

    def test_a_blackhole_holds_bytes_and_lets_them_go(self):
        link = Link("one", self.broker.port)
        link.start()
        self.addCleanup(link.close)
        self.subscriber()
        publisher = self.publisher("p", link.port)
        wait_until(lambda: self.ledger.counts()[1] > 20, 30, "20 acks")
        link.cut("blackhole")
        bytes_before = link.bytes_up

        def is_still() -> bool:  # what had passed the link arrives
            before = self.ledger.counts()
            time.sleep(0.3)
            return self.ledger.counts()[1:] == before[1:]
        wait_until(is_still, 30, "nothing to arrive any more")
        self.assertEqual(link.bytes_up, bytes_before)
        self.assertLessEqual(publisher.in_flight, Publisher.WINDOW)
        link.heal()
        time.sleep(0.1)
        self.finish(publisher)
        found = publisher.account.verdict()
        self.assertEqual((found.lost, found.duplicated, found.reordered, found.resent), (0, 0, 0, 0))
        self.assertEqual(publisher.connects, 1)
        self.assertGreater(link.bytes_up, bytes_before)

    def test_a_deaf_link_loses_acks_and_nothing_else(self):
        link = Link("one", self.broker.port)
        link.start()
        self.addCleanup(link.close)
        self.subscriber()
        publisher = self.publisher("p", link.port)
        wait_until(lambda: self.ledger.counts()[1] > 20, 30, "20 acks")
        link.cut("deaf")

        def is_all_heard() -> bool:
            published, _, delivered = self.ledger.counts()
            return publisher.in_flight == Publisher.WINDOW and published == delivered
        wait_until(is_all_heard, 30, lambda: f"what was said to arrive: {self.ledger.counts()}, {publisher.in_flight}")
        time.sleep(0.1)
        published, acked, delivered = self.ledger.counts()
        self.assertEqual(publisher.in_flight, Publisher.WINDOW)
        self.assertEqual((published, acked), (delivered, delivered - Publisher.WINDOW))
        link.cut("reset")
        link.heal()
        self.finish(publisher)
        wait_until(lambda: publisher.account.verdict().resent == Publisher.WINDOW, 30, "what was sent again")
        found = publisher.account.verdict()
        self.assertEqual((found.lost, found.duplicated, found.reordered), (0, 0, 0))

    def test_a_reset_link_refuses(self):
        link = Link("one", self.broker.port)
        link.start()
        self.addCleanup(link.close)
        self.subscriber()
        link.cut("reset")
        publisher = self.publisher("p", link.port)
        time.sleep(0.3)
        self.assertEqual(publisher.connects, 0)
        link.heal()
        wait_until(lambda: publisher.connects == 1, 30, "a connection")
        self.finish(publisher)

    def test_kill9_and_restart_of_a_plain_broker_is_seen(self):
        heard = self.subscriber()
        publisher = self.publisher("p", self.broker.port)
        wait_until(lambda: self.ledger.counts()[2] > 50, 30, "50 messages")
        pid = self.broker.kill9()
        self.assertFalse(Path(f"/proc/{pid}").exists())
        self.broker.start()
        wait_until(lambda: publisher.connects == 2 and heard.connects == 2, 30, "both to come back")
        # A plain broker that was never asked for a snapshot has forgotten the session; the lab must say so.
        self.assertEqual(heard.sessions_lost, 1)
        self.finish_without_wait(publisher)

    def finish_without_wait(self, publisher):
        publisher.finish()
        publisher.join(60)
        self.assertFalse(publisher.is_alive())


class PortsTest(unittest.TestCase):
    def test_labs_beside_each_other_take_other_ports(self):
        """Nobody listens on it yet, and another process draws it."""
        port = free_port()
        done = subprocess.run([sys.executable, "-c", f"""
from tombolo_lab import net
draws = iter([{port}, *range(12000, 32000)])
net._draw.randrange = lambda *_: next(draws)
print(net.free_port())"""], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotEqual(int(done.stdout), port)


if __name__ == "__main__":
    unittest.main()
