"""What a writer reads: the message, the line, carets under the exact words."""

from __future__ import annotations

from collections.abc import Iterable
from textwrap import dedent
from time import perf_counter
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kling_dsl.diagnostics import Diagnostic, Edit, Fix, Note, error, warning
from kling_dsl.reports.columns import cells
from kling_dsl.reports.diagnostics_text import CAPPED_SLUG, render_summary, render_text
from kling_dsl.reports.palette import COLOURED
from kling_dsl.source import Span

PROSE = "@Hero chases @Villain past @Car, @Street, @Rain, @Neon, @Alley, @Dog and @Moon."
FILM = "Title: Chase\n" + "\n" * 10 + PROSE + "\n"


def at(text: str, words: str, *, file: str = "film.kling") -> Span:
    """Return the span of the first `words` in a file's text."""
    start = text.index(words)
    line = text.count("\n", 0, start) + 1
    column = start - (text.rfind("\n", 0, start) + 1) + 1
    return Span(file, line, column, line, column + len(words))


def text_of(text: str, *diagnostics: Diagnostic, **options: Any) -> str:
    """Render diagnostics of the one file film.kling."""
    return render_text(diagnostics, source={"film.kling": text}.get, **options)


def drawn(text: str, words: str, **options: Any) -> list[str]:
    """Return the line and its carets for a span over `words`."""
    return text_of(text, error("slug", "message", at(text, words)), **options).splitlines()[2:4]


def columns(text: str) -> int:
    return sum(cell.columns for cell in cells(text))


def expect(shown: str, expected: str) -> None:
    assert shown == dedent(expected).removeprefix("\n")


def test_several_words_of_one_line_are_underlined_and_labelled_once() -> None:
    diagnostic = error(
        "too-many-references",
        'shot "chase" uses 9 references, but o3-4k accepts 7',
        at(FILM, "@Alley"),
        label="over the cap",
        also=(at(FILM, "@Dog"), at(FILM, "@Moon")),
        hint="drop 2 of them, or split the shot",
        fix=Fix("drop @Dog", (Edit(at(FILM, "@Dog"), ""),)),
    )
    expect(
        text_of(FILM, diagnostic),
        """
        error[too-many-references]: shot "chase" uses 9 references, but o3-4k accepts 7
          --> film.kling:12:57
        12 | @Hero chases @Villain past @Car, @Street, @Rain, @Neon, @Alley, @Dog and @Moon.
           |                                                         ^^^^^^  ^^^^     ^^^^^ over the cap
        hint: drop 2 of them, or split the shot
        fix: drop @Dog
        """,
    )


def test_other_lines_are_shown_in_order_with_the_gap_between_them_marked() -> None:
    film = "SHOT door 5s\nRain.\n\nSHOT door 4s\nWind.\n"
    second = Span("film.kling", 4, 6, 4, 10)
    diagnostic = error("duplicate-id", "two shots are called door", second, label="again", also=(at(film, "door"),))
    expect(
        text_of(film, diagnostic),
        """
        error[duplicate-id]: two shots are called door
         --> film.kling:4:6
        1 | SHOT door 5s
          |      ^^^^
        ...
        4 | SHOT door 4s
          |      ^^^^ again
        """,
    )


def test_a_note_shows_its_own_place_only_when_that_is_another_line() -> None:
    film = "PROP Lamp\n\nCHARACTER Lamp\n"
    files = {"film.kling": film, "cast.kling": "PROP Lamp\n"}
    diagnostic = error(
        "duplicate-name",
        "Lamp is declared three times",
        at(film, "CHARACTER Lamp"),
        notes=(
            Note("the same line", Span("film.kling", 3, 1, 3, 10)),
            Note("first here", at(film, "Lamp")),
            Note("and in the cast", Span("cast.kling", 1, 6, 1, 10)),
            Note("names are unique in a film"),
        ),
    )
    expect(
        render_text([diagnostic], source=files.get),
        """
        error[duplicate-name]: Lamp is declared three times
         --> film.kling:3:1
        3 | CHARACTER Lamp
          | ^^^^^^^^^^^^^^
        note: the same line
        note: first here
         --> film.kling:1:6
        1 | PROP Lamp
          |      ^^^^
        note: and in the cast
         --> cast.kling:1:6
        1 | PROP Lamp
          |      ^^^^
        note: names are unique in a film
        """,
    )


def test_a_longer_span_shows_its_first_line_and_says_where_it_ends() -> None:
    film = "Rain. [[note\nthat is\nnever closed\n"
    diagnostic = error("unclosed-note", "this note is never closed", Span("film.kling", 1, 7, 3, 13), label="opened")
    expect(
        text_of(film, diagnostic),
        """
        error[unclosed-note]: this note is never closed
         --> film.kling:1:7
        1 | Rain. [[note
          |       ^^^^^^ opened, and on to line 3
        """,
    )


