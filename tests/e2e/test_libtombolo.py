# SPDX-License-Identifier: Apache-2.0
"""libtombolo against a real broker with the plugin, by its two examples: nothing lost, nothing twice, in order."""

import os
import signal
import subprocess
import time
import unittest
from pathlib import Path

from plugin_lab import PluginTest, plugin_file
from tombolo_lab import Authority, Broker, Lab, journal, programs
from tombolo_lab.net import wait_until

BUILD = Path(os.environ.get("TMB_BUILD", "")) / "examples/client"
KILLS = 40 if "TMB_RUNS" in os.environ else 10  # scripts/test --long
QUEUE = 1000  # of publish-with-receipt.c
BURST = 1000
MARKED = """\
node: hub
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

    def __init__(self, test, name, *words, env=None):
        self.file = test.folder / f"{name}-{len(test.programs)}.out"
        with open(self.file, "wb") as out, open(f"{self.file}.log", "wb") as log:
            self.child = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--", str(BUILD / name), *words],
                                          stdin=subprocess.PIPE, stdout=out, stderr=log,
                                          env={**os.environ, **(env or {})})
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
        wait_until(lambda: "connected" in program.log(), 60, program.log)
        if before is None:
            wait_until(lambda: self.db_state() != before, 60, "a snapshot that has the subscription")
        return program

    def publisher(self, levels="none", *state_file):
        return Program(self, "publish-with-receipt", self.uri, "mouth", "t/mouth", levels, *map(str, state_file))

    def restart_broker(self):
        self.broker.kill9()
        self.broker.start()

    def burst(self, program, said, count=BURST):
        """More than is under way at any time, in one go; gives the last number."""
        program.child.stdin.write("".join(f"{n}\n" for n in range(said + 1, said + count + 1)).encode())
        program.child.stdin.flush()
        return said + count

    def hear_some(self, ear, count):
        """A moment in the middle of a burst: some have come, and not all."""
        wait_until(lambda: len(ear.lines()) >= count, 60,
                   lambda: f"{count} messages, there are {len(ear.lines())}\n{ear.log()[-2000:]}", 0.001)

    def payloads(self, lines):
        return [int(line.split()[-1]) for line in lines]


class Once(ClientTest):
    def test_ten_kills_of_the_broker(self):
        """Each message once at the application, in order, none lost, through kills of the broker."""
        self.broker.start()
        ear, mouth = self.subscriber(), self.publisher()
        said = 0
        for _ in range(KILLS):
            said = self.burst(mouth, said)
            self.hear_some(ear, said - BURST // 2)
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



class Killed(ClientTest):
    def test_the_publisher_with_a_state_file(self):
        """What tmb_client_publish took comes once, though the publisher is killed: while it talks to the broker, and
        while there is none and its queue is full."""
        self.broker.start()
        ear, state = self.subscriber(), self.folder / "mouth.state"
        heard_before = 0
        for life in range(4):
            has_broker = life % 2 == 0
            if not has_broker:
                self.broker.kill9()
            mouth = self.publisher("none", state)
            self.burst(mouth, life * 2 * BURST, 2 * BURST)
            wait_until(lambda m=mouth, n=200 if has_broker else QUEUE: len(m.lines()) >= n, 60, mouth.log, 0.001)
            mouth.kill9()
            kept = sum(line.startswith("kept ") for line in mouth.lines())
            if not has_broker:
                self.assertEqual(kept, QUEUE)
                self.broker.start()
            # Sent by the next process, which is told nothing.
            self.assertEqual(self.publisher("none", state).finish(), 0)
            stored = len(self.journal(heard_before + kept))  # one more, it may be
            heard = self.payloads(ear.hear(stored))
            fresh = heard[heard_before:]
            first = life * 2 * BURST + 1
            self.assertEqual(fresh, list(range(first, first + len(fresh))))
            self.assertIn(len(fresh) - kept, (0, 1))  # the last one may have been taken and not told of
            heard_before = len(heard)
        time.sleep(0.5)
        self.assertEqual(len(ear.lines()), heard_before)

    def test_the_subscriber_with_a_state_file(self):
        """Once, but for one message that was being given to the application at each kill."""
        self.broker.start()
        state, outputs = self.folder / "ear.state", []
        said, mouth = 0, self.publisher()
        for _ in range(4):
            ear = self.subscriber(state)
            said = self.burst(mouth, said)
            self.hear_some(ear, 200)
            ear.kill9()
            outputs.append(self.payloads(ear.lines()))
            self.restart_broker()  # which repeats what came since its snapshot
        ear = self.subscriber(state)
        self.assertEqual(mouth.finish(120), 0, mouth.log())
        wait_until(lambda: len(set(sum(outputs, self.payloads(ear.lines())))) == said, 60,
                   lambda: f"{said} messages, {ear.log()}")
        outputs.append(self.payloads(ear.lines()))
        for heard, after in zip(outputs, outputs[1:]):
            self.assertEqual(len(set(heard)), len(heard))
            self.assertLessEqual(len(set(heard) & set(after)), 1)
        self.assertLessEqual(sum(map(len, outputs)) - said, 4)

    def test_the_subscriber_away(self):
        """What comes while it is not there waits in its session."""
        self.broker.start()
        ear = self.subscriber()
        ear.child.send_signal(signal.SIGTERM)
        self.assertEqual(ear.finish(), 0)
        mouth = self.publisher()
        self.burst(mouth, 0)
        self.assertEqual(mouth.finish(), 0)
        self.restart_broker()
        again = self.subscriber()
        self.assertEqual(self.payloads(again.hear(BURST)), list(range(1, BURST + 1)))
        self.assertNotIn("a new session", again.log())


class Refused(ClientTest):
    def test_a_full_disk(self):
        """Nobody's message is lost or overtaken, and the application is told."""
        daemon = self.broker.daemon
        daemon.command = ["env", "--ignore-signal=XFSZ", *daemon.command]
        self.broker.start()
        ear, mouth = self.subscriber(), self.publisher()
        self.limit("0")
        for number in range(1, 101):
            mouth.say(number)
        wait_until(lambda: "refused: " in mouth.log(), 60, mouth.log)
        self.assertEqual(ear.lines(), [])
        self.limit("unlimited")
        self.assertEqual(mouth.finish(), 0, mouth.log())
        self.assertEqual(self.payloads(ear.hear(100)), list(range(1, 101)))

    def limit(self, size):
        """No file of the broker may grow above size."""
        done = subprocess.run(["prlimit", f"--pid={self.broker.daemon.pid}", f"--fsize={size}:"],
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_by_a_reason_code(self):
        """Rights that are missing for a while: each message gets a new number and comes once."""
        rights = self.folder / "acl"
        rights.write_text("topic read #\n", encoding="utf-8")
        self.broker = Broker("s1", self.folder, None, plugin_file(), self.config_file, {"acl_file": str(rights)})
        self.broker.start()
        ear, mouth = self.subscriber(), self.publisher()
        for number in range(1, 31):
            mouth.say(number)
        wait_until(lambda: "refused: " in mouth.log(), 60, mouth.log)
        self.assertEqual(ear.lines(), [])
        rights.write_text("topic readwrite #\n", encoding="utf-8")
        os.kill(self.broker.daemon.pid, signal.SIGHUP)
        self.assertEqual(mouth.finish(), 0, mouth.log())
        self.assertIn("tried again", mouth.log())
        self.assertEqual(sorted(self.payloads(ear.hear(30))), list(range(1, 31)))


class Receipts(ClientTest):
    def receipts(self, program):
        return [line.split() for line in program.lines() if line.startswith("receipt ")]

    def test_each_is_answered_once_through_kills(self):
        self.broker.start()
        mouth, said = self.publisher("synced,committed,engine"), 0
        for _ in range(3):
            said = self.burst(mouth, said)
            wait_until(lambda n=said: len(self.receipts(mouth)) >= 3 * (n - BURST // 2), 60, mouth.log, 0.001)
            self.restart_broker()
        self.assertEqual(mouth.finish(120), 0, mouth.log())
        found = self.receipts(mouth)
        self.assertEqual(len(found), 3 * said)
        self.assertEqual({(word[1], word[2]) for word in found},
                         {(str(n), level) for n in range(1, said + 1) for level in ("synced", "committed", "engine")})
        stored = {record["payload"]: record["seq"] for record in self.journal(said)}
        repeats = 0
        for word in found:
            self.assertEqual(word[3], "given")
            node, stream, seq = word[4].split("/")
            self.assertEqual((node, stream), ("hub", "default"))
            place = stored[word[1].encode()]
            if seq.startswith("<="):
                repeats += 1
                self.assertLessEqual(place, int(seq[2:]))
            else:
                self.assertEqual(place, int(seq))
        self.assertGreater(repeats, 0, "nothing was asked again: the fault did not fire")

    def test_the_parent_is_away(self):
        """Synced comes at once; committed when the parent has it, and not before."""
        with Lab(built=programs()) as lab:
            hub = lab.node("hub", has_children=True)
            site = lab.node("s1", parent=hub)
            lab.start()
            site.link.cut()
            mouth = Program(self, "publish-with-receipt", f"mqtt://127.0.0.1:{site.broker.port}", "mouth", "t/mouth",
                            "synced,committed,engine")
            mouth.say(1)
            wait_until(lambda: len(self.receipts(mouth)) == 1, 30, mouth.log)
            time.sleep(1)
            self.assertEqual([word[2:4] for word in self.receipts(mouth)], [["synced", "given"]])
            site.link.heal()
            wait_until(lambda: len(self.receipts(mouth)) > 1, 30, mouth.log)
            self.assertEqual([journal.payload_of(record) for record in journal.dump(hub, lab.built)], [b"1"])
            self.assertEqual(mouth.finish(), 0, mouth.log())
            self.assertEqual(sorted(word[2] for word in self.receipts(mouth)), ["committed", "engine", "synced"])


class Encrypted(ClientTest):
    needs_certificates = True

    def test_mutual_tls(self):
        self.broker.start()
        own, uri = self._certificates["hub"], f"mqtts://127.0.0.1:{self.broker.tls_port}"
        env = {"TOMBOLO_CA_FILE": str(own.ca_file), "TOMBOLO_CERT_FILE": str(own.cert_file),
               "TOMBOLO_KEY_FILE": str(own.key_file)}
        ear = self.subscriber()
        mouth = Program(self, "publish-with-receipt", uri, "mouth", "t/mouth", "synced", env=env)
        self.burst(mouth, 0)
        self.hear_some(ear, BURST // 2)
        self.restart_broker()
        self.assertEqual(mouth.finish(), 0, mouth.log())
        self.assertEqual(self.payloads(ear.hear(BURST)), list(range(1, BURST + 1)))

        # A broker that another authority vouches for is not talked to.
        other = Authority(self.folder / "others")
        env["TOMBOLO_CA_FILE"] = str(other.ca_file)
        stranger = Program(self, "publish-with-receipt", uri, "stranger", "t/stranger", "none", env=env)
        stranger.say("secret")
        wait_until(lambda: stranger.log().count("not connected: ") > 1, 30, stranger.log)
        self.assertNotIn("\nconnected", "\n" + stranger.log())
        self.assertEqual(len(ear.lines()), BURST)


if __name__ == "__main__":
    unittest.main()
