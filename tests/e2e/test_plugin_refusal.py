# SPDX-License-Identifier: Apache-2.0
"""What the plugin refuses: to start on wrong settings, to ack what it cannot keep, and $tombolo/ to those
whom it is not for."""

import os
import signal
import subprocess
import time
import unittest

from plugin_lab import PATIENCE_S, STATS, PluginTest, plugin_file
from plugin_raw import number_property
from tombolo_lab import Broker
from tombolo_lab.net import wait_until


class StartTest(PluginTest):
    def refuses_to_start(self, *cures: str) -> str:
        self.broker.start(wait=False)
        wait_until(lambda: not self.broker.daemon.is_alive(), PATIENCE_S, "the broker to give up")
        self.assertNotEqual(self.broker.stop(), 0)
        log = self.broker.daemon.log()
        for cure in cures:
            self.assertIn(cure, log)
        self.assertNotIn("running", log)
        return log

    def with_settings(self, **settings):
        self.broker = Broker("hub", self.folder, None, plugin_file(), self.config_file, settings)

    def test_each_wrong_setting_of_the_broker(self):
        for settings, cure in (({"max_queued_messages": "1000"}, "set: max_queued_messages 1000000"),
                               ({"max_queued_messages": "0"}, "set: max_queued_messages 1000000"),
                               ({"persistence": "false"}, "add: persistence true"),
                               ({"max_queued_bytes": "1000"}, "set: max_queued_bytes 0"),
                               ({"message_size_limit": "100000"}, "set: message_size_limit 0")):
            self.with_settings(**settings)
            self.refuses_to_start(cure)

    def test_per_listener_settings(self):
        self.with_settings()
        text = self.broker.conf_file.read_text(encoding="utf-8")
        text = text.replace("per_listener_settings false", "per_listener_settings true")
        lines = text.splitlines()
        lines.sort(key=lambda line: line.startswith(("plugin", "allow_anonymous")))  # below the listener
        self.broker.conf_file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        self.refuses_to_start("set: per_listener_settings false")

    def test_a_setting_left_out(self):
        conf = self.broker.conf_file
        lines = conf.read_text(encoding="utf-8").splitlines()
        conf.write_text("\n".join(line for line in lines if "max_queued" not in line) + "\n", encoding="utf-8")
        self.refuses_to_start("max_queued_messages is 1000 (the broker's default)",
                              "set: max_queued_messages 1000000")

    def test_all_mistakes_of_both_files_at_once(self):
        self.with_settings(persistence="false", max_queued_messages="0")
        text = self.config_file.read_text(encoding="utf-8")
        self.config_file.write_text(text.replace("durability: process", "durability: proces\n    retension: 1"),
                                    encoding="utf-8")
        self.refuses_to_start("node.yaml:7:", "node.yaml:8:", "retention", "add: persistence true",
                              "set: max_queued_messages 1000000")

    def test_no_configuration_named(self):
        conf = self.broker.conf_file
        lines = conf.read_text(encoding="utf-8").splitlines()
        conf.write_text("\n".join(line for line in lines if "plugin_opt" not in line) + "\n", encoding="utf-8")
        self.refuses_to_start("below the plugin line: plugin_opt_config")

    def test_another_plugin_in_front(self):
        conf = self.broker.conf_file
        text = conf.read_text(encoding="utf-8").replace("plugin /", "plugin /nowhere/other.so\nplugin /", 1)
        conf.write_text(text, encoding="utf-8")
        # The broker itself stops at a file that is not there; a copy of ours under another name is there.
        other = self.folder / "other.so"
        other.write_bytes(plugin_file().read_bytes())
        conf.write_text(text.replace("/nowhere/other.so", f"{other}\nplugin_opt_config {self.config_file}"),
                        encoding="utf-8")
        self.refuses_to_start("another plugin comes first", "move above it: plugin")

    def test_a_folder_for_the_snapshot_that_is_not_there(self):
        self.with_settings(persistence_location=f"{self.folder}/nowhere/")
        self.refuses_to_start("the broker cannot write its snapshot", "No such file or directory", "make the folder")

    def test_a_journal_in_use(self):
        first = self.broker
        first.start()
        self.addCleanup(first.stop)
        (self.folder / "two").mkdir()
        self.broker = Broker("two", self.folder / "two", None, plugin_file(), self.config_file)
        self.refuses_to_start("the journal cannot be opened", "another process is writing this journal; stop it first",
                              "the plugin does not start (see the lines above)")
        self.assertNotIn("make it a folder", self.broker.daemon.log())

    def test_a_folder_for_rings_that_is_not_there(self):
        """It starts all the same, with no buffers where there is no folder, and says what to do."""
        with self.config_file.open("a", encoding="utf-8") as file:
            file.write("journal: { ring: /nonexist }\n")
        self.broker.start()
        wait_until(lambda: "has no ring: /nonexist: " in self.broker.daemon.log(), PATIENCE_S, "the warning", 0.1)
        log = self.broker.daemon.log()
        self.assertIn("write buffers in the broker's own memory where /nonexist (as configured) cannot be used", log)
        self.assertIn("set journal.ring to off, or to a folder in memory", log)
        self.assertNotIn("write buffers in /nonexist", log)

    def test_a_data_folder_that_cannot_be_made(self):
        (self.folder / "data").write_text("a file", encoding="utf-8")
        self.refuses_to_start("the journal cannot be opened", "a folder that the broker's user owns")


