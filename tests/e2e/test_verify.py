# SPDX-License-Identifier: Apache-2.0
"""tombolo-journal verify over a node's folder: every damaged range of every file is named, with what the parent
has of it; and nothing that cannot be read is taken for empty."""

import json
import os
import shutil
import subprocess
import unittest

from tombolo_lab import Lab
from tombolo_lab.net import wait_until
from tombolo_lab.node import Settings
from tombolo_lab.talker import Talker

NOBODY = 65534
OLD, NEW = 9, 5  # messages carried up, and not
PAYLOAD = 400 * 1024
STREAMS = (("big", '["big/#"]', "process"), ("small", '["small/#"]', "strict"))


class VerifyTest(unittest.TestCase):
    """A site that has carried OLD messages of a stream up, and then lost its link: NEW are here alone."""

    @classmethod
    def setUpClass(cls):
        cls.lab = Lab()
        cls.addClassCleanup(cls.lab.close)
        cls.hub = cls.lab.node("hub", has_children=True)
        cls.s1 = cls.lab.node("s1", parent=cls.hub,
                              settings=Settings(streams=STREAMS, more="journal:\n  segment_bytes: 1MiB\n"))
        cls.lab.start()
        with Talker(cls.s1.broker.port, "pub") as pub:
            for i in range(OLD):
                assert pub.publish("big/t", bytes([65 + i]) * PAYLOAD) == 0
                assert pub.publish("small/t", f"small-{i}") == 0
            wait_until(lambda: cls.marks() == {"big": OLD, "small": OLD}, 30, lambda: f"{cls.marks()}")
            cls.s1.link.cut("reset")
            for i in range(OLD, OLD + NEW):
                assert pub.publish("big/t", bytes([65 + i]) * PAYLOAD) == 0
                assert pub.publish("small/t", f"small-{i}") == 0
        cls.s1.stop()
        cls.whole = cls.lab.folder / "whole"
        shutil.copytree(cls.s1.folder, cls.whole)

    @classmethod
    def marks(cls) -> dict:
        file = cls.s1.data / "uplink.marks"
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        return {w[1]: int(w[2]) for w in map(str.split, lines) if w[0] == "stream"}

    def setUp(self):
        """Each test spoils its own copy of the data folder."""
        shutil.rmtree(self.s1.folder)
        shutil.copytree(self.whole, self.s1.folder)
        self.data = self.s1.data
        self.db = self.s1.broker.persistence / "mosquitto.db"

    def verify(self, *args: str, user=None) -> subprocess.CompletedProcess:
        return subprocess.run([self.lab.built.journal, "verify", str(self.data), *args], capture_output=True,
                              text=True, timeout=60, **({"user": user} if user else {}))

    def spoil(self, stream: str, payload: bytes):
        """Turns a bit in the middle of the record with that payload."""
        for segment in sorted((self.data / "journal" / stream).glob("*.seg")):
            at = segment.read_bytes().find(payload)
            if at >= 0:
                with open(segment, "r+b") as file:
                    file.seek(at)
                    file.write(bytes([payload[0] ^ 1]))
                return segment
        raise AssertionError(f"{payload[:20]} is nowhere")

    def check(self, code: int, *wanted: str) -> str:
        done = self.verify("--snapshot", str(self.db))
        said = done.stdout + done.stderr
        self.assertEqual(done.returncode, code, said)
        for text in wanted:
            self.assertIn(text, said)
        return said

    def test_a_whole_node_is_good(self):
        said = self.check(0)
        self.assertEqual(len(said.splitlines()), 2, said)
        found = json.loads(self.verify("-o", "json", "--snapshot", str(self.db)).stdout)
        self.assertEqual((found["identity"], found["damaged"], found["parent"]), ("good", False,
                                                                                 {"node": "hub", "top": True}))
        self.assertTrue({f["state"] for f in found["files"]} == {"good"}, found["files"])
        names = {f["file"] for f in found["files"]}
        self.assertTrue({"uplink.marks", "checkpoint", str(self.db)} <= names, names)

    def test_what_the_parent_has_is_told(self):
        self.spoil("small", b"small-2")
        self.spoil("small", f"small-{OLD + 1}".encode())
        said = self.check(1, "record 3 damaged on this disk; at hub already, nothing lost",
                          f"record {OLD + 2} damaged on this disk; not at hub: lost", "big: good")
        self.assertEqual(said.count("damaged on this disk"), 2)
        found = json.loads(self.verify("small", "-o", "json").stdout)["streams"][0]["findings"]
        self.assertEqual([(f["first_seq"], f["last_seq"], f["parent"]) for f in found],
                         [(3, 3, {"node": "hub", "at_parent": 1, "not_there": 0, "unknown": 0}),
                          (OLD + 2, OLD + 2, {"node": "hub", "at_parent": 0, "not_there": 1, "unknown": 0})])
        (self.data / "uplink.marks").unlink()
        self.check(1, "record 3 lost: the bytes on disk are damaged")

    def test_a_removed_file(self):
        segments = sorted((self.data / "journal/big").glob("*.seg"))
        self.assertGreater(len(segments), 4)
        first, behind = (int(s.stem) for s in segments[1:3])
        segments[1].unlink()
        self.check(1, f"records {first} to {behind - 1} gone with a segment file; at hub already, nothing lost")
        across = next(i for i, s in enumerate(segments) if int(s.stem) <= OLD < int(segments[i + 1].stem) - 1)
        first, last = int(segments[across].stem), int(segments[across + 1].stem) - 1
        segments[across].unlink()
        self.check(1, f"records {first} to {last} gone with a segment file; {OLD - first + 1} of {last - first + 1} at "
                      f"hub already, {last - OLD} not: lost")

    def test_a_removed_end(self):
        """The newest files: no checksum can miss them, the parent and the checkpoint do."""
        for segment in sorted((self.data / "journal/big").glob("*.seg"))[1:]:
            segment.unlink()
        self.check(1, f"to {OLD + NEW} missing at the end: a file removed or cut off", f"at hub already, {NEW} not: lost")
        found = json.loads(self.verify("big", "-o", "json").stdout)["streams"][0]["findings"]
        self.assertEqual([(f["reason"], f["last_seq"], f["at_end"]) for f in found], [("missing", OLD + NEW, True)])

    def test_all_files_of_a_stream_are_gone(self):
        for harm in (lambda folder: shutil.rmtree(folder), lambda folder: folder.mkdir()):
            harm(self.data / "journal/big")
            self.check(1, f"big: records 1 to {OLD + NEW} missing at the end", f"at hub already, {NEW} not: lost",
                       "big: DAMAGED: 0 records", "small: good")
            found = {s["stream"]: s for s in json.loads(self.verify("-o", "json").stdout)["streams"]}
            self.assertEqual([(f["reason"], f["last_seq"]) for f in found["big"]["findings"]],
                             [("missing", OLD + NEW)])
        for name in ("checkpoint", "checkpoint.old"):
            (self.data / name).unlink(missing_ok=True)
        self.check(1, f"big: records 1 to {OLD} missing at the end")  # the parent knows of it

    def test_the_broker_says_it_at_its_start(self):
        self.spoil("small", b"small-3")
        self.spoil("small", f"small-{OLD}".encode())
        os.truncate(self.data / "checkpoint", 0)
        (self.data / "checkpoint.old").unlink(missing_ok=True)
        self.s1.broker.start()
        try:
            log = self.s1.broker.daemon.log()
            self.assertIn("number 4; at hub already, nothing lost", log)
            self.assertIn(f"number {OLD + 1}; not at hub: lost", log)
        finally:
            self.s1.broker.stop()

    def test_a_bit_in_every_other_file(self):
        for name, words in (("uplink.marks", "uplink.marks: damaged"), ("checkpoint", "checkpoint: damaged"),
                            ("journal/identity", "identity: damaged")):
            file = self.data / name
            good = file.read_bytes()
            for at in range(0, len(good), max(1, len(good) // 12)):
                file.write_bytes(good[:at] + bytes([good[at] ^ 16]) + good[at + 1:])
                self.check(1, words)
            for length in (0, 1, len(good) - 1):
                file.write_bytes(good[:length])
                self.check(1, words)
            file.write_bytes(good)
        with open(self.data / "loss.pending", "r+b") as file:
            whole = file.read()
            for bad in (b"TMBL" + bytes(range(100)), b"TMBL"):  # an entry that is none, and the head of one
                file.seek(0)
                file.truncate()
                file.write(bad)
                file.flush()
                self.check(1, "loss.pending: damaged")
            file.seek(0)
            file.truncate()
            file.write(whole)
        good, times = self.db.read_bytes(), self.db.stat()
        for bad in (good[:-1], good[:50] + bytes([good[50] ^ 1]) + good[51:]):
            self.db.write_bytes(bad)
            os.utime(self.db, ns=(times.st_atime_ns, times.st_mtime_ns))  # a disk that goes bad tells no time
            self.check(1, "mosquitto.db: damaged")
        self.db.write_bytes(good)
        self.check(0)

    def test_a_folder_where_a_file_should_be(self):
        newest = sorted((self.data / "journal/big").glob("*.seg"))[-1]
        for file in (newest, self.data / "uplink.marks", self.data / "checkpoint", self.data / "journal/identity",
                     self.db):
            os.rename(file, self.lab.folder / "aside")
            file.mkdir()
            said = self.check(3, "cannot be read" if file == newest else file.name)
            self.assertIn("small: good", said)  # it went on with the others
            if file == newest:
                self.assertIn(file.name, said)
            file.rmdir()
            os.rename(self.lab.folder / "aside", file)
        self.check(0)

    def test_a_name_without_a_file_is_an_error(self):
        link = self.data / "journal/big/00000000000000088888.seg"
        link.symlink_to("/nonexist")
        self.check(3, f"{link.name}, from byte 0 on: cannot be read", "small: good")
        for command in ("list", "dump"):
            done = subprocess.run([self.lab.built.journal, command, str(self.data)], capture_output=True, text=True,
                                  timeout=60)
            self.assertEqual(done.returncode, 3, (command, done.stdout[-300:], done.stderr))
            self.assertIn(link.name, done.stderr)
            if command == "list":
                self.assertRegex(done.stdout, "small +1 ")
        link.unlink()
        self.check(0)

    @unittest.skipIf(os.geteuid() != 0, "who is not root cannot be somebody else")
    def test_what_may_not_be_read_is_not_taken_for_empty(self):
        for path in (self.lab.folder, self.s1.folder, self.data, self.data / "journal"):
            os.chmod(path, 0o755)
        for path in self.data.rglob("*"):
            os.chmod(path, 0o755 if path.is_dir() else 0o644)
        self.assertEqual(self.verify(user=NOBODY).returncode, 0)
        middle = sorted((self.data / "journal/big").glob("*.seg"))[2]
        for path, words in ((self.data / "journal/small", "journal/small: permission denied"),
                            (middle, f"{middle.name}, from byte 0 on: cannot be read"),
                            (self.data / "uplink.marks", "uplink.marks: permission denied"),
                            (self.data / "checkpoint", "checkpoint: "),
                            (self.data / "journal/identity", "identity: permission denied"),
                            (self.data / "journal", "journal: permission denied")):
            mode = path.stat().st_mode
            os.chmod(path, 0)
            done = self.verify(user=NOBODY)
            self.assertEqual(done.returncode, 3, (path, done.stdout, done.stderr))
            self.assertIn(words, done.stdout + done.stderr)
            for command in ("list", "dump") if path.name == "small" else ():
                done = subprocess.run([self.lab.built.journal, command, str(self.data)], capture_output=True,
                                      text=True, timeout=60, user=NOBODY)
                self.assertEqual(done.returncode, 3, (command, done.stdout[-300:], done.stderr))
            os.chmod(path, mode)
        # Behind the file that could not be read all else was.
        os.chmod(middle, 0)
        self.spoil("big", bytes([65 + OLD + NEW - 2]) * 100)
        self.assertIn(f"record {OLD + NEW - 1} damaged on this disk; not at hub: lost", self.verify(user=NOBODY).stdout)


if __name__ == "__main__":
    unittest.main()
