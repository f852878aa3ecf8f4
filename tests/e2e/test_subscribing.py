# SPDX-License-Identifier: Apache-2.0
"""A lasting session that was told that it has subscribed has subscribed: whatever kills the broker the moment after."""

import os
import random
import select
import struct
import time
import unittest
from pathlib import Path

from plugin_lab import PluginTest
from plugin_raw import SUBACK

RUNS = 40 if os.environ.get("TMB_LONG") == "1" else 20


def subscribe_packet(topic: str, mid: int, qos: int = 1) -> bytes:
    body = struct.pack(">HH", mid, len(topic)) + topic.encode() + bytes([qos])
    return bytes([0x82, len(body)]) + body


def publish_packet(topic: str, payload: bytes, mid: int) -> bytes:
    body = struct.pack(">H", len(topic)) + topic.encode() + struct.pack(">H", mid) + payload
    return bytes([0x32, len(body)]) + body


class SubscribingTest(PluginTest):
    needs_certificates = True

    def setUp(self):
        super().setUp()
        self.broker.start()

    def run_seeds(self, session, topics) -> None:
        """Connects, subscribes to each, has something published to each and acked, and kills: all within a second."""
        start = int(os.environ.get("TMB_SEED", random.randrange(1 << 30)))
        for seed in range(start, start + RUNS):
            print(f"seed {seed}", flush=True)
            rng = random.Random(seed)
            name = f"cell-{seed}"
            publisher = self.client("pub")
            begin = time.monotonic()
            client = session(name)
            self.assertFalse(client.session_present)
            for topic in topics:
                self.assertEqual(client.subscribe(f"{name}/{topic}"), 1)
            is_used = rng.random() < 0.5
            for topic in topics if is_used else ():
                self.assertEqual(publisher.publish(f"{name}/{topic}", topic.encode()), 0)
            is_cut = rng.random() < 0.5
            if is_cut:
                client.drop()
            took = time.monotonic() - begin
            self.broker.kill9()
            client.sock.close()
            self.broker.start()
            client = session(name)
            self.assertTrue(client.session_present, f"seed {seed}: made and used in {took:.3f} s, and forgotten")
            got = [payload for _, payload, _, _, _ in client.receive_all(0.1)]
            self.assertEqual(sorted(got), sorted(t.encode() for t in topics) if is_used else [], f"seed {seed}")
            publisher = self.client("pub")
            for topic in topics:
                self.assertEqual(publisher.publish(f"{name}/{topic}", b"after"), 0)
            self.assertEqual([client.receive()[1] for _ in topics], [b"after"] * len(topics))
            client.close()
        self.assertEqual(self.stats()["subscribes_early"], 0)

    def test_one_subscription(self):
        self.run_seeds(lambda name: self.client(name, clean=False), ["a"])

    def test_two_in_a_row_and_a_session_of_mqtt_5(self):
        self.run_seeds(lambda name: self.client(name, 5, clean=False), ["a", "b"])

    def test_by_tls(self):
        self.run_seeds(lambda name: self.tls_client("hub", name, 4, clean=False), ["a"])

    def test_what_was_unsubscribed_stays_so(self):
        client = self.client("cell", clean=False)
        for topic in ("a", "b"):
            self.assertEqual(client.subscribe(topic), 1)
        client._send(0xa2, struct.pack(">HH", client.next_mid(), 1) + b"a")
        client.expect(11)
        self.broker.kill9()
        self.broker.start()
        publisher, client = self.client("pub"), self.client("cell", clean=False)
        self.assertTrue(client.session_present)
        for topic in ("a", "b"):
            self.assertEqual(publisher.publish(topic, topic.encode()), 0)
        self.assertEqual([m[1] for m in client.receive_all()], [b"b"])

    def test_who_does_not_wait_for_the_answer_gets_it_early_and_counted(self):
        client = self.client("hasty", clean=False)
        client.sock.sendall(b"".join(subscribe_packet(f"t/{mid}", mid) for mid in range(1, 31)))
        for mid in range(1, 31):
            self.assertEqual(client.expect(SUBACK)[1], struct.pack(">HB", mid, 1))
        self.assertGreater(self.wait_stat("subscribes_early", 1)["subscribes_held"], 0)
        self.broker.kill9()  # the last one kept silent after it
        self.broker.start()
        client = self.client("hasty", clean=False)
        self.assertTrue(client.session_present)
        self.assertEqual(self.client("pub").publish("t/30", b"x"), 0)
        self.assertEqual(client.receive()[1], b"x")

    def test_many_at_once_share_snapshots_and_all_are_kept(self):
        clients = [self.client(f"many-{number}", clean=False) for number in range(100)]
        for number, client in enumerate(clients):
            client.sock.sendall(subscribe_packet(f"m/{number}", 1))
        for client in clients:
            self.assertEqual(client.expect(SUBACK)[1], b"\0\1\1")
        stats = self.wait_stat("subscribes_held", 100)
        self.assertEqual(stats["subscribes_early"], 0)
        self.assertLess(stats["snapshots_asked"], 100)
        self.broker.kill9()
        self.broker.start()
        for number in range(100):
            self.assertTrue(self.client(f"many-{number}", clean=False).session_present, number)

    def test_retained_messages_come_with_the_answer(self):
        """More than may be held: then the answer does not wait. Fewer: they wait with it."""
        publisher = self.client("pub")
        for number in range(40):
            self.assertEqual(publisher.publish(f"few/{number}", b"x" * 100, retain=True), 0)
            self.assertEqual(publisher.publish(f"more/{number}", b"x" * 4000, retain=True), 0)
        few, more = self.client("few", clean=False), self.client("more", clean=False)
        few.sock.sendall(subscribe_packet("few/#", 1, 0))
        kinds = [few.packet()[0] for _ in range(41)]
        self.assertEqual(sorted(kinds), [3] * 40 + [SUBACK])
        self.assertEqual(self.wait_stat("subscribes_held", 1)["subscribes_early"], 0)
        more.sock.sendall(subscribe_packet("more/#", 1, 0))
        kinds = [more.packet()[0] for _ in range(41)]
        self.assertEqual(sorted(kinds), [3] * 40 + [SUBACK])
        self.assertEqual(self.wait_stat("subscribes_early", 1)["group_cut"], 0)


    def test_a_packet_of_very_many_topics_spoils_it_for_nobody_else(self):
        """1,000 topics wait for their snapshot; the answers to 600,000 do not fit where they would."""
        def packet(count):
            body = struct.pack(">H", 9) + b"".join(b"\0\3%03x\1" % (n % 1000) for n in range(count))
            size, out = len(body), b""
            while size:
                out, size = out + bytes([size & 127 | (128 if size > 127 else 0)]), size >> 7
            return b"\x82" + out + body
        some = self.client("some", clean=False)
        some.sock.sendall(packet(1000))
        self.assertEqual(len(some.expect(SUBACK)[1]), 1002)
        self.assertEqual(self.wait_stat("subscribes_held", 1)["subscribes_early"], 0)
        greedy = self.client("greedy", clean=False)
        greedy.sock.sendall(packet(600000))
        self.assertEqual(len(greedy.expect(SUBACK)[1]), 600002)
        early = self.wait_stat("subscribes_early", 1)["subscribes_early"]
        self.assertEqual(self.client("other", clean=False).subscribe("t"), 1)
        after = self.wait_stat("subscribes_held", 3)
        self.assertEqual((after["subscribes_early"], after["group_cut"]), (early, 0))


