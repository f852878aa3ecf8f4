# SPDX-License-Identifier: Apache-2.0
"""tombolo-state: what it asks a broker, what it prints, its exit codes; and history, from a journal."""

import json
import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

import paho.mqtt.client as mqtt

from plugin_lab import CONFIG, PluginTest
from tombolo_lab import Broker, Lab
from tombolo_lab.net import free_port, wait_until
from tombolo_lab.node import Settings
from tombolo_lab.talker import Talker


def run(*args: str, text: str = "") -> subprocess.CompletedProcess:
    program = Path(os.environ["TMB_BUILD"]) / "clients/cli/tombolo-state"
    return subprocess.run([program, *args], capture_output=True, text=True, timeout=60, input=text)


class Responder:
    """Stands for the node: answers each operation, by what its path is called."""

    def __init__(self, port: int):
        self.heard = []
        self._client = mqtt.Client("responder", protocol=mqtt.MQTTv5)
        self._client.on_message = self._on_message
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        ready = []
        self._client.on_subscribe = lambda *_: ready.append(1)
        self._client.subscribe("state/#", 1)
        wait_until(lambda: ready, 30, "a subscription")

    def _on_message(self, client, _data, message):
        if message.retain:
            return  # a value, told at the subscription
        to = getattr(message.properties, "ResponseTopic", None)
        self.heard.append((message.topic, message.payload, dict(getattr(message.properties, "UserProperty", []))))
        if to and "/silent/" not in message.topic:
            is_ok = "/stale/" not in message.topic
            answer = {"ok": is_ok, "verdict": "done" if is_ok else "stale", "token": "AQ"}
            if not is_ok:
                answer["why"] = "changed since the token was read; read again"
            client.publish(to, json.dumps(answer), 1)

    def close(self):
        self._client.disconnect()
        self._client.loop_stop()


