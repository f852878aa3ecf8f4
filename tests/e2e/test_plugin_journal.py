# SPDX-License-Identifier: Apache-2.0
"""What clients send is in the journal exactly: QoS 0, 1, 2, retained, wills, empty and large payloads, UTF-8
topics, MQTT 5 properties; and what must not be in it is not."""

import os
import signal
import struct
import unittest

from plugin_lab import PATIENCE_S, STATS, PluginTest
from plugin_raw import user_property
from tombolo_lab.net import wait_until

MIB = 1 << 20
PROPS = (b"\x01\x01" + b"\x03\x00\x04text" + b"\x08\x00\x05reply" + b"\x09\x00\x03a\x00b" +
         user_property("k", "v1") + user_property("k", "v2") + user_property("", "ü"))


def brief(record: dict) -> tuple:
    return record["topic"], record["payload"], record["qos"], record["retain"], record["props"]


class JournalTest(PluginTest):
    durability = "strict"

    def test_messages_arrive_as_sent(self):
        self.broker.start()
        listener = self.client("listener", 5)
        listener.subscribe("#", 2)
        sent = []
        for version in (4, 5):
            pub = self.client(f"pub{version}", version)
            for qos in (0, 1, 2):
                for topic, payload, retain in (("t/a", b"x", False), ("t/empty", b"", False),
                                               ("t/zero", b"a\x00b", False), ("t/kept", b"r%d" % qos, True),
                                               ("übung/温度/🌡", "ü".encode(), False), ("/", b"slash", False),
                                               (" / /", b"blank", False), ("t/large", os.urandom(MIB), False)):
                    props = PROPS if version == 5 else b""
                    self.assertLess(pub.publish(topic, payload, qos, retain=retain, props=props), 0x80)
                    sent.append((topic, payload, qos, retain, props))
            pub.ping()
        records = self.journal(len(sent))
        self.assertEqual([brief(record) for record in records], sent)
        self.assertEqual([record["seq"] for record in records], list(range(1, len(sent) + 1)))
        self.assertEqual({record["publisher"] for record in records}, {"pub4", "pub5"})
        self.assertFalse(any(record["will"] or record["number"] or record["origin"] for record in records))
        stamps = [record["stamp"] for record in records]
        self.assertEqual(stamps, sorted(set(stamps)))
        heard = [message for message in listener.receive_all(1)]
        self.assertEqual([(topic, payload, props) for topic, payload, _, _, props in heard],
                         [(topic, payload, props) for topic, payload, _, _, props in sent])
        self.assertEqual(self.wait_stat("messages", len(sent))["messages"], len(sent))

    def test_replay_gives_properties_and_large_and_empty_payloads_back(self):
        self.broker.start()
        self.session("sub", "#", 2, version=5)
        pub, large = self.client("pub", 5), os.urandom(MIB)
        sent = [("t/large", large, 1, PROPS), ("t/empty", b"", 2, b""), ("ü/温", b"x", 1, PROPS)]
        for topic, payload, qos, props in sent:
            pub.publish(topic, payload, qos, props=props)
        self.broker.kill9()
        self.broker.start()
        heard = [(t, p, q, props) for t, p, q, _, props in self.come_back("sub", 5)]
        self.assertEqual(heard, sent)

    def test_retained_messages_come_back_and_cleared_ones_do_not(self):
        self.broker.start()
        pub = self.client("pub")
        for qos in (0, 1, 2):
            pub.publish(f"kept/{qos}", b"old", qos, retain=True)
            pub.publish(f"kept/{qos}", b"new", qos, retain=True)
            pub.publish(f"gone/{qos}", b"x", qos, retain=True)
            pub.publish(f"gone/{qos}", b"", qos, retain=True)
        self.journal(12)
        self.broker.kill9()
        self.broker.start()
        sub = self.client("sub")
        sub.subscribe("#", 2)
        self.assertEqual(sorted((t, p, retain) for t, p, _, retain, _ in sub.receive_all()),
                         [(f"kept/{qos}", b"new", True) for qos in (0, 1, 2)])

    def test_topics_that_begin_with_a_dollar_are_not_kept(self):
        self.broker.start()
        pub = self.client("pub", 5)
        pub.publish("$own/topic", b"x")
        pub.publish("t/a", b"y")
        self.assertEqual([record["topic"] for record in self.journal(1)], ["t/a"])

    def test_reload_changes_nothing(self):
        self.broker.start()
        pub = self.client("pub", 5)
        pub.publish("t/a", b"1")
        os.kill(self.broker.daemon.pid, signal.SIGHUP)
        self.broker.daemon.wait_for_log("Reloading config", PATIENCE_S)
        self.assertLess(pub.publish("t/a", b"2"), 0x80)
        self.assertLess(self.client("after", 4).publish("t/a", b"3"), 0x80)
        self.assertEqual([record["payload"] for record in self.journal(3)], [b"1", b"2", b"3"])

    def test_a_retained_message_handed_to_a_subscriber_is_no_will(self):
        self.broker.start()
        pub = self.client("pub", 5)
        pub.publish("t/kept", b"x", retain=True)
        for name in ("one", "two"):
            sub = self.client(name, 5)
            sub.subscribe("t/#")
            self.assertEqual(sub.receive()[1], b"x")
        pub.publish("t/end", b"y")
        self.assertEqual([record["topic"] for record in self.journal(2)], ["t/kept", "t/end"])

    def test_statistics_are_json_and_not_in_the_way(self):
        self.broker.start()
        everything = self.client("everything", 5)
        everything.subscribe("#")
        self.client("pub", 5).publish("t/a", b"1")
        self.wait_stat("messages", 1)
        heard = everything.receive_all()
        self.assertEqual([message[0] for message in heard], ["t/a"], STATS)


