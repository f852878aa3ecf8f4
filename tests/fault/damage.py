# SPDX-License-Identifier: Apache-2.0
"""Bytes that go bad on a disk: a bit that turns over, an end that is missing. The file's times stay, as they do when
it is the disk that does it."""

import os
import struct
import subprocess
from pathlib import Path

SEGMENT_HEADER_BYTES = 192


def flip(path: Path, at: int, bit: int) -> None:
    told = os.stat(path)
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1 << bit]))
    os.utime(path, ns=(told.st_atime_ns, told.st_mtime_ns))


def cut(path: Path, length: int) -> None:
    told = os.stat(path)
    os.truncate(path, length)
    os.utime(path, ns=(told.st_atime_ns, told.st_mtime_ns))


def copy(source: Path, target: Path) -> None:
    """With links and times as they are."""
    subprocess.run(["cp", "-a", "--", str(source), str(target)], check=True)


def files_below(folder: Path) -> list:
    """All files that have bytes in them, by their place below folder; one with two names once."""
    seen, found = set(), []
    for path in sorted(Path(folder).rglob("*")):
        told = path.lstat()
        if path.is_file() and told.st_size > 0 and told.st_ino not in seen:
            seen.add(told.st_ino)
            found.append(path.relative_to(folder))
    return found


def records_of(segment: Path) -> list:
    """(where it begins, where it ends, its bytes) of each record of a good segment."""
    data, at, found = segment.read_bytes(), SEGMENT_HEADER_BYTES, []
    while at + 12 <= len(data):
        marker, size = struct.unpack_from("<4sI", data, at)
        if marker != b"TMBR":
            break
        found.append((at, at + 12 + size, data[at + 12:at + 12 + size]))
        at += 12 + size
    return found
