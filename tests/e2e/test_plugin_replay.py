# SPDX-License-Identifier: Apache-2.0
"""What the plugin promises through kill -9: acked is delivered, numbered is delivered once, and a broker that
was stopped in good order repeats nothing."""

import time
import unittest
from pathlib import Path

from plugin_lab import PATIENCE_S, PluginTest
from plugin_raw import PUBREC, number_property
from tombolo_lab import Broker

COUNT = 10000


def publish_many(client, topic: str, first: int, last: int, window: int = 500, **options) -> None:
    """Publishes the numbers first..last as payloads, QoS 1, each acked when this returns."""
    waiting = 0
    for number in range(first, last + 1):
        client.send(topic, b"%d" % number, **options)
        waiting += 1
        if waiting == window:
            for _ in range(waiting):
                assert client.ack() < 0x80
            waiting = 0
    for _ in range(waiting):
        assert client.ack() < 0x80


class ReplayTest(PluginTest):
    def numbers(self, messages) -> list:
        return [int(payload) for _, payload, _, _, _ in messages]

    def test_10000_acked_messages_survive_kill9_of_the_broker(self):
        self.broker.start()
        self.session("sub", "t/#")
        before = self.db_state()
        publish_many(self.client("pub"), "t/a", 1, COUNT)
        self.broker.kill9()
        self.assertEqual(self.db_state(), before, "a snapshot had them: the kill proves nothing")
        self.broker.start()
        self.assertEqual(self.numbers(self.come_back("sub")), list(range(1, COUNT + 1)))
        self.assertEqual(self.stats()["replayed"], COUNT)

    def test_without_the_plugin_they_are_lost(self):
        """The control: it is the plugin that keeps them."""
        self.broker = Broker("plain", self.folder)
        self.broker.start()
        client = self.client("sub", clean=False)
        client.subscribe("t/#")
        client.close()
        publish_many(self.client("pub"), "t/a", 1, 100)
        self.broker.kill9()
        self.broker.start()
        client = self.client("sub", clean=False)
        self.assertFalse(client.session_present)
        self.assertEqual(client.receive_all(0.3), [])

    def test_a_snapshot_midway_and_a_session_made_after_it(self):
        self.broker.start()
        self.session("early", "t/#")
        publisher = self.client("pub")
        publish_many(publisher, "t/a", 1, 1000)
        self.snapshot()
        publish_many(publisher, "t/a", 1001, 2000)
        self.session("late", "t/#")
        before = self.db_state()
        publish_many(publisher, "t/a", 2001, 3000)
        self.broker.kill9()
        self.assertEqual(self.db_state(), before)
        self.broker.start()
        self.assertEqual(self.numbers(self.come_back("early")), list(range(1, 3001)))
        self.assertEqual(self.numbers(self.come_back("late")), list(range(2001, 3001)))

    def test_killed_again_and_again_nothing_is_missing(self):
        self.broker.start()
        self.session("sub", "t/#")
        for life in range(5):
            publish_many(self.client("pub"), "t/a", life * 200 + 1, life * 200 + 200)
            self.broker.kill9()
            self.broker.start()
        self.assertEqual(self.numbers(self.come_back("sub")), list(range(1, 1001)))

    def test_a_clean_stop_and_start_replays_nothing(self):
        self.broker.start()
        self.session("sub", "t/#")
        publish_many(self.client("pub"), "t/a", 1, 500)
        self.assertEqual(self.broker.stop(), 0)
        self.broker.start()
        self.assertEqual(self.stats()["replayed"], 0)
        self.assertEqual(self.numbers(self.come_back("sub")), list(range(1, 501)))

    def test_a_clean_stop_then_a_kill_replays_the_second_life_only(self):
        self.broker.start()
        self.session("sub", "t/#")
        publish_many(self.client("pub"), "t/a", 1, 300)
        self.assertEqual(self.broker.stop(), 0)
        self.broker.start()
        publish_many(self.client("pub"), "t/a", 301, 400)
        self.broker.kill9()
        self.broker.start()
        self.assertEqual(self.stats()["replayed"], 100)
        self.assertEqual(self.numbers(self.come_back("sub")), list(range(1, 401)))

    def test_a_damaged_checkpoint_costs_repeats_and_no_message(self):
        self.broker.start()
        self.session("sub", "t/#")
        publish_many(self.client("pub"), "t/a", 1, 100)
        self.snapshot()
        publish_many(self.client("pub"), "t/a", 101, 150)
        self.broker.kill9()
        for name in ("checkpoint", "checkpoint.old"):
            data = bytearray((self.data / name).read_bytes())
            data[20] ^= 1
            (self.data / name).write_bytes(data)
        self.broker.start()
        self.assertEqual(self.broker.daemon.log().count("cannot be used"), 2)
        self.assertEqual(self.numbers(self.come_back("sub")), list(range(1, 101)) + list(range(1, 151)))


