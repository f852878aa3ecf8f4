# SPDX-License-Identifier: Apache-2.0
"""A restored backup, a cloned disk, two boxes under one name: one of the two stops, nothing is taken for something
else, and people see it. And nothing of that kind is seen where there is one box with one past."""

import json
import os
import random
import shutil
import signal
import subprocess
import time
import unittest

from tombolo_lab import Lab, Talker
from tombolo_lab.journal import dump, payload_of
from tombolo_lab.net import wait_until
from tombolo_lab.node import Node, Settings

SEED = int(os.environ.get("TMB_SEED", "0")) or random.randrange(1 << 32)


class FenceCase(unittest.TestCase):
    settings = None  # of the site

    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        self.hub = self.lab.node("hub", has_children=True)
        self.s1 = self.lab.node("s1", parent=self.hub, settings=self.settings)
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
        wait_until(lambda: set(words) <= set(self.at_hub()), 60,
                   lambda: f"{sorted(set(words) - set(self.at_hub()))[:9]} to arrive\n{self.lab.logs()}", step_s=0.2)

    def wait_marks(self, seq: int) -> None:
        """Waits until the site has written down that the hub has all up to seq: what is behind that comes twice."""
        marks = self.s1.data / "uplink.marks"
        wait_until(lambda: marks.exists() and f"stream default {seq} " in marks.read_text(encoding="utf-8"), 30,
                   lambda: f"the mark {seq}\n{self.lab.logs()}")

    def child(self) -> dict:
        return (self.hub.told().get("children") or {}).get("s1", {})

    def wait_fenced(self, node, why: str) -> None:
        """The box says it, its statistics say it, and so do the hub's."""
        def uplink():
            return node.told().get("fenced") or {}
        wait_until(lambda: uplink().get("why") == why, 30, lambda: f"{why}: {uplink()}\n{node.logs()}", step_s=0.2)
        node.syncd.wait_for_log("session.fenced")
        wait_until(lambda: (self.child().get("fenced") or {}).get("why") == why, 30,
                   lambda: f"the hub to say {why}: {self.child()}\n{self.lab.logs()}", step_s=0.2)

    def wait_not_fenced(self, node) -> None:
        wait_until(lambda: node.told().get("fenced", 1) is None, 30, lambda: f"{node.told()}")

    def assert_none_merged_wrongly(self) -> None:
        """Each number of a life is one message, and each message came out of the life that it was put into."""
        seen = {}
        for record in dump(self.hub, self.lab.built):
            origin = record["origin"]
            key = (origin["node"], origin["incarnation"], origin["stream"], origin["seq"])
            self.assertNotIn(key, seen)
            seen[key] = payload_of(record)

    def renew(self, node, *options: str) -> subprocess.CompletedProcess:
        return subprocess.run([self.lab.built.journal, "renew", "-o", "json", *options, str(node.data)],
                              capture_output=True, text=True, timeout=60)

    def renew_and_start(self, node) -> dict:
        """The cure: stop, renew, start. Gives what it said."""
        done = self.renew(node)  # the broker still runs
        self.assertEqual(done.returncode, 3, done.stdout)
        self.assertIn("the broker is running", done.stderr)
        node.stop()
        plan = self.renew(node, "--dry-run")
        self.assertEqual(plan.returncode, 0, plan.stderr)
        done = self.renew(node)
        self.assertEqual(done.returncode, 0, done.stderr)
        said = json.loads(done.stdout)
        self.assertEqual(json.loads(plan.stdout)["streams"], said["streams"])
        self.assertNotEqual(said["old_incarnation"], said["new_incarnation"])
        node.start()
        return {stream["stream"]: stream for stream in said["streams"]}

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
        self.wait_marks(5)
        self.s1.stop()
        shutil.copytree(self.s1.data, self.lab.folder / "backup")
        self.s1.start()
        self.publish(self.s1, [f"first-{i}" for i in range(5)])
        self.wait_at_hub(self.acked)
        self.wait_marks(10)
        self.s1.stop()
        shutil.copy(self.s1.data / "uplink.marks", self.lab.folder / "newer.marks")
        shutil.rmtree(self.s1.data)
        shutil.copytree(self.lab.folder / "backup", self.s1.data)

    def test_with_fewer_records_than_the_parent_has(self):
        self.make_backup()
        self.s1.start()
        self.wait_fenced(self.s1, "ahead")
        self.assertIn("tombolo-journal renew", self.s1.syncd.log())
        self.assertEqual(self.at_hub(), self.acked)
        streams = self.renew_and_start(self.s1)
        self.assertEqual((streams["default"]["carried"], streams["default"]["parent_has"]), (0, 5))
        self.publish(self.s1, ["after"])
        self.wait_at_hub(self.acked)
        self.assertEqual(self.at_hub(), self.acked)  # in order, and nothing twice
        self.assert_none_merged_wrongly()

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
        streams = self.renew_and_start(self.s1)
        self.assertEqual((streams["default"]["carried"], streams["default"]["first"]), (20, 6))
        self.publish(self.s1, ["after"])
        self.wait_at_hub(self.acked)
        self.assertEqual(self.at_hub(), self.acked)  # both pasts, each message once
        self.assert_none_merged_wrongly()
        wait_until(lambda: self.child().get("fenced", 1) is None, 30, lambda: f"{self.child()}")

    def test_a_note_of_another_past_is_not_believed(self):
        """Only the journal was restored: uplink.marks beside it says more than this log has sent."""
        self.make_backup()
        shutil.copy(self.lab.folder / "newer.marks", self.s1.data / "uplink.marks")
        self.assertIn("stream default 10 ", (self.s1.data / "uplink.marks").read_text(encoding="utf-8"))
        self.s1.broker.start()
        self.publish(self.s1, [f"second-{i}" for i in range(20)])
        self.s1.stop()
        done = json.loads(self.renew(self.s1, "--dry-run").stdout)
        self.assertEqual([(s["carried"], s["proved"]) for s in done["streams"] if s["stream"] == "default"],
                         [(25, False)])  # believed, it would have left ten behind

    def test_a_snapshot_of_a_machine_that_ran(self):
        """All processes stopped in the midst of it, copied, killed later, and the copy comes up again."""
        self.publish(self.s1, [f"common-{i}" for i in range(5)])
        self.wait_marks(5)
        for process in (self.s1.broker.daemon, self.s1.syncd):
            os.kill(process.pid, signal.SIGSTOP)
        shutil.copytree(self.s1.data, self.lab.folder / "snapshot")
        for process in (self.s1.broker.daemon, self.s1.syncd):
            os.kill(process.pid, signal.SIGCONT)
        self.publish(self.s1, [f"first-{i}" for i in range(3)])
        self.wait_at_hub(self.acked)
        self.s1.syncd.kill9()
        self.s1.broker.kill9()
        shutil.rmtree(self.s1.data)
        shutil.copytree(self.lab.folder / "snapshot", self.s1.data)
        self.s1.broker.start()
        self.publish(self.s1, [f"second-{i}" for i in range(3)])  # as many: only the records tell
        before = self.at_hub()
        self.s1.syncd.start()
        self.wait_fenced(self.s1, "forked")
        self.assertEqual(self.at_hub(), before)
        self.renew_and_start(self.s1)
        self.wait_at_hub(self.acked)
        self.assert_none_merged_wrongly()
        self.assertEqual(sorted(self.at_hub()), sorted(self.acked))

    def test_two_clones_that_never_run_together(self):
        self.publish(self.s1, [f"common-{i}" for i in range(5)])
        self.wait_at_hub(self.acked)
        self.s1.stop()
        other = self.clone()
        self.s1.start()
        self.publish(self.s1, [f"first-{i}" for i in range(4)])
        self.wait_at_hub(self.acked)
        self.s1.stop()
        other.broker.start()
        self.publish(other, [f"other-{i}" for i in range(6)])
        before = self.at_hub()
        other.syncd.start()
        self.wait_fenced(other, "forked")
        self.assertEqual(self.at_hub(), before)

    def test_a_hub_from_an_older_backup_gets_the_rest_again(self):
        self.publish(self.s1, [f"common-{i}" for i in range(5)])
        self.wait_at_hub(self.acked)
        self.hub.stop()
        shutil.copytree(self.hub.data, self.lab.folder / "hub-backup")
        self.hub.start()
        self.publish(self.s1, [f"later-{i}" for i in range(5)])
        self.wait_at_hub(self.acked)
        self.hub.stop()
        shutil.rmtree(self.hub.data)
        shutil.copytree(self.lab.folder / "hub-backup", self.hub.data)
        self.assertEqual(len(self.at_hub()), 5)  # so the later ones are lost here
        self.hub.start()
        self.wait_at_hub(self.acked)
        self.assertEqual(self.at_hub(), self.acked)
        self.wait_not_fenced(self.s1)


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
        self.assertLess(time.monotonic() - begin, 30)
        self.hub.syncd.wait_for_log("child.twin")
        more = [f"more-{i}" for i in range(5)]
        self.publish(self.s1, more)
        self.wait_at_hub(mine + more)
        self.assertFalse([word for word in self.at_hub() if word.startswith("twin")])
        self.wait_not_fenced(self.s1)
        self.assertEqual(self.child()["fenced"]["why"], "twin")
        self.assertIn("box=" + self.child()["fenced"]["box"], self.hub.syncd.log())
        self.assert_none_merged_wrongly()
        twin.syncd.stop()
        twin.syncd.start()  # as long as the first is there
        wait_until(lambda: twin.syncd.log().count("session.fenced") == 2, 30, lambda: twin.logs())
        self.assertFalse([word for word in self.at_hub() if word.startswith("twin")])


