# SPDX-License-Identifier: Apache-2.0
"""Topics of state at the plugin: an operation is in the stream `state` before its ack, a value comes from the
node's own daemon alone, and whoever does otherwise is told."""

import json
import subprocess
from pathlib import Path

from plugin_lab import PATIENCE_S, PluginTest
from plugin_raw import Raw, encode_record, number_property, user_property
from tombolo_lab import Broker
from tombolo_lab.net import wait_until

COMMIT = "$tombolo/v1/commit"
LIFE = bytes(range(16))
CONFIG = """\
node: hub
domain: lab.example
data_dir: {data}
streams:
  - name: all
    topics: ["#"]
    durability: none
broker: {{ host: localhost }}
tls: {{ ca_file: a, cert_file: b, key_file: c }}
children: {{ accept: true, topic: "{{topic}}" }}
state: {{ scopes: [ hub, "press-*", fleet ], read_only: [ fleet ] }}
"""


class StateTest(PluginTest):
    needs_certificates = True

    def config(self) -> str:
        return CONFIG.format(data=self.data)

    def setUp(self):
        super().setUp()
        self.broker.start()

    def ops(self, at_least: int = 0) -> list:
        return self.journal(at_least, stream="state")

    def restart(self):
        self.broker.kill9()
        self.broker.start()

    def listener(self, *filters, version: int = 5) -> Raw:
        client = self.client("listener", version)
        for topic in filters:
            self.assertLess(client.subscribe(topic), 0x80)
        return client

    def retained(self, topic: str) -> list:
        client = self.client("late", 5)
        client.subscribe(topic)
        return [message[1] for message in client.receive_all(0.3)]


class OperationTest(StateTest):
    def test_an_acked_operation_is_in_the_stream_of_state_after_a_kill(self):
        for version in (4, 5):
            client = self.client(f"plc-{version}", version)
            for qos in (1, 2):
                self.assertLess(client.publish("state/hub/parts/inc", b"%d%d" % (version, qos), qos), 0x80)
        self.restart()
        self.assertEqual([r["payload"] for r in self.ops()], [b"41", b"42", b"51", b"52"])
        self.assertEqual({r["topic"] for r in self.ops()}, {"state/hub/parts/inc"})
        self.assertEqual(self.journal(stream="all"), [])

    def test_of_qos_0_is_stored_too(self):
        self.client("plc").publish("state/press-3/open/add", b"wo-17", 0)
        self.assertEqual([(r["qos"], r["payload"]) for r in self.ops(1)], [(0, b"wo-17")])

    def test_subscribers_get_it_and_nobody_finds_it_retained(self):
        listener = self.listener("state/#")
        for version in (4, 5):
            self.client(f"plc-{version}", version).publish("state/hub/parts/inc", b"3", retain=True)
            topic, payload, _, retain, _ = listener.receive()
            self.assertEqual((topic, payload, retain), ("state/hub/parts/inc", b"3", False))
        self.assertEqual(self.retained("state/#"), [])
        self.assertEqual([r["retain"] for r in self.ops()], [False, False])

    def test_of_a_will_is_stored_and_a_value_is_not_forged_by_one(self):
        self.client("plc", will=("state/hub/alive/disable", b""), will_retain=True).drop()
        self.client("bad", will=("state/hub/alive", b"true"), will_retain=True).drop()
        self.assertEqual([(r["topic"], r["will"], r["retain"]) for r in self.ops(1)],
                         [("state/hub/alive/disable", True, False)])
        self.wait_stat("state_refused", 1)
        self.assertEqual(self.retained("state/hub/alive"), [])

    def test_numbered_ones_count_once_over_kills(self):
        for _ in range(3):
            client = self.client("plc", 5)
            for number in (1, 2):
                self.assertLess(client.publish("state/hub/parts/inc", b"1", props=number_property(number)), 0x80)
            self.restart()
        self.assertEqual([r["number"] for r in self.ops()], [("", 1), ("", 2)])

    def test_properties_are_kept_for_the_daemon(self):
        props = (b"\x03\x00\x10application/json\x08\x00\x05reply" + b"\x09\x00\x01c" + user_property("tombolo-if", "AQ"))
        self.assertLess(self.client("plc", 5).publish("state/hub/speed/set", b"1", props=props), 0x80)
        self.assertEqual(self.ops(1)[0]["props"], props)

    def test_lasting_sessions_get_it_after_a_kill_as_any_message(self):
        self.session("scada", "state/#")
        self.assertEqual(self.client("plc").publish("state/hub/parts/inc", b"3"), 0)
        self.restart()
        self.assertEqual([m[1] for m in self.come_back("scada")], [b"3"])


