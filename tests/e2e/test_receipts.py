# SPDX-License-Identifier: Apache-2.0
"""Receipts: a publisher asks for more than its PUBACK. Each that comes is held against the outside truth: the
journals of the site and of the hub, read at that moment."""

import json
import os
import shutil
import subprocess
import time
import unittest
from pathlib import Path

from plugin_lab import PluginTest
from tombolo_lab import Lab, journal
from tombolo_lab.asker import Asker
from tombolo_lab.net import wait_until
from tombolo_lab.node import Settings
from tombolo_lab.talker import Talker, plugin_stats

RECEIPTS_MAX = 4096  # TMB_RECEIPTS_MAX
STREAMS = (("safe", '["safe/#"]', "strict"), ("many", '["many/#"]', "group"), ("fast", '["fast/#"]', "process"),
           ("loose", '["loose/#"]', "none"))
WAITS = ("strict", "group")
PATIENCE_S = 60


def wait_stat(broker, name: str, at_least: int) -> None:
    wait_until(lambda: plugin_stats(broker.port)[name] >= at_least, PATIENCE_S,
               lambda: f"{name} of {at_least}: {plugin_stats(broker.port)}", 0.2)


class RoadTest(unittest.TestCase):
    """A site with a stream of each durability, and its hub; the site's disk holds when told to."""

    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        self.hub = self.lab.node("hub", has_children=True)
        self.s1 = self.lab.node("s1", parent=self.hub, settings=Settings(streams=STREAMS))
        self.hold = self.lab.folder / "hold"
        self.s1.broker.daemon.env = {
            "LD_PRELOAD": str(Path(os.environ["TMB_BUILD"]) / "tests/e2e/hold_sync.so"),
            "TMB_HOLD_SYNC": str(self.hold)}
        self.lab.start()

    def dump(self, node, stream: str) -> list:
        """All that can be read of a stream, also of one that is damaged or not there yet."""
        done = subprocess.run([self.lab.built.journal, "dump", "-o", "json", str(node.journal_root), stream],
                              capture_output=True, text=True, timeout=60)
        self.assertIn(done.returncode, (0, 1, 3), done.stderr)
        return [r for r in map(json.loads, done.stdout.splitlines()) if "topic" in r]

    def at_site(self, stream: str, payload: str) -> list:
        return [r for r in self.dump(self.s1, stream) if journal.payload_of(r).decode() == payload]

    def at_hub(self, stream: str, seq: int) -> list:
        return [r for r in self.dump(self.hub, "default")
                if (r["origin"]["node"], r["origin"]["stream"], r["origin"]["seq"]) == ("s1", stream, seq)]

    def check(self, receipt: dict, stream: str, payload: str) -> None:
        """It names the record that the site has, and of the parent's kind: that the hub has."""
        (record,) = self.at_site(stream, payload)
        self.assertEqual(receipt["node"], "s1")
        self.assertEqual((receipt["stream"], receipt["seq"]), (stream, record["seq"]))
        self.assertIn(receipt["incarnation"], (self.s1.journal_root / "identity").read_text(encoding="utf-8"))
        self.assertNotIn("repeat", receipt)
        if receipt["receipt"] != "synced":
            (there,) = self.at_hub(stream, record["seq"])
            self.assertEqual(journal.payload_of(there).decode(), payload)

    def test_each_level_of_each_stream(self):
        with Asker(self.s1.broker.port) as asker:
            for stream, _, _ in STREAMS:
                for qos in (1, 2):
                    payload = f"{stream}-{qos}"
                    self.assertEqual(asker.ask(f"{stream}/t", payload, "synced", "committed", "engine", qos=qos), 0)
                    for level in ("synced", "committed", "engine"):
                        self.check(asker.wait_level(payload, level), stream, payload)
                    self.assertEqual(len(asker.receipts(payload)), 3)
        wait_stat(self.s1.broker, "receipts_sent", 24)
        found = plugin_stats(self.s1.broker.port)
        self.assertEqual((found["receipts_asked"], found["receipts_refused"], found["receipts_pending"]), (24, 0, 0))
        self.assertEqual(self.at_hub("safe", 1)[0]["origin"]["seq"], 1)

    def test_committed_waits_for_the_link(self):
        with Asker(self.s1.broker.port) as asker:
            self.s1.link.cut("reset")
            for i in range(5):
                self.assertEqual(asker.ask("fast/t", f"m{i}", "committed", "synced"), 0)
            for i in range(5):
                self.check(asker.wait_level(f"m{i}", "synced"), "fast", f"m{i}")
            time.sleep(1)
            self.assertEqual([len(asker.receipts(f"m{i}")) for i in range(5)], [1] * 5)
            self.assertEqual(self.at_hub("fast", 1), [])
            self.s1.link.heal()
            for i in range(5):
                self.check(asker.wait_level(f"m{i}", "committed"), "fast", f"m{i}")

    def test_no_synced_while_the_disk_holds(self):
        with Asker(self.s1.broker.port) as asker:
            for stream, _, durability in STREAMS:
                asker.ask(f"{stream}/t", f"first-{stream}", "synced")  # the first record begins a file, and syncs it
                asker.wait(f"first-{stream}")
                self.hold.touch()
                code = asker.ask(f"{stream}/t", stream, "synced", "committed") if durability not in WAITS else None
                if durability in WAITS:  # its ack waits for the disk, too
                    code = asker.publish(f"{stream}/t", stream, timeout_s=0.6, ResponseTopic=asker.topic,
                                         CorrelationData=stream.encode(),
                                         UserProperty=[("tombolo-receipt", "synced"),
                                                       ("tombolo-receipt", "committed")])
                self.assertEqual(code, None if durability in WAITS else 0)
                time.sleep(0.6)
                self.assertEqual([r for r in asker.receipts(stream) if r["receipt"] == "synced"], [])
                self.hold.unlink()
                self.check(asker.wait_level(stream, "synced"), stream, stream)
                self.check(asker.wait_level(stream, "committed"), stream, stream)

    def test_a_killed_broker_is_asked_again_by_number(self):
        self.s1.link.cut("reset")
        with Asker(self.s1.broker.port) as asker:
            self.assertEqual(asker.ask("fast/t", "once", "committed", number="run:1"), 0)
            self.assertEqual(asker.ask("fast/t", "other", number="run:2"), 0)
            self.s1.broker.kill9()
            self.assertEqual(asker.receipts("once"), [])
        self.s1.broker.start()
        with Asker(self.s1.broker.port) as asker:
            self.assertEqual(asker.ask("fast/t", "once", "synced", "committed", number="run:1"), 0)
            self.assertEqual(asker.wait_level("once", "synced")["repeat"], True)
            time.sleep(0.5)
            self.assertEqual(len(asker.receipts("once")), 1)
            self.s1.link.heal()
            receipt = asker.wait_level("once", "committed")
            self.assertEqual((receipt["repeat"], receipt["stream"]), (True, "fast"))
            (record,) = self.at_site("fast", "once")
            self.assertGreaterEqual(receipt["seq"], record["seq"])
            self.assertEqual(len(self.at_hub("fast", record["seq"])), 1)

    def test_marks_of_another_past(self):
        """The journal is put back from a backup beside newer marks, and grows past them: nobody believes them."""
        marks = self.s1.data / "uplink.marks"
        with Talker(self.s1.broker.port, "pub") as pub:
            for i in range(5):
                self.assertEqual(pub.publish("safe/t", f"old-{i}"), 0)
        backup = self.lab.folder / "backup"
        shutil.copytree(self.s1.journal_root, backup)
        with Talker(self.s1.broker.port, "pub") as pub:
            for i in range(5):
                self.assertEqual(pub.publish("safe/t", f"lost-{i}"), 0)
        wait_until(lambda: marks.exists() and "stream safe 10 " in marks.read_text(encoding="utf-8"), PATIENCE_S,
                   "the marks")
        self.s1.stop()
        shutil.rmtree(self.s1.journal_root)
        shutil.copytree(backup, self.s1.journal_root)
        for name in ("checkpoint", "checkpoint.old"):
            (self.s1.data / name).unlink(missing_ok=True)
        for _ in range(2):
            self.s1.broker.start()
            with Talker(self.s1.broker.port, "pub") as pub:
                for i in range(8):
                    self.assertEqual(pub.publish("safe/t", f"new-{i}"), 0)
            self.s1.broker.stop()
        self.assertIn("is of another past", self.s1.broker.daemon.log())
        for segment in (self.s1.journal_root / "safe").glob("*.seg"):
            segment.write_bytes(segment.read_bytes().replace(b"new-2", b"neW-2"))
        done = subprocess.run([self.lab.built.journal, "verify", str(self.s1.data)], capture_output=True, text=True,
                              timeout=60)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertNotIn("nothing lost", done.stdout)

    def test_lost_before_it_was_carried_up(self):
        """A bit turns in the site's log while the link is cut: the parent's mark passes it, and no receipt says
        that the record is there."""
        self.s1.link.cut("reset")
        with Asker(self.s1.broker.port) as asker:
            for payload in ("before", "in-between", "behind"):
                self.assertEqual(asker.ask("safe/t", payload, "committed"), 0)
            (segment,) = (self.s1.journal_root / "safe").glob("*.seg")
            bytes_now = segment.read_bytes()
            with open(segment, "r+b") as file:
                file.seek(bytes_now.index(b"in-between"))
                file.write(b"X")
            self.s1.link.heal()
            self.check(asker.wait_level("before", "committed"), "safe", "before")
            self.check(asker.wait_level("behind", "committed"), "safe", "behind")
            (refused,) = asker.wait("in-between")
            self.assertEqual((refused["receipt"], refused["asked"]), ("refused", "committed"))
            self.assertIn("lost at this node", refused["why"])
            self.assertEqual(self.at_hub("safe", 2), [])
            self.assertIn("gap safe 2 2 damaged", (self.s1.data / "uplink.marks").read_text(encoding="utf-8"))
            # The daemon's next life knows it too.
            self.s1.syncd.kill9()
            self.s1.syncd.start()
            self.assertEqual(asker.ask("safe/t", "later", "committed"), 0)
            self.check(asker.wait_level("later", "committed"), "safe", "later")
            self.assertIn("gap safe 2 2 damaged", (self.s1.data / "uplink.marks").read_text(encoding="utf-8"))

    def test_a_parent_that_lost_its_disk(self):
        """Its marks go down, and with them what this node claims; then all is carried up again."""
        with Asker(self.s1.broker.port) as asker:
            for payload in ("one", "two"):
                self.assertEqual(asker.ask("safe/t", payload, "committed"), 0)
                self.check(asker.wait_level(payload, "committed"), "safe", payload)
            self.s1.link.cut("reset")
            self.hub.stop()
            shutil.rmtree(self.hub.data)
            self.hub.start()
            self.assertEqual(asker.ask("safe/t", "three", "committed"), 0)
            time.sleep(0.5)
            self.assertEqual(asker.receipts("three"), [])
            self.s1.link.heal()
            self.check(asker.wait_level("three", "committed"), "safe", "three")
            for seq in (1, 2, 3):
                self.assertEqual(len(self.at_hub("safe", seq)), 1)

    def test_what_cannot_be_had_is_refused(self):
        cases = (("safe/t", ("synced",), 0, "QoS 0"), ("safe/t", ("eaten",), 1, "no such receipt"),
                 ("other/t", ("synced",), 1, "no stream"), ("other/t", ("synced",), 0, "no stream"))
        with Asker(self.s1.broker.port) as asker:
            for number, (topic, levels, qos, why) in enumerate(cases):
                self.assertEqual(asker.ask(topic, f"case{number}", *levels, qos=qos), 0)
                (refused,) = asker.wait(f"case{number}")
                self.assertEqual((refused["receipt"], refused["asked"]), ("refused", levels[0]))
                self.assertIn(why, refused["why"])
            # With nowhere to tell it, it is counted; and what is asked beside it is answered.
            self.assertEqual(asker.publish("safe/t", b"x", UserProperty=[("tombolo-receipt", "synced")]), 0)
            self.assertEqual(asker.ask("safe/t", "y", "synced", to="$SYS/broker/uptime"), 0)
            asker.subscribe("+/tombolo/loss", 1)
            self.assertEqual(asker.ask("safe/t", "y", "synced", to="s9/tombolo/loss"), 0)
            self.assertEqual(asker.ask("safe/t", "z", "synced", "e\"vil"), 0)
            self.assertEqual(sorted((r["receipt"], r.get("asked")) for r in asker.wait("z", 2)),
                             [("refused", "?"), ("synced", None)])
            self.assertEqual([m for m in asker.heard if m.topic != asker.topic], [], "a forged entry of the ledger")
        wait_stat(self.s1.broker, "receipts_refused", 8)
        self.assertEqual(plugin_stats(self.s1.broker.port)["receipts_asked"], 9)

    def test_more_than_fit_are_refused(self):
        self.s1.link.cut("reset")
        with Asker(self.s1.broker.port) as asker:
            for i in range(RECEIPTS_MAX):
                self.assertEqual(asker.ask("loose/t", f"m{i}", "committed"), 0)
            self.assertEqual(asker.ask("loose/t", "one-more", "committed", "synced"), 0)
            found = asker.wait("one-more", 2)
            self.assertEqual(sorted(r["receipt"] for r in found), ["refused", "synced"])
            self.assertIn("too many", [r["why"] for r in found if r["receipt"] == "refused"][0])
            self.assertEqual(len(asker.heard), 2)
            self.s1.link.heal()
            wait_until(lambda: len(asker.heard) >= RECEIPTS_MAX + 2, PATIENCE_S, lambda: f"{len(asker.heard)} heard")
            seqs = [json.loads(m.payload)["seq"] for m in asker.heard[2:]]
            self.assertEqual(seqs, list(range(1, RECEIPTS_MAX + 1)))
            self.assertEqual(asker.ask("loose/t", "again", "committed"), 0)
            self.check(asker.wait_level("again", "committed"), "loose", "again")


