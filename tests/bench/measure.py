# SPDX-License-Identifier: Apache-2.0
"""What scripts/bench measures, one function a figure. Nothing is printed here but progress, to stderr.

Brokers that are compared run side by side and take turns, in an order drawn anew each round, so that a
machine that is busy for a while is busy for all of them; ratios are taken within a round.
"""

import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tombolo_lab import Broker, Lab
from tombolo_lab.net import wait_until

import wire

VARIANTS = ("none", "process", "group", "strict")
MEMORY = "/dev/shm"
CONFIG = """\
node: bench
domain: bench.example
data_dir: {data}
journal:
  ring: {ring}
streams:
  - name: default
    topics: ["#"]
    durability: {durability}
    retention:
      bytes: 1GiB
"""


def say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


def process_figures(pid: int) -> dict:
    """Memory in KiB (resident; private and shared parts); bytes written to disk and time on a core so far."""
    figures = {}
    for path in (f"/proc/{pid}/status", f"/proc/{pid}/smaps_rollup", f"/proc/{pid}/io"):
        try:
            text = Path(path).read_text(encoding="ascii", errors="replace")
        except PermissionError:
            continue
        for row in text.splitlines():
            name, _, value = row.partition(":")
            if value.split() and value.split()[0].isdigit():
                figures[name] = int(value.split()[0])
    return {"rss_kib": figures.get("VmRSS", 0), "pss_kib": figures.get("Pss", 0),
            "private_kib": figures.get("Private_Clean", 0) + figures.get("Private_Dirty", 0),
            "written_bytes": figures.get("write_bytes", 0), "cpu_us": cpu_us(pid)}


