# SPDX-License-Identifier: Apache-2.0
"""A small disk for a node's data folder: a tmpfs that can be filled, freed and grown."""

import json
import os
import subprocess
from pathlib import Path

from plugin_raw import read_journal


class SmallDisk:
    """Mounted at folder by the constructor. Needs root."""

    def __init__(self, folder: Path, size_kib: int):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._run("mount", "-t", "tmpfs", "-o", f"size={size_kib}k,mode=0755", "tombolo-test", str(self.folder))

    @staticmethod
    def _run(*command: str) -> None:
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")

    def free_bytes(self) -> int:
        found = os.statvfs(self.folder)
        return found.f_bavail * found.f_frsize

    def fill(self, leave_bytes: int = 0) -> None:
        """Somebody else takes all but leave_bytes."""
        with open(self.folder / "somebody-else", "ab") as out:
            while (size := self.free_bytes() - leave_bytes) > 0:
                try:
                    os.posix_fallocate(out.fileno(), os.fstat(out.fileno()).st_size, size)
                except OSError:
                    pass  # the node wrote something in between

    def clear(self) -> None:
        (self.folder / "somebody-else").unlink()

    def grow(self, size_kib: int) -> None:
        self._run("mount", "-o", f"remount,size={size_kib}k", str(self.folder))

    def unmount(self) -> None:
        subprocess.run(["umount", "-l", str(self.folder)], capture_output=True)


def entries(root, node: str = "") -> list:
    """What the ledger in a journal says was lost: at this node, or at the node below called node."""
    found = []
    for record in read_journal(root, "loss"):
        topic = f"{node}/tombolo/loss" if node else "tombolo/loss"
        if record["topic"] == topic:
            found.append(json.loads(record["payload"]))
    return found


def lost(found: list, reason: str = "", stream: str = "default") -> int:
    return sum(entry["count"] for entry in found
               if entry["stream"] == stream and reason in ("", entry["reason"]))
