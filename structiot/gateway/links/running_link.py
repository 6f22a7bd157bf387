"""One link of the configuration while it runs: what it has to do, and how it fares."""

from __future__ import annotations

import logging
import math
from collections import deque
from dataclasses import dataclass
from typing import Final, TypeAlias

import anyio

from structiot._kit.text import printable
from structiot.gateway.config.links import LinkSection
from structiot.gateway.status import LinkStatus

__all__ = ["Deed", "Place", "RunningLink"]

# A device's level in topics, and the key of an entity.
Place: TypeAlias = tuple[str, str]

_A_SECOND: Final = 5.0
_BURST: Final = 50.0
# Of a link from very many entities, for all of them.
_MOST_A_SECOND: Final = 500.0
# All of them may have told something at once.
_OF_A_SOURCE: Final = 2.0
_MOST_SOURCES: Final = 16_384
_MOST_WAITING: Final = 16
_HELD_S: Final = 60.0
# A burst of changes is no loop.
_SHORT_S: Final = 20.0
_LOOP: Final = "it goes round in a loop, which is broken here"
_TOO_OFTEN: Final = (
    f"each of its entities may have it act {_A_SECOND:g} times a second, and has more "
    "often, as in a loop; what is too much is left out"
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Deed:
    """What a link does once.

    Attributes:
        source: What it is from.
        payload: What is commanded or published; None for the state that the source has
            when its turn has come.
        origin: The links that have brought it about, and this one.
        expires_at: When it is too late, by the loop's clock.
    """

    source: Place
    payload: str | None
    origin: tuple[RunningLink, ...]
    expires_at: float = math.inf


class RunningLink:
    """A link that runs; made by `GatewayLinks`.

    Attributes:
        section: What it was configured as.
        title: What it is called in messages; a number tells those with equal ends apart.
        written: The same as a text, to be compared.
        words: The latest word of each of its sources, in the order of their changes.
        reason: Why it does not work; empty while it does.
        is_busy: Whether a task carries out what it has to do.
        waits_for: What is not there of what it has to do; empty if all is.
        is_settled: Whether all that there is should be there by now.
        tries: How often in vain it was tried to hand the present state on.
    """

    def __init__(self, section: LinkSection) -> None:
        self.section: LinkSection = section
        self.title: str = section.title
        self.written: str = section.model_dump_json()
        self.words: dict[Place, str] = {}
        self.reason: str = ""
        self.is_busy: bool = False
        self.waits_for: str = ""
        self.is_settled: bool = False
        self.tries: int = 0
        self.life: anyio.CancelScope = anyio.CancelScope()
        # The present states to be handed on, the latest by each target, and single deeds.
        self._due: dict[str, Deed] = {}
        self._once: deque[tuple[str, Deed]] = deque()
        self._left = _BURST
        self._at = -math.inf
        self._short_since = math.inf
        self._holds_until = -math.inf
        self._is_held = self._is_missing = False

    @property
    def status(self) -> LinkStatus:
        """How it fares."""
        return LinkStatus(name=self.title, is_up=not self.reason, reason=self.reason)

    @property
    def is_due(self) -> bool:
        """Whether a present state waits to be handed on."""
        return bool(self._due)

    # ------------------------------------------------------------ what it has to do

    def changed(self, source: Place, word: str) -> str | None:
        """Note the word of a source; give the one before if it is another one."""
        before = self.words.pop(source, None)
        if before is None:
            self._left += _OF_A_SOURCE
            if len(self.words) >= _MOST_SOURCES:
                del self.words[next(iter(self.words))]
        self.words[source] = word
        return before if before != word else None

    def fires_on(self, word: str) -> bool:
        """Tell whether it acts when a source becomes this."""
        on = self.section.on
        return on is None or on.casefold() == word.casefold()

    def told(self, word: str) -> str | None:
        """Give what is commanded for a word; None if it has no value for it."""
        section = self.section
        if section.set is not None:
            return section.set
        if section.values is None:
            return word
        found = (
            v for k, v in section.values.items() if k.casefold() == word.casefold()
        )
        return next(found, None)

    def hand_on(self, target: str, deed: Deed) -> None:
        """Have a present state handed on; of each target the latest counts, in its turn."""
        self._due[target] = deed
        self.tries = 0

    def act(self, target: str, deed: Deed) -> None:
        """Have something done once."""
        if not self.takes_turn():
            self.fail(_TOO_OFTEN, holds_s=_HELD_S)
        elif len(self._once) >= _MOST_WAITING:
            self.fail(f"{_MOST_WAITING} of its commands wait already")
        else:
            self._once.append((target, deed))

    def takes_turn(self) -> bool:
        """Count a turn; False if it has had too many of late."""
        now = anyio.current_time()
        sources = max(1, len(self.words))
        a_second = min(_MOST_A_SECOND, _A_SECOND * sources)
        most = _BURST + _OF_A_SOURCE * sources
        self._left = min(most, self._left + (now - self._at) * a_second)
        self._at = now
        if self._left >= most / 2:
            self._short_since = math.inf
        if self._left < 1:
            self._short_since = min(self._short_since, now)
            return False
        self._left -= 1
        return True

    def next(self) -> tuple[str, Deed] | None:
        """Give what is to be done next, and where."""
        if self._once:
            return self._once.popleft()
        if not self._due:
            return None
        target = next(iter(self._due))
        return target, self._due.pop(target)

    # ------------------------------------------------------------ how it fares

    def is_late(self) -> None:
        """Say that only the latest states are handed on, unless that is soon over."""
        if anyio.current_time() - self._short_since > _SHORT_S:
            self.fail(_TOO_OFTEN, holds_s=_HELD_S)

    def broke_a_loop(self) -> None:
        """Say that it has not acted, as it has brought that about itself."""
        self.fail(_LOOP, holds_s=_HELD_S)

    def wait_for(self, reason: str) -> None:
        """Note what it waits for: it is said when all should be there."""
        self.waits_for = printable(reason)
        if self.is_settled:
            self.fail(reason)

    def settle(self, missing: str | None) -> None:
        """Say once what is not there although all should be by now.

        Args:
            missing: Which of its names no device has; None if there is none.
        """
        self.is_settled = True
        if missing is not None:
            self.fail(missing)
        elif self.waits_for:
            self.fail(self.waits_for)
        elif self._is_missing or self._is_held:
            self.works()
        self._is_missing = missing is not None

    def fail(self, reason: str, *, holds_s: float = 0.0) -> None:
        """Say once why it does not work, until it works again.

        Args:
            reason: Why.
            holds_s: For how long that counts, whatever works meanwhile.
        """
        if holds_s:
            self._holds_until, self._is_held = anyio.current_time() + holds_s, True
        reason = printable(reason)
        level = logging.DEBUG if self.reason else logging.WARNING
        _log.log(level, "link %s: %s", self.title, reason)
        self.reason = reason

    def works(self) -> None:
        """Say that it works again, if it did not."""
        self.waits_for = ""
        if anyio.current_time() < self._holds_until:
            return
        self._is_held = False
        if self.reason:
            _log.info("link %s works again", self.title)
        self.reason = ""
        self.tries = 0
