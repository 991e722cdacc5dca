"""Nearest names: the quick count of edits is what its definition says, and suggestions follow from it."""

from __future__ import annotations

import functools
import itertools

from kling_dsl.spelling import certain, edit_distance, nearest

WORDS = (
    *("".join(letters) for size in range(5) for letters in itertools.product("ab", repeat=size)),
    *("mira", "mria", "imra", "miar", "amira", "mir", "lamp", "lampe", "plam", "abcd", "badc", "cabd", "acbd"),
)


@functools.cache
def defined(left: str, right: str) -> int:
    """Count edits as their definition has it: the shortest of all ways, two neighbours being swapped at most once."""
    if not left or not right:
        return len(left) + len(right)
    ways = [
        defined(left[:-1], right) + 1,
        defined(left, right[:-1]) + 1,
        defined(left[:-1], right[:-1]) + (left[-1] != right[-1]),
    ]
    if left[-2:] == right[-2:][::-1] and len(left) > 1 and len(right) > 1:
        ways.append(defined(left[:-2], right[:-2]) + 1)
    return min(ways)


def test_the_edits_between_two_words_are_the_fewest_that_do() -> None:
    for left, right in itertools.product(WORDS, repeat=2):
        assert edit_distance(left, right) == defined(left, right), (left, right)


def test_the_nearest_name_is_near_and_the_first_of_those_as_near() -> None:
    assert nearest("Mria", ("Keeper", "Mira", "Maria")) == "Maria"
    assert nearest("Mria", ("Keeper", "Mira")) == "Mira"
    assert nearest("mira", ("MIRA",)) == "MIRA"
    assert nearest("Mira", ("Keeper", "Lighthouse")) is None
    assert nearest("", ("a",)) is None
    assert nearest("of", ("on", "off")) == "off", "two letters may lack a third, and not have a wrong one"
    assert nearest("Lamp", ("Lampen",), within=1) is None
    assert nearest("a" * 81, ("a" * 81,)) is None


def test_a_name_is_certain_when_one_slip_leads_to_it_alone() -> None:
    assert certain("Mria", ("Mira", "Keeper")) == "Mira"
    assert certain("Lamq", ("Lamp", "Lamb")) is None, "either may be meant"
    assert certain("Lnmq", ("Lamp",)) is None
    assert certain("of", ("off",)) is None, "two letters say too little"


def test_a_word_among_thousands_is_compared_with_a_few() -> None:
    names = [f"Name{number:05d}" for number in range(10_000)]
    assert certain("Name0000x", names) is None
    assert nearest("Name0000x", [*names, "x"]) in names
