# SPDX-License-Identifier: Apache-2.0
"""Ports and waiting.

Ports are taken from below the range that the kernel gives to outgoing connections. A port of that range
could be handed to some client while a killed broker is away, and a client that calls a closed port of that
range again and again will one day be connected to itself.

Labs run beside each other, and a port on which nobody listens may be that of a broker that is yet to start, or was
just killed. So each port is claimed, until its process ends, by a lock on the byte of that number of one file.
"""

import fcntl
import os
import random
import socket
import tempfile
import time

_taken = set()
_draw = random.SystemRandom()
_claims = []  # the file, open; closing it would let go of all


def _claim(port: int) -> bool:
    if not _claims:
        name = os.path.join(tempfile.gettempdir(), f"tombolo-lab-ports-{os.geteuid()}")
        _claims.append(open(name, "ab"))
    try:
        fcntl.lockf(_claims[0], fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except BlockingIOError:
        return False
    return True


def free_port() -> int:
    """A port on 127.0.0.1 that nobody listens on, never the same twice, also of labs of other processes."""
    for _ in range(1000):
        port = _draw.randrange(12000, 32000)
        if port in _taken or not _claim(port):
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _taken.add(port)
        return port
    raise RuntimeError("no free port between 12000 and 32000 on 127.0.0.1")


def wait_until(condition, timeout_s: float, what: str, step_s: float = 0.02):
    """Waits until condition() is true and gives its value; TimeoutError says what was waited for. It is looked at once
    more when the time is over: this process may have stood still, and the others not."""
    end = time.monotonic() + timeout_s
    while True:
        is_over = time.monotonic() > end
        value = condition()
        if value:
            return value
        if is_over:
            raise TimeoutError(f"waited {timeout_s:g} s for {what() if callable(what) else what}")
        time.sleep(step_s)
