# SPDX-License-Identifier: Apache-2.0
"""Where this machine stood still by itself. Who says that something must come within two seconds cannot have it from a
machine that does nothing for so long: a thread that wants next to nothing, a turn each 50 ms and now and then a byte
on the disk, tells when it did not get it."""

import os
import threading
import time
from pathlib import Path

TURN_S = 0.05
TURNS_A_SYNC = 4
SLOW_S = 0.25


class Stalls(threading.Thread):
    """folder: on the disk that counts. Started when made."""

    def __init__(self, folder: Path):
        super().__init__(name="stalls", daemon=True)
        self._file = os.open(Path(folder) / "stalls", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._halt = threading.Event()
        self._seen, self._turn_at = [], time.monotonic()
        self.start()

    def halt(self) -> None:
        self._halt.set()
        self.join(10)
        os.close(self._file)

    def run(self) -> None:
        turns = 0
        while not self._halt.wait(TURN_S):
            turns += 1
            if turns % TURNS_A_SYNC == 0:
                os.pwrite(self._file, b"x", 0)
                os.fdatasync(self._file)
            now = time.monotonic()
            if now - self._turn_at > SLOW_S:
                self._seen.append((self._turn_at, now))
            self._turn_at = now

    def within(self, begin: float, end: float) -> float:
        """For how many seconds of these (time.monotonic()) it stood still."""
        seen, now = list(self._seen), time.monotonic()
        if now - self._turn_at > SLOW_S:
            seen.append((self._turn_at, now))
        return sum(max(0.0, min(end, until) - max(begin, since)) for since, until in seen)

    def __str__(self):
        return f"this machine stood still {len(self._seen)} times, {sum(b - a for a, b in self._seen):.1f} s in all"
