"""Configurations with mistakes that people make, and all that is said of each.

They stand in `broken/`, several in a file:

    === what is wrong
    [mqtt]
    uri = "http://broker"
    ---
    structiot.toml:2:7: uri: an address of a broker begins with mqtt://, ...

Of one that is `(escaped)` the text has Python's escapes, for bytes that no text has. The
files that some of them name are those of `furnished`. What is said after a change that is
meant is written by `python -m tests.gateway.broken_configs`; read it before it is kept.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from structiot.gateway import InvalidConfig, load_config

HERE = Path(__file__).parent / "broken"
_ESCAPED = " (escaped)"


@dataclass(frozen=True)
class Case:
    """One mistake: its name, the file, and the lines that are said."""

    name: str
    data: bytes
    said: str


def cases_in(file: Path) -> Iterator[Case]:
    for part in file.read_text("utf-8").split("=== ")[1:]:
        name, _, rest = part.partition("\n")
        text, _, said = rest.partition("---\n")
        data = text.encode()
        if name.endswith(_ESCAPED):
            plain = text.rstrip("\n").encode("ascii")
            data = plain.decode("unicode_escape").encode("latin-1")
        yield Case(name, data, said.strip())


def all_cases() -> dict[str, Case]:
    found: dict[str, Case] = {}
    for file in sorted(HERE.glob("*.txt")):
        for case in cases_in(file):
            name = f"{file.stem}: {case.name}"
            assert name not in found, name
            found[name] = case
    return found


def furnished(folder: Path) -> Path:
    """Make the files that configurations name; give the configuration's own name."""
    files = {
        "secret": "hunter2\n",
        "open_secret": "hunter2\n",
        "empty_secret": "\n",
        "passwords": "house hunter2\n",
        "cert.pem": "none yet\n",
        "state": "[mqtt]\n",
        "house.sqlite": "",
    }
    for name, content in files.items():
        (folder / name).write_text(content)
        (folder / name).chmod(0o644 if name.startswith("open") else 0o600)
    (folder / "binary_secret").write_bytes(b"\xff\xfe\x00")
    (folder / "binary_secret").chmod(0o600)
    (folder / "link_to_open_secret").symlink_to("open_secret")
    (folder / "loop").symlink_to("loop")
    (folder / "folder").mkdir()
    os.mkfifo(folder / "pipe")
    return folder / "structiot.toml"


def said_of(file: Path, data: bytes) -> str:
    """Give what is said of a configuration, without the folder that it is in."""
    file.write_bytes(data)
    return refusal_of(file)


def refusal_of(file: Path) -> str:
    try:
        load_config(file)
    except InvalidConfig as exc:
        lines = "\n".join(map(str, exc.problems))
        return lines.replace(f"{file.parent}/", "").replace(str(file.parent), ".")
    return "nothing"


def _rewrite() -> None:
    with tempfile.TemporaryDirectory() as name:
        config = furnished(Path(name))
        for file in sorted(HERE.glob("*.txt")):
            parts = file.read_text("utf-8").split("=== ")
            cases = list(cases_in(file))
            texts = [part.partition("---\n")[0] for part in parts[1:]]
            said = [said_of(config, case.data) for case in cases]
            written = (
                f"=== {text}---\n{lines}\n"
                for text, lines in zip(texts, said, strict=True)
            )
            file.write_text(parts[0] + "\n".join(written), "utf-8")


if __name__ == "__main__":
    _rewrite()