class MemoryTest(PluginTest):
    """What is replayed waits in the broker's memory; without a session to get it, it need not."""

    def fill_and_kill(self):
        client = self.client("c", 5)
        for _ in range(100):
            self.assertLess(client.publish("t", b"x" * (1 << 20)), 0x80)
        self.assertLess(client.publish("r", b"state", retain=True), 0x80)
        self.broker.kill9()
        for name in ("checkpoint", "checkpoint.old"):
            (self.data / name).unlink(missing_ok=True)
        self.broker.start()
        reader = self.client("reader", 5)
        reader.subscribe("r")
        self.assertEqual([m[1] for m in reader.receive_all()], [b"state"])

    def peak_mib(self) -> int:
        status = Path(f"/proc/{self.broker.daemon.pid}/status").read_text(encoding="ascii")
        return int(status.split("VmHWM:")[1].split()[0]) >> 10

    def test_a_journal_without_a_session_needs_none(self):
        self.broker.start()
        self.fill_and_kill()  # before any snapshot
        self.assertLess(self.peak_mib(), 60)
        self.snapshot()
        self.fill_and_kill()  # with a snapshot, of retained messages alone
        self.assertLess(self.peak_mib(), 60)
        self.assertEqual(self.stats()["replayed"], 2)

    def test_with_a_session_all_is_there(self):
        self.broker.start()
        self.session("sub", "t")
        self.fill_and_kill()
        self.assertGreaterEqual(len(self.come_back("sub")), 100)  # and those of the snapshot once more


class InFlightTest(PluginTest):
    """QoS 2 between PUBREC and PUBREL: subscribers have not got it, and a snapshot then lacks it."""

    def start(self, clean: bool):
        self.broker.start()
        self.session("sub", "t/#", 2)
        pub = self.client("pub", 4, clean=clean)
        mid = pub.send("t/a", b"1", 2)
        self.assertEqual(pub.ack(PUBREC), 0)
        return pub, mid

    def test_released_after_a_snapshot(self):
        for clean in (False, True):
            with self.subTest(clean=clean):
                pub, mid = self.start(clean)
                self.snapshot()
                pub.release(mid)
                self.broker.kill9()
                self.broker.start()
                self.assertEqual([m[1] for m in self.come_back("sub")], [b"1"])
                self.broker.stop()

    def test_released_after_a_kill(self):
        for with_snapshot in (False, True):
            with self.subTest(with_snapshot=with_snapshot):
                _, mid = self.start(clean=False)
                if with_snapshot:
                    self.snapshot()
                self.broker.kill9()
                self.broker.start()
                pub = self.client("pub", 4, clean=False)
                pub.release(mid)
                self.assertIn([m[1] for m in self.come_back("sub")], ([b"1"], [b"1"] * 2))
                self.broker.stop()

    def test_released_before_a_snapshot_is_not_replayed(self):
        pub, mid = self.start(clean=False)
        pub.release(mid)
        self.assertEqual(pub.publish("t/a", b"2", 2), 0)
        self.snapshot()
        self.broker.kill9()
        self.broker.start()
        self.assertEqual(self.stats()["replayed"], 0)
        self.assertEqual([m[1] for m in self.come_back("sub")], [b"1", b"2"])


    def test_released_after_a_stop(self):
        """The broker drops what a clean session had in flight; a lasting one has it still."""
        for clean in (True, False):
            with self.subTest(clean=clean):
                _, mid = self.start(clean)
                self.assertEqual(self.broker.stop(), 0)
                self.broker.start()
                pub = self.client("pub", 4, clean=clean)
                pub.release(mid)
                self.assertEqual([m[1] for m in self.come_back("sub")], [b"1"])
                self.broker.stop()


