# SPDX-License-Identifier: Apache-2.0
"""A daemon that stands still: SIGSTOP of the site's tombolo-syncd, then of the hub's, for ten seconds each.

Meanwhile local publishers are acked and local subscribers served as before, and the hub hears nothing; then it goes on
by itself, and everything acked arrives, in order and once. How much a stopped daemon costs a publisher is measured by
scripts/bench.

TMB_STOP_S (60; the hub's daemon a sixth of it, with TMB_LONG as long).
"""

import os
import signal
import time
import unittest
from pathlib import Path

from crowd_case import CrowdTest
from tombolo_lab.node import Settings

STOP_S = float(os.environ.get("TMB_STOP_S") or "60")
QUIET_S = 2.5  # longer than a disk or a process may pause
LEVELS = ("strict", "group", "process")
STREAMS = tuple((level, f'["{level}/#"]', level) for level in LEVELS)


def is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[0] == "T"


def percentile_ms(values: list, share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] * 1e3


class SigstopTest(CrowdTest):
    def setUp(self):
        super().setUp()
        options = {"streams": STREAMS, "ack_timeout": "2s", "backoff_base": "50ms", "backoff_cap": "300ms",
                   "keepalive": "5s"}
        self.hub = self.lab.node("hub", has_children=True, settings=Settings(**options))
        self.site = self.lab.node("s1", parent=self.hub, settings=Settings(**options))
        self.lab.start()
        self.gather()
        self.add_slow_tellers(LEVELS, 3)

    def clean(self):
        for node in self.lab.nodes.values():
            if node.syncd.is_alive():
                os.kill(node.syncd.pid, signal.SIGCONT)
        super().clean()

    def listen(self, seconds: float) -> tuple:
        """(acks in this time, and how long each took; messages heard at the site; at the hub)"""
        since, heard = time.monotonic(), [ear.received for ear in self.ears]
        time.sleep(seconds)
        took = [s for teller in self.crowd.tellers for at, s in list(teller.ack_times) if at >= since]
        return took, self.ears[1].received - heard[1], self.ears[0].received - heard[0]

    def wait_quiet(self) -> None:
        """Until the hub has heard nothing for QUIET_S: what was under way at the stop has arrived."""
        heard, since = self.ears[0].received, time.monotonic()

        def is_quiet() -> bool:
            nonlocal heard, since
            if self.ears[0].received != heard:
                heard, since = self.ears[0].received, time.monotonic()
            return time.monotonic() - since > QUIET_S
        self.wait(is_quiet, 20, "the hub to hear nothing more of a daemon that stands still")

    def one_stop(self, what: str, daemon, stop_s: float) -> None:
        self.wait(lambda: self.ears[0].received > 0, 30, "the session, and its first message at the hub")
        before, _, at_hub = self.listen(2)
        self.assertGreater(at_hub, 0, "nothing reached the hub before the stop")
        os.kill(daemon.pid, signal.SIGSTOP)
        self.wait(lambda: is_stopped(daemon.pid), 5, "the daemon to stand still")
        stopped_at = time.monotonic()
        self.wait_quiet()
        listen_s = max(stop_s / 2, stopped_at + stop_s - time.monotonic())
        during, at_site, at_hub = self.listen(listen_s)
        self.assertTrue(is_stopped(daemon.pid), "the daemon did not stand still")
        self.assertEqual(at_hub, 0, "the hub heard something of a daemon that stands still")
        backlog = self.at_hub.waiting()[0]
        print(f"{what} stopped for {stop_s:g} s: acks/s {len(before) / 2:.0f} before, {len(during) / listen_s:.0f} while; "
              f"p50 {percentile_ms(before, .5):.2f} and {percentile_ms(during, .5):.2f} ms, p99 {percentile_ms(before, .99):.2f} "
              f"and {percentile_ms(during, .99):.2f} ms; backlog {backlog}", flush=True)
        # A tenth of what it was: a machine may do other things; what the stop costs is not measured here.
        self.assertGreater(len(during) / listen_s, len(before) / 2 / 10, "publishers were held up")
        self.assertGreater(at_site, len(during) / 2, "the site's subscriber was held up")
        self.assertEqual(self.crowd.hang_ups, [], "a client was hung up")
        self.assertGreater(backlog, 0)
        os.kill(daemon.pid, signal.SIGCONT)
        begin = time.monotonic()
        self.crowd.pause()
        self.wait(lambda: self.crowd.in_flight == 0, 30, "the last acks")
        for place, ledger in (("hub", self.at_hub), ("site", self.at_site)):
            self.wait(lambda ledger=ledger: ledger.waiting()[0] == 0, 60, f"{what}: everything acked at the {place}")
            verdict = ledger.verdict()
            self.assertTrue(verdict.is_clean(), f"{what}, {place}: {verdict}\n{ledger.evidence()}")
            self.assertEqual((verdict.resent, verdict.redelivered), (0, 0), f"{what}, {place}")
        print(f"caught up after {time.monotonic() - begin:.1f} s; hub {self.at_hub.verdict()}", flush=True)
        self.crowd.pause(False)

    def test_who_stands_still_holds_up_nobody(self):
        self.one_stop("the site's daemon", self.site.syncd, STOP_S)
        self.one_stop("the hub's daemon", self.hub.syncd, STOP_S if os.environ.get("TMB_LONG") else STOP_S / 6)
        self.is_well = True


if __name__ == "__main__":
    unittest.main()
