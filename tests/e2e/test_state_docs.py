# SPDX-License-Identifier: Apache-2.0
"""Every line of docs/state.md that can be typed is typed, in its order, at a node of its configuration: it says
what is printed there.

A value follows its operation by some milliseconds, so what reads it is typed again until it says so.
"""

import json
import os
import re
import shlex
import stat
import subprocess
import time
import unittest
from pathlib import Path

from tombolo_lab import Lab
from tombolo_lab.net import wait_until
from tombolo_lab.node import Settings

DOCUMENT = Path(__file__).resolve().parents[2] / "docs/state.md"
PATIENCE_S = 30


def commands() -> list:
    """(line of the document, command, what it prints)"""
    found, is_shell = [], False
    for number, line in enumerate(DOCUMENT.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("```"):
            is_shell = line == "```sh"
        elif is_shell and line.startswith("$ "):
            found.append([number, line[2:], ""])
        elif is_shell:
            found[-1][2] += line + "\n"
    return found


class DocumentTest(unittest.TestCase):
    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        hub = self.lab.node("old-hub", has_children=True, settings=Settings(more='state: { scopes: [ "line-*" ] }\n'))
        self.node = self.lab.node("line-7", has_children=True, parent=hub,
                                  settings=Settings(more="state: { scopes: [ line-7, fleet ] }\n"))
        self.lab.start()
        self.node.syncd.wait_for_log("state.broker_up")  # answers are told to who is there
        wait_until(lambda: '"equal"' in json.dumps(self.node.told().get("merging")), PATIENCE_S, self.lab.logs)
        hub.stop()  # the site has left it
        self.variables = {}
        self.shims = Path(self.lab.folder) / "bin"
        self.shims.mkdir()
        self.make_shim("tombolo-state", f"""#!/bin/bash
exec {shlex.quote(str(Path(os.environ["TMB_BUILD"]) / "clients/cli/tombolo-state"))} \
    "${{@/#\\/etc\\/tombolo\\/site.yaml/{self.node.config_file}}}"
""")
        for name in ("mosquitto_pub", "mosquitto_sub", "mosquitto_rr"):
            self.make_shim(name, f'#!/bin/sh\nexec {shlex.quote(self.program(name))} -p {self.node.broker.port} "$@"\n')

    def make_shim(self, name: str, text: str) -> None:
        shim = self.shims / name
        shim.write_text(text, encoding="utf-8")
        shim.chmod(shim.stat().st_mode | stat.S_IXUSR)

    @staticmethod
    def program(name: str) -> str:
        return subprocess.run(["sh", "-c", f"command -v {name}"], capture_output=True, text=True, check=True).stdout.strip()

    def type(self, command: str) -> str:
        assigned = re.match(r"([A-Z]+)=", command)
        if assigned:
            command += f"; printf %s \"${assigned[1]}\""
        path = f"{self.shims}:{os.environ['PATH']}"
        try:
            done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=PATIENCE_S,
                                  env={**os.environ, **self.variables, "PATH": path})
        except subprocess.TimeoutExpired:
            return "nothing within its time"
        if not assigned:
            return done.stdout
        self.variables[assigned[1]] = done.stdout
        self.assertTrue(done.stdout, f"{command}: {done.stderr}")
        return ""

    def test_says_what_is_printed(self):
        lines = commands()
        self.assertGreaterEqual(len(lines), 50)
        for number, command, wanted in lines:
            with self.subTest(line=number):
                reads = command.startswith(("mosquitto_sub", "tombolo-state neighbours"))
                end, found = time.monotonic() + PATIENCE_S, self.type(command)
                while reads and found != wanted and time.monotonic() < end:
                    time.sleep(0.1)
                    found = self.type(command)
                self.assertEqual(found, wanted, f"docs/state.md:{number}: {command}\n{self.node.logs()}")

    def test_has_every_verb(self):
        typed = "\n".join(command for _, command, _ in commands())
        for verb in ("set inc dec reset count add rm admit revoke insert enable disable permit forbid raise lower new "
                     "del").split():
            self.assertRegex(typed, rf"state/line-7/[a-z/]+/{verb} ")
