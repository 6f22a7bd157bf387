"""The Python that runs the tests, with the flags that its children shall have as well."""

from __future__ import annotations

import sys

# Of -b and -bb no variable of the environment tells a child.
PYTHON = [sys.executable, *["-b"] * sys.flags.bytes_warning]
