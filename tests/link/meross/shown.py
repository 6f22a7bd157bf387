"""Everything that structiot shows anybody, and which of some secrets are in it."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import pytest


class Shown:
    """What was shown: log lines, errors with their attributes and tracebacks, reprs."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.errors: list[BaseException] = []
        self.kinds: set[type] = set()

    def show(self, *things: object) -> None:
        """Take the representations of some objects."""
        for thing in things:
            self.kinds.add(type(thing))
            self.texts += [repr(thing), str(thing)]

    def show_error(self, error: BaseException) -> None:
        """Take all that an error says, and the errors that it came of."""
        self.errors.append(error)
        self.texts += traceback.format_exception(error)
        seen: BaseException | None = error
        while seen is not None:
            # Which account it was is for its reader to know, and asked for by that name.
            members = {k: v for k, v in vars(seen).items() if k != "account"}
            self.texts += [str(seen), repr(seen), repr(members)]
            seen = seen.__cause__ or seen.__context__

    def where(self, secret: str) -> list[str]:
        """Give the lines that show a secret."""
        lines = "\n".join(self.texts).splitlines()
        return [line for line in lines if secret in line]

    def found(self, secrets: Iterable[str]) -> set[str]:
        """Give those of the secrets that were shown."""
        text = "\n".join(self.texts)
        return {secret for secret in secrets if secret in text}


@contextmanager
def shown(caplog: pytest.LogCaptureFixture) -> Iterator[Shown]:
    """Collect for the length of the block; log lines at DEBUG, whoever logs them."""
    everything = Shown()
    with caplog.at_level(logging.DEBUG):
        yield everything
    # Whom it lets in is what a broker logs, and the simulated cloud is the other side.
    everything.texts += [
        f"{record.name}: {record.getMessage()} {record.exc_text or ''}"
        for record in caplog.records
        if not record.name.startswith(("structiot.mqtt.broker", "structiot.sim"))
    ]
