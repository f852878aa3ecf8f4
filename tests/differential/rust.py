#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""rust.py DRIVER BUILD-FOLDER: random histories on crdt/ (DRIVER) and on Debian's Rust crate `crdts`.

Builds the crate's program in BUILD-FOLDER, offline; plays the same lines (README.md) on both; wants the same
values after each step, and the differences that are meant to be there as they are said. TMB_SEED, TMB_RUNS.
"""
import os
import random
import shutil
import subprocess
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
REGISTRY = "/usr/share/cargo/registry"
CONFIG = f"""[source.crates-io]
replace-with = "debian"
[source.debian]
directory = "{REGISTRY}"
"""
RUNS = 250
STEPS = 40
SECONDS_MAX = 800

DRIVER, BUILD = (os.path.abspath(path) for path in sys.argv[1:3])

# In histories with removals of maps, only what the crate has in a map, and each change by an actor of its own;
# what differs else is in README.md.
FLAT = ("reg", "lww", "up", "pn", "aw", "gs", "map.reg", "map.aw", "map.pn", "map.n.reg")
MAPS = ("map.reg", "map.aw", "map.n.reg")


def build():
    """Gives the crate's program. Cargo.lock is made anew for whichever cargo there is; what is built stays."""
    if not shutil.which("cargo") or not os.path.isdir(f"{REGISTRY}/crdts-7.2.0"):
        raise SystemExit("rust.py: cargo, rustc and librust-crdts-dev are wanted (scripts/install-deps)")
    version = subprocess.run(["cargo", "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
    folder = os.path.join(BUILD, f"cargo-{version}")  # another cargo may not read this one's lock
    texts = {".cargo/config.toml": CONFIG}
    for name in ("Cargo.toml", "src/main.rs"):
        with open(os.path.join(HERE, name), encoding="utf-8") as source:
            texts[name] = source.read()
    for name, text in texts.items():
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if not os.path.exists(path) or open(path, encoding="utf-8").read() != text:
            with open(path, "w", encoding="utf-8") as out:
                out.write(text)
    done = subprocess.run(["cargo", "build", "--quiet", "--offline"], cwd=folder,
                          env={**os.environ, "CARGO_HOME": os.path.join(folder, "home"),
                               "CARGO_TARGET_DIR": os.path.join(folder, "target")},
                          capture_output=True, text=True, timeout=SECONDS_MAX, check=False)
    if done.returncode != 0:
        raise SystemExit(f"rust.py: cargo {version} cannot build it:\n{done.stderr[-4000:]}")
    return os.path.join(folder, "target", "debug", "tombolo-differential")


def values(program, lines):
    done = subprocess.run([program], input="\n".join(lines) + "\n", capture_output=True, text=True,
                          timeout=SECONDS_MAX, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{program} gave up:\n{(done.stdout + done.stderr)[-2000:]}")
    return [dict(pair.split("=", 1) for pair in line.split(" "))
            for line in done.stdout.splitlines() if line.startswith("reg=")]


class History:
    """Lines, and for each read which step it belongs to and which names are compared."""

    def __init__(self, seed):
        rng = random.Random(seed)
        self.seed, self.lines, self.reads = seed, [], []
        count = rng.randint(2, 4)
        self.stamps = [0] * count  # stamps rise with what was seen, as clocks that are right do
        has_removals = rng.random() < 0.6
        self.names = MAPS if has_removals else FLAT
        self.add(f"new {count} fresh" if has_removals else f"new {count}")
        for _ in range(rng.randint(5, STEPS)):
            self.step(rng, count, has_removals)
        for replica in list(range(1, count)) + [0]:
            for other in range(count):
                if other != replica:
                    self.add(f"tell {replica} {other}")
        for replica in range(count):
            self.read(replica)

    def add(self, line):
        self.lines.append(line)

    def read(self, replica):
        self.add(f"read {replica}")
        self.reads.append(len(self.lines))

    def step(self, rng, count, has_removals):
        replica, other = rng.randrange(count), rng.randrange(count)
        dice = rng.random()
        if dice < 0.3 and other != replica:
            self.add(f"tell {other} {replica}")
            self.stamps[replica] = max(self.stamps[replica], self.stamps[other])
        elif dice < 0.4 and has_removals:
            self.add(f"del {replica} {rng.choice(['m', 'm/reg', 'm/aw', 'm/n'])}")
        else:
            self.change(rng, replica)
        self.read(replica)

    def change(self, rng, replica):
        verb = rng.choice(["set", "set", "set-inner", "count", "inc", "dec", "add", "add", "add", "rm", "insert"])
        if verb.startswith("set"):
            self.stamps[replica] += 1
            self.add(f"{verb} {replica} {self.stamps[replica]} {rng.randrange(1, 9)}")
        elif verb in ("count", "inc", "dec"):
            self.add(f"{verb} {replica} {rng.randrange(1, 9)}")
        else:
            self.add(f"{verb} {replica} {rng.randrange(3)}")


class Differential(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.crate = build()

    def both(self, lines):
        return values(self.crate, lines), values(DRIVER, lines)

    def test_the_values_are_the_same_after_every_step(self):
        seed, runs = os.environ.get("TMB_SEED"), int(os.environ.get("TMB_RUNS", RUNS))
        histories = [History(int(seed))] if seed else [History(number) for number in range(1, runs + 1)]
        theirs, ours = self.both([line for history in histories for line in history.lines])
        self.assertEqual(len(theirs), sum(len(history.reads) for history in histories))
        self.assertEqual(len(theirs), len(ours))
        at = 0
        for history in histories:
            for read in history.reads:
                for name in history.names:
                    if theirs[at][name] != ours[at][name]:
                        self.fail(f"seed {history.seed}: {name} is {ours[at][name]!r} here, and "
                                  f"{theirs[at][name]!r} in the crate, after\n" + "\n".join(history.lines[:read]))
                at += 1
        print(f"{len(histories)} histories, {at} reads (seed 1 to {len(histories)})", file=sys.stderr)

    def difference(self, lines, name, theirs, ours):
        crate, here = self.both(lines)
        self.assertEqual(crate[-1][name], theirs, "the crate differs otherwise than README.md says")
        self.assertEqual(here[-1][name], ours)

    def test_meant_a_stamp_of_next_year_does_not_eat_a_later_write(self):
        self.difference(["new 2", "set 0 99 1", "tell 0 1", "set 1 10 2", "tell 1 0", "read 0"], "lww", "1", "2")

    def test_meant_what_a_remover_had_seen_goes_though_its_maker_goes_on(self):
        self.difference(["new 2", "add 0 1", "tell 0 1", "add 0 0", "del 1 m", "tell 0 1", "read 1"],
                        "map.aw", "0,1", "0")
        self.difference(["new 2 fresh", "add 0 1", "tell 0 1", "add 0 0", "del 1 m", "tell 0 1", "read 1"],
                        "map.aw", "0", "0")

    def test_meant_a_counter_in_a_map_loses_what_its_remover_had_seen(self):
        self.difference(["new 3", "inc 0 8", "tell 0 1", "tell 0 2", "del 2 m/pn", "inc 1 1", "tell 2 1", "read 1"],
                        "map.pn", "9", "1")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
