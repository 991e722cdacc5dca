"""A render as lines of JSON: each one whole, in one order of keys, with nothing in it that a terminal obeys."""

from __future__ import annotations

import json
from datetime import timedelta, timezone
from decimal import Decimal
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from render_outcomes import AT, REQUEST, call, digest, event, mixed, outcome, standing, stored

from kling_dsl.render.engine import ClipEnd
from kling_dsl.render.events import Event, EventKind
from kling_dsl.reports.escaping import visible
from kling_dsl.reports.render_ends import LOOSE_KINDS
from kling_dsl.reports.render_json import end_line, event_line


def read(line: bytes) -> dict[str, Any]:
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    found: dict[str, Any] = json.loads(line)
    return found


def test_an_event_has_only_what_is_set_in_a_fixed_order() -> None:
    line = event_line(event("submitted", request_id=REQUEST, spent_usd=Decimal("4.2")), AT)
    assert line == (
        b'{"event":"submitted","at":"2026-11-22T17:03:42.120Z","clip":"door","take":1,"file":"film.kling","line":23,'
        b'"cost_usd":"2.10","spent_usd":"4.20","request_id":"764cabcf-b745-4b3e-ae38-1200304cf45b"}\n'
    )
    assert event_line(Event("stopping"), AT) == b'{"event":"stopping","at":"2026-11-22T17:03:42.120Z"}\n'


def test_every_field_of_an_event_is_written() -> None:
    full = event("failed", position=0, bytes=0, sha256="ab", path="p", billed="maybe", reason="why", request_id="r")
    written = read(event_line(full, AT))
    assert list(written) == ["event", "at", *(name for name in Event.__struct_fields__ if name != "kind")]
    assert written["position"] == written["bytes"] == 0
    assert read(event_line(event("running", spent_usd=Decimal(0)), AT))["spent_usd"] == "0.00"


@pytest.mark.parametrize("kind", get_args(EventKind))
def test_every_kind_of_event_is_a_line(kind: EventKind) -> None:
    assert read(event_line(event(kind), AT))["event"] == kind


def test_moments_are_in_utc_wherever_they_were_taken() -> None:
    there = AT.astimezone(timezone(timedelta(hours=-7)))
    assert event_line(event("running"), there) == event_line(event("running"), AT)


def test_the_last_line_has_the_totals_and_every_clip() -> None:
    of = mixed()
    end = read(end_line(of, 4, at=AT, links={"door": "out/film/door.mp4"}))
    assert list(end) == ["event", "at", "code", "stopped", "problem", "total", "clips"]
    assert (end["event"], end["code"], end["stopped"], end["problem"]) == ("end", 4, False, "")
    total = {"spent_usd": "8.40", "clips": 9, "stored": 1, "uncertain": 1, "billed": 2, "failed": 1, "refused": 1}
    assert end["total"] == {**total, "broken-off": 1, "missing": 0, "waiting": 1, "ordered": 0, "not-bought": 0}
    assert list(end["total"])[3:] == list(LOOSE_KINDS)
    by_id = {clip["id"]: clip for clip in end["clips"]}
    assert list(by_id) == [each.standing.call.id for each in of.clips]
    assert by_id["door"] == {
        "id": "door",
        "state": "kept",
        "fingerprint": digest("door"),
        "sha256": digest("door 1"),
        "path": "out/film/door.mp4",
        "source": {"file": "film.kling", "line": 23},
        "problems": [],
    }
    assert by_id["pier"]["problems"] == [
        {
            "kind": "billed",
            "take": 1,
            "usd": "2.10",
            "reason": "it lasts 3.2 s, not 5 s",
            "path": ".kling/store/quarantine/0a1b-1-1.mp4",
        }
    ]
    assert by_id["roof"]["fingerprint"] == by_id["roof"]["sha256"] == by_id["roof"]["path"] == ""
    assert [(each["kind"], each["take"], each["usd"]) for each in by_id["roof"]["problems"]] == [("waiting", 0, "4.20")]


def test_what_stopped_a_render_is_in_its_last_line() -> None:
    end = read(end_line(outcome(stored(), stopped=True, problem="no money"), 4, at=AT))
    assert (end["stopped"], end["problem"]) == (True, "no money")


@given(st.text(), st.text())
def test_lines_carry_any_text_and_no_control_character(words: str, path: str) -> None:
    line = event_line(event("failed", words, reason=path, path=words), AT)
    told = read(line)
    assert (told.get("clip", ""), told.get("reason", "")) == (words, path)
    end = end_line(outcome(ClipEnd(standing(call(), "new"), problem=words), problem=path), 4, at=AT)
    assert read(end)["problem"] == path
    for each in (line, end):
        text = each.decode()[:-1]
        assert "\x1b" not in text
        assert text == visible(text)


def test_half_a_letter_does_not_break_a_line() -> None:
    assert read(event_line(event("failed", reason="a\ud800b"), AT))["reason"] == "a\ufffdb"
