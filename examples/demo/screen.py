# SPDX-License-Identifier: Apache-2.0
"""What the demo shows: a line a site in place on a terminal, a short line each two seconds elsewhere; events as
they happen; the table at the end."""

import os
import shutil
import sys
import time
from dataclasses import dataclass

COLUMNS = ("site", "published", "acked", "at hub", "lost", "duplicated", "resent", "out of order",
           "longest wait", "catch-up")


@dataclass
class Row:
    """One site, live."""
    site: str
    published: int
    acked: int
    delivered: int
    waiting: int
    oldest_s: float
    state: str


def seconds(value: float) -> str:
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"


class Screen:
    def __init__(self, stream=None):
        self._stream = stream or sys.stdout
        self._is_tty = self._stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self._has_colour = self._is_tty and not os.environ.get("NO_COLOR")
        self._start = time.monotonic()
        self._drawn = 0
        self._last_line = 0.0
        self._has_told = False

    def begin(self) -> None:
        self._start = time.monotonic()

    def _paint(self, code: str, text: str) -> str:
        return f"\033[{code}m{text}\033[0m" if self._has_colour else text

    def bold(self, text: str) -> str:
        return self._paint("1", text)

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()

    def say(self, text: str = "") -> None:
        """A line that stays."""
        self._erase()
        self._write(text + "\n")

    def event(self, text: str, kind: str = "") -> None:
        """Something happened now. kind: "bad", "good"."""
        code = {"bad": "31", "good": "32"}.get(kind, "36")
        self.say(f"{time.monotonic() - self._start:5.1f} s  {self._paint(code, text)}")

    def _erase(self) -> None:
        if self._drawn:
            self._write(f"\033[{self._drawn}A\033[J")
            self._drawn = 0

    def live(self, rows: list) -> None:
        now = time.monotonic()
        if self._is_tty:
            width = shutil.get_terminal_size().columns
            lines = [f"         {'':9}{'published':>10}{'acked':>10}{'at hub':>10}{'waiting':>9}  oldest"]
            for row in rows:
                oldest = seconds(row.oldest_s) if row.waiting else "-"
                lines.append(f"         {row.site:9}{row.published:>10,}{row.acked:>10,}{row.delivered:>10,}"
                             f"{row.waiting:>9,}  {oldest:8} {row.state}")
            up = f"\033[{self._drawn}A\033[J" if self._drawn else ""
            self._write(up + "".join(line[:width - 1] + "\n" for line in lines))
            self._drawn = len(lines)
        elif now - self._last_line >= 4:
            self._last_line = now
            if not self._has_told:
                self._has_told = True
                self._write(f"         {'':9}{'published':>10}{'acked':>10}{'at hub':>10}{'waiting':>9}  oldest\n")
            for row in rows:
                oldest = seconds(row.oldest_s) if row.waiting else "-"
                self._write(f"{now - self._start:5.1f} s  {row.site:9}{row.published:>10,}{row.acked:>10,}"
                            f"{row.delivered:>10,}{row.waiting:>9,}  {oldest}\n")

    def table(self, rows: list) -> None:
        """rows: (site, Verdict, longest wait in s, catch-up in s or None); the last one is all."""
        cells = [COLUMNS]
        for site, verdict, longest_s, catch_up_s in rows:
            cells.append((site, f"{verdict.published:,}", f"{verdict.acked:,}", f"{verdict.delivered:,}",
                          f"{verdict.lost:,}", f"{verdict.duplicated:,}", f"{verdict.resent:,}",
                          f"{verdict.reordered:,}", seconds(longest_s),
                          "-" if catch_up_s is None else seconds(catch_up_s)))
        widths = [max(len(row[column]) for row in cells) for column in range(len(COLUMNS))]
        for number, row in enumerate(cells):
            line = "  ".join([row[0].ljust(widths[0])] +
                             [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])])
            if number in (1, len(cells) - 1):
                self.say("-" * len(line))
            self.say(self.bold(line) if number in (0, len(cells) - 1) else line)
