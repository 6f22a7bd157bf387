"""Run an example on named backends: run_example.py BACKEND,... FILE [ARGUMENT...].

On one after the other, each in a folder of that name. What is loaded for the first is there
for the next: to load it takes longer than most examples do.
"""

from __future__ import annotations

import functools
import os
import runpy
import sys
from pathlib import Path

import anyio

# Before what the example prints on a backend.
HEADLINE = "=== on {} ==="

if __name__ == "__main__":
    backends, file, *rest = sys.argv[1:]
    sys.argv = [file, *rest]
    home, run = Path.cwd(), anyio.run
    for backend in backends.split(","):
        print(HEADLINE.format(backend), flush=True)  # noqa: T201
        folder = home / backend
        folder.mkdir(exist_ok=True)
        os.chdir(folder)
        # Examples call `anyio.run(main)`, as a user would.
        setattr(anyio, "run", functools.partial(run, backend=backend))  # noqa: B010
        runpy.run_path(file, run_name="__main__")
