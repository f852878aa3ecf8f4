# SPDX-License-Identifier: Apache-2.0
"""More streams than one: which takes a message, in what order they are given back after a kill, and where the
parent keeps what a child's stream had."""

import random
import unittest

from plugin_lab import PluginTest
from tombolo_lab import Ear, Lab, Talker, journal
from tombolo_lab.node import Settings

SEED = 7
SITE = (("alarms", '["alarm/#", "+/alarm"]', "strict"), ("bulk", '["bulk/#"]', "none"),
        ("telemetry", '["temperature/#", "/leading"]', "process"))
HUB = (("alarms", '["nothing/here"]', "strict"), ("rest", '["s1/#"]', "process"))


class PluginStreamsTest(PluginTest):
    def config(self):
        head, tail = super().config().split("streams:\n")
        streams = "".join(f"  - {{ name: {name}, topics: {topics}, durability: {durability} }}\n"
                          for name, topics, durability in SITE)
        return head + "streams:\n" + streams + tail[tail.index("checkpoint:"):]

    def test_the_first_that_matches_takes_it_and_a_kill_keeps_the_order_of_all(self):
        self.broker.start()
        self.session("sub", "#")
        draw, client, sent = random.Random(SEED), self.client("pub"), []
        for number in range(300):
            sent.append((draw.choice(("alarm/1", "door/alarm", "temperature/alarm", "bulk/alarm/x", "bulk/a",
                                      "temperature/a/b", "/leading")), b"%d" % number))
            self.assertLess(client.publish(*sent[-1]), 0x80)
            if number == 99:
                self.snapshot()
        wanted = {"alarms": ("alarm/1", "door/alarm", "temperature/alarm"), "bulk": ("bulk/alarm/x", "bulk/a"),
                  "telemetry": ("temperature/a/b", "/leading")}
        for stream, topics in wanted.items():
            of_stream = [(topic, payload) for topic, payload in sent if topic in topics]
            found = self.journal(len(of_stream), stream=stream)  # none: is in the file a moment later
            self.assertEqual([(r["topic"], r["payload"]) for r in found], of_stream, stream)
            self.assertEqual([r["seq"] for r in found], list(range(1, len(found) + 1)), stream)
        self.broker.kill9()
        self.broker.start()
        self.assertEqual([(topic, payload) for topic, payload, _, _, _ in self.come_back("sub")], sent)
        self.assertEqual(self.stats()["replayed"], 200, "what came after the snapshot")

    def test_what_no_stream_takes_is_delivered_and_not_kept(self):
        self.broker.start()
        ear = self.client("ear")
        ear.subscribe("#")
        self.assertLess(self.client("pub").publish("other", b"x"), 0x80)
        self.assertEqual(ear.receive()[:2], ("other", b"x"))
        self.assertEqual([self.journal(stream=name) for name, _, _ in SITE], [[], [], []])
        self.assertEqual(self.wait_stat("uncaptured", 1)["messages"], 0)


class RoadStreamsTest(unittest.TestCase):
    def test_the_parent_keeps_them_in_the_stream_of_that_name_or_in_its_last(self):
        lab = Lab()
        self.addCleanup(lab.close)
        hub = lab.node("hub", has_children=True, settings=Settings(streams=HUB))
        s1 = lab.node("s1", parent=hub, settings=Settings(streams=SITE))
        lab.start()
        ear = Ear("ear", hub.broker.port)
        self.addCleanup(ear.halt)
        topics = {"alarm/1": "alarms", "bulk/a": "bulk", "temperature/a": "telemetry", "x/alarm": "alarms"}
        with Talker(s1.broker.port, "talker") as talker:
            for number in range(10):
                for topic in topics:
                    self.assertLess(talker.publish(topic, str(number)), 0x80)
        for topic in topics:
            self.assertEqual([m.payload for m in ear.wait(f"s1/{topic}", 10)], [b"%d" % n for n in range(10)])
        found = {stream: journal.dump(hub, lab.built, stream) for stream, _, _ in HUB}
        self.assertEqual({(r["topic"], r["origin"]["stream"]) for r in found["alarms"]},
                         {("s1/alarm/1", "alarms"), ("s1/x/alarm", "alarms")})
        self.assertEqual({(r["topic"], r["origin"]["stream"]) for r in found["rest"]},
                         {("s1/bulk/a", "bulk"), ("s1/temperature/a", "telemetry")})
        self.assertEqual([len(of) for of in found.values()], [20, 20])
        for stream in ("alarms", "bulk", "telemetry"):
            seqs = [r["origin"]["seq"] for of in found.values() for r in of if r["origin"]["stream"] == stream]
            self.assertEqual(seqs, list(range(1, len(seqs) + 1)), stream)


if __name__ == "__main__":
    unittest.main()
