#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each check of the tree is shown one offence and must name it, and a clean tree and must be silent."""
import os
import subprocess
import sys
import tempfile
import unittest

import checks
import tree

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.normpath(os.path.join(HERE, "..", ".."))
SPDX = "SPDX-License-" + "Identifier: Apache-2.0"
CLEAN_C = f"// {SPDX}\nint tmb_one(void);\nint tmb_one(void)\n{{\n    return 1;\n}}\n"


class Planted(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.root = self.folder.name

    def plant(self, path, text):
        full = os.path.join(self.root, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8") as file:
            file.write(text)
        return full

    def expect(self, check, *parts):
        complaints = checks.CHECKS[check](self.root)
        self.assertEqual(len(complaints), 1, complaints)
        for part in parts:
            self.assertIn(part, complaints[0])

    def run_script(self, name, *arguments):
        return subprocess.run([os.path.join(HERE, name), *arguments], capture_output=True, text=True,
                              check=False)


class CleanTree(Planted):
    def test_says_nothing(self):
        self.plant("base/one.c", CLEAN_C)
        self.plant("README.md", "# One\n[code](base/one.c) and [web](https://example.org)\n")
        for name, check in checks.CHECKS.items():
            self.assertEqual(check(self.root), [], name)


class Sizes(Planted):
    def test_long_file(self):
        self.plant("base/long.py", f"# {SPDX}\n" + "x = 1\n" * 800)
        self.expect("sizes", "base/long.py", "801 lines")

    def test_long_c_function(self):
        body = "    tmb_one();\n" * 69
        self.plant("base/long.c", f"// {SPDX}\n#ifdef X\n#define Y {{\n#endif\n/* {{ */\n"
                   f"static const char brace[] = \"{{\";\nstatic int grow(int a,\n    int b)\n{{\n"
                   f"{body}}}\nint tmb_after(void)\n{{\n}}\n")
        self.expect("sizes", "base/long.c:7", "function grow", "73 lines")

    def test_long_function_inside_linkage_block(self):
        body = "    tmb_one();\n" * 69
        self.plant("base/long.h", f"// {SPDX}\nextern \"C\" {{\nstatic inline void grow(void)\n{{\n"
                   f"{body}}}\n}}\n")
        self.expect("sizes", "function grow")

    def test_long_python_function(self):
        self.plant("base/long.py", f"# {SPDX}\ndef grow():\n" + "    pass\n" * 70)
        self.expect("sizes", "function grow", "71 lines")

    def test_wide_line(self):
        self.plant("base/wide.c", CLEAN_C + "/* " + "w" * 110 + " */\n")
        self.expect("sizes", "base/wide.c:7", "116 columns")


class Words(Planted):
    def test_unfinished(self):
        self.plant("base/one.c", CLEAN_C + "/* TO" + "DO: later */\n")
        self.expect("words", "base/one.c:7", "unfinished")

    def test_path_of_one_machine(self):
        self.plant("docs/a.md", "see /ho" + "me/anna/tombolo\n")
        self.expect("words", "docs/a.md:1", "one machine")

    def test_sleep(self):
        self.plant("syncd/one.c", CLEAN_C + "/* sleep(1) */ static void f(void)\n{\n    usleep(5);\n}\n")
        self.expect("words", "syncd/one.c:9", "sleeps")

    def test_sleep_where_it_may(self):
        self.plant("tests/bench/one.c", CLEAN_C + "static void f(void)\n{\n    usleep(5);\n}\n")
        self.assertEqual(checks.words(self.root), [])


class Licence(Planted):
    def test_missing(self):
        self.plant("scripts/one", "#!/bin/bash\necho\n")
        self.expect("licence", "scripts/one", "SPDX")


class Tests(Planted):
    REGISTER = ("int main(void)\n{\n    const struct CMUnitTest t[] = {cmocka_unit_test(works)};\n"
                "    return cmocka_run_group_tests(t, 0, 0);\n}\n")

    def test_c_without_assertion(self):
        self.plant("tests/unit/base/test_one.c", f"// {SPDX}\nstatic void works(void **s)\n{{\n"
                   "    /* assert_true(1); */\n    run(s);\n}\n" + self.REGISTER)
        self.expect("tests", "test_one.c", "works asserts nothing")

    def test_c_with_helper_that_asserts(self):
        self.plant("tests/unit/base/test_one.c", f"// {SPDX}\nstatic void run(void)\n{{\n"
                   "    assert_true(1);\n}\nstatic void works(void **s)\n{\n    run();\n}\n" + self.REGISTER)
        self.assertEqual(checks.tests(self.root), [])

    def test_c_file_that_runs_none(self):
        self.plant("tests/unit/base/test_one.c", f"// {SPDX}\nstatic void works(void **s)\n{{\n"
                   "    assert_true(1);\n}\nint main(void)\n{\n    return 0;\n}\n")
        self.expect("tests", "never run")

    def test_python_without_assertion(self):
        self.plant("tests/e2e/test_one.py", f"# {SPDX}\ndef test_nothing(self):\n    print(1)\n")
        self.expect("tests", "test_nothing asserts nothing")


class Docs(Planted):
    def test_two_decisions_with_one_number(self):
        self.plant("docs/adr/0001-one.md", "# 1. One\n")
        self.plant("docs/adr/0001-other.md", "# 1. Other\n")
        self.expect("docs", "0001-other.md", "has the number of docs/adr/0001-one.md")

    def test_decision_with_another_number_in_its_title(self):
        self.plant("docs/adr/0002-one.md", "# 1. One\n")
        self.expect("docs", "0002-one.md", "its title")

    def test_dead_link(self):
        self.plant("README.md", "[a](docs/absent.md#part)\n")
        self.expect("docs", "docs/absent.md")

    def test_page_of_no_command(self):
        self.plant("man/tombolo-nothing.1", ".TH X 1\n")
        self.expect("docs", "no command")


class Tree(unittest.TestCase):
    def test_functions_are_found(self):
        text = tree.read(ROOT, "base/err.c")
        names = [name for name, *_ in tree.c_functions(text)]
        self.assertEqual(names, ["tmb_err_str", "tmb_err_name", "tmb_assert_failed"])

    def test_own_files_are_seen(self):
        self.assertIn("tests/tidy/tree.py", tree.files(ROOT))


class Scripts(Planted):
    def build(self, name, text):
        source, library = self.plant(name + ".c", text), os.path.join(self.root, name + ".a")
        target = os.path.join(self.root, name + ".o")
        subprocess.run(["gcc", "-c", "-o", target, source], check=True)
        subprocess.run(["ar", "rcs", library, target], check=True)
        return library

    def test_pure(self):
        clean = self.build("clean", "int tmb_one(void)\n{\n    return 1;\n}\n")
        self.assertEqual(self.run_script("pure.sh", clean).returncode, 0)
        clock = self.build("clock", "#include <time.h>\nlong tmb_x(void)\n{\n    return time(0);\n}\n")
        result = self.run_script("pure.sh", clock)
        self.assertEqual(result.returncode, 1)
        self.assertIn("clock.a(clock.o) refers to time", result.stderr)

    def test_headers(self):
        self.plant("clean.h", "#include <stdint.h>\nuint8_t tmb_one(void);\n")
        self.plant("needy.h", "uint8_t tmb_one(void);\n")
        self.plant("conly.h", "static inline void f(char *class) { (void)class; }\n")
        for name, code in (("clean.h", 0), ("needy.h", 1), ("conly.h", 1)):
            result = self.run_script("headers.sh", self.root, self.root, name)
            self.assertEqual(result.returncode, code, name + result.stderr)

    def test_format(self):
        with open(os.path.join(ROOT, ".clang-format"), encoding="utf-8") as rules:
            self.plant(".clang-format", rules.read())
        self.plant("clean.c", CLEAN_C)
        self.plant("messy.c", "int  tmb_one( void ) {return 1;}\n")
        self.assertEqual(self.run_script("format.sh", self.root, "clean.c").returncode, 0)
        self.assertEqual(self.run_script("format.sh", self.root, "messy.c").returncode, 1)

    def test_scripts(self):
        self.plant("clean.sh", "#!/bin/bash\necho \"$1\"\n")
        self.plant("broken.sh", "#!/bin/bash\nif true; then\n")
        self.plant("unquoted.sh", "#!/bin/bash\nrm -r $1\n")
        for name, code in (("clean.sh", 0), ("broken.sh", 1), ("unquoted.sh", 1)):
            self.assertEqual(self.run_script("scripts.sh", self.root, name).returncode, code, name)

    def test_lint(self):
        with open(os.path.join(ROOT, ".clang-tidy"), encoding="utf-8") as rules:
            self.plant(".clang-tidy", rules.read())
        clean = self.plant("clean.c", CLEAN_C)
        leaky = self.plant("leaky.c", "#include <stdlib.h>\nint tmb_f(void)\n{\n"
                           "    int *p = malloc(4);\n    return p == 0;\n}\n")
        self.plant("compile_commands.json", "[" + ",".join(
            f'{{"directory": "{self.root}", "file": "{f}", "command": "clang -c {f}"}}'
            for f in (clean, leaky)) + "]")
        self.assertEqual(self.run_script("lint.sh", self.root, self.root, clean).returncode, 0)
        result = self.run_script("lint.sh", self.root, self.root, leaky)
        self.assertEqual(result.returncode, 1)
        self.assertIn("leak", result.stdout)


if __name__ == "__main__":
    sys.exit(unittest.main(verbosity=2))
