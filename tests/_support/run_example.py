"""Run an example on a named backend: python run_example.py BACKEND FILE [ARGUMENT...]."""

from __future__ import annotations

import functools
import runpy
import sys

import anyio

if __name__ == "__main__":
    backend, file, *rest = sys.argv[1:]
    # Examples call `anyio.run(main)`, as a user would.
    setattr(anyio, "run", functools.partial(anyio.run, backend=backend))  # noqa: B010
    sys.argv = [file, *rest]
    runpy.run_path(file, run_name="__main__")
