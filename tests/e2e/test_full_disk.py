# SPDX-License-Identifier: Apache-2.0
"""A full disk under each policy, against a count kept outside: what was published, acked, delivered and kept."""

import json
import os
import subprocess
import time
import unittest
from pathlib import Path

from full_disk import entries, lost
from plugin_lab import CONFIG, PluginTest
from tombolo_lab.asker import Asker
from tombolo_lab.net import wait_until
from tombolo_lab.small_disk import small_disk

KIB = 1024
DISK_KIB = 16 * KIB


@unittest.skipUnless(os.geteuid() == 0, "mounting a small disk needs root")
class FullDiskTest(PluginTest):
    durability = "strict"
    policy = "reject"
    more = ""

    def setUp(self):
        super().setUp()
        self.disk = small_disk(self, self.data, size=DISK_KIB * KIB)
        self.broker.start()
        self.pid = self.broker.daemon.pid
        self.ear = self.client("ear", 5)
        self.ear.subscribe("t/#", 1)

    def config(self) -> str:
        text = CONFIG.format(data=self.data, durability=self.durability, interval=self.interval,
                             records=self.records)
        text = text.replace("checkpoint:", f"    full: {self.policy}\ncheckpoint:")
        return text + "journal: { segment_bytes: 64KiB }\ndisk: { reserve: 1MiB }\n" + self.more

    def wait_state(self, name: str, value: int) -> dict:
        found = {}

        def is_so():
            found.update(self.stats())
            return found[name] == value
        wait_until(is_so, 30, lambda: f"{name} to be {value}: {found}", 0.1)
        return found

    def become_full(self) -> None:
        self.disk.fill(leave=64 * KIB)
        self.wait_state("journal_full", 1)

    def become_well(self) -> None:
        self.disk.clear()
        self.wait_state("journal_full", 0)

    @staticmethod
    def publish(client, count: int, size: int = 100, start: int = 0, tries: int = 1) -> list:
        """Payloads that were acked, of count."""
        acked = []
        for number in range(start, start + count):
            payload = (b"%d " % number).ljust(size, b".")
            for _ in range(tries):
                if client.publish("t/a", payload) < 0x80:
                    acked.append(payload)
                    break
                time.sleep(0.05)
        return acked

    def heard(self) -> list:
        """QoS 0 may overtake, so the order is not that of the publisher."""
        return sorted(message[1] for message in self.ear.receive_all(0.5))

    def log_count(self, text: str) -> int:
        return self.broker.daemon.log().count(text)

    def assert_same_broker(self) -> None:
        self.assertTrue(self.broker.daemon.is_alive())
        self.assertEqual(self.broker.daemon.pid, self.pid)


