# SPDX-License-Identifier: Apache-2.0
"""Kill -9 at random moments: a site's broker, a site's daemon, the hub's broker, the hub's daemon, the link.

One fleet lives through all runs. In each run five publishers say a hundred or two hundred messages; in their
midst something is killed or cut (in one run of four a second thing soon after), and comes back; then all that
was acknowledged must arrive. Judged after each run at a subscriber of the hub, and at the end in the hub's log.

The publishers of site s1 reach their broker through a link of their own. Before half of the kills of that broker
the link goes deaf: messages are stored whose acks nobody hears, and after the restart they are sent again.

TMB_SEED, TMB_RUNS (100). A run is found again by its seed and number, its timing is not.
"""

import itertools
import json
import os
import random
import time
import unittest
from collections import Counter

from tombolo_lab import Lab, Ledger, Message, checkpoint_age_s, judge, journal
from tombolo_lab.net import wait_until
from tombolo_lab.node import Settings

SEED = int(os.environ.get("TMB_SEED") or random.SystemRandom().randrange(1 << 32))
RUNS = int(os.environ.get("TMB_RUNS", "100"))
FAULTS = ("site broker", "site daemon", "hub broker", "hub daemon", "link cut", "link reset", "acks lost")
STREAMS = {"some": '["a/311", "a/numbered"]', "default": '["#"]'}  # of the hub and of s1; s2 has `default` only
OLDEST_S = 15  # the checkpoint at a kill: each 0.5 s while something comes


def source(topic):
    """Ten at once, then a rest: a kill is to meet messages in doubt."""
    return (Message(topic, {"v": v}, 0 if v % 10 else 0.12) for v in itertools.count())


