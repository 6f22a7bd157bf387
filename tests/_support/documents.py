"""The code in the README, in the pages and in docstrings, block by block.

A block of Python is a whole program, which runs when it is copied into a file; only examples
in docstrings may `await` outside of functions. One that cannot run has a line before it that
says why, and then it really must not run:

    <!-- fragment: of a package that is not installed -->
    ```python
"""

from __future__ import annotations

import ast
import doctest
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType

from tests._support.sources import ROOT, modules, relative

PAGES = sorted(
    [
        ROOT / "README.md",
        *ROOT.glob("benchmarks/*.md"),
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("examples/**/*.md"),
    ]
)
_FENCED = re.compile(
    r"(?:^ *<!-- fragment: *(?P<why>.*?) *-->\n)?"
    r"^(?P<indent> *)```(?P<kind>[^\n`]*)\n(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of code in a file.

    Attributes:
        path: The file.
        line: Number of its first line there.
        kind: What the fence says it is, such as `python`.
        text: The code.
        why_not: Why it cannot run; None if it can.
    """

    path: Path
    line: int
    kind: str
    text: str
    why_not: str | None = None

    def __str__(self) -> str:
        return f"{relative(self.path)}:{self.line}"

    @property
    def backend(self) -> str | None:
        """The only backend on which it runs, if it names one."""
        found = re.search(r"^import (asyncio|trio)$", self.text, re.MULTILINE)
        return found[1] if found else None

    def compiled(self) -> CodeType:
        """Compile it; lines are those of its file."""
        code = "\n" * (self.line - 1) + self.text
        may_await = self.why_not is not None or self.path.suffix == ".py"
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT if may_await else 0
        compiled: CodeType = compile(
            code, self.path, "exec", flags=flags, dont_inherit=True
        )
        return compiled


def blocks(*kinds: str) -> list[Block]:
    """Give the blocks of these kinds in all pages."""
    return [block for page in PAGES for block in blocks_of(page) if block.kind in kinds]


def blocks_of(page: Path) -> Iterator[Block]:
    """Give all blocks of a page."""
    text = page.read_text("utf-8")
    for found in _FENCED.finditer(text):
        line = text.count("\n", 0, found.start("text")) + 1
        code = re.sub(f"^{found['indent']}", "", found["text"], flags=re.MULTILINE)
        yield Block(page, line, found["kind"].strip(), code, found["why"])


def docstring_examples() -> list[Block]:
    """Give what stands behind `>>>` in the docstrings of the package."""
    return [
        block
        for module in modules()
        for block in _examples_in(Path(module.__file__ or ""))
    ]


def _examples_in(path: Path) -> Iterator[Block]:
    text = path.read_text("utf-8")
    if ">>> " not in text:
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            docstring = ast.get_docstring(node, clean=False) or ""
            found = doctest.DocTestParser().get_examples(docstring)
            if found:
                line = node.body[0].lineno + found[0].lineno
                yield Block(path, line, "python", "".join(e.source for e in found))
