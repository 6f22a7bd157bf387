"""Run `structiot demo` as a user does, stop it by Ctrl-C, and look at what it showed."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

RUN_S = 12.0
STOP_S = 10.0


def run_demo() -> tuple[int, str]:
    """Give the exit status of the demo and all that it wrote."""
    program = Path(sys.executable).with_name("structiot")
    demo = subprocess.Popen(
        [program, "demo"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        output, _ = demo.communicate(timeout=RUN_S)
    except subprocess.TimeoutExpired:
        demo.send_signal(signal.SIGINT)
        try:
            output, _ = demo.communicate(timeout=STOP_S)
        except subprocess.TimeoutExpired:
            demo.kill()
            output, _ = demo.communicate()
            output += f"\n(killed: it did not stop within {STOP_S:g} s)"
    else:
        output += "\n(it ended by itself)"
        return 1, output
    return demo.returncode, output


def problems(status: int, output: str) -> list[str]:
    """Say what a user would miss or mind."""
    found = []
    if status != 0:
        found.append(f"exit status {status}")
    if "Traceback" in output:
        found.append("a traceback")
    if not re.search(r"\b\d+(\.\d+)? W\b", output):
        found.append("no power in watts")
    found += [f"no firmware {v}" for v in ("1.30", "2.11") if v not in output]
    return found


def main() -> int:
    """Run the check; print the demo's output, then what is wrong with it."""
    status, output = run_demo()
    print(output)
    found = problems(status, output)
    print(f"demo: {'; '.join(found) or 'fine'}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
