# SPDX-License-Identifier: Apache-2.0
"""What the tree must look like: each check takes the root and gives a list of complaints.

test_checks.py plants an offence for each of them, so a check that has gone blind is noticed.
"""
import ast
import os
import re

import tree

FILE_LINES_MAX = 800
FUNCTION_LINES_MAX = 70
CODE_COLUMNS_MAX = 110
CODE_KINDS = ("c", "h", "python", "shell", "js", "cmake", "proto")
# Folders whose programs stand outside the system under test and wait for it.
MAY_SLEEP = ("tests/e2e/", "tests/fault/", "tests/bench/")


def sizes(root):
    """Files and functions fit a sitting and a screen."""
    complaints = []
    for path in tree.files(root):
        kind = tree.kind(root, path)
        if kind not in CODE_KINDS:
            continue
        text = tree.read(root, path)
        lines = text.split("\n")
        if len(lines) - 1 > FILE_LINES_MAX:
            complaints.append(f"{path}: {len(lines) - 1} lines, at most {FILE_LINES_MAX}")
        if kind in ("c", "h"):
            for number, line in enumerate(lines, 1):
                if len(line) > CODE_COLUMNS_MAX:
                    complaints.append(f"{path}:{number}: {len(line)} columns, "
                                      f"at most {CODE_COLUMNS_MAX}")
        for name, first, last in functions(kind, text):
            if last - first + 1 > FUNCTION_LINES_MAX:
                complaints.append(f"{path}:{first}: function {name} has {last - first + 1} lines, "
                                  f"at most {FUNCTION_LINES_MAX}")
    return complaints


def functions(kind, text):
    if kind in ("c", "h"):
        return [(name, first, last) for name, first, last, _ in tree.c_functions(text)]
    if kind == "python":
        return [(node.name, node.lineno, node.end_lineno) for node in ast.walk(ast.parse(text))
                if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    return []


# Put together here, so that this file does not hold the words it looks for.
UNFINISHED = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X"]) + r")\b")
ONE_MACHINE = re.compile(r"(?<![\w.$}/-])/(" + "|".join(["wo" + "rk", "ro" + "ot", "Us" + "ers",
                                                      "ho" + r"me/\w+"]) + r")/")
SLEEP = re.compile(r"\b(sleep|usleep|nanosleep|clock_nanosleep|thrd_sleep)\s*\(")


def words(root):
    """Nothing unfinished, no path of somebody's machine, no sleep for a synchronisation."""
    complaints = []
    for path in tree.files(root):
        text = tree.read(root, path)
        kind = tree.kind(root, path)
        for number, line in enumerate(text.split("\n"), 1):
            for pattern, what in ((UNFINISHED, "unfinished work"),
                                  (ONE_MACHINE, "a path of one machine")):
                match = pattern.search(line)
                if match:
                    complaints.append(f"{path}:{number}: {what}: {match.group(0)}")
        if kind in ("c", "h") and not path.startswith(MAY_SLEEP):
            for number, line in enumerate(tree.without_comments(text).split("\n"), 1):
                if SLEEP.search(line):
                    complaints.append(f"{path}:{number}: sleeps instead of waiting for an event")
    return complaints


def licence(root):
    """Every source says its licence in its first lines."""
    complaints = []
    for path in tree.files(root):
        if tree.kind(root, path) in CODE_KINDS:
            head = "\n".join(tree.read(root, path).split("\n")[:3])
            if "SPDX-License-" + "Identifier: Apache-2.0" not in head:
                complaints.append(f"{path}: no SPDX line in the first three")
    return complaints


C_ASSERTION = re.compile(r"\b(assert_\w+|fail_msg|fail)\s*\(")
PYTHON_ASSERTION = re.compile(r"^(assert|fail$|assert\w+)")
# By signature, since some files register through a macro of their own; the compilers see to it that a
# static function is used.
CMOCKA_TEST = re.compile(r"\bvoid\s+(\w+)\s*\(\s*void\s*\*\*\s*\w+\s*\)\s*\{")


