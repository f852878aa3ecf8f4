# SPDX-License-Identifier: Apache-2.0
"""Disks that are small: one in memory that can grow while it is used (tmpfs), one of ext4 that breaks down.

OSError when this machine does not let us mount: small_disk() skips the test then, and says so.
"""

import os
import subprocess
import time
import unittest
from pathlib import Path


def run(*command) -> None:
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          check=False)
    if done.returncode != 0:
        raise OSError(f"{command[0]}: {done.stderr.strip() or done.returncode}")


class SmallDisk:
    """kind: tmpfs, or ext4 in the file image. Mounted when made."""

    def __init__(self, at: Path, kind: str = "tmpfs", size: int = 4 << 20, image: Path = None):
        self.at, self.kind, self.size, self.image = Path(at), kind, size, image
        self.at.mkdir(parents=True, exist_ok=True)
        if kind == "ext4":
            with open(image, "wb") as file:
                file.truncate(size)
            run("mkfs.ext4", "-q", "-F", "-m", "0", image)
        self.mount()

    def mount(self) -> None:
        if self.kind == "ext4":
            run("mount", "-o", "loop", self.image, self.at)
        else:
            run("mount", "-t", "tmpfs", "-o", f"size={self.size}", "tmpfs", self.at)

    def grow(self, size: int) -> None:
        """tmpfs alone; whoever uses it need not know."""
        run("mount", "-o", f"remount,size={size}", self.at)

    def break_down(self) -> None:
        """ext4 alone: it meets an error of its own and turns read-only, under everybody who writes to it."""
        try:
            run("mount", "-o", "remount,abort", self.at)
        except OSError:
            pass  # some kernels do it and say that they could not
        try:
            (self.at / "probe").write_bytes(b"x")
        except OSError:
            return
        raise AssertionError("the disk was to turn read-only, and a file could be made")

    def mend(self) -> None:
        """Nobody may have a file open on it."""
        self.unmount()
        self.mount()

    def free(self) -> int:
        told = os.statvfs(self.at)
        return told.f_bavail * told.f_frsize

    @property
    def stranger(self) -> Path:
        return self.at / "stranger"

    def fill(self, leave: int = 0) -> None:
        """A stranger's file takes the last byte, or all but a few pages more than leave bytes."""
        with open(self.stranger, "ab", buffering=0) as out:
            for size in (1 << 16, 4096) if leave else (1 << 16, 4096, 512, 1):
                try:
                    while not leave or self.free() >= leave + size:
                        out.write(bytes(size))
                except OSError:
                    continue

    def clear(self) -> None:
        self.stranger.unlink()

    def unmount(self) -> None:
        end = time.monotonic() + 30
        while True:
            try:
                run("umount", self.at)
                return
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.02)

    def close(self) -> None:
        """Also while somebody has files open on it: it goes with the last of them."""
        if os.path.ismount(self.at):
            run("umount", "-l", self.at)


def small_disk(test: unittest.TestCase, *args, **options) -> SmallDisk:
    """Unmounted when the test has ended."""
    try:
        disk = SmallDisk(*args, **options)
    except OSError as error:
        raise unittest.SkipTest(f"no disk can be mounted here: {error}") from error
    test.addCleanup(disk.close)
    return disk
