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
          "share/doc/tombolo/LICENSE", "share/doc/tombolo/proto/state.proto"]
# Installed by a target of this name, if the tree has it.
BY_TARGET = {
    "tombolo-syncd": ["bin/tombolo-syncd"],
    "tombolo-journal": ["bin/tombolo-journal"],
    "tombolo-state": ["bin/tombolo-state", "share/man/man1/tombolo-state.1"],
    "tombolo-sim": ["bin/tombolo-sim", "share/man/man1/tombolo-sim.1"],
    "tombolo-mosquitto": ["lib/**/mosquitto/tombolo-mosquitto.so"],
    "tombolo": ["lib/**/libtombolo.so", "lib/**/libtombolo.so.0", "include/tombolo/tombolo.h",
                "include/tombolo/base/err.h", "lib/**/pkgconfig/tombolo.pc", "lib/**/cmake/tombolo/tomboloConfig.cmake"],
}


EXAMPLES = ["publish-with-receipt", "subscribe-once"]


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
                                timeout=60, check=False)
        if result.returncode != 0 or not result.stdout.strip():
            yield f"{path} {option}: exit {result.returncode}, {result.stderr.strip()!r}"


def builds(prefix, cmake):
    """The client examples build alone against what was installed, by pkg-config and by CMake, and start."""
    found = glob.glob(os.path.join(prefix, "lib/**/pkgconfig"), recursive=True)
    env = {**os.environ, "PKG_CONFIG_PATH": ":".join(found)}
    env["LD_LIBRARY_PATH"] = ":".join(os.path.dirname(path) for path in found)
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../examples/client")
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "tombolo"], env=env, capture_output=True, text=True,
                           check=False)
    if flags.returncode != 0:
        yield f"pkg-config: {flags.stderr.strip()}"
        return
    with tempfile.TemporaryDirectory() as out:
        for name in EXAMPLES:
            program = os.path.join(out, name)
            command = ["cc", "-Wall", "-Wextra", "-Werror", "-o", program, os.path.join(source, f"{name}.c")]
            yield from starts(command + flags.stdout.split(), program, env)
        subprocess.run([cmake, "-S", source, "-B", f"{out}/build", f"-DCMAKE_PREFIX_PATH={prefix}"], check=False,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for name in EXAMPLES:
            command = [cmake, "--build", f"{out}/build", "--target", name]
            yield from starts(command, f"{out}/build/{name}", env)


def starts(command, program, env):
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    if built.returncode != 0:
        yield f"{' '.join(command[:2])}: {os.path.basename(program)} does not build: {built.stderr[-500:]}"
        return
    result = subprocess.run([program], env=env, capture_output=True, text=True, timeout=60, check=False)
    if result.returncode != 2 or "usage" not in result.stderr:
        yield f"{os.path.basename(program)}: exit {result.returncode}, {result.stderr.strip()!r}"


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
        if "tombolo" in present:
            found += builds(prefix, cmake)
    with tempfile.TemporaryDirectory() as empty:
        if not list(complaints(empty, wanted)):
            found.append("an empty folder passes: this check has gone blind")
    for complaint in found:
        print(f"tidy.install: {complaint}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
