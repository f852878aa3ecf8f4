#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The figures of the road from a sensor to the hub, measured on this machine. See scripts/bench --help."""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e" / "lib"))

from tombolo_lab.node import programs  # noqa: E402

import around  # noqa: E402
import figure  # noqa: E402
import measure  # noqa: E402
import targets  # noqa: E402

CELLS = [(100, 1), (100, 10), (100, 100), (1000, 1), (1000, 10), (1000, 100)]
QUICK_CELLS = [(100, 1), (1000, 100)]


def machine(folder: Path) -> dict:
    cpu = [row.split(":")[1].strip() for row in Path("/proc/cpuinfo").read_text().splitlines()
           if row.startswith("model name")]
    kind = subprocess.run(["df", "--output=fstype", str(folder)], capture_output=True, text=True,
                          check=False).stdout.split()[-1]
    return {"cpu": cpu[0] if cpu else platform.machine(), "cores": os.cpu_count(), "kernel": platform.release(),
            "file_system": kind, "fdatasync_us": measure.sync_us(folder)}


def broker_version() -> str:
    from tombolo_lab.broker import mosquitto_program
    out = subprocess.run([mosquitto_program(), "-h"], capture_output=True, text=True, check=False).stdout
    return out.splitlines()[0].split()[-1] if out else "?"


def table(result: dict) -> str:
    rows = [f'Mosquitto {result["mosquitto"]}, {result["machine"]["cores"]} cores, '
            f'{result["machine"]["file_system"]}, fdatasync {result["machine"]["fdatasync_us"]["p50"]} us; '
            f'median of {result["rounds"]} rounds of {result["seconds"]:g} s',
            f'strict syncs each message alone: this disk allows at most '
            f'{1e6 / max(1, result["machine"]["fdatasync_us"]["p50"]):,.0f}/s', "",
            f'{"payload":>8} {"publishers":>10}  {"variant":<8} {"acked/s":>9} {"ratio":>6} '
            f'{"least..most":>13} {"p50 us":>7} {"p99 us":>7} {"cpu us":>7} {"written/byte":>12}']
    for cell in result["rates"]:
        for variant, v in cell["variants"].items():
            rows.append(f'{cell["bytes"]:>6} B {cell["publishers"]:>10}  {variant:<8} '
                        f'{v["rate"]["median"]:>9,.0f} {v["ratio"]["median"]:>6.3f} '
                        f'{v["ratio"]["min"]:>6.3f}..{v["ratio"]["max"]:<5.3f} {v["p50_us"]:>7.0f} '
                        f'{v["p99_us"]:>7.0f} {v["cpu_us_per_message"]["median"]:>7.1f} '
                        f'{v["written_per_byte"]["median"]:>12.2f}')
    rows += ["", "resident memory, idle (KiB: resident, of that private)"]
    for name, m in result["memory_idle"].items():
        rows.append(f'  {name:<24} {m["rss_kib"]:>8,} {m["private_kib"]:>8,}')
    rows += ["", "start to CONNACK in ms, and memory in KiB, beside the broker without plugin"]
    for variant, v in result["starts"].items():
        rows.append(f'  {variant:<8} {v["connack_ms"]["median"]:>6.1f} ms ({v["added_ms"]["median"]:+.1f}) '
                    f'{v["rss_kib"]["median"]:>8,.0f} KiB ({v["added_rss_kib"]["median"]:+,.0f}, private '
                    f'{v["added_private_kib"]["median"]:+,.0f})')
    if result.get("local_p99"):
        rows += ["", "a site's own publishers, messages of 100 B: us; ratio to the daemon running"]
        for level, states in result["local_p99"].items():
            for state, v in states.items():
                rows.append(f'  {level:<8} {around.LOCAL_RATES[level]:>5}/s {state:<9} p50 {v["p50_us"]:>6.0f} p99 {v["p99_us"]:>6.0f} ratio '
                            f'{v["p99_ratio"]["median"]:.3f} ({v["p99_ratio"]["min"]:.3f}..{v["p99_ratio"]["max"]:.3f})')
    wire = result.get("wire")
    if wire:
        rows += ["", "bytes on the wire, site to hub and back, with TLS and acknowledgements"]
        for name in ("live", "backlog", "noise", "noise_backlog"):
            w = wire[name]
            rows.append(f'  {name:<13} {w["messages"]:,} messages, {w["payload_bytes"]:,} B payload: '
                        f'{w["per_payload_byte"]:.3f} per payload byte, Mosquitto bridge '
                        f'{w["bridge"]["per_payload_byte"]:.3f}')
        rows.append(f'  idle     {wire["idle_bytes_per_hour"]:,} B an hour')
    if result.get("join"):
        rows += ["", "leaves of state joined a second by one core: the join alone; with reading and writing the bytes"]
        for name, kind in result["join"].items():
            rows.append(f'  {name:<18} {kind["join_per_s"]:>12,} {kind["whole_per_s"]:>12,}')
    if result.get("state"):
        state = result["state"]
        rows += ["", "the store of state",
                 f'  leaves joined and committed: {state["apply"]["leaves_per_cpu_s"]:,} a second of processor time, '
                 f'{state["apply"]["leaves_per_s"]:,} a second, in {state["apply"]["chunks"]:,} chunks',
                 f'  a register written: {state["put"]["scope_us"]} us, a plain put of its bytes {state["put"]["plain_us"]} us, '
                 f'ratio {state["put"]["ratio"]}',
                 "  an insert into a set: " + ", ".join(f'{p["elements"]:,}: {p["insert_us"]} us' for p in state["set"]),
                 f'  {state["idle"]["scopes"]:,} idle scopes: {state["idle"]["rss_mib"]} MiB']
    rows += ["", f'{"target":<58} {"wanted":>8} {"found":>10}']
    for target in result["targets"]:
        rows.append(f'{target["name"]:<58} {target["wanted"]:>8} {target["found"]:>10,.3f}  '
                    f'{"met" if target["is_met"] else "NOT MET"}')
    return "\n".join(rows)


