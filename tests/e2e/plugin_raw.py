# SPDX-License-Identifier: Apache-2.0
"""For the plugin's tests: MQTT by hand, and the journal read without Tombolo's code.

By hand, because the tests ask what a library hides: the reason code of one PUBACK, a connection closed in
place of an ack, a packet sent twice. The journal is read after its documented layout (docs/journal-format.md).
"""

import socket
import struct
from pathlib import Path

CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK, PINGRESP, DISCONNECT = 2, 3, 4, 5, 6, 7, 9, 13, 14
DAY_S = 86400


def _text(text) -> bytes:
    data = text.encode() if isinstance(text, str) else text
    return struct.pack(">H", len(data)) + data


def _length(number: int) -> bytes:
    out = b""
    while True:
        number, digit = number >> 7, number & 127
        if not number:
            return out + bytes([digit])
        out += bytes([digit | 128])


def user_property(name: str, value: str) -> bytes:
    return b"\x26" + _text(name) + _text(value)


def number_property(number) -> bytes:
    return user_property("tombolo-seq", str(number))


def user_properties(props: bytes) -> list:
    """The (name, value) pairs among the properties of a message that a node stored: those that it keeps."""
    found, at = [], 0
    while at < len(props):
        kind, at = props[at], at + 1
        if kind == 1:
            at += 1
            continue
        if kind == 2:
            at += 4
            continue
        assert kind in (3, 8, 9, 38), f"property {kind}"
        texts = []
        for _ in range(2 if kind == 38 else 1):
            size = struct.unpack_from(">H", props, at)[0]
            texts.append(props[at + 2:at + 2 + size])
            at += 2 + size
        if kind == 38:
            found.append((texts[0].decode(), texts[1].decode()))
    return found


