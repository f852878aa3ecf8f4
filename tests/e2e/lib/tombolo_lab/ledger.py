# SPDX-License-Identifier: Apache-2.0
"""The ledger: publishers write in what they sent and what was acked, subscribers what arrived.

A message is known by (publisher, number), both of which are in its payload; nothing here asks a broker, the
plugin or tombolo-syncd for a figure. Threads: any; one lock.
"""

import math
import threading
import time
from dataclasses import dataclass, field

from .judge import Judge, Verdict, total

CHECKPOINT_SLACK_S = 4.0  # a message takes its way to the subscriber, its ack back, a checkpoint to the disk; any may pause


def written_at(file) -> float:
    """When it was written, in Unix seconds; 0 when it was not written yet. While the next is put in its place, it is away
    for a moment: then the one before counts, for a broker that is killed there as well."""
    for path in (file, file.with_name(file.name + ".old")):
        try:
            return path.stat().st_mtime
        except FileNotFoundError:
            continue
    return 0.0


def checkpoint_age_s(checkpoint_files) -> float:
    """How long ago the older of these was written."""
    return time.time() - min(written_at(file) for file in checkpoint_files)


@dataclass
class Account:
    """One publisher."""
    name: str
    site: str
    is_numbered: bool
    judge: Judge
    sent_at: list = field(default_factory=list)      # [number - 1] -> time
    acked: dict = field(default_factory=dict)        # number -> time
    in_doubt: dict = field(default_factory=dict)     # number -> how often
    refused: list = field(default_factory=list)      # numbers the broker said no to
    waiting: dict = field(default_factory=dict)      # acked, not arrived: number -> time sent; oldest first
    payload_bytes: int = 0
    arrivals: int = 0
    first_arrivals: int = 0
    longest_wait_s: float = 0.0
    last_arrival: float = 0.0
    arrived_at: dict = field(default_factory=dict)   # number -> time of its last arrival

    def verdict(self) -> Verdict:
        return self.judge.verdict(len(self.sent_at), self.acked, self.in_doubt)


class Ledger:
    def __init__(self):
        self._lock = threading.Lock()
        self.accounts = {}
        self.epoch = 0      # how often the subscriber's broker was killed
        self._is_killed = False
        self._killed_at = 0.0
        self._up_at = 0.0
        self._settled_at = 0.0     # what had arrived before must not come again
        self._is_caught_up = True  # what the subscriber's broker had queued for it before has arrived
        self.strangers = 0  # arrivals of publishers that the ledger does not know

    def open(self, name: str, site: str, is_numbered: bool = False) -> Account:
        with self._lock:
            assert name not in self.accounts, name
            account = Account(name, site, is_numbered, Judge(is_numbered))
            self.accounts[name] = account
            return account

    # What a publisher tells.

    def sent(self, account: Account) -> int:
        with self._lock:
            account.sent_at.append(time.monotonic())
            return len(account.sent_at)

    def acked(self, account: Account, number: int) -> None:
        with self._lock:
            account.acked[number] = time.monotonic()
            if number not in account.judge.first_epoch:
                account.waiting[number] = account.sent_at[number - 1]

    def refused(self, account: Account, number: int) -> None:
        with self._lock:
            account.refused.append(number)

    def doubted(self, account: Account, numbers) -> None:
        with self._lock:
            for number in numbers:
                account.in_doubt[number] = account.in_doubt.get(number, 0) + 1

    # What a subscriber tells.

    def arrived(self, name: str, number: int) -> None:
        now = time.monotonic()
        with self._lock:
            account = self.accounts.get(name)
            if account is None:
                self.strangers += 1
                return
            account.arrivals += 1
            is_known = 1 <= number <= len(account.sent_at)
            sent_at = account.sent_at[number - 1] if is_known else now
            is_settled = account.arrived_at.get(number, now) < self._settled_at
            account.arrived_at[number] = now
            self._is_caught_up |= is_known and sent_at > self._up_at
            if account.judge.arrived(number, self.epoch, sent_at < self._killed_at, is_settled) and is_known:
                account.first_arrivals += 1
                account.last_arrival = now
                account.longest_wait_s = max(account.longest_wait_s, now - sent_at)
                account.waiting.pop(number, None)

    def subscriber_broker_killed(self, checkpoint_files=()) -> None:
        """To be told before the kill: from the subscriber's next connection on, what it had may come again;
        with checkpoint_files, the broker's, only what had arrived since shortly before the older was written."""
        settled_at = 0.0
        if checkpoint_files:
            settled_at = time.monotonic() - checkpoint_age_s(checkpoint_files) - CHECKPOINT_SLACK_S
        with self._lock:
            # Killed again with the queue of before not emptied: what is in it arrived last before both kills.
            self._settled_at = settled_at if self._is_caught_up else min(settled_at, self._settled_at)
            self._is_caught_up = False
            self._is_killed = True
            self._killed_at = time.monotonic()
            self._up_at = math.inf

    def subscriber_is_up(self) -> None:
        with self._lock:
            self.epoch += self._is_killed
            self._up_at = time.monotonic()
            self._is_killed = False

    # What everybody may ask.

    def waiting(self, site: str = "") -> tuple:
        """(how many are acked and have not arrived, how many seconds ago the oldest of them was sent)"""
        now = time.monotonic()
        count, oldest_s = 0, 0.0
        with self._lock:
            for account in self._of(site):
                if account.waiting:
                    count += len(account.waiting)
                    oldest_s = max(oldest_s, now - next(iter(account.waiting.values())))
        return count, oldest_s

    def counts(self, site: str = "") -> tuple:
        """(published, acked, delivered)"""
        with self._lock:
            accounts = self._of(site)
            return (sum(len(account.sent_at) for account in accounts),
                    sum(len(account.acked) for account in accounts),
                    sum(account.first_arrivals for account in accounts))

    def has_waiting_since(self, when: float, site: str = "") -> bool:
        """Whether something that was sent before `when` and acked has not arrived."""
        with self._lock:
            return any(next(iter(account.waiting.values()), when) < when for account in self._of(site))

    def longest_wait_s(self, site: str = "") -> float:
        with self._lock:
            return max((account.longest_wait_s for account in self._of(site)), default=0.0)

    def verdict(self, site: str = "") -> Verdict:
        with self._lock:
            return total(account.verdict() for account in self._of(site))

    def evidence(self) -> str:
        """What is wrong, publisher by publisher; empty when nothing is."""
        lines = []
        with self._lock:
            for account in self.accounts.values():
                text = account.judge.evidence(len(account.sent_at), account.acked, account.in_doubt)
                if text:
                    lines.append(f"{account.name}: {text}")
                if account.refused:
                    lines.append(f"{account.name}: refused {account.refused[:10]}")
        if self.strangers:
            lines.append(f"{self.strangers} messages of unknown publishers")
        return "\n".join(lines)

    def _of(self, site: str) -> list:
        return [account for account in self.accounts.values() if not site or account.site == site]
