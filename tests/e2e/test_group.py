# SPDX-License-Identifier: Apache-2.0
"""Durability group: many messages by one sync, and no ack before it, whoever asks and whatever the disk does.

The disk is hold_sync.c: an fdatasync that does not come back while a file exists, or fails while another does. What
counts is read from plain sockets: not one byte of an ack may come while the disk holds."""

import asyncio
import os
import random
import resource
import select
import shutil
import signal
import socket
import struct
import time
import unittest
from pathlib import Path

from plugin_lab import PluginTest
from plugin_raw import PUBACK, PUBREC, number_property, read_journal
from tombolo_lab.net import free_port, wait_until

STREAMS = """\
streams:
  - { name: fast, topics: [ "fast/#" ], durability: process }
  - { name: many, topics: [ "#" ], durability: group }
"""
HOLDS_S = (0.4, 2.0)


def publish_packet(topic: str, payload: bytes, qos: int, mid: int) -> bytes:
    body = struct.pack(">H", len(topic)) + topic.encode() + struct.pack(">H", mid) + payload
    assert len(body) < 128
    return bytes([0x30 | qos << 1, len(body)]) + body


class GroupTest(PluginTest):
    def config(self):
        head, tail = super().config().split("streams:\n")
        return head + STREAMS + tail[tail.index("checkpoint:"):]

    def setUp(self):
        super().setUp()
        self.hold, self.fail_file = self.folder / "hold", self.folder / "fail"
        slow_disk = Path(os.environ["TMB_BUILD"]) / "tests/e2e/hold_sync.so"
        self.assertTrue(slow_disk.exists(), f"{slow_disk} is not there: build first")
        self.sync_log = self.folder / "synced"
        self.broker.daemon.env = {"LD_PRELOAD": str(slow_disk), "TMB_HOLD_SYNC": str(self.hold),
                                  "TMB_FAIL_SYNC": str(self.fail_file), "TMB_SYNC_LOG": str(self.sync_log)}
        self.addCleanup(self.hold.unlink, missing_ok=True)
        self.prepare()
        self.broker.start()
        first = self.client("first")
        first.publish("t", b"the first segment takes syncs of its own")
        first.close()

    def prepare(self):
        """Before the broker starts."""

    def clients(self, count: int, **options) -> list:
        return [self.client(f"pub-{number}", **options) for number in range(count)]

    def assert_silent(self, clients: list, for_s: float) -> None:
        """Not one byte comes in that time. Of TLS none either: what is read is below it."""
        poll = select.poll()
        for client in clients:
            poll.register(client.sock.fileno(), select.POLLIN)
        self.assertEqual(poll.poll(for_s * 1000), [], "something came while no sync did")

    def held_back(self, clients: list, packets, acks: int, kind: int = PUBACK) -> None:
        """packets(client) makes what it sends; acks is how many come, each, and when: not while the disk holds."""
        for hold_s in HOLDS_S:
            before = self.stats()
            self.hold.touch()
            for client in clients:
                client.sock.sendall(packets(client))
            self.assert_silent(clients, hold_s)
            self.hold.unlink()
            for client in clients:
                for _ in range(acks):
                    self.assertEqual(client.ack(kind), 0)
            after = self.wait_stat("group_held", before["group_held"] + len(clients))
            self.assertEqual(after["group_strict"] - before["group_strict"], 0)
            self.assertEqual(after["group_breaches"], 0)

    def assert_still_works(self):
        client = self.client("after")
        self.assertEqual(client.publish("t", b"after"), 0)
        client.close()


