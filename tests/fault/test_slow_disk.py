# SPDX-License-Identifier: Apache-2.0
"""A disk whose syncs take 200 ms, and 2 s (tests/e2e/hold_sync.c in the broker).

While it is slow no ack of `strict` or `group` comes sooner than a sync takes; the broker is killed in the midst of
one, and nothing acked is lost; its memory does not grow; and when the disk is well again it answers at once.
"""

import os
import time
import unittest
from pathlib import Path

from crowd_case import CrowdTest
from tombolo_lab.node import Settings

SAFE = ("strict", "group")
LEVELS = SAFE + ("process",)
STREAMS = tuple((level, f'["{level}/#"]', level) for level in LEVELS)
GROWTH_KIB = 16 * 1024
ANSWER_S = 10  # generous: of a machine that does other things, too


def rss_kib(pid: int) -> int:
    rows = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
    return next(int(row.split()[1]) for row in rows if row.startswith("VmRSS"))


class SlowDiskTest(CrowdTest):
    def setUp(self):
        super().setUp()
        self.slow = self.lab.folder / "slow"
        options = {"streams": STREAMS, "checkpoint_interval": "1s", "ack_timeout": "2s", "backoff_base": "50ms",
                   "backoff_cap": "300ms"}
        self.hub = self.lab.node("hub", has_children=True, settings=Settings(**options))
        self.site = self.lab.node("s1", parent=self.hub, settings=Settings(**options))
        shim = Path(os.environ["TMB_BUILD"]) / "tests/e2e/hold_sync.so"
        self.assertTrue(shim.exists(), f"{shim} is not there: build first")
        self.site.broker.daemon.env = {"LD_PRELOAD": str(shim), "TMB_SLOW_SYNC": str(self.slow)}
        self.lab.start()
        self.gather()
        self.add_slow_tellers(LEVELS, 4)

    def clean(self):
        self.slow.unlink(missing_ok=True)
        super().clean()

    def test_no_ack_is_early_and_nothing_is_lost(self):
        for delay_s, acks in ((0.2, 30), (2.0, 6)):
            self.one_delay(delay_s, acks)
        self.is_well = True

    def one_delay(self, delay_s: float, acks: int) -> None:
        safe = [teller for teller in self.crowd.tellers if not teller.name.startswith("process")]
        self.crowd.pause(False)
        wanted = self.crowd.acked + 100
        self.wait(lambda: self.crowd.acked >= wanted, 30, "acks before the disk is slow")
        self.crowd.pause()
        self.wait(lambda: self.crowd.in_flight == 0, 30, "the last of them")
        before_kib = rss_kib(self.site.broker.daemon.pid)
        self.slow.write_text(str(int(delay_s * 1000)))
        since = time.monotonic()
        self.crowd.pause(False)
        wanted = sum(teller.acked for teller in safe) + acks
        most_kib = before_kib
        while sum(teller.acked for teller in safe) < wanted:
            self.assertLess(time.monotonic() - since, 60 + 10 * acks * delay_s, "the acks of the slow disk")
            self.assertIsNone(self.crowd.failure)
            most_kib = max(most_kib, rss_kib(self.site.broker.daemon.pid))
            time.sleep(0.05)
        took = [s for teller in safe for at, s in list(teller.ack_times) if at - s >= since]
        print(f"{delay_s:g} s a sync: {len(took)} acks, the first after {min(took):.3f} s; memory {before_kib} KiB, at most "
              f"{most_kib} KiB", flush=True)
        self.assertGreaterEqual(len(took), acks - 4 * len(safe))
        self.assertGreaterEqual(min(took), delay_s, "an ack came before a sync can have been done")
        self.assertLess(most_kib - before_kib, GROWTH_KIB)
        self.kill_in_a_sync(delay_s)
        self.check_it_is_well()

    def kill_in_a_sync(self, delay_s: float) -> None:
        time.sleep(self.draw.uniform(0, delay_s))
        doubted = self.crowd.in_flight
        self.assertGreater(doubted, 0, "nothing was in doubt when the broker was killed")
        self.killed_at = time.monotonic()
        self.at_site.subscriber_broker_killed()  # a checkpoint's time tells nothing here: writing it takes seconds
        self.site.broker.kill9()
        self.slow.unlink()
        self.site.broker.start()

    def check_it_is_well(self) -> None:
        site = [client for client in self.crowd.clients if client.port == self.site.broker.port]
        self.wait(lambda: self.crowd.is_up() and all(client.up_since > self.killed_at for client in site), 30,
                  "everybody to be back")
        begin = time.monotonic()
        asked = {client.name: client.pings_asked + 1 for client in self.crowd.clients}
        self.crowd.ping()
        self.wait(lambda: all(c.pings_answered >= asked[c.name] for c in self.crowd.clients), ANSWER_S, "PINGRESP")
        print(f"PINGRESP after {(time.monotonic() - begin) * 1e3:.0f} ms", flush=True)
        self.crowd.pause()
        self.wait(lambda: self.crowd.in_flight == 0, 30, "the last acks")
        for place, ledger in (("hub", self.at_hub), ("site", self.at_site)):
            self.wait(lambda ledger=ledger: ledger.waiting()[0] == 0, 30, f"everything acked at the {place}")
            verdict = ledger.verdict()
            self.assertTrue(verdict.is_clean(), f"{place}: {verdict}\n{ledger.evidence()}")
        print(f"hub {self.at_hub.verdict()}", flush=True)


if __name__ == "__main__":
    unittest.main()