class OneBoxTest(FenceCase):
    def test_no_alarm_over_restarts_and_cuts(self):
        print(f"seed {SEED}", flush=True)
        dice = random.Random(SEED)
        s1, hub = self.s1, self.hub

        def cut(how: str):
            s1.link.cut(how)
            s1.link.heal()

        def again(process, end):
            end()
            process.start()
        faults = {
            "the site's daemon is killed": lambda: again(s1.syncd, s1.syncd.kill9),
            "the site's daemon is stopped": lambda: again(s1.syncd, s1.syncd.stop),
            "the site's broker is killed": lambda: again(s1.broker, s1.broker.kill9),
            "the hub's daemon is killed": lambda: again(hub.syncd, hub.syncd.kill9),
            "the hub's broker is killed": lambda: again(hub.broker, hub.broker.kill9),
            "the link is reset": lambda: cut("reset"),
        }
        rounds = list(faults) * (20 if os.environ.get("TMB_LONG") else 3) + ["the site's daemon is killed"] * 2
        dice.shuffle(rounds)
        for number, name in enumerate(rounds):
            starts = s1.told().get("starts", 0)
            faults[name]()
            if name.startswith("the site's daemon"):
                wait_until(lambda: s1.told().get("starts", 0) > starts, 30, f"{name}: a start that is counted")
            self.publish(s1, [f"{number}-{i}" for i in range(dice.randrange(1, 30))])
            if dice.random() < 0.5:
                self.wait_at_hub(self.acked)
        self.wait_at_hub(self.acked)
        self.assertEqual(self.at_hub(), self.acked)
        for node in (s1, hub):
            for word in ("fenced", "child.twin", "child.forked", "child.ahead"):
                self.assertNotIn(word, node.syncd.log())
        wait_until(lambda: "fences" in self.child(), 30, "the hub's statistics")
        self.assertEqual((self.child()["fences"], self.child()["fenced"]), (0, None))


