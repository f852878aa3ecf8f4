# SPDX-License-Identifier: Apache-2.0
"""One broker with the plugin, made to live through faults, and a ledger outside of it: what was acked, what was
refused. After the fault the ledger is held against two witnesses: a lasting session, which must be given everything
that was acked, and the journal's files, read without Tombolo's code."""

import os
import shutil
import signal
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "e2e"))

from plugin_lab import STATS, plugin_file  # noqa: E402  pylint: disable=wrong-import-position
from plugin_raw import Raw, number_property, read_journal  # noqa: E402  pylint: disable=wrong-import-position
from tombolo_lab import Broker  # noqa: E402  pylint: disable=wrong-import-position
from tombolo_lab.net import wait_until  # noqa: E402  pylint: disable=wrong-import-position

CONFIG = """\
node: s1
domain: lab.example
data_dir: {data}
streams:
  - name: default
    topics: ["#"]
    durability: {durability}
checkpoint:
  interval: 60s
journal:
  segment_bytes: {segment}
disk:
  reserve: {reserve}
"""
SESSION = "ear"
QUIET_S, PATIENCE_S = 0.25, 20  # with all there that was acked, and else


class OneNode:
    def __init__(self, folder: Path, durability: str = "strict", segment: str = "4KiB", data: Path = None,
                 settings: dict = None, reserve: str = "64KiB"):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.data = data or self.folder / "data"
        config = self.folder / "node.yaml"
        config.write_text(CONFIG.format(data=self.data, durability=durability, segment=segment, reserve=reserve),
                          encoding="utf-8")
        self.broker = Broker("s1", self.folder, None, plugin_file(), config, settings or {})
        self.daemon = self.broker.daemon
        self.db_file = Path((settings or {}).get("persistence_location", self.broker.persistence)) / "mosquitto.db"
        self.acked, self.refused, self.doubted = [], set(), set()
        self._client = None
        self._numbered = None

    # What it is told.

    def copy_from(self, other: "OneNode") -> None:
        """The files and the ledger of a node that is not running."""
        shutil.copytree(other.data, self.data)
        shutil.copytree(other.db_file.parent, self.db_file.parent, dirs_exist_ok=True)
        self.acked, self.refused = list(other.acked), set(other.refused)

    def connect(self, name: str, version: int = 5, **options) -> Raw:
        return Raw(self.broker.port, name, version, **options)

    def make_session(self) -> None:
        """A lasting session for everything, offline, in the broker's snapshot."""
        client = self.connect(SESSION, 4, clean=False)
        client.subscribe("t/#", 1)
        self.snapshot(client)
        client.close()

    def snapshot(self, client: Raw = None) -> None:
        """Has the broker write a snapshot and the plugin its checkpoint, or try to."""
        mine = client or self.connect("snapshot")
        mine.ping()
        os.kill(self.daemon.pid, signal.SIGUSR1)
        for _ in range(3):  # the signal is seen at the end of a round, and the tick comes after it
            mine.ping()
        if not client:
            mine.close()

    def publish(self, payload: bytes, qos: int = 1, topic: str = "t/a") -> bool:
        """Whether it was acked; all is entered in the ledger. When the broker hangs up it is in doubt."""
        is_acked = False
        try:
            self._client = self._client or self.connect("pub")
            is_acked = self._client.publish(topic, payload, qos) < 0x80
        except (ConnectionError, TimeoutError, OSError):
            self._client = _close(self._client)
            self.doubted.add(payload)
            return False
        if is_acked:
            self.acked.append(payload)
        else:
            self.refused.add(payload)
        return is_acked

    def publish_numbered(self, number: int, payload: bytes) -> bool:
        """One sending of a numbered message; refused, it is sent again by the caller under the same number."""
        try:
            self._numbered = self._numbered or self.connect("numbered")
            is_acked = self._numbered.publish("t/n", payload, props=number_property(number)) < 0x80
        except (ConnectionError, TimeoutError, OSError):
            self._numbered = _close(self._numbered)
            is_acked = False
        if is_acked:
            self.acked.append(payload)
        return is_acked

    def end(self, how: str) -> None:
        """how: stop, or kill."""
        self._client, self._numbered = _close(self._client), _close(self._numbered)
        if how == "kill":
            self.daemon.kill9()
        else:
            self.broker.stop()

    # What came of it.

    def journal(self) -> list:
        return read_journal(self.data / "journal")

    def waiting(self, wanted=None) -> list:
        """What the lasting session is given, until it is quiet; None when the broker does not know it any more. While
        something wanted is lacking (all that was acked), a moment's quiet tells nothing: the broker may stand still."""
        client = self.connect(SESSION, 4, clean=False)
        if not client.session_present:
            client.close()
            return None
        wanted, got, end = set(self.acked if wanted is None else wanted), [], time.monotonic() + PATIENCE_S
        while True:
            got += [message[1] for message in client.receive_all(QUIET_S)]
            if wanted <= set(got) or time.monotonic() > end:
                client.close()
                return got

    def tear(self) -> None:
        """The journal as a crash in the middle of a write leaves it."""
        newest = max((self.data / "journal/default").glob("*.seg"))
        with open(newest, "ab") as file:
            file.write(b"TMBR\x90\0\0")

    def complaints(self, has_session: bool = True) -> list:
        """What is wrong with a node that has come back without faults: nothing, hopefully."""
        found, heard = [], self.waiting()
        if heard is None and has_session:
            return ["the session is gone"]
        if heard is not None:
            lost = [payload[:20] for payload in self.acked if payload not in set(heard)]
            if lost:
                found.append(f"acked and not delivered: {lost}")
            unasked = [payload[:20] for payload in heard if payload in self.refused]
            if unasked:
                found.append(f"refused and delivered: {unasked}")
            sent = self.refused.union(self.acked, self.doubted)
            strange = [payload[:20] for payload in heard if payload not in sent]
            if strange:
                found.append(f"delivered and never sent: {strange}")
        records = self.journal()
        stored = Counter(record["payload"] for record in records)
        missing = [payload[:20] for payload in self.acked if not stored[payload]]
        if missing:
            found.append(f"acked and not in the journal: {missing}")
        twice = [payload[:20] for payload, times in stored.items() if times > 1]
        if twice:
            found.append(f"in the journal twice: {twice}")
        numbers = [record["seq"] for record in records]
        if numbers != sorted(set(numbers)):
            found.append(f"the numbers do not rise: {numbers}")
        return found


def _close(client: Raw) -> None:
    if client:
        client.sock.close()


def wait_ended(node: OneNode, timeout_s: float = 30) -> None:
    wait_until(lambda: not node.daemon.is_alive(), timeout_s, "the broker to end")


__all__ = ["STATS", "OneNode", "Raw", "read_journal", "wait_ended", "wait_until"]
