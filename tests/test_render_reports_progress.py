"""The live display of a render: what stands on the screen, how much of it, and that nothing of it is left."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from decimal import Decimal
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from render_outcomes import FILTER, event
from rich.cells import cell_len
from rich.console import Console

from kling_dsl.render.events import Event, EventKind
from kling_dsl.reports.escaping import visible
from kling_dsl.reports.progress import FOOT, LiveProgress

CONTROL = re.compile(r"\x1b\[(\??[0-9;]*)([A-Za-z])")


class Screen:
    """A terminal that knows what the display uses of one, and keeps each frame that was whole before it was redrawn."""

    def __init__(self, text: str) -> None:
        self.lines = [""]
        self.frames: list[str] = []
        self.is_cursor_shown = True
        self._row = 0
        at = 0
        while at < len(text):
            if control := CONTROL.match(text, at):
                self._obey(*control.groups())
                at = control.end()
                continue
            self._write(text[at])
            at += 1

    @property
    def shown(self) -> str:
        return "\n".join(line.rstrip() for line in self.lines).rstrip("\n")

    def _obey(self, parameters: str, letter: str) -> None:
        if letter == "A":
            self._row -= int(parameters or 1)
            assert self._row >= 0, "the cursor left the display upwards"
        elif letter == "K":
            self.lines[self._row] = ""
        elif parameters == "?25":
            self.is_cursor_shown = letter == "h"
        else:
            assert letter == "m", f"nothing here asks for {letter}"

    def _write(self, char: str) -> None:
        if char == "\r":
            self.frames.append(self.shown)
        elif char == "\n":
            self._row += 1
            if self._row == len(self.lines):
                self.lines.append("")
        else:
            self.lines[self._row] += char


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Stage:
    """A display on a screen that is recorded; `frame` says what stands there after some events."""

    def __init__(self, *, width: int = 80, height: int = 24, color: str | None = None) -> None:
        self.clock = Clock()
        self.written = io.StringIO()
        self.console = Console(
            file=self.written,
            force_terminal=True,
            color_system=color,  # type: ignore[arg-type]
            width=width,
            height=height,
            legacy_windows=False,
            _environ={"TERM": "xterm"},
        )

    def progress(
        self, *, total: int = 3, limit: tuple[str, Decimal, Decimal] | None = None, note: str = ""
    ) -> LiveProgress:
        return LiveProgress(self.written, total=total, limit=limit, note=note, clock=self.clock, console=self.console)

    def frame(self, events: Iterable[Event | float], *, total: int = 3) -> list[str]:
        """Return the lines of the last frame; a number among the events lets so many seconds pass."""
        with self.progress(total=total) as progress:
            for each in events:
                if isinstance(each, float):
                    self.clock.now += each
                else:
                    progress.update(each)
        screen = Screen(self.written.getvalue())
        assert screen.shown == ""
        return screen.frames[-1].splitlines()


def test_a_take_is_followed_from_its_upload_to_its_clip() -> None:
    story: list[tuple[list[Event | float], str]] = [
        ([event("uploading", take=0, cost_usd=None)], "door  uploading"),
        ([event("submitted")], "door  submitted  0:00  $2.10"),
        ([5.0, event("queued", position=3)], "door  queued, 3 ahead  0:05  $2.10"),
        ([60.0, event("running")], "door  running  1:05  $2.10"),
        ([event("fetching", bytes=12_345_678)], "door  fetching 12 MB  1:05  $2.10"),
        ([2.0, event("stored"), 600.0], "door  stored  1:07  $2.10"),
    ]
    events: list[Event | float] = []
    for more, expected in story:
        events += more
        row, *foot = Stage().frame(events)
        assert re.sub(r" {2,}", "  ", row.strip()) == expected
        assert len(foot) == 2


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (event("queued", position=0), "queued, next"),
        (event("fetching", bytes=400), "fetching 0 kB"),
        (event("fetching"), "fetching"),
        (event("completed"), "finished at the provider"),
        (event("failed", billed="maybe", reason="too short"), "failed, may be billed: too short"),
        (event("failed", billed="no", reason="busy"), "failed, not billed: busy"),
        (event("uncertain", reason="lost"), "uncertain: lost"),
        (event("refused", reason="over it"), "not bought: over it"),
        (event("lost", reason="no space"), "broken off: no space"),
        (event("waiting", reason="needs hall"), "waits: needs hall"),
        (event("retrying", reason="429"), "tries again: 429"),
        (event("elsewhere", reason="-"), "another process is rendering it"),
        (event("adopted", reason="-"), "found at the provider"),
    ],
)
def test_a_state_is_told_in_words(told: Event, words: str) -> None:
    assert Stage().frame([told])[0].partition("  ")[2].strip().startswith(words)


@pytest.mark.parametrize("kind", get_args(EventKind))
def test_every_kind_of_event_leaves_a_display(kind: EventKind) -> None:
    lines = Stage().frame([event(kind)])
    assert len(lines) == 3
    assert lines[0].startswith("door ")


def test_the_foot_tells_money_time_and_what_is_left() -> None:
    events = [
        event("stored", "a", spent_usd=Decimal("2.10")),
        event("failed", "b", spent_usd=Decimal("4.20")),
        event("uncertain", "c", spent_usd=Decimal("6.30")),
        event("running", "d", spent_usd=Decimal("8.40")),
    ]
    money, counts = Stage().frame([*events, 65.0], total=10)[-2:]
    assert money == "$8.40 spent"
    assert counts == "1:05  1 of 10 stored, 1 under way, 6 to go, 1 failed, 1 uncertain"


@pytest.mark.parametrize(
    ("limit", "line"),
    [
        (None, "$2.10 spent (sandbox)"),
        (("this run", Decimal(20), Decimal(0)), "$2.10 spent of $20.00, this run (sandbox)"),
        (("the film's Budget", Decimal(20), Decimal("4.20")), "$2.10 spent; $6.30 of $20.00, the film's Budget (sandbox)"),
    ],
)  # fmt: skip
def test_money_is_held_against_the_limit_that_is_nearest(limit: tuple[str, Decimal, Decimal] | None, line: str) -> None:
    stage = Stage()
    with stage.progress(limit=limit, note="sandbox") as progress:
        progress.update(event("submitted"))
    assert line in Screen(stage.written.getvalue()).frames[-1].splitlines()


def test_stopping_says_how_to_leave_at_once() -> None:
    assert "stopping, Ctrl-C leaves at once" in Stage().frame([event("running"), Event("stopping")])[-1]


def test_an_uncertain_take_that_is_found_is_under_way_again_and_counted_once() -> None:
    counts = Stage().frame([event("uncertain"), event("adopted"), event("running")])[-1]
    assert counts.endswith("0 of 3 stored, 1 under way, 2 to go")


def test_takes_are_told_apart_and_more_takes_than_expected_are_no_harm() -> None:
    lines = Stage().frame([event("uploading", take=0), *(event("stored", take=at) for at in (1, 2, 3))], total=1)
    assert [line.partition("  ")[0] for line in lines[:3]] == ["door", "door, take 2", "door, take 3"]
    assert lines[-1].endswith("3 of 3 stored")


def test_a_film_of_500_clips_fills_one_screen_with_what_moves_first() -> None:
    queued = [event("queued", f"shot-{at:03}", position=at) for at in range(490)]
    moving = [event("running", f"shot-{at:03}") for at in (480, 481)]
    fetching = [event("fetching", "shot-300", bytes=5_000_000)]
    done = [event("stored", f"shot-{at:03}") for at in range(490, 500)]
    lines = Stage().frame([*queued, *done, *moving, *fetching], total=500)
    assert len(lines) == 23
    names = [line.split()[0] for line in lines[:20]]
    assert names == [*(f"shot-{at:03}" for at in range(17)), "shot-300", "shot-480", "shot-481"]
    assert lines[20] == "and 470 more under way"
    assert lines[-1].endswith("10 of 500 stored, 490 under way")


def test_what_came_to_its_end_last_fills_the_room_that_is_left() -> None:
    lines = Stage(height=9).frame([*(event("stored", f"s{at}") for at in range(30)), event("running", "now")], total=31)
    assert [line.split()[0] for line in lines[:-2]] == ["s26", "s27", "s28", "s29", "now"]


@settings(deadline=None, max_examples=50)
@given(
    st.lists(
        st.builds(
            event,
            st.sampled_from(get_args(EventKind)),
            st.text(st.sampled_from("ab-\n\r\t\x00\x1b[2J\x9b\u202e\u200d\ud800é漢🏮"), max_size=30),
            st.integers(0, 3),
            reason=st.text(st.sampled_from("ab \n\r\t\x07\x1b[2J\x9b\u202e\u2028\u200d\ud800é漢🏮"), max_size=200),
            position=st.none() | st.integers(0, 9),
            bytes=st.none() | st.integers(0, 10**12),
        ),
        max_size=60,
    ),
    st.integers(20, 200),
    st.integers(3, 40),
)
def test_any_events_keep_within_the_screen_and_steer_nothing(events: list[Event], width: int, height: int) -> None:
    lines = Stage(width=width, height=height).frame(events)
    assert len(lines) <= max(FOOT, height - 1)
    for line in lines:
        assert line == visible(line)
        assert cell_len(line) <= width


def test_a_usual_row_fits_80_columns_and_keeps_its_amount() -> None:
    name = "the-very-long-name-of-a-clip-that-nobody-reads"
    row = Stage().frame([event("submitted", name), event("failed", name, billed="maybe", reason=FILTER)])[0]
    assert len(row) == 80
    assert row.startswith("the-very-long-name-of-a…  failed, may be billed: the provider's")
    assert row.endswith("…   0:00  $2.10")


def test_the_columns_do_not_move_when_words_change() -> None:
    before = Stage().frame([event("submitted"), event("queued", position=3)])[0]
    after = Stage().frame([event("submitted"), event("failed", reason="a long story " * 9)])[0]
    assert before.index("0:00") == after.index("0:00")


def test_states_have_colours_where_there_are_colours() -> None:
    stage = Stage(color="standard")
    stage.frame([event("failed", reason="busy")])
    assert "\x1b[31mdoor" in stage.written.getvalue()


@pytest.mark.parametrize("problem", [KeyboardInterrupt, RuntimeError, SystemExit])
def test_nothing_is_left_on_the_terminal_when_the_render_is_interrupted(problem: type[BaseException]) -> None:
    stage = Stage()

    def render() -> None:
        with stage.progress() as progress:
            progress.update(event("running"))
            raise problem

    with pytest.raises(problem):
        render()
    screen = Screen(stage.written.getvalue())
    assert any("running" in frame for frame in screen.frames)
    assert screen.shown == ""
    assert screen.is_cursor_shown


def test_the_cursor_is_there_however_the_process_ends() -> None:
    stage = Stage()
    with stage.progress():
        # What a killed process has written up to here is all that the terminal will ever get.
        assert Screen(stage.written.getvalue()).is_cursor_shown


def test_the_display_can_be_stopped_twice_and_events_may_come_after() -> None:
    stage = Stage()
    with stage.progress() as progress:
        progress.update(event("running"))
        progress.stop()
        length = len(stage.written.getvalue())
        progress.update(event("stored"))
        progress.stop()
    assert len(stage.written.getvalue()) == length


def test_a_terminal_that_is_gone_breaks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage()

    def fail(_: str) -> int:
        raise OSError(5, "Input/output error")

    with stage.progress() as progress, monkeypatch.context() as patch:
        patch.setattr(stage.written, "write", fail)
        progress.update(event("running"))
        progress.stop()
    with stage.progress() as progress:
        progress.update(event("stored", "hall"))
    assert "hall" in Screen(stage.written.getvalue()).frames[-1]


def test_an_event_that_cannot_be_understood_breaks_nothing() -> None:
    stage = Stage()
    with stage.progress() as progress:
        progress.update(event("running", position="soon", reason=3))
        progress.update(event("running", clip=7))  # type: ignore[arg-type]
        progress.update(event("stored", "hall"))
    assert "hall" in Screen(stage.written.getvalue()).frames[-1]
