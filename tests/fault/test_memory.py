# SPDX-License-Identifier: Apache-2.0
"""Memory runs out for the plugin, at the 1st call for some, the 2nd ...: a broker that cannot start says so and ends,
one that runs stays up, acks nothing that it did not keep, and works again by itself.

Calls that the broker and the libraries make on the plugin's behalf count as well; the broker's own do not.

TMB_SEED chooses which lives end by a kill. TMB_LONG=1: also every call from there on.
"""

import errno
import os
import unittest

from nth_case import LONG, Case, CasesTest


class MemoryTest(CasesTest):
    library = "short_memory.so"

    def test_every_call_for_memory(self):
        cases = self.cases("memory", (errno.ENOMEM,), (1, 0) if LONG else (1,))
        self.fail_each(cases)


if __name__ == "__main__":
    unittest.main()
