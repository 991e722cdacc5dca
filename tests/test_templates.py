"""Templates: what is expanded, where a word comes from, what is refused, and how quickly."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import date
from decimal import Decimal

import pytest
from measuring import SLOWER

from kling_dsl.diagnostics import Diagnostic
from kling_dsl.source import Span
from kling_dsl.templates import Expansion, Limits, expand, has_marks, parse_data

FILM = "film.kling"


def expanded(template: str, files: dict[str, str] | None = None, **values: object) -> Expansion:
    """Expand a template that stands in film.kling."""
    return expand(template, file=FILM, values=values, read=(files or {}).get)


def nothing(path: str) -> None:
    """Read a project without further files."""


def text_of(template: str, files: dict[str, str] | None = None, **values: object) -> str:
    """Return the text of a template that has nothing wrong."""
    expansion = expanded(template, files, **values)
    assert expansion.diagnostics == ()
    return expansion.text


def where(template: str, word: str, files: dict[str, str] | None = None, **values: object) -> str:
    """Expand, find a word in the result and show where it was written: place, the text there, and the notes."""
    expansion = expanded(template, files, **values)
    assert expansion.diagnostics == ()
    span, notes = expansion.source_map.locate(span_of(expansion.text, word))
    sources = {FILM: template, **(files or {})}
    shown = [f"{place(span)} {cut(sources[span.file], span)}"]
    return "\n".join([*shown, *(note.message for note in notes)])


def problem(template: str, files: dict[str, str] | None = None, **values: object) -> str:
    """Expand a template that has something wrong, and show the one diagnostic in text."""
    expansion = expanded(template, files, **values)
    assert expansion.text == ""
    (diagnostic,) = expansion.diagnostics
    return shown(diagnostic, {FILM: template, **(files or {})})


def shown(diagnostic: Diagnostic, sources: dict[str, str]) -> str:
    """Show a diagnostic in text: slug, message, place, underlined text, hint, notes."""
    under = cut(sources[diagnostic.span.file], diagnostic.span)
    lines = [f"{diagnostic.slug}: {diagnostic.message}", f"{place(diagnostic.span)} {under}"]
    lines += [f"hint: {diagnostic.hint}"] if diagnostic.hint else []
    return "\n".join([*lines, *(note.message for note in diagnostic.notes)])


def place(span: Span) -> str:
    return f"{span.file}:{span.line}:{span.column}"


def cut(text: str, span: Span) -> str:
    """Return the text at a span."""
    lines = text.replace("\r\n", "\n").split("\n")
    if span.line == span.end_line:
        return lines[span.line - 1][span.column - 1 : span.end_column - 1]
    middle = lines[span.line : span.end_line - 1]
    return "\n".join(
        [lines[span.line - 1][span.column - 1 :], *middle, lines[span.end_line - 1][: span.end_column - 1]]
    )


def span_of(text: str, word: str) -> Span:
    """Return the span of the only place of a word."""
    assert text.count(word) == 1, text
    start = text.index(word)
    line = text.count("\n", 0, start) + 1
    column = start - text.rfind("\n", 0, start)
    return Span("", line, column, line, column + len(word))


PRODUCTS = [{"id": "lamp", "name": "Lamp"}, {"id": "dog", "name": "Dog @Hro"}, {"id": "cat", "name": "Cat"}]
SHOTS = """\
Title: x

