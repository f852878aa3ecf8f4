# SPDX-License-Identifier: Apache-2.0
"""Sessions of every kind through kill -9: short ones, clean ones, shared subscriptions, and other brokers that
bridge in and out."""

import struct
import time

from plugin_lab import PATIENCE_S, PluginTest
from plugin_raw import PINGRESP, PUBLISH, Raw
from test_plugin_replay import publish_many
from tombolo_lab import Broker
from tombolo_lab.net import wait_until


class SessionTest(PluginTest):
    def restart(self):
        self.broker.kill9()
        self.broker.start()

    def numbers(self, name: str, version: int = 4) -> list:
        return [int(m[1]) for m in self.come_back(name, version)]


class LastingTest(SessionTest):
    def test_made_used_and_cut_and_the_broker_killed(self):
        """MQTT 5, clean start 0 with an expiry: nothing but the connection ends."""
        self.broker.start()
        client = self.client("sub", 5, clean=False, expiry_s=3600)
        self.assertEqual(client.subscribe("t/#"), 1)
        publisher = self.client("pub")
        publish_many(publisher, "t/a", 1, 10)
        self.assertEqual([int(client.receive()[1]) for _ in range(10)], list(range(1, 11)))
        client.drop()
        publish_many(publisher, "t/a", 11, 100)
        self.restart()
        self.assertEqual(sorted(set(self.numbers("sub", 5)) - set(range(1, 11))), list(range(11, 101)))

    def test_connected_all_the_time_and_the_broker_killed_again_and_again(self):
        self.broker.start()
        self.session("sub", "t/#", version=5)
        for life in range(3):
            client = self.client("sub", 5, clean=False)
            self.assertTrue(client.session_present, f"life {life}")
            self.snapshot()
            publish_many(self.client("pub"), "t/a", life * 10, life * 10 + 9)
            got = [int(m[1]) for m in client.receive_all()]
            self.assertEqual(got[-10:], list(range(life * 10, life * 10 + 10)))
            self.restart()

    def test_known_an_expiry_of_0_is_no_lasting_session(self):
        self.broker.start()
        client = self.client("sub", 5, clean=False, expiry_s=0)
        client.subscribe("t/#")
        self.snapshot()
        client.drop()
        publish_many(self.client("pub"), "t/a", 1, 5)
        self.assertFalse(self.client("sub", 5, clean=False).session_present)


    def test_known_begun_with_clean_start_1_it_lasts_from_the_next_snapshot_or_subscription_on(self):
        self.broker.start()
        for number, what in enumerate(("nothing", "snapshot", "subscription")):
            name = f"sub-{number}"
            self.client(name, 5, clean=True, expiry_s=3600).subscribe("t/#")
            client = self.client(name, 5, clean=False)
            self.assertTrue(client.session_present)
            if what == "snapshot":
                self.snapshot()
            elif what == "subscription":
                client.subscribe("t/#")
            publish_many(self.client("pub"), "t/a", 1, 5)
            client.drop()
            self.restart()
            self.assertEqual(self.client(name, 5, clean=False).session_present, what != "nothing", what)

    def test_known_what_the_broker_finds_at_its_start_expires_only_after_its_client_was_back(self):
        """One that expires soon, and one of expiry 0 that is connected at the kill. The third, made later, shows that
        the time of all three is over."""
        self.broker.start()
        self.client("ghost-1", 5, clean=False, expiry_s=1).subscribe("t/#")
        self.client("ghost-0", 5, clean=False, expiry_s=0).subscribe("t/#")
        self.restart()
        fresh = self.client("ghost-2", 5, clean=False, expiry_s=1)
        fresh.subscribe("t/#")
        fresh.close()

        def saved() -> list:
            self.snapshot()
            data = self.db_file.read_bytes()
            return [name for name in (b"ghost-1", b"ghost-0", b"ghost-2") if name in data]
        wait_until(lambda: b"ghost-2" not in saved(), PATIENCE_S, "the session to expire")
        self.assertEqual(saved(), [b"ghost-1", b"ghost-0"])
        for name in ("ghost-1", "ghost-0"):
            self.client(name, 5, clean=True).close()
        self.assertEqual(saved(), [])


class FlightTest(SessionTest):
    """What MQTT 5 clients say they can take, and what Mosquitto 2.0.11 makes of it."""

    def test_known_messages_above_the_maximum_packet_size_leave_a_client_standing(self):
        self.broker.start()
        publisher, small = self.client("pub"), b"\x27" + struct.pack(">I", 200)
        client = self.client("sub", 5, clean=False, props=small)
        client.subscribe("t/#")
        for _ in range(20):  # max_inflight_messages
            publisher.publish("t/large", b"x" * 200)
        publisher.publish("t/small", b"1")
        self.assertEqual(client.receive_queued(), [])
        client.close()
        client = self.client("sub", 5, clean=False, props=small)
        self.assertEqual([m[1] for m in client.receive_queued()], [b"1"])

    def test_known_the_receive_maximum_is_passed_by_a_session_that_works_off_what_it_has(self):
        def unacked(client) -> list:
            client._send(0xc0, b"")
            found = []
            while (packet := client.packet())[0] != PINGRESP:
                self.assertEqual(packet[0], PUBLISH)
                found.append(packet[2][5:7])  # the topic is of three bytes
            return found
        self.broker.start()
        self.session("sub", "t/#", version=5)
        publish_many(self.client("pub"), "t/a", 1, 50)
        client = self.client("sub", 5, clean=False, props=b"\x21" + struct.pack(">H", 5))
        waiting = unacked(client)
        self.assertEqual(len(waiting), 5)
        client._send(0x40, waiting.pop(0))
        self.assertGreater(len(waiting + unacked(client)), 5)


