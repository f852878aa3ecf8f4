# SPDX-License-Identifier: Apache-2.0
"""Where this machine stood still by itself. Who says that something must come within two seconds cannot have it from a
machine that does nothing for so long: a thread on each processor that wants next to nothing, a turn each 50 ms, tells
when it did not get it, and so does one that wants a byte on the disk now and then."""

import os
import threading
import time
from pathlib import Path

TURN_S = 0.05
SYNC_S = 0.2
SLOW_S = 0.25


class _Watch(threading.Thread):
    """cpu: where it runs; None: anywhere, and file is synced at each turn."""

    def __init__(self, halted: threading.Event, cpu: int = None, file: int = -1):
        super().__init__(name="stalls", daemon=True)
        self._halted, self._cpu, self._file = halted, cpu, file
        self._pause_s = TURN_S if file < 0 else SYNC_S
        self._so_far = [], time.monotonic()  # where it stood still, and its last turn

    def run(self) -> None:
        if self._cpu is not None:
            os.sched_setaffinity(threading.get_native_id(), {self._cpu})
        while not self._halted.wait(self._pause_s):
            if self._file >= 0:
                os.pwrite(self._file, b"x", 0)
                os.fdatasync(self._file)
            self._so_far = self.seen(), time.monotonic()

    def seen(self) -> list:
        """Since when and until when it stood still, what lasts included."""
        (seen, turn_at), now = self._so_far, time.monotonic()
        return seen + ([(turn_at, now)] if now - turn_at > self._pause_s + SLOW_S else [])


class Stalls:
    """folder: on the disk that counts. Begins when made."""

    def __init__(self, folder: Path):
        self._file = os.open(Path(folder) / "stalls", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._halted = threading.Event()
        self._watches = [_Watch(self._halted, cpu) for cpu in os.sched_getaffinity(0)]
        self._watches.append(_Watch(self._halted, file=self._file))
        for watch in self._watches:
            watch.start()

    def halt(self) -> None:
        self._halted.set()
        for watch in self._watches:
            watch.join(10)
        os.close(self._file)

    def within(self, begin: float, end: float) -> float:
        """For how many seconds of these (time.monotonic()) one of them stood still."""
        assert all(watch.is_alive() for watch in self._watches), "who watches this machine has ended"
        return max(sum(max(0.0, min(end, until) - max(begin, since)) for since, until in watch.seen())
                   for watch in self._watches)

    def __str__(self):
        told = [f"{len(watch.seen())} times, {sum(b - a for a, b in watch.seen()):.1f} s" for watch in self._watches]
        return f"stood still, by processor and the disk: {'; '.join(told)}"
