"""Classes and texts of strangers in a configuration: whatever they do is said in one line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, NoReturn

import anyio
import pytest
from pydantic import AfterValidator

from structiot.errors import InternalError
from structiot.gateway import InvalidConfig, load_config
from structiot.gateway.config.fields import Finding, NamedFile, SystemSection
from structiot.gateway.drivers import with_driver
from structiot.gateway.isolation import called
from tests.gateway.memory_house import House
from tests.gateway.scripted_driver import ScriptedDriver, scripted, stay

EVIL = "\x1b]0;owned\x07\x1b[2J\nERROR: forged"
SHOWN = "?]0;owned??[2J ERROR: forged"


class Mute(Exception):
    def __str__(self) -> str:
        raise ValueError("no")


class MuteValue(ValueError):
    def __str__(self) -> str:
        raise SystemExit(3)


class Base(BaseException):
    pass


ERRORS = [
    RuntimeError(EVIL),
    ValueError(EVIL),
    Mute(),
    MuteValue(),
    Base("x"),
    SystemExit(3),
    GeneratorExit(),
    ExceptionGroup(EVIL, [Mute()]),
]


def raising(error: BaseException) -> Callable[..., NoReturn]:
    def fail(*_: object) -> NoReturn:
        raise error

    return fail


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_what_strangers_raise_is_one_error_of_ours(error):
    with pytest.raises(InternalError) as caught:
        called(raising(error))
    assert caught.value.__cause__ is error
    assert str(caught.value).isprintable()
    assert str(caught.value).startswith(type(error).__name__)


def test_an_interrupt_is_no_matter_of_strangers():
    with pytest.raises(KeyboardInterrupt):
        called(raising(KeyboardInterrupt()))


def refused(driver: Any, table: Mapping[str, Any]) -> list[str]:
    """Load a section of a stranger beside a mistake elsewhere; give all that is said."""
    data = {"toy": table, "maxsmart": {"discover": "yes"}}
    with with_driver("toy", driver), pytest.raises(InvalidConfig) as caught:
        load_config(data)
    said = [str(problem) for problem in caught.value.problems]
    assert "discover must be True or False, not a str" in said
    assert all(line.isprintable() for line in said)
    return [line for line in said if "discover" not in line]


def with_section(section: object) -> Any:
    return type("Toy", (), {"section": section, "system": "toy"})


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("where", ["checks", "validator", "file", "attribute", "repr"])
def test_an_error_of_any_kind_costs_its_own_section(where, error, tmp_path):
    fail = raising(error)
    attributes: dict[str, Any] = {}
    if where == "checks":
        attributes["cross_checks"] = classmethod(fail)
    elif where == "validator":
        annotation = Annotated[int, AfterValidator(lambda _: fail())]
        attributes |= {"__annotations__": {"one": annotation}, "one": 1}
    elif where == "file":
        file = Annotated[str | None, NamedFile(fail)]
        attributes |= {"__annotations__": {"one": file}, "one": None}
    driver = with_section(type("Toy", (SystemSection,), attributes))
    if where in {"attribute", "repr"}:
        name = "section" if where == "attribute" else "__repr__"
        odd = type(
            "Odd", (type,), {name: property(fail) if name == "section" else fail}
        )
        driver = odd("Toy", (), {"system": "toy"})
    value = str(tmp_path) if where == "file" else 1
    (said,) = refused(driver, {"one": value} if where in {"validator", "file"} else {})
    assert "toy" in said or "one" in said
    if str(error.args) == str((EVIL,)):
        assert SHOWN in said


@pytest.mark.parametrize(
    "found",
    [
        [1, "x"],
        5,
        [Finding(path=({},), message="x")],  # type: ignore[arg-type]
        [Finding(path=("x",), message=5)],  # type: ignore[arg-type]
        [Finding(path=5, message="x")],  # type: ignore[arg-type]
    ],
    ids=repr,
)
def test_findings_that_are_none_cost_their_own_section(found):
    class Section(SystemSection):
        @classmethod
        def cross_checks(cls, table: Mapping[str, object]) -> Iterable[Finding]:
            return found  # type: ignore[no-any-return]

    (said,) = refused(with_section(Section), {})
    assert "the checks of [toy] failed: TypeError: " in said


def test_what_a_check_says_is_one_line():
    class Section(SystemSection):
        @classmethod
        def cross_checks(cls, table: Mapping[str, object]) -> Iterable[Finding]:
            yield Finding(path=(EVIL,), message=EVIL)

    assert refused(with_section(Section), {}) == [SHOWN]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (f"[gateway]\ncommand_s = {'9' * 5000}", "2:13"),
        (f"[mqtt]\nkeep_alive_s = 0x{'f' * 5000}", "2:16"),
        (f"[gateway]\ncommand_s = 0x{'f' * 400}", "2:13"),
        (f"[[maxsmart.devices]]\nhost = 'a'\nhttp_port = 0x{'f' * 5000}", "3:13"),
        (f"unknown = -{2**64}", "1:11"),
    ],
)
def test_a_number_that_nobody_can_show_is_a_problem_with_a_place(
    tmp_path: Path, text: str, place: str
):
    file = tmp_path / "structiot.toml"
    file.write_text(text)
    with pytest.raises(InvalidConfig) as caught:
        load_config(file)
    (problem,) = caught.value.problems
    assert str(problem).startswith(f"{file}:{place}: no number may have so many digits")


class Incomparable(SystemSection):
    x: int = 0

    def __eq__(self, other: object) -> bool:
        raise Base(EVIL)

    __hash__ = None  # type: ignore[assignment]


@pytest.mark.virtual_time
async def test_sections_that_cannot_be_compared_are_taken_up():
    runs: list[ScriptedDriver] = []

    async def serve(driver: ScriptedDriver) -> None:
        runs.append(driver)
        await stay(driver)

    driver = scripted(serve)
    driver.section = Incomparable
    house = House()
    async with house.broker(), house.gateway(driver) as gateway:
        await anyio.sleep(1)
        await gateway.reload(gateway.config)
        await anyio.sleep(1)
        assert gateway.drivers["toy"].state == "running"
    assert len(runs) == 2