class SlowSnapshotTest(PluginTest):
    """Each snapshot takes half a second: the checkpoint has something to sync, on a disk that is slow."""

    def setUp(self):
        super().setUp()
        slow_disk, slow = Path(os.environ["TMB_BUILD"]) / "tests/e2e/hold_sync.so", self.folder / "slow"
        self.broker.daemon.env = {"LD_PRELOAD": str(slow_disk), "TMB_SLOW_SYNC": str(slow)}
        self.broker.start()
        self.cell = self.client("cell", clean=False)
        slow.write_text("500")
        for mid, topic in ((101, "a"), (103, "b")):
            # In one breath: after a second what was published would be synced, and the checkpoint have nothing to.
            self.cell.sock.sendall(publish_packet("t", b"to be synced", mid) + subscribe_packet(topic, mid + 1))
            self.cell.ack()
            self.assertEqual(self.cell.expect(SUBACK)[1][-1], 1)

    def test_who_is_taken_over_while_it_waits_gets_no_answer(self):
        """The answer would be a lie; and whoever comes later waits as long as if nobody had waited before."""
        self.cell.sock.sendall(subscribe_packet("c", 9))
        self.assertEqual(select.select([self.cell.sock], [], [], 0.5)[0], [], "it should wait")
        taker = self.client("cell", clean=False)
        with self.assertRaises(ConnectionError):
            self.cell.expect(SUBACK)
        time.sleep(5)
        begin = time.monotonic()
        self.assertEqual(taker.subscribe("d"), 1)
        self.assertGreater(time.monotonic() - begin, 0.5)

    def test_nobody_waits_longer_than_five_seconds(self):
        """The third has to wait for more than that."""
        begin = time.monotonic()
        self.assertEqual(self.cell.subscribe("c"), 1)
        self.assertGreater(time.monotonic() - begin, 4)
        self.assertLess(time.monotonic() - begin, 15)  # of a machine that does other things, too
        self.assertEqual(self.wait_stat("subscribes_early", 1)["subscribes_held"], 3)


class NoSnapshotTest(PluginTest):
    def test_a_snapshot_that_cannot_be_written_holds_nobody_up_for_long(self):
        self.broker.start()
        first = self.client("first", clean=False)
        self.assertEqual(first.subscribe("t"), 1)
        # A folder where the broker would make its file: it cannot open it, whoever it runs as.
        (self.broker.persistence / "mosquitto.db.new").mkdir()
        self.assertEqual(first.subscribe("u"), 1)
        self.assertGreaterEqual(self.wait_stat("subscribes_early", 1)["subscribes_held"], 2)
        self.assertIn("before a snapshot had it (the broker could not write it", self.broker.daemon.tail(100))
        (self.broker.persistence / "mosquitto.db.new").rmdir()
        second = self.client("second", clean=False)
        self.assertEqual(second.subscribe("t"), 1)
        self.broker.kill9()
        self.broker.start()
        self.assertTrue(self.client("second", clean=False).session_present)


if __name__ == "__main__":
    unittest.main()
