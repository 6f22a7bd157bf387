"""How an example says in its docstring how it is run and what it prints.

    '''Say hello to a broker.

    Run:
        python examples/07_hello.py
        python examples/07_hello.py mqtt://127.0.0.1:1883/

    Prints:
        connected to mqtt://...
        <BLANKLINE>
        bye
    '''

It runs as it is, so the first line is without an argument; others may follow.
`mqtt://127.0.0.1:1883/` stands for a broker and is replaced by the tests' own. What is
printed is the same each time and compared as doctest does it: `...` stands for any text.
"""

from __future__ import annotations

import ast
import doctest
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests._support.interpreter import PYTHON
from tests._support.run_example import HEADLINE

ROOT = Path(__file__).resolve().parents[2]
BROKER = "mqtt://127.0.0.1:1883/"
_RUNNER = str(Path(__file__).with_name("run_example.py"))
_COMPARISON = doctest.ELLIPSIS | doctest.REPORT_NDIFF


@dataclass(frozen=True, slots=True)
class Example:
    """An example, as its docstring describes it."""

    path: Path
    runs: tuple[tuple[str, ...], ...]
    prints: str

    @property
    def needs_broker(self) -> bool:
        return any(BROKER in arguments for arguments in self.runs)

    def commands(self, backends: Sequence[str], broker_uri: str) -> list[list[str]]:
        """Give the command of each line, on these backends and with a broker."""
        program = [*PYTHON, "-P", _RUNNER, ",".join(backends), str(self.path)]
        return [
            [*program, *(broker_uri if a == BROKER else a for a in arguments)]
            for arguments in self.runs
        ]

    def difference(self, printed: str, broker_uri: str) -> str:
        """Say how the printed text differs from the expected; nothing if it does not."""
        expected = doctest.Example("", self.prints)
        checker = doctest.OutputChecker()
        shown = printed.replace(broker_uri, BROKER)
        if checker.check_output(expected.want, shown, _COMPARISON):
            return ""
        return checker.output_difference(expected, shown, _COMPARISON)


def printed_on_each(backends: Sequence[str], printed: str) -> list[str]:
    """Take apart what a command has printed on one backend after the other."""
    headlines = "|".join(re.escape(HEADLINE.format(backend)) for backend in backends)
    before, *parts = re.split(rf"^(?:{headlines})\n", printed, flags=re.MULTILINE)
    assert (before, len(parts)) == ("", len(backends)), printed
    return parts


def read_example(path: Path) -> Example:
    docstring = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    runs = []
    for line in _section(docstring, "Run", path).splitlines():
        python, program, *arguments = shlex.split(line)
        if (python, program) != ("python", f"examples/{path.name}"):
            raise ValueError(f"{path.name}: the Run section runs something else")
        runs.append(tuple(arguments))
    if runs[0]:
        raise ValueError(f"{path.name}: the Run section begins with an argument")
    return Example(path, tuple(runs), _section(docstring, "Prints", path))


def _section(docstring: str, title: str, path: Path) -> str:
    match = re.search(
        rf"^{title}:\n((?: {{4}}.*\n?|\n)+)", docstring + "\n", re.MULTILINE
    )
    if match is None:
        raise ValueError(f"{path.name}: its docstring has no section {title}:")
    lines = match.group(1).rstrip().splitlines()
    return "\n".join(line.removeprefix("    ") for line in lines) + "\n"
