#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_cli.py PROGRAM: what scripts rely on of tombolo-sim: names in its JSON, exit codes, the picture."""
import json
import os
import subprocess
import sys
import tempfile
import unittest

PROGRAM = sys.argv.pop(1) if len(sys.argv) > 1 else "tombolo-sim"
HERD = {"seed", "sites", "rate", "outage_s", "backoff", "window_factor", "t50_s", "t99_s", "t99_ratio", "peak_ratio",
        "wasted_per_site", "handshake_timeouts", "refused", "connected", "live", "commit", "drain_s",
        "hub_bytes_max", "events", "hash"}
FAULTS = {"seed", "plant", "good", "failure", "at_s", "sites", "records", "lost", "faults", "fenced", "steps", "hash"}
STATE = {"seed", "plant", "good", "failure", "at_s", "nodes", "scopes", "operations", "acked", "changes", "lost",
         "lost_acked", "frames", "bytes", "lapsed", "reincarnated", "ranged", "faults", "steps", "hash"}
STATE_FAULTS = {"partition", "cut", "loss", "slow", "kill", "power", "full", "restore", "clone", "step", "epoch", "drift",
                "freeze", "lapse", "retire", "fallback", "repeat", "token"}


def run(*arguments):
    return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=300, check=False)


class Cli(unittest.TestCase):
    def test_each_mode_is_an_object_a_line(self):
        out = run("--sites", "200", "--outage", "5", "--backoff", "all", "-o", "json")
        self.assertEqual(out.returncode, 0, out.stderr)
        runs = [json.loads(line) for line in out.stdout.splitlines()]
        self.assertEqual([r["backoff"] for r in runs], ["window", "full", "decorrelated"])
        for result in runs:
            self.assertEqual(set(result), HERD)
            self.assertEqual(result["connected"], 200)

    def test_one_seed_is_one_run(self):
        outs = [run("--sites", "100", "--seed", seed, "-o", "json").stdout for seed in ("7", "7", "8")]
        self.assertEqual(outs[0], outs[1])
        self.assertNotEqual(outs[0], outs[2])

    def test_a_picture_is_written(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "return.svg")
            self.assertEqual(run("--sites", "100", "--plot", path).returncode, 0)
            with open(path, encoding="utf-8") as file:
                self.assertTrue(file.read().startswith("<svg "))
            self.assertEqual(run("--sites", "100", "--plot", os.path.join(folder, "no", "x.svg")).returncode, 3)

    def test_faults_are_told_and_counted(self):
        out = run("--faults", "--seeds", "3", "-o", "json")
        self.assertEqual(out.returncode, 0, out.stdout)
        for result in map(json.loads, out.stdout.splitlines()):
            self.assertEqual(set(result), FAULTS)
        told = run("--faults", "--seed", "2", "--plant", "no-proof")
        self.assertEqual(told.returncode, 1)
        self.assertIn("again: tombolo-sim --faults --seed 2 --plant no-proof", told.stdout)

    def test_the_world_of_state_is_told_and_counted(self):
        out = run("--state", "--seeds", "2", "-o", "json")
        self.assertEqual(out.returncode, 0, out.stdout)
        for result in map(json.loads, out.stdout.splitlines()):
            self.assertEqual(set(result), STATE)
            self.assertEqual(set(result["faults"]), STATE_FAULTS)
            self.assertGreater(result["changes"], 0)
        told = run("--state", "--seeds", "60", "--plant", "ack-before-sync")
        self.assertEqual(told.returncode, 1)
        self.assertIn("--plant ack-before-sync", told.stdout)
        self.assertIn("again: tombolo-sim --state --seed ", told.stdout)

    def test_a_bug_that_is_not_met_is_said_to_be_there(self):
        played = run("--state", "--seeds", "20", "--plant", "fold-ahead", "-o", "json").stdout.splitlines()
        seed = next(str(one["seed"]) for one in map(json.loads, played) if one["good"])
        out = run("--state", "--seed", seed, "--plant", "fold-ahead")
        self.assertEqual(out.returncode, 0, out.stdout)
        self.assertIn("fold-ahead made no difference in this seed", out.stderr)
        self.assertEqual(run("--state", "--seed", seed).stderr, "")

    def test_more_sites_than_a_node_takes_are_played_with_a_word(self):
        for sites, words in (("4096", ""), ("4097", "tombolo-sim: a node takes 4096 children; for 4097 sites put regions")):
            out = run("--sites", sites, "--rate", "2000", "--live", "0")
            self.assertEqual((out.returncode, out.stderr[:len(words) or 9]), (0, words))

    def test_mistakes_are_told_with_a_cure(self):
        for arguments in (["--sites", "0"], ["--rate", "x"], ["--backoff", "none"], ["--plant", "none"], ["-o", "xml"],
                          ["--seed", "-1"], ["--base", "9", "--cap", "1"], ["--live", "9", "--commit", "1"], ["what"],
                          ["--what"], ["--sites", "5.5"], ["--faults", "--seeds", "0"], ["--plant", "no-retry"],
                          ["--seeds", "3"], ["--faults", "--sites", "5"], ["--faults", "--plot", "x.svg"],
                          ["--state", "--faults"], ["--state", "--sites", "5"], ["--state", "--plant", "no-retry"],
                          ["--faults", "--plant", "cursor-apart"], ["--plant", "cursor-apart"], ["--state", "--seeds", "0"]):
            out = run(*arguments)
            self.assertEqual(out.returncode, 2, arguments)
            self.assertIn("tombolo-sim", out.stderr)
            self.assertEqual(out.stdout, "")
        self.assertIn("a whole number from 1 to 1000000", run("--sites", "0").stderr)


if __name__ == "__main__":
    unittest.main()
