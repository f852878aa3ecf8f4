# SPDX-License-Identifier: Apache-2.0
"""Who judges the judge: each kind of fault is fed to it, and it must say so; and no other."""

import os
import random
import tempfile
import time
import unittest
from pathlib import Path

from tombolo_lab import Ledger, Verdict, checkpoint_age_s, judge, total


def verdict(arrivals, published=5, acked=(1, 2, 3, 4, 5), **more) -> Verdict:
    return judge(arrivals, published, acked, **more)


class JudgeTest(unittest.TestCase):
    def test_all_arrived_in_order_is_clean(self):
        self.assertEqual(verdict([1, 2, 3, 4, 5]), Verdict(published=5, acked=5, delivered=5))
        self.assertTrue(verdict([1, 2, 3, 4, 5]).is_clean())

    def test_an_acked_message_that_never_came_is_lost(self):
        found = verdict([1, 2, 4, 5])
        self.assertEqual((found.lost, found.delivered, found.is_clean()), (1, 4, False))

    def test_an_unacked_message_that_never_came_is_not_lost(self):
        found = verdict([1, 2, 3, 4], acked=[1, 2, 3, 4])
        self.assertEqual((found.lost, found.acked, found.is_clean()), (0, 4, True))

    def test_a_repeat_is_a_duplicate(self):
        found = verdict([1, 2, 2, 3, 4, 5])
        self.assertEqual((found.duplicated, found.resent, found.reordered, found.is_clean()), (1, 0, 0, False))

    def test_a_repeat_of_a_message_in_doubt_is_resent(self):
        found = verdict([1, 2, 3, 2, 3, 4, 5], in_doubt={2: 1, 3: 1})
        self.assertEqual((found.resent, found.duplicated, found.reordered), (2, 0, 0))
        self.assertTrue(found.is_clean())

    def test_doubt_excuses_one_repeat_a_time(self):
        found = verdict([1, 2, 2, 2, 3, 4, 5], in_doubt={2: 1})
        self.assertEqual((found.resent, found.duplicated), (1, 1))
        found = verdict([1, 2, 2, 2, 3, 4, 5], in_doubt={2: 2})
        self.assertEqual((found.resent, found.duplicated), (2, 0))

    def test_doubt_about_another_message_excuses_nothing(self):
        self.assertEqual(verdict([1, 2, 2, 3, 4, 5], in_doubt={3: 1}).duplicated, 1)

    def test_a_numbered_publisher_has_no_excuse(self):
        found = verdict([1, 2, 2, 3, 4, 5], in_doubt={2: 1}, is_numbered=True)
        self.assertEqual((found.resent, found.duplicated), (0, 1))

    def test_an_earlier_message_after_a_later_one_is_reordered(self):
        found = verdict([1, 3, 2, 4, 5])
        self.assertEqual((found.reordered, found.lost, found.duplicated, found.is_clean()), (1, 0, 0, False))

    def test_order_is_that_of_first_arrivals(self):
        self.assertEqual(verdict([1, 2, 3, 1, 2, 3, 4, 5], in_doubt={1: 1, 2: 1, 3: 1}).reordered, 0)

    def test_a_repeat_after_the_brokers_death_is_redelivered(self):
        found = verdict([(1, 0), (2, 0), (1, 1), (2, 1), (3, 1), (4, 1), (5, 1)])
        self.assertEqual((found.redelivered, found.duplicated, found.is_clean()), (2, 0, True))

    def test_snapshot_and_journal_may_both_have_it_and_no_more(self):
        found = verdict([(1, 0), (1, 1), (1, 1), (2, 1), (3, 1), (4, 1), (5, 1)])
        self.assertEqual((found.redelivered, found.duplicated), (2, 0))
        found = verdict([(1, 0), (1, 1), (1, 1), (1, 1), (2, 1), (3, 1), (4, 1), (5, 1)])
        self.assertEqual((found.redelivered, found.duplicated), (2, 1))
        found = verdict([(1, 0), (2, 1, True), (2, 1), (3, 1), (4, 1), (5, 1)])
        self.assertEqual((found.redelivered, found.duplicated), (1, 0))
        found = verdict([(1, 0), (2, 1, True), (2, 1), (2, 1), (3, 1), (4, 1), (5, 1)])
        self.assertEqual((found.redelivered, found.duplicated), (1, 1))

    def test_a_message_from_after_the_kill_is_not_redelivered(self):
        found = verdict([(1, 0), (2, 1), (2, 1), (3, 1), (4, 1), (5, 1)])
        self.assertEqual((found.redelivered, found.duplicated, found.is_clean()), (0, 1, False))

    def test_each_stored_copy_may_be_redelivered(self):
        twice = [(1, 0), (2, 0), (2, 0), (1, 1), (2, 1), (2, 1), (2, 1), (2, 1), (3, 1), (4, 1), (5, 1)]
        found = verdict(twice, in_doubt={2: 1})
        self.assertEqual((found.resent, found.redelivered, found.duplicated), (1, 5, 0))
        found = verdict([*twice, (2, 1)], in_doubt={2: 1})
        self.assertEqual((found.resent, found.redelivered, found.duplicated), (1, 5, 1))
        found = verdict(twice, in_doubt={2: 1}, is_numbered=True)
        self.assertEqual((found.resent, found.redelivered, found.duplicated), (0, 3, 3))

    def test_what_came_before_the_last_checkpoint_is_not_redelivered(self):
        rest = [(3, 1), (4, 1), (5, 1)]
        found = verdict([(1, 0), (2, 0), (1, 1, True, True), (2, 1, True), *rest])
        self.assertEqual((found.redelivered, found.duplicated, found.is_clean()), (1, 1, False))
        found = verdict([(1, 0), (2, 0), (1, 1, True, True), (2, 1, True), *rest], in_doubt={1: 1})
        self.assertEqual((found.redelivered, found.resent, found.duplicated), (1, 1, 0))
        found = verdict([(1, 0), (2, 0), (1, 1, True, True), *rest], in_doubt={1: 1}, is_numbered=True)
        self.assertEqual((found.resent, found.duplicated), (0, 1))

    def test_what_nobody_published_is_foreign(self):
        found = verdict([1, 2, 3, 4, 5, 6])
        self.assertEqual((found.foreign, found.delivered, found.is_clean()), (1, 5, False))

    def test_random_faults_are_all_found(self):
        for seed in range(200):
            draw = random.Random(seed)
            arrivals = list(range(1, 101))
            gone = draw.sample(range(2, 100), draw.randrange(4))
            again = draw.sample([n for n in arrivals if n not in gone], draw.randrange(4))
            for number in gone:
                arrivals.remove(number)
            for number in again:
                arrivals.insert(arrivals.index(number) + 1 + draw.randrange(3), number)
            found = judge(arrivals, 100, range(1, 101))
            self.assertEqual((found.lost, found.duplicated, found.reordered), (len(gone), len(again), 0), seed)

    def test_total_adds_every_column(self):
        both = total([Verdict(1, 2, 3, 4, 5, 6, 7, 8, 9), Verdict(1, 1, 1, 1, 1, 1, 1, 1, 1)])
        self.assertEqual(both, Verdict(2, 3, 4, 5, 6, 7, 8, 9, 10))


