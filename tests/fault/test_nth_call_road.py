# SPDX-License-Identifier: Apache-2.0
"""The calls that tombolo-syncd makes of the disk fail, at a site and at its parent: its store (RocksDB), its marks, its
statistics, the journal that it reads. Once, or from there on for a while; with EIO and with ENOSPC.

The daemon may end, and is started again as a service manager does it. The same for the hub's broker while it commits
what its child sends, and memory that runs out for its plugin then; the broker stays up. What was acked at the site is in
the hub's log in the end, once.

TMB_SEED chooses which calls, of all that were counted. TMB_LONG=1: every call.
"""

import errno
import os
import random
import shutil
import tempfile
import time
import unittest
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from failing import Disk
from two_nodes import TwoNodes

SEED = int(os.environ.get("TMB_SEED") or random.SystemRandom().randrange(1 << 32))
CALLS = 1 << 30 if os.environ.get("TMB_LONG") else 3  # of each kind, at each of both
BROKER = "hub's broker"
OPS = ("write", "sync", "rename", "open", "truncate", "unlink", "read")
FAILING_S = 0.7  # how long a disk fails that fails for a while


@dataclass(frozen=True)
class Case:
    role: str
    op: str
    at: int
    error: int
    count: int

    def __str__(self):
        return f"{self.role}, {self.op} {self.at}{'' if self.count else ' and on'}: {errno.errorcode[self.error]}"


class Lane:
    def __init__(self, folder: Path):
        self.nodes = TwoNodes(folder)
        self.disk = Disk(folder, [node.data for node in self.nodes.nodes.values()])
        self.ends, self.fired, self.cases = Counter(), 0, 0

    def start(self, case: Case) -> None:
        """Daemons fail from their start on; the hub's broker, when it is up and its child is about to come."""
        nodes, library = self.nodes, "short_memory.so" if case.op == "memory" else "failing.so"
        for name, node in nodes.nodes.items():
            node.syncd.env = self.disk.env() if name == case.role else {}
        nodes.hub.broker.daemon.env = self.disk.env(library) if case.role == BROKER else {}
        if case.role == BROKER:
            self.disk.disarm()
            nodes.hub.broker.start()
        self.disk.arm((case.op,), case.at, error=case.error, count=case.count)
        if case.role != BROKER:
            nodes.hub.broker.start()
        nodes.hub.syncd.start()
        nodes.s1.start()

    def run(self, case: Case) -> str:
        """Gives what is wrong."""
        nodes = self.nodes
        nodes.put_back()
        try:
            self.start(case)
            broker_pid = nodes.hub.broker.daemon.pid
            nodes.publish(5)
            if case.count == 0:
                end = time.monotonic() + FAILING_S
                while time.monotonic() < end:
                    nodes.keep_up()
                    time.sleep(0.02)
                nodes.publish(5)
                self.disk.disarm()
            found = [nodes.wait_for_all()] + nodes.complaints()
            if nodes.hub.broker.daemon.pid != broker_pid or not nodes.hub.broker.daemon.is_alive():
                found.append("the hub's broker did not stay up")
        except Exception as error:  # pylint: disable=broad-except
            found = [f"{type(error).__name__}: {error}"]
        logs, last = nodes.lab.logs(10), self.disk.last
        nodes.stop()
        self.seen = self.disk.seen
        self.fired += bool(self.disk.fired)
        self.cases += 1
        self.ends += nodes.ends
        found = [text for text in found if text]
        return f"{case} ({last}): {'; '.join(found)}\n{logs}" if found else ""


class NthCallRoadTest(unittest.TestCase):
    def setUp(self):
        print(f"seed {SEED}", flush=True)
        self.folder = Path(tempfile.mkdtemp(prefix="tombolo-nthroad-"))
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.draw = random.Random(SEED)
        self.lanes = [Lane(self.folder / f"lane-{number}") for number in range(2)]
        for lane in self.lanes:
            self.addCleanup(lane.nodes.close)

    def cases(self, role: str, ops) -> list:
        made, counts = [], {}
        for op in ops:
            lane = self.lanes[0]
            self.assertEqual(lane.run(Case(role, op, 1 << 30, errno.EIO, 1)), "", "without a fault")
            counts[op] = lane.seen
            every = range(1, lane.seen + 1)
            for at in self.draw.sample(every, min(CALLS * (1 + (op == "memory")), len(every))):
                for error in (errno.ENOMEM,) if op == "memory" else (errno.EIO, errno.ENOSPC):
                    made.append(Case(role, op, at, error, self.draw.choice((1, 0))))
        print(f"{role}: {counts}", flush=True)
        return made

    def fail_some(self, role: str, ops=OPS, at_least: float = 0.75) -> None:
        cases = self.cases(role, ops)
        for lane in self.lanes:
            lane.fired = lane.cases = 0
            lane.ends.clear()
        with ThreadPoolExecutor(2) as pool:
            done = pool.map(lambda number: [self.lanes[number].run(case) for case in cases[number::2]], range(2))
            told = [text for texts in done for text in texts if text]
        fired = sum(lane.fired for lane in self.lanes)
        print(f"{role}: {len(cases)} cases, {fired} fired; daemons that ended, by status: "
              f"{dict(self.lanes[0].ends + self.lanes[1].ends)}", flush=True)
        self.assertEqual(told, [], "\n".join(told))
        self.assertGreaterEqual(fired, len(cases) * at_least, "too many faults did not fire")

    def test_the_sites_daemon(self):
        self.fail_some("s1")

    def test_the_hubs_daemon(self):
        self.fail_some("hub")

    def test_the_hubs_broker(self):
        self.fail_some(BROKER, ("write", "sync", "memory"), 0.5)


if __name__ == "__main__":
    unittest.main()
