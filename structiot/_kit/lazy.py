"""Packages whose names are imported when they are first asked for.

    if TYPE_CHECKING or not lazy_exports(globals()):
        from structiot.model import Reading
        from structiot.sim.maxsmart import *

To type checkers and readers these are plain imports, and there is no other list: where
each name is at home is read from the source of the package itself. A package that was
delivered without its source imports all of them at once, as the code says.
"""

from __future__ import annotations

import functools
import importlib
from importlib.machinery import ModuleSpec
from typing import Any

__all__ = ["lazy_exports"]


def lazy_exports(package: dict[str, Any]) -> bool:
    """Import what the branch behind this would import when it is asked for.

    A name that `*` imports is looked for in the `__all__` of each such module in turn,
    so these are lazy themselves, or cheap to import. A package without an `__all__` of
    its own gets one from its imports.

    Args:
        package: The globals of the package.

    Returns:
        Whether that is done; False if there is no source to be read.
    """
    source = _source_of(package["__spec__"])
    if source is None:
        return False
    lazy = _LazyPackage(package, source)
    package.update(__getattr__=lazy.find, __dir__=lazy.names)
    return True


def _source_of(spec: ModuleSpec) -> str | None:
    read = getattr(spec.loader, "get_source", None)
    if read is not None:
        source: str | None = read(spec.name)
        return source
    # pytest's loader, which rewrites the modules of plugins, cannot tell it.
    from pathlib import Path  # noqa: PLC0415 - hardly ever needed

    file = Path(spec.origin or "")
    return file.read_text("utf-8") if file.suffix == ".py" and file.exists() else None


class _LazyPackage:
    def __init__(self, package: dict[str, Any], source: str) -> None:
        self._package = package
        self._source = source

    def names(self) -> list[str]:
        """Give the public names, sorted."""
        package = self._package
        if "__all__" not in package:
            listed = set(self._homes) - {"*"}
            for home in self._homes.get("*", []):
                listed.update(importlib.import_module(home).__all__)
            package["__all__"] = sorted(listed)
        return sorted(package["__all__"])

    def find(self, wanted: str) -> object:
        """Import a name, which the package has itself from then on."""
        if wanted == "__all__":
            return self.names()
        home = self._home_of(wanted)
        if home is None:
            package = self._package["__name__"]
            raise AttributeError(f"module {package!r} has no attribute {wanted!r}")
        value = getattr(importlib.import_module(home), wanted)
        self._package[wanted] = value
        return value

    def _home_of(self, wanted: str) -> str | None:
        if wanted in self._homes:
            return self._homes[wanted][0]
        if wanted.startswith("_"):
            return None
        wildcards = self._homes.get("*", [])
        return next(
            (
                one
                for one in wildcards
                if wanted in importlib.import_module(one).__all__
            ),
            None,
        )

    @functools.cached_property
    def _homes(self) -> dict[str, list[str]]:
        """The modules that each name is imported from behind `lazy_exports`."""
        import ast  # noqa: PLC0415 - takes as long as all that `structiot` imports

        homes: dict[str, list[str]] = {}
        for branch in ast.parse(self._source).body:
            if isinstance(branch, ast.If) and "lazy_exports" in ast.dump(branch.test):
                for line in branch.body:
                    if isinstance(line, ast.ImportFrom) and line.module is not None:
                        for one in line.names:
                            homes.setdefault(one.name, []).append(line.module)
        return homes
