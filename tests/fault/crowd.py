# SPDX-License-Identifier: Apache-2.0
"""A crowd of light MQTT clients on one thread: enough load for a broker that is broken two hundred times, on a
machine that has better things to do.

    Teller   publishes numbered messages of QoS 1 or 2 and never lets go of what was not acked: after a reconnect it
             sends again, in order, whatever is in doubt. QoS 2 counts as acked at PUBREC.
    Hearer   a lasting session with one subscription; writes down what it hears in one ledger

Each ledger is a view from one place (the hub, the site's own subscriber): tellers write what they sent and what was
acked into all of them. Nothing here asks the system under test for a figure.
"""

import errno
import itertools
import json
import selectors
import socket
import struct
import threading
import time
from collections import deque

CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK, PINGRESP, DISCONNECT = 2, 3, 4, 5, 6, 7, 9, 13, 14
DAY_S = 86400
RETRY_S = 0.01


def text(words) -> bytes:
    data = words.encode() if isinstance(words, str) else words
    return struct.pack(">H", len(data)) + data


def packet(head: int, body: bytes) -> bytes:
    size, length = len(body), b""
    while True:
        size, digit = size >> 7, size & 127
        if not size:
            return bytes([head]) + length + bytes([digit]) + body
        length += bytes([digit | 128])


class Client:
    """One connection, made again whenever it breaks. Used by the crowd's thread only, but for the flags."""

    def __init__(self, name: str, port: int, version: int = 4, clean: bool = True):
        self.name, self.port, self.version, self.clean = name, port, version, clean
        self.sock, self.is_up, self.retry_at = None, False, 0.0
        self.out, self.buffer = bytearray(), bytearray()
        self.connects, self.up_since = 0, 0.0
        self.is_away = False  # set: hangs up, and does not come back until it is cleared
        self.pings_asked = self.pings_sent = self.pings_answered = 0

    def greeting(self) -> bytes:
        body = text("MQTT") + bytes([self.version, 2 if self.clean else 0]) + struct.pack(">H", 0)
        if self.version == 5:
            body += b"\x05\x11" + struct.pack(">I", 0 if self.clean else DAY_S)
        return packet(0x10, body + text(self.name))

    def dial(self) -> bool:
        self.sock = socket.socket()
        try:
            self.sock.connect(("127.0.0.1", self.port))
        except OSError:
            self.sock.close()
            self.sock = None
            self.retry_at = time.monotonic() + RETRY_S
            return False
        self.sock.setblocking(False)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.out, self.buffer = bytearray(self.greeting()), bytearray()
        return True

    def packets(self):
        """The whole packets that have come: (kind, flags, body)."""
        while len(self.buffer) >= 2:
            length, shift, at = 0, 0, 1
            while True:
                if at >= len(self.buffer):
                    return
                digit = self.buffer[at]
                length |= (digit & 127) << shift
                at, shift = at + 1, shift + 7
                if not digit & 128:
                    break
            if len(self.buffer) < at + length:
                return
            head, body = self.buffer[0], bytes(self.buffer[at:at + length])
            del self.buffer[:at + length]
            yield head >> 4, head & 15, body

    def take(self, kind: int, flags: int, body: bytes) -> None:
        if kind == CONNACK:
            if body[1] != 0:
                raise ConnectionError(f"{self.name}: CONNACK {body[1]}")
            self.is_up, self.up_since = True, time.monotonic()
            self.connects += 1
            self.on_up(bool(body[0] & 1))
        elif kind == PINGRESP:
            self.pings_answered += 1
        elif kind == DISCONNECT:
            raise ConnectionError(f"{self.name}: DISCONNECT {body!r}")
        else:
            self.on_packet(kind, flags, body)

    def on_up(self, session_present: bool) -> None:
        pass

    def on_down(self) -> None:
        pass

    def on_packet(self, kind: int, flags: int, body: bytes) -> None:
        pass

    def work(self, now: float) -> None:
        pass