class LiveFirstTest(FenceCase):
    settings = Settings(stream_lines="    live_first: true\n", ack_timeout="2s")

    def test_two_lanes_raise_no_alarm_and_leave_nothing_behind(self):
        self.publish(self.s1, [f"before-{i}" for i in range(70)])
        self.wait_at_hub(self.acked)
        self.s1.link.cut("reset")
        self.publish(self.s1, [f"backlog-{i}" for i in range(400)])
        wait_until(lambda: self.s1.told().get("streams", {}).get("default", {}).get("waiting", 0) >= 400, 30,
                   lambda: f"the daemon to see the backlog: {self.s1.told()}")
        self.s1.link.heal()
        self.publish(self.s1, [f"live-{i}" for i in range(100)])
        self.wait_at_hub(self.acked)
        marks = self.s1.data / "uplink.marks"
        wait_until(lambda: self.s1.told().get("live", {}).get("jumps", 0) >= 1, 30, "the live lane to jump")
        wait_until(lambda: "ahead default" in marks.read_text(encoding="utf-8"), 30,
                   lambda: marks.read_text(encoding="utf-8"))
        # What went up in the live lane counts, though the stream's own lane stands in front of it.
        self.publish(self.s1, [f"later-{i}" for i in range(200)])
        self.wait_at_hub(self.acked)
        self.wait_nothing_to_carry()
        for number, process in enumerate((self.s1.syncd, self.hub.syncd, self.s1.syncd)):
            process.kill9()
            process.start()
            self.publish(self.s1, [f"{number}-{i}" for i in range(70)])
            self.wait_at_hub(self.acked)
        for node in (self.s1, self.hub):
            self.assertNotIn("fenced", node.syncd.log())
            self.assertNotIn("child.ahead", node.syncd.log())
        self.assertEqual(sorted(self.at_hub()), sorted(self.acked))
        # What is only here now is carried over, whatever lane it is of.
        self.wait_nothing_to_carry()
        self.hub.stop()
        only_here = [f"only-here-{i}" for i in range(5)]
        self.publish(self.s1, only_here)
        self.s1.stop()
        done = self.renew(self.s1)
        self.assertEqual(done.returncode, 0, done.stderr)
        said = json.loads(done.stdout)["streams"][0]
        self.assertTrue(said["proved"], said)
        self.assertEqual(said["carried"], len(only_here), said)  # not what went up in the live lane
        self.hub.start()
        self.s1.start()
        self.wait_at_hub(self.acked)
        self.assert_none_merged_wrongly()


    def wait_nothing_to_carry(self) -> None:
        """Waits until the site has written down that the hub has everything, by whatever lane."""
        wait_until(lambda: json.loads(self.renew(self.s1, "--dry-run").stdout)["streams"][0]["carried"] == 0, 30,
                   lambda: (self.s1.data / "uplink.marks").read_text(encoding="utf-8"))


