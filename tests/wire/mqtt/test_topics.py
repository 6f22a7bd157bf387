from __future__ import annotations

import tracemalloc
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from structiot.errors import UsageError
from structiot.mqtt.wire.topics import (
    MAX_CACHED_NAMES,
    TopicTree,
    filter_fault,
    is_shared,
    matches,
    name_fault,
    parse_shared,
)
from tests.wire.mqtt.filters import MATCHES
from tests.wire.mqtt.strategies import FILTER

INVALID_FILTERS = [
    "",
    "a#",
    "a/#/b",
    "#/",
    "#/#",
    "a+",
    "+a/b",
    "a/b+",
    "a/\0",
    "$share/g",
    "$share//a",
    "$share/g+/a",
    "$share/#/a",
    "$share/g/",
    "$share/",
    "$share/g/a#",
    "\ud800",
    "x" * 65_536,
]
INVALID_NAMES = ["", "a/+", "#", "a\0b", "\udfff", "\u00e9" * 32_768]


@pytest.mark.parametrize(("topic_filter", "name", "is_match"), MATCHES)
def test_matching_follows_the_table(topic_filter: str, name: str, is_match: bool):
    assert matches(topic_filter, name) is is_match


@pytest.mark.parametrize("topic_filter", ["a/#", "a/+", "+"])
def test_a_topic_before_its_filter_is_refused(topic_filter: str):
    with pytest.raises(UsageError, match="takes the filter, then the name"):
        matches("a/b", topic_filter)


@pytest.mark.parametrize(("topic_filter", "name", "is_match"), MATCHES)
def test_the_tree_follows_the_same_table(topic_filter: str, name: str, is_match: bool):
    tree: TopicTree[str] = TopicTree()
    tree.add(parse_shared(topic_filter)[1], "found")

    assert tree.match(name) == (("found",) if is_match else ())


@pytest.mark.parametrize("topic_filter", INVALID_FILTERS)
def test_an_invalid_filter_has_a_fault(topic_filter: str):
    assert filter_fault(topic_filter) is not None


@pytest.mark.parametrize("name", INVALID_NAMES)
def test_an_invalid_name_has_a_fault(name: str):
    assert name_fault(name) is not None


@pytest.mark.parametrize("topic_filter", [row[0] for row in MATCHES])
def test_a_valid_filter_passes(topic_filter: str):
    assert filter_fault(topic_filter) is None


@pytest.mark.parametrize(
    "name", [*(row[1] for row in MATCHES), " ", "a*b", "\u00e9" * 32_767, "\ufeff"]
)
def test_a_valid_name_passes(name: str):
    assert name_fault(name) is None


def test_a_shared_filter_is_split_into_group_and_filter():
    assert parse_shared("$share/g/a/+/#") == ("g", "a/+/#")
    assert parse_shared("$share/g//") == ("g", "/")
    assert parse_shared("$shared/g/a") == (None, "$shared/g/a")
    assert parse_shared("$share") == (None, "$share")
    assert is_shared("$share/g/a")
    assert not is_shared("share/g/a")


def test_the_tree_gives_every_filter_that_matches():
    tree: TopicTree[int] = TopicTree()
    for number, topic_filter in enumerate(["a/b", "a/+", "a/#", "#", "+/b", "b/#"]):
        tree.add(topic_filter, number)

    assert sorted(tree.match("a/b")) == [0, 1, 2, 3, 4]
    assert sorted(tree.match("a")) == [2, 3]
    assert sorted(tree.match("$a/b")) == []
    assert sorted(tree.match("b")) == [3, 5]
    assert len(tree) == 6


def test_one_value_under_two_filters_is_found_once_for_each():
    tree: TopicTree[str] = TopicTree()
    tree.add("a/#", "x")
    tree.add("a/b", "x")

    assert tree.match("a/b") == ("x", "x")


def test_values_of_one_filter_keep_their_order_and_come_once():
    tree: TopicTree[str] = TopicTree()

    assert tree.add("a", "second")
    assert tree.add("a", "first")
    assert not tree.add("a", "second")

    assert tree.match("a") == ("second", "first")
    assert tree.match("a/b") == ()
    assert len(tree) == 2


def test_what_was_removed_is_found_no_more():
    tree: TopicTree[str] = TopicTree()
    tree.add("a/b/c", "deep")
    tree.add("a/b", "shallow")
    assert tree.match("a/b/c") == ("deep",)

    assert not tree.remove("a/b/c", "other")
    assert not tree.remove("a/x", "deep")
    assert tree.remove("a/b/c", "deep")
    assert tree.match("a/b/c") == ()
    assert tree.match("a/b") == ("shallow",)
    assert tree.remove("a/b", "shallow")

    assert len(tree) == 0


def test_filters_that_come_and_go_cost_no_memory():
    tree: TopicTree[str] = TopicTree()

    def come_and_go(numbers: Iterable[int]) -> None:
        for number in numbers:
            tree.add(f"a/{number}/c", "x")
            tree.remove(f"a/{number}/c", "x")

    come_and_go([0])
    tracemalloc.start()
    try:
        come_and_go(range(1000))
        grown_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert grown_bytes < 10_000


def test_a_remembered_answer_is_forgotten_when_the_tree_changes():
    tree: TopicTree[str] = TopicTree()
    assert tree.match("a") == ()
    tree.add("+", "x")
    assert tree.match("a") == ("x",)
    assert tree.match("a") is tree.match("a")
    tree.remove("+", "x")
    assert tree.match("a") == ()


def test_the_remembered_answers_are_bounded():
    tree: TopicTree[str] = TopicTree()
    tree.add("#", "x")
    first = tree.match("name/0")
    for number in range(MAX_CACHED_NAMES):
        assert tree.match(f"name/{number}") == ("x",)
    assert tree.match("name/0") is first
    newest = tree.match("one more")

    assert tree.match("name/0") is not first
    assert tree.match("one more") is newest


def test_a_filter_of_many_levels_costs_no_recursion():
    tree: TopicTree[str] = TopicTree()
    name = "/".join(["a"] * 10_000)
    tree.add(name, "x")
    tree.add("+/" * 9_999 + "#", "y")

    assert sorted(tree.match(name)) == ["x", "y"]
    assert len(tree) == 2
    assert tree.remove(name, "x")


@given(
    st.lists(FILTER, max_size=8),
    st.lists(st.sampled_from(["", "a", "b", "$SYS", "\u00e9"]), min_size=1, max_size=5),
)
def test_tree_and_comparison_agree(filters: list[str], levels: list[str]):
    name = "/".join(levels)
    tree: TopicTree[str] = TopicTree()
    for topic_filter in filters:
        tree.add(parse_shared(topic_filter)[1], topic_filter)

    expected = {topic_filter for topic_filter in filters if matches(topic_filter, name)}
    assert sorted(tree.match(name)) == sorted(expected)
