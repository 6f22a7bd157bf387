"""A program on a terminal: what somebody who sits at it would see."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests._support.interpreter import PYTHON

__all__ = ["Terminal", "terminal"]

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")
_PATIENCE_S = 15.0


class Terminal:
    """A running program and the screen it writes to."""

    def __init__(self, process: subprocess.Popen[bytes], screen: int) -> None:
        self.raw = ""
        self._process = process
        self._screen = screen

    @property
    def text(self) -> str:
        """All that was written so far: no colours, movements and double spaces."""
        return re.sub(" +", " ", _CONTROL.sub("", self.raw))

    def wait_for(self, text: str) -> str:
        """Read until `text` has been written since the last call; give what was."""
        start = len(self.text)
        give_up_at = time.monotonic() + _PATIENCE_S
        while text not in self.text[start:]:
            assert time.monotonic() < give_up_at, self.text
            assert self._read() or text in self.text[start:], self.text
        return self.text[start:]

    def type(self, text: str) -> None:
        """Type a line."""
        os.write(self._screen, f"{text}\n".encode())

    def end(self, number: signal.Signals) -> int:
        """Send a signal and give the exit status; a terminal sends SIGINT by Ctrl-C."""
        self._process.send_signal(number)
        return self.ended()

    def ended(self) -> int:
        """Read to the end and give the exit status."""
        while self._read():
            pass
        return self._process.wait(_PATIENCE_S)

    def _read(self) -> bool:
        ready, _, _ = select.select([self._screen], [], [], _PATIENCE_S)
        try:
            data = os.read(self._screen, 65536) if ready else b""
        except OSError:  # so a terminal says that nobody writes to it any more
            data = b""
        self.raw += data.decode(errors="replace")
        return bool(data)


@contextmanager
def terminal(*arguments: str, columns: int = 120) -> Iterator[Terminal]:
    """Run `structiot` with these arguments on a terminal of its own."""
    screen, keyboard = pty.openpty()
    size = struct.pack("HHHH", 40, columns, 0, 0)
    fcntl.ioctl(keyboard, termios.TIOCSWINSZ, size)
    environment = {**os.environ, "TERM": "xterm-256color", "PYTHONUTF8": "1"}
    for name in ("NO_COLOR", "COLUMNS", "LINES"):
        environment.pop(name, None)
    process = subprocess.Popen(
        [*PYTHON, "-m", "structiot", *arguments],
        stdin=keyboard,
        stdout=keyboard,
        stderr=keyboard,
        env=environment,
    )
    os.close(keyboard)
    try:
        yield Terminal(process, screen)
    finally:
        process.kill()
        process.wait()
        os.close(screen)
