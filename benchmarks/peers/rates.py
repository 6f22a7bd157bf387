"""What every row has reached at best: how many messages are worth while."""

from __future__ import annotations

import json

from peers.environments import cache_folder


class Rates:
    """Kept beside the environments; 0 for a row that has to be tried out."""

    def __init__(self, name: str) -> None:
        self.file = cache_folder() / name
        self.known: dict[str, float] = {}
        if self.file.exists():
            self.known = json.loads(self.file.read_text(encoding="utf-8"))

    def get(self, row: str) -> float:
        return self.known.get(row, 0.0)

    def put(self, row: str, rate: float) -> None:
        """Remember a rate; a lower one says more of the machine than of the row."""
        self.known[row] = max(rate, self.get(row))

    def save(self) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.write_text(json.dumps(self.known, indent=1), encoding="utf-8")