{% for p in products %}
SHOT {{ p.id }} 5s wide
@Hero holds the {{ p.name }} up.
{% endfor %}
"""


class TestMarks:
    @pytest.mark.parametrize(
        ("text", "marked"), [("{{", True), ("{%", True), ("{#", True), ("{ {", False), ("", False)]
    )
    def test_three_openings_make_a_template(self, text: str, marked: bool) -> None:
        assert has_marks(text) is marked

    def test_a_text_without_marks_stays_and_needs_no_jinja(self) -> None:
        program = (
            "import sys; from kling_dsl.templates import *; "
            "e = expand('a\\nb', file='f', values={}, read=lambda p: None); "
            "parse_data('a,b\\n1,2', path='x.csv'); "
            "assert e.text == 'a\\nb' and 'jinja2' not in sys.modules"
        )
        subprocess.run([sys.executable, "-c", program], check=True)

    def test_a_text_without_marks_maps_to_itself(self) -> None:
        assert where("one\ntwo three", "three") == "film.kling:2:5 three"


class TestMap:
    def test_constant_text_in_a_loop(self) -> None:
        template = "{% for n in [1] %}\n  a word here\n{% endfor %}"
        assert where(template, "word") == ("film.kling:2:5 word\nin round 1 of the loop in line 1, where n = 1")

    def test_a_value_names_its_expression_and_its_round(self) -> None:
        assert where(SHOTS, "@Hro", products=PRODUCTS) == (
            "film.kling:5:17 {{ p.name }}\n"
            "{{ p.name }} gave 'Dog @Hro'\n"
            "in round 2 of the loop in line 3, where p = {'id': 'dog', 'name': 'Dog @Hro'}"
        )

    def test_a_span_over_text_and_value_covers_both(self) -> None:
        assert where(SHOTS, "SHOT dog 5s", products=PRODUCTS).splitlines()[0] == "film.kling:4:1 SHOT {{ p.id }} 5s"

    def test_nested_loops_are_named_from_the_inside(self) -> None:
        template = "{% for a in 'xy' %}\n{% for b, c in [(1, 2), (3, 4)] %}{{ a }}{{ b }}!\n{% endfor %}{% endfor %}"
        assert where(template, "y3") == (
            "film.kling:2:35 {{ a }}{{ b }}\n"
            "{{ a }} gave 'y'\n{{ b }} gave '3'\n"
            "in round 2 of the loop in line 2, where b = 3, c = 4\n"
            "in round 2 of the loop in line 1, where a = 'y'"
        )

    def test_looking_ahead_in_a_loop_does_not_move_the_round(self) -> None:
        template = "{% for a in [1, 2, 3] %}{{ loop.last }}{{ loop.nextitem if not loop.last }}<{{ a }}>{% endfor %}"
        assert "in round 2 of" in where(template, "<2>")

    def test_a_filtered_loop_counts_the_rounds_that_ran(self) -> None:
        template = "{% for a in range(9) if a is odd %}<{{ a }}>{% endfor %}"
        assert where(template, "<5>").splitlines()[-1] == "in round 3 of the loop in line 1, where a = 5"

    def test_a_recursive_loop(self) -> None:
        tree = [{"n": "top", "c": [{"n": "leaf", "c": []}]}]
        template = "{% for a in tree recursive %}<{{ a.n }}{{ loop(a.c) }}>{% endfor %}"
        assert text_of(template, tree=tree) == "<top<leaf>>"
        notes = where(template, "leaf", tree=tree).splitlines()
        assert notes[0] == "film.kling:1:31 {{ a.n }}"
        assert [note.split(",")[0] for note in notes[2:]] == ["in round 1 of the loop in line 1"] * 2

    def test_a_macro_and_its_caller(self) -> None:
        template = (
            "{% macro card(t) %}<{{ t }}: {{ caller() }}>{% endmacro %}\n"
            "{% for n in [7, 8] %}{% call card(n) %}inner{{ n }}{% endcall %}{% endfor %}"
        )
        assert text_of(template) == "\n<7: inner7><8: inner8>"
        assert where(template, "inner8") == (
            "film.kling:2:40 inner{{ n }}\n{{ n }} gave '8'\nin round 2 of the loop in line 2, where n = 8"
        )
        assert where(template, "<8").splitlines()[0] == "film.kling:1:20 <{{ t }}"

    def test_a_set_block_remembers_its_text(self) -> None:
        template = "{% set x %}\n some words{% endset %}{{ x }}"
        assert where(template, "words") == "film.kling:2:7 words"

    def test_a_filtered_text_maps_to_the_tag_that_filtered_it(self) -> None:
        template = "a {% filter upper %}some words{% endfilter %}{% set x %}more{% endset %}{{ x|title }}"
        assert where(template, "WORDS") == "film.kling:1:3 {% filter upper %}\n{% filter upper %} gave 'SOME WORDS'"
        assert where(template, "More").splitlines()[0] == "film.kling:1:73 {{ x|title }}"

    def test_white_space_control(self) -> None:
        template = "a  \n {%- if 1 -%} \n  b\n {{- 'c' -}}  \n d {%- endif %}\n{#- x -#}   e"
        assert text_of(template) == "abcde"
        assert [where(template, letter).splitlines()[0] for letter in "abcde"] == [
            "film.kling:1:1 a",
            "film.kling:3:3 b",
            "film.kling:4:2 {{- 'c' -}}",
            "film.kling:5:2 d",
            "film.kling:6:13 e",
        ]

    def test_raw_text(self) -> None:
        assert where("x{% raw %} {{ y }}{% endraw %}", "y") == "film.kling:1:15 y"

    def test_includes_imports_and_parents(self) -> None:
        files = {
            "parts/a.kling": "x{% include 'b.kling' %}",
            "parts/b.kling": "\n the deep {{ city }}",
            "parts/m.kling": "{% macro hi(n) %}hello {{ n }}{% endmacro %}",
            "base.kling": "top\n{% block body %}{% endblock %}end",
        }
        assert where("{% include 'parts/a.kling' %}", "deep", files, city="Oslo") == (
            "parts/b.kling:2:6 deep\n"
            "brought in by the tag in line 1 of parts/a.kling\nbrought in by the tag in line 1 of film.kling"
        )
        template = "{% from 'parts/m.kling' import hi %}{{ hi(1) }}"
        assert where(template, "hello", files) == "parts/m.kling:1:18 hello"
        template = "{% extends 'base.kling' %}{% block body %}mine{% endblock %}"
        assert where(template, "mine", files) == "film.kling:1:43 mine"
        assert where(template, "end", files) == "base.kling:2:31 end"

    def test_files_are_listed_once_in_the_order_of_their_use(self) -> None:
        files = {"b.kling": "{% include 'c.kling' %}", "c.kling": ""}
        template = "{% include 'b.kling' %}{% include 'c.kling' %}{% include 'd.kling' ignore missing %}"
        assert expanded(template, files).files == ("b.kling", "c.kling")

    def test_windows_newlines(self) -> None:
        template = "a\r\n{% if 1 %}\r\nword\r\n{% endif %}"
        assert text_of(template) == "a\n\nword\n"
        assert where(template, "word") == "film.kling:3:1 word"

    def test_values_in_notes_are_escaped_and_short(self) -> None:
        lines = where("{% for p in ps %}\n{{ p }}{% endfor %}", "\x1b[31m", ps=["\x1b[31m" + "x" * 500]).splitlines()
        assert all(line.isprintable() and len(line) < 150 for line in lines)

    def test_the_end_of_the_text_has_a_place(self) -> None:
        expansion = expanded("ab{{ 1 }}\nlast")
        assert expansion.source_map.locate(Span("", 9, 9, 9, 9))[0] == Span(FILM, 2, 5, 2, 5)
        assert expanded("{# #}").source_map.locate(Span("", 1, 1, 1, 1)) == (Span("", 1, 1, 1, 1), ())


class TestDiagnostics:
    def test_an_undefined_name_offers_the_nearest(self) -> None:
        assert problem("a\nb {{ ciy }}", city=1) == (
            "template-undefined: ciy is not defined\nfilm.kling:2:6 ciy\nhint: did you mean city?"
        )

    def test_an_undefined_name_without_neighbours_says_how_to_define_it(self) -> None:
        assert "Param weather:" in problem("{{ weather }}")

    def test_a_missing_column_offers_the_nearest_and_names_the_round(self) -> None:
        assert problem("{% for p in ps %}\n{{ p.nmae }}\n{% endfor %}", ps=[{"name": "a", "id": "b"}]) == (
            "template-undefined: there is no 'nmae' in {'name': 'a', 'id': 'b'}\n"
            "film.kling:2:6 nmae\nhint: did you mean name?\n"
            "in round 1 of the loop in line 1, where p = {'name': 'a', 'id': 'b'}"
        )

    def test_a_failure_in_a_macro_of_another_file(self) -> None:
        files = {"m.kling": "{% macro m(p) %}\n{{ 1 / p }}\n{% endmacro %}"}
        assert problem("{% import 'm.kling' as k %}\n{% for x in [1, 0] %}{{ k.m(x) }}{% endfor %}", files) == (
            "template-error: division by zero\nm.kling:2:1 {{ 1 / p }}\n"
            "in round 2 of the loop in line 2, where x = 0\nreached through the tag in line 2 of film.kling"
        )

    def test_a_syntax_error_in_an_included_file(self) -> None:
        assert problem("x{% include 'a.kling' %}", {"a.kling": "\n{{ 1 1 }}"}) == (
            "template-syntax: }} is missing before a number\n"
            "a.kling:2:6 1\n"
            "brought in by the tag in line 1 of film.kling"
        )

    @pytest.mark.parametrize(
        ("template", "message", "under"),
        [
            ("{% for x in y %}", "template-syntax: this {% for %} is never closed", "{% for x in y %}"),
            ("{% if 1 %}{% for x in y %}{% endfor %}", "template-syntax: this {% if %} is never closed", "{% if 1 %}"),
            ("a {% fro x in y %}", "template-syntax: there is no tag 'fro'", "fro"),
            ("{% endfor %}", "template-syntax: the tag endfor does not fit here", "endfor"),
            ("a {# b", "template-syntax: this {# comment is never closed: #} is missing", "{"),
            ("a {#", "template-syntax: this {# comment is never closed: #} is missing", "{"),
            ("a {% raw %}", "template-syntax: this {% raw %} is never closed: {% endraw %} is missing", "{"),
            ("{{ a ? b }}", "template-syntax: a template's tag cannot contain '?' here", "?"),
            ("{{ x|uper }}", "template-undefined: there is no filter 'uper'", "uper"),
            ("{{ 1 is ood }}", "template-undefined: there is no test 'ood'", "ood"),
            ("{{ [1]|map('uper') }}", "template-undefined: there is no filter 'uper'", "uper"),
            ("{{ f(a=1, a=2) }}", "template-syntax: an argument is given twice here", "{{ f(a=1, a=2) }}"),
            ("a {{ 5|join }}", "template-error: join does not work here: a whole number is not iterable", "join"),
            ("{{ 'a' + 1 }}", "template-error: + does not work between a text and a whole number", "{{ 'a' + 1 }}"),
            ("{{ 1e300 ** 9 }}", "template-error: the result is too large, or no number", "{{ 1e300 ** 9 }}"),
            ("{{ '%(a)s' % {} }}", "template-error: there is no 'a'", "{{ '%(a)s' % {} }}"),
            ("{{ '{a}'.format() }}", "template-error: there is no 'a'", "{{ '{a}'.format() }}"),
            ("{{ '%900000000d' is odd }}", "template-error: odd does not work here: a number is wanted", "odd"),
            ("{{ '%s' is divisibleby(3) }}", "template-error: divisibleby does not work here: a number", "divisibleby"),
            ("{{ [1]|round(8, 'ceil') }}", "template-error: round does not work here: a number is wanted", "round"),
            ("{{ [range]|urlencode }}", "template-error: this gives a function, which is no text", "{{ [range]"),
            ("{{ range }}", "template-error: this gives a function, which is no text", "{{ range }}"),
            ("{{ [range] }}", "template-error: this gives a function, which is no text", "{{ [range] }}"),
            ("{{ {}.items }}", "template-error: this gives a function, which is no text", "{{ {}.items }}"),
            (
                "{% for a, b in [[1]] %}{% endfor %}",
                "template-error: not enough values to unpack (expected 2, got 1)",
                "",
            ),
            ("{{ (-8) ** 0.5 }}", "template-error: this root has no real value", "{{ (-8) ** 0.5 }}"),
            ("{{ '%c' % 0xd800 }}", "template-error: this gives half of a character (a lone surrogate), ", ""),
            ("{% include 'b.kling' %}", "template-missing: there is no file b.kling", "b.kling"),
            ("{{ ''.__class__ }}", "template-forbidden: a template cannot reach '__class__'", "__class__"),
            ("{{ ''['__class__'] }}", "template-forbidden: a template cannot reach '__class__'", "__class__"),
            ("{{ '{0.__class__}'.format(1) }}", "template-forbidden: a template cannot reach '__class__'", "__class__"),
            ("{{ [1]|map(attribute='__class__') }}", "template-forbidden: a template cannot reach", "__class__"),
            ("{{ ''.encode() }}", "template-forbidden: a template cannot use .encode of a text", "encode"),
            ("{{ [].append(1) }}", "template-forbidden: a template cannot use .append of a list", "append"),
            (
                "{{ [1, 2]|random }}",
                "template-forbidden: the filter random would give another film each time",
                "random",
            ),
            ("{{ lipsum() }}", "template-undefined: lipsum is not defined", "lipsum"),
            ("{% include '../a' %}", "template-forbidden: '../a' is no file inside the project", "../a"),
            ("{% include '/etc/x' %}", "template-forbidden: '/etc/x' is no file inside the project", "/etc/x"),
            ("{% autoescape 1 %}{% endautoescape %}", "template-forbidden: the tag autoescape is for web", ""),
        ],
    )
    def test_one_of_each(self, template: str, message: str, under: str) -> None:
        first, second, *_ = problem(template).split("\n")
        assert first.startswith(message)
        assert second.split(" ", 1)[1].startswith(under)

    def test_a_path_may_climb_inside_the_project(self) -> None:
        files = {"a/b.kling": "{% include '../c.kling' %}", "c.kling": "found"}
        assert text_of("{% include 'a/b.kling' %}", files) == "found"

    def test_the_reader_is_never_asked_for_a_path_outside(self) -> None:
        asked: list[str] = []

        def read(path: str) -> str | None:
            asked.append(path)
            return None

        for name in ("../x", "a/../../x", "/x", "..", "a/./../b", r"..\x"):
            expand(f"{{% include {name!r} %}}", file="d/f.kling", values={}, read=read)
        assert asked == ["x", "x", ".", "d/b"]


class TestMeaning:
    @pytest.mark.parametrize(
        ("template", "text"),
        [
            ("{% set ns = namespace(a=1) %}{% set ns.a = ns.a + 1 %}{{ ns.a }}", "2"),
            ("{{ [3, 1]|sort|join(', ') }}", "1, 3"),
            ("{{ ps|groupby('k')|map(attribute='grouper')|join }}", "12"),
            ("{{ ps|sum(attribute='k') }}", "4"),
            ("{{ '%s-%05d' % ('a', 3) }}{{ '{:>3}{a}'.format(1, a=2) }}", "a-00003  12"),
            ("{{ 'a' ~ 1 ~ none }}", "a1None"),
            ("{{ '%s' % {'a': 1} }}{{ '%(a)s' % {'a': 1} }}", "{'a': 1}1"),
            ("{{ 1 if 0 }}|{{ x|default('d') }}|{{ x is defined }}", "|d|False"),
            ("{{ [1, 'a', {'b': 2}] }}", "[1, 'a', {'b': 2}]"),
            ("{{ 'abc'[1:] }}{{ 'abc'[-1] }}{{ [1, 2][0] }}", "bcc1"),
            ("{{ ps[0].k }}{{ ps[0]['k'] }}{{ ps.0.k }}", "111"),
            ("{% for a in [1, 2] %}{{ loop.cycle('x', 'y') }}{% else %}none{% endfor %}", "xy"),
            ("{% with a = 1 %}{{ a }}{% endwith %}{{ 'b'.upper() }}", "1B"),
            ("{{ 1 < 2 < 3 }}{{ 'a' in 'cat' }}{{ 5 not in [1] }}", "TrueTrueTrue"),
            ("{{ day.year }} {{ day }} {{ price * 2 }}", "2026-01-02 5.00".replace("2026", "2026 2026", 1)),
            ("{% import 'm.kling' as m %}{{ m }}{{ m.x }}", "body1"),
            ("{{ self.b() }}{% block b %}!{% endblock %}", "!!"),
            ("a\n", "a\n"),
        ],
    )
    def test_templates_mean_what_they_do_in_jinja(self, template: str, text: str) -> None:
        values = {"ps": [{"k": 1}, {"k": 2}, {"k": 1}], "day": date(2026, 1, 2), "price": Decimal("2.50")}
        assert text_of(template + "{##}", {"m.kling": "body{% set x = 1 %}"}, **values) == text

    def test_the_order_of_a_set_is_the_same_in_every_run(self) -> None:
        program = (
            "from kling_dsl.templates import expand; "
            "t = '{% for x in s %}{{ x }}{% endfor %}{{ d }}{{ d|map(\"upper\")|unique|list }}'; "
            "print(expand(t, file='f', values={'s': set('abcdefgh'), 'd': dict.fromkeys('hgfe')}, read=None).text)"
        )
        texts = {
            subprocess.run(
                [sys.executable, "-c", program], check=True, capture_output=True, env={"PYTHONHASHSEED": seed}
            ).stdout
            for seed in ("1", "2")
        }
        assert len(texts) == 1
        assert b"abcdefgh" in texts.pop()


DOUBLED = "{% set a = (1,) %}{% set b = (1,) %}" + "{% set a = (a, a) %}{% set b = (b, b) %}" * 45
HOSTILE = [
    "{{ 'a' * 10**10 }}",
    "{{ [0] * 10**9 }}",
    "{{ 10 ** (10**10) }}",
    "{{ 2 ** -99999999 }}",
    "{{ 'x'|center(10**10) }}",
    "{{ 'x'.center(10**10) }}",
    "{{ '%1000000000d' % 1 }}",
    "{{ '%1000000000d'|format(1) }}",
    "{{ '{:>1000000000}'.format(1) }}",
    "{{ '{:{w}}'.format(1, w=10**9) }}",
    "{{ ('%(a)s' * 100000) % {'a': 'x' * 100000} }}",
    "{{ ('{a}' * 100000).format(a='x' * 100000) }}",
    "{{ range(10**9)|list }}",
    DOUBLED + "{{ a|urlencode }}",
    DOUBLED + "{{ a is lower }}",
    DOUBLED + "{{ '%s' % [a] }}",
    DOUBLED + "{{ [a, b]|sort }}",
    DOUBLED + "{{ [a]|select('eq', b) }}",
    DOUBLED + "{{ dict([(a, 1)]) }}",
    DOUBLED + "{{ [a].index(b) }}",
    "{{ ('a' * 1000000)|replace('a', 'b' * 1000000) }}",
    "{{ ('a' * 1000000).replace('a', 'b' * 1000000) }}",
    "{{ ('\\n' * 1000000)|indent(100000) }}",
    "{{ [1]|batch(10**10, 0) }}",
    "{{ [1]|slice(10**10) }}",
    "{{ range(100000)|join('x' * 100000) }}",
    "{{ ('a' * 1000000).rfind('b' + 'a' * 500000) }}",
    "{{ ('a' * 1000000)|trim('b' * 1000000) }}",
    "{{ ('ab ' * 300000)|wordwrap(1) }}",
    "{{ 1.5|round(10**9) }}",
    "{{ ('f' * 1000000)|int(base=16) }}",
    "{{ 0x" + "f" * 100_000 + " }}",
    DOUBLED + "{{ a == b }}",
    DOUBLED + "{{ {a: 1} }}",
    DOUBLED + "{{ a|string }}",
    "{% set x = 'a' %}" + "{% set x %}{{ x }}{{ x }}{% endset %}" * 45,
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "{% macro m(n) %}{% if n < 40 %}{{ m(n + 1) }}{{ m(n + 1) }}{% endif %}{% endmacro %}{{ m(0) }}",
    "{% include 'film.kling' %}",
    "{% extends 'film.kling' %}",
    "{% for a in [1] recursive %}{{ loop([1]) }}{% endfor %}",
    "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
    "{% for a in range(100000) %}{% for b in range(100000) if b < 0 %}{% endfor %}{% endfor %}",
    "{% for a in range(100000) %}" + "a{##}" * 2000 + "{% endfor %}",
    "{% for a in range(100000) %}{{ 'x' * 1000000 }}{% endfor %}",
    "{% set n = namespace(a=[]) %}{% for i in range(100000) %}{% set n.a = [n.a, 'a' * 9999] %}{% endfor %}",
    "{% set n = namespace(a=(1,)) %}{% for i in range(9999) %}{% set n.a = (n.a,) %}{% endfor %}{{ {n.a: 1} }}",
    "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "{{ 1" + " + 1" * 5000 + " }}",
    "{% if 1 %}" * 2000 + "{% endif %}" * 2000,
    "{% for a in [1] %}" * 30 + "{% endfor %}" * 30,
]


class TestLimits:
    @pytest.mark.parametrize("template", HOSTILE, ids=range(len(HOSTILE)))
    def test_what_would_never_end_is_refused(self, template: str) -> None:
        # The steps end all of these within three seconds on the slowest machine we have; here fewer are allowed.
        limits = Limits(max_steps=300_000, max_characters=4 << 20)
        started = time.process_time()
        expansion = expand(template, file=FILM, values={}, read={FILM: template}.get, limits=limits)
        assert time.process_time() - started < 3 * SLOWER
        assert [diagnostic.slug for diagnostic in expansion.diagnostics] == ["template-limit"]

    @pytest.mark.parametrize(
        "template",
        [
            "".join(f"{{% macro m{number}() %}}" for number in range(90)) + "{{ x }} " * 14_000 + "{% endmacro %}" * 90,
            "{% for a in [1] %}" * 18 + "{{ x }} " * 14_000 + "{% endfor %}" * 18,
            "{% set x %}" * 90 + "{{ x }}" * 14_000 + "{% endset %}" * 90,
            "".join(f"{{% set v{number} = 1 %}}" for number in range(4000)) + "{% include 'q' %}" * 4000,
            "{{ x }}" * 30_000,
        ],
        ids=["macros", "loops", "sets", "names", "tags"],
    )
    def test_what_would_take_too_long_to_compile_is_refused(self, template: str) -> None:
        started = time.process_time()
        assert problem(template).startswith("template-limit")
        assert time.process_time() - started < 10

    def test_a_limit_names_its_number_and_its_round(self) -> None:
        limits = Limits(max_steps=1000)
        expansion = expand("{% for i in range(9999) %}x{% endfor %}", file=FILM, values={}, read=nothing, limits=limits)
        assert "1,000 steps" in expansion.diagnostics[0].message
        assert "of the loop in line 1" in expansion.diagnostics[0].notes[0].message

    def test_the_length_of_the_text_is_limited_where_it_is_written(self) -> None:
        limits = Limits(max_characters=100)
        template = "{% for i in range(99) %}\nword{% endfor %}"
        (diagnostic,) = expand(template, file=FILM, values={}, read=nothing, limits=limits).diagnostics
        assert diagnostic.message == "this template writes more than 100 characters"
        assert place(diagnostic.span) == "film.kling:1:25"

    def test_the_time_is_limited(self) -> None:
        template = "{% for i in range(99999) %}{% endfor %}"
        (diagnostic,) = expand(template, file=FILM, values={}, read=nothing, limits=Limits(max_seconds=0)).diagnostics
        assert "0 seconds" in diagnostic.message

    def test_a_look_at_all_rows_in_each_round_is_no_work(self) -> None:
        rows = [{"id": f"p{number}", "name": f"Lamp {number}"} for number in range(3000)]
        by_id = {row["id"]: row for row in rows}
        template = (
            "{% for p in products %}{{ loop.index }}/{{ products|length }} {{ by_id.get(p.id).name }}"
            "{{ by_id[p.id].name }}{{ products[0].id if products }}{{ (products|first).id }}\n{% endfor %}"
        )
        assert text_of(template, products=rows, by_id=by_id).splitlines()[9] == "10/3000 Lamp 9Lamp 9p0p0"

    def test_a_film_of_ten_thousand_products_expands(self) -> None:
        rows = [{"id": f"p{number}", "name": f"Lamp {number}"} for number in range(10_000)]
        expansion = expanded(SHOTS, products=rows)
        assert expansion.diagnostics == ()
        assert where(SHOTS, "Lamp 9999", products=rows).splitlines()[0] == "film.kling:5:17 {{ p.name }}"


def data_problems(text: str, path: str) -> list[str]:
    """Parse data that has something wrong and show what."""
    value, diagnostics = parse_data(text, path=path)
    assert value is None
    assert {diagnostic.slug for diagnostic in diagnostics} == {"bad-data"}
    return [f"{place(diagnostic.span)}: {diagnostic.message}" for diagnostic in diagnostics]


class TestData:
    def test_csv(self) -> None:
        text = '\ufeffid, name\r\n1,"a, ""b"""\r\n\r\n2,"two\nlines"\r\n'
        rows = [{"id": "1", "name": 'a, "b"'}, {"id": "2", "name": "two\nlines"}]
        assert parse_data(text, path="p.csv") == (rows, ())

    def test_json(self) -> None:
        text = '{"a": [1, 2.50, true, null], "b": 12345678901234567890}'
        value = {"a": [1, Decimal("2.50"), True, None], "b": 12345678901234567890}
        assert parse_data(text, path="p.json") == (value, ())

    def test_json_lines(self) -> None:
        assert parse_data('{"a": 1}\n\n{"a": 2}\n', path="p.JSONL") == ([{"a": 1}, {"a": 2}], ())

    def test_toml(self) -> None:
        assert parse_data("a = 1.50\n[[b]]\nc = 1\n", path="p.toml") == ({"a": Decimal("1.50"), "b": [{"c": 1}]}, ())

    @pytest.mark.parametrize(
        ("path", "text", "problems"),
        [
            ("p.csv", "", ["p.csv:1:1: this data file is empty"]),
            ("p.csv", "a,b\n", ["p.csv:1:1: this file names columns but has no rows"]),
            ("p.csv", "a,b,a\n1,2,3\n", ["p.csv:1:5: two columns are named 'a'"]),
            ("p.csv", "a,,c\n1,2,3\n", ["p.csv:1:3: column 2 has no name"]),
            (
                "p.csv",
                'a,b\n"x\ny",2\n3\n4,5,6\n',
                [
                    "p.csv:4:1: this row has 1 value, but the first line names 2",
                    "p.csv:5:1: this row has 3 values, but the first line names 2",
                ],
            ),
            ("p.csv", 'a,b\n1,2\n"3,4\n', ["p.csv:3:1: this row cannot be read: a quoted value is never closed"]),
            ("p.json", '{"a": 1,\n "b" 2}', ["p.json:2:6: this is no JSON: Expecting ':' delimiter"]),
            ("p.json", '{"a": 1e999999}', ["p.json:1:7: this number is too large or too near to 0"]),
            ("p.json", '{"a": NaN}', ["p.json:1:7: NaN is no number that a film can use"]),
            ("p.json", '{"a": 1, "a": 2}', ["p.json:1:2: the name 'a' comes twice in one mapping"]),
            ("p.json", '["\\ud800"]', ["p.json:1:1: a text holds half of a character (a lone surrogate)"]),
            ("p.json", "[" * 99_999, ["p.json:1:1: the lists and mappings of this file lie too deep in one another"]),
            ("p.json", "[" + "9" * 5000 + "]", ["p.json:1:2: a number may have 1,000 digits, no more"]),
            ("p.jsonl", '{"a": 1}\n{"a": }\n', ["p.jsonl:2:7: this is no JSON: Expecting value"]),
            ("p.toml", "a = 1\nb = \n", ["p.toml:2:5: this is no TOML: Invalid value"]),
            ("p.toml", "a = nan\n", ["p.toml:1:5: this is no number that a film can use"]),
            ("p.txt", "a", ["p.txt:1:1: a data file ends in one of .csv, .json, .jsonl, .toml"]),
        ],
    )
    def test_mistakes(self, path: str, text: str, problems: list[str]) -> None:
        assert data_problems(text, path) == problems
