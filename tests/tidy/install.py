#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""install.py CMAKE BUILD: what `cmake --install` puts into an empty folder is whole, and runs from there."""
import glob
import os
import re
import subprocess
import sys
import tempfile

UNIT = "lib/systemd/system/tombolo-syncd@.service"
ALWAYS = ["share/doc/tombolo/config/samples/site.yaml", "share/doc/tombolo/docs/operations.md",
          "share/doc/tombolo/docs/figures/road.svg", "share/doc/tombolo/CHANGELOG.md",
          "share/man/man8/tombolo-syncd.8", "share/man/man5/tombolo.yaml.5", UNIT, "lib/tmpfiles.d/tombolo.conf",
          "share/doc/tombolo/LICENSE"]
# Installed by a target of this name, if the tree has it.
BY_TARGET = {
    "tombolo-syncd": ["bin/tombolo-syncd"],
    "tombolo-journal": ["bin/tombolo-journal"],
    "tombolo-mosquitto": ["lib/**/mosquitto/tombolo-mosquitto.so"],
}


def targets(cmake, build):
    out = subprocess.run([cmake, "--build", build, "--target", "help"], capture_output=True, text=True,
                         check=True).stdout
    return set(re.findall(r"^([\w.+-]+): phony$", out, re.M))


def complaints(prefix, wanted):
    for path in wanted:
        if not glob.glob(os.path.join(prefix, path), recursive=True):
            yield f"{path} is not installed"
    for folder, _, names in os.walk(prefix):
        for name in names:
            path = os.path.relpath(os.path.join(folder, name), prefix)
            if path.startswith("bin/"):
                yield from runs(prefix, path)
            if not path.startswith(("bin/", "lib/", "share/", "include/")):
                yield f"{path} is outside of the prefix's folders"
    unit = os.path.join(prefix, UNIT)
    if os.path.isfile(unit):
        with open(unit, encoding="utf-8") as file:
            if re.search(r"@\w+@", file.read()):
                yield f"{UNIT} has a variable that was not filled in"


def runs(prefix, path):
    for option in ("--help", "--version"):
        result = subprocess.run([os.path.join(prefix, path), option], capture_output=True, text=True,
                                timeout=20, check=False)
        if result.returncode != 0 or not result.stdout.strip():
            yield f"{path} {option}: exit {result.returncode}, {result.stderr.strip()!r}"


def main():
    cmake, build = sys.argv[1:]
    wanted = list(ALWAYS)
    present = targets(cmake, build)
    for target, paths in BY_TARGET.items():
        if target in present:
            wanted += paths
    with tempfile.TemporaryDirectory() as prefix:
        subprocess.run([cmake, "--install", build, "--prefix", prefix], check=True,
                       stdout=subprocess.DEVNULL)
        found = list(complaints(prefix, wanted))
    with tempfile.TemporaryDirectory() as empty:
        if not list(complaints(empty, wanted)):
            found.append("an empty folder passes: this check has gone blind")
    for complaint in found:
        print(f"tidy.install: {complaint}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
