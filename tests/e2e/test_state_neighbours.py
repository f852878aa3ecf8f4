# SPDX-License-Identifier: Apache-2.0
"""Neighbours that are gone: for long (state.lapse_after), with too much to wait for (state.unstable), for good (retired).

Whoever comes back after all keeps what it wrote meanwhile, and brings nothing back that was removed.
"""

import json
import os
import subprocess
import threading
import time
import unittest
from pathlib import Path

import paho.mqtt.client as mqtt

from tombolo_lab import Lab, StateClient
from tombolo_lab.net import wait_until
from tombolo_lab.node import Settings
from tombolo_lab.talker import Talker

ASK = "$tombolo/v1/state/ask"


class NeighboursTest(unittest.TestCase):
    hub_state = ""

    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        self.hub = self.lab.node("hub", has_children=True, settings=Settings(
            state=f'  scopes: [ "*" ]\n{self.hub_state}'))
        self.site = self.lab.node("s1", parent=self.hub, settings=Settings(state="  scopes: [ s1 ]\n"))
        self.lab.start()
        for node in self.lab.nodes.values():
            node.syncd.wait_for_log("state.broker_up")
        self.at_hub, self.at_site = self.client(self.hub), self.client(self.site)

    def client(self, node):
        client = StateClient(node).start()
        self.addCleanup(client.close)
        return client

    def state(self, *args: str, node=None, code: int = 0, options=None) -> list:
        options = options or ("--config", str((node or self.hub).config_file), "-o", "json")
        done = subprocess.run([Path(os.environ["TMB_BUILD"]) / "clients/cli/tombolo-state", *args, *options],
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, code, f"{done.stdout}{done.stderr}\n{self.lab.logs()}")
        if "-o" not in options:
            return done.stdout + done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def row(self, neighbour: str = "s1", node=None) -> dict:
        return next((row for row in self.state("neighbours", "s1", node=node) if row["neighbour"] == neighbour), {})

    def wait_row(self, timeout_s: float = 30, **wanted) -> None:
        found = {}

        def is_so() -> bool:
            found.clear()
            found.update(self.row())
            return wanted.items() <= found.items()
        wait_until(is_so, timeout_s, lambda: f"{wanted}: {found}\n{self.lab.logs()}", 0.2)

    def begin(self, elements) -> None:
        """Both have a set, a value and a counter; then they do not see each other."""
        self.at_site.say("s1/orders/add", list(elements))
        self.at_hub.say("s1/old/set", "1")
        self.at_site.say("s1/parts/inc", "1")
        self.at_hub.wait("s1/orders", sorted(elements))
        self.at_site.wait("s1/old", 1)
        self.wait_row(state="active", connected=True, holds=0, behind=0)

    def write_apart(self) -> None:
        self.at_hub.say("s1/old/del")
        self.at_site.say("s1/parts/inc", "10")
        self.at_site.say("s1/own/set", "of the time apart")
        self.at_hub.say("s1/parts/inc", "100")
        self.at_site.wait("s1/own", b"of the time apart")

    def check_all_is_well(self, orders) -> None:
        for client in (self.at_hub, self.at_site):
            client.wait("s1/parts", 111, 30)
            client.wait("s1/own", b"of the time apart")
            client.wait("s1/orders", sorted(orders) or None)
            client.wait("s1/old", None)
        self.wait_row(state="active", connected=True, holds=0, behind=0)
        self.at_hub.say("s1/after/set", "1")
        self.at_site.wait("s1/after", 1)
        self.at_site.say("s1/after/del")
        self.at_hub.wait("s1/after", None)


class LapseAfterTest(NeighboursTest):
    hub_state = "  lapse_after: 6s\n"

    def test_away_for_longer(self):
        self.begin(["wo-1", "wo-2"])
        self.check_quiet_is_not_away()
        self.site.link.cut("reset")
        self.at_hub.say("s1/orders/rm", "wo-1")
        self.write_apart()
        self.at_site.say("s1/orders/add", "wo-9")
        self.wait_row(state="lapsed", holds=0)
        self.assertGreater(self.row()["behind"], 0)
        self.hub.syncd.wait_for_log("state.neighbour_lapsed")
        wait_until(lambda: self.hub.told()["merging"]["unstable_removals"] == 0, 30, self.lab.logs)
        self.site.link.heal()
        self.check_all_is_well(["wo-2", "wo-9"])
        self.assertRegex(self.hub.syncd.log() + self.site.syncd.log(), "report=below .*nothing needs to be done")


    def check_quiet_is_not_away(self):
        """Nothing changes for longer than that; the two are connected."""
        end = time.monotonic() + 7.5
        while time.monotonic() < end:
            self.assertEqual(self.row()["state"], "active", self.hub.logs())
            time.sleep(0.5)