class RefusalTest(StateTest):
    LIST = (("state/hub/parts/incr", "no such verb; did you mean inc?"),
            ("state/hub/parts", "a value is published by this node alone"),
            ("state/hub/parts/conflicts", "what is told of a value is published by this node alone"),
            ("state/elsewhere/parts/inc", "this node does not hold the scope"),
            ("state/fleet/limit/set", "this node only reads the scope"), ("state/hub/inc", "no path"), ("state/hub//a/inc", "a level of the path is empty"), ("state", "no scope"))

    def test_is_told_by_reason_code_and_on_the_error_topic_and_in_the_log(self):
        listener = self.listener("state/#")
        for at, (topic, why) in enumerate(self.LIST):
            version = 4 + at % 2
            client = self.client(f"plc-{at}", version)
            self.assertEqual(client.publish(topic, b"3", retain=True), 0x87 if version == 5 else 0, topic)
            got, payload, _, retain, _ = listener.receive()
            self.assertEqual((got, retain), (f"{topic}/error", False))
            told = json.loads(payload)
            self.assertEqual((told["ok"], told["verdict"]), (False, "scope" if "scope" in why and "this node" in why else "malformed"))
            self.assertTrue(told["why"].startswith(why), told)
            self.assertIn(f"client plc-{at}, {topic}: {why}", self.broker.daemon.log())
        self.assertEqual(self.wait_stat("state_refused", len(self.LIST))["state_refused"], len(self.LIST))
        self.assertEqual(self.ops() + self.journal(stream="all"), [])
        self.assertEqual(self.retained("state/#"), [])

    def test_a_flood_is_counted_and_not_logged_line_by_line(self):
        client = self.client("plc")
        for _ in range(200):
            client.publish("state/hub/parts/incr", b"3")
        self.assertEqual(self.wait_stat("state_refused", 200)["state_refused"], 200)
        self.assertLess(self.broker.daemon.log().count("did you mean inc?"), 60)

    def turn_off(self):
        self.broker.stop()
        text = self.config_file.read_text(encoding="utf-8")
        self.config_file.write_text("".join(line for line in text.splitlines(True) if "scopes" not in line),
                                    encoding="utf-8")
        self.broker.start()

    def test_without_state_these_are_ordinary_topics(self):
        self.turn_off()
        self.assertEqual(self.client("plc").publish("state/hub/parts/incr", b"3", retain=True), 0)
        self.assertEqual([r["retain"] for r in self.journal(1, stream="all")], [True])

    def test_without_state_nobody_vouches_for_values(self):
        def marks():
            reader = self.tls_client("hub", "reader")
            self.assertLess(reader.subscribe("$tombolo/v1/state/mark"), 0x80)
            return [message[1] for message in reader.receive_all(0.3)]
        self.assertEqual(self.tls_client("hub", "tombolo-state").publish(
            "$tombolo/v1/state/mark", b"ab 1", retain=True) & 0x80, 0)
        self.broker.stop()
        self.broker.start()
        self.assertEqual(marks(), [b"ab 1"])
        self.turn_off()
        self.assertEqual(marks(), [])


