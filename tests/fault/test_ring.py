# SPDX-License-Identifier: Apache-2.0
"""kill -9 of a site's broker whose write buffers lie in memory that outlives it (journal.ring): what was acked and
was in no file yet is in the journal after the next start, and goes up to the hub. Once more without such memory.

TMB_SEED, TMB_KILLS (20; 100 with TMB_LONG).
"""

import os
import re
import shutil
import tempfile
import unittest
from pathlib import Path

import test_kill9

KILLS = int(os.environ.get("TMB_KILLS") or ("100" if os.environ.get("TMB_LONG") else "20"))
MEMORY = "/dev/shm"


@unittest.skipUnless(os.access(MEMORY, os.W_OK), f"no {MEMORY} here")
class RingTest(test_kill9.Kill9Test):
    kills = KILLS

    def setUp(self):
        self.memory = Path(tempfile.mkdtemp(prefix="tombolo-ring-", dir=MEMORY))
        self.addCleanup(shutil.rmtree, self.memory, ignore_errors=True)
        self.more = f"journal:\n  ring: {self.memory}\n"
        super().setUp()

    def rings(self) -> list:
        return sorted(path.name for path in self.memory.iterdir())

    def test_nothing_acked_is_lost(self):
        self.assertRegex(" ".join(self.rings()), r"^tombolo-s1-[0-9a-f]{32}-process\.ring$")
        super().test_nothing_acked_is_lost()
        self.is_well = False
        log = self.site.broker.daemon.log_file.read_text(errors="replace")
        brought = [int(count) for count in re.findall(r"(\d+) bytes of acknowledged messages", log)]
        print(f"{len(brought)} of {self.kills} kills left something in memory, {max(brought, default=0)} bytes at most")
        self.assertGreater(len(brought), 0, "no kill met a message that was only in memory")
        self.assertNotIn("holds messages of another state", log)
        self.site.broker.stop()
        self.assertEqual(self.rings(), [], "left behind by a good end")
        self.is_well = True


class NoRingTest(test_kill9.Kill9Test):
    kills = max(1, KILLS // 4)
    more = "journal:\n  ring: off\n"


if __name__ == "__main__":
    unittest.main()