class LedgerTest(unittest.TestCase):
    def setUp(self):
        self.ledger = Ledger()
        self.account = self.ledger.open("p", "s1")

    def send(self, count):
        for _ in range(count):
            self.ledger.acked(self.account, self.ledger.sent(self.account))

    def test_waiting_is_acked_and_not_arrived(self):
        self.send(3)
        self.assertEqual(self.ledger.waiting()[0], 3)
        self.ledger.arrived("p", 1)
        self.assertEqual(self.ledger.waiting("s1")[0], 2)
        self.assertEqual(self.ledger.waiting("s2")[0], 0)
        self.assertGreater(self.ledger.waiting()[1], 0)

    def test_an_ack_after_the_arrival_leaves_nothing_waiting(self):
        number = self.ledger.sent(self.account)
        self.ledger.arrived("p", number)
        self.ledger.acked(self.account, number)
        self.assertEqual(self.ledger.waiting(), (0, 0.0))
        self.assertEqual(self.ledger.counts(), (1, 1, 1))

    def test_verdict_and_evidence_name_what_is_wrong(self):
        self.send(4)
        for number in (1, 4, 3, 3):
            self.ledger.arrived("p", number)
        self.ledger.arrived("stranger", 1)
        found = self.ledger.verdict()
        self.assertEqual((found.lost, found.duplicated, found.reordered), (1, 1, 1))
        for word in ("lost [2]", "duplicated [3]", "reordered [3]", "unknown"):
            self.assertIn(word, self.ledger.evidence())

    def kill(self, age_s: float) -> None:
        """The subscriber's broker dies; its last checkpoint is so old."""
        with tempfile.NamedTemporaryFile() as checkpoint:
            os.utime(checkpoint.name, (time.time() - age_s, time.time() - age_s))
            self.ledger.subscriber_broker_killed([Path(checkpoint.name)])
        self.ledger.subscriber_is_up()

    def test_a_checkpoint_that_is_away_for_a_moment_is_the_one_before(self):
        with tempfile.TemporaryDirectory() as folder:
            checkpoint = Path(folder) / "checkpoint"
            self.assertGreater(checkpoint_age_s([checkpoint]), 1e9)
            checkpoint.with_name("checkpoint.old").touch()
            os.utime(checkpoint.with_name("checkpoint.old"), (time.time() - 500, time.time() - 500))
            self.assertAlmostEqual(checkpoint_age_s([checkpoint]), 500, delta=100)
            checkpoint.touch()
            self.assertLess(checkpoint_age_s([checkpoint]), 100)

    def test_a_whole_journal_given_again_is_noticed(self):
        self.send(4)
        for number in range(1, 5):
            self.ledger.arrived("p", number)
        for number in (1, 2):
            self.account.arrived_at[number] -= 600
        self.kill(age_s=50)
        for number in (3, 4):
            self.ledger.arrived("p", number)
        self.assertEqual((self.ledger.verdict().redelivered, self.ledger.verdict().duplicated), (2, 0))
        for number in (1, 2, 3, 4):
            self.ledger.arrived("p", number)
        self.assertEqual((self.ledger.verdict().redelivered, self.ledger.verdict().duplicated), (4, 2))

    def test_a_second_kill_before_the_queue_is_empty_settles_nothing_more(self):
        self.send(2)
        for number in (1, 2):
            self.ledger.arrived("p", number)
            self.account.arrived_at[number] -= 600
        self.kill(age_s=700)
        self.kill(age_s=50)
        self.ledger.arrived("p", 2)
        self.assertEqual((self.ledger.verdict().redelivered, self.ledger.verdict().duplicated), (1, 0))

    def test_a_clean_ledger_has_no_evidence(self):
        self.send(2)
        self.ledger.arrived("p", 1)
        self.ledger.arrived("p", 2)
        self.assertEqual(self.ledger.evidence(), "")


if __name__ == "__main__":
    unittest.main()
