# SPDX-License-Identifier: Apache-2.0
"""Retained messages, wills, expiry, and what is easily forgotten: empty payloads and client ids, $SYS."""

import signal
import struct
import subprocess
import time

from plugin_lab import PluginTest
from tombolo_lab.net import wait_until


class StateTest(PluginTest):
    def restart(self):
        self.broker.kill9()
        self.broker.start()

    def payloads(self, name: str = "sub", version: int = 4) -> list:
        return [m[1] for m in self.come_back(name, version)]

    def retained(self, topic: str) -> list:
        reader = self.client("reader", 5)
        reader.subscribe(topic)
        found = [m[1] for m in reader.receive_all() if m[3]]
        reader.close()
        return found

    def wills(self, count: int) -> list:
        return [r["payload"] for r in self.journal(count) if r["will"]]


class RetainedTest(StateTest):
    """Each step is acked, or, QoS 0, in the file, before the broker is killed; snapshots at every place."""

    def steps(self, *steps):
        """(payload, QoS), with a snapshot before the step when it begins with True."""
        publisher, count = self.client("pub", 5), len(self.journal())
        for step in steps:
            with_snapshot, payload, qos = step
            if with_snapshot:
                self.snapshot()
            self.assertLess(publisher.publish("r/t", payload, qos, retain=True), 0x80)
            count += 1
            self.journal(count)

    def test_what_was_cleared_does_not_come_back(self):
        self.broker.start()
        for qos in (1, 0):
            for first in (False, True):
                for second in (False, True):
                    with self.subTest(qos=qos, snapshot_between=first, snapshot_after=second):
                        self.steps((False, b"1", 1), (first, b"", qos))
                        if second:
                            self.snapshot()
                        self.restart()
                        self.assertEqual(self.retained("r/t"), [])
                        self.restart()
                        self.assertEqual(self.retained("r/t"), [])

    def test_what_was_overwritten_does_not_come_back(self):
        self.broker.start()
        for first in (False, True):
            for second in (False, True):
                with self.subTest(snapshot_between=first, snapshot_after=second):
                    self.steps((False, b"1", 1), (first, b"2", 1))
                    if second:
                        self.snapshot()
                    self.restart()
                    self.assertEqual(self.retained("r/t"), [b"2"])

    def test_cleared_and_set_again(self):
        self.broker.start()
        self.steps((False, b"1", 1), (True, b"", 1), (True, b"3", 0))
        self.restart()
        self.assertEqual(self.retained("r/t"), [b"3"])


class WillTest(StateTest):
    def device(self, **options):
        return self.client("device", 5, will=("w/device", b"gone"), **options)

    def test_of_a_device_that_is_killed(self):
        self.broker.start()
        self.session("sub", "w/#")
        device = subprocess.Popen(  # a process of its own, for a kill of its own
            ["mosquitto_sub", "-p", str(self.broker.port), "-i", "device", "-t", "up", "-q", "1", "--will-topic",
             "w/device", "--will-payload", "gone", "--will-qos", "1", "--will-retain"], stdout=subprocess.DEVNULL)
        self.addCleanup(device.wait)
        self.addCleanup(device.kill)
        publisher = self.client("pub", 5)  # 0x10: nobody has subscribed
        wait_until(lambda: publisher.publish("up", b"?") == 0, 30, "the device's subscription")
        device.send_signal(signal.SIGKILL)
        device.wait()
        wait_until(lambda: self.wills(0), 30, "the will")
        self.restart()
        self.assertEqual(self.payloads(), [b"gone"])
        self.assertEqual(self.retained("w/device"), [b"gone"])

    def test_with_a_delay_it_is_kept_when_it_is_due_and_not_before(self):
        self.broker.start()
        self.session("sub", "w/#")
        device, began = self.device(will_delay_s=2, clean=False), time.monotonic()
        device.drop()
        wait_until(lambda: self.wills(0), 30, "the will")
        self.assertGreaterEqual(time.monotonic() - began, 2)
        self.restart()
        self.assertEqual(self.payloads(), [b"gone"])

    def test_with_a_delay_and_back_in_time_there_is_none(self):
        self.broker.start()
        self.device(will_delay_s=5, clean=False).drop()
        time.sleep(0.2)
        again = self.device(will_delay_s=5, clean=False)
        self.assertTrue(again.session_present)
        time.sleep(7)
        self.assertEqual(self.wills(0), [])
        again.close()

    def test_known_with_a_delay_it_waits_for_those_that_went_later(self):
        self.broker.start()
        other = self.client("other")
        for delay_s in (3, 10, 30):  # were the first due before the second went, it would wait for nobody
            before = len(self.wills(0))
            first = self.client("first", 5, will=("w", b"first"), will_delay_s=delay_s, clean=False)
            second = self.client("second", 5, will=("w", b"second"), will_delay_s=delay_s, clean=False)
            first.drop()
            other.ping()  # the broker has seen it go
            time.sleep(1.1)  # a second later, as the broker counts
            second.drop()
            other.ping()
            if len(self.wills(0)) == before:
                break
        wait_until(lambda: len(self.wills(0)) >= before + 2, 60, "both wills")
        self.assertEqual(self.wills(0)[before:], [b"second", b"first"])

    def test_when_the_broker_stops_those_that_wait_and_those_of_the_connected_are_kept(self):
        self.broker.start()
        self.session("sub", "w/#")
        self.client("late", 5, will=("w/late", b"late"), will_delay_s=100, clean=False).drop()
        self.client("here", 5, will=("w/here", b"here"), will_retain=True)
        self.assertEqual(self.broker.stop(), 0)
        self.assertEqual(sorted(self.wills(2)), [b"here", b"late"])
        self.broker.start()
        self.assertEqual(sorted(self.payloads()), [b"here", b"late"])
        self.assertEqual(self.retained("w/here"), [b"here"])

    def test_retained_and_overwritten_it_stays_overwritten(self):
        self.broker.start()
        self.device(will_retain=True).drop()
        wait_until(lambda: self.wills(0), 30, "the will")
        self.device().publish("w/device", b"here", retain=True)
        self.restart()
        self.assertEqual(self.retained("w/device"), [b"here"])

    def test_known_a_broker_that_is_killed_takes_the_wills_of_its_clients_with_it(self):
        """It keeps them in memory alone: of those connected, and of those whose delay was running."""
        self.broker.start()
        self.session("sub", "w/#")
        self.client("late", 5, will=("w/late", b"late"), will_delay_s=8, clean=False).drop()
        self.client("here", 5, will=("w/here", b"here"))
        self.snapshot()  # on a machine with other work, seconds: it must die before the delay is over
        self.restart()
        time.sleep(9)
        self.assertEqual(self.wills(0), [])
        self.assertEqual(self.payloads(), [])