class FullQueueTest(SessionTest):
    settings = {"max_queued_messages": "10000"}  # the least that the plugin takes

    def test_known_what_is_above_max_queued_messages_is_stored_and_not_delivered(self):
        self.broker.start()
        self.session("sub", "t/#")
        publish_many(self.client("pub"), "t/a", 1, 10010)
        self.assertIn("Outgoing messages are being dropped for client sub", self.broker.daemon.log())
        self.assertEqual(len(self.journal(10010, check=False)), 10010)
        self.restart()
        self.assertEqual(self.numbers("sub"), list(range(1, 10001)))


class CleanTest(SessionTest):
    def check(self, version: int, expiry_s: int = None):
        self.broker.start()
        client = self.client("sub", version, clean=True, expiry_s=expiry_s)
        client.subscribe("t/#")
        self.snapshot()
        publisher = self.client("pub", 5)
        self.assertEqual(publisher.publish("t/a", b"1"), 0)
        self.assertEqual(client.receive()[1], b"1")
        self.restart()
        client = self.client("sub", version, clean=False)
        self.assertFalse(client.session_present)
        client.subscribe("t/#")
        self.assertEqual(self.client("pub", 5).publish("t/a", b"2"), 0)
        self.assertEqual([m[1] for m in client.receive_all()], [b"2"])
        self.assertEqual([r["payload"] for r in self.journal(2)], [b"1", b"2"])

    def test_a_clean_session_ends_with_the_broker_and_gets_nothing_twice(self):
        self.check(4)

    def test_known_mqtt_5_clean_start_1_with_an_expiry_ends_too(self):
        self.check(5, expiry_s=3600)

    def test_known_what_it_has_ended_is_there_again_until_a_snapshot_knows(self):
        self.broker.start()
        self.session("sub", "t/#")
        for with_snapshot in (False, True):
            self.client("sub", clean=True).close()
            if with_snapshot:
                self.snapshot()
            self.restart()
            self.assertEqual(self.client("sub", clean=False).session_present, not with_snapshot)


class SharedTest(SessionTest):
    COUNT = 30

    def group(self) -> list:
        members = [self.client(f"m{n}", 4, clean=False) for n in range(2)]
        for member in members:
            self.assertEqual(member.subscribe("$share/g/t/#"), 1)
        return members

    def test_what_the_group_had_waiting_in_the_snapshot_comes(self):
        self.broker.start()
        for member in self.group():
            member.close()
        publish_many(self.client("pub"), "t/a", 1, self.COUNT)
        self.snapshot()
        self.restart()
        self.assertEqual(sorted(self.numbers("m0") + self.numbers("m1")), list(range(1, self.COUNT + 1)))

    def test_known_a_shared_subscription_ends_with_the_broker(self):
        """Mosquitto 2.0.11 saves the sessions and their other subscriptions, not these: members subscribe again."""
        self.broker.start()
        for member in self.group():
            member.close()
        self.snapshot()
        publish_many(self.client("pub"), "t/a", 1, self.COUNT)
        self.restart()
        self.assertEqual(self.numbers("m0") + self.numbers("m1"), [])
        self.assertEqual(len(self.journal(self.COUNT)), self.COUNT)  # and so the parent gets them
        members = self.group()
        self.assertGreaterEqual(self.wait_stat("shared_subscribes", 2)["shared_subscribes"], 2)
        self.assertIn("Mosquitto forgets shared subscriptions", self.broker.daemon.log())
        publish_many(self.client("pub"), "t/a", 1, self.COUNT)
        got = [int(m[1]) for member in members for m in member.receive_all()]
        self.assertEqual(sorted(got), list(range(1, self.COUNT + 1)))


