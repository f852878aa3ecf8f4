# SPDX-License-Identifier: Apache-2.0
"""A journal that was renewed: what of its operations was applied before is not applied once more."""

import json
import subprocess
import unittest

from tombolo_lab import Lab, StateClient
from tombolo_lab.net import wait_until
from tombolo_lab.node import Settings


class RenewedTest(unittest.TestCase):
    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        self.node = self.lab.node("site", settings=Settings(state="  scopes: [ site ]\n"))
        self.lab.start()
        self.node.syncd.wait_for_log("state.broker_up")

    def client(self):
        client = StateClient(self.node, "").start()
        self.addCleanup(client.close)
        return client

    def renew(self) -> dict:
        done = subprocess.run([self.lab.built.journal, "renew", "-o", "json", str(self.node.data)],
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return json.loads(done.stdout)

    def test_each_operation_once(self):
        c = self.client()
        c.say("site/parts/inc", "3")
        c.say("site/mode/set", "old")
        c.say("site/mode/set", b"new")
        c.wait("site/parts", 3)
        c.wait("site/mode", b"new")
        self.node.syncd.stop()
        c.say("site/parts/inc", "40")  # acked, and not applied before the journal is another
        c.close()
        self.node.stop()
        told = subprocess.run([self.lab.built.journal, "renew", "--dry-run", str(self.node.data)], capture_output=True,
                              text=True, timeout=60)
        self.assertRegex(told.stdout, "state: [0-9]+ records would be .*: they stay here", told.stderr)
        self.renew()
        self.node.start()
        self.node.syncd.wait_for_log("state.broker_up")
        c = self.client()
        c.say("site/parts/inc", "500")
        c.say("site/last/set", "1")
        c.wait("site/last", 1)
        self.assertEqual(c.get("site/parts"), 543, self.node.logs())
        self.assertEqual(c.get("site/mode"), b"new")

    def test_renewed_again_before_another_operation_came(self):
        """The place in the new journal is kept at once: of one that is unknown all counts as applied."""
        c = self.client()
        c.say("site/parts/inc", "3")
        c.wait("site/parts", 3)
        c.close()
        self.node.stop()
        self.renew()
        (self.node.data / "syncd.json").unlink()  # so that it is of the next start
        self.node.start()
        wait_until(self.is_placed, 30, self.node.logs)
        self.node.syncd.stop()
        c = self.client()
        c.say("site/parts/inc", "40")  # acked, and not applied before the journal is another
        c.close()
        self.node.stop()
        self.renew()
        self.node.start()
        c = self.client()
        c.say("site/last/set", "1")
        c.wait("site/last", 1)
        self.assertEqual(c.get("site/parts"), 43, self.node.logs())

    def is_placed(self) -> bool:
        """The daemon has found its place in the log since it was started."""
        return self.node.told().get("merging", {}).get("operations", {}).get("cursor", 0) > 0


if __name__ == "__main__":
    unittest.main()
