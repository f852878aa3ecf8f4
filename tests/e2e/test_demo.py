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
# A short demo whose ledger hears one message twice.
PLANTED = '''
import sys

sys.path.insert(0, sys.argv.pop(1))
import demo

arrived, parse = demo.Ledger.arrived, demo.parse


def arrive_wrongly(ledger, name, number):
    arrived(ledger, name, number)
    if (name, number) == ("machine-memory", 7):
        arrived(ledger, name, number)


def parse_short(words):
    options = parse(words)
    options.seconds = 4
    return options


demo.Ledger.arrived, demo.parse = arrive_wrongly, parse_short
sys.exit(demo.main(sys.argv[1:]))
'''


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
        if not shutil.which("npm") or os.environ.get("TMB_OFFLINE") == "1":
            table = self.folder / "weather.csv"
            table.write_text("date,pressure,temperature\n" + "".join(
                f"2010-01-01T{hour:02}:00:00,{1010 + hour},{hour}\n" for hour in range(24)), encoding="utf-8")
            self.arguments += ["--weather", str(table)]

    def demo(self, *words: str) -> tuple:
        """Starts it; gives the process and the file with all that it says."""
        said = self.folder / "said"
        with open(said, "w", encoding="utf-8") as out:
            demo = subprocess.Popen([*self.arguments, *words], stdout=out, stderr=subprocess.STDOUT,
                                    stdin=subprocess.DEVNULL, env={**os.environ, "NO_COLOR": "1"})
        self.addCleanup(lambda: demo.poll() is None and (demo.kill(), demo.wait()))
        return demo, said

    def test_its_table_and_json_agree_and_what_it_says_to_try_works(self):
        file = self.folder / "table.json"
        demo, said = self.demo("--seconds", "15", "--seed", "11", "--json", str(file), "--keep")
        wait_until(lambda: "Ctrl-C ends it." in said.read_text(encoding="utf-8") or demo.poll() is not None, 300,
                   lambda: said.read_text(encoding="utf-8"), 0.2)
        output = said.read_text(encoding="utf-8")
        print(output)
        self.assertIsNone(demo.poll(), output)
        self.check_table(output, file)
        self.try_its_words(output)
        demo.send_signal(signal.SIGINT)
        self.assertEqual(demo.wait(90), 0, said.read_text(encoding="utf-8"))
        folder = ROOT / ".demo" / f"lab-{demo.pid}"
        self.assertEqual((folder.exists(), processes_under(str(folder))), (False, []))

    def try_its_words(self, output: str) -> None:
        """Runs what --keep prints, each command with a limit so that it ends."""
        printed = output[output.index("In another terminal"):].replace("\\\n", " ")
        commands = [line.strip() for line in printed.splitlines() if line.startswith("  ") and "#" != line.strip()[0]]
        self.assertEqual([Path(command.split()[0]).name for command in commands],
                         ["mosquitto_sub", "mosquitto_sub", "mosquitto_pub", "mosquitto_sub", "tombolo-journal"])
        hear, hear_hello, say_hello, hear_tls, read_log = commands
        self.assertRegex(self.run_words(f"{hear} -C 3 -W 45"), r"^(machine/\S+ .+\n){3}$")
        self.assertRegex(self.run_words(f"{hear_tls} -C 1 -W 45"), r"^(weather|machine)/")
        log = self.run_words(read_log).splitlines()
        self.assertEqual([json.loads(line)["stream"] for line in log], ["default"] * 3)
        self.assertTrue(hear_hello.endswith("&"), hear_hello)
        # Said until it is heard: who has not subscribed yet hears nothing.
        heard = self.run_words(f"{hear_hello[:-1]} -C 1 -W 45 & while kill -0 $! 2>&-; do {say_hello}; sleep 1; done; "
                               "wait $!")
        self.assertEqual(heard, "line/hello from the line\n")

    def run_words(self, words: str) -> str:
        done = subprocess.run(["bash", "-c", words], text=True, capture_output=True, timeout=60,
                              stdin=subprocess.DEVNULL)
        self.assertEqual((done.returncode, done.stderr), (0, ""), f"{words}\n{done.stdout}")
        return done.stdout

    def check_table(self, output: str, file: Path) -> None:
        self.assertNotIn("\033", output)
        whole = json.loads(file.read_text(encoding="utf-8"))
        self.assertEqual(sorted(whole["sites"]), ["line", "machine", "weather"])
        rows = {}
        for line in output.splitlines():
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
            self.assertIn(word, output)

    def test_a_broken_off_demo_leaves_nothing_behind(self):
        for how in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            demo = subprocess.Popen([*self.arguments, "--seconds", "30"], stdout=subprocess.PIPE, text=True,
                                    stderr=subprocess.STDOUT)
            folder = ROOT / ".demo" / f"lab-{demo.pid}"
            wait_until(lambda: len(processes_under(str(folder))) >= 8, 90, lambda: f"eight daemons in {folder}")
            time.sleep(1)
            demo.send_signal(how)
            output, _ = demo.communicate(timeout=90)
            wait_until(lambda: not processes_under(str(folder)), 30, lambda: f"{processes_under(str(folder))}")
            if how != signal.SIGKILL:
                self.assertEqual(demo.returncode, 130, output)
                self.assertFalse(folder.exists(), output)
            shutil.rmtree(folder, ignore_errors=True)

    def test_a_planted_fault_is_told_and_it_does_not_end_well(self):
        file, plant = self.folder / "table.json", self.folder / "plant.py"
        plant.write_text(PLANTED, encoding="utf-8")
        self.arguments[1:2] = [str(plant), str(DEMO.parent)]
        demo, said = self.demo("--json", str(file))
        self.assertEqual(demo.wait(240), 1, said.read_text(encoding="utf-8"))
        folder = ROOT / ".demo" / f"lab-{demo.pid}"
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        output = said.read_text(encoding="utf-8")
        for word in ("FAILED: machine-memory: duplicated [7]\n", f"journals are in {folder}"):
            self.assertIn(word, output)
        self.assertNotIn("Nothing lost", output)
        whole = json.loads(file.read_text(encoding="utf-8"))
        self.assertEqual((whole["all"]["duplicated"], whole["sites"]["machine"]["duplicated"]), (1, 1))
        self.assertEqual((whole["all"]["lost"], output.count("FAILED")), (0, 1))
        self.assertEqual(processes_under(str(folder)), [])

    def test_wrong_words_are_told(self):
        done = subprocess.run([*self.arguments, "--seconds", "3"], text=True, capture_output=True, timeout=90)
        self.assertEqual(done.returncode, 2)
        self.assertIn("at least 12", done.stderr)
        done = subprocess.run([*self.arguments, "--weather", "/no/such.csv"], text=True, capture_output=True, timeout=90)
        self.assertEqual(done.returncode, 2)
        self.assertIn("/no/such.csv", done.stderr)


if __name__ == "__main__":
    unittest.main()
