"""What every test gets: both backends, a guarded network, a check for leftovers.

Every `async def test_...` runs on asyncio and on trio, in real time with real sockets; one
of many cases has each on one of them, and with `--thorough` on both.
`@pytest.mark.virtual_time` makes it use the fixture `virtual_time` of our own plugin.
Tests marked `e2e` also run on uvloop where pytest is called with `--uvloop`.
"""

from __future__ import annotations

import gc
import itertools
import logging
import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from inspect import iscoroutinefunction
from pathlib import Path
from typing import Any

import pytest
from blockbuster import BlockBuster, blockbuster_ctx
from hypothesis import HealthCheck, settings

from structiot.testing import plugin
from structiot.testing.leaks import (
    Leftovers,
    leftovers_now,
    settled_leftovers,
    wait_for_none_since,
)
from tests._support import processor_time
from tests._support.mosquitto import DEFAULT_CONFIG, Mosquitto
from tests._support.network_guard import GUARD
from tests._support.turns import left_to_the_other_backend

# The machine's load is no property of the code: no deadlines, nor one for how long the
# making of examples takes. In CI the same examples come each time, so that a change is
# never blamed for another's fault.
AT_LEISURE = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize="CI" in os.environ,
)
settings.register_profile("sample", AT_LEISURE, max_examples=25)
settings.register_profile("thorough", AT_LEISURE, max_examples=400)

pytest_plugins = ["pytester", "tests._support.workers"]

Backend = tuple[str, dict[str, Any]]
# Of a whole run, and of those before it that pytest keeps.
ROOM_BYTES = 2_000_000_000
StartMosquitto = Callable[..., Mosquitto]
WatchedLoop = Callable[[float], AbstractAsyncContextManager[None]]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--uvloop", action="store_true", help="run the e2e tests on uvloop, too"
    )
    parser.addoption(
        "--thorough",
        action="store_true",
        help="cancel at every checkpoint, try many more examples, leave no test out, have "
        "each case on each backend",
    )
    parser.addoption(
        "--judge-time", action="store_true", help="fail where the loop is held too long"
    )


def pytest_configure(config: pytest.Config) -> None:
    is_thorough = config.getoption("--thorough")
    settings.load_profile("thorough" if is_thorough else "sample")
    # A commit waits for the disk, which four processes share: what takes a second by
    # itself took twenty then.
    memory = Path("/dev/shm")
    if memory.is_dir() and shutil.disk_usage(memory).free > ROOM_BYTES:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(memory))
    # The plugin comes by its entry point; not so from sources that nobody installed.
    if not config.pluginmanager.has_plugin("structiot"):
        config.pluginmanager.register(plugin, "structiot")


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(
    collector: pytest.Module | pytest.Class, name: str, obj: object
) -> None:
    if not (collector.istestfunction(obj, name) and iscoroutinefunction(obj)):
        return
    own = [mark.name for mark in getattr(obj, "pytestmark", ())]
    if "virtual_time" in own or collector.get_closest_marker("virtual_time"):
        pytest.mark.usefixtures("virtual_time")(obj)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    for item in items:
        if "watched_loop" in getattr(item, "fixturenames", ()):
            item.add_marker("watched_loop")
    # What may take long comes first: at its end, a run would have idle workers.
    items.sort(key=timeout_s, reverse=True)
    if config.getoption("--thorough"):
        return
    own_sessions = set(config.getini("norecursedirs"))
    left_out = {item for item in items if item.get_closest_marker("thorough")}
    left_out |= left_to_the_other_backend(
        item
        for item in items
        # What has a session of its own is run whole there.
        if item not in left_out and own_sessions.isdisjoint(item.path.parts)
    )
    config.hook.pytest_deselected(items=[item for item in items if item in left_out])
    items[:] = [item for item in items if item not in left_out]


def timeout_s(item: pytest.Item) -> float:
    marker = item.get_closest_marker("timeout")
    return marker.args[0] if marker and marker.args else 0.0


def pytest_collection_finish() -> None:
    """Have the collector pass over what was imported: it stays, and is most of all."""
    gc.collect()
    gc.freeze()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "anyio_backend" not in metafunc.fixturenames:
        return
    backends = ["asyncio", "trio"]
    is_e2e = metafunc.definition.get_closest_marker("e2e") is not None
    if is_e2e and metafunc.config.getoption("--uvloop"):
        backends.append("uvloop")
    metafunc.parametrize("anyio_backend", backends, indirect=True)


