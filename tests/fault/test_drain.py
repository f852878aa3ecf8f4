# SPDX-License-Identifier: Apache-2.0
"""Ten sites come back at once, each with a backlog, to a hub whose disk is slow: an hour's outage, scaled.

The hub's daemon is killed, ten sites publish what would need the hub a quarter of a minute, and the daemon comes back.
While it drains: from when each is served on, the sites have the same part of half of the rest (Jain's index), live records
of all sites arrive within two seconds, and the hub's broker is stopped for some seconds in between, which costs the
hub's daemon no memory. At the end everything is there, in order and once.

TMB_SEED. TMB_LONG=1: four times as much.
"""

import os
import random
import signal
import time
import unittest
from pathlib import Path

from crowd import Crowd, Hearer, Teller
from stalls import Stalls
from tombolo_lab import Lab, Ledger
from tombolo_lab.net import wait_until
from tombolo_lab.node import Settings

SEED = int(os.environ.get("TMB_SEED") or random.SystemRandom().randrange(1 << 32))
LONG = bool(os.environ.get("TMB_LONG"))
SITES = 10
MESSAGES = 2400 if LONG else 800  # of a site, of PAYLOAD bytes that cannot be packed
PAYLOAD = 1500
SYNC_MS = 20
RETURN_SYNC_MS = 300  # until all sites are back
SERVED = 10  # messages of a site at the hub: who came first and alone has no more standing there before the others'
STOP_S = 3.0
MEMORY_MIB = 1
GROWTH_KIB = 4 * 1024  # of the hub's daemon, from half of the drain on, when all it needs is there
GROWTH_ALL_KIB = 16 * 1024  # from its start on
LIVE_S = 2.0
STREAMS = (("live", '["live/#"]', "process"), ("line", '["line/#"]', "process"))


def rss_kib(pid: int) -> int:
    rows = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
    return next(int(row.split()[1]) for row in rows if row.startswith("VmRSS"))


def jain(parts: list) -> float:
    return sum(parts) ** 2 / (len(parts) * sum(part * part for part in parts))


class Noise(Teller):
    """What it says cannot be packed."""
    draw = random.Random(SEED)

    @property
    def pad(self) -> str:
        return "".join(map(chr, self.draw.choices(range(0x20, 0x7f), k=PAYLOAD))).replace("\\", "/").replace('"', "'")

    @pad.setter
    def pad(self, _given) -> None:
        pass


