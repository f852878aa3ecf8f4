# SPDX-License-Identifier: Apache-2.0
"""State at one node: an MQTT 3.1.1 client's operations become retained values, each once, whatever is killed."""

import os
import random
import time
import unittest
from pathlib import Path

from plugin_raw import Raw
from tombolo_lab import Lab, StateClient
from tombolo_lab.net import wait_until
from tombolo_lab.node import Settings

SEED = int(os.environ.get("TMB_SEED", "5"))
STATE = "  scopes: [ site, fleet ]\n"


class StateTest(unittest.TestCase):
    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        self.node = self.lab.node("site", settings=Settings(state=STATE))
        self.lab.start()
        self.node.syncd.wait_for_log("state.broker_up")

    def client(self, name="", **options):
        client = StateClient(self.node, name, **options).start()
        self.addCleanup(client.close)
        return client


class LocalTest(StateTest):
    def test_every_type(self):
        c = self.client("plc")
        c.say("site/press/speed/set", "80")
        c.wait("site/press/speed", 80)
        c.say("site/press/parts/inc", "3")
        c.say("site/press/parts/inc", '{"inc":4}')
        c.say("site/press/parts/dec", "1")
        c.wait("site/press/parts", 6)
        c.say("site/press/cycles/count", "9")
        c.wait("site/press/cycles", 9)
        c.say("site/open/add", '["wo-17","wo-18"]')
        c.say("site/open/rm", "wo-17")
        c.wait("site/open", ["wo-18"])
        c.say("site/deny/admit", "badge-1")
        c.say("site/deny/revoke", "badge-1")
        c.wait("site/deny", [])
        c.say("site/seen/insert", "a")
        c.wait("site/seen", ["a"])
        c.say("site/lamp/enable")
        c.wait("site/lamp", True)
        c.say("site/gate/permit")
        c.wait("site/gate", True)
        c.say("site/peak/raise", "21.5")
        c.wait("site/peak", 21.5)
        c.say("site/low/lower", "-3")
        c.wait("site/low", -3)
        c.say("site/press/del")
        wait_until(lambda: not any(k.startswith("site/press") for k in c.values), 30, lambda: str(c.values))

    def test_a_refusal_is_told(self):
        c = self.client()
        c.say("site/press/parts/inc", "many")
        c.say("elsewhere/press/parts/inc", "1")
        wait_until(lambda: len(c.errors) == 2, 30, lambda: f"two errors: {c.errors}\n{self.node.logs()}")
        told = dict(c.errors)
        self.assertEqual(told["site/press/parts/error"]["verdict"], "malformed")
        self.assertFalse(told["site/press/parts/error"]["ok"])
        self.assertFalse(told["elsewhere/press/parts/inc/error"]["ok"])
        self.assertEqual(told["elsewhere/press/parts/inc/error"]["verdict"], "scope")
        self.assertIsNone(c.get("site/press/parts"))


class AnotherRootTest(StateTest):
    def test_operations_that_wait_meanwhile_are_applied(self):
        self.node.syncd.stop()
        c = self.client()
        c.say("site/parts/inc", "3")
        c.say("site/parts/inc", "many")
        c.close()
        self.node.broker.stop()
        text = self.node.config_file.read_text(encoding="utf-8")
        self.node.config_file.write_text(text.replace(STATE, STATE + "  root: st\n"), encoding="utf-8")
        self.node.start()
        c = self.client(root="st")
        c.wait("site/parts", 3)
        c.say("site/parts/inc", "4")
        c.wait("site/parts", 7)


class KilledTest(StateTest):
    """1,000 increments, and a kill in their midst: exactly counted."""

    def count(self, kill):
        print(f"seed {SEED}")
        draw = random.Random(SEED)
        c = self.client("plc")
        mids = []
        for i in range(1000):
            mids.append(c.publish("site/parts/inc", '{"inc":1,"id":"plc:%d"}' % (i + 1)))
            if i in (200, 500, 800):
                time.sleep(draw.uniform(0, 0.05))
                kill()
        wait_until(lambda: c.acked.issuperset(mids), 60, self.node.logs)
        c.wait("site/parts", 1000, 60)
        time.sleep(0.3)
        self.assertEqual(c.get("site/parts"), 1000, self.node.logs())

    def kill_syncd(self):
        self.node.syncd.kill9()
        self.node.syncd.start()

    def kill_broker(self):
        self.node.broker.kill9()
        self.node.broker.start()

    def test_daemon(self):
        self.count(self.kill_syncd)

    def test_broker(self):
        self.count(self.kill_broker)

    def test_both(self):
        def both():
            self.node.syncd.kill9()
            self.kill_broker()
            self.node.syncd.start()
        self.count(both)


class LostValuesTest(StateTest):
    """A broker that was killed has its last snapshot: what it lost is published again, what is gone is cleared."""

    def test_after_a_kill(self):
        c = self.client()
        c.say("site/old/set", "1")
        c.wait("site/old", 1)
        self.node.broker.stop()  # it writes its snapshot
        self.node.broker.start()
        c.say("site/old/del")
        c.say("site/fresh/set", "2")
        c.wait("site/fresh", 2)
        wait_until(lambda: c.get("site/old") is None, 30, self.node.logs)
        c.close()
        self.node.broker.kill9()  # it has the old one, and not the new one
        self.node.broker.start()
        late = self.client()
        late.wait("site/fresh", 2)
        wait_until(lambda: late.get("site/old") is None, 30, self.node.logs)
        wait_until(lambda: self.retained() == {"state/site/fresh": b"2"}, 30, lambda: f"{self.retained()}\n{self.lab.logs()}")

    def retained(self) -> dict:
        """What the broker tells to who subscribes now, all of it."""
        reader = Raw(self.node.broker.port, "reader")
        self.addCleanup(reader.sock.close)
        reader.subscribe("state/#")
        found = {topic: payload for topic, payload, *_ in reader.receive_queued()}
        reader.close()
        return found


class ManyScopesTest(unittest.TestCase):
    SCOPES = 5000
    KIB_MAX = 200 * 1024

    def test_an_idle_hub_with_many_scopes_is_small(self):
        lab = Lab()
        self.addCleanup(lab.close)
        node = lab.node("hub", settings=Settings(state='  scopes: [ "*" ]\n'))
        lab.start()
        node.syncd.wait_for_log("state.broker_up")
        with StateClient(node) as c:
            mids = [c.publish(f"s{i}/parts/inc", "1") for i in range(self.SCOPES)]
            wait_until(lambda: c.acked.issuperset(mids), 120, node.logs)
            wait_until(lambda: len(c.values) == self.SCOPES, 120, lambda: f"{len(c.values)} values\n{node.logs()}")
        for _ in range(2):
            status = Path(f"/proc/{node.syncd.pid}/status").read_text(encoding="utf-8")
            resident = int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])
            print(f"{self.SCOPES} scopes: {resident} KiB resident")
            self.assertLessEqual(resident, self.KIB_MAX)
            node.syncd.stop()
            node.syncd.start()  # and as it is after a start
            wait_until(lambda: f"state.begun scopes={self.SCOPES}" in node.syncd.log(), 30, node.logs)


if __name__ == "__main__":
    unittest.main()
