# SPDX-License-Identifier: Apache-2.0
"""The clients that people have work unchanged: mosquitto_pub and mosquitto_sub, Paho Python, MQTT.js."""

import json
import os
import shutil
import subprocess
import threading
import unittest
from pathlib import Path

import paho.mqtt.client as mqtt
import paho.mqtt.publish
from tombolo_lab import Ear, Lab

MQTTJS = "5.16.0"
HERE = Path(__file__).resolve().parent


def folder_of(name: str, version: str) -> Path:
    return Path(os.environ["TMB_BUILD"]) / "npm" / f"{name}-{version}"


def is_kept(name: str, version: str) -> bool:
    return (folder_of(name, version) / "node_modules" / name / "package.json").exists()


def npm_package(name: str, version: str) -> Path:
    """node_modules with that package, kept in the build folder."""
    folder = folder_of(name, version)
    if is_kept(name, version):
        return folder / "node_modules"
    for program in ("npm", "node"):
        assert shutil.which(program), f"{program} is missing: apt-get install nodejs npm; offline: TMB_OFFLINE=1"
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--ignore-scripts",
                           "--omit=dev", "--loglevel=error", f"{name}@{version}"],
                          cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, f"npm could not install {name}@{version}:\n{done.stderr[-2000:]}"
    return folder / "node_modules"


class ClientsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.lab = Lab()
        cls.addClassCleanup(cls.lab.close)
        cls.hub = cls.lab.node("hub", has_children=True)
        cls.s1 = cls.lab.node("s1", parent=cls.hub)
        cls.lab.start()

    def mosquitto_pub(self, *words, **options):
        done = subprocess.run(["mosquitto_pub", "-h", "127.0.0.1", "-p", str(self.s1.broker.port), *words], text=True,
                              capture_output=True, timeout=60, **options)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_mosquitto_pub_and_sub(self):
        for version in ("mqttv311", "mqttv5"):
            for qos in ("0", "1", "2"):
                topic = f"tools/{version}/{qos}"
                count = 5
                with subprocess.Popen(["stdbuf", "-oL", "mosquitto_sub", "-h", "127.0.0.1", "-p",
                                       str(self.hub.broker.port), "-V", version, "-q", "2", "-t", f"s1/{topic}", "-F",
                                       "%t %q %p", "-C", str(count), "-W", "60", "-d"],
                                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as sub:
                    seen = []
                    for line in sub.stdout:  # -d: until the subscription is there
                        seen.append(line)
                        if "SUBACK" in line:
                            break
                    text = "".join(f"line {number}\n" for number in range(count))
                    self.mosquitto_pub("-V", version, "-q", qos, "-t", topic, "-l", input=text)
                    heard = sub.stdout.read()  # to its end: -C messages, or -W seconds
                self.assertEqual(sub.wait(30), 0, "".join(seen) + heard)
                got = [line for line in heard.splitlines() if line.startswith("s1/")]
                self.assertEqual(got, [f"s1/{topic} {qos} line {number}" for number in range(count)])

    def test_mosquitto_pub_properties_and_retain(self):
        self.mosquitto_pub("-V", "mqttv5", "-q", "1", "-r", "-t", "tools/retained", "-m", "kept", "-D", "publish",
                           "user-property", "unit", "bar", "-D", "publish", "content-type", "text/plain")
        ear = Ear("tools-ear", self.hub.broker.port, "s1/tools/retained", wants_retained=True)
        self.addCleanup(ear.halt)
        heard = ear.wait("s1/tools/retained")[0]
        self.assertEqual((heard.payload, heard.retain, heard.properties.UserProperty, heard.properties.ContentType),
                         (b"kept", True, [("unit", "bar")], "text/plain"))

    def test_paho_python(self):
        """Paho as its documentation has it: loop_start, publish, wait_for_publish; and publish.multiple."""
        ear = Ear("paho-ear", self.hub.broker.port, "s1/paho/#")
        self.addCleanup(ear.halt)
        for name, protocol in (("v4", mqtt.MQTTv311), ("v5", mqtt.MQTTv5)):
            client = mqtt.Client(f"paho-{name}", protocol=protocol)
            ready = threading.Event()
            client.on_connect = lambda *_, ready=ready: ready.set()
            client.connect("127.0.0.1", self.s1.broker.port)
            client.loop_start()
            self.assertTrue(ready.wait(30))
            for number in range(30):
                client.publish(f"paho/{name}", str(number), number % 3).wait_for_publish(30)
            client.disconnect()
            client.loop_stop()
            heard = ear.wait(f"s1/paho/{name}", 30)
            self.assertEqual(sorted(int(m.payload) for m in heard), list(range(30)))
        paho.mqtt.publish.multiple([{"topic": "paho/multiple", "payload": str(n), "qos": 1} for n in range(10)],
                                   hostname="127.0.0.1", port=self.s1.broker.port)
        self.assertEqual([int(m.payload) for m in ear.wait("s1/paho/multiple", 10)], list(range(10)))

    def test_mqtt_js(self):
        if os.environ.get("TMB_OFFLINE") == "1" and not is_kept("mqtt", MQTTJS):
            self.skipTest("MQTT.js is not here, and TMB_OFFLINE=1 says that npm cannot get it")
        modules = npm_package("mqtt", MQTTJS)
        for version in ("4", "5"):
            done = subprocess.run(
                ["node", HERE / "mqttjs_client.js", version, f"mqtt://127.0.0.1:{self.s1.broker.port}",
                 f"mqtt://127.0.0.1:{self.hub.broker.port}"], env={**os.environ, "NODE_PATH": str(modules)},
                stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
            self.assertEqual(done.returncode, 0, done.stderr)
            heard = [json.loads(line) for line in done.stdout.splitlines()]
            for qos in (1, 2):
                of_qos = [m for m in heard if m["topic"] == f"s1/js/{version}/{qos}"]
                self.assertEqual([(m["payload"], m["qos"]) for m in of_qos],
                                 [(str(number), qos) for number in range(1, 21)])
                if version == "5":
                    self.assertEqual([m["number"] for m in of_qos], [str(number) for number in range(1, 21)])


if __name__ == "__main__":
    unittest.main()
