# SPDX-License-Identifier: Apache-2.0
"""What tests with a crowd begin with: a lab whose folder stays when the test has failed, a lasting hearer at the hub
and one at the site, three tellers a level, and a way to wait that ends when the crowd has.

TMB_SEED.
"""

import os
import random
import unittest

from crowd import Crowd, Hearer, Teller
from tombolo_lab import Lab, Ledger
from tombolo_lab.net import wait_until

SEED = int(os.environ.get("TMB_SEED") or random.SystemRandom().randrange(1 << 32))


class CrowdTest(unittest.TestCase):
    """A test makes self.hub and self.site, starts the lab, and calls gather(). It sets self.is_well at its end."""

    def setUp(self):
        print(f"seed {SEED}", flush=True)
        self.draw = random.Random(SEED)
        self.lab, self.crowd, self.is_well = self.make_lab(), Crowd(), False
        self.hub = self.site = None
        self.at_hub, self.at_site, self.ears = Ledger(), Ledger(), []
        self.addCleanup(self.clean)

    def make_lab(self) -> Lab:
        return Lab()

    def clean(self):
        self.crowd.halt()
        self.lab.close(failed=not self.is_well)

    def gather(self) -> None:
        """Both hearers have subscribed."""
        self.ears = [Hearer("hub-ear", self.hub.broker.port, self.at_hub),
                     Hearer("site-ear", self.site.broker.port, self.at_site)]
        self.crowd.add(*self.ears)
        self.crowd.start()
        self.wait(lambda: all(ear.is_subscribed for ear in self.ears), 30, "the subscriptions")

    def add_tellers(self, levels, **options) -> None:
        """To each level one of QoS 1, one of QoS 2 and one that numbers its messages."""
        port, ledgers = self.site.broker.port, [self.at_hub, self.at_site]
        for level in levels:
            self.crowd.add(Teller(f"{level}-1", port, f"{level}/one", ledgers, **options),
                           Teller(f"{level}-2", port, f"{level}/two", ledgers, qos=2, version=5),
                           Teller(f"{level}-numbered", port, f"{level}/numbered", ledgers, version=5, is_numbered=True))

    def add_slow_tellers(self, levels, count: int) -> None:
        """To each level count that have few messages under way, of QoS 1 and 2 by turns."""
        port, ledgers = self.site.broker.port, [self.at_hub, self.at_site]
        for level in levels:
            self.crowd.add(*(Teller(f"{level}-{number}", port, f"{level}/{number}", ledgers, qos=1 + number % 2, window=4,
                                    burst=2) for number in range(count)))

    def wait_group(self) -> None:
        """Until each teller of `group` had an ack: the broker that runs now has held some."""
        acked = {teller: teller.acked for teller in self.crowd.tellers if teller.name.startswith("group")}
        self.wait(lambda: all(teller.acked > before for teller, before in acked.items()), 30, "acks of group")

    def wait(self, condition, timeout_s: float, what) -> None:
        wait_until(lambda: self.crowd.failure or condition(), timeout_s,
                   lambda: f"{what() if callable(what) else what} (seed {SEED})\n{self.crowd.hang_ups}\n{self.lab.logs()}",
                   0.003)
        self.assertIsNone(self.crowd.failure)
