"""A device of every kind that does what it is told, and tells that it has."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TypeVar

from structiot.model import (
    ClimateState,
    Command,
    CoverAction,
    CoverMotion,
    CoverState,
    FanState,
    LightState,
    LockAction,
    LockState,
    Occurrence,
    SirenState,
    State,
    StateChange,
    UpdateState,
)
from tests.gateway.support import AT, ScriptedDevice
from tests.home_assistant.kinds import INFO, KINDS

Parts = TypeVar("Parts", bound=LightState | ClimateState | FanState | SirenState)

_COVERS = {
    CoverAction.OPEN: CoverState(motion=CoverMotion.OPEN, position_percent=100),
    CoverAction.CLOSE: CoverState(motion=CoverMotion.CLOSED, position_percent=0),
    CoverAction.STOP: CoverState(motion=CoverMotion.STOPPED, position_percent=55),
}
_LOCKS = {
    LockAction.LOCK: LockState.LOCKED,
    LockAction.UNLOCK: LockState.UNLOCKED,
    LockAction.OPEN: LockState.OPEN,
}


class ObedientDevice(ScriptedDevice):
    """Whoever presses its button rings its bell."""

    def __init__(self) -> None:
        super().__init__(INFO, [entity for entity, _ in KINDS])
        self.states = dict(self.usual)
        self.first += [
            StateChange(key=key, state=state, at_utc=AT)
            for key, state in self.usual.items()
        ]

    @property
    def usual(self) -> dict[str, State]:
        """What it is like before anybody tells it anything."""
        return {entity.key: state for entity, state in KINDS if state is not None}

    def ring(self) -> None:
        self.tell(Occurrence(key="bell", event_type="ring", at_utc=AT))

    async def command(self, key: str, command: Command) -> None:
        await super().command(key, command)
        if key == "restart":
            self.ring()
        else:
            self.tell_state(key, obeyed(self.states[key], command))


def obeyed(state: State | None, command: Command) -> State:
    """Give what a state becomes by a command."""
    after: State | None = None
    match state, command:
        case CoverState(), CoverAction():
            after = _COVERS[command]
        case CoverState(), int():
            after = CoverState(motion=CoverMotion.OPEN, position_percent=command)
        case LockState(), LockAction():
            after = _LOCKS[command]
        case UpdateState(latest=latest), None:
            after = UpdateState(installed=latest, latest=latest)
        case LightState() | FanState() | SirenState(), bool():
            after = replace(state, is_on=command)
        case LightState(), LightState():
            after = _coloured(state, command)
        case ClimateState() | FanState() | SirenState(), _:
            after = _merged(state, command)
        case _, bool() | int() | float() | str():
            after = command
    assert after is not None, (state, command)
    return after


def _coloured(state: LightState, command: LightState) -> LightState:
    """A lamp has a colour or a white, and no effect once it is told either."""
    if command.rgb is not None or command.color_temp_k is not None:
        state = replace(state, rgb=None, color_temp_k=None, effect=None)
    return _merged(state, command)


def _merged(state: Parts, command: object) -> Parts:
    assert type(command) is type(state), (state, command)
    told = {one.name: getattr(command, one.name) for one in fields(command)}
    return replace(state, **{k: v for k, v in told.items() if v is not None})