class AckTest(GroupTest):
    needs_certificates = True

    def test_no_ack_of_400_comes_before_the_sync(self):
        """50 clients, 8 messages each at once."""
        def packets(client):
            return b"".join(publish_packet("t", b"x", 1, client.next_mid()) for _ in range(8))
        self.held_back(self.clients(50), packets, 8)
        before = self.wait_stat("messages", 1 + 800)
        self.assertLess(before["group_syncs"], before["group_held"] / 2, "many should share a sync")

    def test_no_pubrec_comes_before_the_sync(self):
        def packets(client):
            return publish_packet("t", b"x", 2, client.next_mid())
        for version in (4, 5):
            clients = [self.client(f"two-{version}-{number}", version) for number in range(5)]
            if version == 4:
                self.held_back(clients, packets, 1, PUBREC)
                continue
            self.hold.touch()
            mids = [client.send("t", b"x", 2) for client in clients]
            self.assert_silent(clients, HOLDS_S[0])
            self.hold.unlink()
            for client, mid in zip(clients, mids):
                self.assertLess(client.ack(PUBREC), 0x80)
                client.release(mid)

    def test_no_byte_of_tls_comes_before_the_sync(self):
        """Many messages in one record of TLS are read in one go: their acks are more than a segment of TCP."""
        def packets(client):
            return b"".join(publish_packet("t", b"x", 1, client.next_mid()) for _ in range(60))
        clients = [self.tls_client("hub", f"tls-{number}", 4) for number in range(10)]
        self.held_back(clients, packets, 60)
        many = b"".join(publish_packet("t", b"x", 1, clients[0].next_mid()) for _ in range(1000))
        clients[0].sock.sendall(many)  # more than may be held at a time: a sync in between
        for _ in range(1000):
            self.assertEqual(clients[0].ack(), 0)

    def test_a_repeat_of_what_waits_for_its_sync_waits_too(self):
        first, again = self.client("numbered", 5), self.client("other", 5)
        self.hold.touch()
        first.send("t", b"x", props=number_property(1))
        again.send("t", b"y", props=number_property(1))
        self.assert_silent([first, again], HOLDS_S[0])
        first.drop()  # the number is its client id's: comes again under the same
        self.hold.unlink()
        self.assertLess(again.ack(), 0x80)
        first = self.client("numbered", 5)
        self.assertLess(first.publish("t", b"x", props=number_property(1)), 0x80)
        self.wait_stat("repeats", 1)
        self.assertEqual([r["number"] for r in self.journal(3, stream="many") if r["payload"] == b"x"], [("", 1)])

    def test_who_dies_or_is_replaced_while_held_harms_nobody(self):
        clients = self.clients(20)
        self.hold.touch()
        for client in clients:
            client.send("t", b"x")
        self.assert_silent(clients, 0.2)
        for client in clients[:5]:
            client.drop()
        takers = []
        for number in range(5, 10):  # CONNECT under an id that is held: worked off after the round
            sock = socket.create_connection(("127.0.0.1", self.broker.port), 10)
            name = f"pub-{number}".encode()
            sock.sendall(bytes([0x10, 12 + len(name), 0, 4]) + b"MQTT\x04\x02\x00\x3c" +
                         struct.pack(">H", len(name)) + name)
            takers.append(sock)
        self.hold.unlink()
        for sock in takers:
            self.addCleanup(sock.close)
            self.assertEqual(sock.recv(4), b"\x20\x02\x00\x00")
        for client in clients[10:]:
            self.assertEqual(client.ack(), 0)
        self.assert_still_works()
        self.assertEqual(self.stats()["group_breaches"], 0)

    def test_take_over_in_the_round_in_which_the_old_one_is_held(self):
        """Both are read in one round: while the disk holds, the loop stands still."""
        for number in range(20):
            stopper, old = self.client("stopper"), self.client("same", clean=False)
            new = socket.create_connection(("127.0.0.1", self.broker.port), 10)
            self.addCleanup(new.close)
            self.hold.touch()
            stopper.send("t", b"stop")
            self.assert_silent([stopper], 0.05)
            old.send("t", b"held")
            new.sendall(b"\x10\x10\x00\x04MQTT\x04\x00\x00\x3c\x00\x04same")
            self.hold.unlink()
            self.assertEqual(stopper.ack(), 0)
            answer = new.recv(4)
            self.assertEqual(answer[:2], b"\x20\x02", f"round {number}: {answer!r}")
            try:
                old.ack()  # with the ack, or without: but the connection ends
                old.packet()
                self.fail("the old connection lives")
            except (ConnectionError, OSError):
                pass
            stopper.close()
        self.assert_still_works()
        self.assertEqual(self.stats()["group_breaches"], 0)

    def test_a_publisher_of_what_it_has_subscribed_to(self):
        clients = [self.client(f"both-{number}", timeout_s=30) for number in range(4)]
        for client in clients:
            self.assertEqual(client.subscribe("flood/#", 1), 1)
        count, payload = 60, b"x" * 3000
        for number in range(count):
            for client in clients:
                client.send(f"flood/{number}", payload)
        for client in clients:
            acks = got = 0
            while acks < count or got < count * len(clients):
                kind, flags, body = client.packet()
                if kind == PUBACK:
                    acks += 1
                elif kind == 3:
                    got += 1
                    size = struct.unpack(">H", body[:2])[0]
                    self.assertEqual(flags >> 1 & 3, 1)
                    client._send(0x40, body[2 + size:4 + size])
        self.assertEqual(self.wait_stat("messages", 1 + count * len(clients))["group_breaches"], 0)
        self.assert_still_works()


    def test_publishers_in_a_hurry_that_subscribe_in_the_middle(self):
        """Their acks wait over rounds, in which other packets go past: every byte must still be where it belongs."""
        retained = self.client("retained")
        for number in range(60):
            self.assertEqual(retained.publish(f"kept/{number}", b"k" * 3000, retain=True), 0)
        clients, hurry = self.clients(24, timeout_s=30), 40
        os.kill(self.broker.daemon.pid, signal.SIGSTOP)  # so that all have sent when it reads
        for index, client in enumerate(clients):
            packets = [publish_packet("t", b"x", 1, client.next_mid()) for _ in range(hurry)]
            if index % 3 == 0:
                mid = client.next_mid()
                packets.insert(hurry // 2, b"\x82\x0b" + struct.pack(">HH", mid, 6) + b"kept/#\0" + b"\xc0\0" * 3)
            client.sock.sendall(b"".join(packets))
        os.kill(self.broker.daemon.pid, signal.SIGCONT)
        for index, client in enumerate(clients):
            mids, kinds = [], {}
            expected = hurry + (index % 3 == 0) * (1 + 60 + 3)
            for _ in range(expected):
                kind, _, body = client.packet()
                kinds[kind] = kinds.get(kind, 0) + 1
                if kind == PUBACK:
                    mids.append(struct.unpack(">H", body)[0])
                elif kind == 3:
                    self.assertEqual(body[2:7] + body[-3000:], b"kept/" + b"k" * 3000)
            self.assertEqual(mids, sorted(mids))
            wanted = {PUBACK: hurry, 9: 1, 3: 60, 13: 3} if index % 3 == 0 else {PUBACK: hurry}
            self.assertEqual(kinds, wanted)
        stats = self.wait_stat("messages", 1 + 60 + 24 * hurry)
        self.assertEqual((stats["group_breaches"], stats["group_cut"]), (0, 0))
        self.assertLess(stats["group_syncs"], stats["group_held"] / 8)


class LimitTest(GroupTest):
    def prepare(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))

    def test_300_clients_are_more_than_can_wait_at_a_time(self):
        """The broker may have 1024 descriptors: an eighth is 128 clients."""
        clients = self.clients(300)
        for _ in range(3):
            self.hold.touch()
            for client in clients:
                client.send("t", b"x")
            self.assert_silent(clients, HOLDS_S[0])
            self.hold.unlink()
            for client in clients:
                self.assertEqual(client.ack(), 0)
        stats = self.wait_stat("messages", 901)
        self.assertEqual(stats["group_breaches"], 0)
        self.assertEqual(stats["group_strict"], 0)
        self.assertLess(stats["group_syncs"], 90)
        self.assertGreaterEqual(stats["group_held"], 300)


