# SPDX-License-Identifier: Apache-2.0
"""What MQTT can say, said at a site, is heard at the hub as it was said, under <site>/<topic>."""

import itertools
import unittest

from tombolo_lab import Ear, Lab, Talker
from tombolo_lab.net import wait_until
from tombolo_lab.node import Settings


class TypesTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = Lab()
        cls.addClassCleanup(cls.lab.close)
        streams = (("props", '["props/#", "will/#", "large/#"]', "strict"), ("default", '["#"]', "strict"))
        cls.hub = cls.lab.node("hub", has_children=True, settings=Settings(streams=streams))
        cls.s1 = cls.lab.node("s1", parent=cls.hub, settings=Settings(streams=streams))
        cls.lab.start()
        cls.ear = Ear("ear", cls.hub.broker.port)
        cls.addClassCleanup(cls.ear.halt)
        cls.names = (f"talker-{number}" for number in itertools.count())

    def talker(self, **options):
        return Talker(self.s1.broker.port, next(self.names), **options)

    def test_qos_0_1_2_keep_their_qos(self):
        for version in (4, 5):
            for qos in (0, 1, 2):
                topic = f"qos/{version}/{qos}"
                with self.talker(version=version) as talker:
                    self.assertEqual(talker.publish(topic, f"level {qos}", qos), 0)
                    heard = self.ear.wait(f"s1/{topic}")
                self.assertEqual([(m.qos, m.payload, m.retain) for m in heard],
                                 [(qos, f"level {qos}".encode(), False)], topic)

    def test_retained_is_retained_at_the_hub_and_can_be_cleared(self):
        with self.talker() as talker:
            talker.publish("door", b"open", 1, retain=True)
            talker.publish("door", b"shut", 1, retain=True)
            self.assertEqual([m.retain for m in self.ear.wait("s1/door", 2)], [True, True])
            late = Ear("late", self.hub.broker.port, "s1/door", wants_retained=True)
            self.addCleanup(late.halt)
            self.assertEqual([(m.payload, m.retain) for m in late.wait("s1/door")], [(b"shut", True)])
            talker.publish("door", b"", 1, retain=True)
            self.assertEqual(late.wait("s1/door", 2)[1].payload, b"")
        later = Ear("later", self.hub.broker.port, "s1/door", wants_retained=True)
        self.addCleanup(later.halt)
        with self.talker() as talker:
            talker.publish("door", b"not retained", 1)
        self.assertEqual([m.payload for m in later.wait("s1/door")], [b"not retained"])

    def test_a_will_arrives_when_its_client_goes_without_a_word(self):
        for version, qos, retain in ((4, 1, False), (5, 1, True), (5, 2, False), (4, 0, False)):
            topic = f"will/{version}/{qos}"
            with self.talker(version=version, will={"topic": topic, "payload": f"last words {qos}", "qos": qos,
                                                    "retain": retain}) as talker:
                self.assertEqual(talker.publish(f"alive/{version}/{qos}", b"x"), 0)
                talker.drop()
                heard = self.ear.wait(f"s1/{topic}")
            self.assertEqual([(m.payload, m.qos, m.retain) for m in heard],
                             [(f"last words {qos}".encode(), qos, retain)], topic)

    def test_no_will_after_a_good_bye(self):
        with self.talker(will={"topic": "will/polite", "payload": "unwanted", "qos": 1}) as talker:
            talker.publish("polite/alive", b"x")
        with self.talker() as talker:
            talker.publish("polite/end", b"x")
        self.ear.wait("s1/polite/end")
        self.assertEqual(self.ear.of("s1/will/polite"), [])

    def test_empty_payload(self):
        with self.talker() as talker:
            self.assertEqual(talker.publish("empty", b""), 0)
        self.assertEqual([m.payload for m in self.ear.wait("s1/empty")], [b""])

    def test_one_mebibyte(self):
        payload = bytes(range(256)) * 4096
        with self.talker() as talker:
            for qos in (1, 2):
                self.assertEqual(talker.publish(f"large/{qos}", payload, qos, timeout_s=30), 0)
        for qos in (1, 2):
            heard = self.ear.wait(f"s1/large/{qos}")
            self.assertEqual(len(heard), 1)
            self.assertEqual(len(heard[0].payload), 1 << 20)
            self.assertTrue(heard[0].payload == payload, "the bytes differ")

    def test_topics_in_utf8(self):
        topics = ["werk/Kühlung/Temperatur", "工場/温度", "a b/c", "/leading/and/trailing/", "🌡", "x" * 4000]
        with self.talker() as talker:
            for topic in topics:
                self.assertEqual(talker.publish(topic, topic), 0)
        for topic in topics:
            self.assertEqual([m.payload.decode() for m in self.ear.wait(f"s1/{topic}")], [topic])

    def test_binary_payload(self):
        payload = b"\x00\xff\xfe" + bytes(range(256)) + b"\x00"
        with self.talker(version=4) as talker:
            talker.publish("binary", payload)
        self.assertEqual([m.payload for m in self.ear.wait("s1/binary")], [payload])

    def test_mqtt5_properties_arrive_as_sent(self):
        pairs = [("unit", "°C"), ("unit", "again"), ("", "empty name"), ("empty value", "")]
        with self.talker() as talker:
            for qos in (0, 1, 2):
                self.assertEqual(talker.publish(
                    f"props/{qos}", "21.5", qos, PayloadFormatIndicator=1, ContentType="text/plain",
                    ResponseTopic="answers/here", CorrelationData=b"\x00\x01\xff", UserProperty=pairs), 0)
        for qos in (0, 1, 2):
            heard = self.ear.wait(f"s1/props/{qos}")[0].properties
            self.assertEqual(heard.PayloadFormatIndicator, 1)
            self.assertEqual(heard.ContentType, "text/plain")
            self.assertEqual(heard.ResponseTopic, "answers/here")
            self.assertEqual(heard.CorrelationData, b"\x00\x01\xff")
            self.assertEqual(heard.UserProperty, pairs)

    def test_dollar_topics_stay_at_the_site(self):
        with self.talker() as talker:
            talker.publish("$private/word", b"secret")
            talker.publish("public/word", b"open")
        self.ear.wait("s1/public/word")
        self.assertEqual([m.topic for m in self.ear.messages if "private" in m.topic], [])

    def test_a_site_hears_itself_without_the_hub(self):
        self.s1.link.cut("reset")
        self.addCleanup(self.s1.link.heal)
        near = Ear("near", self.s1.broker.port, "local/#")
        self.addCleanup(near.halt)
        with self.talker() as talker:
            self.assertEqual(talker.publish("local/now", b"x"), 0)
        self.assertEqual(len(near.wait("local/now")), 1)
        self.assertEqual(self.ear.of("s1/local/now"), [])
        self.s1.link.heal()
        self.assertEqual(len(self.ear.wait("s1/local/now")), 1)

    def test_a_second_hub_session_gets_what_it_missed(self):
        away = Ear("away", self.hub.broker.port, "s1/missed/#", qos=1)
        away.halt()
        with self.talker() as talker:
            for number in range(50):
                talker.publish("missed/one", str(number))
        self.ear.wait("s1/missed/one", 50)
        back = Ear("away", self.hub.broker.port, "s1/missed/#", qos=1)
        self.addCleanup(back.halt)
        wait_until(lambda: len(back.messages) >= 50, 30, "what was missed")
        self.assertEqual([m.payload.decode() for m in back.messages], [str(n) for n in range(50)])


if __name__ == "__main__":
    unittest.main()