class ExpiryTest(StateTest):
    def publish(self, expiry_s: int):
        publisher = self.client("pub", 5)
        self.assertLess(publisher.publish("t/a", b"1", props=b"\x02" + struct.pack(">I", expiry_s)), 0x80)
        publisher.close()

    def test_without_a_crash_it_holds(self):
        self.broker.start()
        self.session("sub", "t/#")
        self.publish(1)
        time.sleep(2.5)
        self.assertEqual(self.payloads(), [])

    def test_through_a_crash_it_holds_for_what_is_in_a_snapshot(self):
        self.broker.start()
        self.session("sub", "t/#")
        self.publish(5)  # not 2: a start in the very second in which it expires makes it last for ever
        self.snapshot()
        self.restart()
        time.sleep(6)
        self.assertEqual(self.payloads(), [])

    def test_known_what_is_replayed_does_not_expire(self):
        """The broker takes the expiry off before it asks plugins; so it comes once more, and then is gone."""
        self.broker.start()
        self.session("sub", "t/#")
        self.publish(1)
        self.restart()
        time.sleep(2.5)
        self.assertEqual(self.payloads(), [b"1"])
        self.snapshot()
        self.restart()
        self.assertEqual(self.payloads(), [])

    def test_known_what_is_retained_and_replayed_stays(self):
        self.broker.start()
        publisher = self.client("pub", 5)
        self.assertLess(publisher.publish("r/t", b"1", retain=True, props=b"\x02" + struct.pack(">I", 1)), 0x80)
        self.restart()
        time.sleep(2.5)
        self.assertEqual(self.retained("r/t"), [b"1"])
        self.assertLess(self.client("pub", 5).publish("r/t", b"", retain=True), 0x80)
        self.assertEqual(self.retained("r/t"), [])


class SmallThingsTest(StateTest):
    def test_empty_payloads_are_messages(self):
        self.broker.start()
        self.session("sub", "t/#", 2)
        publisher = self.client("pub")
        for qos in (1, 2):
            publisher.publish(f"t/{qos}", b"", qos)
        self.restart()
        self.assertEqual([m[:3] for m in self.come_back("sub")], [("t/1", b"", 1), ("t/2", b"", 2)])

    def test_a_client_without_an_id(self):
        self.broker.start()
        self.session("sub", "t/#")
        for version in (4, 5):
            publisher = self.client("", version)
            self.assertEqual(publisher.publish("t/a", b"%d" % version), 0)
        names = [r["publisher"] for r in self.journal(2)]
        self.assertTrue(all(names) and names[0] != names[1], names)  # those that the broker gave them
        self.restart()
        self.assertEqual(self.payloads(), [b"4", b"5"])

    def test_sys_is_as_ever(self):
        self.broker.start()
        self.session("sub", "#")
        for _ in range(2):
            reader = self.client("reader")
            reader.subscribe("$SYS/broker/version")
            topic, payload, _, retain, _ = reader.receive()
            self.assertEqual((topic, retain), ("$SYS/broker/version", True))
            self.assertIn(b"mosquitto version 2.", payload)
            reader.close()
            self.restart()
        self.assertEqual(self.journal(), [])
        self.assertEqual(self.payloads(), [])