class LostRepeatTest(unittest.TestCase):
    """Retention drops what the hub never had; a repeat of it may be lost, and no receipt says it is there."""

    def flood(self, asker) -> None:
        for i in range(400):
            self.assertEqual(asker.publish("t", f"{i}".ljust(200, ".")), 0)

    def check_refused(self, asker, key: str) -> None:
        self.assertEqual(asker.ask("t", "one", "synced", "committed", number="run:1", key=key), 0)
        found = asker.wait(key, 2)
        self.assertEqual([r["receipt"] for r in found], ["refused"] * 2, found)
        for refused in found:
            self.assertIn("under a new number", refused["why"])

    def run_with(self, has_parent: bool) -> None:
        lab = Lab()
        self.addCleanup(lab.close)
        hub = lab.node("hub", has_children=True) if has_parent else None
        s1 = lab.node("s1", parent=hub, settings=Settings(
            stream_lines="    retention: { bytes: 8KiB }\n", more="journal: { segment_bytes: 4KiB }\n",
            checkpoint_interval="200ms"))
        lab.start()
        if has_parent:
            s1.link.cut("reset")
        with Asker(s1.broker.port) as asker:
            self.assertEqual(asker.ask("t", "one", "synced", number="run:1"), 0)
            self.assertNotIn("repeat", asker.wait_level("one", "synced"))
            self.assertEqual(asker.ask("t", "one", "synced", number="run:1", key="early"), 0)
            self.assertEqual(asker.wait_level("early", "synced")["repeat"], True)
            self.flood(asker)

            def has_dropped() -> bool:  # a message more, so that the counters are told again
                self.assertEqual(asker.publish("t", "more"), 0)
                return plugin_stats(s1.broker.port)["journal_dropped_records"] > 0
            wait_until(has_dropped, PATIENCE_S, "retention to drop", 0.5)
            self.check_refused(asker, "late")
            s1.broker.kill9()
        s1.broker.start()
        with Asker(s1.broker.port) as asker:
            self.check_refused(asker, "after a restart")
            if has_parent:
                s1.link.heal()
                self.assertEqual(asker.ask("t", "new", "synced", "committed", number="run:2"), 0)
                asker.wait_level("new", "committed")
                self.check_refused(asker, "when the hub is back")

    def test_with_a_parent_away(self):
        self.run_with(True)

    def test_at_a_top_node(self):
        self.run_with(False)


