# SPDX-License-Identifier: Apache-2.0
"""A site is only itself: what its certificate does not say, the hub refuses and logs."""

import json
import socket
import ssl
import time
import unittest
from pathlib import Path

from tombolo_lab import Authority, Ear, Lab, Talker
from tombolo_lab.net import wait_until

REFUSED = 0x80


class IdentityTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = Lab()
        cls.addClassCleanup(cls.lab.close)
        cls.hub = cls.lab.node("hub", has_children=True)
        cls.s1 = cls.lab.node("s1", parent=cls.hub)
        cls.s2 = cls.lab.node("s2", parent=cls.hub)
        cls.lab.start()
        for site in (cls.s1, cls.s2):  # else what is sent to the hub's daemon may come before that listens
            site.syncd.wait_for_log("state=streaming")
        cls.ear = Ear("ear", cls.hub.broker.port)
        cls.addClassCleanup(cls.ear.halt)

    def as_s1(self, client_id="someone", **options):
        return Talker(self.hub.broker.tls_port, client_id, certificate=self.s1.certificate, **options)

    def begin_a_second(self) -> None:
        """For a test that reads the log: the plugin counts all refusals, and logs the first ten of a second."""
        time.sleep(1.1)

    def denied(self) -> int:
        """The plugin's own count of what it refused."""
        with Talker(self.hub.broker.port, "counter") as talker:
            talker.subscribe("$tombolo/v1/stats/plugin")
            wait_until(lambda: talker.heard, 30, "the plugin's counters")
            return json.loads(talker.heard[0].payload)["denied"]

    def assert_counted(self, before: int, refusals: int):
        wait_until(lambda: self.denied() >= before + refusals, 30,
                   lambda: f"{refusals} refusals to be counted; there are {self.denied() - before}", step_s=0.3)

    def assert_logged(self, *words):
        """One line of the hub broker's log has all the words."""
        wait_until(lambda: any(all(word in line for word in words)
                               for line in self.hub.broker.daemon.log().splitlines()), 30,
                   lambda: f"a line with {words}\n{self.hub.broker.daemon.tail()}")

    def assert_site_2_still_works(self, word):
        with Talker(self.s2.broker.port, "honest") as talker:
            self.assertEqual(talker.publish("honest", word), 0)
        wait_until(lambda: any(m.payload == word.encode() for m in self.ear.of("s2/honest")), 30, word)

    def test_writing_as_another_site_is_refused_and_logged(self):
        self.begin_a_second()
        with self.as_s1() as talker:
            self.assertGreaterEqual(talker.publish("$tombolo/v1/up/s2", b"forged"), REFUSED)
        self.assert_logged("site s1", "write", "$tombolo/v1/up/s2")
        self.assert_site_2_still_works("after the forger")

    def test_writing_user_topics_is_refused(self):
        self.begin_a_second()
        before = self.denied()
        for topic in ("s1/x", "s2/x", "anything"):
            with self.as_s1() as talker:
                self.assertGreaterEqual(talker.publish(topic, b"forged"), REFUSED, topic)
        self.assert_logged("site s1", "write", "s1/x")
        self.assert_counted(before, 3)
        self.assert_site_2_still_works("after user topics")
        self.assertEqual([m.topic for m in self.ear.messages if m.payload == b"forged"], [])

    def test_writing_commits_is_refused(self):
        self.begin_a_second()
        before = self.denied()
        for topic in ("$tombolo/v1/commit", "$tombolo/v1/void", "$tombolo/v1/stats/plugin", "$tombolo/v1/down/s2",
                      "$tombolo/v2/up/s1", "$tombolo/"):
            with self.as_s1() as talker:
                self.assertGreaterEqual(talker.publish(topic, b"\x01forged"), REFUSED, topic)
        self.assert_logged("site s1", "write", "$tombolo/v1/commit")
        self.assert_counted(before, 6)

    def test_reading_as_another_site_is_refused(self):
        self.begin_a_second()
        before = self.denied()
        with self.as_s1() as talker:
            for topic in ("$tombolo/v1/down/s2", "$tombolo/v1/down/+", "$tombolo/v1/down/#", "$tombolo/v1/up/s2",
                          "$tombolo/#", "#", "s2/#", "$tombolo/v1/commit"):
                self.assertGreaterEqual(talker.subscribe(topic), REFUSED, topic)
            self.assert_site_2_still_works("unheard")
            self.assertEqual(talker.heard, [])
        self.assert_logged("site s1", "subscribe", "$tombolo/v1/down/s2")
        self.assert_counted(before, 8)

    def test_a_hello_in_another_sites_name_is_answered_with_bye(self):
        node = b"s2"
        hello = b"\x08\x4d" + b"\x12" + bytes([len(node)]) + node  # session 77, node s2, no streams
        frame = b"\x0a" + bytes([len(hello)]) + hello
        with self.as_s1() as talker:
            self.assertLess(talker.subscribe("$tombolo/v1/down/s1", 0), REFUSED)
            self.assertEqual(talker.publish("$tombolo/v1/up/s1", frame), 0)
            # Frame.bye { session: 77, reason: 4 (identity) }, whatever text comes behind.
            wait_until(lambda: any(m.payload[:1] == b"\x2a" and b"\x08\x4d\x10\x04" in m.payload[:8]
                                   for m in talker.heard), 30,
                       lambda: f"a BYE; heard {[m.payload for m in talker.heard]}\n{self.hub.syncd.tail()}")
        self.hub.syncd.wait_for_log("child.refused child=s1 reason=identity")
        self.assert_site_2_still_works("after the false hello")

    def test_a_site_may_read_and_write_its_own(self):
        with self.as_s1() as talker:
            self.assertLess(talker.subscribe("$tombolo/v1/down/s1"), REFUSED)
            self.assertEqual(talker.publish("$tombolo/v1/up/s1", b"not a frame"), 0)

    def test_a_will_for_another_site_is_refused(self):
        self.begin_a_second()
        for topic in ("$tombolo/v1/up/s2", "$tombolo/v1/commit", "s2/will"):
            with self.as_s1(will={"topic": topic, "payload": "forged will", "qos": 1}) as talker:
                talker.drop()
                wait_until(talker.is_gone.is_set, 30, "the drop")
            self.assert_logged("site s1", "write", topic)
        self.assert_site_2_still_works("after the wills")
        self.assertEqual([m.topic for m in self.ear.messages if b"will" in m.payload and m.payload != b"after the wills"],
                         [])

    def test_old_protocol_is_refused_too(self):
        self.begin_a_second()
        with self.as_s1(version=4) as talker:
            talker.publish("s2/old", b"forged old")
            talker.publish("$tombolo/v1/up/s2", b"forged old")
        self.assert_logged("s1", "s2/old")
        self.assert_site_2_still_works("after 3.1.1")
        self.assertEqual([m.topic for m in self.ear.messages if m.payload == b"forged old"], [])

    def test_taking_the_other_sites_client_id_does_not_help(self):
        self.begin_a_second()
        with self.as_s1("tombolo-s2") as talker:
            self.assertGreaterEqual(talker.publish("$tombolo/v1/up/s2", b"forged"), REFUSED)
            self.assertGreaterEqual(talker.subscribe("$tombolo/v1/down/s2"), REFUSED)
        self.assert_logged("client tombolo-s2", "site s1", "$tombolo/v1/up/s2")
        self.assert_site_2_still_works("after the thief of names")

    def test_a_name_in_another_domain_is_nobody(self):
        stranger = self.lab.authority.issue("stranger", "spiffe://elsewhere.example/site/s2")
        with Talker(self.hub.broker.tls_port, "x", certificate=stranger) as talker:
            self.assertGreaterEqual(talker.publish("$tombolo/v1/up/s2", b"forged"), REFUSED)

    def test_no_certificate_and_a_foreign_one_do_not_connect(self):
        foreign = Authority(Path(self.lab.folder) / "foreign", self.lab.authority.domain).issue("s1")
        for cert_file, key_file in ((foreign.cert_file, foreign.key_file), (None, None)):
            context = ssl.create_default_context(cafile=str(self.lab.authority.ca_file))
            if cert_file:
                context.load_cert_chain(cert_file, key_file)
            with self.assertRaises((ssl.SSLError, ConnectionError)):
                with socket.create_connection(("127.0.0.1", self.hub.broker.tls_port), 30) as raw, \
                        context.wrap_socket(raw, server_hostname="127.0.0.1") as link:
                    link.sendall(b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x0a\x00\x01x")
                    # TLS 1.3: the server's word on a client's certificate comes with the first read.
                    if link.recv(4) == b"":
                        raise ConnectionError("hung up")

    def test_local_clients_keep_out_of_the_session(self):
        with Talker(self.hub.broker.port, "local") as talker:
            for topic in ("$tombolo/v1/up/s1", "$tombolo/v1/commit", "$tombolo/v1/down/s1"):
                self.assertGreaterEqual(talker.publish(topic, b"forged"), REFUSED, topic)
            for topic in ("$tombolo/v1/up/#", "$tombolo/v1/down/s1", "$tombolo/#"):
                self.assertGreaterEqual(talker.subscribe(topic), REFUSED, topic)
            self.assertLess(talker.subscribe("$tombolo/v1/stats/#"), REFUSED)
            wait_until(lambda: talker.heard, 30, "the plugin's counters")
        self.assertEqual(talker.heard[0].topic, "$tombolo/v1/stats/plugin")


if __name__ == "__main__":
    unittest.main()
