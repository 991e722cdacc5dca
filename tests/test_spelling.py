"""Nearest names: the quick count of edits is what its definition says, and suggestions follow from it."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from laws import examples

from kling_dsl.spelling import Names, certain, edit_distances, nearest

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


def chosen(word: str, names: Sequence[str], within: int | None) -> str | None:
    """Choose the nearest name as it is defined, one name after the other."""
    if not 0 < len(word) <= 80:
        return None
    limit = max(1, (len(word) + 2) // 3) if within is None else within
    alike = [name for name in names if name[:1].casefold() == word[:1].casefold()]
    near, cells = [], 0
    for name in alike + [name for name in names if name[:1].casefold() != word[:1].casefold()][:5_000]:
        if abs(len(name) - len(word)) > limit or (len(word) < 3 and len(name) <= len(word)):
            continue
        cells += len(name) * len(word)
        if cells > 5_000:
            break
        near.append((defined(word.casefold(), name.casefold()), name))
    return min(((distance, name) for distance, name in near if distance <= limit), default=(0, None))[1]


def slipped(word: str, names: Sequence[str]) -> str | None:
    """Choose the one name that a slip leads to as it is defined."""
    near = [name for name in names if abs(len(name) - len(word)) <= 1]
    if not 3 <= len(word) <= 80 or sum(len(name) * len(word) for name in near) > 5_000:
        return None
    near = [name for name in near if defined(word.casefold(), name.casefold()) <= 1]
    return near[0] if len(near) == 1 else None


LETTERS = st.sampled_from(
    ("abAB", "aßẞſsSkK\u212a", "éeE\u0301İiıI", "ﬁﬂfiΐς", "日本語", "mira-_09\U0001f600")
).flatmap(lambda alphabet: st.text(alphabet, max_size=7))
"""Words of few letters, so that many are alike: those that fold, grow when they fold, combine, or have no case."""


@st.composite
def questions(draw: st.DrawFn) -> tuple[tuple[str, ...], list[str]]:
    """Draw names, each up to so many times that not all are compared, and words that mean them or nothing."""
    names = draw(st.lists(LETTERS, max_size=12))
    words = draw(st.lists(LETTERS, min_size=1, max_size=3))
    for name in draw(st.lists(st.sampled_from(names), max_size=4)) if names else ():
        at = draw(st.integers(0, len(name)))
        slip = draw(st.sampled_from(("lack", "more", "wrong", "swap", "case")))
        start, rest = name[:at], name[at:]
        words.append(
            {
                "lack": start + rest[1:],
                "more": f"{start}x{rest}",
                "wrong": f"{start}x{rest[1:]}",
                "swap": start + rest[1:2] + rest[:1] + rest[2:],
                "case": start + rest.swapcase(),
            }[slip]
        )
    return tuple(names) * draw(st.sampled_from((1, 1, 2, 40))), words


def test_the_edits_between_two_words_are_the_fewest_that_do() -> None:
    for left in WORDS:
        assert edit_distances(left, WORDS) == [defined(left, right) for right in WORDS], left
        for right in WORDS:
            assert edit_distances(left, (right,)) == [defined(left, right)], (left, right)
    assert edit_distances("mira", ()) == []


@examples(60)
@given(questions())
def test_what_is_suggested_is_what_its_definition_says(asked: tuple[tuple[str, ...], list[str]]) -> None:
    names, words = asked
    ready = Names(names)
    assert tuple(ready) == names
    for word in words:
        for within in (None, 0, 2):
            expected = chosen(word, names, within)
            assert nearest(word, names, within=within) == expected
            assert nearest(word, ready, within=within) == expected
        assert certain(word, names) == slipped(word, names)
        assert certain(word, ready) == slipped(word, names)


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


def test_as_many_letters_as_are_compared_are_compared() -> None:
    others = [f"Other{number:05d}" for number in range(49)]
    assert nearest("Othe700007", [*others, "Othe700000"]) == "Othe700000"
    assert nearest("Othe700007", [*others, "Other00049", "Othe700000"]) == "Other00007"
    assert certain("Maiden0007", [*others, "Maiden000x"]) == "Maiden000x"
    assert certain("Maiden0007", [*others, "Other00049", "Maiden000x"]) is None
