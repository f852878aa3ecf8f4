# SPDX-License-Identifier: Apache-2.0
"""Every call that the broker and its plugin make of the disk fails, one after the other: the 1st write, the 2nd ...,
once or from there on, with EIO and with ENOSPC.

The life of a broker that has all of them in it: start with a journal, a checkpoint and a session's messages;
publishes of QoS 1 and 2, numbered ones, so many that segments are closed; a snapshot and its checkpoint; stop or
kill. First it is lived without a fault to count the calls, then once for each of them. What the ledger says was
acked must be there afterwards; the broker stays up, or, when it was hit in its start, ends with a word and starts
when the disk is well; and it works again by itself.

Two things are Mosquitto 2.0.11's own, and are told in docs/faults.md: when it cannot open its database at its start
it begins without sessions; when it cannot rename its new database it closes that file twice, which ends it. What was
acked is in the journal all the same.

TMB_SEED chooses which lives end by a kill. TMB_LONG=1: every read too, and a disk that turns read-only (EROFS).
"""

import errno
import unittest

from nth_case import LONG, CasesTest


class NthCallTest(CasesTest):
    def test_every_write(self):
        self.fail_each(self.cases("write", (errno.EIO, errno.ENOSPC), halves=True))

    def test_every_sync(self):
        self.fail_each(self.cases("sync", (errno.EIO, errno.ENOSPC)))

    def test_every_open(self):
        self.fail_each(self.cases("open", (errno.EIO, errno.ENOSPC)))

    def test_every_cut_after_a_write_or_sync_that_failed(self):
        """What a failed write or sync left is cut off the file; here the cut fails as well."""
        cases = self.cases("write+truncate", (errno.EIO,), (2, 3))
        cases += self.cases("sync+truncate", (errno.EIO,), (2, 3))
        self.fail_each(cases)

    def test_every_rename_truncate_link_and_unlink(self):
        cases = []
        for op in ("rename", "truncate", "link", "unlink", "mkdir"):
            cases += self.cases(op, (errno.EIO, errno.ENOSPC))
        self.fail_each(cases)

    @unittest.skipUnless(LONG, "TMB_LONG=1")
    def test_every_read_and_a_disk_that_turns_read_only(self):
        cases = self.cases("read", (errno.EIO,))
        for op in ("write", "open", "rename", "unlink"):
            cases += self.cases(op, (errno.EROFS,))
        self.fail_each(cases)


if __name__ == "__main__":
    unittest.main()
