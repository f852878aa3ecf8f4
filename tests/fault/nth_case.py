# SPDX-License-Identifier: Apache-2.0
"""The life of a broker that a fault is put into, again and again at another place; see test_nth_call.py."""

import errno
import itertools
import os
import random
import shutil
import tempfile
import threading
import time
import unittest
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from failing import Disk
from one_node import OneNode, wait_ended

SEED = int(os.environ.get("TMB_SEED") or random.SystemRandom().randrange(1 << 32))
LONG = bool(os.environ.get("TMB_LONG"))
LANES = 4  # most of a life is waiting
LEVELS = ("strict", "group")  # drawn for each case
PAD = b"." * 900
SOON_S = 30  # a message that is refused for so long after the fault is over will never be acked


@dataclass(frozen=True)
class Case:
    op: str         # of failing.OPS; several with a + between count as one kind
    at: int
    error: int
    count: int      # how many calls from there; 0: all until the middle of the life
    half: bool = False
    end: str = "stop"
    level: str = "strict"

    def __str__(self):
        what = "comes short" if self.half else errno.errorcode[self.error]
        many = {0: " and on", 1: ""}.get(self.count, f" and {self.count - 1} more")
        return f"{self.op} {self.at}{many}: {what}, then {self.end}; {self.level}"


class Life:
    """One case, in a folder of its own."""

    def __init__(self, folder: Path, template: OneNode, library: str, level: str):
        self.node = OneNode(folder, level)
        self.node.copy_from(template)
        self.disk = Disk(folder, [self.node.data, self.node.db_file.parent])
        self.node.daemon.env = self.disk.env(library)
        self.start_failed = False

    def start(self, case: Case) -> str:
        """Gives what is wrong; a broker that was hit in its start may have ended, with a word."""
        self.node.broker.start(wait=False)
        end = time.monotonic() + 20
        while not self.node.broker.answers():
            if not self.node.daemon.is_alive():
                break
            if time.monotonic() > end:
                return "no answer 20 s after the start"
            time.sleep(0.01)
        if self.node.daemon.is_alive():
            return ""
        self.start_failed = True
        log = self.node.daemon.log()
        if self.node.broker.stop() < 0:
            return f"the start ended by signal {-self.node.broker.stop()}"
        if "Error" not in log and "tombolo: " not in log:
            return "the start failed and nothing says why"
        self.disk.disarm()
        self.node.broker.start()
        return ""

    def is_of_the_broker(self, case: Case) -> str:
        """Which of the two things that are Mosquitto's own the fault has met."""
        if not self.disk.last.endswith("mosquitto.db"):
            return ""
        if case.op == "open" and case.at == 1 and case.count == 1:
            return "starts without sessions"
        if case.op != "rename":
            return ""
        try:
            wait_ended(self.node, 0.5)
        except TimeoutError:
            return ""
        return "ends"

    def insist(self, send) -> str:
        end = time.monotonic() + SOON_S
        while time.monotonic() < end:
            if send():
                return ""
            time.sleep(0.05)  # after ENOSPC the disk is looked at again after a while
        return f"refused for {SOON_S} s"

    def live(self, case: Case) -> str:
        """Gives what is wrong: nothing, hopefully."""
        try:
            return self.live_on(case)
        except (ConnectionError, TimeoutError) as error:
            return "" if self.is_of_the_broker(case) == "ends" else f"{type(error).__name__}: {error}"

    def live_on(self, case: Case) -> str:
        node, fresh = self.node, (b"%d" % number + PAD for number in itertools.count())
        wrong = self.start(case)
        if wrong:
            return wrong
        pid = node.daemon.pid
        for qos in (1, 2, 1):
            node.publish(next(fresh), qos)
        node.snapshot()
        for qos in (1, 1, 2, 1):
            node.publish(next(fresh), qos)
        node.publish_numbered(1, b"numbered 1" + PAD)
        self.before_heal = self.disk.seen
        if case.count == 0:
            self.disk.disarm()
        wrong = self.insist(lambda: node.publish(next(fresh)))
        for number in (1, 2):
            if b"numbered %d" % number + PAD not in node.acked:
                wrong += self.insist(lambda number=number: node.publish_numbered(number, b"numbered %d" % number + PAD))
        node.publish_numbered(2, b"numbered 2" + PAD)
        node.snapshot()
        wrong += self.insist(lambda: node.publish(next(fresh)))
        if node.daemon.pid != pid or not node.daemon.is_alive():
            wrong += "; the broker did not stay up"
        self.before_end = self.disk.seen
        return wrong

    def judge(self, case: Case) -> list:
        has_no_sessions = self.is_of_the_broker(case) == "starts without sessions"
        self.disk.disarm()
        self.node.broker.start()
        found = self.node.complaints(has_session=not has_no_sessions)
        self.node.end("kill")
        return found