class RenewTest(FenceCase):
    settings = Settings(streams=(("alarms", '["alarms/#"]', "strict"), ("default", '["#"]', "group")))

    def test_order_time_and_owner_stay_and_misuse_changes_nothing(self):
        self.hub.stop()  # so nothing of it is there
        with Talker(self.s1.broker.port, "pub") as talker:
            for i in range(6):
                self.assertEqual(talker.publish("alarms/x" if i % 2 else "x", f"{i}"), 0)
        self.s1.stop()
        streams = ("alarms", "default")
        before = {name: dump(self.s1, self.lab.built, name) for name in streams}
        if os.geteuid() == 0:
            for folder, _, files in os.walk(self.s1.journal_root):
                for path in [folder] + [os.path.join(folder, file) for file in files]:
                    os.chown(path, 65534, 65534)
        for words, code, text in ((["renew", str(self.s1.journal_root)], 3, "the data_dir"),
                                  (["renew", str(self.s1.data), "alarms"], 2, "too many words"),
                                  (["list", "--dry-run", str(self.s1.data)], 2, "for renew"),
                                  (["renew", str(self.lab.folder / "nothing")], 3, "no journal")):
            done = subprocess.run([self.lab.built.journal, *words], capture_output=True, text=True, timeout=60)
            self.assertEqual((done.returncode, text in done.stderr), (code, True), (words, done.stderr))
        said = json.loads(self.renew(self.s1).stdout)
        self.assertFalse(any(stream["proved"] for stream in said["streams"]))  # nobody has heard of a parent
        for name in streams:
            after = dump(self.s1, self.lab.built, name)
            self.assertEqual([(payload_of(r), r["topic"], r["time"]) for r in after],
                             [(payload_of(r), r["topic"], r["time"]) for r in before[name]])
            self.assertEqual(len(after), 3)
        if os.geteuid() == 0:
            for folder, _, files in os.walk(self.s1.journal_root):
                for path in [folder] + [os.path.join(folder, file) for file in files]:
                    self.assertEqual(os.stat(path).st_uid, 65534, path)
        kept = subprocess.run([self.lab.built.journal, "list", "-o", "json", said["kept_in"]], capture_output=True,
                              text=True, timeout=60)
        self.assertEqual(kept.returncode, 0, kept.stderr)


if __name__ == "__main__":
    unittest.main()
