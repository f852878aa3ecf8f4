#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""spin.py MODEL (--states FLOOR | --breaks ASSERTION) [-DNAME[=VALUE]]... [--long -DNAME[=VALUE]]...: checks one model.

With --states every state is searched: it passes if none violates an assertion, if the search was complete and
if it saw at least FLOOR states, so that a model in which nothing happens any more is noticed. With --breaks the
model is one that is built wrongly, and it passes only if SPIN finds just that assertion violated.

With --ends no run may go on for ever, either. --long gives definitions that replace those of the same name, and
--reduce-not adds -DNOREDUCE, both when TMB_LONG=1.
When what was expected does not happen, the trace is printed.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
MEMORY_MIB = 6000
DEPTH = 1000000
TRACE_LINES = 400


def parse():
    parser = argparse.ArgumentParser(description="checks one SPIN model")
    parser.add_argument("model")
    parser.add_argument("--states", type=int, help="what must hold holds, in so many states at least")
    parser.add_argument("--breaks", help="the assertion that must be found violated")
    parser.add_argument("--long", action="append", default=[], metavar="DEFINITION")
    parser.add_argument("--ends", action="store_true", help="no run goes on for ever, either")
    parser.add_argument("--reduce-not", action="store_true")
    arguments, definitions = parser.parse_known_args()
    if (arguments.states is None) == (arguments.breaks is None):
        parser.error("one of --states and --breaks")
    if any(not d.startswith("-D") for d in definitions):
        parser.error(f"not a definition: {definitions}")
    return arguments, definitions


def fail(why):
    print(f"spin.py: {why}", file=sys.stderr)
    sys.exit(1)


def run(command, folder):
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False)
    return done.returncode, done.stdout


def build(arguments, definitions, folder, is_long):
    """The verifier of the model, as an executable in folder."""
    for name in os.listdir(HERE):
        if name.endswith(".pml"):
            shutil.copy(os.path.join(HERE, name), folder)
    code, out = run(["spin", *definitions, "-a", arguments.model], folder)
    if code or "rror" in out or not os.path.exists(os.path.join(folder, "pan.c")):
        fail(f"spin does not take the model:\n{out}")
    # Most of the time is the compiler's.
    flags = ["-O0" if arguments.breaks else "-O1", "-w", f"-DMEMLIM={MEMORY_MIB}"]
    flags += ["-DNP"] if arguments.ends else ["-DSAFETY"]
    flags += ["-DHC4"] if is_long else []
    flags += ["-DNOREDUCE"] if is_long and arguments.reduce_not else []
    code, out = run(["gcc", *flags, "-o", "pan", "pan.c"], folder)
    if code:
        fail(f"gcc does not take the verifier:\n{out}")


def search(arguments, folder, is_long):
    command = ["./pan", f"-m{DEPTH}", "-w26" if is_long else "-w22"]
    command += ["-l"] if arguments.ends else []
    return run(command, folder)[1]


def trace(arguments, definitions, folder):
    """The story of the violation: as the model tells it, or statement by statement."""
    out = run(["spin", *definitions, "-t", arguments.model], folder)[1]
    lines = [line for line in out.split("\n")
             if line.startswith("  ") and "\tproc" not in line and "\t\t" not in line]
    if not lines:
        lines = run(["spin", *definitions, "-t", "-p", arguments.model], folder)[1].split("\n")
    return "\n".join(lines[-TRACE_LINES:])


def judge(arguments, out):
    """What is wrong with the result, or nothing."""
    errors = re.search(r"errors: (\d+)", out)
    states = re.search(r"(\d+(?:\.\d+e[+]\d+)?) states, stored", out)
    if not errors or not states:
        return "the verifier gave up:\n" + out[-2000:]
    violated = re.search(r"pan:\d+: (.*) \(at depth", out)
    if arguments.breaks:
        if violated and violated.group(1) == f"assertion violated {arguments.breaks}":
            return ""
        found = violated.group(1) if violated else f"nothing in {states.group(1)} states"
        return f"should break {arguments.breaks}, but found is: {found}"
    if violated or errors.group(1) != "0":
        return f"broken: {violated.group(1) if violated else out[-2000:]}"
    for word in ("max search depth too small", "out of memory", "reached -DMEMLIM", "Search not completed"):
        if word in out:
            return f"the search is not complete: {word}"
    if float(states.group(1)) < arguments.states:
        return f"{states.group(1)} states only, expected are at least {arguments.states}"
    return ""


def overridden(definitions, by):
    names = {d.split("=")[0] for d in by}
    return [d for d in definitions if d.split("=")[0] not in names] + by


def check(arguments, definitions, is_long):
    folder = tempfile.mkdtemp(prefix="tmb-spin-")
    try:
        begin = time.monotonic()
        build(arguments, definitions, folder, is_long)
        built = time.monotonic()
        out = search(arguments, folder, is_long)
        end = time.monotonic()
        states = re.search(r"([\d.e+]+) states, stored", out)
        depth = re.search(r"depth reached (\d+)", out)
        print(f"{arguments.model} {' '.join(definitions)}: {states.group(1) if states else '?'} states, depth "
              f"{depth.group(1) if depth else '?'}, built in {built - begin:.1f} s, searched in {end - built:.1f} s")
        wrong = judge(arguments, out)
        if wrong:
            print(trace(arguments, definitions, folder))
            fail(wrong)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main():
    arguments, definitions = parse()
    for tool in ("spin", "gcc"):
        if not shutil.which(tool):
            fail(f"no {tool} here: scripts/install-deps brings it")
    check(arguments, definitions, False)
    if os.environ.get("TMB_LONG") == "1" and (arguments.long or arguments.reduce_not):
        check(arguments, overridden(definitions, arguments.long), True)


if __name__ == "__main__":
    main()