class CasesTest(unittest.TestCase):
    library = "failing.so"

    def setUp(self):
        print(f"seed {SEED}", flush=True)
        self.folder = Path(tempfile.mkdtemp(prefix="tombolo-nth-"))
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.draw = random.Random(SEED)
        self.template = OneNode(self.folder / "template")
        self.template.broker.start()
        self.template.make_session()
        for number in range(6):
            self.assertTrue(self.template.publish(b"before %d" % number + PAD))
        self.template.end("kill")
        self.template.tear()
        self.lock, self.told, self.fired, self.starts = threading.Lock(), [], 0, 0

    def run_case(self, name: str, case: Case):
        """Gives how many calls of the kind there were in all, in its first half, before its end; whether one failed."""
        folder = self.folder / name
        life = Life(folder, self.template, self.library, case.level)
        life.disk.arm(case.op.split("+"), case.at, error=case.error, count=case.count, half=case.half,
                      drop="sync" in case.op)
        life.before_heal = life.before_end = 0
        try:
            found = [life.live(case)]
            life.is_of_the_broker(case)
            if life.node.daemon.is_alive():
                life.node.end(case.end)
                wait_ended(life.node)
            fired, last = life.disk.fired, life.disk.last
            found += life.judge(case)
        except Exception as error:  # pylint: disable=broad-except
            fired, last = life.disk.fired, life.disk.last
            found = [f"{type(error).__name__}: {error}"]
            life.node.broker.stop()
        found = [text for text in found if text]
        with self.lock:
            self.fired += bool(fired)
            self.starts += life.start_failed
            if found:
                self.told.append(f"{case} ({last or 'nothing'}): {'; '.join(found)}\n{life.node.daemon.tail(14)}")
        if not found:
            shutil.rmtree(folder)
        seen = life.disk.seen
        life.disk.close()
        return seen, life.before_heal, life.before_end, bool(fired)

    def cases(self, op: str, errors, counts=(1, 0), halves: bool = False):
        counted = {level: self.run_case(f"count-{op}-{level}", Case(op, 1 << 30, errno.EIO, 1, level=level))
                   for level in LEVELS}
        self.assertEqual(self.told, [], "the life without a fault")
        print(f"{op}: calls in all, up to its middle, up to its end: "
              f"{ {level: counts[:3] for level, counts in counted.items()} }", flush=True)
        made = []
        for at in range(1, max(counts[0] for counts in counted.values()) + 1):
            levels = [level for level in LEVELS if at <= counted[level][0]]
            for error, count, half in itertools.product(errors, counts, (False, True) if halves else (False,)):
                level = self.draw.choice(levels)
                _, before_heal, before_end, _ = counted[level]
                end = "kill" if at <= before_end and self.draw.random() < 0.5 else "stop"
                if (count > 0 or at <= before_heal) and (not half or (count == 1 and error == errors[0])):
                    made.append(Case(op, at, error, count, half, end, level))
        return made

    def fail_each(self, cases):
        with ThreadPoolExecutor(LANES) as lanes:
            done = list(lanes.map(lambda each: self.run_case(f"case-{each[0]}", each[1]), enumerate(cases)))
        missed = [str(case) for case, (_, _, _, fired) in zip(cases, done) if not fired]
        print(f"{len(cases)} cases, {self.fired} fired, {self.starts} in the start, "
              f"{len(self.template.acked)} messages waited before", flush=True)
        self.assertEqual(self.told, [], "\n".join(self.told))
        self.assertLessEqual(len(missed), len(cases) // 20, f"calls that never came: {missed}")
