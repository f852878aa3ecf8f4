# SPDX-License-Identifier: Apache-2.0
"""The broker is killed while retention is about to remove a segment that nobody has yet. The ledger is written before
the file goes, so the loss is told: once, and of what is gone alone."""

import shutil
import tempfile
import time
import unittest
from pathlib import Path

from failing import Disk
from one_node import OneNode
from tombolo_lab.net import wait_until

from full_disk import entries  # of tests/e2e, which one_node has put on the path

MORE = """\
parent: {{ host: 127.0.0.1, port: 1 }}
tls: {{ ca_file: {any}, cert_file: {any}, key_file: {any} }}
"""


class DropTest(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="tombolo-drop-"))
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.node = OneNode(self.folder)
        config = self.folder / "node.yaml"
        text = config.read_text(encoding="utf-8").replace("interval: 60s", "interval: 200ms")
        text = text.replace("checkpoint:", "    retention: { bytes: 16KiB }\ncheckpoint:")
        config.write_text(text + MORE.format(any=config), encoding="utf-8")
        self.log = self.node.data / "journal/default"
        self.disk = Disk(self.folder, [self.log])
        self.node.daemon.env = self.disk.env()
        self.addCleanup(self.node.broker.stop)

    def first(self) -> int:
        """The oldest number that is still there."""
        return min(int(segment.stem) for segment in self.log.glob("*.seg"))

    def spans(self) -> list:
        return [(entry["first"], entry["last"], entry["count"]) for entry in entries(self.node.data / "journal")]

    def talk(self, until, timeout_s: float = 40) -> None:
        """Publishes until it is so: retention works each ten seconds. An ack that does not come is one moment more."""
        client = self.node.connect("pub", timeout_s=3)
        self.addCleanup(client.sock.close)
        end = time.monotonic() + timeout_s
        while not until():
            if time.monotonic() > end:
                self.fail(f"{self.first()} {self.spans()} {self.node.daemon.tail()}")
            try:
                client.publish("t/a", bytes(500))
            except TimeoutError:
                self.assertTrue(until())
            time.sleep(0.005)

    def test_a_kill_before_the_file_goes(self):
        self.node.broker.start()
        self.disk.arm(("unlink",), at=3, count=1, delay_ms=60000)
        self.talk(lambda: self.disk.fired == 1)
        self.node.broker.kill9()
        self.disk.disarm()
        first = self.first()
        self.assertGreater(first, 1, "two segments had gone before")
        self.node.broker.start()
        wait_until(self.spans, 20, "an entry of the ledger")
        self.assertEqual(self.spans(), [(1, first - 1, first - 1)], "what stayed is not lost")
        self.talk(lambda: len(self.spans()) > 1)
        found = self.spans()
        self.assertEqual(found[1][0], first, f"nothing twice, nothing left out: {found}")
        self.assertEqual(sum(count for _, _, count in found), self.first() - 1)


if __name__ == "__main__":
    unittest.main()
