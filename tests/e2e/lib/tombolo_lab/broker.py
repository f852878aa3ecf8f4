# SPDX-License-Identifier: Apache-2.0
"""A stock Mosquitto: a plain listener for the node's own clients, a TLS listener for its children.

Both listen on loopback only. Without a plugin it is the broker anybody would have: the lab's own tests and
comparisons use that.
"""

import os
import shutil
import socket
from pathlib import Path

from .net import free_port, wait_until
from .process import Daemon

# CONNECT of MQTT 3.1.1, clean session, client id "lab-probe": all that it takes to be told that a broker is up.
_PROBE = b"\x10\x15\x00\x04MQTT\x04\x02\x00\x0a\x00\x09lab-probe"


def mosquitto_program() -> str:
    found = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if not found:
        raise FileNotFoundError("mosquitto is not installed (Debian: apt-get install mosquitto)")
    return found


class Broker:
    def __init__(self, name: str, folder: Path, certificate=None, plugin: Path = None,
                 plugin_config: Path = None, settings: dict = None, port: int = 0, tls_port: int = 0):
        self.name = name
        self.folder = Path(folder)
        self.port = port or free_port()
        self.tls_port = (tls_port or free_port()) if certificate else 0
        self.conf_file = self.folder / "mosquitto.conf"
        self.persistence = self.folder / "broker"
        self.persistence.mkdir(parents=True, exist_ok=True)
        self._write_conf(certificate, plugin, plugin_config, settings or {})
        self.daemon = Daemon(f"{name} broker", [mosquitto_program(), "-c", self.conf_file],
                             self.folder / "mosquitto.log")

    def _write_conf(self, certificate, plugin, plugin_config, settings) -> None:
        head = {
            "per_listener_settings": "false",
            "allow_anonymous": "true",
            "persistence": "true",
            "persistence_location": f"{self.persistence}/",
            "autosave_interval": "1800",
            "max_queued_messages": "1000000",
            "set_tcp_nodelay": "true",
            "log_dest": "stderr",
            "log_timestamp_format": "%H:%M:%S",
        }
        if os.geteuid() == 0:
            head["user"] = "root"
        head.update(settings)
        lines = [f"{key} {value}" for key, value in head.items()]
        lines += [f"log_type {kind}" for kind in ("error", "warning", "notice", "information")]
        if plugin:
            lines += [f"plugin {plugin}", f"plugin_opt_config {plugin_config}"]
        lines += [f"listener {self.port} 127.0.0.1"]
        if certificate:
            lines += [f"listener {self.tls_port} 127.0.0.1", f"cafile {certificate.ca_file}",
                      f"certfile {certificate.cert_file}", f"keyfile {certificate.key_file}",
                      "require_certificate true", "tls_version tlsv1.3"]
        self.conf_file.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def start(self, wait: bool = True) -> None:
        self.daemon.start()
        if wait:
            self.wait_up()

    def wait_up(self, timeout_s: float = 30) -> None:
        wait_until(lambda: self.answers() or not self.daemon.is_alive(), timeout_s,
                   lambda: f"{self.name} broker to answer\n{self.daemon.tail()}")
        if not self.daemon.is_alive():
            raise RuntimeError(f"{self.name} broker ended at once\n{self.daemon.tail()}")

    def answers(self) -> bool:
        """Whether it accepts a client (CONNACK 0) right now."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as probe:
                probe.settimeout(1)
                probe.sendall(_PROBE)
                answer = probe.recv(4)
                probe.sendall(b"\xe0\x00")
                return answer == b"\x20\x02\x00\x00"
        except OSError:
            return False

    def stop(self) -> int:
        return self.daemon.stop()

    def kill9(self) -> int:
        return self.daemon.kill9()