class SmallCheckpointTest(PluginTest):
    records = 100

    def test_the_plugin_asks_for_snapshots_by_itself(self):
        self.broker.start()
        self.session("sub", "t/#")
        publish_many(self.client("pub"), "t/a", 1, 500)
        asked = self.wait_stat("snapshots_asked", 2)["snapshots_asked"]  # one for the subscription
        publish_many(self.client("pub"), "t/a", 501, 1000)
        self.wait_stat("snapshots_asked", asked + 1)
        self.wait_stat("checkpoints", 3)
        self.broker.kill9()
        self.broker.start()
        self.assertLess(self.stats()["replayed"], 1000)


class BusySubscriberTest(PluginTest):
    def test_who_subscribes_again_and_again_does_not_keep_the_broker_busy(self):
        """Each subscription of a lasting session wishes for a snapshot; a large one holds everybody up."""
        self.broker.start()
        self.session("offline", "q/#")
        pub = self.client("pub")
        for _ in range(40):
            for _ in range(250):
                pub.send("q/x", b"x" * 5000)
            for _ in range(250):
                self.assertLess(pub.ack(), 0x80)
        self.snapshot()
        before, begin, slowest_s = self.stats(), time.monotonic(), 0
        busy = self.client("busy", clean=False)
        while time.monotonic() < begin + 3:
            busy.subscribe("nothing", 0)
            began = time.monotonic()
            pub.publish("z", b"1")
            slowest_s = max(slowest_s, time.monotonic() - began)
            time.sleep(0.005)
        after = self.wait_stat("snapshots", before["snapshots"] + 1)
        spent_ms, passed_ms = after["snapshot_all_ms"] - before["snapshot_all_ms"], (time.monotonic() - begin) * 1000
        count = after["snapshots"] - before["snapshots"]
        told = f"{count} snapshots of 50 MB took {spent_ms} of {passed_ms:.0f} ms; slowest ack {slowest_s:.3f} s"
        print(told)
        self.assertGreater(spent_ms, 5 * count, f"no machine writes 50 MB so soon: {told}")
        # A twentieth of the time, and two snapshots: broker-plugin/budget.h.
        self.assertLessEqual(spent_ms, passed_ms / 20 + 2 * after["snapshot_worst_ms"] + 1, told)


class RetentionTest(PluginTest):
    def config(self):
        return super().config().replace("    durability", "    retention: { bytes: 64KiB }\n    durability") + \
            "journal:\n  segment_bytes: 64KiB\n"

    def test_nothing_is_dropped_that_a_restart_needs(self):
        self.broker.start()
        self.session("sub", "t/#")
        self.client("pub").publish("t/a", b"0")
        publish_many(self.client("pub"), "t/a" * 100, 1, 1000)  # some 350 KB, far above the retention
        publish_many(self.client("pub"), "t/a", 1, 10)
        time.sleep(12)  # retention is applied each 10 s
        self.assertEqual(self.stats()["journal_dropped_records"], 0)
        self.snapshot()
        self.snapshot()  # what the checkpoint before the last lacks is kept too
        publish_many(self.client("pub"), "t/a", 11, 20)
        end = time.monotonic() + PATIENCE_S
        while self.stats()["journal_dropped_records"] == 0:
            self.assertLess(time.monotonic(), end, "nothing was dropped after the checkpoint")
            publish_many(self.client("pub"), "t/b", 0, 0)  # a change, so that the statistics are renewed
            time.sleep(0.5)
        self.broker.kill9()
        self.broker.start()
        heard = [int(m[1]) for m in self.come_back("sub") if m[0] == "t/a"]
        self.assertEqual(heard, [0, *range(1, 21)])


