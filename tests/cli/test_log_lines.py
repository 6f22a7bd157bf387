"""How the log of a command is written, and which of it."""

from __future__ import annotations

import json
import logging
import os
import re
import sys

import anyio
import asyncclick as click
import pytest

from structiot.cli._common.log_lines import log_handler
from structiot.cli._common.log_options import log_options
from structiot.cli._common.options import common_options, configure_logging
from tests._support.sources import ROOT

LOG = logging.getLogger("structiot.gateway.somewhere")
MQTT = logging.getLogger("structiot.mqtt.link")


def say(capsys: pytest.CaptureFixture[str], *arguments: str, times: int = 1) -> str:
    """Run a command that logs, and give what stands on standard error."""

    @click.command()
    @log_options
    @common_options
    @click.pass_context
    async def speak(ctx: click.Context) -> None:
        configure_logging(ctx, usual=logging.INFO)
        for _ in range(times):
            LOG.warning("the %s is gone", "strip")
        LOG.debug("a detail")
        MQTT.info("connected")
        try:
            raise ValueError("odd")
        except ValueError:
            LOG.exception("it failed")
        await anyio.lowlevel.checkpoint()

    async def run() -> None:
        await speak.main(list(arguments), standalone_mode=False)

    anyio.run(run)
    return capsys.readouterr().err


def test_text_is_a_line_each(capsys):
    first, second = say(capsys).splitlines()
    assert first.endswith(" WARNING: the strip is gone")
    assert second.endswith(" ERROR: it failed: ValueError: odd")


def test_json_is_an_object_each(capsys):
    told = [json.loads(line) for line in say(capsys, "--log-format=json").splitlines()]
    assert [one["message"] for one in told] == [
        "the strip is gone",
        "it failed: ValueError: odd",
    ]
    assert [one["level"] for one in told] == ["warning", "error"]
    assert told[0]["logger"] == "structiot.gateway.somewhere"
    assert told[0]["time"].endswith("+00:00")
    assert "traceback" not in told[1]


def test_json_has_tracebacks_where_they_are_wanted(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["structiot", "--debug"])
    text = say(capsys, "--log-format=json", "--debug")
    told = [json.loads(line) for line in text.splitlines()]
    assert "ValueError: odd" in told[1]["traceback"]
    assert told[1]["message"] == "it failed"


def test_what_is_said_already_is_not_said_twice(capsys, monkeypatch):
    monkeypatch.setattr(
        LOG,
        "exception",
        lambda text: LOG.error("odd: %s", text, exc_info=True),  # noqa: LOG014
    )
    assert say(capsys).splitlines()[1].endswith(" ERROR: odd: it failed")


@pytest.mark.parametrize("text_format", ["text", "json"])
def test_a_message_is_one_line_whatever_is_in_it(text_format):
    handler = log_handler(
        {},
        log_format=text_format,
        with_traceback=False,
        with_name=False,
        repeats=True,
    )
    args = ("\n00:00:00 WARNING: all is well\r\x1b[2J",)
    record = logging.LogRecord("other", 30, "", 0, "said %s", args, None)
    shown = handler.format(record)
    assert shown.isprintable()
    assert "all is well" in shown


def test_the_format_may_stand_in_the_environment(capsys, monkeypatch):
    monkeypatch.setenv("STRUCTIOT_LOG_FORMAT", "json")
    assert json.loads(say(capsys).splitlines()[0])["message"] == "the strip is gone"


def test_the_same_line_comes_a_few_times_and_is_counted(capsys):
    lines = say(capsys, times=100).splitlines()
    assert sum(line.endswith("the strip is gone") for line in lines) == 5


def test_with_everything_all_of_them_come(capsys):
    lines = say(capsys, "-vv", times=100).splitlines()
    assert sum(line.endswith("the strip is gone") for line in lines) == 100


def test_how_many_did_not_come_is_said_with_the_next(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(
        "structiot.cli._common.log_lines.time.monotonic", lambda: now[0]
    )
    say(capsys, times=12)
    handler = logging.getLogger("structiot").handlers[0]
    record = logging.LogRecord(
        LOG.name, logging.WARNING, "", 0, "the %s is gone", ("strip",), None
    )
    assert not handler.filter(record)
    now[0] = 61.0
    assert handler.filter(record)
    assert handler.format(record).endswith(
        "the strip is gone (and 8 more since the last such line)"
    )


def test_a_part_has_a_level_of_its_own(capsys):
    lines = say(capsys, "--log-level=gateway=error", "--log-level", "mqtt=info")
    assert "the strip is gone" not in lines
    assert "INFO structiot.mqtt.link: connected" in lines
    assert "it failed" in lines


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("gatewey=debug", "there is no part 'gatewey'"),
        ("gateway", "is no PART=LEVEL"),
        ("gateway=loud", "is no PART=LEVEL"),
        ("..=debug", "there is no part"),
        ("os; rm=debug", "there is no part"),
    ],
)
def test_a_part_or_a_level_that_is_none_is_refused(capsys, given, said):
    with pytest.raises(click.UsageError, match=said):
        say(capsys, "--log-level", given)


@pytest.mark.parametrize("part", ["structiot.mqtt.broker", "meross", "dashboard"])
def test_parts_are_called_as_their_loggers(capsys, part):
    assert "it failed" in say(capsys, f"--log-level={part}=debug")


def test_for_the_journal_a_line_has_its_priority(capsys, monkeypatch, tmp_path):
    file = tmp_path / "journal"
    with file.open("w") as stream:
        found = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
        monkeypatch.setattr(sys, "stderr", stream)
        say(capsys)
    assert file.read_text().splitlines() == [
        "<4>the strip is gone",
        "<3>it failed: ValueError: odd",
    ]


def test_the_journal_of_somebody_else_is_none(capsys, monkeypatch):
    monkeypatch.setenv("JOURNAL_STREAM", "1:1")
    assert " WARNING: the strip is gone" in say(capsys)


def test_each_part_of_the_table_has_a_level(capsys):
    text = (ROOT / "docs/how_to/logging.md").read_text()
    parts = set(re.findall(r"`structiot\.([a-z.]+)`", text))
    assert {"gateway", "mqtt.broker", "dashboard", "sim"} < parts
    levels = [f"--log-level={part}=debug" for part in parts]
    assert "a detail" in say(capsys, *levels)