class RemovedTest(PluginTest):
    """Somebody removes the segments of a broker that is running."""

    durability = "strict"

    def remove(self) -> int:
        segments = list(self.broker.folder.rglob("*.seg"))
        for segment in segments:
            segment.unlink()
        return len(segments)

    def test_what_is_written_to_a_removed_file_is_not_acked(self):
        self.broker.start()
        pub = self.client("pub", 5)
        for i in range(5):
            self.assertLess(pub.publish("t/a", b"%d" % i), 0x80)
        self.assertGreaterEqual(self.remove(), 1)
        self.assertGreaterEqual(pub.publish("t/a", b"refused"), 0x80)
        self.assertLess(pub.publish("t/a", b"after"), 0x80)
        self.broker.daemon.wait_for_log("numbers 1 to 5", PATIENCE_S)
        self.assertGreaterEqual(self.wait_stat("journal_damaged_ranges", 1)["store_failures"], 1)
        self.assertEqual([(r["seq"], r["payload"]) for r in self.journal(1) if r["topic"] == "t/a"], [(7, b"after")])
        self.broker.kill9()
        self.broker.start()
        self.assertLess(self.client("again", 5).publish("t/a", b"later"), 0x80)
        records = [(r["seq"], r["payload"]) for r in self.journal(2) if r["topic"] == "t/a"]
        self.assertEqual(records[0], (7, b"after"))
        self.assertEqual(records[1][1], b"later")
        self.assertGreater(records[1][0], 7)


class RemovedProcessTest(RemovedTest):
    durability = "process"

    def test_what_is_written_to_a_removed_file_is_not_acked(self):
        """An ack there waits for no sync; the one that follows within a second notices."""
        self.broker.start()
        pub = self.client("pub", 5)
        for i in range(5):
            self.assertLess(pub.publish("t/a", b"%d" % i), 0x80)
        wait_until(self.remove, PATIENCE_S, "a segment")
        self.assertLess(pub.publish("t/a", b"lost"), 0x80)
        self.broker.daemon.wait_for_log("numbers 1 to ", PATIENCE_S)
        self.assertLess(pub.publish("t/a", b"after"), 0x80)
        kept = wait_until(lambda: [r for r in self.journal() if r["payload"] == b"after"], PATIENCE_S,
                          "the one after")
        self.assertEqual(kept[0]["seq"], 7)
        self.assertNotIn(b"0", [r["payload"] for r in self.journal()])