class NumberedTest(PluginTest):
    durability = "strict"

    def publish(self, client, numbers, qos=1, run="", **options):
        for number in numbers:
            reason = client.publish("t/n", b"%d" % number, qos,
                                    props=number_property(f"{run}{number}"), **options)
            self.assertLess(reason, 0x80, f"number {number}")

    def journal_numbers(self):
        return [int(record["payload"]) for record in self.journal()]

    def test_repeats_are_dropped_across_kill9(self):
        self.broker.start()
        self.session("sub", "t/#")
        self.publish(self.client("pub", 5), range(1, 31))
        self.broker.kill9()
        self.broker.start()
        self.publish(self.client("pub", 5), range(21, 41))  # 21 to 30 again: from the replayed journal
        self.snapshot()
        self.broker.kill9()
        self.broker.start()
        self.publish(self.client("pub", 5), range(31, 51))  # 31 to 40 again: from the checkpoint
        self.assertEqual(self.journal_numbers(), list(range(1, 51)))
        self.assertEqual([int(m[1]) for m in self.come_back("sub")], list(range(1, 51)))
        self.assertEqual(self.wait_stat("repeats", 10)["repeats"], 10)

    def test_runs_clients_and_bad_numbers(self):
        self.broker.start()
        pub = self.client("pub", 5)
        self.publish(pub, [1, 2], run="a:")
        self.publish(pub, [1, 2], run="b:")
        self.publish(pub, [1])
        self.publish(self.client("other", 5), [1], run="a:")
        for bad in ("x", "0", "-1", "", "a:", "9223372036854775808"):
            self.assertLess(pub.publish("t/n", b"7", props=number_property(bad)), 0x80)
            self.assertLess(pub.publish("t/n", b"7", props=number_property(bad)), 0x80)
        self.assertEqual(self.journal_numbers(), [1, 2, 1, 2, 1, 1] + [7] * 12)
        self.assertEqual(self.wait_stat("bad_numbers", 12)["repeats"], 0)

    def test_one_client_with_many_runs_costs_the_others_nothing(self):
        self.broker.start()
        good = self.client("press-7", 5)
        self.publish(good, [17, 17])
        greedy, count = self.client("greedy", 5), 66000
        for run in range(count):
            greedy.send("t/b", b"", 0, props=number_property(f"r{run}:1"))
        greedy.ping()
        self.publish(good, [17])
        stats = self.wait_stat("forgotten", count - 64)
        self.assertEqual((stats["forgotten"], stats["numbered_publishers"]), (count - 64, 65))
        self.assertEqual(stats["repeats"], 2)
        self.snapshot()
        self.broker.kill9()
        self.broker.start()
        self.publish(self.client("press-7", 5), [17])
        self.assertEqual(self.wait_stat("repeats", 1)["repeats"], 1)

    def test_a_retained_repeat_does_not_bring_the_old_value_back(self):
        self.broker.start()
        pub = self.client("pub", 5)
        self.publish(pub, [1, 2, 1], retain=True)
        sub = self.client("sub", 5)
        sub.subscribe("t/n")
        self.assertEqual([m[1] for m in sub.receive_all()], [b"2"])

    def test_qos_2_repeats(self):
        self.broker.start()
        self.session("sub", "t/#", 2)
        clean = self.client("clean", 5)
        self.publish(clean, [1, 2, 2, 1, 3], qos=2)
        lasting = self.client("lasting", 5, clean=False)
        mid = lasting.send("t/n", b"4", 2, props=number_property(4))
        self.assertEqual(lasting.ack(PUBREC), 0)
        lasting.drop()
        lasting = self.client("lasting", 5, clean=False)
        self.assertTrue(lasting.session_present)
        lasting.send("t/n", b"4", 2, props=number_property(4), mid=mid, dup=True)
        self.assertEqual(lasting.ack(PUBREC), 0)
        lasting.release(mid)
        self.assertEqual(self.journal_numbers(), [1, 2, 3, 4])
        self.assertEqual([int(m[1]) for m in self.come_back("sub")], [1, 2, 3, 4])


if __name__ == "__main__":
    unittest.main()
