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

HERE = Path(__file__).resolve().parent


def run_of(rate: float) -> dict:
    return {"rate": rate, "p50_us": 1, "p99_us": 2, "written_per_byte": 1.5, "cpu_us": 3}


class Figures(unittest.TestCase):
    CELL = (100, 1)
    RUNS = {(CELL, "none"): [run_of(100), run_of(50), run_of(200)],
            (CELL, "process"): [run_of(90), run_of(50), run_of(100)],
            (CELL, "strict"): [run_of(10), run_of(10), run_of(10)]}

    def test_ratio_is_taken_within_a_round(self):
        variants = measure.cell_figures(self.CELL, self.RUNS)["variants"]
        self.assertEqual(variants["process"]["ratio"], {"median": 0.9, "min": 0.5, "max": 1.0})
        self.assertEqual(variants["strict"]["ratio"], {"median": 0.1, "min": 0.05, "max": 0.2})

    def test_picture_is_well_formed_and_has_every_bar(self):
        drawn = figure.svg([measure.cell_figures(self.CELL, self.RUNS)], "a < b & c")
        root = ElementTree.fromstring(drawn)
        bars = [r for r in root.iter("{http://www.w3.org/2000/svg}rect") if r.get("fill") != "#ffffff"]
        self.assertEqual(len(bars), 3)
        self.assertIn("process: 90/s (0.90)", drawn)


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
                            "--rounds", "1", "--seconds", "1", "--road-seconds", "2", "--folder", folder,
                            "--json", out, "--svg", Path(folder) / "bench.svg"], check=True, timeout=240)
            result = json.loads(out.read_text(encoding="utf-8"))
        self.assertEqual(len(result["rates"]), 4)
        for cell in result["rates"]:
            for variant, figures in cell["variants"].items():
                self.assertGreater(figures["rate"]["median"], 0, variant)
            # A durable message cannot be cheaper than its own bytes.
            self.assertGreaterEqual(cell["variants"]["strict"]["written_per_byte"]["median"], 1.0)
        for name, figures in result["memory_idle"].items():
            self.assertGreater(figures["rss_kib"], 500, name)
        for carried in (result["wire"]["live"], result["wire"]["backlog"]):
            self.assertGreater(carried["up_bytes"], carried["messages"])


if __name__ == "__main__":
    unittest.main()
