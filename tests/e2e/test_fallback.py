# SPDX-License-Identifier: Apache-2.0
"""A site whose parent is gone goes to its fall-back parent, and comes back; and whatever is held back on the way by
whom, each of its messages is once at the node that is above both parents."""

import itertools
import json
import time
import unittest
from collections import Counter

from tombolo_lab import Lab, Link, Message
from tombolo_lab.journal import dump, payload_of
from tombolo_lab.net import wait_until
from tombolo_lab.node import Settings

MOVE_S, RETURN_S = 1, 6


def source(topic, pause_s=0.01):
    return (Message(topic, {"v": v}, pause_s) for v in itertools.count())


class FallbackCase(unittest.TestCase):
    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)

    def site(self, name: str, preferred, *others, return_s: int = RETURN_S):
        """A site with these parents, by preference; gives it and its links to the others."""
        links = []
        for node in others:
            link = Link(f"{name}-{node.name}", node.broker.tls_port)
            self.lab.links[link.name] = link
            link.start()
            links.append(link)
        fallbacks = ", ".join(f"{{ host: 127.0.0.1, port: {link.port} }}" for link in links)
        lines = f"  fallbacks: [ {fallbacks} ]\n  move_after: {MOVE_S}s\n  return_after: {return_s}s\n"
        return self.lab.node(name, parent=preferred, settings=Settings(parent=lines, ack_timeout="3s")), links

    def parent_of(self, node) -> dict:
        told = node.told()
        return {**told.get("parent", {}), "state": told.get("state")}

    def wait_parent(self, node, parent, timeout_s: float = 60) -> None:
        def is_there():
            found = self.parent_of(node)
            return found.get("node") == parent.name and found["state"] == "streaming"
        wait_until(is_there, timeout_s, lambda: f"{node.name} to be at {parent.name}: {self.parent_of(node)}\n"
                   + self.lab.logs(30), step_s=0.1)

    def born_at(self, node, site: str) -> list:
        """(number at the site, last node on the way) of the site's records in a node's log."""
        return [(record["origin"]["seq"], (record.get("via") or record["origin"])["node"])
                for record in dump(node, self.lab.built) if (record.get("origin") or {}).get("node") == site]

    def wait_born(self, node, site: str, seq: int) -> None:
        """Waits until the node has more of the site than seq."""
        wait_until(lambda: max((at for at, _ in self.born_at(node, site)), default=0) > seq, 30,
                   lambda: f"{node.name} to have more than {seq} of {site}\n{self.lab.logs()}", step_s=0.2)

    @staticmethod
    def was_told(*hubs) -> bool:
        """Whether each question of these was answered. They wait a second for it at most, and do without."""
        def asks() -> list:
            return [hub.told()["asks"] for hub in hubs]
        wait_until(lambda: all(of["sent"] == of["told"] + of["unanswered"] and of["sent"] + of["unasked"] > 0
                               for of in asks()), 30, lambda: f"the questions: {asks()}", step_s=0.1)
        return all(of["unanswered"] + of["unasked"] == 0 for of in asks())

    def kill(self, node) -> None:
        node.syncd.kill9()
        node.broker.kill9()

    def check_once_at(self, top, site: str) -> list:
        born = self.born_at(top, site)
        twice = [seq for seq, times in Counter(seq for seq, _ in born).items() if times > 1]
        self.assertEqual(twice, [], "records that are in the top's log more than once")
        return born