class FailingTest(GroupTest):
    def test_a_failed_sync_acks_nobody_and_the_stream_is_strict_until_it_is_well(self):
        pid = self.broker.daemon.pid
        clients = self.clients(10)
        numbered = self.client("numbered", 5)
        os.kill(pid, signal.SIGSTOP)  # so that all are read in one round
        for client in clients:
            client.send("t", b"lost")
        numbered.send("t", b"numbered", props=number_property(1))
        self.fail_file.touch()
        os.kill(pid, signal.SIGCONT)
        for client in clients + [numbered]:
            with self.assertRaises((ConnectionError, OSError)):
                client.ack()
        refused = self.client("refused", 5)
        self.assertEqual(refused.publish("t", b"refused"), 0x87)
        self.assertGreater(self.fail_file.stat().st_size, 0, "no sync has failed")
        self.fail_file.unlink()
        self.assertEqual(self.broker.daemon.pid, pid)
        numbered = self.client("numbered", 5)
        self.assertLess(numbered.publish("t", b"numbered", props=number_property(1)), 0x80)
        self.assert_still_works()  # the first by itself,
        before = self.stats()
        for client in self.clients(5):
            self.assertEqual(client.publish("t", b"kept"), 0)
        after = self.wait_stat("group_held", before["group_held"] + 5)  # then in a group
        self.assertEqual(after["repeats"], 0)
        self.assertEqual(after["group_cut"], 11)
        self.assertEqual(after["group_breaches"], 0)
        kept = [record["payload"] for record in self.journal(8, stream="many")]
        self.assertNotIn(b"lost", kept)
        self.assertEqual(kept.count(b"numbered"), 1)
        self.assertEqual(kept.count(b"kept"), 5)
        log = self.broker.daemon.tail(200)
        self.assertEqual(log.count("a sync for many failed"), 1)
        self.assertEqual(log.count("many share a sync again"), 1)