class UnstableTest(NeighboursTest):
    hub_state = "  lapse_after: 60s\n  unstable: 1000\n"

    def test_more_than_that_is_held_back(self):
        elements = [f"wo-{i:04}" for i in range(1010)]
        self.begin(elements)
        self.site.link.cut("reset")
        self.at_hub.say("s1/orders/rm", elements[:999])
        self.write_apart()  # one removal more
        self.wait_row(state="active", holds=1000)
        self.at_hub.say("s1/orders/rm", elements[999])
        self.wait_row(state="lapsed", holds=0)
        self.site.link.heal()
        self.check_all_is_well(elements[1000:])
        self.assertRegex(self.hub.syncd.log() + self.site.syncd.log(), "report=below .*nothing needs to be done")


class RetireTest(NeighboursTest):
    def test_is_not_waited_for_and_may_come_back(self):
        self.begin(["wo-1", "wo-2"])
        self.assertEqual(self.row("hub", self.site)["state"], "active")
        refused = self.state("retire", "s1", "s1", code=1)[0]
        self.assertEqual((refused["ok"], refused["verdict"]), (False, "connected"))
        self.assertIn("stop its tombolo-syncd", refused["why"])
        self.site.syncd.stop()
        self.wait_row(connected=False)
        self.at_hub.say("s1/orders/rm", "wo-1")
        self.at_hub.say("s1/old/del")
        self.at_hub.say("s1/parts/inc", "100")
        self.wait_row(state="active", holds=2)
        for path, payload in (("parts/inc", "10"), ("own/set", "of the time apart"), ("orders/add", "wo-9")):
            self.at_site.say(f"s1/{path}", payload)  # acknowledged, and applied when the daemon is there again
        retired = self.state("retire", "s1", "s1")[0]
        self.assertEqual((retired["verdict"], retired["forgotten"], retired["removals"]), ("retired", 2, 0))
        row = self.row()
        self.assertEqual((row["state"], row["holds"], row["taken"], row["places"]), ("retired", 0, 0, 256))
        self.assertEqual(self.state("retire", "*", "s1")[0]["verdict"], "same")
        self.hub.syncd.kill9()  # it is durable
        self.hub.syncd.start()
        wait_until(lambda: self.row_or_none().get("state") == "retired", 30, self.lab.logs, 0.3)
        self.site.syncd.start()
        self.check_all_is_well(["wo-2", "wo-9"])
        self.assertRegex(self.hub.syncd.log() + self.site.syncd.log(), "report=below .*nothing needs to be done")

    def row_or_none(self) -> dict:
        """The daemon may be on its way to its broker."""
        done = subprocess.run([Path(os.environ["TMB_BUILD"]) / "clients/cli/tombolo-state", "neighbours", "s1", "-o", "json",
                               "--timeout", "1", "--config", str(self.hub.config_file)], capture_output=True, text=True,
                              timeout=60)
        return json.loads(done.stdout.splitlines()[0]) if done.returncode == 0 and done.stdout else {}

    def test_gone_without_a_word(self):
        """Nobody told the hub that the line is cut: its session with the site stays open, and is asked about."""
        self.begin(["wo-1"])
        self.site.link.cut("reset")
        self.at_hub.say("s1/orders/rm", "wo-1")
        self.write_apart()
        self.wait_row(state="active", connected=True, holds=2)
        self.assertEqual(self.state("retire", "*", "s1")[0]["verdict"], "retired")
        row = self.row()
        self.assertEqual((row["state"], row["connected"], row["holds"]), ("retired", False, 0))
        self.site.link.heal()
        self.check_all_is_well([])

    def test_refusals_say_what_to_do(self):
        self.begin(["wo-1"])
        self.assertEqual(self.state("retire", "s1", "s2", code=1)[0]["verdict"], "neighbour")
        self.assertEqual(self.state("retire", "s*", "s2", code=1)[0]["verdict"], "neighbour")
        self.assertEqual(self.state("neighbours", "s7", code=1)[0]["verdict"], "scope")
        self.assertEqual(self.state("retire", "s7", "s1", code=1)[0]["verdict"], "scope")
        self.assertEqual(self.state("neighbours", "z*", code=1)[0]["verdict"], "scope")
        text = ("--config", str(self.hub.config_file))
        self.assertIn("s1, s1: refused (connected): it is connected: take the scope",
                      self.state("retire", "s1", "s1", code=1, options=text))
        self.assertRegex(self.state("neighbours", options=text),
                         r"^s1  s1  active   heard 20.*Z  holds 0  behind 0  connected\n$")
        self.at_hub.say("lone/x/set", "1")
        self.at_hub.wait("lone/x", 1)
        self.assertEqual(self.state("neighbours", "lone", options=text), "none\n")
        for words, wanted in ((("retire", "s1"), "SCOPE NEIGHBOUR"), (("retire", "s1", "a/b"), "name of a node"),
                              (("neighbours", "A"), "beginning of names"), (("neighbours", "s1", "x"), "too many words"),
                              (("neighbours", "s1", "--id", "a:1"), "are not for")):
            self.assertIn(wanted, self.state(*words, code=2, options=text), words)

    def test_only_the_nodes_own_certificate(self):
        self.begin(["wo-1"])
        plain = ("-p", str(self.hub.broker.port))
        self.assertIn("own certificate", self.state("neighbours", code=1, options=plain))
        self.assertIn("own certificate", self.state("retire", "s1", "s1", code=1, options=plain))
        other = self.site.certificate
        site = ("-h", "127.0.0.1", "-p", str(self.hub.broker.tls_port), "--cafile", str(other.ca_file), "--cert",
                str(other.cert_file), "--key", str(other.key_file))
        self.assertIn("own certificate", self.state("retire", "s1", "s1", code=1, options=site))
        with Talker(self.hub.broker.port, "plain") as plain_client:
            ask = {"id": "x", "do": "retire", "scope": "s1", "neighbour": "s1"}
            self.assertEqual(plain_client.publish(ASK, json.dumps(ask)), 0x87)
        self.assertEqual(self.row()["state"], "active")

    def test_many_ask_at_once(self):
        """Sixteen wait, here for whether a site is there; others are told to ask again. What makes no sense is told, too."""
        self.begin(["wo-1"])
        self.site.link.cut("reset")
        certificate, answers, ready = self.hub.certificate, [], threading.Event()
        client = mqtt.Client("asker", protocol=mqtt.MQTTv5)
        client.tls_set(str(certificate.ca_file), str(certificate.cert_file), str(certificate.key_file))
        client.on_message = lambda _c, _d, message: answers.append((message.topic.rsplit("/", 1)[-1],
                                                                    json.loads(message.payload)))
        client.on_subscribe = lambda *_: ready.set()
        client.max_inflight_messages_set(0)
        client.connect("127.0.0.1", self.hub.broker.tls_port)
        client.subscribe("$tombolo/v1/state/told/+", 1)
        client.loop_start()
        self.addCleanup(client.loop_stop)
        self.assertTrue(ready.wait(30))
        client.publish(ASK, json.dumps({"id": "first", "do": "retire", "scope": "s1", "neighbour": "s1"}), 1)
        for i in range(40):
            client.publish(ASK, json.dumps({"id": f"a{i}", "do": "neighbours", "scope": "*"}), 1)
        for i, ask in enumerate(({"do": "fly", "scope": "*"}, {"do": "retire", "scope": "*"}, {"do": "neighbours"},
                                 {"do": "neighbours", "scope": "A"}, {"do": "retire", "scope": "a", "neighbour": "/"})):
            client.publish(ASK, json.dumps({"id": f"b{i}", **ask}), 1)
        for payload in ("", "[]", "{", '{"id":"A/"}', json.dumps({"id": "x" * 41, "do": "neighbours", "scope": "*"})):
            client.publish(ASK, payload, 1)  # nobody to answer to
        wait_until(lambda: sum(1 for _, a in answers if a.get("end")) >= 46, 30, lambda: f"{answers}")
        ends = {who: a.get("verdict") for who, a in answers if a.get("end")}
        self.assertEqual([ends[f"b{i}"] for i in range(5)], ["malformed"] * 5)
        self.assertEqual([ends[f"a{i}"] for i in range(40)], ["done"] * 15 + ["busy"] * 25)
        self.assertEqual(ends["first"], "done")
        self.assertEqual(self.row()["state"], "retired")
        client.disconnect()


if __name__ == "__main__":
    unittest.main()
