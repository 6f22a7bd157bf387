"""How a gateway is: what runs in it, what it is connected to, what waits and what is left.

It is what the page *Gateway*, `structiot top`, the metrics and `structiot doctor` show.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from structiot._kit.flow.mailbox import Mailbox

__all__ = [
    "BudgetStatus",
    "DriverStatus",
    "GatewayStatus",
    "LinkStatus",
    "MailboxStatus",
    "StoreStatus",
    "TaskState",
    "TaskStatus",
]

TaskState: TypeAlias = Literal[
    "starting", "running", "failing", "parked", "absent", "removed", "ended"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskStatus:
    """Something that runs, with what runs in it.

    Attributes:
        name: What it is, for people.
        state: What it does.
        reason: Why it does not run; empty while it does.
        restarts: How often it was started again.
        since_utc: Since when it is so; None if that is not known.
        children: What runs in it.
    """

    name: str
    state: TaskState
    reason: str = ""
    restarts: int = 0
    since_utc: datetime | None = None
    children: tuple[TaskStatus, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkStatus:
    """A connection to something else (the broker, an account, a platform), or a link.

    Attributes:
        name: What it leads to, without credentials; of a link both of its ends.
        is_up: Whether it stands.
        reason: Why it does not; empty while it does.
    """

    name: str
    is_up: bool
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetStatus:
    """What may be used of something that is limited.

    Attributes:
        name: Of what.
        left: How much is left.
        most: How much there may be.
        unit: Of what both are, such as `"messages"`, `"bytes"`.
    """

    name: str
    left: float
    most: float
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxStatus:
    """A queue that is bounded.

    Attributes:
        name: What waits there.
        waiting: How many items do.
        most: How many may.
        dropped: How many were lost so far because it was full.
    """

    name: str
    waiting: int
    most: int
    dropped: int

    @classmethod
    def of(cls, box: Mailbox[Any]) -> MailboxStatus:
        """Tell how a mailbox is."""
        return cls(
            name=box.name, waiting=len(box), most=box.max_items, dropped=box.dropped
        )

    @classmethod
    def of_all(cls, boxes: Sequence[Mailbox[Any]]) -> list[MailboxStatus]:
        """Tell of equal mailboxes as of one: the fullest, with what all have lost."""
        if not boxes:
            return []
        fullest = cls.of(max(boxes, key=len))
        return [replace(fullest, dropped=sum(one.dropped for one in boxes))]


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverStatus:
    """What there is of a system beside its devices and the connections that they share.

    Attributes:
        links: What it is connected to, besides.
        budgets: What is limited, and how much is left.
        mailboxes: What waits.
    """

    links: tuple[LinkStatus, ...] = ()
    budgets: tuple[BudgetStatus, ...] = ()
    mailboxes: tuple[MailboxStatus, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreStatus:
    """The history's file.

    Attributes:
        is_writing: Whether it is written.
        reason: Why it is not; empty while it is.
        path: Where it is; empty for one in memory.
        size_bytes: How large it is.
        rows: How many raw readings it has.
        oldest_utc: From when the oldest of them is; None while there is none.
        committed_utc: When it was written last; None if never.
        waiting: How many readings wait to be written.
        lost: How many could not be.
    """

    is_writing: bool
    reason: str
    path: str
    size_bytes: int
    rows: int
    oldest_utc: datetime | None
    committed_utc: datetime | None
    waiting: int
    lost: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayStatus:
    """All of it.

    Attributes:
        started_utc: When the gateway was opened.
        tasks: What runs.
        links: What it is connected to.
        budgets: What is limited, and how much is left.
        mailboxes: What waits.
        store: The history's file; None where there is no history.
    """

    started_utc: datetime
    tasks: tuple[TaskStatus, ...]
    links: tuple[LinkStatus, ...]
    budgets: tuple[BudgetStatus, ...]
    mailboxes: tuple[MailboxStatus, ...]
    store: StoreStatus | None = None
