# SPDX-License-Identifier: Apache-2.0
"""A node: a broker with the plugin, a tombolo-syncd, and the one YAML file that both read."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from .broker import Broker
from .process import Daemon


@dataclass
class Programs:
    plugin: Path
    syncd: Path
    journal: Path


def programs(build: str = "") -> Programs:
    """Where the built programs are: in TMB_BUILD, a build folder of CMake's."""
    build = Path(build or os.environ.get("TMB_BUILD", ""))
    found = Programs(build / "broker-plugin/tombolo-mosquitto.so", build / "syncd/daemon/tombolo-syncd",
                     build / "clients/cli/tombolo-journal")
    for path in (found.plugin, found.syncd, found.journal):
        if not path.exists():
            raise FileNotFoundError(f"{path} is not there: build first, and set TMB_BUILD to the build folder")
    return found


@dataclass
class Settings:
    """What a lab may want of a node that is not as shipped."""
    durability: str = "strict"
    streams: tuple = ()  # (name, topics as YAML has them, durability); () is one, default, for all topics
    checkpoint_interval: str = "60s"
    checkpoint_records: int = 50000
    backoff_base: str = "200ms"
    backoff_cap: str = "2s"
    ack_timeout: str = "5s"
    keepalive: str = "10s"
    batch_bytes: str = "256KiB"
    children_topic: str = "{site}/{topic}"
    parent: str = ""  # more YAML for the parent, indented by two
    window_min: str = "100ms"
    handshakes_per_s: int = 0  # of children; 0: as measured
    broker: dict = None  # lines of mosquitto.conf
    stream_lines: str = ""  # more YAML for each stream, indented by four
    children_lines: str = ""  # more YAML for children, indented by two
    state: str = ""  # YAML of state, indented by two; "": none
    more: str = ""          # more YAML, not indented


class Node:
    """parent: a Node or None; parent_port: where it is reached (a link's port)."""

    def __init__(self, name: str, folder: Path, authority, built: Programs, *, parent=None,
                 parent_port: int = 0, parent_host: str = "127.0.0.1", has_children: bool = False, settings: Settings = None):
        self.name, self.folder = name, Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.data = self.folder / "data"
        self.config_file = self.folder / "node.yaml"
        self.settings = settings or Settings()
        self.certificate = authority.issue(name)
        self._domain, self.has_children = authority.domain, has_children
        self._parent_host = parent_host
        self._parent_port = parent_port or (parent.broker.tls_port if parent else 0)
        self._is_own_client = has_children or bool(self.settings.state)
        self.broker = Broker(name, self.folder, self.certificate if self._is_own_client else None, built.plugin,
                             self.config_file, self.settings.broker)
        self.config_file.write_text(self._yaml(), encoding="utf-8")
        self.syncd = Daemon(f"{name} syncd", [built.syncd, "--config", self.config_file],
                            self.folder / "syncd.log")

    def _yaml(self) -> str:
        s = self.settings
        streams = "".join(f"  - name: {name}\n    topics: {topics}\n    durability: {durability}\n{s.stream_lines}"
                          for name, topics, durability in s.streams or (("default", '["#"]', s.durability),))
        text = f"""\
# Written by the lab; the commented samples are in config/samples.
node: {self.name}
domain: {self._domain}
data_dir: {self.data}
streams:
{streams}checkpoint:
  interval: {s.checkpoint_interval}
  records: {s.checkpoint_records}
"""
        if self._parent_port:
            text += f"""\
parent:
  host: {self._parent_host}
  port: {self._parent_port}
  backoff:
    base: {s.backoff_base}
    cap: {s.backoff_cap}
  ack_timeout: {s.ack_timeout}
  keepalive: {s.keepalive}
  batch_bytes: {s.batch_bytes}
{s.parent}"""
        if self._is_own_client:
            text += f"""\
broker:
  host: 127.0.0.1
  port: {self.broker.tls_port}
"""
        if self.has_children:
            text += f"""\
children:
  accept: true
  topic: "{s.children_topic}"
  window_min: {s.window_min}
  handshakes_per_s: {s.handshakes_per_s}
{s.children_lines}"""
        if s.state:
            text += f"state:\n{s.state}"
        if self._parent_port or self._is_own_client:
            text += f"""\
tls:
  ca_file: {self.certificate.ca_file}
  cert_file: {self.certificate.cert_file}
  key_file: {self.certificate.key_file}
"""
        return text + s.more

    @property
    def checkpoint_files(self) -> tuple:
        """What the broker and its plugin write when what was delivered need not be delivered again."""
        return self.broker.persistence / "mosquitto.db", self.data / "checkpoint"

    def told(self) -> dict:
        """What the daemon tells of itself in its file, at most a second old; nothing when it has just begun."""
        file = self.data / "syncd.json"
        return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}

    @property
    def journal_root(self) -> Path:
        return self.data / "journal"

    def start(self) -> None:
        self.broker.start()
        self.syncd.start()

    def stop(self) -> None:
        self.syncd.stop()
        self.broker.stop()

    def logs(self, lines: int = 20) -> str:
        return self.broker.daemon.tail(lines) + "\n" + self.syncd.tail(lines)
