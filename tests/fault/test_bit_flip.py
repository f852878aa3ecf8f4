# SPDX-License-Identifier: Apache-2.0
"""Every file of a node goes bad on its disk, one after the other: a bit turns over, or the end is missing. Then the
node is started.

It starts, or ends with a word and starts when it is started again, or, when Mosquitto cannot read its own database,
after the cure that docs/operations.md names. `tombolo-journal verify` names every damaged range of the journal. No
record is given to anybody that was not written so; what was acked and lies outside the damaged bytes is delivered
to the lasting session, and what is damaged is counted when it is met: at the start by the plugin, which reads what
its checkpoint lacks.

TMB_SEED. TMB_LONG=1: many places in each file.
"""

import json
import os
import random
import shutil
import subprocess
import tempfile
import threading
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import damage
from one_node import STATS, OneNode
from tombolo_lab.net import wait_until
from tombolo_lab.node import programs

SEED = int(os.environ.get("TMB_SEED") or random.SystemRandom().randrange(1 << 32))
LONG = bool(os.environ.get("TMB_LONG"))
FLIPS, CUTS = (40, 12) if LONG else (3, 2)
LANES = 2


class NodeTest(unittest.TestCase):
    def setUp(self):
        print(f"seed {SEED}", flush=True)
        self.folder = Path(tempfile.mkdtemp(prefix="tombolo-flip-"))
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.draw = random.Random(SEED)
        self.tool = programs().journal
        self.template = OneNode(self.folder / "template")
        self.template.broker.start()
        self.template.make_session()
        count = 0
        for messages in (9, 9, 10):
            self.template.snapshot()
            self.first_replayed = count
            for _ in range(messages):
                payload = b"%03d." % count + self.draw.randbytes(self.draw.randrange(1200))
                self.assertTrue(self.template.publish(payload))
                count += 1
        self.template.end("kill")
        self.lock = threading.Lock()
        self.told, self.restarts, self.cured, self.counted = [], 0, 0, 0

    def excused(self, path: Path, where: int, is_cut: bool) -> set:
        """The payloads whose bytes are no longer there."""
        if path.suffix != ".seg":
            return set()
        gone = [body for begin, end, body in damage.records_of(path)
                if (end > where if is_cut else begin <= where < end)]
        return {payload for payload in self.template.acked for body in gone if body.endswith(payload)}

    def start(self, node: OneNode) -> str:
        """Gives what is wrong."""
        for _ in range(2):
            node.broker.start(wait=False)
            wait_until(lambda: node.broker.answers() or not node.daemon.is_alive(), 20, "the broker, or its end")
            if node.daemon.is_alive():
                return ""
            log = node.daemon.log()
            if node.broker.stop() < 0:
                return f"ended by signal {-node.broker.stop()}"
            if "tombolo: " not in log:
                break  # Mosquitto could not read its database, and did not come to the plugin
            self.restarts += 1
        else:
            return "two starts were not enough"
        if "Error" not in log:
            return "the start failed and nothing says why"
        self.cured += 1
        os.replace(node.db_file, f"{node.db_file}.damaged")
        os.replace(f"{node.db_file}.kept.old", node.db_file)
        os.replace(node.data / "checkpoint.old", node.data / "checkpoint")
        node.broker.start()
        return ""

    def verify(self, node: OneNode, place: Path, where: int, is_cut: bool) -> str:
        """What it says when it does not name the damage: the file, and of a segment the range that has the byte. A segment
        cut between two records is only known by the numbers that are missing. The last record cut off looks like one that
        was being written when the power went: told, and no damage."""
        done = subprocess.run([self.tool, "verify", "-o", "json", str(node.data)], capture_output=True, text=True,
                              timeout=60, check=False)
        said = json.loads(done.stdout)
        findings = [finding for stream in said["streams"] for finding in stream["findings"]]
        mine = [finding for finding in findings if finding.get("file") == place.name]
        segments = sorted(int(file.stem) for file in (self.template.data / "journal/default").glob("*.seg"))
        if place.suffix != ".seg":
            is_told = place.name == "identity" and said["identity"] != "good"
        elif is_cut:
            behind = [base for base in segments if base > int(place.stem)]
            is_told = bool(mine) or any(behind and each["first_seq"] >= int(place.stem) and
                                        (each["reason"], each["last_seq"]) == ("missing", behind[0] - 1) for each in findings)
        else:
            is_told = any(each["offset"] <= where < each["offset"] + each["bytes"] for each in mine)
        is_newest = place.name == f"{segments[-1]:020d}.seg"
        is_torn = is_cut and is_newest and done.returncode == 0 and said["streams"][0]["torn_bytes"] > 0
        is_good = is_torn or (is_told and done.returncode == 1)
        return "" if is_good else f"{done.stdout}{done.stderr} (exit {done.returncode})"

    def judge(self, node: OneNode, excused: set, is_journal: bool) -> list:
        found = []
        dumped = subprocess.run([self.tool, "dump", "-o", "json", str(node.data)], capture_output=True, timeout=60,
                                check=False)
        if dumped.returncode > 1:
            found.append(f"dump: {dumped.stderr.decode()}")
        client = node.connect("stats")
        client.subscribe(STATS)
        stats = json.loads(client.receive()[1])
        client.close()
        is_counted = stats["journal_damaged_ranges"] + stats["gaps"] + stats["journal_torn_bytes"] > 0
        self.counted += is_journal and is_counted
        if excused.intersection(self.template.acked[self.first_replayed:]) and not is_counted:
            found.append(f"the damage is not counted: {stats}")
        heard = node.waiting(set(self.template.acked) - excused)
        if heard is None:
            return found + ["the session is gone"]
        sent = set(self.template.acked)
        wrong = [payload[:8] for payload in heard if payload not in sent]
        if wrong:
            found.append(f"delivered and never sent: {wrong}")
        lost = [payload[:8] for payload in self.template.acked if payload not in set(heard) | excused]
        if lost:
            found.append(f"acked, not damaged and not delivered: {lost}")
        if not node.publish(b"and on"):
            found.append("it does not work again")
        return found

    def run_case(self, number: int, place: Path, where: int, bit: int) -> None:
        """bit < 0: the file ends there."""
        node = OneNode(self.folder / f"case-{number}")
        shutil.rmtree(node.db_file.parent)
        damage.copy(self.template.data, node.data)
        damage.copy(self.template.db_file.parent, node.db_file.parent)
        root = node.folder
        excused = self.excused(root / place, where, bit < 0)
        is_journal = place.parts[:2] == ("data", "journal")
        if bit < 0:
            damage.cut(root / place, where)
        else:
            damage.flip(root / place, where, bit)
        found = []
        try:
            if is_journal and (bit >= 0 or excused):
                said = self.verify(node, place, where, bit < 0)
                if said:
                    found.append(f"verify does not name it: {said}")
            wrong = self.start(node)
            found += [wrong] if wrong else self.judge(node, excused, is_journal)
            node.end("kill")
        except Exception as error:  # pylint: disable=broad-except
            found.append(f"{type(error).__name__}: {error}")
            node.broker.stop()
        with self.lock:
            if found:
                what = f"cut at {where}" if bit < 0 else f"bit {bit} of byte {where}"
                self.told.append(f"{place}, {what}: {'; '.join(found)}\n{node.daemon.tail(8)}")
        shutil.rmtree(root)

    def test_every_file_of_a_node(self):
        cases = []
        places = [place for place in damage.files_below(self.template.folder) if place.parts[0] in ("data", "broker")]
        for place in places:
            size = (self.template.folder / place).stat().st_size
            cases += [(place, self.draw.randrange(size), self.draw.randrange(8)) for _ in range(FLIPS)]
            cases += [(place, self.draw.randrange(size), -1) for _ in range(CUTS)]
        names = {place.name for place in places}
        self.assertTrue({"identity", "checkpoint", "checkpoint.old", "mosquitto.db", "mosquitto.db.kept.old",
                         "mosquitto.db.seal"} <= names, names)
        with ThreadPoolExecutor(LANES) as lanes:
            list(lanes.map(lambda each: self.run_case(each[0], *each[1]), enumerate(cases)))
        print(f"{len(cases)} cases in {len(places)} files; {self.restarts} starts ended with a word, {self.cured} by "
              f"Mosquitto, {self.counted} counted damage of the journal", flush=True)
        self.assertEqual(self.told, [], "\n".join(self.told))
        self.assertGreater(self.restarts + self.cured, 0, "no damage of the database was met")
        self.assertGreater(self.counted, 0)


if __name__ == "__main__":
    unittest.main()
