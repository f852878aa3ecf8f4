# SPDX-License-Identifier: Apache-2.0
"""For the plugin's tests: one Mosquitto with the plugin and nothing else, and how to ask it things."""

import json
import os
import shutil
import signal
import ssl
import tempfile
import time
import unittest
from pathlib import Path

from plugin_raw import Raw, read_journal
from tombolo_lab import Authority, Broker
from tombolo_lab.net import wait_until

STATS = "$tombolo/v1/stats/plugin"
# One that is held up in the midst of a snapshot makes the next wait for 20 times as long.
PATIENCE_S = 60
CONFIG = """\
node: hub
domain: lab.example
data_dir: {data}
streams:
  - name: default
    topics: ["#"]
    durability: {durability}
checkpoint:
  interval: {interval}
  records: {records}
"""


def plugin_file() -> Path:
    found = Path(os.environ.get("TMB_BUILD", "")) / "broker-plugin/tombolo-mosquitto.so"
    if not found.exists():
        raise FileNotFoundError(f"{found} is not there: build first, and set TMB_BUILD to the build folder")
    return found


class PluginTest(unittest.TestCase):
    """self.broker is not started yet; sockets and broker go away by themselves, the folder when all went well."""

    durability = "process"
    interval = "60s"
    records = 50000
    settings = {}
    needs_certificates = False

    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="tombolo-plugin-"))
        self.addCleanup(self._clean)
        self.data = self.folder / "data"
        self.config_file = self.folder / "node.yaml"
        self.config_file.write_text(self.config(), encoding="utf-8")
        self.authority = Authority(self.folder / "certs") if self.needs_certificates else None
        certificate = self.authority.issue("hub") if self.authority else None
        self.broker = Broker("hub", self.folder, certificate, plugin_file(), self.config_file, dict(self.settings))
        self.db_file = self.broker.persistence / "mosquitto.db"
        self._certificates = {"hub": certificate}

    def config(self) -> str:
        return CONFIG.format(data=self.data, durability=self.durability, interval=self.interval,
                             records=self.records)

    def _clean(self):
        self.broker.stop()
        result = self._outcome.result
        failed = any(test is self for test, _ in result.failures + result.errors)
        if failed:
            print(f"kept: {self.folder}\n{self.broker.daemon.tail(40)}")
        else:
            shutil.rmtree(self.folder, ignore_errors=True)

    def client(self, name: str, version: int = 4, **options) -> Raw:
        client = Raw(self.broker.port, name, version, **options)
        self.addCleanup(client.sock.close)
        return client

    def tls_client(self, name: str, client_id: str = "", version: int = 5, **options) -> Raw:
        """A client with the certificate of the node called name."""
        certificate = self._certificates.get(name) or self.authority.issue(name)
        self._certificates[name] = certificate
        context = ssl.create_default_context(cafile=str(certificate.ca_file))
        context.load_cert_chain(str(certificate.cert_file), str(certificate.key_file))
        client = Raw(self.broker.tls_port, client_id or f"tombolo-{name}", version, tls=context, **options)
        self.addCleanup(client.sock.close)
        return client

    def session(self, name: str, topic: str, qos: int = 1, version: int = 4) -> None:
        """A lasting session with one subscription, offline again, in the broker's snapshot."""
        before = self.db_state()
        client = self.client(name, version, clean=False)
        self.assertEqual(client.subscribe(topic, qos), qos)
        client.close()
        wait_until(lambda: self.db_state() != before, PATIENCE_S, "a snapshot that has the subscription")
        self.wait_stat("checkpoints", 1)

    def come_back(self, name: str, version: int = 4) -> list:
        """What the session of name has waiting: payloads, in order."""
        client = self.client(name, version, clean=False)
        self.assertTrue(client.session_present, f"the session of {name} is gone")
        messages = client.receive_all()
        client.close()
        return messages

    def db_state(self):
        if not self.db_file.exists():
            return None
        stat = self.db_file.stat()
        return stat.st_ino, stat.st_mtime_ns, stat.st_size

    def stats(self) -> dict:
        client = self.client("stats-reader", 5)
        self.assertLess(client.subscribe(STATS), 0x80)
        topic, payload, _, _, _ = client.receive()
        client.close()
        self.assertEqual(topic, STATS)
        return json.loads(payload)

    def wait_stat(self, name: str, at_least: int) -> dict:
        """Waits until a counter has risen: the statistics are at most a second old."""
        end = time.monotonic() + PATIENCE_S
        while True:
            found = self.stats()
            if found[name] >= at_least:
                return found
            self.assertLess(time.monotonic(), end, f"{name} is {found[name]}, not {at_least}: {found}")
            time.sleep(0.1)

    def snapshot(self) -> None:
        """Has the broker write a snapshot, and waits for the plugin's checkpoint of it."""
        count = self.stats()["checkpoints"]
        os.kill(self.broker.daemon.pid, signal.SIGUSR1)
        self.wait_stat("checkpoints", count + 1)

    def journal(self, at_least: int = 0, **options) -> list:
        """The journal's records; QoS 0 comes a moment later, so it is waited for."""
        wait_until(lambda: len(read_journal(self.data / "journal", **options)) >= at_least, PATIENCE_S,
                   lambda: f"{at_least} records, there are {len(read_journal(self.data / 'journal'))}", 0.05)
        return read_journal(self.data / "journal", **options)
