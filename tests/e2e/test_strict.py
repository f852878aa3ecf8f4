# SPDX-License-Identifier: Apache-2.0
"""What an ack means: `strict` is on the disk before PUBACK, `process` is with the kernel, a commit is one sync; and
QoS 2 is kept from PUBREC on.

A kill cannot tell a flush from a sync. Two things can: the plugin's own count of its syncs, and a disk whose
fdatasync does not come back (hold_sync.c)."""

import os
import time
import unittest
from pathlib import Path

from plugin_lab import PluginTest
from plugin_raw import PUBREC, Raw, encode_record
from tombolo_lab import Ear, Lab, journal

STREAMS = """\
streams:
  - { name: safe, topics: [ "safe/#" ], durability: strict }
  - { name: loose, topics: [ "loose/#" ], durability: none }
  - { name: fast, topics: [ "#" ], durability: process }
"""
COMMIT = "$tombolo/v1/commit"
COUNT = 50
HOLD_S = 0.4
PATIENCE_S = 30


def commit(first: int, last: int) -> bytes:
    return b"\x01" + b"".join(encode_record("s1/t", b"%d" % number, origin=("s1", bytes(range(16)), "x", number))
                              for number in range(first, last + 1))


class StrictTest(PluginTest):
    needs_certificates = True

    def config(self):
        head, tail = super().config().split("streams:\n")
        return head + STREAMS + tail[tail.index("checkpoint:"):]

    def setUp(self):
        super().setUp()
        self.hold = self.folder / "hold"
        slow_disk = Path(os.environ["TMB_BUILD"]) / "tests/e2e/hold_sync.so"
        self.assertTrue(slow_disk.exists(), f"{slow_disk} is not there: build first")
        self.broker.daemon.env = {"LD_PRELOAD": str(slow_disk), "TMB_HOLD_SYNC": str(self.hold)}
        self.broker.start()
        self.addCleanup(self.hold.unlink, missing_ok=True)
        self.pub, self.messages = self.client("pub", 5), 0
        for topic in ("safe/t", "loose/t", "fast/t"):
            self.publish(topic)  # the first segment of each stream takes syncs of its own
        self.settle()            # and the last second's syncs

    def settle(self) -> None:
        """What is synced in the background is synced: a second after the message, or at the end of the round after."""
        time.sleep(1.3)
        for _ in range(2):
            self.pub.ping()

    def publish(self, topic: str, count: int = 1) -> None:
        for _ in range(count):
            self.assertLess(self.pub.publish(topic, b"x"), 0x80)
        self.messages += count

    def syncs(self) -> int:
        return self.wait_stat("messages", self.messages)["journal_syncs"]

    def test_how_often_it_syncs(self):
        """strict: for each ack. process and none: once a second. A commit: once, however many records."""
        before = self.syncs()
        self.publish("safe/t", COUNT)
        self.assertGreaterEqual(self.syncs() - before, COUNT)
        for topic in ("fast/t", "loose/t"):
            before, begin = self.syncs(), time.monotonic()
            self.publish(topic, COUNT)
            rise = self.syncs() - before
            most = 2 * (time.monotonic() - begin + 1)  # what the other one had is synced meanwhile, too
            self.assertLessEqual(rise, min(most, COUNT // 2), f"{topic}: {COUNT} messages, {rise} syncs")
        self.settle()
        hub = self.tls_client("hub", "tombolo-syncd")
        self.assertLess(hub.publish(COMMIT, commit(1, 1)), 0x80)
        before = self.wait_stat("committed", 1)["journal_syncs"]
        self.assertLess(hub.publish(COMMIT, commit(2, 101)), 0x80)
        self.assertEqual(self.wait_stat("committed", 101)["journal_syncs"] - before, 1)
        self.assertLess(hub.publish(COMMIT, commit(2, 101)), 0x80)
        self.assertEqual(self.wait_stat("commit_repeats", 100)["journal_syncs"] - before, 1, "nothing was new")

    def ack_while_held(self, client: Raw, topic: str, payload: bytes, patience_s: float = HOLD_S) -> bool:
        """Whether the ack comes while no sync does; when none comes, it must come after."""
        self.hold.touch()
        client.send(topic, payload)
        client.sock.settimeout(patience_s)
        try:
            self.assertLess(client.ack(), 0x80)
            return True
        except TimeoutError:
            self.hold.unlink()
            client.sock.settimeout(PATIENCE_S)
            self.assertLess(client.ack(), 0x80)
            return False
        finally:
            self.hold.unlink(missing_ok=True)

    def test_the_ack_of_strict_and_of_a_commit_waits_for_the_disk_and_others_do_not(self):
        self.assertFalse(self.ack_while_held(self.pub, "safe/t", b"x"))
        self.assertFalse(self.ack_while_held(self.tls_client("hub", "tombolo-syncd"), COMMIT, commit(1, 5)))
        for topic in ("fast/t", "loose/t"):
            self.assertTrue(self.ack_while_held(self.pub, topic, b"x", PATIENCE_S), topic)
            self.settle()
        self.assertEqual(len(self.journal(2, stream="loose")), 2, "none: in the file a moment later")


class PubrecTest(unittest.TestCase):
    def test_a_message_acked_with_pubrec_is_at_the_hub(self):
        """The site's broker is killed before the PUBREL comes, and its publisher never does again."""
        lab = Lab()
        self.addCleanup(lab.close)
        hub = lab.node("hub", has_children=True)
        s1 = lab.node("s1", parent=hub)
        lab.start()
        ear = Ear("ear", hub.broker.port)
        self.addCleanup(ear.halt)
        for version in (4, 5):
            s1.link.cut("reset")  # it is not that it was faster than the kill
            client = Raw(s1.broker.port, f"pub-{version}", version)
            client.send(f"two/{version}", b"recorded", 2)
            self.assertEqual(client.ack(PUBREC), 0)
            s1.broker.kill9()
            client.sock.close()
            s1.broker.start()
            self.assertEqual(ear.of(f"s1/two/{version}"), [])
            s1.link.heal()
            self.assertEqual([m.payload for m in ear.wait(f"s1/two/{version}")], [b"recorded"])
        topics = [record["topic"] for record in journal.dump(hub, lab.built)]
        self.assertEqual(topics, ["s1/two/4", "s1/two/5"])


if __name__ == "__main__":
    unittest.main()