class BrokerTest(unittest.TestCase):
    """One broker without the plugin, with retained values as a node publishes them."""

    @classmethod
    def setUpClass(cls):
        cls.folder = Path(tempfile.mkdtemp(prefix="tombolo-state-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, True)
        cls.broker = Broker("plain", cls.folder)
        cls.broker.start()
        cls.addClassCleanup(cls.broker.stop)
        with Talker(cls.broker.port, "node") as node:
            token = [("tombolo-token", "AQabc")]
            for path, value in (("press/parts", "17"), ("press/mode", "eco"), ("press/raw", b"\xff\x00"),
                                ("press/mode/conflicts", '[{"value":"eco"},{"value":"off"}]'),
                                ("press/mode/pb", b"\x08\x01")):
                node.publish(f"state/line-7/{path}", value, retain=True, UserProperty=token)
        cls.responder = Responder(cls.broker.port)
        cls.addClassCleanup(cls.responder.close)

    def state(self, *args: str, code: int = 0, text: str = "") -> str:
        done = run(*args, "-p", str(self.broker.port), text=text)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout if code == 0 else done.stderr

    def asked(self, *args: str, text: str = "") -> tuple:
        """What a verb published: topic, payload, user properties."""
        count = len(self.responder.heard)
        self.assertEqual(self.state(*args, text=text), "done\n")
        wait_until(lambda: len(self.responder.heard) > count, 30, "an operation")
        return self.responder.heard[count]

    def test_reads(self):
        self.assertEqual(self.state("get", "line-7/press/parts"), "17\n")
        self.assertEqual(json.loads(self.state("get", "line-7/press/parts", "-o", "json")),
                         {"scope": "line-7", "path": "press/parts", "value": 17, "token": "AQabc"})
        self.assertEqual(json.loads(self.state("get", "line-7/press/raw", "-o", "json"))["value"], {"hex": "ff00"})
        self.assertIn("no such value", self.state("get", "line-7/press/other", code=1))
        self.assertIn("without the root", self.state("get", "state/line-7/press/parts", code=1))
        none = run("get", "line-7/press/other", "-o", "json", "-p", str(self.broker.port))
        self.assertEqual((none.returncode, json.loads(none.stdout), none.stderr),
                         (1, {"scope": "line-7", "path": "press/other", "value": None}, ""))

    def test_lists_values_and_nothing_else(self):
        lines = [json.loads(line) for line in self.state("list", "line-7", "-o", "json").splitlines()]
        self.assertEqual({line["path"] for line in lines}, {"press/parts", "press/mode", "press/raw"})
        nothing = run("list", "nosuch", "-p", str(self.broker.port))
        self.assertEqual((nothing.returncode, nothing.stdout), (0, ""))
        self.assertIn("there is no value there", nothing.stderr)
        self.assertIn("line-7/press/mode  eco\n", subprocess.run(
            [Path(os.environ["TMB_BUILD"]) / "clients/cli/tombolo-state", "list", "line-7/press", "-p",
             str(self.broker.port)], capture_output=True, timeout=60).stdout.decode(errors="replace"))

    def test_shows_conflicts(self):
        self.assertEqual(json.loads(self.state("conflicts", "line-7/press/mode")), [{"value": "eco"}, {"value": "off"}])
        self.assertEqual(self.state("conflicts", "line-7/press/parts"), "none\n")
        self.assertEqual(json.loads(self.state("conflicts", "line-7/press/parts", "-o", "json"))["value"], [])

    def test_verbs_ask(self):
        self.assertEqual(self.asked("inc", "a/b/c")[:2], ("state/a/b/c/inc", b'{"inc":1}'))
        self.assertEqual(self.asked("dec", "a/b", "5", "--id", "run:3")[1], b'{"dec":5,"id":"run:3"}')
        self.assertEqual(self.asked("raise", "a/b", "-2.5")[1], b'{"raise":-2.5}')
        self.assertEqual(self.asked("set", "a/b", "eco")[1], b"eco")
        self.assertEqual(json.loads(self.asked("set", "a/b", '{"set":1}')[1]), {"set": '{"set":1}'})
        self.assertEqual(self.asked("set", "a/b", "-", text="of stdin")[1], b"of stdin")
        self.assertEqual(json.loads(self.asked("set", "a/b", "-", text=' {"set":1}\n')[1]), {"set": ' {"set":1}\n'})
        self.assertEqual(self.asked("set", "a/b", b"{\xff")[1], b"{\xff")
        self.assertEqual(self.asked("set", "a/b", "-", text="{\0}")[1], b"{\0}")
        self.assertIn("has to be UTF-8", self.state("set", "a/b", b"{\xff", "--id", "run:4", code=2))
        topic, payload, properties = self.asked("rm", "a/b", "wo-1", "wo 2", "--token", "AQx", "--if", "AQy")
        self.assertEqual((topic, payload), ("state/a/b/rm", b'{"rm":["wo-1","wo 2"]}'))
        self.assertEqual(properties, {"tombolo-token": "AQx", "tombolo-if": "AQy"})
        for verb in ("reset", "enable", "disable", "permit", "forbid", "new", "del"):
            self.assertEqual(json.loads(self.asked(verb, "a/b")[1]), {verb: True})

    def test_refusals_and_silence_have_their_codes(self):
        self.assertIn("refused (stale): changed since", self.state("set", "a/stale/x", "1", code=1))
        answer = run("set", "a/stale/x", "1", "-o", "json", "-p", str(self.broker.port))
        self.assertEqual((answer.returncode, json.loads(answer.stdout)["verdict"]), (1, "stale"))
        self.assertIn("is tombolo-syncd running", self.state("inc", "a/silent/x", "--timeout", "1", code=3))
        nobody = run("get", "a/b", "-p", str(free_port()))
        self.assertEqual(nobody.returncode, 3)
        self.assertIn("is the broker running", nobody.stderr)

    def test_mistakes_are_told(self):
        for words, wanted in ((("set", "a/b"), "value is missing"), (("inc", "a/b", "x"), "whole number"),
                              (("inc", "a/b", "-3"), "dec counts down"), (("inc", "a/b", "1.5"), "whole number"),
                              (("inc", "a/b", "9" * 20), "9223372036854775807"), (("raise", "a/b", ".5"), "21.5"),
                              (("incr", "a/b"), "did you mean inc?"), (("inc", "a/b", "--below"), "for history"),
                              (("get", "a/b", "--frob"), '"--frob"'), (("get", "a/b", "-Z"), '"-Z"'),
                              (("get", "a/b", "--cert", "x"), "--cafile"), (("get", "a/b", "-P", "x"), "-u NAME"),
                              (("get", "A/b"), "SCOPE is a name"), (("get", "a"), "path is missing"),
                              (("get", "a/b/inc"), "inc"), (("remove", "a/b", "x"), "did you mean rm?"),
                              (("get", "a/twin/p/delta"), "watch shows"), (("fly", "a/b"), "no such command"),
                              (("inc", "a/b", "1", "2"), "at most 1 value"), (("new", "a/b", "x"), "new takes no value"), ((), "neighbours, retire, or a verb"),
                              (("get", "a/b", "-o", "xml"), "json or text"), (("history", "a"), "--journal"),
                              (("get", "a/b", "--since", "1h"), "for history"), (("get", "a/b", "--id", "x"), "verbs")):
            self.assertIn(wanted, self.state(*words, code=2), words)
        self.assertIn('value is missing behind "-p"', run("get", "a/b", "-p").stderr)
        self.assertIn("tombolo-state inc", run("--help").stdout)

    def test_watches(self):
        program = Path(os.environ["TMB_BUILD"]) / "clients/cli/tombolo-state"
        with subprocess.Popen([program, "watch", "w", "-o", "json", "-p", str(self.broker.port)],
                              stdout=subprocess.PIPE, text=True) as watch:
            self.addCleanup(watch.kill)
            with Talker(self.broker.port, "node-2") as node:
                node.publish("state/w/ready", "1", retain=True)
                self.assertEqual(json.loads(watch.stdout.readline())["path"], "ready")
                node.publish("state/w/x", "5", retain=True)
                self.assertEqual(json.loads(watch.stdout.readline()), {"scope": "w", "path": "x", "value": 5})
                node.publish("state/w/x/error", '{"ok":false}')
                self.assertEqual(json.loads(watch.stdout.readline())["about"], "error")
                node.publish("state/w/x", "", retain=True)
                self.assertIsNone(json.loads(watch.stdout.readline())["value"])
            watch.terminate()
            self.assertEqual(watch.wait(10), 0)


class AclTest(unittest.TestCase):
    def test_who_may_only_read_values_is_told_what_else_reading_takes(self):
        folder = Path(tempfile.mkdtemp(prefix="tombolo-acl-"))
        self.addCleanup(shutil.rmtree, folder, True)
        broker = Broker("plain", folder)
        acl = folder / "acl"
        acl.write_text("topic read state/#\n", encoding="utf-8")
        acl.chmod(0o644)
        broker.conf_file.write_text(broker.conf_file.read_text(encoding="utf-8") + f"acl_file {acl}\n", encoding="utf-8")
        broker.start()
        self.addCleanup(broker.stop)
        for words in (("get", "line-7/parts"), ("list", "line-7"), ("watch", "line-7"), ("conflicts", "line-7/parts")):
            done = run(*words, "-p", str(broker.port))
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertIn("on tombolo-cli/#, which an acl_file has to let us", done.stderr)
            self.assertNotIn("hold the scope", done.stderr)


class HistoryTest(PluginTest):
    """A broker with the plugin: operations are in its journal, in the stream of state."""

    needs_certificates = True

    def config(self) -> str:
        return CONFIG.format(data=self.data, durability=self.durability, interval=self.interval,
                             records=self.records) + "state:\n  scopes: [ line-7 ]\nbroker:\n  host: 127.0.0.1\n" \
            "  port: 8883\ntls:\n  ca_file: certs/ca.pem\n  cert_file: certs/hub.pem\n  key_file: certs/hub.key\n"

    def test_nothing_was_asked_for(self):
        self.broker.start()
        done = run("history", "line-7", "--journal", str(self.data))
        self.assertEqual((done.returncode, done.stdout), (0, ""))
        self.assertIn("no operation was ever published here", done.stderr)

    def test_what_the_broker_refuses(self):
        self.broker.start()
        done = run("inc", "line-9/parts", "-p", str(self.broker.port), "-o", "json")
        self.assertEqual(done.returncode, 1, done.stderr)
        answer = json.loads(done.stdout)
        self.assertEqual((answer["ok"], answer["verdict"], answer["op"], answer["path"]), (False, "broker", "inc", "parts"))
        self.assertIn("does the node hold the scope", answer["why"])

    def test_output_that_cannot_be_written_is_no_success(self):
        self.broker.start()
        with Talker(self.broker.port, "press-3") as press:
            self.assertEqual(press.publish("state/line-7/x/set", "1"), 0)
        port, data = str(self.broker.port), str(self.data)
        for words in (("tombolo-state", "history", "line-7", "--journal", data),
                      ("tombolo-state", "conflicts", "line-7/x", "-p", port),
                      ("tombolo-journal", "dump", data), ("tombolo-journal", "list", data)):
            program = Path(os.environ["TMB_BUILD"]) / "clients/cli" / words[0]
            with open("/dev/full", "w", encoding="utf-8") as full:
                done = subprocess.run([program, *words[1:]], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
            self.assertEqual(done.returncode, 3, (words, done.stderr))
            self.assertIn("standard output", done.stderr)
            with subprocess.Popen([program, *words[1:]], stdout=subprocess.PIPE) as left:
                left.stdout.close()  # who reads has enough
                self.assertEqual(left.wait(60), 0, words)

    def test_says_who_asked_for_what(self):
        self.broker.start()
        with Talker(self.broker.port, "press-3") as press:
            for topic, payload in (("press/parts/inc", "3"), ("press/parts/inc", '{"inc":4,"id":"r:2"}'),
                                   ("press/mode/set", "eco"), ("press/del", ""), ("other/set", "x")):
                self.assertEqual(press.publish(f"state/line-7/{topic}", payload), 0)

        def history(*args: str) -> list:
            done = run("history", *args, "--journal", str(self.data), "-o", "json")
            self.assertEqual(done.returncode, 0, done.stderr)
            return [json.loads(line) for line in done.stdout.splitlines()]

        found = history("line-7/press/parts")
        self.assertEqual([(r["verb"], r["payload"], r["publisher"]) for r in found],
                         [("inc", 3, "press-3"), ("inc", {"inc": 4, "id": "r:2"}, "press-3"), ("del", "", "press-3")])
        self.assertEqual([r["path"] for r in found], ["press/parts", "press/parts", "press"])
        self.assertEqual(len(history("line-7/press", "--below")), 4)
        self.assertEqual(len(history("line-7/press")), 1)
        self.assertEqual(len(history("line-7", "--below", "--since", "1h")), 5)
        self.assertEqual(len(history("line-7")), 5)
        self.assertEqual(history("line-8/press"), [])
        text = run("history", "line-7/press/mode", "--journal", str(self.data)).stdout
        self.assertRegex(text, r"Z  set +press/mode  eco  by press-3\n")
        gone = run("history", "line-7/x", "--journal", str(self.folder / "nowhere"))
        self.assertEqual(gone.returncode, 3)
        self.assertIn("tombolo-state: no journal in", gone.stderr)


class NodeTest(unittest.TestCase):
    """A whole node, found by its configuration alone: its own broker over TLS, with its own certificate."""

    def setUp(self):
        self.lab = Lab()
        self.addCleanup(self.lab.close)
        self.node = self.lab.node("line-7", has_children=True, settings=Settings(more="state:\n  scopes: [ line-7 ]\n"))
        self.lab.start()
        # The daemon may still be on its way to its broker: what it applies before it is there, it cannot answer.
        wait_until(lambda: run("set", "line-7/ready", "1", "--timeout", "2", "--config",
                               str(self.node.config_file)).returncode == 0, 20, "an answer")

    def state(self, *args: str, code: int = 0) -> dict:
        done = run(*args, "--config", str(self.node.config_file), "-o", "json")
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return json.loads(done.stdout)

    def wait_value(self, path: str, value) -> dict:
        """Values follow their answers after a moment."""
        found = {}

        def is_there() -> bool:
            done = run("get", f"line-7/{path}", "--config", str(self.node.config_file), "-o", "json")
            found.update(json.loads(done.stdout) if done.returncode == 0 else {})
            return found.get("value") == value
        wait_until(is_there, 30, lambda: f"{path}: {found}, not {value}", 0.2)
        return found

    def test_a_port_with_tls_is_told_from_one_without(self):
        broker, authority = self.node.broker, str(self.node.certificate.ca_file)
        for words, wanted in (((str(broker.tls_port),), "which wants --cafile"),
                              ((str(broker.port), "--cafile", authority), "is it a port with TLS")):
            done = run("get", "line-7/x", "--timeout", "3", "-p", *words)
            self.assertEqual(done.returncode, 3)
            self.assertIn(wanted, done.stderr)

    def test_asks_is_answered_and_looks_back(self):
        self.assertEqual(self.state("inc", "line-7/parts", "5", "--id", "shift:1")["verdict"], "done")
        self.assertEqual(self.state("inc", "line-7/parts", "5", "--id", "shift:1")["verdict"], "repeat")
        self.wait_value("parts", 5)
        self.assertEqual(self.state("rm", "line-7/open", "wo-1")["verdict"], "same")
        self.state("set", "line-7/mode", "eco")
        token = self.wait_value("mode", "eco")["token"]
        self.state("set", "line-7/mode", '{"set":"as it stands"}', "--if", token)
        self.wait_value("mode", {"set": "as it stands"})
        refused = self.state("set", "line-7/mode", "full", "--if", token, code=1)
        self.assertEqual((refused["ok"], refused["verdict"]), (False, "stale"))
        self.assertEqual(self.state("conflicts", "line-7/mode")["value"], [])
        self.assertEqual(self.state("raise", "line-7/peak", "-2.5")["verdict"], "done")
        self.wait_value("peak", -2.5)
        self.assertEqual(self.state("set", "line-8/mode", "eco", code=1)["verdict"], "scope")
        history = run("history", "line-7/mode", "--config", str(self.node.config_file), "-o", "json").stdout
        self.assertEqual([json.loads(line)["verb"] for line in history.splitlines()], ["set"] * 3)


if __name__ == "__main__":
    unittest.main()
