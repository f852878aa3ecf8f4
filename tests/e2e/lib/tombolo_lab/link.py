# SPDX-License-Identifier: Apache-2.0
"""The wire between two nodes: a TCP proxy that can be cut and healed, and counts bytes.

    up         bytes pass
    blackhole  nothing passes and nobody is told: a cable that was pulled. After heal() what was under way
               goes on, as TCP would have it.
    deaf       bytes pass to the parent, none come back: what was said is heard, and its acks are not
    reset      both ends get an RST, new connections too: a router that was switched off and says so

throttle() makes the way up a slow line. One thread with a selector drives all connections of a link.
"""

import errno
import selectors
import socket
import struct
import threading
import time

from .net import free_port

_BUFFER_BYTES = 256 * 1024
_SLOW_BUFFER_BYTES = 16 * 1024  # of the kernel, where a line is slow: what waits there has left the child
_SLOW_TURN_S = 0.02
_LINGER_0 = struct.pack("ii", 1, 0)  # close() sends RST


class _End:
    """One side of a connection; `out` waits to be written to it."""

    def __init__(self, sock: socket.socket, is_child: bool):
        self.sock, self.is_child = sock, is_child
        self.other = None
        self.out = bytearray()
        self.is_eof = False


class Link(threading.Thread):
    def __init__(self, name: str, target_port: int):
        super().__init__(name=f"link {name}", daemon=True)
        self.port = free_port()
        self.state = "up"
        self.bytes_up = 0    # from the child to the parent
        self.bytes_down = 0
        self.connections = 0
        self._target_port = target_port
        self._selector = selectors.DefaultSelector()
        self._ends = set()
        self._orders = []
        self._lock = threading.Lock()
        self._wake_in, self._wake_out = socket.socketpair()
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=64)
        self._listener.setblocking(False)
        self._is_closing = False
        self._up_bytes_per_s = 0   # 0: as fast as it goes
        self._up_free_at = 0.0     # when what it has taken will have passed
        self._is_up_busy = False   # until then it takes no more

    # From any thread.

    def throttle(self, bytes_per_s: int) -> None:
        """From the child to the parent at this rate. Before any connection: buffers are made with it."""
        assert not self._ends and bytes_per_s > 0
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SLOW_BUFFER_BYTES)
        self._up_bytes_per_s = bytes_per_s

    def cut(self, how: str = "blackhole") -> None:
        assert how in ("blackhole", "deaf", "reset"), how
        self._order(how)

    def heal(self) -> None:
        self._order("up")

    def close(self) -> None:
        if self.is_alive():
            self._order("close")
            self.join(5)

    def _order(self, state: str) -> None:
        done = threading.Event()
        with self._lock:
            self._orders.append((state, done))
        self._wake_out.send(b"!")
        if not done.wait(30):
            raise TimeoutError(f"{self.name} does not answer")

    # On the link's own thread.

    def run(self) -> None:
        self._selector.register(self._wake_in, selectors.EVENT_READ, "wake")
        self._selector.register(self._listener, selectors.EVENT_READ, "listen")
        while not self._is_closing:
            for key, events in self._selector.select(self._pause_s()):
                if key.data == "wake":
                    self._wake_in.recv(64)
                    self._obey()
                elif key.data == "listen":
                    self._accept()
                elif key.data in self._ends:
                    self._serve(key.data, events)
            if self._is_up_busy and self._pause_s() == 0:
                self._is_up_busy = False
                for end in self._ends:
                    self._watch(end)
        for end in list(self._ends):
            self._drop(end)
        for sock in (self._listener, self._wake_in, self._wake_out):
            sock.close()
        self._selector.close()

    def _pause_s(self):
        return max(0.0, self._up_free_at - time.monotonic()) if self._is_up_busy else None

    def _obey(self) -> None:
        with self._lock:
            orders, self._orders = self._orders, []
        for state, done in orders:
            if state == "close":
                self._is_closing = True
            else:
                self.state = state
                if state == "reset":
                    for end in list(self._ends):
                        self._drop(end)
                for end in list(self._ends):
                    self._watch(end)
            done.set()

    def _accept(self) -> None:
        try:
            sock, _address = self._listener.accept()
        except OSError:
            return
        if self.state == "reset":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_0)
            sock.close()
            return
        self.connections += 1
        child = _End(sock, True)
        parent = _End(socket.socket(), False)
        child.other, parent.other = parent, child
        for end in (child, parent):
            end.sock.setblocking(False)
            end.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        parent.sock.connect_ex(("127.0.0.1", self._target_port))
        self._ends |= {child, parent}
        for end in (child, parent):
            self._selector.register(end.sock, selectors.EVENT_READ, end)
            self._watch(end)

    def _watch(self, end: _End) -> None:
        """Asks the selector for what may be done with this end now; for nothing at all in a blackhole."""
        events = 0
        if self.state == "up" or self.state == "deaf":
            is_deaf = self.state == "deaf"
            is_paused = end.is_child and self._is_up_busy
            if not end.is_eof and not is_paused and len(end.other.out) < _BUFFER_BYTES and (
                    end.is_child or not is_deaf):
                events |= selectors.EVENT_READ
            if end.out and not (end.is_child and is_deaf):
                events |= selectors.EVENT_WRITE
        try:
            is_known = end.sock in self._selector.get_map()
        except (KeyError, ValueError):
            is_known = False
        if events and is_known:
            self._selector.modify(end.sock, events, end)
        elif events:
            self._selector.register(end.sock, events, end)
        elif is_known:
            self._selector.unregister(end.sock)

    def _serve(self, end: _End, events: int) -> None:
        if self.state not in ("up", "deaf"):
            return
        try:
            if events & selectors.EVENT_READ:
                data = end.sock.recv(self._turn_bytes(end))
                if data:
                    end.other.out += data
                    if end.is_child:
                        self.bytes_up += len(data)
                        self._pause(len(data))
                    else:
                        self.bytes_down += len(data)
                else:
                    end.is_eof = True
            for side in (end, end.other):
                if side.out and not (side.is_child and self.state == "deaf"):
                    del side.out[:self._send(side)]
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            self._drop(end)
            return
        if (end.is_eof and not end.other.out) or (end.other.is_eof and not end.out):
            self._drop(end, gently=True)
            return
        self._watch(end)
        self._watch(end.other)

    def _turn_bytes(self, end: _End) -> int:
        is_slow = end.is_child and self._up_bytes_per_s
        return max(1, int(self._up_bytes_per_s * _SLOW_TURN_S)) if is_slow else 65536

    def _pause(self, count: int) -> None:
        if self._up_bytes_per_s:
            now = time.monotonic()
            self._up_free_at = max(self._up_free_at, now - _SLOW_TURN_S) + count / self._up_bytes_per_s
            self._is_up_busy = True
            for end in self._ends:
                self._watch(end)

    @staticmethod
    def _send(side: _End) -> int:
        try:
            return side.sock.send(side.out)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as error:
            if error.errno == errno.ENOTCONN:  # connect() is still under way
                return 0
            raise

    def _drop(self, end: _End, gently: bool = False) -> None:
        for side in (end, end.other):
            if side not in self._ends:
                continue
            self._ends.discard(side)
            try:
                self._selector.unregister(side.sock)
            except (KeyError, ValueError):
                pass
            if not gently:
                try:
                    side.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_0)
                except OSError:
                    pass
            side.sock.close()
