# SPDX-License-Identifier: Apache-2.0
"""Frames that are no frames, from a site with a valid certificate: no mark moves, nobody falls, others go on."""

import itertools
import os
import random
import time
import unittest

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from tombolo_lab import Lab, Message, Talker, journal
from tombolo_lab.net import wait_until

SEED = int(os.environ.get("TMB_SEED", "5"))
FRAMES = int(os.environ.get("TMB_FRAMES", "400"))


def source(topic):
    return (Message(topic, {"v": v}, 0.01) for v in itertools.count())


class FrameTap:
    """Hears what site s1 sends to the hub: as the hub's own daemon would, with the hub's certificate."""

    def __init__(self, hub):
        self.talker = Talker(hub.broker.tls_port, "tap", certificate=hub.certificate)

    def __enter__(self):
        self.talker.__enter__()
        assert self.talker.subscribe("$tombolo/v1/up/#", 0) < 0x80
        return self.talker.heard

    def __exit__(self, *details):
        self.talker.__exit__(*details)


def mutate(draw: random.Random, frame: bytes) -> bytes:
    data = bytearray(frame)
    kind = draw.randrange(5)
    if kind == 0 or not data:
        return draw.randbytes(draw.randrange(0, 300))
    if kind == 1:
        for _ in range(draw.randrange(1, 6)):
            data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    elif kind == 2:
        del data[draw.randrange(len(data)):]
    elif kind == 3:
        at = draw.randrange(len(data))
        data[at:at] = draw.randbytes(draw.randrange(1, 20))
    else:
        at = draw.randrange(len(data))
        data[at:at + draw.randrange(1, 8)] = b"\xff" * draw.randrange(1, 10)
    return bytes(data)


class MalformedTest(unittest.TestCase):
    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        self.hub = self.lab.node("hub", has_children=True)
        self.s1, self.s2 = (self.lab.node(name, parent=self.hub) for name in ("s1", "s2"))
        self.lab.start()

    def of_s1(self):
        """The records of s1 in the hub's log, as (topic, payload, origin's seq)."""
        return [(r["topic"], journal.payload_of(r), r["origin"]["seq"])
                for r in journal.dump(self.hub, self.lab.built)
                if (r.get("origin") or {}).get("node") == "s1"]

    def test_garbage_moves_no_mark(self):
        print(f"seed {SEED}, {FRAMES} frames")
        draw = random.Random(SEED)
        self.lab.subscribe(self.hub)
        with FrameTap(self.hub) as heard:
            first = self.lab.publish(self.s1, "p1", itertools.islice(source("a"), 100))
            self.lab.wait_acked([first], stop=False)
            self.lab.wait_drained(30)
            frames = [bytes(message.payload) for message in heard if message.topic.endswith("/up/s1")]
        self.assertGreaterEqual(len(frames), 2, "no frames were heard")
        # The site's daemon is gone, its certificate is in the wrong hands.
        self.s1.syncd.stop()
        before = self.of_s1()
        self.assertEqual(len(before), 100)
        hub_pid, broker_pid = self.hub.syncd.pid, self.hub.broker.daemon.pid
        other = self.lab.publish(self.s2, "p2", source("b"), is_numbered=True)
        self.send_garbage(draw, frames)
        self.assertTrue(self.hub.syncd.is_alive(), self.hub.syncd.tail())
        self.assertEqual((self.hub.syncd.pid, self.hub.broker.daemon.pid), (hub_pid, broker_pid))
        # The honest daemon comes back and finds its place where it was.
        self.assertEqual(self.of_s1(), before, "garbage came into the log")
        self.s1.syncd.start()
        more = self.lab.publish(self.s1, "p3", itertools.islice(source("a"), 100))
        self.lab.wait_acked([more], stop=False)
        self.lab.wait_acked([other])
        self.lab.wait_drained(60)
        verdict = self.lab.ledger.verdict()
        self.assertTrue(verdict.is_clean(), f"{verdict}\n{self.lab.ledger.evidence()}")
        self.assertEqual((verdict.resent, verdict.redelivered), (0, 0))
        after = self.of_s1()
        self.assertEqual(after[:100], before)
        self.assertEqual(len(after), 200)
        self.assertEqual([seq for _, _, seq in after], sorted({seq for _, _, seq in after}))
        self.assertGreater(other.account.verdict().acked, 50)

    def send_garbage(self, draw, frames):
        client = mqtt.Client("tombolo-s1", protocol=mqtt.MQTTv5)
        certificate = self.s1.certificate
        client.tls_set(str(certificate.ca_file), str(certificate.cert_file), str(certificate.key_file))
        client.connect("127.0.0.1", self.hub.broker.tls_port, 30)
        client.loop_start()
        wait_until(client.is_connected, 30, "the forger")
        for number in range(FRAMES):
            # A true frame now and then: a session is opened, and what follows is aimed at it.
            frame = draw.choice(frames) if draw.random() < 0.2 else mutate(draw, draw.choice(frames))
            properties = None
            if draw.random() < 0.1:
                properties = Properties(PacketTypes.PUBLISH)
                properties.UserProperty = ("tombolo-seq", str(number + 1))
            client.publish("$tombolo/v1/up/s1", frame, draw.choice((0, 0, 1)), draw.random() < 0.05, properties)
            if number % 50 == 49:
                time.sleep(0.1)
        time.sleep(0.5)
        self.assertTrue(client.is_connected(), "a wrong frame costs its sender the session, not the connection")
        client.disconnect()
        client.loop_stop()


if __name__ == "__main__":
    unittest.main()