class ThreeTiersTest(unittest.TestCase):
    def test_who_hears_of_the_engine(self):
        lab = Lab()
        self.addCleanup(lab.close)
        region = lab.node("region", has_children=True)
        hub = lab.node("hub", parent=region, has_children=True)
        s1 = lab.node("s1", parent=hub)
        lab.start()
        levels = ("synced", "committed", "engine")
        for node, is_refused in ((s1, True), (hub, False), (region, False)):
            with Asker(node.broker.port) as asker:
                self.assertEqual(asker.ask("t", "x", *levels), 0)
                found = {r.get("asked", r["receipt"]): r for r in asker.wait("x", 3)}
                self.assertEqual(set(found), set(levels))
                self.assertEqual(found["engine"]["receipt"], "refused" if is_refused else "engine")
                self.assertEqual({found[level]["receipt"] for level in levels[:2]}, set(levels[:2]))
                if is_refused:
                    self.assertIn("the parent hub has a parent itself", found["engine"]["why"])


class RulesTest(PluginTest):
    """With access rules the broker's rights are not lent out: only topics of the client's own are answered on."""
    durability = "strict"

    def setUp(self):
        rules = Path(os.environ.get("TMPDIR", "/tmp")) / f"tombolo-rules-{os.getpid()}"
        rules.write_text("topic write t\ntopic read #\n", encoding="utf-8")
        self.addCleanup(rules.unlink)
        self.settings = {"acl_file": str(rules)}
        super().setUp()
        self.broker.start()

    def test_only_own_topics(self):
        with Asker(self.broker.port, topic="receipts/asker/#") as asker, \
                Asker(self.broker.port, "thief", topic="#") as thief:
            asker.topic = "receipts/asker/a"
            self.assertEqual(asker.ask("t", "mine", "synced"), 0)
            self.assertEqual(asker.wait("mine")[0]["receipt"], "synced")
            for topic in ("valve/open", "receipts/thief", "receipts/askers", "receipts"):
                self.assertEqual(asker.ask("t", "not-mine", "synced", to=topic), 0)
            self.assertEqual(asker.ask("t", "last", "committed"), 0)
            self.assertEqual(asker.wait("last")[0]["receipt"], "committed")
            wait_until(lambda: len(thief.heard) >= 8, PATIENCE_S, lambda: f"6 of t and 2 receipts: {thief.heard}")
            self.assertEqual({m.topic for m in thief.heard}, {"t", "receipts/asker/a"})
        self.assertEqual(self.wait_stat("receipts_refused", 4)["receipts_refused"], 4)


if __name__ == "__main__":
    unittest.main()
