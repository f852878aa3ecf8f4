# SPDX-License-Identifier: Apache-2.0
"""A hub and a site with something on its way between them, to be put back to that moment again and again.

The ledger is what the site's clients were told is stored; the witness is the hub's log, in which each message must be,
once. Some messages are there already, some wait at the site: the link was cut when they were published.
"""

import itertools
import json
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import damage
from one_node import Raw
from tombolo_lab import Lab, journal
from tombolo_lab.net import wait_until
from tombolo_lab.node import Settings


class TwoNodes:
    def __init__(self, folder: Path, carried: int = 40, waiting: int = 30):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True)
        self.kept = self.folder / "kept"
        self.lab = Lab(str(self.folder / "lab"))
        settings = Settings(checkpoint_interval="1s", ack_timeout="1s", backoff_base="30ms", backoff_cap="300ms",
                            batch_bytes="4KiB")
        self.hub = self.lab.node("hub", has_children=True, settings=settings)
        self.s1 = self.lab.node("s1", parent=self.hub, settings=settings)
        self.nodes = {"hub": self.hub, "s1": self.s1}
        self.acked, self._numbers = [], itertools.count()
        self.ends = Counter()  # daemons that ended by themselves, by exit code
        self._make(carried, waiting)

    def _make(self, carried: int, waiting: int) -> None:
        self.lab.start()
        self.publish(carried)
        wait_until(lambda: len(self.payloads_at_hub()) == carried, 30, lambda: f"the first messages\n{self.lab.logs()}")
        for node in self.nodes.values():  # a boot more: what the store has is not all in its newest file
            node.syncd.stop()
            node.syncd.start()
        self.publish(1)
        wait_until(lambda: len(self.payloads_at_hub()) == carried + 1, 30, "one more message")
        self.s1.link.cut()
        self.publish(waiting)
        self.stop()
        self.kept.mkdir()
        for name, node in self.nodes.items():
            damage.copy(node.folder, self.kept / name)
        self.was_acked = list(self.acked)

    def put_back(self) -> None:
        """Files and ledger as they were; nothing runs."""
        self.acked = list(self.was_acked)
        self.ends.clear()
        for name, node in self.nodes.items():
            shutil.rmtree(node.folder)
            damage.copy(self.kept / name, node.folder)
        self.s1.link.heal()

    def publish(self, count: int) -> None:
        client = Raw(self.s1.broker.port, "pub", 5)
        for _ in range(count):
            payload = b"m%06d" % next(self._numbers) + b"." * 300
            if client.publish("t/a", payload) < 0x80:
                self.acked.append(payload)
        client.close()

    def payloads_at_hub(self) -> list:
        """In order; what is damaged in the hub's log is left out (the command's exit status is then 1)."""
        done = subprocess.run([self.lab.built.journal, "dump", "-o", "json", str(self.hub.data)], capture_output=True,
                              text=True, timeout=60, check=False)
        records = [json.loads(line) for line in done.stdout.splitlines() if line.strip()]
        return [journal.payload_of(record) for record in records if "gap" not in record and record["stream"] != "loss"]

    def keep_up(self) -> None:
        """As a service manager does it: a daemon that has ended is started again."""
        for node in self.nodes.values():
            if not node.syncd.is_alive():
                self.ends[node.syncd.stop()] += 1
                node.syncd.start()

    def wait_for_all(self, excused=frozenset(), timeout_s: float = 30) -> str:
        """Until the hub has everything that was acked and is not excused; gives what is missing."""
        wanted = set(self.acked) - set(excused)

        def is_there() -> bool:
            self.keep_up()
            return wanted <= set(self.payloads_at_hub())

        try:
            wait_until(is_there, timeout_s, "", 0.05)
            return ""
        except TimeoutError:
            missing = sorted(payload[:7] for payload in wanted - set(self.payloads_at_hub()))
            return f"not at the hub after {timeout_s:g} s: {missing}"

    def complaints(self) -> list:
        found, times = [], Counter(self.payloads_at_hub())
        twice = [payload[:7] for payload, count in times.items() if count > 1]
        if twice:
            found.append(f"twice in the hub's log: {twice}")
        strange = [payload[:20] for payload in times if payload not in set(self.acked)]
        if strange:
            found.append(f"in the hub's log and never acked: {strange}")
        return found

    def stop(self) -> None:
        for node in reversed(list(self.nodes.values())):
            node.stop()

    def close(self) -> None:
        self.lab.close()
