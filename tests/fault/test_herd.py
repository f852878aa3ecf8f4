# SPDX-License-Identifier: Apache-2.0
"""Hundreds of real sessions, TLS 1.3 with a certificate each, lose their hub's broker at once and come back.

The sites are one process (swarm.c): the link and the session of tombolo-syncd, records made up. The hub is whole:
Mosquitto, plugin, daemon. How many sessions a second it can bring up is measured in the same run, when the whole swarm
dials for the first time, all at once.

Broken off: a handshake that had begun and failed. A dial that finds nobody while the broker is not there yet is not.

TMB_SITES (500). TMB_HERD_JSON: a file for the figures.
"""

import json
import os
import subprocess
import threading
import time
import unittest
from pathlib import Path

from stalls import Stalls
from tombolo_lab import Lab
from tombolo_lab.net import wait_until
from tombolo_lab.node import Settings

SITES = int(os.environ.get("TMB_SITES") or 500)
INTERVAL_MS = 2000
DOWN_S = 8.0
STEADY_S = 5.0
# Of N/C, C as measured when all dialled at once. Full jitter gives 10 and more; the bar is 1.5, on a machine that does
# nothing else.
T99_RATIO_MAX = 1.5 if os.environ.get("TMB_LONG") else 2.5
LIVE_MS_MAX = 2000  # from a record's birth to the ACK, once its site is open; or N/C, on a machine that needs longer for it
MEMORY_KIB = 16384  # more than before: flat, give or take what allocators keep


def issue(folder: Path, domain: str, names: list) -> None:
    """A certificate a name, one key for all: what a handshake costs is the same, and it takes a process a name."""
    def run(*args):
        subprocess.run(["openssl", *args], check=True, stdin=subprocess.DEVNULL, capture_output=True)

    key, public, extensions = folder / "swarm.key", folder / "swarm.pub", folder / "swarm.ext"
    run("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", str(key))
    run("pkey", "-in", str(key), "-pubout", "-out", str(public))
    for number, name in enumerate(names, 1000):
        extensions.write_text("basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n"
                              f"extendedKeyUsage=clientAuth\nsubjectAltName=URI:spiffe://{domain}/site/{name}\n",
                              encoding="ascii")
        run("x509", "-new", "-subj", f"/CN={name}", "-force_pubkey", str(public), "-CA", str(folder / "ca.crt"),
            "-CAkey", str(folder / "ca.key"), "-set_serial", str(number), "-days", "30", "-extfile", str(extensions),
            "-out", str(folder / f"{name}.crt"))
        (folder / f"{name}.key").symlink_to(key)


class Swarm:
    """What the sites have told so far, by kind: dials, downs, and since when each is open."""

    def __init__(self, program: Path, *args):
        self.dials, self.downs, self.opens, self.acks = [], [], [], []
        self.open_now = {}
        self._process = subprocess.Popen([str(program), *map(str, args)], stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, text=True)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self._process.stdout:
            at, site, what, *rest = line.split(maxsplit=3)
            at = int(at) / 1000
            if what == "dial":
                self.dials.append((at, site))
            elif what == "down":
                self.open_now.pop(site, None)
                self.downs.append((at, site, " ".join(rest)))
            elif what == "open":
                self.open_now[site] = at
                self.opens.append((at, site))
            elif what == "acked":
                oldest, newest, live = " ".join(rest).split()
                self.acks.append((at, site, int(oldest), int(newest), live == "1"))

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def close(self):
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


