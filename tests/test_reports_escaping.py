"""Unseen characters are shown by every report and obeyed by none."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kling_dsl.reports.columns import cells
from kling_dsl.reports.escaping import safe_json, sound, visible, visible_lines


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("a\x1b[31mred", r"a\x1b[31mred"),
        ("\x9b2J", r"\x9b2J"),
        ("bell\a\b\x7f", r"bell\x07\x08\x7f"),
        ("two\nlines\r\tand a tab", r"two\nlines\r\tand a tab"),
        ("a\u202egnp.exe\u2066", r"a\u202egnp.exe\u2066"),
        ("\ufeffTitle", r"\ufeffTitle"),
        ("sep\u2028\u2029", r"sep\u2028\u2029"),
        ("tag\U000e0041", r"tag\U000e0041"),
        ("half\ud83d", r"half\ud83d"),
        ("Mi\u200dra \u200cx", r"Mi\u200dra \u200cx"),
        ("👩\u200d🚀", "👩\u200d🚀"),
        ("क्\u200cष", "क्\u200cष"),
        ("\u202e\u200d", r"\u202e\u200d"),
        ("Zoë 美咲", "Zoë 美咲"),
    ],
)
def test_unseen_characters_are_written_out(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_lines_and_tabs_stay_where_a_report_has_several_lines() -> None:
    assert visible_lines("a\tb\r\nc\x1b\rd") == "a\tb\nc\\x1b\\rd"


def _obeyed(text: str) -> list[str]:
    return [char for char in text if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")]


@settings(deadline=None)
@given(st.text(alphabet=st.characters()))
def test_nothing_but_joiners_is_left_to_obey(text: str) -> None:
    assert set(_obeyed(visible(text))) <= {"\u200c", "\u200d"}
    assert set(_obeyed("".join(cell.text for cell in cells(text)))) <= {"\u200c", "\u200d"}


@settings(deadline=None)
@given(st.lists(st.text(alphabet=st.characters(codec="utf-8"))))
def test_json_keeps_its_value_and_loses_what_a_screen_obeys(texts: list[str]) -> None:
    data = safe_json(json.dumps(texts, ensure_ascii=False).encode())
    assert json.loads(data) == texts
    assert set(_obeyed(data.decode())) <= {"\u200c", "\u200d"}


def test_a_character_beyond_the_basic_plane_becomes_a_pair_in_json() -> None:
    assert safe_json('"\U000e0041"'.encode()) == rb'"\udb40\udc41"'


def test_a_lone_surrogate_is_replaced_where_utf_8_is_wanted() -> None:
    assert sound("file\udcff.kling") == "file\ufffd.kling"
    assert sound("Zoë 🎬") == "Zoë 🎬"


@pytest.mark.parametrize(
    ("text", "widths"),
    [
        ("ab", [1, 1]),
        ("美咲", [2, 2]),
        ("\uff46", [2]),
        ("e\u0301x", [1, 1]),
        ("👩🏽\u200d🚀!", [2, 1]),
        ("👨\u200d👩\u200d👧", [2]),
        ("🇫🇷🇯🇵", [2, 2]),
        ("❤\ufe0f", [2]),
        ("❤", [1]),
        ("1\ufe0f\u20e3", [2]),
        ("\u1112\u1161\u11ab", [2]),
        ("한", [2]),
        ("A🏽", [1, 2]),
        ("👩\u200dx", [2, 1]),
        ("\t", [4]),
        ("a\tb", [1, 3, 1]),
        ("美\t", [2, 2]),
        ("abcd\t", [1, 1, 1, 1, 4]),
        ("\x1b[", [4, 1]),
        ("", []),
    ],
)
def test_a_cell_is_as_wide_as_a_terminal_draws_it(text: str, widths: list[int]) -> None:
    assert [cell.columns for cell in cells(text)] == widths


@settings(deadline=None)
@given(st.text(alphabet=st.characters(exclude_characters="\n") | st.sampled_from("\t\u200d🏽👩❤\ufe0f🇫e\u0301美")))
def test_cells_cover_a_line_without_gaps(text: str) -> None:
    row = cells(text)
    assert [cell.start for cell in row] == [0, *(cell.end for cell in row)][: len(row)]
    assert "".join(text[cell.start : cell.end] for cell in row) == text
    assert [cell.left for cell in row] == [0, *(cell.right for cell in row)][: len(row)]