def test_a_span_that_ends_with_its_line_break_is_of_one_line() -> None:
    shown = text_of("Rain.\nWind.\n", error("slug", "message", Span("film.kling", 1, 1, 2, 1)))
    assert shown.splitlines()[2:] == ["1 | Rain.", "  | ^^^^^"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("美咲と@健太が灯台に立つ", "@健太"),
        ("\uff2d\uff49\uff52\uff41 meets @Bob", "@Bob"),
        ("cafe\u0301 noir, @Zoe\u0308 waits", "@Zoe\u0308"),
        ("👩🏽\u200d🚀👩\u200d👩\u200d👧 fly past @Moon", "@Moon"),
        ("🇫🇷🇯🇵 1\ufe0f\u20e3 ❤\ufe0f @Flag", "@Flag"),
        ("\tindented\tby @Tabs here", "@Tabs"),
        ("red \x1b[31m and \u202e then @Mira", "@Mira"),
        ("한국 하\u1161 @민수", "@민수"),
    ],
)
def test_carets_stand_under_the_words(line: str, words: str) -> None:
    shown, under = drawn(f"{line}\n", words)
    shown, under = shown.removeprefix("1 | "), under.removeprefix("  | ")
    before, found, _ = shown.partition(words)
    assert found
    assert under == " " * columns(before) + "^" * columns(words)


def test_tabs_are_spaces_up_to_the_next_stop_of_four() -> None:
    assert drawn("a\tb\t@X\n", "@X") == ["1 | a   b   @X", "  |         ^^"]


def test_half_of_a_cluster_underlines_the_whole_of_it() -> None:
    assert drawn("x👩\u200d🚀y\n", "🚀") == ["1 | x👩\u200d🚀y", "  |  ^^"]


def test_an_escaped_character_is_underlined_in_full() -> None:
    assert drawn("a\x1bb\n", "\x1b") == [r"1 | a\x1bb", "  |  ^^^^"]


@pytest.mark.parametrize(
    ("span", "place", "line", "under"),
    [
        (Span("film.kling", 2, 3, 2, 3), "2:3", "2 | Wind.", "  |   ^"),
        (Span("film.kling", 2, 6, 2, 6), "2:6", "2 | Wind.", "  |      ^"),
        (Span("film.kling", 2, 90, 2, 99), "2:6", "2 | Wind.", "  |      ^"),
        (Span("film.kling", 2, 4, 2, 99), "2:4", "2 | Wind.", "  |    ^^"),
        (Span("film.kling", 3, 1, 3, 1), "3:1", "3 |", "  | ^"),
        (Span("film.kling", 70, 5, 71, 9), "3:1", "3 |", "  | ^"),
        (Span("film.kling", 0, 0, 0, 0), "1:1", "1 | Rain.", "  | ^"),
        (Span("film.kling", 2, 4, 1, 1), "2:4", "2 | Wind.", "  |    ^"),
    ],
)
def test_a_place_past_the_end_is_moved_to_the_end(span: Span, place: str, line: str, under: str) -> None:
    shown = text_of("Rain.\nWind.\r\n", error("slug", "message", span)).splitlines()
    assert shown == ["error[slug]: message", f" --> film.kling:{place}", line, under]


def test_a_file_that_cannot_be_read_again_is_named_without_its_line() -> None:
    shown = text_of("", error("missing-import", "cast.kling is missing", Span("gone.kling", 4, 2, 4, 3), label="here"))
    assert shown == "error[missing-import]: cast.kling is missing\n --> gone.kling:4:2\nnote: here\n"


def test_a_diagnostic_of_no_file_is_its_message() -> None:
    assert text_of("", warning("no-films", "nothing to check", Span("", 0, 0, 0, 0))) == (
        "warning[no-films]: nothing to check\n"
    )


@pytest.mark.parametrize("width", [40, 60, 100])
def test_a_long_line_is_cut_around_the_caret(width: int) -> None:
    line = "before " * 80 + "@Bad" + " after" * 80
    shown, under = drawn(f"{line}\n", "@Bad", width=width)
    assert len(shown) <= width
    assert shown.startswith("1 | …")
    assert shown.endswith("…")
    assert [shown[i] for i, char in enumerate(under) if char == "^"] == list("@Bad")


def test_the_ends_of_a_long_line_are_cut_on_one_side_only() -> None:
    line = "@Bad" + " wide 美" * 60 + " @End"
    first, under = drawn(f"{line}\n", "@Bad", width=50)
    assert first.startswith("1 | @Bad")
    assert first.endswith("…")
    assert under == "  | ^^^^"
    last, under = drawn(f"{line}\n", "@End", width=50)
    assert last.startswith("1 | …")
    assert last.endswith("@End")
    assert columns(last) <= 50
    assert columns(last) == columns(under)


def test_a_word_longer_than_the_screen_is_shown_from_its_beginning() -> None:
    shown, under = drawn("a " + "@" + "B" * 500 + "\n", "@" + "B" * 500, width=40)
    assert shown.startswith("1 | …@BBB")
    assert "^" * 20 in under
    assert len(under) <= 40