def rss_kib(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise ValueError(pid)


def worst_second(times: list) -> int:
    """The most of times within any one second."""
    times, most, first = sorted(times), 0, 0
    for last, at in enumerate(times):
        while times[first] <= at - 1:
            first += 1
        most = max(most, last - first + 1)
    return most


class HerdTest(unittest.TestCase):
    def setUp(self):
        self.lab = Lab()
        self.is_well = False
        self.stalls = Stalls(self.lab.folder)
        self.addCleanup(self.clean)
        self.hub = self.lab.node("hub", has_children=True, settings=Settings(durability="process"))
        self.names = [f"s{number:04d}" for number in range(1, SITES + 1)]
        issue(self.lab.folder / "certs", "lab.example", self.names)
        self.lab.start()
        program = Path(os.environ["TMB_BUILD"]) / "tests/fault/swarm"
        self.began = time.monotonic()
        self.swarm = Swarm(program, "--port", self.hub.broker.tls_port, "--certs", self.lab.folder / "certs",
                           "--sites", SITES, "--interval-ms", INTERVAL_MS)
        self.addCleanup(self.swarm.close)

    def clean(self):
        self.stalls.halt()
        self.lab.close(failed=not self.is_well)

    def age_ms(self, at: float, oldest_ms: int) -> float:
        """Without the time in which the machine stood still."""
        return oldest_ms - 1000 * self.stalls.within(at - oldest_ms / 1000, at)

    def all_open(self, timeout_s: float, what: str) -> None:
        wait_until(lambda: len(self.swarm.open_now) == SITES or not self.swarm.is_alive, timeout_s,
                   lambda: f"{what}: {len(self.swarm.open_now)} of {SITES} open\n{self.hub.logs()}")
        self.assertTrue(self.swarm.is_alive, "the swarm has died")

    def open_rate(self) -> float:
        """Sessions a second while all were dialling at once."""
        return SITES / (max(at for at, _ in self.swarm.opens) - min(at for at, _ in self.swarm.dials))

    def test_they_come_back_and_nobody_is_trampled(self):
        self.all_open(120, "the first time")
        capacity = self.open_rate()
        time.sleep(STEADY_S)
        before = {"syncd": rss_kib(self.hub.syncd.pid), "broker": rss_kib(self.hub.broker.daemon.pid)}
        acked = len(self.swarm.acks)
        self.assertGreater(acked, SITES, "nothing flows")

        self.hub.broker.daemon.kill9()
        wait_until(lambda: not self.swarm.open_now, 30, "all to notice")
        time.sleep(DOWN_S)
        downs, dials, opens = len(self.swarm.downs), len(self.swarm.dials), len(self.swarm.opens)
        self.assertGreaterEqual(downs, SITES, "the fault did not fire")
        self.hub.broker.start()
        back = time.monotonic()
        self.all_open(180, "after the kill")
        time.sleep(STEADY_S)

        times = sorted(at - back for at, _ in self.swarm.opens[opens:])
        arrivals = [at for at, _ in self.swarm.dials[dials:] if at >= back]
        broken = [why for at, _, why in self.swarm.downs[downs:] if at >= back and "refused" not in why]
        live = sorted(round(self.age_ms(at, oldest)) for at, _, oldest, _, is_live in self.swarm.acks[acked:]
                      if at >= back and is_live)
        after = {"syncd": rss_kib(self.hub.syncd.pid), "broker": rss_kib(self.hub.broker.daemon.pid)}
        figures = {
            "sites": SITES, "capacity_per_s": round(capacity, 1), "best_s": round(SITES / capacity, 2),
            "t99_s": round(times[int(0.99 * (len(times) - 1))], 2),
            "t99_ratio": round(times[int(0.99 * (len(times) - 1))] / (SITES / capacity), 2),
            "peak_ratio": round(worst_second(arrivals) / capacity, 2),
            "wasted_per_site": round((len(arrivals) - SITES) / SITES, 2), "broken_off": len(broken),
            "live_age_ms": {"p50": live[len(live) // 2], "p99": live[int(0.99 * (len(live) - 1))], "max": live[-1]},
            "rss_kib": {"before": before, "after": after}}
        print(json.dumps(figures, indent=1), broken[:5], self.stalls, flush=True)
        if os.environ.get("TMB_HERD_JSON"):
            Path(os.environ["TMB_HERD_JSON"]).write_text(json.dumps(figures), encoding="ascii")
        self.check(figures)
        self.is_well = True

    def check(self, figures: dict) -> None:
        self.assertEqual(figures["broken_off"], 0, "handshakes broken off")
        self.assertLessEqual(figures["t99_ratio"], T99_RATIO_MAX)
        self.assertLessEqual(figures["live_age_ms"]["max"], max(LIVE_MS_MAX, 1000 * figures["best_s"]))
        memory = figures["rss_kib"]
        for process in ("syncd", "broker"):
            self.assertLessEqual(memory["after"][process], memory["before"][process] + MEMORY_KIB, process)


if __name__ == "__main__":
    unittest.main()
