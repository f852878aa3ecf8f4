# SPDX-License-Identifier: Apache-2.0
"""Both sides of a cut change the same things; afterwards both say what the table of docs/state.md says, of every
type."""

import json
import unittest

from tombolo_lab import Lab, StateClient
from tombolo_lab.net import wait_until
from tombolo_lab.node import Settings

SITE = "line-7"
PATIENCE_S = 30


class CutTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = Lab()
        cls.addClassCleanup(cls.lab.close)
        cls.hub = cls.lab.node("hub", has_children=True, settings=Settings(more='state: { scopes: [ "line-*" ] }\n'))
        cls.site = cls.lab.node(SITE, parent=cls.hub, has_children=True,
                                settings=Settings(more=f"state: {{ scopes: [ {SITE} ] }}\n"))
        cls.lab.start()
        cls.at_hub, cls.at_site = StateClient(cls.hub).start(), StateClient(cls.site).start()
        cls.addClassCleanup(cls.at_hub.close)
        cls.addClassCleanup(cls.at_site.close)

    def both(self, path: str, wanted) -> None:
        """Waits until both sides say so. None: no value."""
        key = f"{SITE}/{path}"
        raw = None if wanted is None else wanted if isinstance(wanted, bytes) else wanted.encode()

        def is_so():
            return all(side.values.get(key) == raw for side in (self.at_hub, self.at_site))
        wait_until(is_so, PATIENCE_S, lambda: f"{path}: hub {self.at_hub.values.get(key)}, site "
                                              f"{self.at_site.values.get(key)}, not {raw}\n{self.lab.logs()}")

    def say(self, side: StateClient, path_and_verb: str, payload: str = "") -> None:
        side.say(f"{SITE}/{path_and_verb}", payload)

    def apart(self, before: list, hub: list, site: list) -> None:
        """before: said at the site and known to both, the last of it sets seq to 1; then a cut, each side says its own,
        and the cut ends."""
        for what in before:
            self.say(self.at_site, *what)
        self.both("seq", "1")
        self.site.link.cut("reset")
        for what in hub:
            self.say(self.at_hub, *what)
        for what in site:
            self.say(self.at_site, *what)
        # Each has applied its own: what is applied behind the meeting would be the later one.
        self.at_hub.wait(f"{SITE}/seq", 3)
        self.at_site.wait(f"{SITE}/recipe/temperature", 180)
        self.site.link.heal()

    def test_both_sides_of_every_type(self):
        self.apart(
            before=[("order/add", "x"), ("badge/admit", "x"), ("night/enable",), ("gate/permit",),
                    ("recipe/steps/set", "3"), ("gone/parts/inc", "5"), ("gone/speed/set", "1"), ("seq/set", "1")],
            hub=[("speed/set", "80"), ("parts/inc", "3"), ("cycles/count", "3"), ("order/rm", "x"), ("badge/revoke", "x"),
                 ("seen/insert", "a"), ("night/disable",), ("gate/forbid",), ("peak/raise", "20"), ("low/lower", "20"),
                 ("recipe/del",), ("gone/del",), ("seq/set", "2"), ("seq/set", "3")],
            site=[("speed/set", "95"), ("parts/inc", "4"), ("cycles/count", "4"), ("order/add", "x"), ("badge/admit", "x"),
                  ("seen/insert", "b"), ("night/enable",), ("gate/permit",), ("peak/raise", "21"), ("low/lower", "21"),
                  ("recipe/temperature/set", "180"), ("gone/parts/inc", "2")])
        self.both("parts", "7")
        self.both("cycles", "7")
        self.both("order", '["x"]')
        self.both("badge", "[]")
        self.both("seen", '["a","b"]')
        self.both("night", "true")
        self.both("gate", "false")
        self.both("peak", "21")
        self.both("low", "20")
        self.both("recipe/steps", None)
        self.both("recipe/temperature", "180")
        self.both("gone/speed", None)
        self.both("gone/parts", "7")  # all that its node ever counted: docs/state.md, what surprises
        self.both("seq", "3")
        self.both("speed", "95")  # the later stamp
        conflicts = f"{SITE}/speed/conflicts"
        wait_until(lambda: all(conflicts in side.values for side in (self.at_hub, self.at_site)), PATIENCE_S, "conflicts")
        self.assertEqual(self.at_hub.values[conflicts], self.at_site.values[conflicts])
        told = json.loads(self.at_hub.values[conflicts])
        self.assertEqual([(one["value"], one["read"]) for one in told], [("95", True), ("80", False)])
        self.assertGreater(told[0]["stamp"], told[1]["stamp"])
        self.assertEqual([one["node"] for one in told], [SITE, "hub"])
        self.say(self.at_hub, "speed/set", "90")
        self.both("speed", "90")
        self.both("speed/conflicts", None)
