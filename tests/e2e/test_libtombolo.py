# SPDX-License-Identifier: Apache-2.0
"""libtombolo against a real broker with the plugin, by its two examples: nothing lost, nothing twice, in order."""

import os
import signal
import subprocess
import time
import unittest
from pathlib import Path

from plugin_lab import PluginTest
from tombolo_lab.net import wait_until

BUILD = Path(os.environ.get("TMB_BUILD", "")) / "examples/client"
KILLS = int(os.environ.get("TMB_KILLS", "10"))
MARKED = """\
node: s1
domain: lab.example
data_dir: {data}
streams:
  - name: default
    topics: ["#"]
    durability: {durability}
    mark: true
checkpoint:
  interval: {interval}
  records: {records}
"""


class Program:
    """One of the examples, with its output in a file; killed at the latest with the test."""

    def __init__(self, test, name, *words):
        self.file = test.folder / f"{name}-{len(test.programs)}.out"
        with open(self.file, "wb") as out, open(f"{self.file}.log", "wb") as log:
            self.child = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--", str(BUILD / name), *words],
                                          stdin=subprocess.PIPE, stdout=out, stderr=log)
        test.programs.append(self)

    def lines(self):
        # Half a line at the end is one that is being written.
        return self.file.read_text(encoding="utf-8").split("\n")[:-1]

    def log(self):
        return Path(f"{self.file}.log").read_text(encoding="utf-8")

    def say(self, line):
        self.child.stdin.write(f"{line}\n".encode())
        self.child.stdin.flush()

    def hear(self, count, timeout_s=60):
        wait_until(lambda: len(self.lines()) >= count, timeout_s,
                   lambda: f"{count} lines, there are {len(self.lines())}\n{self.log()[-2000:]}")
        return self.lines()

    def finish(self, timeout_s=60):
        if not self.child.stdin.closed:
            self.child.stdin.close()
        return self.child.wait(timeout_s)

    def kill9(self):
        self.child.kill()
        self.child.wait()
        self.child.stdin.close()


class ClientTest(PluginTest):
    durability = "strict"

    def config(self):
        return MARKED.format(data=self.data, durability=self.durability, interval=self.interval,
                             records=self.records)

    def setUp(self):
        super().setUp()
        self.programs = []
        self.addCleanup(self._end_programs)

    def _end_programs(self):
        for program in self.programs:
            if program.child.poll() is None:
                program.kill9()
            elif not program.child.stdin.closed:
                program.child.stdin.close()

    @property
    def uri(self):
        return f"mqtt://127.0.0.1:{self.broker.port}"

    def subscriber(self, *state_file):
        """Connected, and its subscription in the broker's snapshot."""
        before = self.db_state()
        program = Program(self, "subscribe-once", self.uri, "ear", "t/#", *map(str, state_file))
        wait_until(lambda: "connected" in program.log(), 20, program.log)
        if before is None:
            wait_until(lambda: self.db_state() != before, 10, "a snapshot that has the subscription")
        return program

    def publisher(self, levels="none", *state_file):
        return Program(self, "publish-with-receipt", self.uri, "mouth", "t/mouth", levels, *map(str, state_file))

    def restart_broker(self):
        self.broker.kill9()
        self.broker.start()

    def payloads(self, lines):
        return [int(line.split()[-1]) for line in lines]


class Once(ClientTest):
    def test_ten_kills_of_the_broker(self):
        """Each message once at the application, in order, none lost, through kills of the broker."""
        self.broker.start()
        ear, mouth = self.subscriber(), self.publisher()
        said = 0
        for _ in range(KILLS):
            until = time.monotonic() + 0.5
            while time.monotonic() < until:
                for _ in range(20):
                    said += 1
                    mouth.say(said)
                time.sleep(0.01)
            self.restart_broker()
        self.assertEqual(mouth.finish(120), 0, mouth.log())
        heard = self.payloads(ear.hear(said))
        self.assertEqual(heard, list(range(1, said + 1)))
        counts = mouth.lines()[-1].split()
        self.assertEqual((int(counts[1]), int(counts[3])), (said, said))
        self.assertGreater(int(counts[5]), 0, "nothing was in doubt at any kill: the fault did not fire")
        # Nothing more comes, and each is marked with its own place.
        time.sleep(1)
        lines = ear.lines()
        self.assertEqual(len(lines), said)
        self.assertEqual(len({line.split()[0] for line in lines}), said)
        ear.child.send_signal(signal.SIGTERM)
        self.assertEqual(ear.finish(), 0)
        told = dict(zip(*[iter(ear.log().splitlines()[-1].split())] * 2))
        self.assertEqual((int(told["received"]), int(told["unmarked"]), int(told["doubtful"])), (said, 0, 0))
        self.assertGreater(int(told["repeats"]), 0, "no kill made the broker repeat anything: the fault did not fire")


if __name__ == "__main__":
    unittest.main()
