"""A render in plain text: a line for what happens, and a closing text that names every loose end and the way on."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from render_outcomes import (
    FILTER,
    REQUEST,
    call,
    digest,
    ended_as,
    event,
    kept,
    mixed,
    outcome,
    row,
    standing,
    stored,
)

from kling_dsl.render.engine import ClipEnd, Outcome
from kling_dsl.render.events import Event, EventKind
from kling_dsl.render.takes import Ended
from kling_dsl.reports.escaping import visible
from kling_dsl.reports.render_ends import LOOSE_KINDS, loose_ends, stored_rows
from kling_dsl.reports.render_lines import STOPPING, Lines, closing_text, line_of

LINKS = {name: f"out/film/{name}.mp4" for name in ("door", "gull", "hall")}


def closing(of: Outcome, *, film: str = "film.kling", sandbox: bool = False, width: int = 80) -> str:
    return closing_text(of, film=film, links=LINKS, sandbox=sandbox, width=width)


@pytest.mark.parametrize(
    ("told", "line"),
    [
        (event("uploading", take=0), "door: uploading its files"),
        (event("submitted", request_id=REQUEST), "door: take 1 submitted, $2.10 (request 764cabcf…)"),
        (event("submitted", request_id="r-12"), "door: take 1 submitted, $2.10 (request r-12)"),
        (event("queued", position=3), "door: take 1 queued, 3 ahead"),
        (event("queued", position=0), "door: take 1 queued, next"),
        (event("queued"), "door: take 1 queued"),
        (event("running", take=2), "door: take 2 running"),
        (event("completed"), None),
        (event("fetching", bytes=12_000_000), None),
        (event("stored", sha256="ab" * 32), "door: take 1 stored as abababababab"),
        (event("stored", sha256="ab" * 32, reason="it has a sound"), "door: take 1 stored as abababababab; noted: it has a sound"),
        (event("failed", billed="maybe", reason=FILTER), f"door: take 1 failed, may be billed: {FILTER} (film.kling:23)"),
        (event("failed", billed="no", reason="busy"), "door: take 1 failed, not billed: busy (film.kling:23)"),
        (
            event("failed", billed="maybe", reason="too short", path=".kling/store/quarantine/a.mp4"),
            "door: take 1 failed, may be billed: too short; what came is in .kling/store/quarantine/a.mp4 (film.kling:23)",
        ),
        (event("uncertain", reason="lost"), "door: take 1 uncertain, may have been bought: lost (film.kling:23)"),
        (
            event("adopted", request_id=REQUEST, reason="it was bought after all"),
            "door: take 1 found at the provider, $2.10: it was bought after all (request 764cabcf…)",
        ),
        (event("waiting", take=0, reason="needs the last frame of hall"), "door: waits: needs the last frame of hall (film.kling:23)"),
        (event("elsewhere"), "door: take 1 waits: another process is rendering it"),
        (event("retrying", reason="429"), "door: take 1 not taken yet, tried again: 429"),
        (event("refused", reason="$2.10 more would pass it"), "door: take 1 not bought: $2.10 more would pass it (film.kling:23)"),
        (event("lost", take=0, reason="no space"), "door: broken off: no space (film.kling:23)"),
        (Event("stopping"), STOPPING),
    ],
)  # fmt: skip
def test_an_event_is_told_in_the_terms_of_the_writer(told: Event, line: str | None) -> None:
    assert line_of(told) == line


@pytest.mark.parametrize("kind", get_args(EventKind))
def test_every_kind_of_event_names_its_clip_or_is_not_worth_a_line(kind: EventKind) -> None:
    line = line_of(event(kind))
    if kind in ("completed", "fetching"):
        assert line is None
    elif kind == "stopping":
        assert line is not None
    else:
        assert line is not None
        assert line.startswith("door: take 1 ")


def test_what_comes_again_and_again_is_told_once() -> None:
    lines = Lines()
    story = [
        *(event("queued", position=number) for number in (9, 5, 2, 0)),
        event("running"),
        event("queued", position=1),
        event("running"),
        *(event("elsewhere", take=2) for _ in range(50)),
        event("queued", take=2, position=1),
        event("retrying", take=2, reason="429"),
        event("retrying", take=2, reason="429"),
        event("retrying", take=2, reason="no connection"),
    ]
    told = [line for each in story if (line := lines.line_of(each)) is not None]
    assert told == [
        "door: take 1 queued, 9 ahead",
        "door: take 1 running",
        "door: take 2 waits: another process is rendering it",
        "door: take 2 queued, 1 ahead",
        "door: take 2 not taken yet, tried again: 429",
        "door: take 2 not taken yet, tried again: no connection",
    ]


def test_an_end_is_told_each_time() -> None:
    lines = Lines()
    assert lines.line_of(event("failed", reason="busy")) == lines.line_of(event("failed", reason="busy")) is not None


def test_a_render_that_went_well_is_told_in_a_line_and_its_clips() -> None:
    done = outcome(stored("door"), stored("hall", takes=2), kept("gull"), spent="6.30")
    assert closing(done) == "3 takes stored, $6.30 spent\n  out/film/door.mp4\n  out/film/hall.mp4\n"


def test_the_sandbox_is_never_taken_for_money() -> None:
    text = closing(outcome(stored("door"), spent="2.10"), sandbox=True)
    assert text.startswith("1 take stored, $2.10 spent in the sandbox (no real money)\n")


def test_a_render_with_nothing_to_do_says_so() -> None:
    assert closing(outcome(kept("door"), kept("gull"))) == "nothing to render: 2 clips kept\n"


def test_what_was_paid_before_costs_nothing_now() -> None:
    assert closing(outcome(stored("door"))).startswith("1 take stored, nothing spent\n")


def test_many_clips_are_told_by_their_folder() -> None:
    names = [f"shot-{number}" for number in range(40)]
    links = {name: f"out/film/{name}.mp4" for name in names}
    done = outcome(*(stored(name) for name in names), spent="84")
    assert closing_text(done, film="film.kling", links=links) == "40 takes stored, $84.00 spent\n  out/film/\n"


def test_each_loose_end_is_named_with_its_line_and_the_way_on() -> None:
    text = closing(mixed())
    assert text.splitlines()[:2] == ["1 take stored, $8.40 spent or reserved", "  out/film/door.mp4"]
    words = " ".join(text.split())
    for part in (
        "1 take may have been bought, $2.10 reserved storm, take 1 (film.kling:23): the connection was lost",
        f"2 takes failed and may be billed, $4.20 hall, take 1 (film.kling:23): {FILTER}",
        "pier, take 1 (film.kling:23): it lasts 3.2 s, not 5 s what came is in .kling/store/quarantine/0a1b-1-1.mp4",
        "1 take failed, nothing paid lamp, take 1 (film.kling:23): the model failed inside (500)",
        "1 take not bought, $2.10: a limit does not allow it rope, take 1 (film.kling:61): $2.10 more would pass",
        "1 clip broken off wave (film.kling:70): refs/wave.png could not be uploaded",
        "1 clip waiting for another one roof (film.kling:80): needs the last frame of storm",
    ):
        assert part in words
    steps = words.partition(" next: ")[2]
    for step in (
        "kling reconcile film.kling asks the provider",
        "kling pick pier 1 --keep --film film.kling keeps what came",
        "kling retake ID --film film.kling buys one of them once more",
        "kling render film.kling goes on, and buys nothing twice",
    ):
        assert step in steps
    assert "gull" not in text
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize(
    ("end", "step"),
    [
        (ended_as("uncertain", row("uncertain")), "kling reconcile film.kling  asks the provider"),
        (ended_as("failed", row("failed", billed="maybe")), "kling retake door --film film.kling  buys it once more, for $2.10"),
        (ended_as("new", row("failed", billed="no")), "kling render film.kling  goes on"),
        (ended_as("pending", row("submitted")), "kling render film.kling  goes on"),
        (ended_as("pending", row("completed")), "kling render film.kling  goes on"),
        (ClipEnd(standing(call(), "new"), (Ended(1, None, "no", refused_by_limit=True),)), "kling render film.kling  buys the rest, when"),
        (ClipEnd(standing(call(), "new"), (Ended(1, None, "no connection"),)), "kling render film.kling  goes on"),
        (ClipEnd(standing(call(), "new"), problem="the disk is full"), "kling render film.kling  goes on"),
    ],
)  # fmt: skip
def test_each_state_has_its_one_way_on(end: ClipEnd, step: str) -> None:
    text = closing(outcome(end))
    assert text.partition("\nnext:\n  ")[2].startswith(step)
    assert text.partition("\nnext:\n")[2].count("\n") == 1


def test_commands_name_the_sandbox_and_quote_the_film() -> None:
    text = closing(outcome(ended_as("uncertain", row("uncertain"))), film="my films/a.kling", sandbox=True)
    assert "  kling reconcile 'my films/a.kling' --sandbox\n" in text


def test_a_stopped_render_tells_what_is_ordered_and_what_is_not() -> None:
    left = ClipEnd(standing(call("lamp", takes=3, line=40), "new", to_buy=(1, 2, 3)))
    text = closing(outcome(stored(), ended_as("pending", row("submitted", "hall")), left, spent="4.20", stopped=True))
    assert text.startswith(
        "stopped; what was ordered goes on at the provider\n1 take stored, $4.20 spent or reserved\n"
    )
    assert "1 take ordered and not here yet, $2.10\n  hall, take 1 (film.kling:23)\n" in text
    assert "3 takes not bought, $6.30\n  lamp, takes 1, 2, 3 (film.kling:40)\n" in text
    assert text.endswith("next:\n  kling render film.kling  goes on, and buys nothing twice\n")


def test_clips_that_were_not_asked_for_are_no_loose_ends() -> None:
    left = ClipEnd(standing(call("lamp"), "new", to_buy=(1,), rows=(row("failed", "lamp", billed="no"),)))
    assert loose_ends(outcome(stored(), left)) == ()


def test_what_ended_the_render_is_told_once() -> None:
    words = "the provider refuses the account (403): look at the balance"
    clips = [ClipEnd(standing(call(f"c{at}"), "new", to_buy=(1,)), problem=words) for at in range(3)]
    text = closing(outcome(*clips, stopped=True, problem=words))
    assert text.startswith(f"ended early: {words}\n")
    assert text.count("balance") == 1
    assert "3 takes not bought, $6.30\n" in text


def test_a_take_that_two_clips_share_is_counted_once() -> None:
    shared = digest("one request")
    first, second = row("uncertain", "door", fingerprint=shared), row("uncertain", "door", fingerprint=shared)
    ends = [
        ClipEnd(standing(call(name), "uncertain", rows=(one,), fingerprint=shared), (Ended(1, one, "lost"),))
        for name, one in (("door", first), ("hall", second))
    ]
    assert [(each.clip, each.take) for each in loose_ends(outcome(*ends))] == [("door", 1)]
    bought = row("stored", "door")
    twice = [ClipEnd(standing(call(name), "kept", rows=(bought,)), (Ended(1, bought),)) for name in ("door", "hall")]
    assert len(stored_rows(outcome(*twice))) == 1


def test_a_file_that_is_gone_is_told_with_what_it_cost() -> None:
    gone = ClipEnd(standing(call(), "missing", lacking=("ab" * 32,), why="paid for, and the file is not here"))
    (loose,) = loose_ends(outcome(gone))
    assert (loose.kind, loose.usd, loose.take) == ("missing", call().price_usd, 0)
    assert "copy the store" in closing(outcome(gone))


def test_many_loose_ends_are_cut_and_counted() -> None:
    ends = [ended_as("new", row("failed", f"shot-{at}", billed="no", reason="busy")) for at in range(500)]
    text = closing(outcome(*ends))
    assert "500 takes failed, nothing paid\n  shot-0, take 1" in text
    assert "  and 490 more: kling status film.kling\n" in text
    assert len(text.splitlines()) < 20


def test_loose_ends_come_in_the_order_in_which_to_look_at_them() -> None:
    kinds = [each.kind for each in loose_ends(mixed())]
    assert kinds == sorted(kinds, key=list(LOOSE_KINDS).index)
    assert len(kinds) == 7


HOSTILE = st.text(st.sampled_from("ab \n\r\t\x00\x07\x1b[2J\x9b\u202e\u2028\u200d\ud800\U000e0041é漢🏮"), max_size=40)


@settings(deadline=None)
@given(HOSTILE, HOSTILE, HOSTILE, st.sampled_from(get_args(EventKind)), st.integers(0, 120))
def test_no_text_from_outside_steers_the_terminal(
    clip: str, words: str, path: str, kind: EventKind, width: int
) -> None:
    line = line_of(event(kind, clip, file=path, reason=words, path=path, request_id=words, sha256=words))
    assert line is None or line == visible(line)
    of = call("door", file=path)
    end = ClipEnd(
        standing(replace(of, id=clip), "failed", rows=(row("failed", billed="maybe", reason=words, quarantine=path),)),
        problem=words,
    )
    text = closing_text(
        outcome(end, stored("door"), problem=path), film=path, links={"door": path, clip: words}, width=width
    )
    assert all(line == visible(line) for line in text.split("\n"))