class Teller(Client):
    """burst messages at once each pause_s, of which at most window are not acked. ledgers: all that are to know."""

    def __init__(self, name: str, port: int, topic: str, ledgers: list, *, qos: int = 1, version: int = 4,
                 is_numbered: bool = False, window: int = 15, burst: int = 5, pause_s: float = 0.02, pad: int = 40,
                 limit: int = 0):
        super().__init__(name, port, version)
        self.topic, self.qos, self.window, self.burst, self.pause_s, self.limit = (
            topic, qos, window, burst, pause_s, limit)
        self.is_numbered, self.pad = is_numbered, "x" * pad
        self.accounts = [(ledger, ledger.open(name, "site", is_numbered)) for ledger in ledgers]
        self.is_paused = False
        self.flight = {}      # mid -> number; in the order sent
        self.released = set()  # mids between PUBREC and PUBCOMP
        self.refusals = []    # reason codes
        self.met_in_doubt = 0  # connections that broke with something in doubt
        self.ack_times = deque(maxlen=100000)  # (monotonic, seconds that the ack took)
        self.sent_at = {}
        self._mids, self._due = itertools.cycle(range(1, 60000)), 0.0

    @property
    def sent(self) -> int:
        return len(self.accounts[0][1].sent_at)

    @property
    def acked(self) -> int:
        return len(self.accounts[0][1].acked)

    def on_up(self, _session_present: bool) -> None:
        doubt, self.flight, self.released = list(self.flight.values()), {}, set()
        for number in doubt:
            self.say(number, dup=True)

    def on_down(self) -> None:
        self.met_in_doubt += bool(self.flight)
        for ledger, account in self.accounts:
            ledger.doubted(account, list(self.flight.values()))

    def say(self, number: int, dup: bool = False) -> None:
        mid = next(mid for mid in self._mids if mid not in self.flight and mid not in self.released)
        self.flight[mid] = number
        self.sent_at[mid] = time.monotonic()
        body = text(self.topic) + struct.pack(">H", mid)
        if self.version == 5:
            props = b"\x26" + text("tombolo-seq") + text(str(number)) if self.is_numbered else b""
            body += bytes([len(props)]) + props
        said = json.dumps({"p": self.name, "n": number, "x": self.pad}).encode()
        self.out += packet(0x30 | dup << 3 | self.qos << 1, body + said)

    def work(self, now: float) -> None:
        if self.is_paused or now < self._due or (self.limit and self.sent >= self.limit):
            return
        room = min(self.burst, self.window - len(self.flight) - len(self.released))
        if room > 0:
            self._due = now + self.pause_s
        for _ in range(room):
            for ledger, account in self.accounts:
                number = ledger.sent(account)
            self.say(number)

    def on_packet(self, kind: int, _flags: int, body: bytes) -> None:
        mid = body[0] << 8 | body[1]
        reason = body[2] if len(body) > 2 else 0
        if kind in (PUBACK, PUBREC):
            number = self.flight.pop(mid, 0)
            now = time.monotonic()
            self.ack_times.append((now, now - self.sent_at.pop(mid, now)))
            for ledger, account in self.accounts:
                ledger.refused(account, number) if reason >= 0x80 else ledger.acked(account, number)
            if reason >= 0x80:
                self.refusals.append(reason)
            elif kind == PUBREC:
                self.released.add(mid)
                self.out += packet(0x62, body[:2])
        elif kind == PUBCOMP:
            self.released.discard(mid)


class Hearer(Client):
    """ledger: what it hears is written there. MQTT 3.1.1, clean session 0, QoS 1."""

    def __init__(self, name: str, port: int, ledger, topic: str = "#"):
        super().__init__(name, port, clean=False)
        self.topic, self.ledger = topic, ledger
        self.is_subscribed = False
        self.received = self.sessions_lost = 0

    def on_up(self, session_present: bool) -> None:
        self.ledger.subscriber_is_up()
        if session_present:
            return
        self.sessions_lost += self.is_subscribed
        self.out += packet(0x82, b"\x00\x01" + text(self.topic) + b"\x01")

    def on_packet(self, kind: int, flags: int, body: bytes) -> None:
        if kind == SUBACK:
            assert body[2] == 1, f"SUBACK {body!r}"
            self.is_subscribed = True
        elif kind == PUBLISH:
            at = 2 + struct.unpack(">H", body[:2])[0]
            if flags & 6:
                self.out += packet(0x40, body[at:at + 2])
                at += 2
            said = json.loads(body[at:])
            self.received += 1
            self.ledger.arrived(said["p"], said["n"])