class ValueTest(StateTest):
    def test_of_our_daemon_is_retained_and_in_no_stream(self):
        listener = self.listener("state/#")
        syncd = self.tls_client("hub", "tombolo-syncd-state")
        props = user_property("tombolo-token", "AQ")
        for topic in ("state/hub/parts", "state/hub/parts/conflicts", "state/hub/error"):
            self.assertLess(syncd.publish(topic, b"3", retain=True, props=props), 0x80)
            self.assertEqual(listener.receive()[:2], (topic, b"3"))
        self.assertEqual(self.retained("state/hub/parts"), [b"3"])
        self.assertEqual(self.wait_stat("state_values", 3)["uncaptured"], 0)
        self.assertEqual(self.ops() + self.journal(stream="all"), [])

    def test_of_another_node_is_refused(self):
        child = self.tls_client("s1")
        for topic in ("state/hub/parts", "state/hub/parts/inc"):
            self.assertEqual(child.publish(topic, b"3", retain=True), 0x87)
        self.assertEqual(self.retained("state/#"), [])
        self.assertEqual(self.ops(), [])

    def test_that_a_child_brings_in_its_records_is_stored_and_not_published(self):
        listener = self.listener("#")
        syncd = self.tls_client("hub", "tombolo-syncd")
        records = b"".join(encode_record(topic, b"3", origin=("s1", LIFE, "state", at + 1), retain=True)
                           for at, topic in enumerate(("state/hub/parts", "state/hub/parts/inc", "t/a")))
        self.assertLess(syncd.publish(COMMIT, b"\x01" + records), 0x80)
        self.assertEqual(listener.receive()[:2], ("t/a", b"3"))
        self.assertEqual(listener.receive_all(0.3), [])
        self.assertEqual(self.wait_stat("state_kept", 2)["state_kept"], 2)
        self.assertEqual(self.ops(), [], "a child's stream called state is no stream of operations")
        self.assertEqual(len(self.journal(stream="all")), 3)
        self.restart()
        self.assertEqual(self.retained("state/#"), [])
        self.assertIn("begin children.topic with {site}", self.broker.daemon.log())

    def test_that_a_bridge_brings_is_refused(self):
        far = Broker("far", self.folder / "far")
        self.addCleanup(far.stop)
        self.broker.stop()
        self.broker.conf_file.write_text(self.broker.conf_file.read_text(encoding="utf-8") + "\n".join((
            "connection in", f"address 127.0.0.1:{far.port}", "topic # in 2", "cleansession false",
            "restart_timeout 1", "try_private false", "notifications false", "")), encoding="utf-8")
        far.start()
        self.broker.start()
        publisher = Raw(far.port, "pub")
        self.addCleanup(publisher.sock.close)
        wait_until(lambda: publisher.publish("up", b"?") == 0 and self.journal(stream="all"), PATIENCE_S, "the bridge", 0.2)
        for topic in ("state/hub/parts", "state/hub/parts/inc"):
            publisher.publish(topic, b"3", retain=True)
        publisher.publish("t/a", b"behind it")
        wait_until(lambda: self.journal(stream="all")[-1]["payload"] == b"behind it", PATIENCE_S,
                   "what came behind", 0.2)
        self.assertEqual(self.wait_stat("denied", 2)["denied"], 2)
        self.assertEqual(self.ops(), [])
        self.assertEqual(self.retained("state/#"), [])


class AclFileTest(StateTest):
    """With an acl_file ordinary clients have its rules; the daemon publishes values whatever it says."""

    def setUp(self):
        PluginTest.setUp(self)
        acl = self.folder / "acl"
        acl.write_text("topic read state/#\ntopic write state/hub/parts/inc\n", encoding="utf-8")
        acl.chmod(0o644)
        conf = self.broker.conf_file
        conf.write_text(conf.read_text(encoding="utf-8") + f"acl_file {acl}\n", encoding="utf-8")
        self.broker.start()

    def test_a_verb_is_allowed_by_a_rule_and_values_need_none(self):
        client = self.client("plc", 5)
        self.assertLess(client.publish("state/hub/parts/inc", b"3"), 0x80)
        self.assertEqual(client.publish("state/hub/parts/dec", b"3"), 0x87)
        self.assertLess(self.tls_client("hub", "tombolo-syncd").publish("state/hub/parts", b"3", retain=True), 0x80)
        self.assertEqual([r["topic"] for r in self.ops(1)], ["state/hub/parts/inc"])
        self.assertEqual(self.retained("state/hub/parts"), [b"3"])


class PrintedAclTest(StateTest):
    """The rules that docs/state.md prints do what it says of them."""

    def setUp(self):
        PluginTest.setUp(self)
        text = (Path(__file__).resolve().parents[2] / "docs/state.md").read_text(encoding="utf-8")
        acl = self.folder / "acl"
        acl.write_text(text.split("In Mosquitto's `acl_file`:\n\n```\n")[1].split("```")[0].replace("line-7", "hub"),
                       encoding="utf-8")
        acl.chmod(0o644)
        conf = self.broker.conf_file
        conf.write_text(conf.read_text(encoding="utf-8") + f"acl_file {acl}\n", encoding="utf-8")
        self.broker.start()

    def heard(self, user: str, topic: str, patience_s: int = 30) -> str:
        return subprocess.run(["mosquitto_sub", "-p", str(self.broker.port), *user.split(), "-t", topic, "-C", "1",
                               "-W", str(patience_s)], capture_output=True, text=True, timeout=60).stdout

    def test_users_read_values_and_get_the_answers_of_the_daemon(self):
        daemon = self.tls_client("hub", "tombolo-syncd")
        self.assertLess(daemon.publish("state/hub/open", b"[]", retain=True), 0x80)
        self.assertLess(daemon.publish("tombolo-cli/x", b"done", retain=True), 0x80)
        for user in ("", "-u press-3", "-u planner"):
            self.assertEqual(self.heard(user, "state/hub/open"), "[]\n", user)
        self.assertEqual(self.heard("-u planner", "tombolo-cli/x"), "done\n")
        self.assertEqual(self.heard("-u press-3", "tombolo-cli/x", 3), "")