def cpu_us(pid: int) -> float:
    """In user and kernel mode; fields 14 and 15 of /proc/<pid>/stat, counted behind the name in brackets."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1e6 / os.sysconf("SC_CLK_TCK")


def memory(pid: int) -> dict:
    return {name: value for name, value in process_figures(pid).items() if name.endswith("_kib")}


def sync_us(folder: Path, times: int = 200) -> dict:
    """How long this disk takes to make 150 more bytes of a file durable: the floor under `strict`."""
    path, took = folder / "sync-probe", []
    with open(path, "wb", buffering=0) as file:
        for _ in range(times):
            file.write(b"x" * 150)
            begin = time.perf_counter()
            os.fdatasync(file.fileno())
            took.append((time.perf_counter() - begin) * 1e6)
    path.unlink()
    took.sort()
    return {"p50": round(took[times // 2]), "p99": round(took[times * 99 // 100])}


class Brokers:
    """One broker a variant, with the same settings but for the plugin; all up at once if is_up.

    What outlives a broker lies where it does on a box of its own, also when this is a container, in which the plugin
    by itself would not trust it."""

    def __init__(self, folder: Path, plugin: Path, is_up: bool = True):
        self.by_variant, self._is_up = {}, is_up
        self._ring = tempfile.mkdtemp(prefix="tombolo-bench-", dir=MEMORY) if os.path.isdir(MEMORY) else ""
        for variant in VARIANTS:
            home = folder / variant
            home.mkdir(parents=True)
            config = home / "node.yaml"
            config.write_text(CONFIG.format(data=home / "data", ring=self._ring or "auto",
                                            durability=variant), encoding="utf-8")
            self.by_variant[variant] = Broker(variant, home, plugin=None if variant == "none" else plugin,
                                              plugin_config=config)

    def __enter__(self):
        for broker in self.by_variant.values() if self._is_up else ():
            broker.start()
        return self

    def __exit__(self, *_):
        for broker in self.by_variant.values():
            broker.stop()
        if self._ring:
            shutil.rmtree(self._ring, ignore_errors=True)


def load(program: Path, port: int, publishers: int, size: int, seconds: int, rate: int = 0) -> dict:
    out = subprocess.run([program, "--port", str(port), "--publishers", str(publishers), "--bytes", str(size),
                          "--seconds", str(seconds), *(["--rate", str(rate)] if rate else [])], check=True, capture_output=True,
                         text=True, timeout=seconds + 120).stdout
    return json.loads(out)


def rates(brokers: Brokers, program: Path, rounds: int, seconds: int, cells: list) -> list:
    """Messages a second acked, and bytes written to disk per payload byte, for each cell and variant."""
    runs = {(cell, variant): [] for cell in cells for variant in VARIANTS}
    draw = random.Random(1)
    for number in range(1, rounds + 1):
        for size, publishers in cells:
            order = list(VARIANTS)
            draw.shuffle(order)
            for variant in order:
                broker = brokers.by_variant[variant]
                before = process_figures(broker.daemon.pid)
                run = load(program, broker.port, publishers, size, seconds)
                after = process_figures(broker.daemon.pid)
                wrote = after["written_bytes"] - before["written_bytes"]
                run["written_per_byte"] = wrote / max(1, run["payload_bytes"])
                run["cpu_us"] = (after["cpu_us"] - before["cpu_us"]) / max(1, run["total"])
                runs[((size, publishers), variant)].append(run)
            last = {v: round(runs[((size, publishers), v)][-1]["rate"]) for v in VARIANTS}
            say(f"round {number}/{rounds}, {size} B x {publishers}: " +
                ", ".join(f"{v} {rate:,}/s" for v, rate in last.items()))
    return [cell_figures(cell, runs) for cell in cells]


def cell_figures(cell: tuple, runs: dict) -> dict:
    figures = {"bytes": cell[0], "publishers": cell[1], "variants": {}}
    base = [run["rate"] for run in runs[(cell, "none")]]
    strict = [run["rate"] for run in runs[(cell, "strict")]]
    for variant in VARIANTS:
        mine = runs[(cell, variant)]
        ratios = [run["rate"] / other for run, other in zip(mine, base)]
        figures["variants"][variant] = {
            "rate": spread([run["rate"] for run in mine], 0),
            "ratio": spread(ratios, 4),
            "to_strict": spread([run["rate"] / other for run, other in zip(mine, strict)], 3),
            "p50_us": statistics.median(run["p50_us"] for run in mine),
            "p99_us": statistics.median(run["p99_us"] for run in mine),
            "cpu_us_per_message": spread([run["cpu_us"] for run in mine], 1),
            "written_per_byte": spread([run["written_per_byte"] for run in mine], 3),
        }
    return figures


def spread(values: list, digits: int) -> dict:
    return {"median": round(statistics.median(values), digits), "min": round(min(values), digits),
            "max": round(max(values), digits)}


def link_bytes(link) -> int:
    return link.bytes_up + link.bytes_down


def road(folder: Path, built, seconds: int) -> dict:
    """A hub and a site: memory of all four processes when idle, and bytes on the wire per payload byte."""
    folder.mkdir(parents=True)
    with Lab(str(folder), built=built) as lab:
        hub = lab.node("hub", has_children=True)
        site = lab.node("s1", parent=hub)
        lab.start()
        wait_until(lambda: site.link.bytes_down > 0, 30, "the site to reach its hub")
        wire.settle(site.link)
        idle = {f"{node.name} {what}": memory(daemon.pid) for node in (hub, site)
                for what, daemon in (("broker", node.broker.daemon), ("syncd", node.syncd))}
        before, begin = link_bytes(site.link), time.monotonic()
        wait_until(lambda: time.monotonic() - begin > seconds, seconds + 5, "an idle while")
        per_hour = (link_bytes(site.link) - before) / (time.monotonic() - begin) * 3600
        say("wire: the line and noise, live and as a backlog, beside a bridge")
        found = wire.beside_bridge(lab, site, hub, folder, seconds)
    return {"memory_idle": idle, "wire": {**found, "idle_bytes_per_hour": round(per_hour)}}


def joins(program: Path, rounds: int) -> dict:
    """How many leaves of state a core joins, by kind of news (join_cost.c)."""
    out = subprocess.run([program, "100000", str(rounds)], capture_output=True, text=True, check=True).stdout
    return {name: kind for name, kind in json.loads(out).items() if isinstance(kind, dict)}


def state(program: Path, folder: Path, leaves: int) -> dict:
    """What the store of state costs (state_cost.c), and what a process takes that has many scopes and does nothing."""
    folder.mkdir(parents=True)
    say(f"state: the store, with sets of up to {leaves:,} elements")
    found = json.loads(subprocess.run([program, folder, str(leaves)], capture_output=True, text=True, check=True).stdout)
    found["idle"] = json.loads(subprocess.run([program, folder, "idle"], capture_output=True, text=True, check=True).stdout)
    return found