def run(arguments, folder: Path) -> dict:
    build = Path(arguments.build)
    built = programs(str(build))
    result = {"machine": machine(folder), "mosquitto": broker_version(), "rounds": arguments.rounds,
              "seconds": arguments.seconds, "when": time.strftime("%Y-%m-%d")}
    with measure.Brokers(folder / "rates", built.plugin) as brokers:
        idle = {f"broker, {'no plugin' if v == 'none' else v}": measure.memory(b.daemon.pid)
                for v, b in brokers.by_variant.items()}
        result["rates"] = measure.rates(brokers, build / "tests/bench/mqtt_load", arguments.rounds,
                                        arguments.seconds, QUICK_CELLS if arguments.quick else CELLS)
    with measure.Brokers(folder / "starts", built.plugin, is_up=False) as brokers:
        result["starts"] = around.starts(brokers, max(arguments.rounds, 2))
    result["memory_idle"] = idle
    result["join"] = measure.joins(build / "tests/bench/join_cost", 2 if arguments.quick else 20)
    result["state"] = measure.state(build / "tests/bench/state_cost", folder / "state",
                                    10000 if arguments.quick else 1000000)
    if not arguments.no_road:
        road = measure.road(folder / "road", built, arguments.road_seconds)
        result["memory_idle"].update({f"road, {name}": m for name, m in road["memory_idle"].items()})
        result["wire"] = road["wire"]
        result["local_p99"] = around.local_p99(folder / "local", built, build / "tests/bench/mqtt_load",
                                               arguments.rounds, arguments.seconds,
                                               around.LOCAL_LEVELS[:1] if arguments.quick else around.LOCAL_LEVELS)
    result["targets"] = targets.targets(result)
    return result


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--build", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--json", metavar="FILE", help="write all figures as JSON")
    parser.add_argument("--svg", metavar="FILE", help="write the picture of the rates")
    parser.add_argument("--rounds", type=int, default=5, help="5; each figure is the median of so many")
    parser.add_argument("--seconds", type=int, default=2, help="2; length of one run")
    parser.add_argument("--road-seconds", type=int, default=20, help="20; seconds of the line that are carried")
    parser.add_argument("--no-road", action="store_true", help="leave out what needs a hub")
    parser.add_argument("--quick", action="store_true", help="every measurement once, a second each; half of the loads")
    parser.add_argument("--folder", default="", help="where the journals go (its disk is what is measured)")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.rounds, arguments.seconds, arguments.road_seconds = 1, 1, 2
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=arguments.folder or arguments.build))
    try:
        result = run(arguments, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(table(result))
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    if arguments.svg:
        note = (f'{result["machine"]["cpu"]}, {result["machine"]["cores"]} cores, '
                f'{result["machine"]["file_system"]}, fdatasync {result["machine"]["fdatasync_us"]["p50"]} us, '
                f'Mosquitto {result["mosquitto"]}, median of {result["rounds"]} rounds, {result["when"]}')
        Path(arguments.svg).write_text(figure.svg(result["rates"], note, result.get("wire")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
