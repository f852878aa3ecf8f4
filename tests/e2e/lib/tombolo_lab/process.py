# SPDX-License-Identifier: Apache-2.0
"""A child process with a log file.

setpriv gives it SIGKILL when the thread that started it ends, however that comes about, so that nothing is
left behind by a lab that was itself killed. Start processes from a thread that lives as long as they should.
"""

import os
import signal
import subprocess
from pathlib import Path

from .net import wait_until


class Daemon:
    def __init__(self, name: str, command: list, log_file: Path, env: dict = None):
        self.name = name
        self.command = [str(word) for word in command]
        self.log_file = Path(log_file)
        self.env = env
        self.starts = 0
        self._child = None

    @property
    def pid(self) -> int:
        return self._child.pid if self._child else 0

    def is_alive(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def start(self) -> None:
        assert not self.is_alive(), f"{self.name} is running"
        with open(self.log_file, "ab") as log:
            self._child = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *self.command],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, **(self.env or {})}, start_new_session=True)
        self.starts += 1

    def kill9(self) -> int:
        """Kills it as a power switch would, and gives the pid that is gone."""
        pid = self._child.pid
        assert self._child.poll() is None, f"{self.name} was gone before it was killed\n{self.tail()}"
        os.kill(pid, signal.SIGKILL)
        code = self._child.wait(30)
        assert code == -signal.SIGKILL, f"{self.name} ended with {code}, not by SIGKILL"
        assert not Path(f"/proc/{pid}").exists(), f"{self.name}: pid {pid} is still there"
        return pid

    def stop(self, timeout_s: float = 30) -> int:
        """Asks it to end, and gives its exit code; kills it when it will not."""
        if not self._child:
            return 0
        if self._child.poll() is None:
            self._child.terminate()
            try:
                self._child.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()
        return self._child.returncode

    def log(self) -> str:
        if not self.log_file.exists():
            return ""
        return self.log_file.read_text(encoding="utf-8", errors="replace")

    def tail(self, lines: int = 20) -> str:
        return "\n".join(f"    {self.name}: {line}" for line in self.log().splitlines()[-lines:])

    def wait_for_log(self, text: str, timeout_s: float = 30) -> None:
        wait_until(lambda: text in self.log(), timeout_s,
                   lambda: f"{text!r} in the log of {self.name}\n{self.tail()}")