class FullDiskTest(PluginTest):
    """The disk is full for the broker's process alone: no file of it may grow (RLIMIT_FSIZE). The broker's
    log goes to its $SYS topics then, since its log file could not grow either."""

    durability = "strict"
    settings = {"log_dest": "topic"}

    def setUp(self):
        super().setUp()
        daemon = self.broker.daemon
        daemon.command = ["env", "--ignore-signal=XFSZ", *daemon.command]
        self.broker.start()
        self.log = self.client("log", 5)
        self.log.subscribe("$SYS/broker/log/E", 0)
        self.log.subscribe("$SYS/broker/log/N", 0)

    def allow(self, size: str) -> None:
        done = subprocess.run(["prlimit", f"--pid={self.broker.daemon.pid}", f"--fsize={size}:"],
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)

    def logged(self, text: str) -> int:
        return sum(text in payload.decode() for _, payload, _, _, _ in self.log.receive_all(0.3))

    def fails(self, client, topic="t/a", **options) -> None:
        with self.assertRaises((ConnectionError, OSError)):
            client.publish(topic, b"lost", **options)

    def test_what_cannot_be_kept_is_not_acked(self):
        listener = self.client("listener", 5)
        listener.subscribe("t/#", 1)
        v5, v4, numbered = self.client("v5", 5), self.client("v4", 4), self.client("numbered", 5)
        self.assertEqual(v5.publish("t/a", b"before"), 0)
        self.assertEqual(self.logged("cannot be written"), 0)

        self.allow("0")
        for _ in range(3):
            self.assertEqual(v5.publish("t/a", b"lost"), 0x87)
        self.assertEqual(v5.publish("t/a", b"lost", 2), 0x87)
        self.fails(v4)
        self.fails(self.client("v4-2", 4), qos=2)
        self.fails(numbered, props=number_property(1))
        v5.publish("t/a", b"qos 0", 0)
        v5.ping()
        stats = self.wait_stat("unstored_qos0", 1)
        self.assertEqual(stats["store_failures"], 7)
        self.assertGreater(stats["journal_failures"], 0, "no write was refused: the fault did not fire")
        self.assertEqual(self.logged("cannot be written"), 1)
        self.assertEqual([m[1] for m in listener.receive_all()], [b"before", b"qos 0"])

        self.allow("unlimited")
        self.assertEqual(v5.publish("t/a", b"after"), 0)
        again = self.client("numbered", 5)
        self.assertEqual(again.publish("t/a", b"one", props=number_property(1)), 0)
        self.assertEqual(self.client("v4", 4).publish("t/a", b"v4"), 0)
        self.assertEqual(self.logged("is written again"), 1)
        kept = [b"before", b"after", b"one", b"v4"]
        self.assertEqual([record["payload"] for record in self.journal(4)], kept)
        self.assertEqual([m[1] for m in listener.receive_all()], kept[1:])
        numbers = [record["seq"] for record in self.journal()]
        self.assertEqual(numbers, sorted(set(numbers)))

    def test_a_full_disk_does_not_cost_the_sessions(self):
        """Mosquitto 2.0.11 replaces its snapshot by one that is cut off when the disk is full."""
        v5, sent = self.fill()
        for short in (100, 1, 3000):  # it ends too early in what the broker does not look at
            broken = self.stats()["snapshots_broken"]

            def is_broken() -> bool:
                # Once more when it fits: the retained statistics in it have become shorter.
                self.allow(str(self.db_file.stat().st_size - short))
                os.kill(self.broker.daemon.pid, signal.SIGUSR1)
                time.sleep(1.2)
                return self.stats()["snapshots_broken"] > broken
            wait_until(is_broken, PATIENCE_S, "a snapshot to be cut off")
        told = self.logged("is put back, nothing is lost")  # once, and again after one that fitted in between
        self.assertTrue(1 <= told <= self.stats()["snapshots_broken"], told)
        self.broker.kill9()
        self.broker.start()
        self.assertEqual([m[1] for m in self.come_back("sub")], sent)

    def test_our_statistics_are_the_last_thing_in_a_snapshot(self):
        """By that the plugin knows one that was cut off at the end of a chunk."""
        self.fill()
        self.stats()
        self.snapshot()
        data, at, chunks = self.db_file.read_bytes(), 23, []
        while at < len(data):
            kind, size = int.from_bytes(data[at:at + 4], "big"), int.from_bytes(data[at + 4:at + 8], "big")
            chunks.append((kind, data[at + 8:at + 8 + size]))
            at += 8 + size
        topic = STATS.encode()
        ours = [body[:8] for kind, body in chunks if kind == 2 and body[22:28] == bytes((0, 0, 0, 0, 0, len(topic)))
                and body[32:32 + len(topic)] == topic]
        self.assertEqual(len(ours), 1)
        self.assertEqual(chunks[-1], (4, ours[0]))

    def test_a_stop_while_the_disk_is_full(self):
        _, sent = self.fill()
        self.allow(str(self.db_file.stat().st_size - 100))
        self.broker.stop()
        self.broker.start()
        self.assertEqual([m[1] for m in self.come_back("sub")], sent)

    def test_a_refused_message_is_not_in_the_replay(self):
        v5, sent = self.fill()
        self.allow("0")
        self.assertEqual(v5.publish("t/a", b"refused"), 0x87)
        self.broker.kill9()
        self.broker.start()
        self.assertEqual([m[1] for m in self.come_back("sub")], sent)

    def fill(self):
        """A session with messages waiting, and a snapshot that has most of them."""
        self.session("sub", "t/#")
        v5 = self.client("v5", 5)
        sent = [b"%d" % number for number in range(200)]
        for payload in sent:
            self.assertEqual(v5.publish("t/a", payload), 0)
            if payload == b"190":
                self.snapshot()
        return v5, sent