class WebsocketTest(GroupTest):
    def prepare(self):
        self.ws_port = free_port()
        with self.broker.conf_file.open("a", encoding="utf-8") as conf:
            conf.write(f"listener {self.ws_port} 127.0.0.1\nprotocol websockets\n")

    def test_its_ack_waits_for_a_sync_of_its_own(self):
        sock = socket.create_connection(("127.0.0.1", self.ws_port), 10)
        self.addCleanup(sock.close)
        sock.sendall(b"GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
                     b"Sec-WebSocket-Protocol: mqtt\r\n\r\n")
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += sock.recv(1)
        self.assertIn(b" 101 ", head)

        def send(packet: bytes) -> None:
            sock.sendall(bytes([0x82, 0x80 | len(packet)]) + bytes(4) + packet)

        def receive() -> bytes:
            first, size = sock.recv(1), sock.recv(1)[0]
            self.assertEqual(first, b"\x82")
            return sock.recv(size)

        send(b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x3c\x00\x02ws")
        self.assertEqual(receive(), b"\x20\x02\x00\x00")
        self.hold.touch()
        send(publish_packet("t", b"x", 1, 7))
        self.assertEqual(select.select([sock], [], [], HOLDS_S[0])[0], [])
        self.hold.unlink()
        self.assertEqual(receive(), b"\x40\x02\x00\x07")
        self.assertEqual(self.wait_stat("group_strict", 1)["group_held"], 1)  # the first client's, in setUp


class KillTest(GroupTest):
    RUNS = 40 if os.environ.get("TMB_LONG") == "1" else 20

    async def load(self, number: int, seed: int, acked: set) -> None:
        """One publisher that sends as fast as acks come, ten at a time, until the broker is gone."""
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.broker.port)
        except ConnectionError:  # it came too late
            return
        name = f"load-{number}".encode()
        writer.write(bytes([0x10, 12 + len(name), 0, 4]) + b"MQTT\x04\x02\x00\x3c" + struct.pack(">H", len(name)) + name)
        try:
            await reader.readexactly(4)
            sent, mids = 0, {}
            while True:
                while len(mids) < 10:
                    sent += 1
                    mids[sent] = f"{seed}/{number}/{sent}"
                    writer.write(publish_packet("t", mids[sent].encode(), 1, sent))
                answer = await reader.readexactly(4)
                acked.add(mids.pop(struct.unpack(">H", answer[2:])[0]))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def on_disk(self) -> set:
        """The payloads that a power cut at the moment of the kill would have left: what was synced, and no byte more."""
        synced = {}
        for row in self.sync_log.read_text().splitlines():
            inode, size = row.split()
            synced[int(inode)] = int(size)
        folder = self.folder / "cut"
        (folder / "many").mkdir(parents=True)
        for segment in (self.data / "journal/many").glob("*.seg"):
            (folder / "many" / segment.name).write_bytes(segment.read_bytes()[:synced.get(segment.stat().st_ino, 0)])
        found = {record["payload"].decode() for record in read_journal(folder, "many", check=False)}
        shutil.rmtree(folder)
        return found

    async def run_until_killed(self, seed: int, acked: set) -> None:
        rng = random.Random(seed)
        before, end = len(acked), time.monotonic() + 30
        loads = [asyncio.create_task(self.load(number, seed, acked)) for number in range(30)]
        while len(acked) == before and time.monotonic() < end:
            await asyncio.sleep(0.001)
        await asyncio.sleep(rng.random() * 0.25)
        self.broker.kill9()
        await asyncio.gather(*loads)

    def test_nothing_acked_is_lost_by_a_kill_or_by_a_power_cut_then(self):
        start = int(os.environ.get("TMB_SEED", random.randrange(1 << 30)))
        acked = set()
        for seed in range(start, start + self.RUNS):
            print(f"seed {seed}", flush=True)
            before = len(acked)
            asyncio.run(self.run_until_killed(seed, acked))
            self.assertGreater(len(acked), before, "nothing was acked before the kill")
            new = {name for name in acked if name.startswith(f"{seed}/")}
            self.assertEqual(new - self.on_disk(), set(), f"seed {seed}: acked before it was synced")
            self.broker.start()
        kept = {record["payload"].decode() for record in self.journal(1, stream="many", check=False)}
        self.assertEqual(acked - kept, set())
        wait_until(self.broker.answers, 30, "the broker to answer")


if __name__ == "__main__":
    unittest.main()