@pytest.fixture
def anyio_backend(request: pytest.FixtureRequest) -> Backend:
    if request.param == "uvloop":
        return "asyncio", {"use_uvloop": True}
    return request.param, {}


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """Fail a test that leaves a thread or a socket behind once its loop is closed."""
    before = Leftovers()
    yield
    if left := wait_for_none_since(before):
        pytest.fail(f"left behind: {', '.join(left)}", pytrace=False)


@pytest.fixture(autouse=True)
def no_task_outlives_an_async_test(
    request: pytest.FixtureRequest, nothing_is_left: None
) -> None:
    # Requested here, before all else of the test, so that it ends after all else.
    if "anyio_backend" in request.fixturenames:
        request.getfixturevalue("no_task_is_left")


@pytest.fixture
async def no_task_is_left(anyio_backend: Backend) -> AsyncIterator[None]:
    before = leftovers_now()
    yield
    # Sockets are compared when the loop is closed: uvloop has other ones in each run.
    if left := await settled_leftovers(before, tasks_only=True):
        pytest.fail(f"left behind: {', '.join(left)}", pytrace=False)


@pytest.fixture
def stride(request: pytest.FixtureRequest) -> int:
    """Give the stride of long sweeps: all checkpoints are for `nox -s thorough`."""
    return 1 if request.config.getoption("--thorough") else 7


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Have garbage collected only where the test asks for it, and none of other tests."""
    gc.freeze()
    gc.disable()
    yield
    gc.enable()
    gc.unfreeze()


@pytest.fixture
def watched_loop(request: pytest.FixtureRequest) -> WatchedLoop:
    """Watch the loop for the length of a block: `async with watched_loop(0.05):`.

    How long it was held is judged by `nox -s hostile` alone, which has the machine for
    itself: a host that gives its processor to others for 0.2 s lets that count as time
    of whoever ran.
    """
    is_judged = request.config.getoption("--judge-time")

    @asynccontextmanager
    async def watch(longest_s: float) -> AsyncIterator[None]:
        async with processor_time.watched_loop() as watch:
            yield
        if is_judged:
            assert watch.longest_s < longest_s, watch.longest_of

    return watch


@pytest.fixture(scope="session")
def state_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give one folder after the other for state files; none is made before its use."""
    folder = tmp_path_factory.mktemp("state")
    return (folder / str(number) for number in itertools.count())


@pytest.fixture(autouse=True)
def state_stays_here(state_folders: Iterator[Path]) -> Iterator[None]:
    """Have what programs keep by default with the tests' own files, each by itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("STATE_DIRECTORY", raising=False)
        patch.setenv("XDG_STATE_HOME", str(next(state_folders)))
        yield


@pytest.fixture(autouse=True, scope="session")
def network_stays_local() -> Iterator[None]:
    GUARD.is_on = True
    yield
    GUARD.is_on = False


@pytest.fixture(autouse=True, scope="session")
def nothing_blocks_the_loop() -> Iterator[BlockBuster]:
    """Refuse blocking calls that structiot makes inside an asyncio loop.

    The command line may: its parser looks for translations and files while it runs. And
    what is watched for stalls is the test itself.
    """
    others = ["structiot.cli", "structiot.testing.stalls"]
    with blockbuster_ctx("structiot", excluded_modules=others) as guard:
        yield guard


@pytest.fixture(scope="session")
def mosquitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    """The broker that tests share; each uses topics of its own and leaves it running."""
    broker = Mosquitto(tmp_path_factory.mktemp("mosquitto"))
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def start_mosquitto(tmp_path: Path) -> Iterator[StartMosquitto]:
    """Start brokers of the test's own, to be stopped, restarted or configured."""
    brokers: list[Mosquitto] = []

    def start(config: str = DEFAULT_CONFIG) -> Mosquitto:
        broker = Mosquitto(tmp_path, config)
        brokers.append(broker)
        broker.start()
        return broker

    yield start
    for broker in brokers:
        broker.stop()


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """Undo what the command line sets up: it owns its process, and here it does not."""
    top = logging.getLogger("structiot")
    before = top.level, top.propagate, list(top.handlers)
    levels = {name: logging.getLogger(name).level for name in _own_loggers()}
    yield
    for name in _own_loggers():
        logging.getLogger(name).setLevel(levels.get(name, logging.NOTSET))
    level, top.propagate, top.handlers[:] = before
    top.setLevel(level)


def _own_loggers() -> list[str]:
    known = list(logging.root.manager.loggerDict)
    return [name for name in known if name.partition(".")[0] == "structiot"]
