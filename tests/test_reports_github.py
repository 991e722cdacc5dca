"""GitHub annotations, read back as the runner reads them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kling_dsl.diagnostics import Diagnostic, Note, error, warning
from kling_dsl.reports.diagnostics_github import render_github
from kling_dsl.reports.escaping import visible
from kling_dsl.source import Span

PLACE = Span("films/lantern.kling", 12, 3, 12, 8)


def as_the_runner_reads(line: str) -> tuple[str, dict[str, str], str]:
    """Take a workflow command apart by the runner's rules: `::`, then the first space, commas, the first `=`."""
    assert line.startswith("::")
    head, _, data = line[2:].partition("::")
    command, _, rest = head.partition(" ")
    properties = dict(pair.split("=", 1) for pair in rest.split(",")) if rest else {}
    return command, {name: _property(value) for name, value in properties.items()}, _data(data)


def _data(text: str) -> str:
    return text.replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%")


def _property(text: str) -> str:
    return _data(text.replace("%3A", ":").replace("%2C", ","))


def test_a_diagnostic_is_one_line_with_its_place_and_title() -> None:
    shown = render_github([error("unknown-reference", "@Mria is declared nowhere", PLACE, hint="did you mean @Mira?")])
    assert shown == (
        "::error file=films/lantern.kling,line=12,endLine=12,col=3,endColumn=8,title=unknown-reference"
        "::@Mria is declared nowhere%0Ahint: did you mean @Mira?\n"
    )


@pytest.mark.parametrize(("severity", "command"), [("error", "error"), ("warning", "warning"), ("note", "notice")])
def test_a_note_is_called_a_notice(severity: str, command: str) -> None:
    shown = render_github([Diagnostic("s", severity, "m", PLACE)])  # type: ignore[arg-type]
    assert as_the_runner_reads(shown.rstrip("\n"))[0] == command


@pytest.mark.parametrize(
    ("file", "message", "written"),
    [
        ("a,b:c.kling", "m", "::error file=a%2Cb%3Ac.kling,"),
        ("100%.kling", "m", "::error file=100%25.kling,"),
        ("x=y.kling", "m", "::error file=x=y.kling,"),
        ("🎬.kling", "m", "::error file=🎬.kling,"),
        ("f.kling", "50% off: a, b", "::50% off".replace("%", "%25") + ": a, b\n"),
        ("f.kling", "%0A is no newline", "::%250A is no newline\n"),
        ("f.kling", "🎬 ::stop-commands::x", "::🎬 ::stop-commands::x\n"),
    ],
)
def test_what_the_runner_would_split_is_escaped(file: str, message: str, written: str) -> None:
    shown = render_github([error("s", message, Span(file, 1, 1, 1, 2))])
    assert written in shown
    _, properties, data = as_the_runner_reads(shown.rstrip("\n"))
    assert (properties["file"], data) == (file, message)


def test_notes_and_label_are_said_in_the_message() -> None:
    notes = (Note("declared here", Span("cast.kling", 4, 1, 4, 5)), Note("once is enough"))
    shown = render_github([warning("s", "two of them", PLACE, label="again", notes=notes)])
    assert as_the_runner_reads(shown.rstrip("\n"))[2].split("\n") == [
        "two of them (again)",
        "note: declared here (cast.kling:4)",
        "note: once is enough",
    ]


def test_a_longer_range_has_no_columns() -> None:
    shown = render_github([error("s", "m", Span("f.kling", 2, 5, 4, 3))])
    assert shown == "::error file=f.kling,line=2,endLine=4,title=s::m\n"


def test_a_diagnostic_of_no_file_has_no_place() -> None:
    assert render_github([error("s", "m", Span("", 0, 0, 0, 0))]) == "::error title=s::m\n"


def test_each_diagnostic_is_a_line_and_nothing_is_no_line() -> None:
    assert render_github([error("s", "m", PLACE)] * 3).count("\n") == 3
    assert render_github([]) == ""


@settings(deadline=None)
@given(st.text(alphabet=st.characters(codec="utf-8"), min_size=1), st.text(min_size=1))
def test_any_text_comes_back_from_the_runner_as_people_should_see_it(file: str, message: str) -> None:
    shown = render_github([error("some-slug", message, Span(file, 1, 2, 1, 4))])
    assert len(shown.splitlines()) == 1
    command, properties, data = as_the_runner_reads(shown.rstrip("\n"))
    assert (command, data) == ("error", visible(message))
    assert properties == {
        "file": visible(file),
        "line": "1",
        "endLine": "1",
        "col": "2",
        "endColumn": "4",
        "title": "some-slug",
    }
