# SPDX-License-Identifier: Apache-2.0
"""The machinery of planted mistakes: it says no when nothing was noticed."""
import os
import tempfile
import unittest

import planted

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
BUILD = os.environ["TMB_BUILD"]

HEAD = "file: crdt/context.c\ntest: property.crdt.context\n"
LINE = "    if (first == 0 || first > last || last > TMB_SEQ_MAX)\n"


class Machinery(unittest.TestCase):
    def try_text(self, text):
        with tempfile.NamedTemporaryFile("w", suffix=".plant") as plant:
            plant.write(text)
            plant.flush()
            return planted.try_plant(BUILD, ROOT, plant.name)

    def refuses(self, text, about):
        with self.assertRaisesRegex(planted.Unfit, about):
            self.try_text(text)

    def test_a_mistake_is_noticed(self):
        test, _ = self.try_text(HEAD + "--- was\n" + LINE + "--- is\n" + LINE.replace("> last", ">= last"))
        self.assertEqual(test, "property.crdt.context")

    def test_what_changes_nothing_is_refused(self):
        self.refuses(HEAD + "--- was\n" + LINE + "--- is\n" + LINE, "notices nothing")

    def test_a_place_that_is_gone_is_refused(self):
        self.refuses(HEAD + "--- was\nno such line\n--- is\n\n", "0 times, not once")

    def test_a_place_that_is_there_twice_is_refused(self):
        self.refuses(HEAD + "--- was\n}\n--- is\n\n", "times, not once")

    def test_what_does_not_compile_is_refused(self):
        self.refuses(HEAD + "--- was\n" + LINE + "--- is\nif (\n", "compiling the changed")

    def test_a_crash_is_no_notice(self):
        self.refuses(HEAD + "--- was\n" + LINE + "--- is\n    __builtin_trap();\n" + LINE, "died of a signal")

    def test_another_failure_is_no_notice(self):
        self.refuses(HEAD + "notice: never said\n--- was\n" + LINE + "--- is\n"
                     + LINE.replace("> last", ">= last"), "fails, but not with")

    def test_a_plant_without_a_change_is_refused(self):
        self.refuses(HEAD, "at least one change")


if __name__ == "__main__":
    unittest.main()
