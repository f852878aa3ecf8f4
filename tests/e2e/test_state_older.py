# SPDX-License-Identifier: Apache-2.0
"""A neighbour that was not upgraded, and knows version 2 of the protocol alone: records flow, state does not, and the
log says so; once it is upgraded its state comes, too."""

import itertools
import os
import unittest
from pathlib import Path

from tombolo_lab import Lab, Message, StateClient
from tombolo_lab.node import Settings

OLDER = Path(os.environ.get("TMB_BUILD", "")) / "tests/e2e/syncd_version_2"


class OlderTest(unittest.TestCase):
    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        self.hub = self.lab.node("hub", has_children=True, settings=Settings(state='  scopes: [ "*" ]\n'))
        self.site = self.lab.node("s1", parent=self.hub, settings=Settings(state="  scopes: [ s1 ]\n"))

    def client(self, node):
        client = StateClient(node).start()
        self.addCleanup(client.close)
        return client

    def publish(self, name):
        said = self.lab.publish(self.site, name, itertools.islice(
            (Message("temperature", {"v": v}, 0.01) for v in itertools.count()), 50))
        self.lab.wait_acked([said], stop=False)
        self.lab.wait_drained(30)

    def upgraded(self, older, newer):
        today = older.syncd.command[0]
        older.syncd.command[0] = str(OLDER)
        self.lab.start()
        self.lab.subscribe(self.hub)
        self.publish("before")
        newer.syncd.wait_for_log(f"state.neighbour_too_old neighbour={older.name} version=2 needed=3 ")
        at_site, at_hub = self.client(self.site), self.client(self.hub)
        at_site.say("s1/parts/inc", "3")
        at_hub.say("s1/parts/inc", "40")
        at_site.wait("s1/parts", 3)
        at_hub.wait("s1/parts", 40)
        self.publish("beside")  # a round trip and more: what could have come is here
        self.assertEqual((at_site.get("s1/parts"), at_hub.get("s1/parts")), (3, 40))
        older.syncd.stop()
        older.syncd.command[0] = today
        older.syncd.start()
        at_site.wait("s1/parts", 43, 30)
        at_hub.wait("s1/parts", 43)
        self.publish("after")
        self.assertEqual(newer.syncd.log().count("state.neighbour_too_old"), 1)
        verdict = self.lab.ledger.verdict()
        self.assertTrue(verdict.is_clean(), f"{verdict}\n{self.lab.ledger.evidence()}")

    def test_a_child(self):
        self.upgraded(self.site, self.hub)

    def test_a_parent(self):
        self.upgraded(self.hub, self.site)


if __name__ == "__main__":
    unittest.main()
