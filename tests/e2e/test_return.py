# SPDX-License-Identifier: Apache-2.0
"""A parent that can take few at a time: it refuses with slots, all come back, and nothing is lost. And a child
knows its parent's window after it was started anew.
"""

import contextlib
import itertools
import time
import unittest

from tombolo_lab import Lab, Message, journal
from tombolo_lab.net import wait_until
from tombolo_lab.node import Settings
from tombolo_lab.talker import Talker

SITES = 10
RATE = 2  # sessions a second: a queue of two seconds holds three or four
LIMIT = 6  # the reason of a BYE
PATIENCE_S = 30


def source(topic):
    return (Message(topic, {"v": v}, 0.2) for v in itertools.count())


def hello(node: str, session: int, version: int) -> bytes:
    """A HELLO without streams, as protobuf has it: session, node, the versions from 1."""
    body = bytes([8, session, 18, len(node)]) + node.encode() + bytes([32, 1, 40, version])
    return bytes([10, len(body)]) + body


def bye(session: int, reason: int) -> bytes:
    return bytes([42, 4, 8, session, 16, reason])


class ReturnTest(unittest.TestCase):
    def lab_of(self, sites: int, settings: Settings) -> None:
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        self.hub = self.lab.node("hub", has_children=True, settings=settings)
        self.sites = [self.lab.node(f"s{i}", parent=self.hub) for i in range(1, sites + 1)]
        self.hub.start()
        for site in self.sites:
            site.broker.start()
        for site in self.sites:  # at once, however long a broker takes
            site.syncd.start()

    def arrivals(self) -> dict:
        return self.hub.told().get("arrivals", {})

    def wait_all_open(self, timeout_s: float) -> None:
        def are_open():
            told = self.hub.told().get("children", {})
            return len(told) == len(self.sites) and all(child["open"] for child in told.values())
        wait_until(are_open, timeout_s, lambda: f"all to be open: {self.hub.told()}\n{self.lab.logs()}")

    def test_those_who_are_refused_come_at_their_slots(self):
        self.lab_of(SITES, Settings(handshakes_per_s=RATE))
        self.lab.subscribe(self.hub)
        publishers = [self.lab.publish(site, f"p{i}", source(f"t/{i}"), is_numbered=True)
                      for i, site in enumerate(self.sites)]
        self.wait_all_open(60)
        self.hub.broker.stop()  # in good order: what it delivers twice is not the matter here
        time.sleep(1)
        self.hub.broker.start()
        self.wait_all_open(60)
        time.sleep(1.5)  # what is told of it is a second old
        told = []

        def have_come() -> bool:
            told[:] = [site.told()["return"] for site in self.sites]
            return 0 < sum(child["slots"] for child in told) == sum(child["refusals"] for child in told)
        wait_until(have_come, PATIENCE_S, lambda: f"each who was refused to have come at a slot: {told}")
        arrivals = self.arrivals()
        print(arrivals, told)
        self.assertGreater(arrivals["refused"], 0, "nobody was refused")
        self.assertEqual(arrivals["children_known"], SITES)
        self.assertEqual(arrivals["handshakes_per_s"], RATE)
        self.assertLess(arrivals["queue_worst_ms"], 4000)  # 2000, and 4500 if nobody had been refused
        # They hang up and come at their slot: so many refusals each are not polling.
        self.assertLess(arrivals["refused"], 8 * SITES)
        self.lab.wait_acked(publishers)
        self.lab.wait_drained(60)
        self.assertEqual(self.lab.ledger.verdict().lost, 0, self.lab.ledger.evidence() + self.lab.logs())
        # A broker that stops may deliver its last round again; in the hub's log everything is once.
        judges = journal.judge_log(journal.dump(self.hub, self.lab.built), self.lab.ledger.accounts)
        for account in (publisher.account for publisher in publishers):
            found = judges[account.name].verdict(len(account.sent_at), account.acked, account.in_doubt)
            self.assertTrue(found.is_clean(), f"{account.name} in the hub's log: {found}")

    def test_one_of_version_1_is_told_limit(self):
        """It knows no BYE(busy): it waits by its own backoff."""
        self.lab_of(1, Settings(handshakes_per_s=1))
        self.wait_all_open(30)
        old = self.lab.authority.issue("old")
        others = {name: self.lab.authority.issue(name) for name in (f"o{i}" for i in range(6))}
        session, heard, port = 7, set(), self.hub.broker.tls_port
        with contextlib.ExitStack() as stack:
            talker = stack.enter_context(Talker(port, "old", certificate=old))
            self.assertLess(talker.subscribe("$tombolo/v1/down/old", 0), 0x80)
            crowd = {name: stack.enter_context(Talker(port, name, certificate=certificate))
                     for name, certificate in others.items()}
            # One is let in each second, and two wait: the others come at once, and before this one.
            for name, other in crowd.items():
                self.assertEqual(other.publish(f"$tombolo/v1/up/{name}", hello(name, session, 2), 1), 0)
            self.assertEqual(talker.publish("$tombolo/v1/up/old", hello("old", session, 1), 1), 0)
            wait_until(lambda: talker.heard, PATIENCE_S, lambda: f"an answer: {self.hub.told()}\n{self.lab.logs()}")
            heard = {bytes(message.payload) for message in talker.heard}
        self.assertEqual(heard, {bye(session, LIMIT)})
        wait_until(lambda: self.arrivals()["refused_version_1"] == 1, PATIENCE_S, lambda: str(self.arrivals()))

    def test_a_window_that_changes_is_told_to_those_who_are_there(self):
        """One second for each child: with three there, the first knows of them all, in the session it has had since."""
        self.lab_of(1, Settings(handshakes_per_s=1))
        self.wait_all_open(30)
        first = self.sites[0]
        wait_until(lambda: first.told().get("return", {}).get("window_ms", 0) > 0, PATIENCE_S, lambda: str(first.told()))
        before = first.told()
        for name in ("s2", "s3"):
            self.sites.append(self.lab.node(name, parent=self.hub))
            self.sites[-1].start()
        self.wait_all_open(30)
        window_ms = self.arrivals()["window_ms"]
        self.assertGreater(window_ms, 2 * before["return"]["window_ms"])
        wait_until(lambda: first.told()["return"]["window_ms"] == window_ms, PATIENCE_S,
                   lambda: f"{window_ms} to be told: {first.told()}\n{self.lab.logs()}")
        self.assertEqual(first.told()["link"]["dials"], before["link"]["dials"])
        wait_until(lambda: f"window_ms {window_ms}\n" in (first.data / "uplink.window").read_text(encoding="ascii"),
                   PATIENCE_S, "the new window on the disk")

    def test_a_window_is_kept_over_a_restart(self):
        self.lab_of(1, Settings(window_min="3s"))
        site, file = self.sites[0], self.sites[0].data / "uplink.window"
        wait_until(file.exists, 30, lambda: "the window on the disk\n" + self.lab.logs())
        self.assertIn("window_ms 3000\n", file.read_text(encoding="ascii"))
        self.hub.broker.kill9()
        site.syncd.stop()
        site.syncd.start()
        # Nobody has told it since; retries come in its window, not as fast as its backoff would have it.
        wait_until(lambda: site.told().get("link", {}).get("dials", 0) >= 1, PATIENCE_S, "a dial")
        self.assertEqual(site.told()["return"]["window_ms"], 3000)
        before, began = site.link.connections, time.monotonic()
        time.sleep(7)
        dials = site.link.connections - before
        self.assertLessEqual(dials, (time.monotonic() - began + 1) / 2.7 + 1)
        self.assertGreaterEqual(dials, 1)
        self.hub.broker.start()
        self.wait_all_open(30)

    def test_a_damaged_window_is_told_and_done_without(self):
        self.lab_of(1, Settings(window_min="2s"))
        site, file = self.sites[0], self.sites[0].data / "uplink.window"
        wait_until(file.exists, 30, lambda: "the window on the disk\n" + self.lab.logs())
        site.syncd.stop()
        text = file.read_bytes()
        file.write_bytes(text.replace(b"2000", b"9000"))
        site.syncd.start()
        wait_until(lambda: "window.not_read" in site.syncd.tail(50), PATIENCE_S, lambda: site.syncd.tail(50))
        wait_until(lambda: site.told().get("return", {}).get("window_ms") == 2000, 30, lambda: str(site.told()))
        wait_until(lambda: file.read_bytes() == text, PATIENCE_S, lambda: str(file.read_bytes()))

    def test_the_parent_knows_its_children_after_a_restart(self):
        self.lab_of(2, Settings())
        self.wait_all_open(30)
        self.hub.syncd.stop()
        known = (self.hub.data / "children.known").read_text(encoding="ascii")
        self.assertIn("\ns1 ", known)
        self.assertIn("\ns2 ", known)
        for site in self.sites:
            site.stop()
        self.hub.syncd.start()
        wait_until(lambda: self.arrivals().get("children_known") == 2, PATIENCE_S, lambda: str(self.hub.told()))


if __name__ == "__main__":
    unittest.main()
