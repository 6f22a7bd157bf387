"""The page that the comparison of the programs fills; `python -m` writes it anew."""

from __future__ import annotations

from collections.abc import Iterator

from tests._support.examples import ROOT
from tests.mosquitto_commands.cases import CASES, FORMATS, OURS

__all__ = ["PAGE", "text"]

PAGE = ROOT / "docs" / "reference" / "mqtt_commands.md"
_HEAD = """\
# The commands beside Mosquitto's

`structiot mqtt sub`, `pub` and `request` beside `mosquitto_sub`, `mosquitto_pub` and
`mosquitto_rr` (2.0), option by option. Both are called with the same words against the same
broker; compared are what they print, whether they succeed (with a time that is over, 27,
told apart), and what they send: CONNECT, messages and subscriptions with all that a user has
a say in. `tests/mosquitto_commands/test_options.py` makes and checks the tables.

Where both fail, ours ends with 2 if the words are wrong and with 1 if it could not be done;
Mosquitto's end with 1, or with the code of the broker's refusal. Without `-V` ours speaks
5.0, or 3.1.1 with brokers that do not; `mqttv31` is not offered. `-c` needs `-i` in both. An
address of `-L` that begins with `mqtt://` is without TLS: `--cafile` and what else is for TLS is refused
beside it, where Mosquitto's speak TLS.

## Options

"""
_FORMATS = """
## Formats

What stands behind a `%` of `-F`. Dates (`@Y`) and escapes (`\\n`) are the same, and what means nothing is refused by both.

| format | ours | what differs |
|---|---|---|
"""


def text() -> str:
    """Write the whole page."""
    programs = "".join(f" `{name}` |" for name in OURS)
    lines = [f"| option |{programs} what differs, or why it is not offered |"]
    lines += ["|---" * (len(OURS) + 2) + "|", *_options()]
    return _HEAD + "\n".join(lines) + "\n" + _FORMATS + "".join(_formats())


def _options() -> Iterator[str]:
    by_option: dict[str, dict[str, str]] = {}
    reasons: dict[str, list[str]] = {}
    for case in CASES:
        by_option.setdefault(case.option, {})[case.program] = case.verdict
        if case.why:
            reasons.setdefault(case.option, []).append(case.why)
    for option in sorted(by_option, key=lambda one: (one.lstrip("-").lower(), one)):
        cells = [by_option[option].get(program, "") for program in OURS]
        why = "; ".join(dict.fromkeys(reasons.get(option, [])))
        yield f"| `{option}` | {' | '.join([*cells, why])} |"


def _formats() -> Iterator[str]:
    for letters, why in FORMATS.items():
        if letters == "y":
            continue
        yield f"| `%{letters}` | {'differs' if why else 'same'} | {why} |\n"


if __name__ == "__main__":
    PAGE.write_text(text(), "utf-8")