class CommonParentTest(FallbackCase):
    def setUp(self):
        super().setUp()
        self.top = self.lab.node("top", has_children=True)
        self.a = self.lab.node("a", parent=self.top, has_children=True)
        self.b = self.lab.node("b", parent=self.top, has_children=True)
        self.s1, _ = self.site("s1", self.a, self.b)
        self.lab.start()

    def test_each_message_is_once_at_the_top_whatever_the_parents_hold_back(self):
        self.lab.subscribe(self.top)
        publisher = self.lab.publish(self.s1, "p1", source("t"))
        self.wait_parent(self.s1, self.a)
        self.wait_born(self.top, "s1", 50)
        self.a.link.cut()  # what a takes from here on it holds back
        self.wait_born(self.a, "s1", max(seq for seq, _ in self.born_at(self.a, "s1")) + 100)
        held = max(seq for seq, _ in self.born_at(self.a, "s1"))
        self.kill(self.a)
        self.wait_parent(self.s1, self.b)
        self.wait_born(self.top, "s1", held)
        began = time.monotonic()
        self.a.link.heal()  # a comes back, and with it what it had taken and not handed on
        self.a.broker.start()
        self.a.syncd.start()
        wait_until(lambda: self.a.told().get("state") == "streaming", 30, "a to be at the top again", step_s=0.1)
        is_at = self.parent_of(self.s1)["node"]
        self.assertTrue(is_at == "b" or time.monotonic() - began > RETURN_S, "it is too early to return")
        self.wait_parent(self.s1, self.a)
        self.wait_born(self.top, "s1", max(seq for seq, _ in self.born_at(self.top, "s1")) + 50)
        self.lab.wait_acked([publisher])
        self.lab.wait_drained(60)
        wait_until(lambda: self.a.told()["streams"]["default"]["waiting"] == 0, 60, "a to hand on what it held",
                   step_s=0.2)
        time.sleep(0.5)
        verdict = self.lab.ledger.verdict()
        print(verdict)
        self.assertTrue(verdict.is_clean(), self.lab.ledger.evidence() + self.lab.logs())
        self.assertEqual(verdict.published, verdict.acked)
        born = self.check_once_at(self.top, "s1")
        self.assertEqual([seq for seq, _ in born], list(range(1, len(born) + 1)), "in order, and without a hole")
        roads = Counter(road for _, road in born)
        self.assertGreater(min(roads["a"], roads["b"]), 20, f"both roads were taken: {roads}")
        first_by_b = min(seq for seq, road in born if road == "b")
        self.assertLess(first_by_b, held, "the fault was none: a had handed on all that it took")
        moves = self.parent_of(self.s1)["moves"]
        self.assertEqual(moves["gone"], moves["return"], moves)
        self.assertIn(moves["gone"], (1, 2), moves)  # once more when a stood still for MOVE_S at the return
        # Marks were shared: b was not sent what the top had, and a not what had gone by b.
        if self.was_told(self.a, self.b):
            self.assertEqual(min(seq for seq, _ in self.born_at(self.b, "s1")), first_by_b)
            self.assertGreater(self.a.told()["children"]["s1"]["carried_elsewhere"], 0)
            self.assertGreater(self.a.told()["asks"]["told"], 0)

    def test_a_fall_back_parent_that_cannot_ask_is_sent_everything(self):
        """b cannot ask, so it begins at the start of the log: nothing is lost, nothing is there twice."""
        self.lab.subscribe(self.top)
        publisher = self.lab.publish(self.s1, "p1", source("t"))
        self.wait_parent(self.s1, self.a)
        self.wait_born(self.a, "s1", 50)
        self.b.link.cut("reset")
        self.kill(self.a)
        self.wait_parent(self.s1, self.b)
        wait_until(lambda: len(self.born_at(self.b, "s1")) > 50, 30, "b to take what there is", step_s=0.2)
        self.assertEqual(min(seq for seq, _ in self.born_at(self.b, "s1")), 1)
        self.b.link.heal()
        self.lab.wait_acked([publisher])
        self.lab.wait_drained(60)
        wait_until(lambda: self.b.told()["streams"]["default"]["waiting"] == 0, 60, "b to hand on all", step_s=0.2)
        verdict = self.lab.ledger.verdict()
        print(verdict)
        self.assertTrue(verdict.is_clean(), self.lab.ledger.evidence() + self.lab.logs())
        self.check_once_at(self.top, "s1")


class DeepTest(FallbackCase):
    def test_the_question_goes_up_to_whoever_is_above_both(self):
        """top <- east <- a, top <- west <- b: west has never heard of s1, and asks."""
        top = self.lab.node("top", has_children=True)
        east = self.lab.node("east", parent=top, has_children=True)
        west = self.lab.node("west", parent=top, has_children=True)
        a = self.lab.node("a", parent=east, has_children=True)
        b = self.lab.node("b", parent=west, has_children=True)
        s1, _ = self.site("s1", a, b)
        self.lab.start()
        self.lab.subscribe(top)
        publisher = self.lab.publish(s1, "p1", source("t"))
        self.wait_parent(s1, a)
        wait_until(lambda: len(self.born_at(top, "s1")) > 100, 30, "the top to have a hundred", step_s=0.2)
        reached = max(seq for seq, _ in self.born_at(top, "s1"))
        self.kill(a)
        self.wait_parent(s1, b)
        self.lab.wait_acked([publisher])
        self.lab.wait_drained(60)
        verdict = self.lab.ledger.verdict()
        print(verdict)
        self.assertTrue(verdict.is_clean(), self.lab.ledger.evidence() + self.lab.logs())
        self.check_once_at(top, "s1")
        if self.was_told(b, west):
            self.assertGreater(min(seq for seq, _ in self.born_at(b, "s1")), reached, "b was told what the top has")
            self.assertGreater(west.told()["asks"]["told"], 0)


class NoCommonParentTest(FallbackCase):
    def test_each_message_is_in_one_log_at_least_and_in_none_twice(self):
        a = self.lab.node("a", has_children=True)
        b = self.lab.node("b", has_children=True)
        s1, _ = self.site("s1", a, b, return_s=2)
        self.lab.start()
        publisher = self.lab.publish(s1, "p1", source("t"))
        self.wait_parent(s1, a)
        self.wait_born(a, "s1", 50)
        self.kill(a)
        self.wait_parent(s1, b)
        self.wait_born(b, "s1", max(seq for seq, _ in self.born_at(a, "s1")) + 50)
        a.broker.start()
        a.syncd.start()
        self.wait_parent(s1, a)
        self.wait_born(a, "s1", max(seq for seq, _ in self.born_at(b, "s1")) + 20)
        self.lab.wait_acked([publisher])
        acked = set(publisher.account.acked)
        self.assertGreater(len(acked), 100)
        wait_until(lambda: not acked - set(self.numbers(a)) - set(self.numbers(b)), 30,
                   lambda: f"{len(acked - set(self.numbers(a)) - set(self.numbers(b)))} to arrive", step_s=0.2)
        for hub in (a, b):
            numbers = self.numbers(hub)
            self.assertEqual(len(numbers), len(set(numbers)), f"twice in the log of {hub.name}")
            self.assertGreater(len(numbers), 20, hub.name)

    def numbers(self, hub) -> list:
        return [json.loads(payload_of(record))["n"] for record in dump(hub, self.lab.built)
                if (record.get("origin") or {}).get("node") == "s1"]


if __name__ == "__main__":
    unittest.main()