class DrainTest(unittest.TestCase):
    def setUp(self):
        print(f"seed {SEED}", flush=True)
        self.lab, self.crowd, self.ledger, self.is_well = Lab(), Crowd(), Ledger(), False
        self.stalls = Stalls(self.lab.folder)
        self.addCleanup(self.clean)
        self.slow = self.lab.folder / "slow"
        options = {"streams": STREAMS, "backoff_base": "100ms", "backoff_cap": "500ms", "batch_bytes": "32KiB"}
        self.hub = self.lab.node("hub", has_children=True, settings=Settings(
            **{**options, "streams": tuple((name, topics, "strict") for name, topics, _ in STREAMS)},
            children_lines=f"  memory: {MEMORY_MIB}MiB\n"))
        shim = Path(os.environ["TMB_BUILD"]) / "tests/e2e/hold_sync.so"
        self.assertTrue(shim.exists(), f"{shim} is not there: build first")
        self.hub.broker.daemon.env = {"LD_PRELOAD": str(shim), "TMB_SLOW_SYNC": str(self.slow)}
        self.sites = [self.lab.node(f"s{n}", parent=self.hub, settings=Settings(**options)) for n in range(SITES)]
        self.lab.start()
        self.ear = Hearer("hub-ear", self.hub.broker.port, self.ledger)
        self.crowd.add(self.ear)
        self.backlogs = [Noise(f"{site.name}-line", site.broker.port, "line/7", [self.ledger], limit=MESSAGES, burst=15,
                               window=30) for site in self.sites]
        self.lives = [Teller(f"{site.name}-live", site.broker.port, "live/7", [self.ledger], burst=1, pause_s=1.5)
                      for site in self.sites]
        self.crowd.add(*self.lives)
        self.crowd.start()

    def clean(self):
        if self.hub.broker.daemon.is_alive():
            os.kill(self.hub.broker.daemon.pid, signal.SIGCONT)
        self.slow.unlink(missing_ok=True)
        self.crowd.halt()
        self.stalls.halt()
        self.lab.close(failed=not self.is_well)

    def wait(self, condition, timeout_s: float, what) -> None:
        wait_until(lambda: self.crowd.failure or condition(), timeout_s, lambda: f"{what}: {self.drained()}\n{self.lab.logs()}", 0.02)
        self.assertIsNone(self.crowd.failure)

    def heard(self, teller: Teller) -> int:
        return len(self.ledger.accounts[teller.name].judge.first_epoch)

    def drained(self) -> list:
        return [self.heard(teller) for teller in self.backlogs]

    def build_backlogs(self) -> None:
        self.hub.syncd.kill9()
        for teller in self.lives:
            teller.is_paused = True
        self.crowd.add(*self.backlogs)
        self.wait(lambda: all(teller.acked >= MESSAGES and not teller.flight for teller in self.backlogs), 120,
                  "the backlogs")
        self.total = sum(teller.acked for teller in self.backlogs)
        self.assertEqual(self.drained(), [0] * SITES, "the hub's daemon was not down")
        self.slow.write_text(str(RETURN_SYNC_MS))

    def wait_for_sites(self) -> None:
        """All have a session; they come one after the other, and who is early has little from it."""
        def are_back() -> bool:
            told = self.hub.told()
            return told.get("starts") == 2 and sum(child["open"] for child in told["children"].values()) == SITES
        self.wait(are_back, 60, "all sites to be back")
        self.slow.write_text(str(SYNC_MS))
        self.drain_began = time.monotonic()

    def stop_broker(self) -> tuple:
        """When it stood still."""
        pid = self.hub.broker.daemon.pid
        begin = time.monotonic()
        os.kill(pid, signal.SIGSTOP)
        before = self.ear.received
        time.sleep(STOP_S)
        self.most_kib = max(self.most_kib, rss_kib(self.hub.syncd.pid))
        self.assertLess(self.ear.received - before, 200, "the broker did not stand still")
        os.kill(pid, signal.SIGCONT)
        return begin, time.monotonic()

    def live_waits(self, stop: tuple) -> list:
        """Seconds from publishing to arriving, of live messages that did not meet the stop; not those in which the machine
        stood still."""
        waits = []
        for teller in self.lives:
            account = self.ledger.accounts[teller.name]
            for number, arrived in account.arrived_at.items():
                said = account.sent_at[number - 1]
                if said >= self.drain_began and (arrived < stop[0] or said > stop[1] + 2):
                    waits.append(arrived - said - self.stalls.within(said, arrived))
        return waits

    def test_ten_sites_drain_in_turn(self):
        self.wait(lambda: self.ear.is_subscribed and all(self.heard(teller) > 0 for teller in self.lives), 60,
                  "a live message of each site")
        self.build_backlogs()
        self.hub.syncd.start()
        self.wait_for_sites()
        for teller in self.lives:
            teller.is_paused = False
        begin_kib = rss_kib(self.hub.syncd.pid)
        self.wait(lambda: min(self.drained()) >= SERVED, 60, "each site to be served")
        before, began = self.drained(), time.monotonic()
        half = (self.total + sum(before)) / 2
        self.wait(lambda: sum(self.drained()) >= half, 120, "half of the backlogs")
        parts = [now - then for now, then in zip(self.drained(), before)]
        index = jain(parts)
        half_kib = self.most_kib = rss_kib(self.hub.syncd.pid)
        took_s = time.monotonic() - began
        stop = self.stop_broker()
        self.wait(lambda: sum(self.drained()) == self.total, 120, "the backlogs")
        self.most_kib = max(self.most_kib, rss_kib(self.hub.syncd.pid))
        for teller in self.lives:
            teller.is_paused = True
        self.wait(lambda: self.crowd.in_flight == 0 and self.ledger.waiting()[0] == 0, 60, "the last")
        waits = sorted(self.live_waits(stop))
        told = self.hub.told()
        print(f"half in {took_s:.1f} s, by site {parts}: Jain's index {index:.3f}; {len(waits)} live messages, the slowest "
              f"{waits[-1]:.2f} s, median {waits[len(waits) // 2]:.3f} s; the hub's daemon {begin_kib} "
              f"KiB, {half_kib} KiB at half, at most {self.most_kib} KiB; {told['drain']}; {self.stalls}", flush=True)
        verdict = self.ledger.verdict()
        print(verdict, flush=True)
        self.assertTrue(verdict.is_clean(), f"{verdict}\n{self.ledger.evidence()}")
        self.assertGreater(took_s, 2, "the drain was too fast to say anything")
        self.assertGreaterEqual(index, 0.95)
        self.assertGreater(len(waits), SITES * 3)
        self.assertLess(waits[-1], LIVE_S)
        self.assertLess(self.most_kib - half_kib, GROWTH_KIB)
        self.assertLess(self.most_kib - begin_kib, GROWTH_ALL_KIB)
        self.assertLessEqual(told["drain"]["held_bytes_max"], MEMORY_MIB << 20)
        self.assertGreater(self.total * PAYLOAD, 4 * (MEMORY_MIB << 20), "it would have had room for all")
        self.assertEqual([told["children"][site.name]["credit"]["over"] for site in self.sites], [0] * SITES)
        self.is_well = True


if __name__ == "__main__":
    unittest.main()
