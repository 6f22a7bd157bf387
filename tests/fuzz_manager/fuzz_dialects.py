"""A coverage-guided fuzzer on the dialects of the device manager: `nox -s fuzz`.

`tests/wire/manager/fuzzing.py` says what is asserted; what right devices and servers say
are the seeds. Options are those of libFuzzer, as with the decoder of MQTT.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["structiot.manager.wire"]):
    from tests.wire.manager.fuzzing import check, seeds


def main() -> None:
    """Fuzz until told otherwise by the options."""
    has_folder = any(not argument.startswith("-") for argument in sys.argv[1:])
    with tempfile.TemporaryDirectory() as folder:
        arguments = list(sys.argv)
        if not has_folder:
            for number, seed in enumerate(seeds()):
                (Path(folder) / str(number)).write_bytes(seed)
            arguments.append(folder)
        atheris.Setup(arguments, check)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
