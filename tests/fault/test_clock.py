# SPDX-License-Identifier: Apache-2.0
"""The clock of a node is stepped by a year, forth and back, while it works (libfaketime in broker and daemon): the
site's, then the hub's. After each step the node's daemon and broker are killed, and come back with that clock.

After each step everything acked arrives, once and in order, and the link is up or comes back; in the logs no stamp goes
back, and retention by age has dropped nothing that is not a day old. The lab's certificates are valid for longer than the steps.

TMB_SEED.
"""

import time
import unittest
from datetime import datetime, timedelta, timezone
from pathlib import Path

from crowd_case import CrowdTest
from tombolo_lab import Lab, journal
from tombolo_lab.node import Settings

YEAR_D = 365
LEVELS = ("strict", "group", "process")
STREAMS = tuple((level, f'["{level}/#"]', level) for level in LEVELS)
RETENTION = "    retention:\n      age: 1d\n"
# Small segments: some are closed before each step, and would be a year old by the clock after it.
MORE = "journal:\n  segment_bytes: 8KiB\n"
TURN_S, RETENTION_S = 1.5, 11  # what is done each second; retention, each ten
STEPS = (("site", YEAR_D), ("site", -YEAR_D), ("site", 0), ("hub", YEAR_D), ("hub", -YEAR_D), ("hub", 0))


def faketime() -> str:
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    assert found, "libfaketime is not installed (Debian: apt-get install libfaketime)"
    return str(found[0])


class ClockTest(CrowdTest):
    def make_lab(self) -> Lab:
        """Certificates made two years ago, for four."""
        return Lab(certificates={"days": 4 * YEAR_D, "env": {"LD_PRELOAD": faketime(), "FAKETIME": f"-{2 * YEAR_D}d"}})

    def setUp(self):
        self.pids = set()
        super().setUp()
        options = {"streams": STREAMS, "checkpoint_interval": "500ms", "ack_timeout": "2s", "backoff_base": "50ms",
                   "backoff_cap": "300ms", "keepalive": "5s", "stream_lines": RETENTION, "more": MORE}
        self.hub = self.lab.node("hub", has_children=True, settings=Settings(**options))
        self.site = self.lab.node("s1", parent=self.hub, settings=Settings(**options))
        for node in (self.hub, self.site):
            env = {"LD_PRELOAD": faketime(), "FAKETIME_TIMESTAMP_FILE": str(self.clock_file(node)), "FAKETIME_NO_CACHE": "1",
                   "DONT_FAKE_MONOTONIC": "1", "FAKETIME_DONT_RESET": "1"}
            self.set_clock(node, 0)
            node.broker.daemon.env = node.syncd.env = env
        self.lab.start()
        self.gather()
        self.add_tellers(LEVELS, pad=200)

    def clean(self):
        self.note_pids()
        super().clean()
        for pid in self.pids:  # what libfaketime leaves of a process that is killed
            for name in ("faketime_shm", "sem.faketime_sem"):
                (Path("/dev/shm") / f"{name}_{pid}").unlink(missing_ok=True)

    def note_pids(self) -> None:
        self.pids |= {daemon.pid for node in self.lab.nodes.values() for daemon in (node.syncd, node.broker.daemon)}

    def clock_file(self, node) -> Path:
        return self.lab.folder / f"clock-{node.name}"

    def set_clock(self, node, days: int) -> None:
        new = self.clock_file(node).with_suffix(".new")
        new.write_text(f"{days:+d}d\n" if days else "+0\n", encoding="ascii")
        new.rename(self.clock_file(node))

    def talk(self, told: str) -> None:
        wanted = self.crowd.acked + 300
        self.crowd.pause(False)
        self.wait(lambda: self.crowd.acked >= wanted, 60, f"{told}: acks")
        self.crowd.pause()
        self.wait(lambda: self.crowd.in_flight == 0, 30, f"{told}: the last acks")
        for place, ledger in (("hub", self.at_hub), ("site", self.at_site)):
            self.wait(lambda ledger=ledger: ledger.waiting()[0] == 0, 60, f"{told}: everything acked at the {place}")
            verdict = ledger.verdict()
            self.assertTrue(verdict.is_clean(), f"{told}, {place}: {verdict}\n{ledger.evidence()}")

    def step(self, node, days: int) -> None:
        """Steps the clock under load, then kills one of the node's processes, which comes back with the new clock."""
        self.crowd.pause(False)
        wanted = self.crowd.acked + self.draw.randrange(20, 100)
        self.wait(lambda: self.crowd.acked >= wanted, 30, "acks before the step")
        told = f"{node.name} at {days:+d} days"
        self.set_clock(node, days)
        time.sleep(RETENTION_S if days > 0 else TURN_S)
        self.talk(told)
        self.check_stamp(node, days)
        self.crowd.pause(False)
        for daemon in (node.syncd, node.broker.daemon):
            if daemon is node.broker.daemon:
                (self.at_site if node is self.site else self.at_hub).subscriber_broker_killed()
            self.note_pids()
            daemon.kill9()
            daemon.start()
            time.sleep(self.draw.uniform(0, 0.1))
        self.wait(self.crowd.is_up, 30, f"{told}: everybody to be back")
        self.talk(f"{told}, after kills")
        year = (datetime.now(timezone.utc) + timedelta(days=days)).strftime("%Y-%m")
        self.assertIn(f"{year}-", node.syncd.log(), "the daemon's clock was not stepped")
        print(f"{told}: hub {self.at_hub.verdict()}", flush=True)

    def check_stamp(self, node, days: int) -> None:
        """The newest record has the node's own time, or, where that has gone back, not less than the one before."""
        newest = journal.dump(node, self.lab.built, LEVELS[0])[-1]
        shown = datetime.fromisoformat(newest["time"].replace("Z", "+00:00"))
        off_d = (shown - datetime.now(timezone.utc)).total_seconds() / 86400
        self.highest[node.name] = max(self.highest[node.name], days)
        self.assertAlmostEqual(off_d, self.highest[node.name], delta=1, msg="the broker's clock was not stepped")

    def test_a_stepped_clock_costs_nothing(self):
        self.highest = {"hub": 0, "s1": 0}
        self.talk("before")
        segments = {node.name: len(list(node.journal_root.glob("*/*.seg"))) for node in (self.hub, self.site)}
        print(f"segments before: {segments}", flush=True)
        for name, count in segments.items():
            self.assertGreater(count, 2 * len(LEVELS), f"{name}: no segment was closed before the clock was stepped")
        for name, days in STEPS:
            self.step(self.site if name == "site" else self.hub, days)
        self.assertEqual([ear.sessions_lost for ear in self.ears], [0, 0])
        self.check_logs()
        self.is_well = True

    def check_logs(self) -> None:
        for node in (self.site, self.hub):
            for level in LEVELS:
                records = journal.dump(node, self.lab.built, level)
                self.assertEqual(records[0]["seq"], 1, f"{node.name}, {level}: retention dropped what is not a day old")
                stamps = [tuple(int(part) for part in record["hlc"].split(".")) for record in records]
                back = [i for i in range(1, len(stamps)) if stamps[i] <= stamps[i - 1]]
                self.assertEqual(back, [], f"{node.name}, {level}: stamps go back")
                judges = journal.judge_log(records, self.at_hub.accounts)
                for name, account in self.at_hub.accounts.items():
                    if name.startswith(level):
                        found = judges[name].verdict(len(account.sent_at), account.acked, account.in_doubt)
                        self.assertTrue(found.is_clean(), f"{node.name}, {name}: {found}")


if __name__ == "__main__":
    unittest.main()
