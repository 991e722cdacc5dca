"""What a template says that cannot be done: told in the writer's words at the words that say it, and never Python's."""

from __future__ import annotations

from decimal import Decimal

import pytest

from kling_dsl.templates import expand, parse_data
from kling_dsl.templates.budget import MAX_VALUE_CHARACTERS

FILES = {"a.txt": "A", "b.txt": "B"}
VALUES = {
    "rows": [{"name": "Ada"}, {"name": "Ben"}],
    "deep": [[1, [2, 3]]],
    "large": Decimal("1e300"),
    "letters": "q" * 20_000,
}

SLIPS = [
    # values that are not there
    ("{{ nobody[1] }}", "nobody", "nobody is not defined"),
    ("{{ nobody[1:2] }}", "nobody", "nobody is not defined"),
    ("{{ nobody() }}", "nobody", "nobody is not defined"),
    ("{{ nobody + 1 }}", "nobody", "nobody is not defined"),
    ("{{ 1 - nobody }}", "nobody", "nobody is not defined"),
    ("{{ [5, nobody] }}", "nobody", "nobody is not defined"),
    ("{{ [1]|sum(start=nobody) }}", "nobody", "nobody is not defined"),
    ("{% include nobody %}", "nobody", "nobody is not defined"),
    ("{% include [nobody, 'b.txt'] %}", "nobody", "nobody is not defined"),
    ("{% set n = namespace(a=1) %}{{ n.b }}", "b", "there is no 'b' in a namespace"),
    ("{{ self.nothing }}", "nothing", "there is no 'nothing' in the template itself"),
    ("{{ 5[1] }}", "", "there is no item 1 in 5"),
    # values of another kind
    ("{{ 5[1:2] }}", "", "a whole number has no parts to take with [:]"),
    ("{{ {}[1:2] }}", "", "a mapping has no parts to take with [:]"),
    ("{{ 'a'() }}", "", "a text cannot be called with ()"),
    ("{{ 1(2) }}", "", "a whole number cannot be called with ()"),
    ("{{ {} * 3 }}", "", "* does not work between a mapping and a whole number"),
    ("{{ [1] + 'a' }}", "", "+ does not work between a list and a text"),
    ("{{ 'abc'.replace('a', 5) }}", "", "its argument 2 must be a text, not a whole number"),
    ("{{ 'abc'|replace(old=1, new='x') }}", "replace", "replace takes two texts"),
    ("{{ 'abc'|replace('a', new=5) }}", "replace", "replace takes two texts"),
    # files
    ("{% include 5 %}", "", "a file is named by a text, and this is a whole number"),
    ("{% extends 5 %}", "", "a file is named by a text, and this is a whole number"),
    ("{% import 5 as x %}", "", "a file is named by a text, and this is a whole number"),
    ("{% include [] %}", "", "include takes the name of a file, or a list of names"),
    ("{% include ['x.txt', 'y.txt'] %}", "y.txt", "there is no file y.txt"),
    # formats, numbers and texts
    ("{{ '%(a(b))s' % {} }}", "", "this format has brackets in a name, which a film's template cannot have"),
    ("{{ '{0.a.}'.format(1) }}", "", "'0.a.' is no field of a format"),
    ("{{ '{0[}'.format(1) }}", "", "expected '}' before end of string"),
    ("{{ 1e999 }}", "1e999", "the number 1e999 is too large"),
    ("{{ large ** 9 }}", "", "this number is too large or too near to 0 to compute with"),
    (r"{{ '\ud800' }}", None, "an escape in this string gives half of a character (a lone surrogate)"),
    # tags
    ("{% if 1 %}{{ 2 }}{% for a in [1] %}", "{% for a in [1] %}", "this {% for %} is never closed"),
    ("{% for a in [1] %}{% if a %}{% endfor %}", "endfor", "the tag endfor does not fit here"),
    ("A{% if 1 %}", "{% if 1 %}", "this {% if %} is never closed"),
]


@pytest.mark.parametrize(("template", "words", "message"), SLIPS, ids=[slip[0] for slip in SLIPS])
def test_a_slip_is_told_where_it_stands(template: str, words: str | None, message: str) -> None:
    expansion = expand(template, file="film.kling", values=VALUES, read=FILES.get)
    (found,) = expansion.diagnostics
    assert found.message == message
    if words is not None:
        # Where no single word is to blame, it is the whole tag.
        assert template[found.span.column - 1 : found.span.end_column - 1] == (words or template)


GOOD = [
    ("{% include ['a.txt', 'b.txt'] %}", "A"),
    ("{% include ['x.txt', 'b.txt'] %}", "B"),
    ("{% include 'x.txt' ignore missing %}", ""),
    ("{% include 'a.txt' %}{% include 'a.txt' %}", "AA"),
    ("{{ [1] + [2] }} {{ (1,) + (2,) }} {{ [1] * 2 }}", "[1, 2] (1, 2) [1, 1]"),
    ("{{ '%d%%' % 5 }}", "5%"),
    ("{{ [range(3), 1.5, none] }}", "[range(0, 3), 1.5, None]"),
    ("{{ rows|join(', ', attribute='name') }}", "Ada, Ben"),
    ("{{ '--a-'|trim('-') }}", "a"),
    ("{% for (a, (b, c)) in deep %}{{ a }}{{ b }}{{ c }}{% endfor %}", "123"),
    ("{{ 'abc'|replace('a', 5) }}", "5bc"),
]


@pytest.mark.parametrize(("template", "text"), GOOD, ids=[template for template, _ in GOOD])
def test_what_can_be_done_is_done(template: str, text: str) -> None:
    expansion = expand(template, file="film.kling", values=VALUES, read=FILES.get)
    assert (expansion.text, expansion.diagnostics) == (text, ())


def test_a_value_that_would_print_more_than_a_film_holds_is_refused() -> None:
    times = MAX_VALUE_CHARACTERS // 20_000 + 1
    expansion = expand(f"{{{{ [letters] * {times} }}}}", file="film.kling", values=VALUES, read=FILES.get)
    (found,) = expansion.diagnostics
    assert (found.slug, expansion.text) == ("template-limit", "")


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        ("f.json", r'{"a": {"b": ["\ud83d\ude00", "\ud800"]}}', "a text holds half of a character (a lone surrogate)"),
        ("f.json", r'{"\ud800": 5}', "a text holds half of a character (a lone surrogate)"),
        ("f.json", "[1e9999999999999999999]", "this number is too large or too near to 0"),
        ("f.json", "[1e400000]", "this number is too large or too near to 0"),
        ("f.json", '{"a": 1, "b": 2, "a": 3}', "the name 'a' comes twice in one mapping"),
    ],
)
def test_a_table_that_cannot_be_used_is_told(path: str, text: str, message: str) -> None:
    value, (found,) = parse_data(text, path=path)
    assert value is None
    assert message in found.message


def test_a_table_with_a_pair_of_halves_is_whole() -> None:
    assert parse_data(r'{"a": "\ud83d\ude00", "b": [5, {"c": null}]}', path="f.json") == (
        {"a": "\U0001f600", "b": [5, {"c": None}]},
        (),
    )


@pytest.mark.parametrize(("path", "text"), [("f.csv", "," * 300 + "\n1\n"), ("f.jsonl", "{\n" * 300)])
def test_a_table_that_is_all_mistakes_is_told_in_a_few(path: str, text: str) -> None:
    value, found = parse_data(text, path=path)
    assert value is None
    assert 1 < len(found) <= 20