class BridgeTest(SessionTest):
    """A plain Mosquitto beside ours; one of the two has the bridge."""

    def far_broker(self, **settings) -> Broker:
        far = Broker("far", self.folder / "far", settings=settings)
        self.addCleanup(far.stop)
        return far

    def test_bridged_in_it_is_stored_before_the_far_broker_gets_its_ack(self):
        self.broker.start()
        self.session("sub", "t/#")
        far = self.far_broker()
        far.conf_file.write_text(far.conf_file.read_text(encoding="utf-8") + "\n".join((
            "connection up", f"address 127.0.0.1:{self.broker.port}", "topic # out 1", "cleansession false",
            "restart_timeout 1", "try_private false", "notifications false", "")), encoding="utf-8")
        far.start()
        publisher = Raw(far.port, "pub")
        self.addCleanup(publisher.sock.close)
        wait_until(lambda: publisher.publish("up", b"?") == 0 and self.journal(), 60, "the bridge", 0.2)
        for life in range(3):
            publish_many(publisher, "t/a", life * 200 + 1, life * 200 + 200, window=50)
            self.restart()

        def numbers():
            return {int(r["payload"]) for r in self.journal() if r["topic"] == "t/a"}
        wait_until(lambda: len(numbers()) == 600, 60, lambda: f"all 600, there are {len(numbers())}", 0.2)
        self.restart()
        self.assertEqual(sorted(set(self.numbers("sub"))), list(range(1, 601)))

    def test_what_nobody_may_write_does_not_stop_a_bridge(self):
        far = self.far_broker()
        self.broker.conf_file.write_text(self.broker.conf_file.read_text(encoding="utf-8") + "\n".join((
            "connection in", f"address 127.0.0.1:{far.port}", "topic # in 2", "cleansession false",
            "restart_timeout 1", "try_private false", "notifications false", "")), encoding="utf-8")
        far.start()
        self.broker.start()
        publisher = Raw(far.port, "pub")
        self.addCleanup(publisher.sock.close)
        wait_until(lambda: publisher.publish("up", b"?") == 0 and self.journal(), 60, "the bridge", 0.2)
        for qos in (1, 2):
            publisher.publish("s9/tombolo/loss", b"forged", qos)
        publisher.publish("t/a", b"behind it")
        wait_until(lambda: self.journal()[-1]["payload"] == b"behind it", 60, "what came behind", 0.2)
        self.assertEqual({record["topic"] for record in self.journal()}, {"up", "t/a"})
        self.assertEqual(self.wait_stat("denied", 2)["denied"], 2, "sent once, and acked")

    def bridge_out(self, far: Broker, *lines: str):
        self.broker.conf_file.write_text(self.broker.conf_file.read_text(encoding="utf-8") + "\n".join((
            "connection out", f"address 127.0.0.1:{far.port}", "topic t/# out 1", "topic live/# out 0",
            "cleansession false", "restart_timeout 1", "try_private false", "notifications false", *lines, "")),
            encoding="utf-8")

    def reader(self, far: Broker) -> Raw:
        reader = Raw(far.port, "reader")
        self.addCleanup(reader.sock.close)
        self.assertEqual(reader.subscribe("#"), 1)
        return reader

    def check_bridged_out(self, is_far_up: bool):
        """The far broker is there before ours comes back with what was acked, or after."""
        far = self.far_broker()
        self.bridge_out(far, "bridge_protocol_version mqttv50")
        self.broker.start()
        publish_many(self.client("pub"), "t/a", 1, 100)
        self.broker.kill9()
        if is_far_up:
            far.start()
            reader = self.reader(far)
        self.broker.start()
        publish_many(self.client("pub"), "t/a", 101, 200)
        if not is_far_up:
            far.start()
            reader = self.reader(far)
        got, end = set(), time.monotonic() + 60
        while len(got) < 200 and time.monotonic() < end:
            got |= {int(m[1]) for m in reader.receive_all(0.3)}
        self.assertEqual(sorted(got), list(range(1, 201)))
        self.assertNotIn("leave it standing", self.broker.daemon.log())

    def test_bridged_out_the_far_broker_gets_what_was_acked_before_it_was_there(self):
        self.check_bridged_out(False)

    def test_bridged_out_the_far_broker_is_there_when_ours_comes_back(self):
        self.check_bridged_out(True)

    def check_stands_still(self, far: Broker):
        """What comes over the bridge with QoS 0, when it is connected, shows that it is, and that nothing was sent
        before."""
        far.start()
        reader = self.reader(far)
        self.broker.start()
        publisher, got = self.client("pub"), []

        def is_connected():
            publisher.publish("live/a", b"0", 0)
            got.extend(reader.receive_all(0.1))
            return any(topic == "live/a" for topic, *_ in got)
        wait_until(is_connected, 60, "the bridge", 0.1)
        self.assertEqual({topic for topic, *_ in got}, {"live/a"})
        self.assertIn('"out" speaks MQTT 3.1.1, with which this broker can leave it standing',
                      self.broker.daemon.log())

    def test_known_a_bridge_of_mqtt_3_1_1_can_stand_still(self):
        """Mosquitto 2.0.11 counts what is queued while the bridge has no connection as in flight."""
        far = self.far_broker()
        self.bridge_out(far)
        self.broker.start()
        publish_many(self.client("pub"), "t/a", 1, 100)
        self.broker.kill9()
        self.check_stands_still(far)

    def test_known_a_bridge_of_mqtt_3_1_1_stands_still_behind_what_is_retained(self):
        far = self.far_broker()
        self.broker.start()
        publisher = self.client("pub")
        for number in range(20):  # max_inflight_messages
            publisher.publish(f"t/{number}", b"1", retain=True)
        self.assertEqual(self.broker.stop(), 0)
        self.bridge_out(far)
        self.check_stands_still(far)
