"""Sphinx settings: MyST pages in Diataxis folders, warnings are errors."""

from __future__ import annotations

import inspect
import sys
from importlib.metadata import version as installed_version
from pathlib import Path

from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parent))

project = "structiot"
author = "structiot contributors"
copyright = "structiot contributors"  # noqa: A001 - the name that Sphinx reads
version = release = installed_version("structiot")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "program_help",
]
exclude_patterns = ["_build"]
templates_path: list[str] = []

html_theme = "furo"
html_title = f"structiot {release}"

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
autodoc_class_signature = "mixed"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

nitpicky = True
# Of words in annotations that are no references, but look like two at once.
suppress_warnings = ["ref.python"]
# Only our own names can be checked without a network: the inventories of Python, anyio
# and the others would have to be fetched. Signatures also name parts of ours that are
# not public and have no page; a public name that is wrong still warns.
nitpick_ignore_regex = [
    (r"py:.*", r"(?!structiot\.).*"),
    (r"py:.*", r"structiot\.(_\w+|\w+\.[a-z_]\w*)\..*"),
]


def hide_signature(
    _app: Sphinx, what: str, _name: str, thing: object, *_rest: object
) -> tuple[str, None] | None:
    """Leave out how a class is called that says what makes its objects."""
    is_made = what == "class" and "made by" in (inspect.getdoc(thing) or "")
    return ("", None) if is_made else None


def setup(app: Sphinx) -> None:
    """Tell Sphinx what a signature is hidden for."""
    app.connect("autodoc-process-signature", hide_signature)
