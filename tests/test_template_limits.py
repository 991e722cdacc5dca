"""What a template uses up, to the step and the character, and what is told where a limit is passed by one."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
from told import ADVICE, UPDATE, in_full, in_place

from kling_dsl.templates import Limits, budget, codegen, expand, lexing, tracing
from kling_dsl.templates.codegen import RefusedTemplate, compile_anew
from kling_dsl.templates.engine import Engine

VALUES: dict[str, object] = {
    "rows": [{"id": "a", "n": 1}, {"id": "b", "n": 2}],
    "text": "ab",
    "long": "x" * 1000,
    "brim": "y" * 256,
    "n": 3,
    "list": list(range(40)),
    "texts": ["x" * 600, "y" * 600],
    "deep": [[1], [2, [3]]],
    "big": {number: number for number in range(40)},
    "named": {"k" * 300: "v" * 300},
    "dirt": [object],
}
FILES = {
    "p.kling": "{{ n }}",
    "m.kling": "{% macro hi(a) %}{{ a }}{% endmacro %}body",
    "b.kling": "{% block x %}{% endblock %}",
}
DEFAULT = Limits()


COSTS = Path(__file__).parent / "told" / "template-costs.txt"
"""A row for each template: the steps and the characters of values that it uses up."""


def test_what_each_thing_costs() -> None:
    head, *rows = COSTS.read_text(encoding="utf-8").splitlines()
    assert len(rows) > 200
    costs = [_costs(row[12:]) for row in rows]
    if UPDATE:
        COSTS.write_text("\n".join((head, *costs)) + "\n", encoding="utf-8")
    assert UPDATE or costs == rows, ADVICE


def _costs(template: str) -> str:
    engine = Engine("film.kling", VALUES, FILES.get, DEFAULT)
    engine.run(template)
    steps, characters = DEFAULT.max_steps - engine.trace.steps, DEFAULT.max_characters - engine.trace.characters
    return f"{steps:5} {characters:5} {template}"


def _told(template: str, limits: Limits = DEFAULT) -> str:
    return in_full(expand(template, file="film.kling", values=VALUES, read=FILES.get, limits=limits).diagnostics)


SPLIT = "    hint: split the film into several files"
LOOK = "    hint: look for a loop over too many things, or split the film into several files\n"
LOOP = "{% for i in range(1500) %}x{% endfor %}"


@pytest.mark.parametrize(
    ("template", "enough", "told"),
    [
        (
            LOOP,
            Limits(max_steps=3002),
            (
                "film.kling:1:1-1:27 error[template-limit]: this template takes more than 3,001 steps to expand\n"
                f"    note: in round 1500 of the loop in line 1, where i = 1499 at film.kling:1:1-1:27\n{LOOK}"
            ),
        ),
        (
            "\n{{ n }}",
            Limits(max_steps=2),
            f"film.kling:2:1-2:8 error[template-limit]: this template takes more than 1 steps to expand\n{LOOK}",
        ),
        (
            "word {{ text }}\n{{ text }} end",
            Limits(max_characters=14),
            f"film.kling:2:11-2:15 error[template-limit]: this template writes more than 13 characters\n{SPLIT}\n",
        ),
        (
            "{{ (text + text)|length }}\n{{ text|upper }}",
            Limits(max_characters=6),
            (
                "film.kling:2:1-2:17 error[template-limit]: the values of this template hold more than 5 characters\n"
                f"{SPLIT}, or make less text from each value\n"
            ),
        ),
        (
            "{% set x %}a{{ text }}{% endset %}{% set y %}{{ text }}{% endset %}",
            Limits(max_characters=5),
            (
                "film.kling:1:46-1:56 error[template-limit]: the values of this template hold more than 4 characters\n"
                f"{SPLIT}, or make less text from each value\n"
            ),
        ),
    ],
)
def test_a_limit_is_what_may_be_used(template: str, enough: Limits, told: str) -> None:
    assert _told(template, enough) == ""
    name = "max_steps" if enough.max_steps < DEFAULT.max_steps else "max_characters"
    assert _told(template, msgspec.structs.replace(enough, **{name: getattr(enough, name) - 1})) == told


def _macro(depth: int) -> str:
    return f"{{% macro m(k) %}}{{{{ m(k - 1) if k else 'x' }}}}{{% endmacro %}}{{{{ m({depth}) }}}}"


def _nested(depth: int) -> str:
    return "{{ " + "[" * depth + "1" + "]" * depth + " == 1 }}"


DEEP = "macros, loops and includes call one another more than 50 deep here"
HIGH = "this value has lists or mappings inside one another, more than 50 deep"
LARGE = "this number would have more than 1,228 digits"
FOR, END = "{% for a in [1] %}", "{% endfor %}"
MANY = "a number of 1,001 characters is more than a template can use"


def _literal(number: str) -> str:
    return f"{{{{ {number} == 1 }}}}"


@pytest.mark.parametrize(
    ("fits", "refused", "told"),
    [
        (_macro(49), _macro(50), f"1:17-1:45 {DEEP}"),
        (_nested(51), _nested(52), f"1:1-1:117 {HIGH}"),
        (_literal("9" * 1000), _literal("9" * 1001), f"1:1-1:1013 {MANY}"),
        (_literal("0x" + "f" * 998), _literal("0x" + "f" * 999), f"1:1-1:1013 {MANY}"),
        (_literal("1." + "0" * 998), _literal("1." + "0" * 999), f"1:1-1:1013 {MANY}"),
        (_literal("9" * 1000), _literal("9" * 1000 + " * " + "9" * 300), f"1:1-1:1315 {LARGE}"),
        ("{{ 5 }}", "\n{{ " + "(" * 400 + "1" + ")" * 400 + " }}", f"2:1-2:808 {codegen.TOO_DEEP}"),
        (FOR * 18 + END * 18, FOR * 24 + END * 24, f"1:361-1:379 {codegen.TOO_DEEP}"),
    ],
)
def test_what_just_fits_and_what_does_not(fits: str, refused: str, told: str) -> None:
    assert _told(fits) == ""
    expansion = expand(refused, file="film.kling", values={}, read=FILES.get)
    (diagnostic,) = expansion.diagnostics
    assert (diagnostic.slug, expansion.text) == ("template-limit", "")
    assert f"{in_place(diagnostic.span)} {diagnostic.message}" == f"film.kling:{told}"


LATE = "film.kling:1:1-1:27 error[template-limit]: this template takes more than 20 seconds to expand\n"


@pytest.mark.parametrize(
    ("looks", "told"),
    [
        (99, ""),
        (2, f"{LATE}    note: in round 1000 of the loop in line 1, where i = 999 at film.kling:1:1-1:27\n{LOOK}"),
        (1, f"{LATE}{LOOK}"),
    ],
)
def test_the_clock_is_looked_at_every_two_thousand_steps(
    looks: int, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The first look is at the beginning; the time is over at the look of this number. To compile looks at the clock too.
    assert _told(LOOP) == ""
    began = 1000.0
    times = (began if number < looks else began + 20.5 for number in count())
    monkeypatch.setattr(budget, "time", SimpleNamespace(monotonic=lambda: next(times)))
    assert _told(LOOP) == told


def test_the_time_that_is_allowed_may_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _told(LOOP) == ""
    times = iter((5.0, *[25.0] * 9))
    monkeypatch.setattr(budget, "time", SimpleNamespace(monotonic=lambda: next(times)))
    assert _told(LOOP) == ""


PARTS: tuple[tuple[str, int, int], ...] = (
    # A template, its parts, and its parts counted once for each tag that is open around them.
    ("{{ n }}", 5, 0),
    ("a{{n}}b", 5, 0),
    ("{# x #}{##}", 5, 0),
    ("{% raw %}{{ x }}{% endraw %}a", 4, 0),
    ("{% if n %}a{% endif %}", 13, 8),
    ("{% if n %}{% if n %}a{{ n }}{% endif %}{% endif %}{{ n }}", 35, 38),
    ("{% if set == 1 %}a{% endif %}b", 18, 12),
    ("{% if a == 'endif' %}a{% endif %}b", 18, 12),
    ("{%- if 1 -%}a{%- endif -%}b", 14, 8),
    ("{% for a in b %}{{ a }}{% else %}c{% endfor %}", 27, 22),
    ("{% macro m(a=1) %}a{% endmacro %}b", 19, 13),
    ("{% call m(a=1) %}a{% endcall %}b", 19, 13),
    ("{% filter upper %}a{% endfilter %}b", 14, 8),
    ("{% block x %}a{% endblock x %}b", 16, 8),
    ("{% with a = 1 %}a{% endwith %}b", 18, 12),
    # What is set to a value has no end tag.
    ("{% set x = 1 %}{{ n }}", 16, 4),
    ("{% set x, y = 1, 2 %}a", 18, 7),
    ("{% set x = y|d(a=1) %}a", 19, 4),
    ("{% set x %}{{ n }}{% endset %}{{ n }}", 22, 12),
    ("{% set x | upper %}a{% endset %}b", 18, 12),
    ("{% set x|d(a=1) %}a{% endset %}b", 21, 15),
    ("{% print set %}a", 8, 0),
)


def _refused(template: str) -> tuple[str, str] | None:
    try:
        compile_anew(template)
    except RefusedTemplate as failure:
        return failure.refusal.message, failure.refusal.hint
    return None


@pytest.mark.parametrize(("template", "parts", "nested"), PARTS)
def test_the_parts_of_a_template_are_counted(
    template: str, parts: int, nested: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    split = "split it into several files"
    few, shallow = (
        f"this template has more than {parts - 1} parts",
        "too much of this template stands in tags that stand in",
    )
    monkeypatch.setattr(lexing, "MAX_TOKENS", parts)
    monkeypatch.setattr(lexing, "MAX_NESTED_TOKENS", nested)
    assert _refused(template) is None
    monkeypatch.setattr(lexing, "MAX_NESTED_TOKENS", nested - 1)
    assert _refused(template) == (f"{shallow} other tags", split)
    monkeypatch.setattr(lexing, "MAX_TOKENS", parts - 1)
    monkeypatch.setattr(lexing, "MAX_NESTED_TOKENS", nested)
    assert _refused(template) == (few, split)


def test_a_program_that_grows_too_long_is_refused_where_it_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    template = "{% set a = 1 %}\n{% include 'x' %}\n{% include 'y' %}"
    sizes = [size for size in range(0, 4000, 100) if _fits(template, size, monkeypatch) is None]
    assert 1000 < sizes[0] < 2500
    assert sizes == list(range(sizes[0], 4000, 100))
    told = "this template sets too many names and includes too many files", "split it into several files"
    assert _fits(template, sizes[0] - 100, monkeypatch) == told


def _fits(template: str, size: int, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str] | None:
    monkeypatch.setattr(codegen, "MAX_PROGRAM_CHARACTERS", size)
    return _refused(template)


def test_a_long_template_is_compiled_anew_and_a_short_one_once(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "{{ 'compiled once' }}"
    monkeypatch.setattr(codegen, "MAX_CACHED_CHARACTERS", len(text))
    assert codegen.compile_template(text) is codegen.compile_template(text)
    monkeypatch.setattr(codegen, "MAX_CACHED_CHARACTERS", len(text) - 1)
    assert codegen.compile_template(text) is not codegen.compile_template(text)


def test_a_long_text_is_put_together_from_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    template = "{% for k in range(20) %}{{ k }},{% endfor %}"
    written = "".join(f"{number}," for number in range(20))
    for parts in (1, 2, 7, 39, 40, 41):
        monkeypatch.setattr(tracing, "PARTS_PER_CHUNK", parts)
        assert expand(template, file="film.kling", values={}, read=FILES.get).text == written
