"""A configuration in a folder of its own, and what the doctor says of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import anyio
import anyio.to_thread

from structiot import Environment
from structiot.cli.doctor.examine import Report, examine
from structiot.cli.doctor.findings import Finding

Diagnose: TypeAlias = Callable[..., Any]


class Patient:
    """A configuration, to be examined."""

    def __init__(self, folder: Path, environment: Environment) -> None:
        self.folder = folder
        self.environment = environment
        self.path = folder / "structiot.toml"

    def write(self, text: str, *, page: bool = False, history: bool = False) -> None:
        """Write it; the page and the history are on only if they are looked at."""
        head = f"gateway.state_file = '{self.folder}/state.json'\n"
        if not page:
            head += "dashboard.enabled = false\n"
        if not history:
            head += "history.enabled = false\n"
        self.path.write_text(head + text)

    async def examined(self, **more: Any) -> Report:
        options = {"patience_s": 10.0, "environment": self.environment, **more}
        return await examine(str(self.path), **options)

    async def wrong(self, text: str | None = None, **more: Any) -> list[Finding]:
        """Give what is wrong."""
        if text is not None:
            await anyio.to_thread.run_sync(lambda: self.write(text, **more))
        report = await self.examined()
        return [one for one in report.findings if one.level == "wrong"]

    async def only(self, text: str | None = None, **more: Any) -> Finding:
        """Give the one thing that is wrong, which has an advice and fits a line."""
        found = await self.wrong(text, **more)
        assert len(found) == 1, [one.line for one in found]
        assert found[0].advice
        assert "\n" not in found[0].line
        return found[0]


def noted(findings: Sequence[Finding]) -> list[str]:
    return [one.what for one in findings if one.level == "note"]
