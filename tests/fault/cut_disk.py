# SPDX-License-Identifier: Apache-2.0
"""A disk whose power can be cut: ext4 in an image file, on a loop device, shut down as it runs.

EXT4_IOC_SHUTDOWN with "no log flush" leaves on the image what had been written to it and nothing else: dirty pages
and the journal's open transaction are gone. Mounting it again recovers the file system's own journal. The cut is at
the level of the file system: no torn sectors, and nothing that a disk's cache reorders.

What the method itself gets wrong (Control measures it, fault.power_cut prints it): an fdatasync that is under way in
the moment of the shutdown may return success though nothing was written. So an ack counts when it was *read* before
the shutdown was called; then its sync had returned before too.
"""

import fcntl
import os
import struct
import subprocess
import sys
import time
from pathlib import Path

from tombolo_lab.net import wait_until

SHUTDOWN = 2 << 30 | 4 << 16 | ord("X") << 8 | 125  # _IOR('X', 125, __u32)
NO_LOG_FLUSH = struct.pack("I", 2)
RECORD_BYTES = 150


def run(*command) -> None:
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise OSError(f"{command[0]}: {done.stderr.strip() or done.returncode}")


class CutDisk:
    """Mounted when made; OSError when this machine does not let us."""

    def __init__(self, image: Path, at: Path, size: int = 512 << 20):
        self.image, self.at, self.cuts, self.is_mounted = Path(image), Path(at), 0, False
        self.at.mkdir(parents=True, exist_ok=True)
        with open(self.image, "wb") as file:
            file.truncate(size)
        run("mkfs.ext4", "-q", "-F", self.image)
        self._mount()

    def _mount(self) -> None:
        run("mount", "-o", "loop", self.image, self.at)
        self.is_mounted = True

    def cut(self) -> None:
        """From here on nothing reaches the image; checked."""
        folder = os.open(self.at, os.O_RDONLY)
        try:
            fcntl.ioctl(folder, SHUTDOWN, NO_LOG_FLUSH)
        finally:
            os.close(folder)
        try:
            (self.at / "probe").write_bytes(b"x")
            raise AssertionError("the power was cut, and a file could be made")
        except OSError:
            self.cuts += 1

    def mend(self) -> None:
        """The power is back: everybody who had files open there must be gone."""
        self._unmount()
        self._mount()

    def _unmount(self) -> None:
        end = time.monotonic() + 30
        while True:
            try:
                run("umount", self.at)
                self.is_mounted = False
                return
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.02)

    def close(self) -> None:
        if self.is_mounted:
            self._unmount()
        self.image.unlink(missing_ok=True)


def stop(pid: int) -> None:
    """SIGSTOP, and waits until no thread is in the kernel any more: so no sync is under way."""
    os.kill(pid, 19)

    def is_stopped():
        states = []
        for task in Path(f"/proc/{pid}/task").iterdir():
            try:
                states.append((task / "stat").read_text().rpartition(")")[2].split()[0])
            except (FileNotFoundError, ProcessLookupError):
                return False  # a thread has just ended
        return all(state in "Tt" for state in states)
    wait_until(is_stopped, 20, f"process {pid} to stand still", 0.001)


_WRITER = f"""\
import os, sys
file = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
for number in range(1, 100000000):
    os.write(file, b"%08d" % number + b"x" * {RECORD_BYTES - 8})
    if sys.argv[2] == "sync":
        os.fdatasync(file)
    os.write(1, b"%08d" % number)
"""


class Control:
    """A writer of one file that does nothing but write, sync and say so: what it loses, the method loses."""

    def __init__(self, disk: CutDisk, name: str, syncs: bool = True):
        self.file, self.acked, self._rest = disk.at / name, 0, b""
        self._child = subprocess.Popen([sys.executable, "-c", _WRITER, self.file, "sync" if syncs else "no"],
                                       stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        os.set_blocking(self._child.stdout.fileno(), False)

    @property
    def pid(self) -> int:
        return self._child.pid

    def read(self) -> int:
        """The acks so far."""
        while True:
            try:
                data = os.read(self._child.stdout.fileno(), 1 << 16)
            except BlockingIOError:
                return self.acked
            if not data:
                return self.acked
            data = self._rest + data
            whole = len(data) // 8 * 8
            self._rest = data[whole:]
            if whole:
                self.acked = int(data[whole - 8:whole])

    def end(self) -> None:
        self._child.kill()
        self._child.wait()
        self._child.stdout.close()

    def kept(self) -> int:
        """How many of its records are there, from the first on."""
        data = self.file.read_bytes() if self.file.exists() else b""
        count = 0
        while data[count * RECORD_BYTES:count * RECORD_BYTES + 8] == b"%08d" % (count + 1) and \
                len(data) >= (count + 1) * RECORD_BYTES:
            count += 1
        return count
