#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""faults.py ROOT BUILD-FOLDER [CTEST]: docs/faults.md names only tests that there are, and all fault tests are in it."""
import json
import re
import subprocess
import sys

NAME = re.compile(r"`((?:unit|sim|property|e2e|fault|bench)\.[a-z0-9_.-]+)`")


def complaints(text: str, tests: set) -> list:
    named = set(NAME.findall(text))
    return ([f"docs/faults.md names {name}, and there is no such test" for name in sorted(named - tests)] +
            [f"docs/faults.md does not name {name}" for name in sorted(tests - named) if name.startswith("fault.")])


def main() -> int:
    root, build = sys.argv[1:3]
    ctest = sys.argv[3] if len(sys.argv) > 3 else "ctest"
    listed = subprocess.run([ctest, "--test-dir", build, "--show-only=json-v1"], check=True, capture_output=True,
                            text=True).stdout
    tests = {test["name"] for test in json.loads(listed)["tests"]}
    assert complaints("`fault.none`", {"fault.one"}) == ["docs/faults.md names fault.none, and there is no such test",
                                                         "docs/faults.md does not name fault.one"]
    with open(f"{root}/docs/faults.md", encoding="utf-8") as file:
        found = complaints(file.read(), tests)
    for complaint in found:
        print(f"tidy.faults: {complaint}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
