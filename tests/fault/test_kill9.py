# SPDX-License-Identifier: Apache-2.0
"""kill -9 of a site's broker, over and over, at moments that a seed picks, while publishers of all kinds talk.

One node has a stream of each durability that promises to survive it; QoS 1 and 2, MQTT 3.1.1 and 5, one publisher
of each numbers its messages. A lasting subscriber of the site and one of the hub write down what they hear. After every so
many kills, and at the end: everything acked is at both, in order; at the hub nothing came twice but what was in
doubt, at the site what came again came after the last checkpoint; and in the two logs likewise.

TMB_SEED, TMB_KILLS (200; 1000 with TMB_LONG).
"""

import os
import statistics
import time
import unittest

from crowd import judge_hub, judge_site
from crowd_case import CrowdTest
from tombolo_lab import journal
from tombolo_lab.net import wait_until
from tombolo_lab.node import Settings
from tombolo_lab.talker import plugin_stats

KILLS = int(os.environ.get("TMB_KILLS") or ("1000" if os.environ.get("TMB_LONG") else "200"))
JUDGED_EVERY = 50
LEVELS = ("strict", "group", "process")
STREAMS = tuple((level, f'["{level}/#"]', level) for level in LEVELS)


class Kill9Test(CrowdTest):
    kills = KILLS
    more = ""  # YAML of the site

    def setUp(self):
        super().setUp()
        print(f"{self.kills} kills", flush=True)
        settings = Settings(streams=STREAMS, checkpoint_interval="200ms", ack_timeout="2s", backoff_base="50ms",
                            backoff_cap="300ms", more=self.more)
        self.hub = self.lab.node("hub", has_children=True, settings=Settings(streams=STREAMS))
        self.site = self.lab.node("s1", parent=self.hub, settings=settings)
        self.lab.start()
        self.gather()
        wait_until(lambda: all(file.exists() for file in self.site.checkpoint_files), 30,
                   "the snapshot with the subscription, and its checkpoint")
        self.add_tellers(LEVELS)

    def one_kill(self) -> float:
        """Kills in the midst of the load; gives how long nobody was served."""
        # At half of the kills the site's subscriber is away: what it gets then is what was kept for it.
        self.ears[1].is_away = self.draw.random() < 0.5
        wanted = self.crowd.sent + self.draw.randrange(20, 400)
        self.wait(lambda: self.crowd.sent >= wanted, 30, f"{wanted} messages to be sent")
        # Before half of the kills nobody reads acks for a moment: what was stored then is sent again.
        self.crowd.is_deaf = self.draw.random() < 0.5
        time.sleep(self.draw.uniform(0, 0.03))
        self.at_site.subscriber_broker_killed(self.site.checkpoint_files)
        begin = time.monotonic()
        self.site.broker.kill9()
        if self.crowd.is_deaf:
            self.crowd.hang_up()
        self.site.broker.start(wait=False)
        self.ears[1].is_away = False
        site = [client for client in self.crowd.clients if client.port == self.site.broker.port]
        self.wait(lambda: all(client.is_up and client.up_since > begin for client in site), 30,
                  "everybody to be connected again")
        return max(client.up_since for client in site) - begin

    def check_group(self) -> None:
        """Since the last start: acks of `group` were held, and none left before its sync."""
        wait_until(lambda: plugin_stats(self.site.broker.port)["group_held"] > 0, 30, "acks that were held")
        counts = plugin_stats(self.site.broker.port)
        self.assertEqual((counts["group_breaches"], counts["group_strict"]), (0, 0), counts)

    def settle(self, told: str) -> None:
        """Lets everything arrive, and judges it."""
        self.wait_group()
        self.crowd.pause()
        self.wait(lambda: self.crowd.in_flight == 0, 30, "the last acks")
        for place, ledger in (("hub", self.at_hub), ("site", self.at_site)):
            self.wait(lambda ledger=ledger: ledger.waiting()[0] == 0, 60,
                      f"{told}: what was acked to arrive at the {place}: {ledger.waiting()[0]} messages missing")
        judge_hub(self, self.at_hub, told)
        judge_site(self, self.at_site, told)
        self.assertEqual([ear.sessions_lost for ear in self.ears], [0, 0])
        self.check_group()
        print(f"{told}: hub {self.at_hub.verdict()}", flush=True)

    def test_nothing_acked_is_lost(self):
        away_s, killed = [], set()
        for number in range(1, self.kills + 1):
            self.crowd.pause(False)
            killed.add(self.site.broker.daemon.pid)
            away_s.append(self.one_kill())
            if number % JUDGED_EVERY == 0 or number == self.kills:
                self.settle(f"{number} kills")
        self.assertEqual(len(killed), self.kills, "not every kill was of a broker of its own")
        arrivals = sum(account.arrivals for account in self.at_site.accounts.values())
        print(f"at the site {self.at_site.verdict()}, {arrivals} arrivals")
        print(f"nobody was served for {statistics.median(away_s) * 1e3:.0f} ms (median), {max(away_s) * 1e3:.0f} ms (most)")
        for teller in self.crowd.tellers:
            print(f"{teller.name}: in doubt at {teller.met_in_doubt} of {self.kills} kills")
            if self.kills >= 50:
                self.assertGreater(teller.met_in_doubt, 0, f"no kill met a message of {teller.name} in doubt")
                resent = teller.accounts[0][1].verdict().resent
                self.assertEqual(resent > 0, not teller.is_numbered, f"{teller.name}: {resent} resent")
        self.check_logs()
        self.is_well = True

    def check_logs(self) -> None:
        for node in (self.site, self.hub):
            records = [record for level in LEVELS for record in journal.dump(node, self.lab.built, level)]
            judges = journal.judge_log(records, self.at_hub.accounts)
            for name, account in self.at_hub.accounts.items():
                found = judges[name].verdict(len(account.sent_at), account.acked, account.in_doubt)
                self.assertTrue(found.is_clean(), f"{node.name}, {name}: {found}\n" + judges[name].evidence(
                    len(account.sent_at), account.acked, account.in_doubt))
                self.assertEqual(found.delivered, found.acked, f"{node.name}, {name}")
            done = journal.run(node, self.lab.built, "verify")
            self.assertEqual(done.returncode, 0, f"{node.name}: {done.stdout}{done.stderr}")


if __name__ == "__main__":
    unittest.main()