class WillTest(PluginTest):
    durability = "process"

    def test_wills_are_kept(self):
        self.broker.start()
        self.session("sub", "will/#")
        expected = []
        for version in (4, 5):
            for qos in (0, 1, 2):
                for payload in (b"gone", b""):
                    topic = f"will/{version}/{qos}"
                    dying = self.client(f"dying{version}{qos}{len(payload)}", version, will=(topic, payload),
                                        will_qos=qos, will_retain=qos == 1)
                    dying.ping()
                    dying.drop()
                    expected.append((topic, payload, qos, qos == 1, b""))
                    self.journal(len(expected))
        records = self.journal(len(expected))
        self.assertEqual([brief(record) for record in records], expected)
        self.assertTrue(all(record["will"] for record in records))
        self.assertEqual(records[0]["publisher"], "dying404")
        self.assertEqual(self.wait_stat("wills", 12)["wills"], 12)
        self.broker.kill9()
        self.broker.start()
        heard = [(topic, payload) for topic, payload, _, _, _ in self.come_back("sub")]
        self.assertEqual(heard, [(topic, payload) for topic, payload, qos, _, _ in expected if qos])

    def test_a_client_that_says_goodbye_leaves_no_will(self):
        self.broker.start()
        polite = self.client("polite", will=("will/x", b"no"))
        polite.publish("t/a", b"x")
        polite.close()
        self.client("other").publish("t/a", b"y")
        self.assertEqual([record["topic"] for record in self.journal(2)], ["t/a", "t/a"])

    def test_wills_at_the_end_of_the_broker_are_kept(self):
        self.broker.start()
        self.session("sub", "will/#")
        staying = [self.client(f"staying{n}", will=(f"will/{n}", b"bye")) for n in range(3)]
        for client in staying:
            client.ping()
        self.assertEqual(self.broker.stop(), 0)
        self.assertEqual(sorted(record["topic"] for record in self.journal(3)), ["will/0", "will/1", "will/2"])
        self.broker.start()
        self.assertEqual(len(self.come_back("sub")), 3)
        self.assertEqual(self.stats()["replayed"], 0)


class AclFileTest(PluginTest):
    """With an acl_file the broker may deny after us, so a will must be proven by a reader."""

    def setUp(self):
        super().setUp()
        acl = self.folder / "acl"
        acl.write_text("topic readwrite ok/#\ntopic read $tombolo/v1/stats/#\n", encoding="utf-8")
        conf = self.broker.conf_file
        conf.write_text(f"acl_file {acl}\n" + conf.read_text(encoding="utf-8"), encoding="utf-8")

    def test_a_denied_publish_is_not_kept(self):
        self.broker.start()
        pub = self.client("pub", 5)
        for qos in (1, 2):
            self.assertGreaterEqual(pub.publish("no/a", b"denied", qos), 0x80)
            self.assertLess(pub.publish("ok/a", b"fine", qos), 0x80)
        pub.publish("no/a", b"denied", 0)
        pub.publish("ok/a", b"fine", 0)
        self.assertEqual([record["topic"] for record in self.journal(3)], ["ok/a"] * 3)
        self.assertEqual(self.wait_stat("wills_unconfirmed", 3)["wills"], 0)

    def test_a_will_that_somebody_reads_is_kept_and_another_is_counted(self):
        self.broker.start()
        sub = self.client("sub", 5)
        sub.subscribe("ok/#")
        for topic in ("ok/read", "no/denied"):
            dying = self.client("dying", will=(topic, b"gone"))
            dying.ping()
            dying.drop()
        self.assertEqual(sub.receive()[1], b"gone")
        records = self.journal(1)
        self.assertEqual([(record["topic"], record["will"]) for record in records], [("ok/read", True)])
        self.assertEqual(self.wait_stat("wills_unconfirmed", 1)["wills"], 1)

    def test_tombolo_topics_stay_closed_though_the_file_says_nothing(self):
        self.broker.start()
        sub = self.client("sub", 5)
        self.assertGreaterEqual(sub.subscribe("$tombolo/v1/up/+"), 0x80)
        self.assertGreaterEqual(sub.publish("$tombolo/v1/commit", b"x"), 0x80)


class ReloadAclTest(PluginTest):
    def test_an_acl_file_that_comes_with_a_reload_counts(self):
        self.broker.start()
        pub = self.client("pub", 5)
        self.assertLess(pub.publish("no/a", b"x"), 0x80)
        acl = self.folder / "acl"
        acl.write_text("topic readwrite ok/#\n", encoding="utf-8")
        conf = self.broker.conf_file
        conf.write_text(f"acl_file {acl}\n" + conf.read_text(encoding="utf-8"), encoding="utf-8")
        os.kill(self.broker.daemon.pid, signal.SIGHUP)
        wait_until(lambda: pub.publish("no/a", b"denied") >= 0x80, PATIENCE_S, "the rule to count")
        self.assertLess(pub.publish("ok/a", b"fine"), 0x80)
        wait_until(lambda: self.journal(2)[-1]["topic"] == "ok/a", PATIENCE_S, lambda: f"it to be kept: {self.journal()}")
        self.assertLess(pub.publish("ok/b", struct.pack(">I", 7)), 0x80)


if __name__ == "__main__":
    unittest.main()
