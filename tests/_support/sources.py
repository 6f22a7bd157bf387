"""What the source files say about themselves, for the checks of the architecture."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

import structiot
from structiot.errors import StructiotError

ROOT = Path(__file__).resolve().parents[2]
# Elsewhere where the wheel is what is tested.
PACKAGE = Path(structiot.__file__).resolve().parent
TESTS = ROOT / "tests"
REFERENCE = ROOT / "docs" / "reference"
_EXPECTING = {"raises", "RaisesGroup", "RaisesExc", "isinstance", "parametrize"}


def python_files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def relative(path: Path) -> str:
    home = ROOT if path.is_relative_to(ROOT) else PACKAGE.parent
    return path.relative_to(home).as_posix()


@dataclass(frozen=True, slots=True)
class Function:
    where: str
    lines: int


@dataclass(frozen=True, slots=True)
class Outline:
    """What is asked about a file: its functions, and the modules that it imports."""

    functions: list[Function]
    imported: list[str]


@cache
def outline(path: Path) -> Outline:
    """Read a file once; of a function's length the docstring is no part."""
    found = Outline([], [])
    for node in _statements(ast.parse(path.read_text("utf-8"))):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                body = node.body
                is_documented = ast.get_docstring(node) is not None and len(body) > 1
                first = body[1].lineno if is_documented else body[0].lineno
                lines = (node.end_lineno or first) - first + 1
                where = f"{relative(path)}:{node.lineno} {node.name}"
                found.functions.append(Function(where, lines))
            case ast.ImportFrom(module=str(module)):
                found.imported.append(module)
            case ast.Import(names=names):
                found.imported.extend(alias.name for alias in names)
    return found


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """Give all statements within one; expressions, the most of a file, hold none."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt | ast.ExceptHandler | ast.match_case):
            yield child
            yield from _statements(child)


@cache
def text_of(path: Path) -> str:
    return path.read_text("utf-8")


@cache
def names_expected_in(path: Path) -> set[str]:
    """Give the names that the tests of a file expect, catch or tell apart."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(text_of(path))):
        match node:
            case ast.Call() if _callee(node) in _EXPECTING:
                found.update(*map(_names, node.args))
            case ast.ExceptHandler(type=ast.expr() as caught):
                found |= _names(caught)
    return found


def _callee(node: ast.Call) -> str:
    match node.func:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
    return ""


def _names(node: ast.expr) -> set[str]:
    names = set()
    for part in ast.walk(node):
        match part:
            case ast.Attribute(attr=name) | ast.Name(id=name):
                names.add(name)
    return names


def modules() -> list[ModuleType]:
    """Import every module of the package, but for the program's own entry."""
    names = []
    for path in python_files(PACKAGE):
        parts = list(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        if parts[-1] == "__init__":
            parts.pop()
        if parts[-1] != "__main__":
            names.append(".".join(parts))
    return [importlib.import_module(name) for name in sorted(names)]


def public_modules() -> list[ModuleType]:
    """Give what users import from: the package, its parts, their common vocabulary."""
    return [
        module
        for module in modules()
        if "._" not in module.__name__ and module.__name__.count(".") < 2
    ]


def error_names() -> set[str]:
    """Give every class of the error tree, those of the systems included."""
    modules()
    found: set[type[StructiotError]] = set()
    pending: list[type[StructiotError]] = [StructiotError]
    while pending:
        cls = pending.pop()
        found.add(cls)
        pending += cls.__subclasses__()
    return {
        cls.__name__
        for cls in found
        if cls.__module__.startswith("structiot") and not cls.__name__.startswith("_")
    }


def public_objects() -> dict[str, object]:
    """Give every public name, as it is imported, with what it stands for."""
    return {
        f"{module.__name__}.{name}": getattr(module, name)
        for module in public_modules()
        for name in getattr(module, "__all__", ())
    }


def has_docstring(value: object) -> bool:
    if inspect.isclass(value):
        own = value.__dict__.get("__doc__") or ""
        # The text that dataclasses write themselves repeats the signature.
        return bool(own) and not own.startswith(f"{value.__name__}(")
    return bool(inspect.isroutine(value) and value.__doc__)


@cache
def documented_names() -> set[str]:
    """Give the names that the reference has an entry for."""
    text = "\n".join(path.read_text("utf-8") for path in REFERENCE.rglob("*.md"))
    directives = r"auto(?:class|exception|function|data|attribute|method)"
    entries = re.findall(rf"\.\. {directives}:: ([\w.]+)", text)
    return {entry.rpartition(".")[2] for entry in entries}


def systems() -> list[Path]:
    """Give the packages that speak a protocol: those with a wire layer."""
    return sorted(path.parent for path in PACKAGE.glob("*/wire") if path.is_dir())


def imports_among_children(package: Path) -> dict[str, set[str]]:
    """Tell which modules and folders of a package import which others of it.

    Its `__init__` is one of them, and who imports the package itself imports that.
    """
    name = ".".join(package.relative_to(PACKAGE.parent).parts)
    found: dict[str, set[str]] = {}
    for path in python_files(package):
        child = path.relative_to(package).parts[0].removesuffix(".py")
        imported = found.setdefault(child, set())
        for module in outline(path).imported:
            if module == name:
                imported.add("__init__")
            elif module.startswith(f"{name}."):
                imported.add(module[len(name) + 1 :].partition(".")[0])
        imported.discard(child)
    return found


def reachable(graph: dict[str, set[str]], start: str) -> set[str]:
    """Give all that something imports, at first or second hand or later."""
    found: set[str] = set()
    pending = list(graph.get(start, ()))
    while pending:
        child = pending.pop()
        if child not in found:
            found.add(child)
            pending += graph.get(child, ())
    return found
