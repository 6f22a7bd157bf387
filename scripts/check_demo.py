"""Run `structiot demo` as a user does: watch it, switch something, press Ctrl-C.

Twice, the second time where something else listens on the usual port of MQTT.
"""

from __future__ import annotations

import os
import pty
import re
import select
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

PATIENCE_S = 20.0
USUAL_PORT = 1883
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def _open_screen() -> tuple[int, int]:
    try:
        return pty.openpty()
    except OSError as error:
        print(f"no terminal ({error}): through a pipe instead")
        return os.pipe()


class Terminal:
    """A program in a terminal of its own, and all that it has shown so far."""

    def __init__(self, *command: str) -> None:
        self._screen, inside = _open_screen()
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=inside,
            stderr=inside,
            env={**os.environ, "COLUMNS": "120", "LINES": "50", "TERM": "xterm"},
        )
        os.close(inside)
        self.shown = ""

    def wait_until(self, is_true: Callable[[], object]) -> bool:
        """Read on until something holds; False if it does not in time."""
        give_up_at = time.monotonic() + PATIENCE_S
        while not is_true():
            if time.monotonic() > give_up_at or not self._read_some():
                return bool(is_true())
        return True

    def shows(self, pattern: str) -> re.Match[str] | None:
        """Search what has been shown for a pattern."""
        return re.search(pattern, self.shown)

    def interrupt(self) -> int:
        """Press Ctrl-C and give the exit status; a program that stays is killed."""
        self._process.send_signal(signal.SIGINT)
        self.wait_until(lambda: self._process.poll() is not None)
        if self._process.poll() is None:
            self._process.kill()
        return self._process.wait()

    def _read_some(self) -> bool:
        if not select.select([self._screen], [], [], 0.2)[0]:
            return True
        try:
            data = os.read(self._screen, 65536)
        except OSError:  # Linux tells the end of a terminal by an error
            return False
        self.shown += ESCAPES.sub("", data.decode(errors="replace"))
        return bool(data)


def problems(demo: Terminal) -> list[str]:
    """Say what a user would miss or mind."""
    found = []
    if not demo.wait_until(lambda: _has_power(demo, "kitchen_counter", "workbench")):
        found.append("no power of both strips")
    hint = r"switch it: ([^\r\n]* mqtt pub [^\r\n]* structiot/(\w+)/(\w+)/set [^\r\n]*)"
    if demo.wait_until(lambda: demo.shows(hint)) and (switch := demo.shows(hint)):
        line, device, key = switch.groups()
        subprocess.run(shlex.split(line), check=True)
        if not demo.wait_until(lambda: demo.shows(rf"{device} +{key} .* off ")):
            found.append("it does not switch")
    else:
        found.append("no hint how to switch")
    if status := demo.interrupt():
        found.append(f"exit status {status}")
    if demo.shows("Traceback"):
        found.append("a traceback")
    return found


def _has_power(demo: Terminal, *devices: str) -> bool:
    return all(demo.shows(rf"{device} .*port_1.* \d+\.\d+") for device in devices)


def check(*expected: str) -> int:
    """Print the demo's last screen, and what is wrong with it; give how much."""
    demo = Terminal(str(Path(sys.executable).with_name("structiot")), "demo")
    found = [f"not said: {text}" for text in expected if not _says(demo, text)]
    found += problems(demo)
    print("\n".join(demo.shown.splitlines()[-24:]))
    print(f"demo: {'; '.join(found) or 'fine'}")
    return len(found)


def _says(demo: Terminal, text: str) -> bool:
    return demo.wait_until(lambda: text in demo.shown)


def main() -> int:
    """Run the check on a free port, as far as it is free, and on a taken one."""
    found = check()
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            other.bind(("127.0.0.1", USUAL_PORT))
            other.listen()
        except OSError:
            print(f"port {USUAL_PORT} is somebody else's, which will do as well")
        found += check(f"port {USUAL_PORT} is taken")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