class TooLargeTest(PluginTest):
    """What fits here must fit at every tier above, where a record grows by its origin and its topic by the
    site's name: so the limits for a message that is born here are below those of a record."""

    def test_a_message_at_the_limits_is_kept_and_one_above_is_refused(self):
        self.broker.start()
        client = self.client("big", 5)
        long_topic = "t/" + "x" * 59_998
        self.assertLess(client.publish(long_topic, b"fits"), 0x80)
        self.assertEqual(client.publish(long_topic + "x", b"one byte more"), 0x87)
        most = b"p" * (16 * 1024 * 1024 - 38 - len("t/a") - len("big"))
        self.assertLess(client.publish("t/a", most), 0x80)
        self.assertEqual(client.publish("t/a", most + b"p"), 0x87)
        self.assertEqual(self.wait_stat("store_failures", 2)["store_failures"], 2)
        self.assertEqual([len(record["payload"]) for record in self.journal(2)], [4, len(most)])


class ClosedTopicsTest(PluginTest):
    needs_certificates = True

    def test_ordinary_clients_are_kept_out(self):
        self.broker.start()
        for version in (4, 5):
            client = self.client(f"any{version}", version)
            for topic in ("$tombolo/#", "$tombolo/v1/up/+", "$tombolo/v1/down/s1", "$share/g/$tombolo/v1/up/s1"):
                self.assertGreaterEqual(client.subscribe(topic), 0x80, topic)
            self.assertLess(client.subscribe(STATS), 0x80)
            self.assertEqual(client.receive()[0], STATS)
        for topic in ("$tombolo/v1/commit", "$tombolo/v1/up/s1", "$tombolo/v1/void", STATS, "$tombolo/x"):
            self.assertEqual(client.publish(topic, b"x"), 0x87, topic)
        self.assertEqual(self.journal(), [])
        self.assertIn("client any5 (no site's certificate) may not write $tombolo/v1/commit",
                      self.broker.daemon.log())

    def test_a_site_is_only_itself(self):
        self.broker.start()
        hub, s1 = self.tls_client("hub"), self.tls_client("s1")
        self.assertLess(hub.subscribe("$tombolo/v1/up/+"), 0x80)
        self.assertLess(s1.subscribe("$tombolo/v1/down/s1"), 0x80)
        s1.publish("$tombolo/v1/up/s1", b"hello", 0)
        self.assertEqual(hub.receive()[:2], ("$tombolo/v1/up/s1", b"hello"))
        hub.publish("$tombolo/v1/down/s1", b"welcome", 0)
        self.assertEqual(s1.receive()[:2], ("$tombolo/v1/down/s1", b"welcome"))
        for topic in ("$tombolo/v1/up/s2", "$tombolo/v1/commit", "s2/t/a", "t/a", "s1/t/a"):
            self.assertEqual(s1.publish(topic, b"x"), 0x87, topic)
        for topic in ("$tombolo/v1/down/s2", "$tombolo/v1/down/+", "#", "t/a"):
            self.assertGreaterEqual(s1.subscribe(topic), 0x80, topic)
        self.assertIn("refused: client tombolo-s1 (certificate of site s1) may not write $tombolo/v1/up/s2",
                      self.broker.daemon.log())
        self.assertEqual(self.wait_stat("denied", 9)["denied"], 9)
        self.assertEqual(self.journal(), [])
        self.assertEqual(hub.receive_all(0.2), [])

    def test_a_site_cannot_speak_for_another_by_its_will(self):
        self.broker.start()
        listener = self.client("listener", 5)
        listener.subscribe("s2/#")
        dying = self.tls_client("s1", will=("s2/t/a", b"I am s2"))
        dying.ping()
        dying.drop()
        self.wait_stat("denied", 1)
        self.assertEqual(listener.receive_all(0.3), [])
        self.assertEqual(self.journal(), [])
        honest = self.client("honest", will=("s2/t/a", b"me"))
        honest.ping()
        honest.drop()
        self.assertEqual(listener.receive()[1], b"me")

    def test_a_stranger_does_not_inherit_the_place_of_a_node_that_left(self):
        """The broker gives the memory of a client that left to the next one: same address, and the id is known."""
        self.broker.start()
        for client in [self.client(f"crowd{i}") for i in range(12)]:
            client.close()  # else the memory goes to the allocator's cache and not to the next client
        for name, client_id in (("s1", "tombolo-s1"), ("hub", "tombolo-syncd")):
            node = self.tls_client(name, client_id)
            node.ping()
            for i in range(3):
                self.client(f"{name}-pin{i}")  # what the allocator has nearer at hand
            node.close()
            for attempt in range(20):
                stranger = self.client(client_id, 5)
                self.assertGreaterEqual(stranger.publish("$tombolo/v1/up/s1", b"forged"), 0x80)
                self.assertGreaterEqual(stranger.publish("$tombolo/v1/commit", b"\x01"), 0x80)
                self.assertGreaterEqual(stranger.subscribe("$tombolo/v1/down/s1"), 0x80)
                self.assertLess(stranger.publish("t/a", b"as anybody"), 0x80, "an ordinary topic")
                stranger.close()

    def test_a_site_that_floods_is_hung_up_on(self):
        self.broker.start()
        hub, flood, honest = self.tls_client("hub"), self.tls_client("s1"), self.tls_client("s2")
        hub.subscribe("$tombolo/v1/up/s2", 0)
        with self.assertRaises((ConnectionError, OSError)):
            for _ in range(200_000):  # until it is; a slow machine takes more of them a second's worth at a time
                flood.send("$tombolo/v1/up/s1", b"x" * 100, 0)
            flood.ping()
        honest.publish("$tombolo/v1/up/s2", b"still heard", 0)
        self.assertEqual(hub.receive()[1], b"still heard")
        self.assertEqual(self.wait_stat("sites_hung_up", 1)["sites_hung_up"], 1)
        self.assertIn("site s1 sends more than 2000 frames a second", self.broker.daemon.log())
        again = self.tls_client("s1")
        again.ping()

    def test_another_domain_is_nobody(self):
        self.broker.start()
        self._certificates["hub2"] = self.authority.issue("hub2", "spiffe://other.example/site/hub")
        stranger = self.tls_client("hub2")
        self.assertEqual(stranger.publish("$tombolo/v1/commit", b"\x01"), 0x87)
        self.assertLess(stranger.publish("t/a", b"an ordinary client"), 0x80)


if __name__ == "__main__":
    unittest.main()