def tests(root):
    """Every test asserts something, itself or through a helper of its own."""
    c_bodies, registered, python_bodies, python_tests, complaints = {}, [], {}, [], []
    for path in tree.files(root):
        if not path.startswith("tests/"):
            continue
        kind, text = tree.kind(root, path), tree.read(root, path)
        if kind in ("c", "h"):
            for name, first, _, body in tree.c_functions(text):
                c_bodies.setdefault(name, []).append(body)
            code = tree.bare_code(text)
            names = CMOCKA_TEST.findall(code)
            if "main" in mentioned(code) and names and "cmocka_run_group" not in code:
                complaints.append(f"{path}: its tests are never run")
            registered += [(path, name) for name in names]
        elif kind == "python":
            collect_python(path, text, python_bodies, python_tests)
    for path, name in registered:
        if not asserts(name, c_bodies, C_ASSERTION, set()):
            complaints.append(f"{path}: test {name} asserts nothing")
    for path, name in python_tests:
        if not python_asserts(name, python_bodies, set()):
            complaints.append(f"{path}: test {name} asserts nothing")
    return complaints


def mentioned(code):
    return set(re.findall(r"\b([A-Za-z_]\w*)\s*\(", code))


def asserts(name, bodies, pattern, seen):
    seen.add(name)
    for body in bodies.get(name, []):
        if pattern.search(body):
            return True
        if any(asserts(other, bodies, pattern, seen)
               for other in mentioned(body) & bodies.keys() if other not in seen):
            return True
    return False


def collect_python(path, text, bodies, found):
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        calls, has = set(), False
        for part in ast.walk(node):
            if isinstance(part, ast.Assert):
                has = True
            if isinstance(part, ast.Call):
                called = getattr(part.func, "attr", getattr(part.func, "id", ""))
                has = has or bool(PYTHON_ASSERTION.match(called))
                calls.add(called)
        bodies.setdefault(node.name, []).append((has, calls))
        if node.name.startswith("test_"):
            found.append((path, node.name))


def python_asserts(name, bodies, seen):
    seen.add(name)
    for has, calls in bodies.get(name, []):
        if has or any(python_asserts(other, bodies, seen)
                      for other in calls & bodies.keys() if other not in seen):
            return True
    return False


LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)|!\[[^\]]*\]\(([^)\s]+)\)|src=\"([^\"]+)\"")


def docs(root):
    """Links inside the tree lead somewhere; a manual page is of a command that is built; a number is of one decision."""
    complaints, commands = [], set()
    everything = tree.files(root)
    complaints += decisions(root, [path for path in everything if re.match(r"docs/adr/.*\.md$", path)])
    for path in everything:
        if tree.kind(root, path) == "cmake":
            commands.update(re.findall(r"\b(?:tmb_program|add_executable)\s*\(\s*([\w-]+)",
                                       tree.read(root, path)))
    for path in everything:
        if path.endswith(".md"):
            complaints += broken_links(root, path)
        page = re.fullmatch(r"man/([\w-]+)\.[18]", path)
        if page and page.group(1) not in commands and page.group(1) + ".sh" not in commands:
            complaints.append(f"{path}: a manual page of no command of this tree")
    return complaints


def decisions(root, paths):
    """Each record's number is its own, and is the one in its title."""
    complaints, taken = [], {}
    for path in paths:
        number = re.match(r"docs/adr/(\d{4})-", path)
        title = re.match(r"# (\d+)\. ", tree.read(root, path))
        if not number or not title or int(number.group(1)) != int(title.group(1)):
            complaints.append(f"{path}: the number of the file is not that of its title")
        elif number.group(1) in taken:
            complaints.append(f"{path}: has the number of {taken[number.group(1)]}")
        else:
            taken[number.group(1)] = path
    return complaints


def broken_links(root, path):
    complaints = []
    text = re.sub(r"^```.*?^```", "", tree.read(root, path), flags=re.S | re.M)
    for groups in LINK.findall(text):
        target = next(g for g in groups if g).split("#")[0]
        if not target or re.match(r"[a-z]+:", target):
            continue
        if not os.path.exists(os.path.join(root, os.path.dirname(path), target)):
            complaints.append(f"{path}: link to {target}, which is not there")
    return complaints


CHECKS = {check.__name__: check for check in (sizes, words, licence, tests, docs)}
