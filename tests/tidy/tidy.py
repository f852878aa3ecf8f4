#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tidy.py CHECK [--root FOLDER]: one check of the tree; complaints to stderr, exit 1 if there are any."""
import argparse
import os
import sys

import checks


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(description="checks of the source tree")
    parser.add_argument("check", choices=sorted(checks.CHECKS))
    parser.add_argument("--root", default=os.path.join(here, "..", ".."))
    arguments = parser.parse_args()
    complaints = checks.CHECKS[arguments.check](os.path.abspath(arguments.root))
    for complaint in complaints:
        print(f"tidy.{arguments.check}: {complaint}", file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
