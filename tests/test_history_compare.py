"""Comparing compilations without git: whatever moves, is renamed or re-wrapped is paid for, whatever is reworded is not."""

from __future__ import annotations

import hashlib
from decimal import Decimal
from typing import Literal

from helpers import compile_text
from hypothesis import given
from hypothesis import strategies as st

from kling_dsl.compiler import Compilation
from kling_dsl.history.compare import compare_films, merge_locks
from kling_dsl.history.fields import mark_words
from kling_dsl.history.pairing import Version
from kling_dsl.history.values import Change, Clip, Difference, Field, FilmDifference, Piece, Side
from kling_dsl.lock import Lock, Pick, Take
from kling_dsl.reports.diff import headline, shortened
from kling_dsl.reports.diff_pages import render_diff_markdown

TITLE = "Title: Sea\nModel: o3-4k\nHeadings: off\n"
WORDS = ("gulls", "foam", "a lamp", "the pier", "rain", "a rope", "the moon", "an oar")
KINDS: tuple[Literal["removed", "added"], ...] = ("removed", "added")
ORDERS = st.permutations(range(len(WORDS)))


def film(order: list[int], *, ids: str = "s", scenes: int = 1, notes: str = "", words: tuple[str, ...] = WORDS) -> str:
    lines = [TITLE]
    for at, number in enumerate(order):
        if at % max(1, len(order) // scenes) == 0:
            lines.append(f"\nINT. ROOM {at} - NIGHT\n")
        lines.append(f"\n{notes}SHOT {ids}{number} {number + 3}s\nWe see {words[number]} here.\n")
    return "".join(lines)


def take_of(fingerprint: str, *, number: int = 1, at: str = "2026-11-22T12:00:00Z") -> Take:
    return Take(
        at=at,
        clip="s",
        cost_usd=Decimal(1),
        fingerprint=fingerprint,
        model="o3-4k",
        request_id=f"request-{fingerprint[:9]}-{number}",
        seconds=5,
        sha256=hashlib.sha256(f"{fingerprint} {number}".encode()).hexdigest(),
        take=number,
    )


def lock_of(compilation: Compilation) -> Lock:
    return Lock(tuple(take_of(call.fingerprint) for call in compilation.calls))


def compare(old: str, new: str) -> FilmDifference:
    before, after = compile_text(old), compile_text(new)
    assert not before.failed
    assert not after.failed
    lock = lock_of(before)
    (found,) = compare_films([Version(before, lock)], [Version(after, lock)])
    return found


@given(ORDERS, ORDERS, st.sampled_from(("s", "t")), st.integers(1, 4), st.sampled_from(("", "# why not\n")))
def test_no_order_name_scene_or_comment_is_billable(
    one: list[int], other: list[int], ids: str, scenes: int, notes: str
) -> None:
    found = compare(film(one), film(other, ids=ids, scenes=scenes, notes=notes))
    assert found.billable_usd == found.difference_usd == 0
    assert {change.kind for change in found.changes} <= {"unchanged", "moved", "renamed"}
    assert len(found.changes) == len(WORDS)
    if ids == "t":
        assert all(change.renamed and change.kind == "renamed" for change in found.changes)
    elif one == other and scenes == 1:
        assert all(change.kind == "unchanged" for change in found.changes)


@given(ORDERS, st.sets(st.integers(0, len(WORDS) - 1)))
def test_reworded_shots_are_billed_wherever_they_went(other: list[int], reworded: set[int]) -> None:
    words = tuple(f"not {word}" if at in reworded else word for at, word in enumerate(WORDS))
    found = compare(film(list(range(len(WORDS)))), film(other, words=words))
    changed = {change.clip.id for change in found.of("changed")}
    assert changed == {f"s{number}" for number in reworded}
    assert found.billable_usd == sum((c.clip.cost_usd for c in found.of("changed")), Decimal(0))
    assert found.new is not None
    assert found.new.to_buy_usd == found.billable_usd
    assert found.new.held_usd == found.new.film_usd - found.billable_usd


@given(ORDERS)
def test_as_few_clips_as_can_be_have_moved(other: list[int]) -> None:
    found = compare(film(list(range(len(WORDS)))), film(other))
    # The scene's name differs only where the film begins, which it does alike in both.
    longest = [1] * len(other)
    for at, number in enumerate(other):
        longest[at] = 1 + max((longest[before] for before in range(at) if other[before] < number), default=0)
    assert sum(1 for change in found.changes if change.moved) == len(other) - max(longest)


def test_clips_that_change_their_ids_with_each_other_were_renamed() -> None:
    one = TITLE + "\nSHOT a 3s\nGulls.\n\nSHOT b 4s\nFoam.\n"
    found = compare(one, one.replace("SHOT a", "SHOT x").replace("SHOT b", "SHOT a").replace("SHOT x", "SHOT b"))
    assert [(change.kind, change.clip.id, change.billable) for change in found.changes] == [
        ("renamed", "b", 0),
        ("renamed", "a", 0),
    ]


def test_films_pair_up_by_what_they_share() -> None:
    texts = [film(list(range(8))), film(list(range(8)), words=tuple(f"old {word}" for word in WORDS))]
    old = [Version(_named(compile_text(text), f"old-{at}.kling")) for at, text in enumerate(texts)]
    new = [Version(_named(compile_text(text), f"new-{at}.kling")) for at, text in enumerate(reversed(texts))]
    found = compare_films(old, new)
    assert {(one.old.file, one.new.file) for one in found if one.old and one.new} == {
        ("old-0.kling", "new-1.kling"),
        ("old-1.kling", "new-0.kling"),
    }
    strange = Version(_named(compile_text(TITLE + "\nSHOT other 3s\nA tree.\n"), "strange.kling"))
    alone = compare_films(old[:1], [strange])
    assert [(one.old is None, one.new is None) for one in alone] == [(True, False), (False, True)]


def _named(compilation: Compilation, file: str) -> Compilation:
    import msgspec

    return msgspec.structs.replace(compilation, file=file)


@given(st.lists(st.sampled_from(("a", "b", "c ", "dd", "\n", " ")), max_size=12).map(" ".join), st.text(max_size=30))
def test_marked_words_hold_both_texts(one: str, other: str) -> None:
    for old, new in ((one, other), (one, one + " more"), (one + " x", "y " + one)):
        pieces = mark_words(old, new)
        if not pieces:
            continue
        before = " ".join(piece.text for piece in pieces if piece.kind != "added")
        after = " ".join(piece.text for piece in pieces if piece.kind != "removed")
        assert before.split() == old.split()
        assert after.split() == new.split()


def test_long_texts_are_cut_down_to_what_changed() -> None:
    same = " ".join(f"w{number}" for number in range(100))
    pieces = list(shortened(mark_words(f"{same} old {same}", f"{same} new {same}")))
    assert [piece.kind for piece in pieces] == ["same", "removed", "added", "same"]
    assert pieces[0].text == "… w94 w95 w96 w97 w98 w99"
    assert pieces[3].text == "w0 w1 w2 w3 w4 w5 …"


def test_a_text_of_one_word_is_not_marked() -> None:
    assert mark_words("la " * 300, "la " * 299 + "li") == ()
    assert mark_words("la " * 20, "la " * 19 + "li") != ()


def test_a_large_change_still_fits_into_a_comment() -> None:
    evil = "<b>|*_~`" * 250
    clip = Clip("s1", "", "film.kling", 1, "o3-4k", "e", 5, 1, Decimal(2), "f", "r", 0, 1)
    field = Field("prompt", evil, evil, words=tuple(Piece(kind, f"{evil} x") for kind in KINDS))
    change = Change("changed", clip, clip, fields=(field,), billable=1)
    side = Side("film.kling")
    films = tuple(FilmDifference("T" * 90, side, side, (change,) * 120) for _ in range(50))
    page = render_diff_markdown(Difference("a", "b", "c", "d", films))
    assert len(page) < 65_536
    assert "and 48 films with changes, which are not shown" in page
    assert page.count("<details>") == page.count("</details>") > 0
    one = render_diff_markdown(Difference("a", "b", "c", "d", films[:1]))
    assert "| and 20 more | changed |" in one


def test_merged_locks_choose_what_the_newest_pick_says() -> None:
    first, second = take_of("a" * 64), take_of("a" * 64, number=2)
    picks = [Pick(f"2026-11-22T1{hour}:00:00Z", "a" * 64, take.sha256) for hour, take in ((4, first), (3, second))]
    merged = merge_locks([Lock((second,), (picks[0],)), Lock((first, second), (picks[1],)), Lock()])
    assert merged.of("a" * 64) == (first, second)
    assert merged.chosen("a" * 64) == first
    assert merge_locks([Lock(), Lock()]) == Lock()


def test_a_film_that_fails_on_both_sides_has_no_difference() -> None:
    broken = compile_text(TITLE + "\nSHOT a 3s\n@Nobody waits.\n")
    assert broken.failed
    films = compare_films([Version(broken)], [Version(broken)])
    assert films[0].changes == ()
    difference = Difference("main", "work", "a" * 40, "b" * 40, films)
    assert difference.difference_usd is None
    assert headline(difference) == (
        "main → work: the difference is not known, since film.kling has errors in main and film.kling has errors in work"
    )
