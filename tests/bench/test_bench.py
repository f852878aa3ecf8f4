#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the benchmark computes and draws, and one very short run of all it measures (TMB_BUILD)."""

import json
import os
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import figure
import line
import measure
import targets

HERE = Path(__file__).resolve().parent


def run_of(rate: float) -> dict:
    return {"rate": rate, "p50_us": 1, "p99_us": 2, "written_per_byte": 1.5, "cpu_us": 3}


class Figures(unittest.TestCase):
    CELL = (100, 1)
    RUNS = {(CELL, "none"): [run_of(100), run_of(50), run_of(200)],
            (CELL, "process"): [run_of(90), run_of(50), run_of(100)],
            (CELL, "group"): [run_of(50), run_of(25), run_of(50)],
            (CELL, "strict"): [run_of(10), run_of(10), run_of(10)]}

    def test_ratio_is_taken_within_a_round(self):
        variants = measure.cell_figures(self.CELL, self.RUNS)["variants"]
        self.assertEqual(variants["process"]["ratio"], {"median": 0.9, "min": 0.5, "max": 1.0})
        self.assertEqual(variants["strict"]["ratio"], {"median": 0.1, "min": 0.05, "max": 0.2})
        self.assertEqual(variants["group"]["to_strict"], {"median": 5.0, "min": 2.5, "max": 5.0})

    def test_picture_is_well_formed_and_has_every_bar(self):
        wire = {"noise": {"per_payload_byte": 1.02, "bridge": {"per_payload_byte": 1.07}}, "idle_bytes_per_hour": 3}
        drawn = figure.svg([measure.cell_figures(self.CELL, self.RUNS)], "a < b & c", wire)
        root = ElementTree.fromstring(drawn)
        bars = [r for r in root.iter("{http://www.w3.org/2000/svg}rect") if r.get("fill") != "#ffffff"]
        self.assertEqual(len(bars), 6)
        self.assertIn("Mosquitto bridge: 1.07", drawn)
        self.assertIn("process: 90/s (0.90)", drawn)


class Targets(unittest.TestCase):
    def of(self, cell: tuple, **more) -> dict:
        runs = {(cell, variant): Figures.RUNS[(Figures.CELL, variant)] for variant in measure.VARIANTS}
        found = targets.targets({"rates": [measure.cell_figures(cell, runs)], **more})
        return {target["name"]: target["is_met"] for target in found}

    def test_what_is_met_and_what_is_not(self):
        self.assertEqual(self.of((100, 1)), {"process / no plugin, 100 B, 1 publisher": True})
        self.assertEqual(self.of((1000, 100)), {
            "process / no plugin, 1000 B, 100 publishers": True, "group / no plugin, 1000 B, 100 publishers": True,
            "group / strict, 1000 B, 100 publishers": True,
            "process, written per payload byte, 1000 B, 100 publishers": False})
        starts = {"none": {}, "group": {"added_rss_kib": {"median": 4097}, "added_ms": {"median": 20}}}
        wire = {load: {"per_payload_byte": value} for load, value in (("live", 0.25), ("backlog", 0.26), ("noise", 1.05))}
        found = self.of((100, 1), wire=wire)
        self.assertEqual([value for name, value in found.items() if name.startswith("wire")], [True, False, True])
        local = {"strict": {"running": {}, "stopped": {"p99_ratio": {"median": 1.11}}}}
        found = self.of((100, 1), starts=starts, local_p99=local)
        self.assertEqual([found[name] for name in ("group, resident memory added, KiB", "group, start added, ms",
                                                   "strict, local p99, daemon stopped")], [False, True, False])

    def test_state_is_held_against_its_targets(self):
        state = {"apply": {"leaves_per_cpu_s": 149999}, "idle": {"rss_mib": 23.5},
                 "set": [{"elements": 10, "insert_us": 4.0}, {"elements": 1000, "insert_us": 9.0}]}
        found = self.of((100, 1), state=state)
        self.assertEqual([found[name] for name in found if "state" in name or "set" in name or "idle" in name],
                         [False, False, True])

    def test_slowest_join_counts(self):
        join = {"same": {"whole_per_s": 9000000}, "siblings": {"whole_per_s": 1999999}}
        found = self.of((100, 1), join=join)
        self.assertEqual([found[name] for name in found if "joined" in name], [False])


class Line(unittest.TestCase):
    def test_same_seed_says_the_same_and_counts_its_bytes(self):
        def say():
            source = line.Source("p", seed=3, arms=4, seconds=2, is_paced=False)
            return [json.dumps({"p": "p", "n": n, **m.body}, separators=(",", ":"))
                    for n, m in enumerate(source, 1)], source.payload_bytes
        words, counted = say()
        self.assertEqual((words, counted), say())
        self.assertEqual(counted, sum(map(len, words)))
        self.assertEqual(len(words), 8)


@unittest.skipUnless(os.environ.get("TMB_BUILD"), "no build folder in TMB_BUILD")
class Smoke(unittest.TestCase):
    def test_every_figure_comes_out(self):
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "bench.json"
            subprocess.run([sys.executable, HERE / "bench.py", "--build", os.environ["TMB_BUILD"],
                            "--quick", "--folder", folder, "--json", out, "--svg", Path(folder) / "bench.svg"], check=True, timeout=800)
            result = json.loads(out.read_text(encoding="utf-8"))
        self.assertEqual(len(result["rates"]), 2)
        for level, states in result["local_p99"].items():
            for state, figures in states.items():
                self.assertGreater(figures["p99_us"], 0, f"{level}, {state}")
        self.assertGreater(len(result["targets"]), 10)
        self.assertGreater(result["starts"]["strict"]["added_rss_kib"]["median"], 0)
        for cell in result["rates"]:
            for variant, figures in cell["variants"].items():
                self.assertGreater(figures["rate"]["median"], 0, variant)
            # A durable message cannot be cheaper than its own bytes.
            self.assertGreaterEqual(cell["variants"]["strict"]["written_per_byte"]["median"], 1.0)
        for name, figures in result["memory_idle"].items():
            self.assertGreater(figures["rss_kib"], 500, name)
        self.assertEqual(result["state"]["apply"]["leaves"], 10000)
        self.assertGreater(result["state"]["put"]["ratio"], 1.0)  # four rows cannot be cheaper than one
        self.assertEqual([p["elements"] for p in result["state"]["set"]], [10, 100, 1000, 10000])
        self.assertLess(result["state"]["idle"]["rss_mib"], 200)
        for name, kind in result["join"].items():
            self.assertGreater(kind["join_per_s"], kind["whole_per_s"] / 2, name)
        for load, most in (("live", 0.4), ("backlog", 0.3), ("noise", 1.1), ("noise_backlog", 1.1)):
            carried = result["wire"][load]  # the bounds are generous: two seconds on whatever machine
            self.assertGreater(carried["up_bytes"], carried["messages"], load)
            self.assertLess(carried["per_payload_byte"], most, load)
            self.assertGreater(carried["bridge"]["per_payload_byte"], 1.0, load)


if __name__ == "__main__":
    unittest.main()
