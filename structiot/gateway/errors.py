"""What can be wrong with a gateway's settings, place by place, and with a command."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from structiot._kit.text import printable
from structiot.errors import ConfigError, ReplyTimeout, UsageError

__all__ = ["CommandExpired", "ConfigProblem", "InvalidConfig", "UnknownEntity"]

_LONGEST = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigProblem:
    """One thing to mend in a configuration file.

    Attributes:
        path: The file, as it was named by the user; empty for settings in memory.
        line: Line from 1; None where the problem has no place in the text.
        column: Column from 1; None where the problem has no place in the text.
        message: What is wrong and what would be right, on one line.
    """

    path: str
    line: int | None
    column: int | None
    message: str

    def __post_init__(self) -> None:
        # Names of keys, values and what others say of them are anybody's text.
        shown = printable(self.message, most=_LONGEST)
        object.__setattr__(self, "message", shown)

    def __str__(self) -> str:
        places = [printable(self.path)] if self.path else []
        if self.line is not None:
            places += [str(self.line), str(self.column)]
        return f"{':'.join(places)}: {self.message}" if places else self.message


class InvalidConfig(ConfigError):
    """Settings that cannot work, all of them at once.

    Attributes:
        problems: Every problem found, in the order of the file.
    """

    def __init__(self, problems: Iterable[ConfigProblem]) -> None:
        self.problems: tuple[ConfigProblem, ...] = tuple(problems)
        super().__init__("; ".join(str(problem) for problem in self.problems))


class UnknownEntity(UsageError):
    """A command names an entity that its device does not have."""


class CommandExpired(ReplyTimeout):
    """A command was not carried out in time.

    It is not carried out later, either.

    Attributes:
        was_begun: The device was told and has not confirmed it: it may have it or not.
    """

    def __init__(self, message: str, *, was_begun: bool = False) -> None:
        super().__init__(message, request="command")
        self.was_begun = was_begun
