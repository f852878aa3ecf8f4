# SPDX-License-Identifier: Apache-2.0
"""This machine's own sensors, read from the kernel: load, processors, memory, pressure, disks, network,
temperatures. What the kernel does not have is not said."""

import itertools
import time
from pathlib import Path

from tombolo_lab import Message

_SECTOR_BYTES = 512  # the unit of /proc/diskstats, whatever the disk


def _lines(path: str) -> list:
    try:
        return Path(path).read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return []


def load() -> dict:
    words = _lines("/proc/loadavg")[0].split()
    return {"load1": float(words[0]), "load5": float(words[1]), "load15": float(words[2])}


def processors() -> dict:
    """Ticks since boot; whoever wants per cent takes a difference."""
    found = {}
    for line in _lines("/proc/stat"):
        name, *ticks = line.split()
        if name.startswith("cpu"):
            ticks = [int(tick) for tick in ticks]
            found[name] = {"busy": sum(ticks) - ticks[3] - ticks[4], "idle": ticks[3] + ticks[4]}
    return found


def memory() -> dict:
    wanted = ("MemTotal", "MemAvailable", "Cached", "Dirty", "Writeback", "SwapFree")
    pairs = (line.split(":") for line in _lines("/proc/meminfo"))
    return {name: int(value.split()[0]) * 1024 for name, value in pairs if name in wanted}


def pressure() -> dict:
    """How much of the last 10 s something stood still for want of a resource, in per cent."""
    found = {}
    for what in ("cpu", "memory", "io"):
        for line in _lines(f"/proc/pressure/{what}"):
            kind, rest = line.split(" ", 1)
            found[f"{what}_{kind}"] = float(rest.split()[0].split("=")[1])
    return found


def disks() -> dict:
    found = {}
    for line in _lines("/proc/diskstats"):
        words = line.split()
        if words[2].startswith(("loop", "ram")) or words[3] == words[7] == "0":
            continue
        found[words[2]] = {"read_bytes": int(words[5]) * _SECTOR_BYTES,
                           "written_bytes": int(words[9]) * _SECTOR_BYTES, "in_flight": int(words[11])}
    return found


def network() -> dict:
    found = {}
    for line in _lines("/proc/net/dev")[2:]:
        name, rest = line.split(":", 1)
        words = rest.split()
        if words[0] != "0" or words[8] != "0":
            found[name.strip()] = {"in_bytes": int(words[0]), "in_packets": int(words[1]),
                                   "out_bytes": int(words[8]), "out_packets": int(words[9])}
    return found


def temperatures() -> dict:
    found = {}
    for zone in sorted(Path("/sys/class/thermal").glob("thermal_zone*")):
        value = _lines(f"{zone}/temp")
        if value:
            found[(_lines(f"{zone}/type") or [zone.name])[0]] = int(value[0]) / 1000
    for sensor in sorted(Path("/sys/class/hwmon").glob("hwmon*/temp*_input")):
        value = _lines(str(sensor))
        if value:
            chip = (_lines(f"{sensor.parent}/name") or [sensor.parent.name])[0]
            found[f"{chip}.{sensor.name[:-6]}"] = int(value[0]) / 1000
    return found


def readings(sensors: dict, per_second: float):
    """Endless: the sensors (topic -> function) in turn, each read when its message is due."""
    for topic, read in itertools.cycle(sensors.items()):
        yield Message(topic, {"at": round(time.time(), 3), **read()}, 1 / per_second)


def publishers() -> dict:
    """The site's publishers: name -> (source, options). The first one numbers its messages."""
    slow = {"host/disks": disks, "host/network": network}
    if temperatures():
        slow["host/temperatures"] = temperatures
    quick = {"host/memory": memory}
    if pressure():
        quick["host/pressure"] = pressure
    return {
        "processors": (readings({"host/load": load, "host/processors": processors}, 40),
                       {"version": 5, "is_numbered": True}),
        "memory": (readings(quick, 30), {"version": 4}),
        "devices": (readings(slow, 20), {"version": 5}),
    }
