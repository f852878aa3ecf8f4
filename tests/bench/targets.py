# SPDX-License-Identifier: Apache-2.0
"""What the figures of scripts/bench should be, and whether they are. Pure."""

from dataclasses import asdict, dataclass

PROCESS_SHARE = 0.9        # of the same broker without the plugin
GROUP_SHARE = 0.5          # the same, with GROUP_PUBLISHERS
GROUP_TIMES_STRICT = 5.0
GROUP_PUBLISHERS = 100
WRITTEN_PER_BYTE = 1.1     # at WRITTEN_BYTES of payload, process
WRITTEN_BYTES = 1000
ADDED_RSS_KIB = 4096
ADDED_START_MS = 20.0
WIRE_LINE = 0.25           # bytes on the link per payload byte, the smart line's JSON
WIRE_NOISE = 1.05          # the same, of what cannot be made smaller
P99_SHARE = 1.10           # with the daemon stopped or the hub gone, of that with both there
JOINS_PER_S = 2e6          # leaves of state read, joined and written in memory, a core, the slowest kind of news
STATE_APPLY_PER_S = 150000  # leaves joined into the store, a second of one core
STATE_SET_TIMES = 2.0      # an insert into the largest set beside one into a set of 10
STATE_IDLE_MIB = 200       # a process beside 5,000 scopes


@dataclass
class Target:
    name: str
    wanted: str
    found: float
    is_met: bool


def _at_least(name: str, least: float, found: float) -> Target:
    return Target(name, f">= {least:g}", found, found >= least)


def _at_most(name: str, most: float, found: float) -> Target:
    return Target(name, f"<= {most:g}", found, found <= most)


def _rates(cells: list):
    for cell in cells:
        name = f'{cell["bytes"]} B, {cell["publishers"]} publisher{"s" if cell["publishers"] > 1 else ""}'
        variants = cell["variants"]
        yield _at_least(f"process / no plugin, {name}", PROCESS_SHARE, variants["process"]["ratio"]["median"])
        if cell["publishers"] == GROUP_PUBLISHERS:
            yield _at_least(f"group / no plugin, {name}", GROUP_SHARE, variants["group"]["ratio"]["median"])
            yield _at_least(f"group / strict, {name}", GROUP_TIMES_STRICT, variants["group"]["to_strict"]["median"])
        if cell["bytes"] == WRITTEN_BYTES:
            yield _at_most(f"process, written per payload byte, {name}", WRITTEN_PER_BYTE,
                           variants["process"]["written_per_byte"]["median"])


def targets(result: dict) -> list:
    """result: as bench.run gives it; parts that were left out have no targets. Gives dicts: name, wanted, found, is_met."""
    found = list(_rates(result["rates"]))
    for variant, figures in result.get("starts", {}).items():
        if variant != "none":
            found.append(_at_most(f"{variant}, resident memory added, KiB", ADDED_RSS_KIB,
                                  figures["added_rss_kib"]["median"]))
            found.append(_at_most(f"{variant}, start added, ms", ADDED_START_MS, figures["added_ms"]["median"]))
    for load, most in (("live", WIRE_LINE), ("backlog", WIRE_LINE), ("noise", WIRE_NOISE), ("noise_backlog", WIRE_NOISE)):
        if load in result.get("wire", {}):
            found.append(_at_most(f"wire bytes per payload byte, {load.replace('_', ' ')}", most,
                                  result["wire"][load]["per_payload_byte"]))
    for level, states in result.get("local_p99", {}).items():
        for state, figures in states.items():
            if state in ("stopped", "hub gone"):
                found.append(_at_most(f"{level}, local p99, {'daemon ' if state == 'stopped' else ''}{state}", P99_SHARE,
                                      figures["p99_ratio"]["median"]))
    if "join" in result:
        found.append(_at_least("leaves of state joined a second and core, slowest", JOINS_PER_S,
                               min(kind["whole_per_s"] for kind in result["join"].values())))
    if "state" in result:
        state = result["state"]
        found.append(_at_least("leaves of state stored a second and core", STATE_APPLY_PER_S,
                               state["apply"]["leaves_per_cpu_s"]))
        found.append(_at_most("insert into the largest set / into one of 10", STATE_SET_TIMES,
                              state["set"][-1]["insert_us"] / state["set"][0]["insert_us"]))
        found.append(_at_most("5,000 idle scopes, MiB", STATE_IDLE_MIB, state["idle"]["rss_mib"]))
    return [asdict(target) for target in found]
