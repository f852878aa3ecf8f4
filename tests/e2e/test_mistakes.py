# SPDX-License-Identifier: Apache-2.0
"""Mistakes that people make: the hub's broker without its plugin, a site put back from a backup. Both must be said,
and neither may cost a message or bring one twice."""

import itertools
import os
import shutil
import subprocess
import time
import unittest

from tombolo_lab import Ear, Lab, Message, Talker, journal
from tombolo_lab.net import wait_until
from tombolo_lab.node import Settings

HELLO, WELCOME, ACK = b"\x0a", b"\x12", b"\x22"  # a frame's first byte says which it is
NOBODY = 65534
QUIET_S = 2.5  # several of the child's tries
PATIENCE_S = 30
SETTINGS = Settings(backoff_base="50ms", backoff_cap="300ms", ack_timeout="1s", keepalive="5s")


class MistakesTest(unittest.TestCase):
    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        self.hub = self.lab.node("hub", has_children=True, settings=SETTINGS)
        self.s1 = self.lab.node("s1", parent=self.hub, settings=SETTINGS)
        self.lab.start()

    def say(self, first: int, last: int) -> None:
        with Talker(self.s1.broker.port, "talker") as talker:
            for number in range(first, last + 1):
                self.assertLess(talker.publish("t", str(number)), 0x80)

    def hub_log(self) -> list:
        is_there = any((self.hub.journal_root / "default").glob("*.seg"))
        return journal.dump(self.hub, self.lab.built) if is_there else []

    def wait_hub_log(self, count: int) -> list:
        wait_until(lambda: len(self.hub_log()) >= count, PATIENCE_S, lambda: f"{count} records\n{self.lab.logs()}", 0.2)
        return self.hub_log()

    def test_a_hub_whose_broker_lost_its_plugin_takes_nothing(self):
        self.lab.subscribe(self.hub)
        numbers = (Message("t", {"v": v}, 0.01) for v in itertools.count())
        publisher = self.lab.publish(self.s1, "pub", numbers)
        self.wait_hub_log(10)
        publisher.pause()
        time.sleep(0.2)  # it may just be saying one
        wait_until(lambda: not publisher.in_flight, PATIENCE_S, "the last ack")
        self.lab.wait_drained()
        before = self.hub_log()
        self.hub.broker.stop()
        whole = self.hub.broker.conf_file.read_text(encoding="utf-8")
        bare = "\n".join(line for line in whole.splitlines() if not line.startswith("plugin"))
        self.hub.broker.conf_file.write_text(bare + "\n", encoding="utf-8")
        self.hub.broker.start()
        spy = Ear("spy", self.hub.broker.port, "$tombolo/#")  # without the plugin anybody may
        self.addCleanup(spy.halt)
        publisher.pause(False)
        self.hub.syncd.wait_for_log("runs without the tombolo plugin", PATIENCE_S)

        def said() -> set:
            return {(m.topic, m.payload[:1]) for m in list(spy.messages) if "/stats/" not in m.topic}
        wait_until(lambda: ("$tombolo/v1/up/s1", HELLO) in said(), PATIENCE_S, lambda: f"a HELLO: {said()}")
        time.sleep(QUIET_S)
        wait_until(lambda: self.lab.ledger.waiting()[0] > 50, PATIENCE_S, "messages to wait at the site")
        publisher.pause()
        self.assertEqual(said() & {("$tombolo/v1/down/s1", WELCOME), ("$tombolo/v1/down/s1", ACK)}, set())
        self.assertEqual(self.hub_log(), before)
        wait_until(lambda: not self.hub.told()["broker"]["up"], PATIENCE_S, lambda: str(self.hub.told()))
        self.assertIn("without the tombolo plugin", self.hub.told()["broker"]["down_why"])
        spy.halt()
        self.hub.broker.stop()
        self.hub.broker.conf_file.write_text(whole, encoding="utf-8")
        self.hub.broker.start()
        self.lab.wait_acked([publisher])
        self.lab.wait_drained()
        verdict = self.lab.ledger.verdict()
        self.assertTrue(verdict.is_clean(), self.lab.ledger.evidence())
        self.assertEqual((len(self.hub_log()), verdict.redelivered), (verdict.acked, 0))

    def test_a_site_put_back_from_a_backup_is_fenced(self):
        self.say(1, 30)
        self.wait_hub_log(30)
        self.s1.stop()
        backup = self.s1.folder / "backup"
        shutil.copytree(self.s1.data, backup)
        self.s1.start()
        self.say(31, 60)
        before = self.wait_hub_log(60)
        self.assertEqual([record["payload"] for record in before], [str(n) for n in range(1, 61)])
        self.assertNotIn("session.fenced", self.s1.syncd.log())
        self.s1.stop()
        shutil.rmtree(self.s1.data)
        shutil.copytree(backup, self.s1.data)
        self.s1.start()
        self.s1.syncd.wait_for_log("session.fenced", PATIENCE_S)
        self.assertIn("parent_has=60", self.s1.syncd.log())
        self.say(61, 65)  # with the numbers 31 to 35, which the hub has of other messages
        time.sleep(QUIET_S)
        self.assertEqual(self.hub_log(), before)
        self.assertTrue(self.s1.syncd.is_alive())

    def test_a_journal_of_another_name_is_not_sent(self):
        self.say(1, 3)
        before = self.wait_hub_log(3)
        self.s1.syncd.stop()
        text = self.s1.config_file.read_text(encoding="utf-8")
        self.s1.config_file.write_text(text.replace("node: s1", "node: s2"), encoding="utf-8")
        other = self.lab.authority.issue("s2")
        for name in ("cert", "key"):
            shutil.copy(getattr(other, f"{name}_file"), getattr(self.s1.certificate, f"{name}_file"))
        self.s1.syncd.start()
        self.s1.syncd.wait_for_log("journal.of_another_node", PATIENCE_S)
        time.sleep(QUIET_S)
        self.assertEqual(self.hub_log(), before)

    @unittest.skipIf(os.geteuid() != 0, "who is not root cannot be somebody else")
    def test_a_daemon_that_may_not_read_says_so(self):
        """Neither its key nor its journal is bad: it is the wrong user, and nothing is to be moved away."""
        self.say(1, 3)
        self.wait_hub_log(3)
        self.s1.syncd.stop()
        for path in (self.lab.folder, *self.lab.folder.rglob("*")):
            os.chown(path, NOBODY, NOBODY)
        key = self.s1.certificate.key_file
        for path in (key, self.s1.journal_root):
            os.chown(path, 0, 0)
            os.chmod(path, 0o700)
        whole = list(self.s1.syncd.command)
        somebody = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *whole]
        self.s1.syncd.command = somebody
        self.s1.syncd.start()
        self.s1.syncd.wait_for_log(f"{key}: cannot be read as key: Permission denied", PATIENCE_S)
        self.s1.syncd.stop()
        os.chown(key, NOBODY, NOBODY)
        self.s1.syncd.start()
        self.s1.syncd.wait_for_log("journal.not_readable", PATIENCE_S)
        self.s1.syncd.wait_for_log("permission denied", PATIENCE_S)
        self.assertNotIn("journal.of_another_node", self.s1.syncd.log())

    def test_a_second_daemon_on_one_folder_does_not_start(self):
        self.s1.syncd.wait_for_log(" started ", 30)  # before that the folder is whoever's comes first
        done = subprocess.run(self.s1.syncd.command, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 1)
        self.assertIn("another tombolo-syncd runs on this data_dir", done.stderr)


if __name__ == "__main__":
    unittest.main()
