# SPDX-License-Identifier: Apache-2.0
"""A sync that fails behind the ack: no receipt says that the message is on the disk, and its publisher is told."""

import errno
import shutil
import tempfile
import unittest
from pathlib import Path

from failing import Disk
from tombolo_lab import Lab
from tombolo_lab.asker import Asker
from tombolo_lab.net import wait_until
from tombolo_lab.node import Settings

STREAMS = (("safe", '["safe/#"]', "strict"), ("many", '["many/#"]', "group"), ("fast", '["fast/#"]', "process"),
           ("loose", '["loose/#"]', "none"))


class RefusedTest(unittest.TestCase):
    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        self.node = self.lab.node("s1", settings=Settings(streams=STREAMS))
        orders = Path(tempfile.mkdtemp(prefix="tombolo-orders-"))
        self.addCleanup(shutil.rmtree, orders)
        self.disk = Disk(orders, [self.node.data])
        self.addCleanup(self.disk.close)
        self.node.broker.daemon.env = self.disk.env()
        self.node.broker.start()

    def ask(self, stream: str, payload: str):
        """The ack, and the receipts that came with it or soon after."""
        with Asker(self.node.broker.port) as asker:
            code = asker.ask(f"{stream}/t", payload, "synced")
            return code, asker.wait(payload) if code == 0 else asker.receipts(payload)

    def is_synced(self, stream: str, payload: str, seen: list) -> bool:
        code, receipts = self.ask(stream, f"{payload}-{len(seen)}")
        seen.append((code, receipts))
        return code == 0 and receipts[0]["receipt"] == "synced"

    def test_a_sync_that_fails(self):
        for error in (errno.EIO, errno.ENOSPC):
            for stream, _, durability in STREAMS:
                name = f"{stream}-{errno.errorcode[error]}"
                code, receipts = self.ask(stream, f"{name}-before")
                self.assertEqual((code, receipts[0]["receipt"]), (0, "synced"), name)
                self.disk.arm(("sync",), error=error)
                code, receipts = self.ask(stream, f"{name}-bad")
                self.assertGreater(self.disk.fired, 0, name)
                self.disk.disarm()
                if durability in ("strict", "group"):
                    self.assertNotEqual(code, 0, name)
                    self.assertEqual(receipts, [], name)
                else:
                    self.assertEqual((code, receipts[0]["receipt"]), (0, "refused"), name)
                    self.assertIn("the disk of this node has refused", receipts[0]["why"])
                again = []  # a disk that was full counts as full for a moment longer
                wait_until(lambda: self.is_synced(stream, f"{name}-again", again), 20, lambda: f"{name}: {again}")


if __name__ == "__main__":
    unittest.main()
