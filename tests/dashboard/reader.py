"""Reads a page as a strict reader does: each element, its attributes and its text."""

from __future__ import annotations

from html.parser import HTMLParser

VOID = {"meta", "link", "input", "use", "path"}


class Element:
    def __init__(self, tag: str, given: dict[str, str]) -> None:
        self.tag = tag
        self.given = given
        self.text = ""

    def __getitem__(self, name: str) -> str:
        return self.given[name]


class Reader(HTMLParser):
    """Reads all elements with their texts; markup that does not close is an error."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.all: list[Element] = []
        self._open: list[Element] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), (tag, names)
        one = Element(tag, {name: value or "" for name, value in attrs})
        self.all.append(one)
        if tag not in VOID:
            self._open.append(one)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.all.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        for one in self._open:
            one.text += data

    def find(self, **given: str) -> list[Element]:
        wanted = {name.rstrip("_").replace("_", "-"): v for name, v in given.items()}
        tag = wanted.pop("tag", None)
        return [
            one
            for one in self.all
            if tag in (None, one.tag)
            and all(one.given.get(name) == value for name, value in wanted.items())
        ]

    def one(self, **given: str) -> Element:
        (found,) = self.find(**given)
        return found
