# SPDX-License-Identifier: Apache-2.0
"""Commits: what a node's own syncd hands to the plugin is in the log once and published once, whatever is
repeated, refused or killed in between."""

import os
import shutil
import subprocess
import unittest
from pathlib import Path

from plugin_lab import PATIENCE_S, PluginTest
from plugin_raw import encode_record, user_property
from tombolo_lab.net import wait_until

COMMIT = "$tombolo/v1/commit"
LIFE, OTHER_LIFE = bytes(range(16)), bytes(range(1, 17))


def batch(first: int, last: int, life: bytes = LIFE, size: int = 0, child: str = "s1", **options) -> bytes:
    """Records first..last of child's stream `default`, as one commit."""
    return b"\x01" + b"".join(
        encode_record(f"{child}/t", b"%d" % number + b" " * size, origin=(child, life, "default", number), **options)
        for number in range(first, last + 1))


class CommitTest(PluginTest):
    needs_certificates = True

    def setUp(self):
        super().setUp()
        daemon = self.broker.daemon
        daemon.command = ["env", "--ignore-signal=XFSZ", *daemon.command]
        self.broker.start()
        self.hub = self.tls_client("hub", "tombolo-syncd")

    def restart(self):
        self.broker.kill9()
        self.broker.start()
        self.hub = self.tls_client("hub", "tombolo-syncd")

    def commit(self, payload: bytes) -> None:
        self.assertLess(self.hub.publish(COMMIT, payload), 0x80)

    def numbers(self, records) -> list:
        return [int(record["payload"]) for record in records]

    def heard(self, messages) -> list:
        return [int(message[1]) for message in messages]

    def test_is_kept_and_published_as_it_was(self):
        listener = self.client("listener", 5)
        listener.subscribe("#", 2)
        props = b"\x01\x01" + user_property("k", "v")
        origin = ("s9", LIFE, "alarms", 7)
        payload = b"\x01" + b"".join((
            encode_record("s1/ü", b"a", origin=("s1", LIFE, "alarms", 1), qos=0),
            encode_record("s1/kept", b"", origin=("s1", LIFE, "alarms", 2), qos=1, retain=True, props=props),
            encode_record("s9/t", b"far", origin=origin, via=("s1", LIFE, "alarms", 3), qos=2)))
        self.commit(payload)
        wanted = [("s1/ü", b"a", 0, b""), ("s1/kept", b"", 1, props), ("s9/t", b"far", 2, b"")]
        self.assertEqual([(t, p, q, props) for t, p, q, _, props in listener.receive_all()], wanted)
        records = self.journal(3)
        self.assertEqual([(r["topic"], r["payload"], r["qos"], r["props"]) for r in records], wanted)
        self.assertEqual([r["retain"] for r in records], [False, True, False])
        self.assertEqual(records[2]["origin"], {"node": "s9", "incarnation": LIFE, "stream": "alarms", "seq": 7})
        self.assertEqual(records[2]["via"]["seq"], 3)
        self.assertEqual([r["seq"] for r in records], [1, 2, 3])
        self.assertTrue(all(r["stamp"] for r in records))

    def test_repeats_are_dropped_across_kills(self):
        self.session("sub", "s1/#")
        self.commit(batch(1, 10))
        self.commit(batch(1, 10))
        self.commit(batch(8, 12))
        self.restart()  # known from the replayed journal
        self.commit(batch(11, 15))
        self.snapshot()
        self.restart()  # known from the checkpoint
        self.commit(batch(1, 16))
        self.commit(batch(1, 2, OTHER_LIFE))
        self.commit(batch(1, 2, child="s2"))
        self.assertEqual(self.numbers(self.journal()), list(range(1, 17)) + [1, 2, 1, 2])
        self.assertEqual(self.heard(self.come_back("sub")), list(range(1, 17)) + [1, 2])
        self.assertEqual(self.wait_stat("commit_repeats", 15)["commit_repeats"], 15)

    def by(self, child: str, first_via: int, numbers) -> bytes:
        """Records of s1 with these numbers, handed on by another child, which numbers them from first_via."""
        life = LIFE if child == "a" else OTHER_LIFE
        return b"\x01" + b"".join(
            encode_record("s1/t", b"%d" % number, origin=("s1", LIFE, "default", number),
                          via=(child, life, "default", first_via + i)) for i, number in enumerate(numbers))

    def test_what_another_child_has_brought_is_dropped_and_what_it_lacked_is_not(self):
        """s1 moved from a to b: a held 61..100 back, and s1's own log began at 81 by then."""
        self.commit(self.by("a", 1, range(1, 61)))
        self.commit(self.by("b", 1, range(81, 111)))
        self.snapshot()
        self.restart()  # the hole 61..80 is known from the checkpoint
        self.commit(self.by("b", 31, range(111, 121)))
        self.restart()  # and 111.. from the replayed journal
        self.commit(self.by("a", 61, range(61, 101)))
        self.commit(self.by("b", 41, range(119, 123)))
        self.commit(batch(75, 123))  # s1 comes here itself
        self.assertEqual(self.numbers(self.journal(123)),
                         [*range(1, 61), *range(81, 121), *range(61, 81), 121, 122, 123])
        self.assertEqual(self.wait_stat("origin_repeats", 20 + 2 + 48)["origin_repeats"], 70)

    def test_a_clean_stop_right_after_a_commit(self):
        for life in range(6):
            self.session(f"sub{life}", "s1/#")
            self.commit(batch(life * 10 + 1, life * 10 + 10))
            own = self.client("own")
            own.publish("s1/own", b"0")
            self.commit(batch(1, 5, bytes([life] * 16)))
            self.assertEqual(self.broker.stop(), 0)
            self.broker.start()
            self.hub = self.tls_client("hub", "tombolo-syncd")
            got = self.heard(self.come_back(f"sub{life}"))
            self.assertEqual(got, [*range(life * 10 + 1, life * 10 + 11), 0, 1, 2, 3, 4, 5])

    def test_a_new_journal_has_seen_nothing(self):
        """<data_dir>/checkpoint is left over when only the journal is moved away."""
        self.commit(batch(1, 50))
        for _ in range(2):  # checkpoint and checkpoint.old
            self.commit(batch(51, 51))
            self.snapshot()
        self.broker.stop()
        (self.data / "journal").rename(self.data / "journal.away")
        self.broker.start()
        self.assertGreater(self.broker.daemon.log().count("of another journal"), 0)
        self.hub = self.tls_client("hub", "tombolo-syncd")
        self.commit(batch(1, 50))
        self.commit(batch(50, 52))
        self.assertEqual(self.numbers(self.journal(52)), list(range(1, 53)))

    def test_bad_commits_are_refused_whole(self):
        good = encode_record("s1/t", b"1", origin=("s1", LIFE, "default", 1))
        flipped = bytearray(good)
        flipped[-1] ^= 1
        bad = {
            "version": b"\x02" + good, "nothing in it": b"\x01", "rubbish": b"\x01rubbish",
            "cut": b"\x01" + good[:-1], "flipped": b"\x01" + bytes(flipped), "tail": b"\x01" + good + b"x",
            "no source": b"\x01" + encode_record("s1/t", b"1"),
            "dollar": b"\x01" + encode_record("$x", b"1", origin=("s1", LIFE, "default", 1)),
            "wildcard": b"\x01" + encode_record("s1/#", b"1", origin=("s1", LIFE, "default", 1)),
            "number 0": b"\x01" + encode_record("s1/t", b"1", origin=("s1", LIFE, "default", 0)),
            "properties": b"\x01" + encode_record("s1/t", b"1", origin=("s1", LIFE, "default", 1), props=b"\x63"),
            "two children": b"\x01" + good + encode_record("s2/t", b"1", origin=("s2", LIFE, "default", 2)),
            "two lives": b"\x01" + good + encode_record("s1/t", b"1", origin=("s1", OTHER_LIFE, "default", 2)),
            "good, then bad": b"\x01" + good + bytes(flipped),
        }
        for name, payload in bad.items():
            self.assertEqual(self.hub.publish(COMMIT, payload), 0x87, name)
        self.assertEqual(self.hub.publish(COMMIT, b""), 0x87, "syncd's question whether a plugin is here")
        self.assertEqual(self.journal(), [])
        self.commit(batch(1, 1))
        self.assertEqual(self.numbers(self.journal(1)), [1])
        self.assertEqual(self.wait_stat("commits_refused", len(bad))["commits_refused"], len(bad))
        self.assertIn("a commit of 1 bytes is refused", self.broker.daemon.log())
        self.assertNotIn("a commit of 0 bytes", self.broker.daemon.log())

    def test_a_commit_that_half_fits_on_the_disk(self):
        """The disk fills in the middle of a batch; what got into the log counts once, the repeat adds the rest."""
        listener = self.client("listener", 5)
        listener.subscribe("s1/#", 1)
        self.commit(batch(1, 2))
        self.assertEqual(len(listener.receive_all()), 2)
        big = batch(3, 62, size=49_000)  # some 3 MB, more than the journal's buffer
        for size in ("400000", "0"):
            self.allow(size)
            self.assertEqual(self.hub.publish(COMMIT, big), 0x87)
        self.assertGreater(self.wait_stat("journal_failures", 1)["journal_failures"], 0)
        self.allow("unlimited")
        self.commit(big)
        self.commit(batch(60, 64))
        wait_until(lambda: len(self.journal(check=False)) >= 64, PATIENCE_S, "64 records")
        self.assertEqual(self.numbers(self.journal(check=False)), list(range(1, 65)))
        self.assertEqual(self.heard(listener.receive_all(1)), list(range(3, 65)))

    def test_a_segment_file_that_was_removed(self):
        """Its numbers are known to the checkpoint, and to the parent: they are not given again."""
        client = self.client("t", 5)
        for i in range(5):
            client.publish("t/a", b"%d" % i)
        self.snapshot()
        self.broker.kill9()
        for file in (self.data / "journal" / "default").glob("*.seg"):
            file.unlink()
        self.broker.start()
        client = self.client("t", 5)
        client.publish("t/a", b"after")
        log = self.broker.daemon.log()
        self.assertIn("records 1 to 5 are gone", log)
        self.assertRegex(log, r"Numbers 6 to \d+ are passed over, .* going on at \d+\n")
        self.assertNotIn("success", log)
        tool = Path(os.environ["TMB_BUILD"]) / "clients/cli/tombolo-journal"
        said = subprocess.run([tool, "verify", self.data], capture_output=True, text=True, timeout=60).stdout
        self.assertIn("default: records 1 to 5 lost", said)
        self.assertRegex(said, r"default: records 6 to \d+ never acknowledged")
        records = self.journal(1, check=False)
        self.assertEqual([record["payload"] for record in records], [b"after"])
        self.assertGreater(records[0]["seq"], 5)

    def test_a_disk_that_stays_full_between_the_tries(self):
        """The child tries again each second while the disk is full: what was refused must not count as stored when
        it is read back, for it is taken out of the log as soon as there is space."""
        self.broker.stop()
        shutil.rmtree(self.data)
        self.data.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(self.data)], capture_output=True)
        if done.returncode != 0:
            self.skipTest("mounting a small disk needs root")
        self.addCleanup(subprocess.run, ["umount", "-l", str(self.data)], check=True)
        self.broker.start()
        self.hub = self.tls_client("hub", "tombolo-syncd")
        listener = self.client("listener", 5)
        listener.subscribe("s1/#", 1)
        self.commit(batch(1, 2))
        big = batch(3, 62, size=49_000)
        self.assertEqual([self.hub.publish(COMMIT, big) for _ in range(4)], [0x87] * 4)
        subprocess.run(["mount", "-o", "remount,size=16m", str(self.data)], check=True)
        self.commit(big)
        self.commit(batch(63, 64))
        self.assertEqual(self.numbers(self.journal(check=False)), list(range(1, 65)))
        self.assertEqual(self.heard(listener.receive_all(1)), list(range(1, 65)))

    def allow(self, size: str) -> None:
        done = subprocess.run(["prlimit", f"--pid={self.broker.daemon.pid}", f"--fsize={size}:"],
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)


if __name__ == "__main__":
    unittest.main()
