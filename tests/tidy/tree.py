# SPDX-License-Identifier: Apache-2.0
"""The files of the tree, and enough of C's grammar to find functions in them.

A checker sees the files that git knows or would add, or, in a tree without git, all but build folders.
"""
import os
import re
import subprocess

SKIPPED_FOLDERS = {".git", ".demo", "__pycache__", "node_modules"}


def files(root):
    """Paths of all text files, relative to root, sorted."""
    found = listed_by_git(root)
    if found is None:
        found = walked(root)
    return sorted(p for p in found if is_text(os.path.join(root, p)))


def listed_by_git(root):
    if not os.path.exists(os.path.join(root, ".git")):
        return None
    command = ["git", "-C", root, "-c", "safe.directory=*", "ls-files", "-z",
               "--cached", "--others", "--exclude-standard"]
    try:
        out = subprocess.run(command, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return [p for p in out.decode().split("\0") if p]


def walked(root):
    found = []
    for folder, names, leaves in os.walk(root):
        names[:] = [n for n in names if n not in SKIPPED_FOLDERS and not n.startswith("build")]
        found += [os.path.relpath(os.path.join(folder, leaf), root) for leaf in leaves]
    return found


def is_text(path):
    if os.path.islink(path) or not os.path.isfile(path):
        return False
    with open(path, "rb") as file:
        return b"\0" not in file.read(4096)


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8", errors="replace") as file:
        return file.read()


def kind(root, path):
    """'c', 'h', 'python', 'shell', 'js', 'cmake', 'proto' or ''."""
    base = os.path.basename(path)
    if base == "CMakeLists.txt" or base.endswith(".cmake"):
        return "cmake"
    by_end = {".c": "c", ".h": "h", ".py": "python", ".sh": "shell", ".js": "js", ".mjs": "js",
              ".cjs": "js", ".proto": "proto"}
    end = os.path.splitext(base)[1]
    if end in by_end:
        return by_end[end]
    if end == "":
        first = read(root, path).split("\n", 1)[0]
        if first.startswith("#!"):
            for name, word in (("python", "python"), ("shell", "sh"), ("js", "node")):
                if word in first:
                    return name
    return ""


BLANK = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def without_comments(text):
    """C text with comments and the insides of strings blanked; places stay where they were."""
    def blank(match):
        piece = match.group(0)
        if piece[0] in "\"'":
            return piece[0] + " " * (len(piece) - 2) + piece[0]
        return re.sub(r"[^\n]", " ", piece)
    return BLANK.sub(blank, text)


def bare_code(text):
    """without_comments, and without preprocessor lines."""
    text = without_comments(text)
    return re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", lambda m: re.sub(r"[^\n]", " ", m.group(0)),
                  text, flags=re.M)


FUNCTION_HEAD = re.compile(r"([A-Za-z_]\w*)\s*\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)\s*"
                           r"(?:__attribute__\s*\(\(.*\)\)\s*)?$", re.S)
LINKAGE = re.compile(r'extern\s*"[^"]*"\s*$')


def c_functions(text):
    """[(name, first line, last line, body)] of every function defined in text."""
    code = bare_code(text)
    found, depth, head_from, start = [], 0, 0, None
    for match in re.finditer(r"[{};]", code):
        at, mark = match.start(), match.group(0)
        if mark == "{":
            head = code[head_from:at]
            if depth == 0 and LINKAGE.search(head):
                head_from = at + 1
                continue
            if depth == 0:
                name = FUNCTION_HEAD.search(head)
                is_function = name and "=" not in head.split(name.group(0))[0]
                first = head_from + len(head) - len(head.lstrip())
                start = (name.group(1), first, at) if is_function else None
            depth += 1
        elif mark == "}":
            depth = max(0, depth - 1)
            if depth == 0:
                if start:
                    name, first, body = start
                    found.append((name, code.count("\n", 0, first) + 1,
                                  code.count("\n", 0, at) + 1, code[body:at + 1]))
                start, head_from = None, at + 1
        elif depth == 0:
            head_from = at + 1
    return found
