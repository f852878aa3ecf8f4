# SPDX-License-Identifier: Apache-2.0
"""What the plugin and the daemon cost beside the rates: the broker's start and memory, and a publisher's p99 while the
daemon stands still or the hub is gone. All compared by turns, and ratios taken within a round."""

import os
import random
import signal
import socket
import statistics
import time
from pathlib import Path

from tombolo_lab import Lab
from tombolo_lab.broker import _PROBE
from tombolo_lab.net import wait_until
from tombolo_lab.node import Settings

from measure import load, memory, say, spread
from wire import settle

LOCAL_RATES = {"strict": 300, "process": 1000}  # messages a second of 100 B: far from what the level can take
# "again" is "running" once more: what its ratio is off from 1, this machine's noise is worth.
STATES = ("running", "again", "stopped", "hub gone")
LOCAL_LEVELS = tuple(LOCAL_RATES)
LOCAL_PUBLISHERS = 10
LOCAL_LONGER = 2  # a p99 of so few wants a longer run


def connack_ms(broker) -> float:
    """Starts a broker; how long until it says CONNACK."""
    begin = time.perf_counter()
    broker.start(wait=False)
    while True:
        try:
            with socket.create_connection(("127.0.0.1", broker.port), 1) as probe:
                probe.settimeout(5)
                probe.sendall(_PROBE)
                assert probe.recv(4) == b"\x20\x02\x00\x00"
                return (time.perf_counter() - begin) * 1e3
        except ConnectionRefusedError:
            assert time.perf_counter() - begin < 20, broker.daemon.tail()
            time.sleep(0.0002)


def starts(brokers, rounds: int) -> dict:
    """Start to CONNACK in ms and memory when idle, of brokers that are down and have been up before; each variant's own,
    and what it has more than the one without plugin."""
    runs = {variant: [] for variant in brokers.by_variant}
    draw = random.Random(2)
    for number in range(rounds + 1):
        order = list(brokers.by_variant)
        draw.shuffle(order)
        for variant in order:
            broker = brokers.by_variant[variant]
            took_ms = connack_ms(broker)
            time.sleep(0.2)
            used = memory(broker.daemon.pid)
            broker.stop()
            if number > 0:  # the first makes the journal
                runs[variant].append({"ms": took_ms, **used})
    figures = {}
    for variant, mine in runs.items():
        more = [{key: run[key] - base[key] for key in run} for run, base in zip(mine, runs["none"])]
        figures[variant] = {
            "connack_ms": spread([run["ms"] for run in mine], 1), "added_ms": spread([run["ms"] for run in more], 1),
            "rss_kib": spread([run["rss_kib"] for run in mine], 0),
            "added_rss_kib": spread([run["rss_kib"] for run in more], 0),
            "added_private_kib": spread([run["private_kib"] for run in more], 0)}
    say("start to CONNACK: " + ", ".join(f"{v} {f['connack_ms']['median']} ms" for v, f in figures.items()))
    return figures


def is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[0] == "T"


class _State:
    """with _State("stopped", hub, site): ... and all is as before after it, the backlog carried up."""

    def __init__(self, name: str, hub, site):
        self.name, self.hub, self.site = name, hub, site

    def __enter__(self):
        if self.name == "stopped":
            os.kill(self.site.syncd.pid, signal.SIGSTOP)
            wait_until(lambda: is_stopped(self.site.syncd.pid), 5, "the daemon to stand still")
        elif self.name == "hub gone":
            self.hub.syncd.kill9()
            self.hub.broker.kill9()

    def __exit__(self, *_):
        if self.name == "stopped":
            os.kill(self.site.syncd.pid, signal.SIGCONT)
        elif self.name == "hub gone":
            self.hub.start()
        wait_until(self.is_carried, 60, "the backlog to be carried up")
        settle(self.site.link, 0.3)

    def is_carried(self) -> bool:
        told = self.site.told()
        return told.get("state") == "streaming" and all(s["waiting"] == 0 for s in told["streams"].values())


def local_p99(folder: Path, built, program: Path, rounds: int, seconds: int, levels=LOCAL_LEVELS) -> dict:
    """p50 and p99 of a site's own publishers in each state, for each level; ratio: to `running` of the same round."""
    figures = {}
    draw = random.Random(3)
    for level in levels:
        runs = {state: [] for state in STATES}
        home = folder / level
        home.mkdir(parents=True)
        with Lab(str(home), built=built) as lab:
            options = {"durability": level, "backoff_base": "50ms", "backoff_cap": "300ms"}
            hub = lab.node("hub", has_children=True, settings=Settings(**options))
            site = lab.node("s1", parent=hub, settings=Settings(**options))
            lab.start()
            wait_until(lambda: site.told().get("state") == "streaming", 30, "the site to reach its hub")
            for number in range(rounds + 1):
                order = list(STATES)
                draw.shuffle(order)
                for state in order:
                    with _State(state, hub, site):
                        run = load(program, site.broker.port, LOCAL_PUBLISHERS, 100, LOCAL_LONGER * seconds,
                                   LOCAL_RATES[level])
                    if number > 0:
                        runs[state].append(run)
                if number > 0:
                    say(f"round {number}/{rounds}, {level}, p99 of {LOCAL_RATES[level]}/s: " +
                        ", ".join(f"{s} {runs[s][-1]['p99_us']} us" for s in STATES))
        figures[level] = {state: {
            "p50_us": statistics.median(run["p50_us"] for run in mine),
            "p99_us": statistics.median(run["p99_us"] for run in mine),
            "p99_ratio": spread([run["p99_us"] / base["p99_us"] for run, base in zip(mine, runs["running"])], 3)}
            for state, mine in runs.items()}
    return figures
