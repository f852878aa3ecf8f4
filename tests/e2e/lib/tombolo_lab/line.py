# SPDX-License-Identifier: Apache-2.0
"""A bad line between two nodes: IP packets through two TUN devices, with a rate, a delay, loss and cuts.

    line = lab.line(seed=1)  # before the parent, whose certificate must name its address
    s1 = lab.node("s1", parent=hub, line=line)
    line.rate(20_000); line.delay(0.3); line.loss(0.3)

Unlike Link, which ends TCP, it lies below TCP: what is lost is sent again by the kernels, what queues is not yet
taken. The near end is in this network, the far end in a namespace of its own, where a relay without limits takes
connections to `address` and carries them to the port. Both ways are alike, each with its own queue (at most
QUEUE_S of it, then packets are dropped, and at least QUEUE_MIN packets). Needs the rights to make TUN devices.
"""

import ctypes
import fcntl
import heapq
import os
import random
import selectors
import socket
import struct
import subprocess
import threading
import time

from .net import free_port

_TUNSETIFF, _TUN_NO_PI = 0x400454CA, 0x1001
_CLONE_NEWNET = 0x40000000
_MTU = 1400
QUEUE_S = 4.0
QUEUE_MIN = 20


def _run(*words: str) -> None:
    subprocess.run(words, check=True, stdin=subprocess.DEVNULL, capture_output=True)


def _tun(name: str) -> int:
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _TUN_NO_PI))
    return device


class _Way:
    """Packets from one device to the other."""

    def __init__(self, source: int, sink: int):
        self.source, self.sink = source, sink
        self.rate = 0  # bits a second; 0: no limit
        self.free_at = 0.0
        self.bytes = self.dropped = 0
        self.coming = []  # heap of (when, number, packet)


class Line(threading.Thread):
    def __init__(self, seed: int = 0):
        super().__init__(name="line", daemon=True)
        draw = random.SystemRandom()
        subnet = f"198.{18 + draw.randrange(2)}.{draw.randrange(256)}"
        tag = f"{draw.randrange(1 << 32):08x}"
        self.address, self._near = f"{subnet}.2", f"{subnet}.1"
        self.port = free_port()
        self._names = f"tmbn{tag}", f"tmbf{tag}"
        self._random = random.Random(seed)
        self._delay_s = self._loss = self._jitter_s = 0.0
        self._is_cut = self._is_closing = False
        self._number = 0
        self._wake_in, self._wake_out = os.pipe()
        self._lock = threading.Lock()
        near = _tun(self._names[0])
        _run("ip", "addr", "add", f"{self._near}/30", "dev", self._names[0])
        _run("ip", "link", "set", self._names[0], "mtu", str(_MTU), "up")
        self._listener = None
        far = self._in_namespace(self._make_far)
        self.up, self.down = _Way(near, far), _Way(far, near)
        self._relay = _Relay(self._listener)

    def _make_far(self) -> int:
        far = _tun(self._names[1])
        _run("ip", "addr", "add", f"{self.address}/30", "dev", self._names[1])
        _run("ip", "link", "set", self._names[1], "mtu", str(_MTU), "up")
        self._listener = socket.create_server((self.address, self.port), backlog=64)
        return far

    @staticmethod
    def _in_namespace(make):
        """make() in a network namespace that lives as long as what it opens there."""
        libc = ctypes.CDLL(None, use_errno=True)
        result = []

        def work():
            if libc.unshare(_CLONE_NEWNET) != 0:
                result.append(OSError(ctypes.get_errno(), "unshare"))
                return
            try:
                result.append(make())
            except (OSError, subprocess.CalledProcessError) as error:
                result.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        if isinstance(result[0], Exception):
            raise result[0]
        return result[0]

    @staticmethod
    def is_possible() -> bool:
        return os.access("/dev/net/tun", os.R_OK | os.W_OK) and os.geteuid() == 0

    # From any thread.

    def lead_to(self, port: int) -> None:
        self._relay.target_port = port

    @property
    def connections(self) -> int:
        return self._relay.connections

    def rate(self, bits_per_s: int) -> None:
        self.up.rate = self.down.rate = bits_per_s

    def delay(self, one_way_s: float, jitter_s: float = 0.0) -> None:
        self._delay_s, self._jitter_s = one_way_s, jitter_s

    def loss(self, share: float) -> None:
        self._loss = share

    def cut(self) -> None:
        """Swallows all, what is on its way too."""
        self._is_cut = True

    def heal(self) -> None:
        self._is_cut = False

    def close(self) -> None:
        if not self.is_alive():
            return
        self._is_closing = True
        os.write(self._wake_out, b"!")
        self.join(5)
        self._relay.close()
        for device in (self.up.source, self.down.source, self._wake_in, self._wake_out):
            os.close(device)

    # On the line's own thread.

    def start(self) -> None:
        self._relay.start()
        super().start()

    def run(self) -> None:
        selector = selectors.DefaultSelector()
        selector.register(self._wake_in, selectors.EVENT_READ)
        selector.register(self.up.source, selectors.EVENT_READ, self.up)
        selector.register(self.down.source, selectors.EVENT_READ, self.down)
        while not self._is_closing:
            soonest = min((way.coming[0][0] for way in (self.up, self.down) if way.coming), default=None)
            pause = None if soonest is None else max(0.0, soonest - time.monotonic())
            for key, _events in selector.select(pause):
                if key.data:
                    self._take(key.data)
            now = time.monotonic()
            for way in (self.up, self.down):
                while way.coming and way.coming[0][0] <= now:
                    self._give(way, heapq.heappop(way.coming)[2])
        selector.close()

    def _take(self, way: _Way) -> None:
        for _ in range(64):
            try:
                packet = os.read(way.source, 65536)
            except BlockingIOError:
                return
            if packet[0] >> 4 != 4:
                continue
            now = time.monotonic()
            waits = max(0.0, way.free_at - now)
            length = 8 * len(packet) / way.rate if way.rate else 0.0
            if self._random.random() < self._loss or (
                    waits > max(QUEUE_S, QUEUE_MIN * length)):
                way.dropped += 1
                continue
            way.free_at = now + waits + length
            self._number += 1
            jitter = self._random.uniform(0, self._jitter_s)
            heapq.heappush(way.coming, (way.free_at + self._delay_s + jitter, self._number, packet))

    def _give(self, way: _Way, packet: bytes) -> None:
        if self._is_cut:
            way.dropped += 1
            return
        way.bytes += len(packet)
        try:
            os.write(way.sink, packet)
        except OSError:
            way.dropped += 1


class _Relay(threading.Thread):
    """Between the far end and the parent's broker, as fast as it goes; a full peer is waited for."""

    def __init__(self, listener: socket.socket):
        super().__init__(name="line's relay", daemon=True)
        self._listener = listener
        self.target_port = 0
        self.connections = 0
        self._sockets = set()
        self._lock = threading.Lock()

    def run(self) -> None:
        while True:
            try:
                near, _address = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            try:
                far = socket.create_connection(("127.0.0.1", self.target_port))
            except OSError:
                near.close()
                continue
            for sock in (near, far):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._sockets |= {near, far}
            for pair in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=pair, daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass
        for sock in (source, sink):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for sock in self._sockets:
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
                sock.close()