class KillsTest(unittest.TestCase):
    def setUp(self):
        print(f"seed {SEED}, {RUNS} runs", flush=True)
        settings = {"checkpoint_interval": "500ms", "ack_timeout": "1s", "backoff_base": "50ms", "backoff_cap": "500ms",
                    "keepalive": "5s"}
        self.lab = Lab()
        streams = tuple((name, topics, "strict") for name, topics in STREAMS.items())
        self.hub = self.lab.node("hub", has_children=True, settings=Settings(streams=streams, **settings))
        self.s1 = self.lab.node("s1", parent=self.hub, settings=Settings(streams=streams, **settings))
        self.s2 = self.lab.node("s2", parent=self.hub, settings=Settings(durability="process", **settings))
        self.is_well = False
        self.addCleanup(lambda: self.lab.close(failed=not self.is_well))
        self.lab.start()
        self.ear = self.lab.subscribe(self.hub)
        wait_until(lambda: all(file.exists() for file in self.hub.checkpoint_files), 30,
                   "the snapshot with the subscription, and its checkpoint")
        self.oldest_s = 0.0
        self.clients = self.lab.client_link(self.s1)
        self.publishers = [
            self.lab.publish(self.s1, "p-311", source("a/311"), version=4, link=self.clients),
            self.lab.publish(self.s1, "p-5", source("a/5"), version=5, link=self.clients),
            self.lab.publish(self.s1, "p-qos2", source("a/qos2"), version=4, qos=2, link=self.clients),
            self.lab.publish(self.s1, "p-numbered", source("a/numbered"), is_numbered=True, link=self.clients),
            self.lab.publish(self.s2, "p-other", source("b/numbered"), is_numbered=True, run_name="run"),
        ]

    # One fault: breaks something, and gives what mends it.

    def break_it(self, fault: str, draw: random.Random):
        process = {"site broker": self.s1.broker.daemon, "site daemon": self.s1.syncd,
                   "hub broker": self.hub.broker.daemon, "hub daemon": self.hub.syncd}.get(fault)
        if fault == "acks lost" or (fault == "site broker" and draw.random() < 0.5):
            self.clients.cut("deaf")
            time.sleep(draw.uniform(0, 0.05))
            self.clients.cut("reset")
        if process:
            if fault == "hub broker":
                self.oldest_s = max(self.oldest_s, checkpoint_age_s(self.hub.checkpoint_files))
                self.lab.ledger.subscriber_broker_killed(self.hub.checkpoint_files)
            gone = process.kill9()
            self.assertFalse(os.path.exists(f"/proc/{gone}"), fault)
            return lambda: (process.start(), self.clients.heal())
        link = self.clients if fault == "acks lost" else self.s1.link
        link.cut("blackhole" if fault == "link cut" else "reset")
        self.assertNotEqual(link.state, "up")
        return link.heal

    def one_run(self, number: int, fault: str, draw: random.Random) -> None:
        ledger = self.lab.ledger
        before, was_redelivered, connects = ledger.counts()[0], ledger.verdict().redelivered, self.ear.connects
        others = [other for other in FAULTS if other != fault and not (other.startswith("link") and
                                                                       fault.startswith("link"))]
        second = draw.choice(others) if draw.random() < 0.25 else ""
        wanted = draw.randrange(100, 201)
        for publisher in self.publishers:
            publisher.pause(False)
        time.sleep(draw.uniform(0, 0.4))
        mend = [self.break_it(fault, draw)]
        time.sleep(draw.uniform(0, 0.3))
        if second:
            mend.append(self.break_it(second, draw))
            time.sleep(draw.uniform(0, 0.2))
        draw.shuffle(mend)
        for mend_one in mend:
            mend_one()
        told = f"run {number} (seed {SEED}): {fault}{' and ' + second if second else ''}"
        if "hub broker" in (fault, second):
            # What it gives again comes before what is said from here on, and so does not run into the next run.
            wait_until(lambda: self.ear.connects > connects, 30, lambda: f"{told}: the subscriber\n{self.lab.logs()}")
            before = max(before, ledger.counts()[0] + 1 - wanted)
        wait_until(lambda: ledger.counts()[0] - before >= wanted, 30, lambda: f"{wanted} messages\n{self.lab.logs()}")
        for publisher in self.publishers:
            publisher.pause()
        wait_until(lambda: not any(p.in_flight for p in self.publishers), 30,
                   lambda: f"{told}: acks of {[(p.name, p.in_flight) for p in self.publishers]}\n{self.lab.logs()}")
        wait_until(lambda: ledger.waiting()[0] == 0, 30,
                   lambda: f"{told}: {ledger.waiting()[0]} messages at the hub\n{self.lab.logs()}")
        verdict = ledger.verdict()
        self.assertTrue(verdict.is_clean(), f"{told}: {verdict}\n{ledger.evidence()}\n{self.lab.logs()}")
        self.assertEqual(self.ear.sessions_lost, 0, told)
        if "hub broker" not in (fault, second):
            self.assertEqual(verdict.redelivered, was_redelivered, f"{told}: redelivered, though the hub's broker lived")
        self.fired.update([fault, second] if second else [fault])

    def test_nothing_is_lost_duplicated_or_reordered(self):
        draw = random.Random(SEED)
        self.fired = Counter()
        faults = [FAULTS[number % len(FAULTS)] for number in range(RUNS)]
        draw.shuffle(faults)
        begin = time.monotonic()
        for number, fault in enumerate(faults):
            self.one_run(number, fault, draw)
            if number % 10 == 9:
                print(f"{number + 1} runs, {time.monotonic() - begin:.0f} s, {self.lab.ledger.counts()[2]} messages",
                      flush=True)
        self.lab.wait_acked(self.publishers)
        time.sleep(0.5)
        verdict = self.lab.ledger.verdict()
        print(f"fired: {dict(self.fired)}; the oldest checkpoint at a kill of the hub's broker: {self.oldest_s:.1f} s")
        self.assertLess(self.oldest_s, OLDEST_S, "the hub's broker was not given its checkpoints")
        print(f"at the subscriber: {verdict}")
        if RUNS >= len(FAULTS):
            self.assertEqual(set(self.fired), set(FAULTS), "not every fault was drawn")
        self.assertTrue(verdict.is_clean(), self.lab.ledger.evidence())
        self.assertEqual(verdict.published, verdict.acked)
        self.check_logs()
        self.is_well = True

    def check_logs(self) -> None:
        logs = {stream: journal.dump(self.hub, self.lab.built, stream) for stream in STREAMS}
        records = [record for log in logs.values() for record in log]
        self.assertEqual({r["topic"] for r in logs["some"]}, {"s1/a/311", "s1/a/numbered"})
        for stream, log in logs.items():
            self.assertEqual({r["origin"]["stream"] for r in log}, {stream}, "a record of the one is in the other")
        judges = journal.judge_log(records, self.lab.ledger.accounts)
        doubted = Counter()
        for publisher in self.publishers:
            account = publisher.account
            found = judges[account.name].verdict(len(account.sent_at), account.acked, account.in_doubt)
            doubted[account.name] = sum(account.in_doubt.values())
            print(f"in the hub's log: {account.name}: {found}; {doubted[account.name]} times in doubt")
            self.assertTrue(found.is_clean(), judges[account.name].evidence(
                len(account.sent_at), account.acked, account.in_doubt))
            self.assertEqual(found.delivered, found.acked)
            if account.is_numbered:
                self.assertEqual((found.resent, found.duplicated), (0, 0), "a numbered publisher's message came twice")
            elif RUNS >= 50:
                self.assertGreater(found.resent, 0, f"nothing of {account.name} was stored and its ack lost")
        if RUNS >= 50:
            for name in ("p-311", "p-5", "p-qos2", "p-numbered"):
                self.assertGreater(doubted[name], 0, f"no kill met a message of {name} in doubt")
        sources = Counter((r["origin"]["node"], r["origin"]["stream"], r["origin"]["seq"]) for r in records)
        twice = [source for source, times in sources.items() if times > 1]
        self.assertEqual(twice, [], "one record of a site is in the hub's log twice")
        for node in (self.hub, self.s1, self.s2):
            done = journal.run(node, self.lab.built, "verify")
            self.assertEqual(done.returncode, 0, f"{node.name}: {done.stdout}{done.stderr}")


class SelfTest(unittest.TestCase):
    def test_a_repeat_in_the_log_would_be_seen(self):
        payloads = [json.dumps({"p": "p", "n": n}) for n in (1, 2, 2, 4, 3)]
        ledger = Ledger()
        account = ledger.open("p", "s1", is_numbered=True)
        for _ in range(5):
            ledger.acked(account, ledger.sent(account))
        found = journal.judge_log([{"payload": p} for p in payloads], ledger.accounts)["p"]
        verdict = found.verdict(5, account.acked, {2: 1})
        self.assertEqual((verdict.duplicated, verdict.reordered, verdict.lost), (1, 1, 1))
        self.assertEqual(verdict, judge([1, 2, 2, 4, 3], 5, [1, 2, 3, 4, 5], {2: 1}, is_numbered=True))


if __name__ == "__main__":
    unittest.main()
