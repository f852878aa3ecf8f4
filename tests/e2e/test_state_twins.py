# SPDX-License-Identifier: Apache-2.0
"""Device twins: the example as it is printed, and what a hub sees of a device whose site is gone or that is silent."""

import json
import subprocess
import unittest
from pathlib import Path

from tombolo_lab import Lab
from tombolo_lab.net import wait_until
from tombolo_lab.node import Settings
from tombolo_lab.talker import Talker

EXAMPLE = Path(__file__).resolve().parents[2] / "examples/twin/twin.sh"


class TwinTest(unittest.TestCase):
    """A site and its hub; both hold the site's scope."""

    @classmethod
    def setUpClass(cls):
        cls.lab = Lab()
        cls.addClassCleanup(cls.lab.close)
        cls.hub = cls.lab.node("hub", has_children=True, settings=Settings(more="state:\n  scopes: [ \"s*\" ]\n"))
        cls.s1 = cls.lab.node("s1", parent=cls.hub, has_children=True,
                              settings=Settings(more="state:\n  scopes: [ s1 ]\n"))
        cls.lab.start()

    def delta(self, node, device: str) -> dict:
        with Talker(node.broker.port, f"look-{node.name}") as look:
            look.subscribe(f"state/s1/twin/{device}/delta")
            wait_until(lambda: look.heard, 30, lambda: f"no delta of {device} at {node.name}")
            return json.loads(look.heard[-1].payload)

    def wait_delta(self, node, device: str, wanted: dict) -> dict:
        found = {}

        def is_so() -> bool:
            found.update(self.delta(node, device))
            return all(found[key] == value for key, value in wanted.items())
        wait_until(is_so, 30, lambda: f"{device} at {node.name}: {found}, not {wanted}", 0.3)
        return found

    def test_example_runs_as_it_is_printed(self):
        done = subprocess.run([EXAMPLE, "127.0.0.1", str(self.s1.broker.port), "s1"], capture_output=True, text=True,
                              timeout=120)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn('"delta":{"speed":80}', done.stdout)
        wait_until(lambda: not self.retained("press-3"), 30, lambda: f"{self.retained('press-3')} to go", 0.3)

    def retained(self, device: str) -> list:
        with Talker(self.s1.broker.port, "after") as after:
            after.subscribe(f"state/s1/twin/{device}/#")
            after.subscribe("$tombolo/v1/stats/plugin")  # retained, and behind the others
            wait_until(lambda: any(m.topic.startswith("$tombolo") for m in after.heard), 30, "statistics")
            return [m.topic for m in after.heard if m.topic.startswith("state/")]

    def test_hub_wishes_site_reports_and_a_stopped_site_shows(self):
        with Talker(self.hub.broker.port, "operator") as hub, Talker(self.s1.broker.port, "press-4") as press:
            self.assertEqual(hub.publish("state/s1/twin/press-4/desired/speed/set", "80"), 0)
            self.wait_delta(self.s1, "press-4", {"delta": {"speed": 80}, "online": None, "seen": None})
            self.assertEqual(press.publish("state/s1/twin/press-4/reported/speed/set", "80"), 0)
            self.assertEqual(press.publish("state/s1/twin/press-4/reported/online/set", "true"), 0)
            seen = self.wait_delta(self.hub, "press-4", {"delta": {}, "online": True})["seen"]
            self.assertRegex(seen, r"^20\d\d-.*Z$")
            hub.publish("state/s1/twin/press-4/reported/speed/set", "1")  # not its own to say
            self.s1.syncd.stop()
            self.assertEqual(self.wait_delta(self.hub, "press-4", {"online": False})["seen"], seen)
            self.assertEqual(self.delta(self.hub, "press-4")["delta"], {})
            self.s1.syncd.start()
            self.wait_delta(self.hub, "press-4", {"online": True})

    def test_first_device_of_a_site_is_never_shown_as_offline(self):
        s2 = self.lab.node("s2", parent=self.hub, has_children=True,
                           settings=Settings(more="state:\n  scopes: [ s2 ]\n"))
        s2.start()
        self.addCleanup(s2.stop)
        with Talker(self.hub.broker.port, "board") as board, Talker(s2.broker.port, "press-7") as press:
            board.subscribe("state/s2/#")
            self.assertEqual(press.publish("state/s2/parts/inc", "1"), 0)
            wait_until(lambda: board.heard, 30, "the hub to have the scope")
            self.assertEqual(press.publish("state/s2/twin/press-7/reported/online/set", "true"), 0)

            def said() -> list:
                return [json.loads(m.payload)["online"] for m in board.heard if m.topic.endswith("/delta")]
            wait_until(lambda: True in said(), 30, lambda: f"{said()}, not true")
            self.assertEqual(said(), [True])

    def test_silent_device_goes_offline(self):
        with Talker(self.s1.broker.port, "press-5") as press, Talker(self.s1.broker.port, "board-5") as board:
            board.subscribe("state/s1/twin/press-5/delta")

            def said() -> list:  # for three seconds it says so: who looks now and then may miss it
                return [json.loads(message.payload)["online"] for message in list(board.heard)]
            for field, value in (("every", "1"), ("online", "true")):
                self.assertEqual(press.publish(f"state/s1/twin/press-5/reported/{field}/set", value), 0)
            wait_until(lambda: True in said() and said()[-1] is False, 30, lambda: f"{said()}, not true, then false")
            self.wait_delta(self.hub, "press-5", {"online": False})
            silent = len(said())
            self.assertEqual(press.publish("state/s1/twin/press-5/reported/temperature/set", "21.5"), 0)
            wait_until(lambda: True in said()[silent:], 30, lambda: f"{said()}, not true again")

    def test_cut_line_shows_at_the_hub_as_silence(self):
        self.addCleanup(self.s1.link.heal)
        with Talker(self.s1.broker.port, "press-6") as press:
            for field, value in (("every", "3"), ("online", "true")):
                self.assertEqual(press.publish(f"state/s1/twin/press-6/reported/{field}/set", value), 0)
            seen = self.wait_delta(self.hub, "press-6", {"online": True})["seen"]
            self.s1.link.cut()
            self.assertEqual(self.wait_delta(self.hub, "press-6", {"online": False})["seen"], seen)


if __name__ == "__main__":
    unittest.main()
