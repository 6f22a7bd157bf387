"""A module that cannot be imported, in the way that is the hardest to survive."""

from __future__ import annotations

import sys

sys.exit("not today")
