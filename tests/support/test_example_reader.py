"""An example's docstring is read as its author meant it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests._support.examples import BROKER, printed_on_each, read_example

TEXT = f'''"""Say hello.

Run:
    python examples/hello.py
    python examples/hello.py --loud {BROKER}

Prints:
    hello ...
    from {BROKER}
"""
'''


def written(folder: Path, text: str) -> Path:
    path = folder / "hello.py"
    path.write_text(text)
    return path


def test_the_broker_is_replaced_in_the_command_and_in_what_is_printed(tmp_path):
    example = read_example(written(tmp_path, TEXT))
    uri = "mqtt://127.0.0.1:40001/"
    assert example.needs_broker
    as_it_is, loud = example.commands(["asyncio", "trio"], uri)
    assert as_it_is[-2:] == ["asyncio,trio", str(tmp_path / "hello.py")]
    assert loud == [*as_it_is, "--loud", uri]
    assert example.difference(f"hello world\nfrom {uri}\n", uri) == ""
    assert "- bye" in example.difference("bye\n", uri).replace("+", "-")


def test_what_is_printed_on_each_backend_is_told_apart():
    printed = "=== on asyncio ===\nhello\n=== on trio ===\nbye\n"
    assert printed_on_each(["asyncio", "trio"], printed) == ["hello\n", "bye\n"]
    for too_much in (f"before\n{printed}", f"{printed}=== on trio ===\n"):
        with pytest.raises(AssertionError):
            printed_on_each(["asyncio", "trio"], too_much)


@pytest.mark.parametrize("title", ["Run", "Prints"])
def test_a_missing_section_is_named(tmp_path, title):
    path = written(tmp_path, TEXT.replace(f"{title}:", "Other:"))
    with pytest.raises(ValueError, match=f"no section {title}:"):
        read_example(path)


def test_an_example_runs_as_it_is(tmp_path):
    path = written(tmp_path, TEXT.replace("    python examples/hello.py\n", ""))
    with pytest.raises(ValueError, match="begins with an argument"):
        read_example(path)


def test_the_run_section_must_run_the_example_itself(tmp_path):
    path = written(tmp_path, TEXT.replace("hello.py --loud", "other.py --loud"))
    with pytest.raises(ValueError, match="runs something else"):
        read_example(path)
