# SPDX-License-Identifier: Apache-2.0
"""The test's side of failing.so: a disk whose Nth call fails. The layout is in failing.h.

    disk = Disk(folder, [data, persistence])
    daemon.env = disk.env()
    disk.arm(("write",), at=3, error=errno.EIO)      # may be said again while the process runs
    ...
    disk.disarm(); disk.fired

fired counts what really failed: a test that does not look at it proves nothing.
"""

import errno
import mmap
import os
import struct
from pathlib import Path

OPS = ("write", "sync", "rename", "open", "truncate", "link", "unlink", "mkdir", "read", "memory")
_MAGIC = 0x4c494146
_HEAD = struct.Struct("<IIiIIIIIII")
_FOLDERS_MAX, _PATH_BYTES = 4, 256
_CALLS_AT = _HEAD.size
_LAST_AT = _CALLS_AT + 4 * len(OPS)
_FOLDERS_AT = _LAST_AT + _PATH_BYTES
_BYTES = _FOLDERS_AT + _FOLDERS_MAX * _PATH_BYTES
_SEEN_AT, _FIRED_AT = 32, 36


def built(name: str) -> Path:
    found = Path(os.environ.get("TMB_BUILD", "")) / "tests/fault" / name
    if not found.exists():
        raise FileNotFoundError(f"{found} is not there: build first, and set TMB_BUILD to the build folder")
    return found


class Disk:
    def __init__(self, folder: Path, watched):
        self.file = Path(folder) / "failing"
        self.file.write_bytes(bytes(_BYTES))
        with open(self.file, "r+b") as file:
            self._map = mmap.mmap(file.fileno(), _BYTES)
        assert len(watched) <= _FOLDERS_MAX
        for number, path in enumerate(watched):
            text = str(path).encode()
            assert len(text) < _PATH_BYTES, path
            at = _FOLDERS_AT + number * _PATH_BYTES
            self._map[at:at + len(text)] = text
        self.disarm()

    def env(self, library: str = "failing.so") -> dict:
        return {"LD_PRELOAD": str(built(library)), "TMB_FAILING": str(self.file)}

    def arm(self, ops, at: int = 1, *, error: int = errno.EIO, count: int = 0, half: bool = False,
            delay_ms: int = 0, drop: bool = False) -> None:
        """From the call number at on (of these kinds, counted from now), count of them fail; 0: all."""
        mask = sum(1 << OPS.index(op) for op in ops)
        _HEAD.pack_into(self._map, 0, _MAGIC, 0, error, at, count, half, delay_ms, drop, 0, 0)
        struct.pack_into("<I", self._map, 4, mask)

    def disarm(self) -> None:
        """The counters stay as they are until the next arm."""
        seen, fired = self.seen, self.fired
        _HEAD.pack_into(self._map, 0, _MAGIC, 0, errno.EIO, 1, 0, 0, 0, 0, seen, fired)

    @property
    def seen(self) -> int:
        return struct.unpack_from("<I", self._map, _SEEN_AT)[0]

    @property
    def fired(self) -> int:
        return struct.unpack_from("<I", self._map, _FIRED_AT)[0]

    @property
    def last(self) -> str:
        """What the last call that failed was about."""
        return self._map[_LAST_AT:_LAST_AT + _PATH_BYTES].split(b"\0", 1)[0].decode(errors="replace")

    def calls(self) -> dict:
        """All calls since the beginning, by kind, whether armed or not."""
        return dict(zip(OPS, struct.unpack_from(f"<{len(OPS)}I", self._map, _CALLS_AT)))

    def close(self) -> None:
        self._map.close()
