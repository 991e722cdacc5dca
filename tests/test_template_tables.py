"""What templates write and are told, in tables: each operator, method, filter, tag, file and limit, at its edges.

A table is a file in `told/templates`, with sections: `=== template`, a ⏎ in it being a new line, and below it what comes of
it. Write `=== template` where it belongs, run this file with `KLING_UPDATE_GOLDEN=1`, and read what was written.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path

import pytest
from told import ADVICE, UPDATE, in_full, in_place

from kling_dsl.source import Span
from kling_dsl.templates import Expansion, expand

TABLES = Path(__file__).parent / "told" / "templates"
NAMES = ("numbers", "signs", "formats", "filters", "values", "tags", "files", "syntax")
ROWS = ({"id": "a", "n": 1}, {"id": "b", "n": 2})
VALUES: dict[str, object] = {
    "rows": list(ROWS),
    "text": "ab",
    "n": 3,
    "f": 2.0,
    "big": {number: number for number in range(40)},
    "many": {f"k{number}": number for number in range(9)},
    "d": date(2026, 1, 2),
    "dt": datetime.fromisoformat("2026-01-02T03:04:05"),
    "t": time(3, 4, 5),
    "dec": Decimal("2.50"),
    "huge": 10**1233,
    "tiny": Decimal("1E-2000"),
    "inf": Decimal("Infinity"),
    "half": "x" * 524_288,
}
FILES = {
    "p.kling": "{{ n }}",
    "m.kling": (
        "{% macro hi(a, b=2) %}{{ a }}{{ b }}{{ varargs }}{{ kwargs }}{% endmacro %}"
        "body{% set x = 1 %}{% set _y = 2 %}{% macro bad() %}⏎{{ 1 / 0 }}{% endmacro %}"
    ),
    "b.kling": "{% block x %}<base>{% endblock %}",
    "loop.kling": "{% extends 'loop.kling' %}",
    "macros.kling": "{% macro m(k) %}{{ k / 0 }}{% endmacro %}⏎{% for k in [1] %}⏎{{ m(k) }}{% endfor %}",
    "s/q.kling": "{% include '../p.kling' %}",
    "s/r.kling": "one⏎{% include 'u.kling' %}",
    "s/u.kling": "{% for k in [0] %}{{ k / k }}{% endfor %}",
    "s/v.kling": "⏎{{ city $ }}",
    "s/w.kling": "{% if n %}",
    "self.kling": "{% include 'self.kling' %}",
    "s/r2.kling": "one {% include 'x.kling' %}⏎{% for k in [5] %}{{ k }}{% endfor %}",
    "s/x.kling": "⏎ deep {{ n }}",
    "s/m2.kling": "{% macro hi(who) %}hello {{ who }}{% endmacro %}body {{ 1 }}",
    "b2.kling": "top⏎{% block x %}base {{ n }}{% endblock %} {% block y %}why{% endblock %} end",
}
READ = {path: text.replace("⏎", "\n") for path, text in FILES.items()}.get


def _come_of(template: str) -> str:
    """Return what a template writes, or everything that it is told."""
    expansion = expand(template.replace("⏎", "\n"), file="film.kling", values=VALUES, read=READ)
    told = in_full(expansion.diagnostics)
    assert not (told and expansion.text)
    return told or f"{expansion.text}\n"


def _places_of(template: str) -> str:
    """Return what a template writes, and where each of its words, and all of it, was written."""
    expansion = expand(template.replace("⏎", "\n"), file="film.kling", values=VALUES, read=READ)
    assert expansion.diagnostics == ()
    lines = []
    for number, line in enumerate(expansion.text.split("\n"), 1):
        for word in re.finditer(r"\S+", line):
            lines.append(f"{word[0]!r}")
            lines += _located(expansion, Span("", number, word.start() + 1, number, word.end() + 1))
    last = expansion.text.split("\n")
    return "\n".join([*lines, "all of it", *_located(expansion, Span("", 1, 1, len(last), len(last[-1]) + 1))]) + "\n"


def _located(expansion: Expansion, span: Span) -> list[str]:
    where, notes = expansion.source_map.locate(span)
    return [
        f"    {in_place(where)}",
        *(f"        {note.message} at {in_place(note.span)}" for note in notes if note.span),
    ]


@pytest.mark.parametrize(("name", "look"), [*((name, _come_of) for name in NAMES), ("places", _places_of)])
def test_what_comes_of_each(name: str, look: Callable[[str], str]) -> None:
    path = TABLES / f"{name}.txt"
    parts = re.split(r"(?m)^=== (.+)\n", path.read_text(encoding="utf-8"))[1:]
    kept = {template: text.removesuffix("\n") for template, text in zip(parts[::2], parts[1::2], strict=True)}
    assert len(kept) == len(parts) // 2, "a template stands twice in this table"
    assert len(kept) > 15
    come = {template: look(template) for template in kept}
    if UPDATE:
        path.write_text(
            "\n".join(f"=== {template}\n{text}" for template, text in come.items()) + "\n", encoding="utf-8"
        )
        return
    changed = {template: (text, come[template]) for template, text in kept.items() if text != come[template]}
    assert changed == {}, ADVICE
