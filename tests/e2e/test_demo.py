# SPDX-License-Identifier: Apache-2.0
"""The demo itself, in short: its exit code, its table and its JSON say the same, and nothing is left behind."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

from tombolo_lab.net import wait_until

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "examples/demo/demo.py"
KEYS = ["published", "acked", "delivered", "lost", "duplicated", "resent", "reordered"]


def processes_under(folder: str) -> list:
    """Command lines of living processes that name a folder."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = file.read_bytes().split(b"\0")
        except OSError:
            continue
        if any(word.decode(errors="replace").startswith(folder) for word in words):
            found.append(b" ".join(words).decode(errors="replace"))
    return found


class DemoTest(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="tombolo-demo-test-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.arguments = [sys.executable, str(DEMO), "--build", os.environ["TMB_BUILD"]]
        if not shutil.which("npm"):
            table = self.folder / "weather.csv"
            table.write_text("date,pressure,temperature\n" + "".join(
                f"2010-01-01T{hour:02}:00:00,{1010 + hour},{hour}\n" for hour in range(24)), encoding="utf-8")
            self.arguments += ["--weather", str(table)]

    def test_table_and_json_agree(self):
        file = self.folder / "table.json"
        done = subprocess.run([*self.arguments, "--seconds", "15", "--json", str(file), "--seed", "11"], text=True,
                              capture_output=True, timeout=150, env={**os.environ, "NO_COLOR": "1"})
        print(done.stdout)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertNotIn("\033", done.stdout)
        whole = json.loads(file.read_text(encoding="utf-8"))
        self.assertEqual(sorted(whole["sites"]), ["line", "machine", "weather"])
        rows = {}
        for line in done.stdout.splitlines():
            match = re.match(r"^(machine|weather|line|all) +((?:[\d,]+ +){7})", line)
            if match:
                rows[match.group(1)] = [int(word.replace(",", "")) for word in match.group(2).split()]
        for site, row in {**whole["sites"], "all": whole["all"]}.items():
            self.assertEqual(list(row), KEYS)
            self.assertEqual(list(row.values()), rows[site], site)
            self.assertEqual((row["lost"], row["duplicated"], row["reordered"]), (0, 0, 0), site)
            self.assertEqual(row["published"], row["acked"])
            self.assertEqual(row["delivered"], row["acked"])
            self.assertGreater(row["acked"], 100, site)
        for key in KEYS:
            self.assertEqual(whole["all"][key], sum(row[key] for row in whole["sites"].values()), key)
        for word in ("its link to the hub is cut", "kill -9", "its broker", "its tombolo-syncd", "is healed"):
            self.assertIn(word, done.stdout)

    def test_a_broken_off_demo_leaves_nothing_behind(self):
        for how in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            demo = subprocess.Popen([*self.arguments, "--seconds", "30"], stdout=subprocess.PIPE, text=True,
                                    stderr=subprocess.STDOUT)
            folder = ROOT / ".demo" / f"lab-{demo.pid}"
            wait_until(lambda: len(processes_under(str(folder))) >= 8, 30, lambda: f"eight daemons in {folder}")
            time.sleep(1)
            demo.send_signal(how)
            output, _ = demo.communicate(timeout=30)
            wait_until(lambda: not processes_under(str(folder)), 5, lambda: f"{processes_under(str(folder))}")
            if how != signal.SIGKILL:
                self.assertEqual(demo.returncode, 130, output)
                self.assertFalse(folder.exists(), output)
            shutil.rmtree(folder, ignore_errors=True)

    def test_wrong_words_are_told(self):
        done = subprocess.run([*self.arguments, "--seconds", "3"], text=True, capture_output=True, timeout=30)
        self.assertEqual(done.returncode, 2)
        self.assertIn("at least 12", done.stderr)
        done = subprocess.run([*self.arguments, "--weather", "/no/such.csv"], text=True, capture_output=True, timeout=30)
        self.assertEqual(done.returncode, 2)
        self.assertIn("/no/such.csv", done.stderr)


if __name__ == "__main__":
    unittest.main()