def test_the_other_marks_of_a_cut_line_do_not_appear_at_its_end() -> None:
    line = "@One " + "and so on " * 60 + "@Two"
    diagnostic = error("slug", "message", at(line, "@One"), also=(at(line, "@Two"),))
    assert text_of(line, diagnostic, width=50).splitlines()[3] == "  | ^^^^"


def test_a_line_of_many_megabytes_costs_no_more_than_what_is_shown() -> None:
    line = "x" * 8_000_000 + "@Bad" + "y" * 8_000_000
    diagnostic = error("slug", "message", Span("film.kling", 1, 8_000_001, 1, 8_000_005))
    begin = perf_counter()
    shown = text_of(line, *[diagnostic] * 20).splitlines()
    assert perf_counter() - begin < 5
    assert "xxx@Badyyy" in shown[2]


def test_nothing_that_a_writer_wrote_reaches_the_terminal_unescaped() -> None:
    nasty = "\x1b]0;owned\a\u202e"
    span = Span("film.kling", 1, 1, 1, 4)
    further = Span(f"{nasty}.kling", 1, 1, 1, 2)
    diagnostic = Diagnostic(
        "slug", "error", nasty, span, nasty, (further,), (Note(nasty), Note(nasty, further)), nasty, Fix(nasty, ())
    )
    shown = render_text([diagnostic], source=lambda _file: nasty)
    assert not {"\x1b", "\a", "\u202e"} & set(shown)
    assert shown.count(r"\x1b]0;owned\x07\u202e") == 9


def test_a_message_that_quotes_a_megabyte_is_cut() -> None:
    shown = text_of("Rain.\n", error("slug", "k" * 1_000_000, Span("film.kling", 1, 1, 1, 2)))
    assert len(shown) < 3000
    assert "k…\n" in shown


def test_colours_change_nothing_but_add_styles() -> None:
    diagnostic = error("slug", "message", at(FILM, "@Dog"), label="this", notes=(Note("note"),), hint="hint")
    coloured = text_of(FILM, diagnostic, palette=COLOURED)
    assert f"{COLOURED.error}error[slug]{COLOURED.reset}" in coloured
    assert f"{COLOURED.error}^^^^ this{COLOURED.reset}" in coloured
    for style in msgspec.structs.astuple(COLOURED):
        coloured = coloured.replace(style, "")
    assert coloured == text_of(FILM, diagnostic)


def test_each_file_is_read_once_and_diagnostics_are_an_empty_line_apart() -> None:
    read: list[str] = []

    def source(file: str) -> str:
        read.append(file)
        return "Rain.\n"

    one = error("slug", "message", Span("film.kling", 1, 1, 1, 5))
    shown = render_text([one, one], source=source)
    assert read == ["film.kling"]
    assert shown.count("error[slug]") == 2
    assert shown.split("\n\n")[0] + "\n" == shown.split("\n\n")[1]
    assert render_text([], source=source) == ""


_NUMBERS = st.integers(-3, 40)
_SPANS = st.builds(Span, st.sampled_from(["film.kling", "other.kling", ""]), _NUMBERS, _NUMBERS, _NUMBERS, _NUMBERS)


@settings(deadline=None)
@given(
    st.text(alphabet=st.sampled_from("ab \t\r\n\x1b美👩\u200d🏽\u0301🇫")),
    _SPANS,
    st.lists(_SPANS, max_size=3),
    st.integers(0, 40),
)
def test_any_span_on_any_text_is_rendered(text: str, span: Span, also: Iterable[Span], width: int) -> None:
    diagnostic = error("slug", "message", span, also=tuple(also), notes=tuple(Note("n", one) for one in also))
    shown = text_of(text, diagnostic, width=width)
    assert shown.startswith("error[slug]: message\n")
    assert (" --> film.kling:" in shown) == any(one.file == "film.kling" for one in (span, *also))


PLACE = Span("film.kling", 1, 1, 1, 2)


@pytest.mark.parametrize(
    ("severities", "words"),
    [
        ("", "no problems"),
        ("e", "1 error"),
        ("eeew", "3 errors, 1 warning"),
        ("wwn", "2 warnings, 1 note"),
        ("wnne", "1 error, 1 warning, 2 notes"),
    ],
)
def test_the_summary_counts_by_severity(severities: str, words: str) -> None:
    kinds = {"e": "error", "w": "warning", "n": "note"}
    assert render_summary([Diagnostic("s", kinds[kind], "m", PLACE) for kind in severities]) == words  # type: ignore[arg-type]


def test_the_summary_says_what_a_cap_left_out() -> None:
    capped = Diagnostic(CAPPED_SLUG, "note", "9,000 more are not shown", Span("", 1, 1, 1, 1))
    assert render_summary([error("s", "m", PLACE), capped]) == "1 error; 9,000 more are not shown"