class Raw:
    """One connection. Methods that wait raise ConnectionError when the broker closes it."""

    def __init__(self, port: int, client_id: str, version: int = 4, clean: bool = True, will=None,
                 will_qos: int = 1, will_retain: bool = False, timeout_s: float = 30, tls=None,
                 will_delay_s: int = 0, expiry_s: int = None, props: bytes = b""):
        """expiry_s: of the session, MQTT 5; else a day when it is not clean. props: of CONNECT, more than that."""
        self.version, self._mid, self._buffer = version, 0, b""
        self.sock = socket.create_connection(("127.0.0.1", port), timeout_s)
        if tls:
            self.sock = tls.wrap_socket(self.sock, server_hostname="localhost")
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        flags = 2 if clean else 0
        if will:
            flags |= 4 | will_qos << 3 | will_retain << 5
        body = _text("MQTT") + bytes([version, flags]) + struct.pack(">H", 60)
        if version == 5:
            expiry_s = (0 if clean else DAY_S) if expiry_s is None else expiry_s
            body += _length(5 + len(props)) + b"\x11" + struct.pack(">I", expiry_s) + props
        body += _text(client_id)
        if will:
            delay = b"\x05\x18" + struct.pack(">I", will_delay_s) if will_delay_s else b"\x00"
            body += (delay if version == 5 else b"") + _text(will[0]) + _text(will[1])
        self._send(0x10, body)
        kind, _, answer = self.packet()
        assert kind == CONNACK and answer[1] == 0, f"CONNACK {answer!r}"
        self.session_present = bool(answer[0] & 1)

    def _send(self, head: int, body: bytes) -> None:
        self.sock.sendall(bytes([head]) + _length(len(body)) + body)

    def _fill(self, count: int) -> None:
        while len(self._buffer) < count:
            more = self.sock.recv(1 << 16)
            if not more:
                raise ConnectionError("closed by the broker")
            self._buffer += more

    def packet(self):
        """The next packet: kind, flags, body. After a TimeoutError it can be asked for again: none is taken in part."""
        length, shift, at = 0, 0, 1
        while True:
            self._fill(at + 1)
            digit = self._buffer[at]
            length |= (digit & 127) << shift
            at, shift = at + 1, shift + 7
            if not digit & 128:
                break
        self._fill(at + length)
        head, body, self._buffer = self._buffer[0], self._buffer[at:at + length], self._buffer[at + length:]
        return head >> 4, head & 15, body

    def expect(self, wanted: int):
        kind, flags, body = self.packet()
        if kind == DISCONNECT:
            raise ConnectionError(f"DISCONNECT {body!r}")
        assert kind == wanted, f"packet {kind} in place of {wanted}"
        return flags, body

    def next_mid(self) -> int:
        self._mid = self._mid % 65535 + 1
        return self._mid

    def send(self, topic: str, payload: bytes, qos: int = 1, retain: bool = False, props: bytes = b"",
             mid: int = 0, dup: bool = False) -> int:
        mid = mid or (self.next_mid() if qos else 0)
        body = _text(topic) + (struct.pack(">H", mid) if qos else b"")
        if self.version == 5:
            body += _length(len(props)) + props
        self._send(0x30 | dup << 3 | qos << 1 | retain, body + payload)
        return mid

    def ack(self, kind: int = PUBACK) -> int:
        """Waits for one ack and gives its reason code (0 on MQTT 3.1.1)."""
        _, body = self.expect(kind)
        return body[2] if len(body) > 2 else 0

    def publish(self, topic: str, payload: bytes, qos: int = 1, **options) -> int:
        """Publishes and waits for the last ack; gives the reason code."""
        mid = self.send(topic, payload, qos, **options)
        if qos == 0:
            return 0
        if qos == 1:
            return self.ack()
        reason = self.ack(PUBREC)
        if reason < 0x80:
            self.release(mid)
        return reason

    def release(self, mid: int) -> None:
        """PUBREL, and waits for PUBCOMP."""
        self.send_release(mid)
        self.ack(PUBCOMP)

    def send_release(self, mid: int) -> None:
        self._send(0x62, struct.pack(">H", mid))

    def subscribe(self, topic: str, qos: int = 1) -> int:
        """Gives the code of the SUBACK. retain as published on MQTT 5, so that a retained message shows."""
        options = qos | (8 if self.version == 5 else 0)
        props = b"\x00" if self.version == 5 else b""
        self._send(0x82, struct.pack(">H", self.next_mid()) + props + _text(topic) + bytes([options]))
        return self.expect(SUBACK)[1][-1]

    def ping(self) -> None:
        """Comes back when the broker has worked off what was sent before."""
        self._send(0xc0, b"")
        kind, _, _ = self.packet()
        assert kind == PINGRESP, kind

    def _take_message(self, kind: int, flags: int, body: bytes):
        """The message of a PUBLISH, acked: topic, payload, qos, retain, props. None: it was a PUBREL, answered."""
        if kind == PUBREL:
            self._send(0x70, body[:2])
            return None
        assert kind == PUBLISH, f"packet {kind} in place of PUBLISH"
        size, qos = struct.unpack(">H", body[:2])[0], flags >> 1 & 3
        topic, rest = body[2:2 + size].decode(), body[2 + size:]
        if qos:
            self._send(0x40 if qos == 1 else 0x50, rest[:2])
            rest = rest[2:]
        props = b""
        if self.version == 5:
            length, at, shift = 0, 0, 0
            while True:
                length |= (rest[at] & 127) << shift
                at, shift = at + 1, shift + 7
                if not rest[at - 1] & 128:
                    break
            props, rest = rest[at:at + length], rest[at + length:]
        return topic, rest, qos, bool(flags & 1), props

    def receive(self):
        """The next message: topic, payload, qos, retain, props. Acks QoS 1 and 2."""
        while True:
            message = self._take_message(*self.packet())
            if message:
                return message

    def receive_queued(self) -> list:
        """Everything that the broker has queued by now, however slow it is: it has nothing more when it answers a
        ping with nothing before the answer."""
        got, is_empty = [], False
        while not is_empty:
            is_empty = True
            self._send(0xc0, b"")
            while (packet := self.packet())[0] != PINGRESP:
                is_empty = False
                got += filter(None, [self._take_message(*packet)])
        return got

    def receive_all(self, quiet_s: float = 0.5) -> list:
        """Everything that is queued, and what comes until it is quiet."""
        got, before = self.receive_queued(), self.sock.gettimeout()
        self.sock.settimeout(quiet_s)
        try:
            while True:
                got.append(self.receive())
        except TimeoutError:
            return got
        finally:
            self.sock.settimeout(before)

    def drop(self) -> None:
        """Away without DISCONNECT, by reset: the broker publishes the will."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def close(self) -> None:
        try:
            self._send(0xe0, b"")
        except OSError:
            pass
        self.sock.close()


def _crc32c(data: bytes) -> int:
    crc = 0xffffffff
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 255] ^ crc >> 8
    return crc ^ 0xffffffff


def _table_entry(value: int) -> int:
    for _ in range(8):
        value = value >> 1 ^ (0x82f63b78 if value & 1 else 0)
    return value


_TABLE = [_table_entry(value) for value in range(256)]
_SEGMENT_HEADER_BYTES = 192


def _origin(body: bytes, at: int):
    size = body[at]
    node, at = body[at + 1:at + 1 + size].decode(), at + 1 + size
    incarnation, at = body[at:at + 16], at + 16
    size = body[at]
    stream, at = body[at + 1:at + 1 + size].decode(), at + 1 + size
    seq = struct.unpack_from("<Q", body, at)[0]
    return {"node": node, "incarnation": incarnation, "stream": stream, "seq": seq}, at + 16


def _record(body: bytes) -> dict:
    seq, stamp, flags, _, topic_len, publisher_len, props_len = struct.unpack_from("<QQBBHHI", body)
    record, at = {"seq": seq, "stamp": stamp, "qos": flags & 3, "retain": bool(flags & 4),
                  "will": bool(flags & 8), "number": None, "origin": None, "via": None}, 26
    if flags & 16:
        number, size = struct.unpack_from("<QB", body, at)
        record["number"] = (body[at + 9:at + 9 + size].decode(), number)
        at += 9 + size
    if flags & 32:
        record["origin"], at = _origin(body, at)
    if flags & 64:
        record["via"], at = _origin(body, at)
    for name, size in (("topic", topic_len), ("publisher", publisher_len), ("props", props_len)):
        record[name], at = body[at:at + size], at + size
    record["topic"], record["publisher"] = record["topic"].decode(), record["publisher"].decode()
    record["payload"] = body[at:]
    return record


def read_journal(root, stream: str = "default", check: bool = True) -> list:
    """All whole records of a stream, in order; a bad one is an error, a torn last one is left out."""
    records = []
    for path in sorted(Path(root, stream).glob("*.seg")):
        data, at = path.read_bytes(), _SEGMENT_HEADER_BYTES
        while at + 12 <= len(data):
            marker, size, crc = struct.unpack_from("<4sII", data, at)
            if marker == b"\0\0\0\0" or at + 12 + size > len(data):
                break
            body = data[at + 12:at + 12 + size]
            assert marker == b"TMBR", f"{path} at {at}: {marker!r}"
            if check and size < 100_000:  # the table is slow in Python
                assert crc == _crc32c(data[at + 4:at + 8] + body), f"{path} at {at}: checksum"
            records.append(_record(body))
            at += 12 + size
    return records


def _put_origin(origin) -> bytes:
    node, incarnation, stream, seq = origin
    return (bytes([len(node)]) + node.encode() + incarnation + bytes([len(stream)]) + stream.encode() +
            struct.pack("<QQ", seq, seq + 1))


def encode_record(topic: str, payload: bytes, origin=None, via=None, qos: int = 1, retain: bool = False,
                  props: bytes = b"") -> bytes:
    """A record as a node's own syncd hands it to the plugin: number and stamp are the plugin's to give."""
    flags = qos | retain << 2 | (32 if origin else 0) | (64 if via else 0)
    name = topic.encode()
    body = struct.pack("<QQBBHHI", 0, 0, flags, 0, len(name), 1, len(props))
    body += (_put_origin(origin) if origin else b"") + (_put_origin(via) if via else b"")
    body += name + b"p" + props + payload
    size = struct.pack("<I", len(body))
    return b"TMBR" + size + struct.pack("<I", _crc32c(size + body)) + body
