"""What a program reads from `kling check --format json`."""

from __future__ import annotations

import json

from kling_dsl.diagnostics import Diagnostic, Edit, Fix, Note, error, warning
from kling_dsl.reports.diagnostics_json import render_json
from kling_dsl.source import Span

PLACE = Span("film.kling", 2, 3, 2, 8)


def test_a_diagnostic_is_written_with_every_key() -> None:
    diagnostic = error(
        "unknown-reference",
        "@Mria is declared nowhere",
        PLACE,
        hint="did you mean @Mira?",
        notes=(Note("Mira is declared here", Span("cast.kling", 1, 11, 1, 15)), Note("in an imported file")),
        fix=Fix("write @Mira", (Edit(PLACE, "@Mira"),)),
    )
    assert json.loads(render_json([diagnostic])) == [
        {
            "code": "unknown-reference",
            "severity": "error",
            "message": "@Mria is declared nowhere",
            "file": "film.kling",
            "line": 2,
            "column": 3,
            "end_line": 2,
            "end_column": 8,
            "hint": "did you mean @Mira?",
            "notes": [
                {
                    "message": "Mira is declared here",
                    "file": "cast.kling",
                    "line": 1,
                    "column": 11,
                    "end_line": 1,
                    "end_column": 15,
                },
                {"message": "in an imported file"},
            ],
            "fix": {
                "title": "write @Mira",
                "edits": [
                    {
                        "file": "film.kling",
                        "line": 2,
                        "column": 3,
                        "end_line": 2,
                        "end_column": 8,
                        "text": "@Mira",
                    }
                ],
            },
        }
    ]


def test_what_is_not_there_is_empty_and_a_missing_fix_is_left_out() -> None:
    (written,) = json.loads(render_json([warning("lint", "m", PLACE)]))
    assert (written["hint"], written["notes"]) == ("", [])
    assert "fix" not in written


def test_the_list_is_a_list_when_there_is_nothing_to_say() -> None:
    assert render_json([]) == b"[]\n"


def test_order_is_kept() -> None:
    slugs = ["zebra", "apple", "mango"]
    assert [one["code"] for one in json.loads(render_json([error(s, "m", PLACE) for s in slugs]))] == slugs


def test_places_count_from_one_and_end_after_they_begin() -> None:
    (written,) = json.loads(render_json([error("s", "m", Span("", 0, 0, -1, 0))]))
    place = [written[key] for key in ("file", "line", "column", "end_line", "end_column")]
    assert place == ["", 1, 1, 1, 1]


def test_any_text_survives_and_none_of_it_is_obeyed() -> None:
    text = 'quote " back \\ esc \x1b csi \x9b bidi \u202e del \x7f line \u2028 emoji 🎬 美'
    data = render_json([Diagnostic("s", "note", text, PLACE, hint="half \ud83d")])
    assert json.loads(data)[0]["message"] == text
    assert json.loads(data)[0]["hint"] == "half \ufffd"
    assert not set("\x1b\x9b\u202e\x7f\u2028") & set(data.decode())
    assert "🎬 美" in data.decode()


def test_a_path_that_is_not_utf_8_is_written() -> None:
    name = b"caf\xe9.kling".decode("utf-8", "surrogateescape")
    assert json.loads(render_json([error("s", "m", Span(name, 1, 1, 1, 2))]))[0]["file"] == "caf\ufffd.kling"
