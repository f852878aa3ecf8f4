# SPDX-License-Identifier: Apache-2.0
"""What publisher and subscriber share: a Paho client, driven by one thread, that comes back when it is cut off.

Paho's own threads are not used: with loop_start() it may send a new message between the ones that it sends
again after a reconnect, and then it would be Paho that changed the order. Driven by hand, everything in
doubt has gone out again before loop() returns with the connection up (Paho 1.6.1, _handle_connack).
"""

import threading
import time

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

_DAY_S = 86400
_REFUSED = 0x80  # reason codes from here on are failures (MQTT 5, 2.4)


class PahoClient(mqtt.Client):
    """Paho 1.6.1 reads the reason code of a PUBACK and tells nobody; this one remembers refusals."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.refused_mids = {}  # mid -> reason code

    def _note_reason(self):
        packet = self._in_packet["packet"]
        if self._protocol == mqtt.MQTTv5 and len(packet) > 2 and packet[2] >= _REFUSED:
            self.refused_mids[packet[0] << 8 | packet[1]] = packet[2]

    def _handle_pubackcomp(self, cmd):
        if cmd == "PUBACK":
            self._note_reason()
        return super()._handle_pubackcomp(cmd)

    def _handle_pubrec(self):
        self._note_reason()
        return super()._handle_pubrec()


class ClientThread(threading.Thread):
    """One connection and the thread that drives it. Subclasses say what to do in `work` and the hooks."""

    def __init__(self, client_id: str, port: int, *, version: int = 5, persistent: bool = True,
                 certificate=None, retry_s: float = 0.1):
        super().__init__(name=client_id, daemon=True)
        self.client_id, self.port, self.version = client_id, port, version
        self.retry_s = retry_s
        self.connects = 0
        self.failure = None      # an exception that ended the thread
        self._persistent = persistent
        self._certificate = certificate
        self._is_up = False
        self._halt = threading.Event()
        self.client = self._make_client()

    def _make_client(self) -> PahoClient:
        if self.version == 5:
            client = PahoClient(self.client_id, protocol=mqtt.MQTTv5)
        else:
            client = PahoClient(self.client_id, clean_session=not self._persistent, protocol=mqtt.MQTTv311)
        if self._certificate:
            client.tls_set(str(self._certificate.ca_file), str(self._certificate.cert_file),
                           str(self._certificate.key_file))
        client.on_connect = self._on_connect
        return client

    def _on_connect(self, _client, _userdata, flags, reason, _properties=None):
        code = getattr(reason, "value", reason)
        if code == 0:
            self._is_up = True
            self.connects += 1
            self.on_up(bool(flags["session present"]))

    def _dial(self) -> None:
        try:
            if self.version == 5:
                properties = Properties(PacketTypes.CONNECT)
                properties.SessionExpiryInterval = _DAY_S if self._persistent else 0
                self.client.connect("127.0.0.1", self.port, 30, clean_start=not self._persistent,
                                    properties=properties)
            else:
                self.client.connect("127.0.0.1", self.port, 30)
        except OSError:
            self._halt.wait(self.retry_s)
            return
        end = time.monotonic() + 5
        while not self._is_up and time.monotonic() < end and not self._halt.is_set():
            if self.client.loop(0.1) != mqtt.MQTT_ERR_SUCCESS:
                break
        if not self._is_up:
            self._halt.wait(self.retry_s)

    def drive(self, timeout_s: float) -> None:
        """Reads and writes for at most timeout_s; notices the end of the connection."""
        if self.client.loop(max(timeout_s, 0.0)) != mqtt.MQTT_ERR_SUCCESS:
            self.lost()

    def lost(self) -> None:
        if self._is_up:
            self._is_up = False
            self.on_down()

    @property
    def is_up(self) -> bool:
        return self._is_up

    def run(self) -> None:
        try:
            while not self._halt.is_set() and not self.is_done():
                if self._is_up:
                    self.work()
                else:
                    self._dial()
            if self._is_up:
                self.client.disconnect()
                self.client.loop(0.05)
        except Exception as error:  # told to whoever joins
            self.failure = error
            raise

    def halt(self, timeout_s: float = 10) -> None:
        """Ends the thread, whatever is still open."""
        self._halt.set()
        if self.ident:
            self.join(timeout_s)

    # For subclasses.

    def on_up(self, session_present: bool) -> None:
        pass

    def on_down(self) -> None:
        pass

    def is_done(self) -> bool:
        return False

    def work(self) -> None:
        self.drive(0.1)
