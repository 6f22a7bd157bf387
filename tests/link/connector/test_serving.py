"""Commands are handled side by side, and those of a device in turn."""

from __future__ import annotations

from functools import partial

import anyio
import anyio.lowlevel
import pytest

from structiot import UsageError
from structiot.connector import Command
from tests.link.connector.gateways import (
    Asking,
    gateway,
    until,
)

pytestmark = pytest.mark.virtual_time


async def test_commands_are_served_side_by_side_and_those_of_a_device_in_turn():
    async with gateway(3) as (platform, connector), anyio.create_task_group() as tg:
        asking = Asking(platform, tg)
        running: set[str] = set()
        most, order = 0, []

        async def handle(command: Command) -> None:
            nonlocal most
            assert command.device_id not in running
            running.add(command.device_id)
            most = max(most, len(running))
            order.append((command.device_id, command.service))
            await anyio.sleep(1)
            running.discard(command.device_id)
            await command.respond(command.service)

        for number in range(4):
            for one in ("lamp-1", "lamp-2", "lamp-3"):
                asking.ask(one, str(number))
                await anyio.sleep(0.001)
        began = anyio.current_time()
        async with anyio.create_task_group() as serving:
            serving.start_soon(lambda: connector.serve(handle, limit=2))
            await until(lambda: len(asking.answers) == 12)
            serving.cancel_scope.cancel()
        assert most == 2
        # Twelve seconds' work; at the end one device may be left alone.
        assert anyio.current_time() - began < 9
        for one in ("lamp-1", "lamp-2", "lamp-3"):
            assert [s for d, s in order if d == one] == ["0", "1", "2", "3"]


async def test_a_handler_that_fails_costs_its_command_alone(
    caplog: pytest.LogCaptureFixture,
):
    async with gateway() as (platform, connector), anyio.create_task_group() as tg:
        asking = Asking(platform, tg)

        async def handle(command: Command) -> None:
            if command.service == "fails":
                raise ZeroDivisionError("no level")
            if command.service == "answers":
                await command.respond("1")

        async with anyio.create_task_group() as serving:
            serving.start_soon(connector.serve, handle)
            for service in ("fails", "forgets", "answers"):
                asking.ask(service=service)
                await anyio.sleep(0.01)
            await until(lambda: len(asking.answers) == 3)
            serving.cancel_scope.cancel()
        assert asking.answers == [
            ("fails", "", "error: no level"),
            ("forgets", "", "error: no answer was given"),
            ("answers", "1", ""),
        ]
        assert caplog.text.count("the handler of") == 1
        assert "ZeroDivisionError" in caplog.text


async def test_a_handler_that_fails_a_hundred_times_is_told_once_a_minute(
    caplog: pytest.LogCaptureFixture,
):
    """With its traceback; another error is another line."""
    async with gateway() as (platform, connector), anyio.create_task_group() as tg:

        async def handle(command: Command) -> None:
            await anyio.lowlevel.checkpoint()
            raise (KeyError if command.service == "key" else ZeroDivisionError)("no")

        tg.start_soon(connector.serve, handle)
        for number in range(100):
            told = platform.send_command("lamp-1", "key" if number % 10 else "zero")
            with anyio.fail_after(1):
                await told
        assert caplog.text.count("Traceback") == 2
        assert caplog.text.count("the handler of") == 2
        await anyio.sleep(60)
        await platform.send_command("lamp-1", "key")
        await anyio.sleep(1)
        assert "(and 89 more since the last such line)" in caplog.text
        assert caplog.text.count("Traceback") == 3
        tg.cancel_scope.cancel()


async def test_serving_is_refused_what_cannot_serve():
    async with gateway() as (platform, connector), anyio.create_task_group() as tg:
        with pytest.raises(UsageError, match="limit is 1 or more"):
            await connector.serve(Command.__aenter__, limit=0)
        with pytest.raises(UsageError, match="handler is an async function"):
            await connector.serve("handler")  # type: ignore[arg-type]

        def handle(command: Command) -> None:
            """As callbacks of the original client are."""

        # At once, and not when the first command comes.
        for wrong in (handle, partial(handle)):
            with pytest.raises(UsageError, match=r"write async def handle\(\.\.\.\)"):
                await connector.serve(wrong)  # type: ignore[arg-type]
        Asking(platform, tg).ask()
        with pytest.raises(UsageError, match="this one gives no awaitable"):
            await connector.serve(lambda command: None)  # type: ignore[arg-type,return-value]
        tg.cancel_scope.cancel()


async def test_serving_ends_with_the_connector():
    async def handle(command: Command) -> None:
        await command.respond(None)

    async with anyio.create_task_group() as tg:
        async with gateway() as (_, connector):
            tg.start_soon(connector.serve, handle)
            await anyio.sleep(1)


async def test_a_device_whose_handler_hangs_holds_up_no_other():
    async with gateway(2) as (platform, connector), anyio.create_task_group() as tg:
        asking = Asking(platform, tg)

        async def handle(command: Command) -> None:
            if command.device_id == "lamp-1":
                await anyio.sleep_forever()
            await command.respond(None)

        tg.start_soon(connector.serve, handle)
        for _ in range(100):
            asking.ask("lamp-1")
        for _ in range(100):
            asking.ask("lamp-2")
        await until(lambda: len(asking.answers) == 100)
        tg.cancel_scope.cancel()


async def test_serving_holds_so_many_commands_and_no_more():
    async with gateway() as (platform, connector), anyio.create_task_group() as tg:
        asking = Asking(platform, tg)

        async def handle(command: Command) -> None:
            await anyio.sleep_forever()

        async with anyio.create_task_group() as serving:
            serving.start_soon(connector.serve, handle)
            for _ in range(600):
                asking.ask()
            await anyio.sleep(10)
            # One is handled, 256 are held, and 256 wait.
            assert connector.commands_dropped == 600 - 513
            serving.cancel_scope.cancel()
        tg.cancel_scope.cancel()
