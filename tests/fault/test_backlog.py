# SPDX-License-Identifier: Apache-2.0
"""Kills in the midst of catching up: a backlog of thousands, in small batches with several under way at once.

In each round the link is cut while three publishers say what they can, then it is healed, and while the backlog
goes up things are killed three times: the hub's daemon, the hub's broker, the site's daemon, the link.

TMB_SEED, TMB_ROUNDS (6).
"""

import itertools
import os
import random
import time
import unittest

from tombolo_lab import Lab, Message, journal
from tombolo_lab.net import wait_until
from tombolo_lab.node import Settings

SEED = int(os.environ.get("TMB_SEED") or random.SystemRandom().randrange(1 << 32))
ROUNDS = int(os.environ.get("TMB_ROUNDS", "6"))
BACKLOG = 1500


def source(topic):
    return (Message(topic, {"v": v, "pad": "x" * (v * 37 % 400)}) for v in itertools.count())


class BacklogTest(unittest.TestCase):
    def setUp(self):
        print(f"seed {SEED}, {ROUNDS} rounds", flush=True)
        settings = {"durability": "process", "checkpoint_interval": "500ms", "ack_timeout": "1s",
                    "backoff_base": "50ms", "backoff_cap": "300ms", "keepalive": "5s", "batch_bytes": "4KiB"}
        self.lab = Lab()
        self.hub = self.lab.node("hub", has_children=True, settings=Settings(**settings))
        self.s1 = self.lab.node("s1", parent=self.hub, settings=Settings(**settings))
        self.is_well = False
        self.addCleanup(lambda: self.lab.close(failed=not self.is_well))
        self.lab.start()
        self.ear = self.lab.subscribe(self.hub)
        wait_until(lambda: any(self.hub.broker.persistence.iterdir()), 30, "the snapshot with the subscription")
        self.s1.link.cut()
        self.publishers = [self.lab.publish(self.s1, "p-311", source("a/311"), version=4),
                           self.lab.publish(self.s1, "p-5", source("a/5")),
                           self.lab.publish(self.s1, "p-numbered", source("a/numbered"), is_numbered=True)]

    def kill_something(self, draw: random.Random) -> str:
        what = draw.choice(("hub daemon", "hub broker", "site daemon", "link"))
        if what == "link":
            self.s1.link.cut("reset")
            time.sleep(draw.uniform(0, 0.1))
            self.s1.link.heal()
            return what
        process = {"hub daemon": self.hub.syncd, "hub broker": self.hub.broker.daemon,
                   "site daemon": self.s1.syncd}[what]
        if what == "hub broker":
            self.lab.ledger.subscriber_broker_killed(self.hub.checkpoint_files)
        process.kill9()
        time.sleep(draw.uniform(0, 0.1))
        process.start()
        return what

    def test_a_backlog_survives_kills_on_its_way(self):
        draw = random.Random(SEED)
        ledger = self.lab.ledger
        for number in range(ROUNDS):
            for publisher in self.publishers:
                publisher.pause(False)
            wait_until(lambda: ledger.waiting()[0] >= BACKLOG, 60, "a backlog")
            for publisher in self.publishers:
                publisher.pause()
            wait_until(lambda: not any(p.in_flight for p in self.publishers), 30, "the last acks")
            backlog = ledger.waiting()[0]
            self.s1.link.heal()
            killed = []
            for _ in range(3):
                before = ledger.waiting()[0]
                wait_until(lambda before=before: ledger.waiting()[0] < before or before == 0, 30,
                           lambda: f"progress after {killed}\n{self.lab.logs()}")
                time.sleep(draw.uniform(0, 0.15))
                killed.append(f"{self.kill_something(draw)} at {ledger.waiting()[0]}")
            told = f"round {number} (seed {SEED}), backlog {backlog}: {', '.join(killed)}"
            print(told, flush=True)
            wait_until(lambda: ledger.waiting()[0] == 0, 60,
                       lambda told=told: f"{told}: {ledger.waiting()[0]} messages\n{self.lab.logs()}")
            verdict = ledger.verdict()
            self.assertTrue(verdict.is_clean(), f"{told}: {verdict}\n{ledger.evidence()}\n{self.lab.logs()}")
            self.assertEqual((verdict.resent, self.ear.sessions_lost), (0, 0), told)
            self.s1.link.cut()
        self.s1.link.heal()
        self.lab.wait_acked(self.publishers)
        self.check_log()
        self.is_well = True

    def check_log(self):
        records = journal.dump(self.hub, self.lab.built)
        for publisher in self.publishers:
            account = publisher.account
            judge = journal.judge_log(records, self.lab.ledger.accounts)[account.name]
            found = judge.verdict(len(account.sent_at), account.acked, account.in_doubt)
            print(f"in the hub's log: {account.name}: {found}")
            self.assertTrue(found.is_clean(), judge.evidence(len(account.sent_at), account.acked, account.in_doubt))
            self.assertEqual((found.delivered, found.resent), (found.acked, 0))
        seqs = [record["origin"]["seq"] for record in records]
        self.assertEqual(seqs, sorted(set(seqs)), "the site's numbers do not rise in the hub's log")


if __name__ == "__main__":
    unittest.main()