class Crowd(threading.Thread):
    """Drives its clients until halt(). failure: what ended it before its time."""

    def __init__(self):
        super().__init__(name="crowd", daemon=True)
        self.clients, self.failure = [], None
        self.is_deaf = False  # tellers do not read: what they said is heard, and they do not know
        self.hang_ups = []  # why connections ended that the broker closed, newest last
        self._selector = selectors.DefaultSelector()
        self._halt = threading.Event()
        self._orders = deque()

    def add(self, *clients: Client) -> None:
        self.clients = self.clients + list(clients)

    @property
    def tellers(self) -> list:
        return [client for client in self.clients if isinstance(client, Teller)]

    @property
    def sent(self) -> int:
        return sum(teller.sent for teller in self.tellers)

    @property
    def acked(self) -> int:
        return sum(teller.acked for teller in self.tellers)

    @property
    def in_flight(self) -> int:
        return sum(len(teller.flight) for teller in self.tellers)

    def is_up(self, since: float = 0.0) -> bool:
        """Whether all are connected, by connections made after `since`."""
        return all(client.is_up and client.up_since >= since for client in self.clients)

    def pause(self, is_paused: bool = True) -> None:
        for teller in self.tellers:
            teller.is_paused = is_paused

    def ping(self) -> None:
        for client in self.clients:
            client.pings_asked += 1

    def halt(self) -> None:
        self._halt.set()
        if self.ident:
            self.join(10)

    def hang_up(self) -> None:
        """Ends the tellers' connections unread: acks under way are lost. They hear again."""
        self._order("hang up")

    def read_no_more(self) -> None:
        """Tellers read what is there, and nothing from then on, until hang_up()."""
        self._order("read no more")

    def _order(self, what: str) -> None:
        done = threading.Event()
        self._orders.append((what, done))
        if not done.wait(30):
            raise TimeoutError("the crowd does not answer")

    # On the crowd's own thread.

    def run(self) -> None:
        try:
            while not self._halt.is_set():
                self._turn()
        except Exception as error:  # told to whoever looks
            self.failure = error
            raise
        finally:
            for client in self.clients:
                if client.sock:
                    client.sock.close()

    def _turn(self) -> None:
        now = time.monotonic()
        while self._orders:
            what, done = self._orders.popleft()
            for teller in self.tellers:
                if what == "hang up":
                    self._lost(teller, "hung up unread")
                elif teller.sock:
                    self._read(teller)
            self.is_deaf = what != "hang up"
            done.set()
        for client in self.clients:
            if client.is_away and client.sock:
                self._lost(client, "away")
            if client.sock is None and not client.is_away and now >= client.retry_at and client.dial():
                self._selector.register(client.sock, selectors.EVENT_READ, client)
            if client.is_up:
                client.work(now)
            if client.sock:
                self._write(client)
        for key, _events in self._selector.select(0.002):
            if key.data.sock is not key.fileobj:
                continue
            if self.is_deaf and isinstance(key.data, Teller):
                time.sleep(0.0002)
                continue
            self._read(key.data)

    def _write(self, client: Client) -> None:
        while client.is_up and client.pings_sent < client.pings_asked:
            client.pings_sent += 1
            client.out += b"\xc0\x00"
        if not client.out:
            return
        try:
            del client.out[:client.sock.send(client.out)]
        except (BlockingIOError, InterruptedError):
            pass
        except OSError as error:
            self._lost(client, error)

    def _read(self, client: Client) -> None:
        try:
            data = client.sock.recv(1 << 18)
            if not data:
                raise ConnectionError(errno.ECONNRESET, "closed by the broker")
            client.buffer += data
            for kind, flags, body in client.packets():
                client.take(kind, flags, body)
        except (BlockingIOError, InterruptedError):
            pass
        except OSError as error:
            # What came before the end was said: an ack in the same read counts.
            self._lost(client, error)

    def _lost(self, client: Client, error) -> None:
        if client.sock is None:
            return
        self._selector.unregister(client.sock)
        client.sock.close()
        client.sock, client.retry_at = None, time.monotonic() + RETRY_S
        if client.is_up:
            client.is_up = False
            self.hang_ups = self.hang_ups[-20:] + [f"{client.name}: {error}"]
            client.on_down()


def judge_hub(test, ledger, told: str) -> None:
    """At the hub, whose broker lived: nothing lost, nothing twice but what was in doubt, all in order."""
    verdict = ledger.verdict()
    test.assertTrue(verdict.is_clean(), f"{told}, at the hub: {verdict}\n{ledger.evidence()}")
    test.assertEqual((verdict.published, verdict.redelivered), (verdict.acked, 0), f"{told}, at the hub: {verdict}")


def judge_site(test, ledger, told: str) -> None:
    """At the site, whose broker was killed: nothing lost, all in order, and nothing again that had come before the last
    checkpoint. What came after it may come any number of times: with kills so close together a snapshot holds what was
    replayed, which is replayed once more when the next kill comes before its checkpoint."""
    verdict = ledger.verdict()
    test.assertEqual((verdict.lost, verdict.reordered, verdict.foreign), (0, 0, 0),
                     f"{told}, at the site: {verdict}\n{ledger.evidence()}")
    settled = {name: account.judge.settled for name, account in ledger.accounts.items() if account.judge.settled}
    test.assertEqual(settled, {}, f"{told}: what had come before the last checkpoint came again")