class RejectTest(FullDiskTest):
    def test_refuses_and_goes_on_by_itself(self):
        v5 = self.client("v5", 5)
        before = self.publish(v5, 50)
        reserve = self.data / "reserve"
        self.assertEqual(reserve.stat().st_size, 1024 * KIB)
        self.become_full()
        self.assertEqual(reserve.stat().st_size, 0, "the reserve was not given back")
        self.assertGreater(self.disk.free(), 512 * KIB)
        for qos in (1, 2):
            self.assertEqual(v5.publish("t/a", b"lost", qos), 0x87)
        with self.assertRaises((ConnectionError, OSError)):
            self.client("v4", 4).publish("t/a", b"lost")
        v5.publish("t/a", b"qos 0", 0)
        self.assertEqual(self.wait_state("unstored_qos0", 1)["store_failures"], 3)
        self.snapshot()  # what must be written finds room
        self.become_well()
        self.assertEqual(reserve.stat().st_size, 1024 * KIB)
        after = self.publish(v5, 50, start=50)
        self.assertEqual(len(before) + len(after), 100)
        self.assertEqual(self.heard(), sorted(before + [b"qos 0"] + after))
        self.assertEqual([record["payload"] for record in self.journal(100)], before + after)
        self.assertEqual(entries(self.data / "journal"), [], "what was refused is not lost: nobody acked it")
        self.assertEqual(self.log_count("is full ("), 1)
        self.assertEqual(self.log_count("has space again"), 1)
        self.assert_same_broker()

    def test_the_disk_is_grown(self):
        v5 = self.client("v5", 5)
        acked, refused = [], 0
        for number in range(40_000):
            payload = (b"%d " % number).ljust(4000, b".")
            if v5.publish("t/a", payload) < 0x80:
                acked.append(payload)
            else:
                refused += 1
                break
        self.assertEqual(refused, 1, "the disk did not get full")
        self.assertGreater(len(acked) * 4000, DISK_KIB * KIB * 3 // 4)
        self.wait_state("journal_full", 1)
        self.disk.grow(4 * DISK_KIB * KIB)
        self.wait_state("journal_full", 0)
        acked += self.publish(v5, 100, 4000, start=50_000)
        self.assertEqual([record["payload"] for record in self.journal(len(acked), check=False)], acked)
        self.assert_same_broker()

    def test_a_start_on_a_full_disk(self):
        self.publish(self.client("v5", 5), 10)
        self.become_full()
        self.broker.kill9()
        self.broker.start()
        self.assertEqual(self.client("again", 5).publish("t/a", b"lost"), 0x87)
        self.become_well()
        self.assertEqual(self.client("again", 5).publish("t/a", b"kept"), 16)  # kept; nobody listens now



class FailingDiskTest(PluginTest):
    """Every write fails, for another reason than a full disk: no file of the broker may grow."""

    durability = "strict"
    settings = {"log_dest": "topic"}

    def test_the_state_clears_without_a_message(self):
        self.broker.daemon.command = ["env", "--ignore-signal=XFSZ", *self.broker.daemon.command]
        self.broker.start()
        pid = self.broker.daemon.pid
        v5 = self.client("v5", 5)
        self.assertLess(v5.publish("t/a", b"before"), 0x80)
        subprocess.run(["prlimit", f"--pid={pid}", "--fsize=0:"], check=True)
        self.assertEqual(v5.publish("t/a", b"lost"), 0x87)
        v5.publish("t/a", b"qos 0", 0)
        self.assertEqual(self.wait_stat("streams_failing", 1)["journal_full"], 0)
        subprocess.run(["prlimit", f"--pid={pid}", "--fsize=unlimited:"], check=True)
        wait_until(lambda: self.stats()["streams_failing"] == 0, 30, "the stream to be written again", 0.1)
        self.assertEqual([record["payload"] for record in self.journal(1)], [b"before"])
        self.assertLess(v5.publish("t/a", b"after"), 0x80)
        self.assertEqual([record["payload"] for record in self.journal(2)], [b"before", b"after"])
        self.assertEqual(self.broker.daemon.pid, pid)


class DropNewestTest(FullDiskTest):
    policy = "drop-newest"

    def test_acks_and_delivers_and_tells_what_was_not_stored(self):
        v5 = self.client("v5", 5)
        before = self.publish(v5, 100)
        self.become_full()
        began = time.monotonic()
        shed = self.publish(v5, 500, start=100)
        took_s = time.monotonic() - began
        self.assertEqual(len(shed), 500)
        self.become_well()
        after = self.publish(v5, 100, start=600)
        wait_until(lambda: lost(entries(self.data / "journal")) >= 500, 30, "the ledger to have it all")
        found = entries(self.data / "journal")
        self.assertEqual(self.heard(), sorted(before + shed + after))
        records = self.journal(200)
        self.assertEqual([record["payload"] for record in records], before + after)
        self.assertEqual(lost(found, "full-newest"), 500)
        self.assertEqual(lost(found), 500)
        self.assertEqual((found[0]["first"], found[-1]["last"]), (101, 600))
        self.assertLess(len(found), took_s + 4, "an entry a second at most")
        self.assertEqual(found[0]["node"], "hub")
        self.assertEqual(sum(entry["bytes"] for entry in found), sum(len(p) + len("t/a") for p in shed))
        self.assertEqual([record["seq"] for record in records], list(range(1, 101)) + list(range(601, 701)))
        stats = self.wait_state("loss_entries", len(found))
        self.assertEqual((stats["shed_records"], stats["unstored_full"], stats["loss_waiting"]), (500, 500, 0))
        self.assert_same_broker()

    def test_no_receipt_for_it_and_no_file_is_gone(self):
        self.publish(self.client("v5", 5), 10)
        self.become_full()
        with Asker(self.broker.port) as asker:
            self.assertEqual(asker.ask("t/a", "shed", "synced", "committed"), 0)
            for receipt in asker.wait("shed", 2):
                self.assertEqual(receipt["receipt"], "refused")
                self.assertIn("the disk of this node is full", receipt["why"])
            self.assertEqual(asker.ask("t/a", "numbered", number="run:1"), 0)
            self.asked_again(asker, 1, "refused")
        self.snapshot()
        self.broker.stop()
        tool = Path(os.environ["TMB_BUILD"]) / "clients/cli/tombolo-journal"
        done = subprocess.run([tool, "verify", self.data], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.disk.clear()
        self.broker.start()
        with Asker(self.broker.port) as asker:
            self.asked_again(asker, 1, "refused")
            self.assertEqual(asker.ask("t/a", "numbered", number="run:2"), 0)
            self.asked_again(asker, 2, "synced", "committed")

    def asked_again(self, asker, number: int, *wanted: str):
        """A repeat of what was not stored gets no receipt, now or after the next start; of what was, it does."""
        key = f"again-{self.broker.daemon.pid}-{number}"
        self.assertEqual(asker.ask("t/a", "numbered", "synced", "committed", number=f"run:{number}", key=key), 0)
        found = {receipt["receipt"] for receipt in asker.wait(key, 2)}
        self.assertEqual(found, set(wanted), asker.receipts(key))

    def test_a_kill_while_it_sheds(self):
        v5 = self.client("v5", 5)
        self.publish(v5, 10)
        self.become_full()
        self.publish(v5, 300, start=10)
        self.broker.kill9()
        self.broker.start()
        again = self.client("again", 5)
        self.assertEqual(len(self.publish(again, 50, start=400)), 50)
        self.become_well()
        self.assertEqual(len(self.publish(again, 10, start=500)), 10)
        wait_until(lambda: lost(entries(self.data / "journal")) >= 350, 30, "the ledger to have it all")
        found = entries(self.data / "journal")
        self.assertEqual(lost(found), 350)
        numbers = [record["seq"] for record in self.journal(20)]
        self.assertEqual(numbers, list(range(1, 11)) + list(range(361, 371)), "a number was used twice")
        spans = sorted((entry["first"], entry["last"]) for entry in found)
        self.assertEqual((spans[0][0], spans[-1][1]), (11, 360))
        for (_, last), (first, _) in zip(spans, spans[1:]):
            self.assertEqual(first, last + 1, f"ranges overlap or leave numbers out: {spans}")

    def test_nobody_forges_an_entry(self):
        v5 = self.client("v5", 5)
        self.ear.subscribe("#", 1)
        for topic in ("tombolo/loss", "s1/tombolo/loss"):
            self.assertEqual(v5.publish(topic, b"{}"), 0x87, topic)
            self.assertEqual(self.client("v4", 4).publish(topic, b"{}"), 0)  # acked and dropped, as brokers do
        dying = self.client("dying", 5, will=("tombolo/loss", b"{}"))
        dying.ping()
        dying.drop()
        self.assertEqual(self.wait_state("denied", 5)["denied"], 5)
        self.assertEqual(self.heard(), [])
        self.assertEqual(entries(self.data / "journal"), [])


class DropOldestTest(FullDiskTest):
    policy = "drop-oldest"
    interval = "200ms"

    def test_the_oldest_make_room(self):
        self.ear.subscribe("tombolo/loss", 1)
        v5 = self.client("v5", 5)
        sent = 2 * DISK_KIB * KIB // 4000
        # Refused only for as long as it takes to get a checkpoint that needs the oldest no more.
        acked = self.publish(v5, sent, 4000, tries=1000)
        self.assertEqual(len(acked), sent, "a message was refused though older ones could go")
        print("refused for a moment:", self.stats()["store_failures"], "of", sent)
        told = []

        def is_quiet() -> bool:  # until there is room enough, more of them go
            new = [json.loads(m[1]) for m in self.ear.receive_all(1.5) if m[0] == "tombolo/loss"]
            told.extend(new)
            return told and not new and told == entries(self.data / "journal")
        wait_until(is_quiet, 60, lambda: f"the last entry of the ledger: {told}, not {entries(self.data / 'journal')}")
        records, found = self.journal(1, check=False), entries(self.data / "journal")
        self.assertEqual(told, found, "subscribers hear of it too")
        self.assertLess(len(records), sent)
        self.assertEqual(lost(found, "full-oldest"), sent - len(records))
        self.assertEqual(lost(found), sent - len(records))
        self.assertEqual(found[-1]["last"] + 1, records[0]["seq"])
        self.start_on_a_full_disk()
        self.assert_same_broker()

    def start_on_a_full_disk(self):
        self.disk.fill()
        self.broker.kill9()
        self.broker.start()
        self.pid = self.broker.daemon.pid
        wait_until(lambda: self.client("again", 5).publish("t/a", b"x" * 4000) < 0x80, 60, "room to be made", 0.1)
        self.disk.clear()


class LostOnDiskTest(PluginTest):
    durability = "strict"

    def entries_after(self, harm) -> list:
        self.broker.start()
        client = self.client("v5", 5)
        for number in range(10):
            client.publish("t/a", b"payload %d" % number)
        self.snapshot()
        self.broker.kill9()
        harm(self.data / "journal" / "default" / "00000000000000000001.seg")
        self.broker.start()
        wait_until(lambda: entries(self.data / "journal"), 30, "an entry of the ledger")
        self.broker.kill9()
        self.broker.start()  # it is told once
        self.wait_stat("loss_waiting", 0)
        return [{key: entry[key] for key in ("reason", "stream", "first", "last", "count")}
                for entry in entries(self.data / "journal")]

    def test_damaged_bytes(self):
        def flip(path):
            data = path.read_bytes()
            path.write_bytes(data.replace(b"payload 4", b"paYload 4"))
        self.assertEqual(self.entries_after(flip),
                         [{"reason": "damaged", "stream": "default", "first": 5, "last": 5, "count": 1}])

    def test_a_file_that_is_gone(self):
        self.assertEqual(self.entries_after(lambda path: path.unlink()),
                         [{"reason": "missing", "stream": "default", "first": 1, "last": 10, "count": 10}])


if __name__ == "__main__":
    unittest.main()
