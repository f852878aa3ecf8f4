#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""planted.py BUILD-FOLDER PLANT: puts a known mistake into a copy of a source, and wants a test to notice.

A plant is a text file: heads, then the places that are changed.

    file: crdt/context.c            the source that is changed
    test: property.crdt.context     the test of this tree that must fail (its program is built here)
    args: --only dots               given to it (may be left out)
    env: TMB_RUNS=50                for it (may be left out)
    notice: is not its value        a regular expression that its output must match (may be left out)
    why: ...                        what the mistake is, and who made it once

    --- was
        the lines as they are, in the file exactly once
    --- is
        the lines as they are put there (none: taken away)

More pairs of was and is may follow, and a further `file:` line between them. The copy is compiled with the
command of the original, linked in front of the libraries that hold the original, and run. Exit status 0: the
test failed by one of its own assertions. A place that is not found, a mistake that does not compile, a crash,
a hang, or a test that has noticed nothing: 1.
"""
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile

SECONDS_MAX = 300


class Unfit(Exception):
    """The plant cannot be tried, or was not noticed."""


def read_plant(path):
    """Gives the heads, and the changes: [(file, was, is)]."""
    heads, changes, part, parts, file = {}, [], None, {}, None

    def close():
        if "is" in parts:
            changes.append((file, "".join(parts["was"]), "".join(parts["is"])))
            parts.clear()

    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            head = re.match(r"([a-z]+): (.*)\n", line)
            if line in ("--- was\n", "--- is\n"):
                part = line[4:-1]
                if part == "was":
                    close()
                parts[part] = []
            elif head and head.group(1) == "file" and (part is None or part == "is"):
                close()
                file, part = head.group(2).strip(), None
            elif part is not None:
                parts[part].append(line)
            elif head:
                heads[head.group(1)] = head.group(2).strip()
            elif line.strip() and not line.startswith("#"):
                raise Unfit(f"{path}:{number}: neither a head nor a change: {line.strip()}")
    close()
    if "test" not in heads or not changes or file is None:
        raise Unfit(f"{path}: wants file, test, and at least one change")
    return heads, changes


def change(source, file, was, put):
    count = source.count(was)
    if count != 1 or not was.strip():
        raise Unfit(f"{file} has these lines {count} times, not once:\n{was}")
    return source.replace(was, put)


def in_folder(build, command, what):
    done = subprocess.run(command, cwd=build, shell=isinstance(command, str), capture_output=True, text=True,
                          errors="replace", check=False)
    if done.returncode != 0:
        raise Unfit(f"{what} failed:\n{(done.stdout + done.stderr)[-4000:]}")
    return done.stdout


def compile_changed(build, root, folder, file, text):
    """Compiles text in place of file, as file is compiled; gives the object."""
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as listed:
        found = [one for one in json.load(listed)
                 if os.path.realpath(one["file"]) == os.path.realpath(os.path.join(root, file))]
    if not found:
        raise Unfit(f"{file} is compiled nowhere in {build}")
    changed = os.path.join(folder, "changed", file)
    os.makedirs(os.path.dirname(changed), exist_ok=True)
    with open(changed, "w", encoding="utf-8") as out:
        out.write(text)
    command = shlex.split(found[0]["command"])
    target = os.path.join(folder, file.replace("/", "_") + ".o")
    command[command.index("-o") + 1] = target
    command[command.index("-c") + 1] = changed
    in_folder(found[0]["directory"], command + ["-w"], f"compiling the changed {file}")
    return target


def link_with(build, folder, test, objects):
    """Links the program of test with these objects first; what they define, no library is asked for."""
    program = test.replace(".", "_")
    lines = in_folder(build, ["ninja", "-t", "commands", program], f"asking how {program} is linked")
    links = [line for line in lines.splitlines() if re.search(rf" -o \S*\b{program}(\s|$)", line)]
    if not links:
        raise Unfit(f"{program} is no program of {build}")
    out = os.path.join(folder, program)
    link, count = re.subn(rf" -o \S*\b{program}(?=\s|$)",
                          f" -o {shlex.quote(out)} " + " ".join(map(shlex.quote, objects)), links[-1])
    if count != 1:
        raise Unfit(f"do not understand how {program} is linked: {links[-1]}")
    in_folder(build, link, f"linking the changed {program}")
    return out


def try_plant(build, root, plant):
    heads, changes = read_plant(plant)
    texts = {}
    for file, was, put in changes:
        if file not in texts:
            with open(os.path.join(root, file), encoding="utf-8") as source:
                texts[file] = source.read()
        texts[file] = change(texts[file], file, was, put)
    with tempfile.TemporaryDirectory(prefix="planted-") as folder:
        objects = [compile_changed(build, root, folder, file, text) for file, text in texts.items()]
        program = link_with(build, folder, heads["test"], objects)
        environment = {name: value for name, value in os.environ.items() if name != "TMB_SEED"}
        environment.update(one.split("=", 1) for one in shlex.split(heads.get("env", "")))
        try:
            done = subprocess.run([program] + shlex.split(heads.get("args", "")), cwd=folder, env=environment,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                  errors="replace", timeout=SECONDS_MAX, check=False)
        except subprocess.TimeoutExpired as late:
            raise Unfit(f"{heads['test']} hangs with it for {SECONDS_MAX} s") from late
    last = done.stdout[-3000:]
    if done.returncode == 0:
        raise Unfit(f"{heads['test']} notices nothing. Its last lines:\n{last}")
    if done.returncode < 0 and done.returncode != -signal.SIGABRT:
        raise Unfit(f"{heads['test']} died of a signal ({-done.returncode}) and did not say what is wrong:\n{last}")
    crash = re.search("failed with exception: .*", done.stdout)  # cmocka's word for a signal
    if crash:
        raise Unfit(f"{heads['test']} died of a signal instead of saying what is wrong: {crash.group(0)}")
    if not re.search(heads.get("notice", ""), done.stdout):
        raise Unfit(f"{heads['test']} fails, but not with \"{heads['notice']}\":\n{last}")
    return heads["test"], last


def main():
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    build, plant = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
    root = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
    try:
        test, last = try_plant(build, root, plant)
    except Unfit as unfit:
        print(f"planted: {os.path.relpath(plant, root)}: {unfit}", file=sys.stderr)
        return 1
    print(f"{test} has noticed {os.path.relpath(plant, root)}:\n{last}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
