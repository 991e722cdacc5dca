"""What templates are told when they are wrong, and what those that are nearly wrong write: each kept word for word."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import pytest
from told import check_kept, check_no_others, in_full

from kling_dsl.templates import expand

TOLD = Path(__file__).parent / "told" / "templates.txt"
FILM = "film.kling"
PYTHONS_OWN = re.compile(r"(?<=template-error\]: )(?!.*(?:work between|called with|gives a function)).*")
"""What another version of Python may say otherwise."""
VALUES: dict[str, object] = {
    "tags": frozenset("cab"),
    "price": Decimal("2.10"),
    "city": "Lyon",
    "count": "3",
    "colours": "red, blue",
    "names": "Ann and Bo",
}
ROWS = [{"id": "a", "name": "Lamp", "watts": 40, "note": None}, {"id": "b", "name": "Oil", "watts": 60.5, "note": "x"}]

TEMPLATES = (
    # Names and parts that are not there.
    *(
        "{{ citty }}",
        "{{ cty | upper }}",
        "{{ nothing }}",
        "{{ rows[5].name }}",
        "{{ rows[0].nam }}",
        "{{ rows[0]['nam'] }}",
    ),
    *(
        "{{ city.upperr() }}",
        "{{ city.foo }}",
        "{{ count.real }}",
        "{{ rows.first }}",
        "{{ lop.index }}",
        "{{ none.x }}",
    ),
    *("{{ rows[0][1] }}", "{{ city[99] }}", "{{ {'a': 1}['b'] }}", "{{ {'a': 1}.b }}", "{{ [1, 2][2] }}"),
    # Tags, filters and tests that are unknown.
    *(
        "{% fro a in rows %}{% endfor %}",
        "{% import 'x' as y %}",
        "{% nonsense %}",
        "{% endif %}",
        "{% if city %}",
        "{% else %}",
    ),
    *(
        "{{ city | uper }}",
        "{{ city | frobnicate }}",
        "{% if city is evn %}{% endif %}",
        "{% if city is frob %}{% endif %}",
    ),
    *(
        "{% for a in rows %}{% endif %}",
        "{% set %}",
        "{% block a %}",
        "{% for a of rows %}{% endfor %}",
        "{{ city",
        "{{ }}",
    ),
    *(
        "{% if %}{% endif %}",
        "{{ 'open }}",
        "{{ 1 + }}",
        "{{ (1 }}",
        "{{ 1) }}",
        "{{ [1 }}",
        "{# open",
        "{% raw %}",
        "{{ city $ }}",
    ),
    # Calls and values that cannot be.
    *("{{ city() }}", "{{ range() }}", "{{ range('a') }}", "{{ city | replace('a') }}", "{{ city | center('a') }}"),
    *("{{ 1 / 0 }}", "{{ 1 % 0 }}", "{{ 1 // 0 }}", "{{ 'a' + 1 }}", "{{ 'a' - 1 }}", "{{ [1] + 'a' }}", "{{ -'a' }}"),
    *(
        "{{ 'a' * 'b' }}",
        "{{ 'a' < 1 }}",
        "{{ 1 in 2 }}",
        "{{ '%d' % 'a' }}",
        "{{ '%s %s' % (1,) }}",
        "{{ '%*d' % (3, 4) }}",
    ),
    *(
        "{{ '%z' % 1 }}",
        "{{ '{:d}'.format('a') }}",
        "{{ '{} {}'.format(1) }}",
        "{{ '{a}'.format(b=1) }}",
        "{{ '{'.format(1) }}",
    ),
    *(
        "{% for a, b in [1] %}{% endfor %}",
        "{% for a in 5 %}{% endfor %}",
        "{% set a, b = 1, 2, 3 %}",
        "{{ rows | sum }}",
    ),
    *(
        "{{ rows | sort }}",
        "{{ city | round }}",
        "{{ 'x' | int | frob }}",
        "{{ rows | join(1, 2, 3, 4) }}",
        "{{ loop.index }}",
    ),
    # What is forbidden.
    *(
        "{{ city.__class__ }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ city | attr('__class__') }}",
        "{{ range.__globals__ }}",
    ),
    *(
        "{% include 'other.kling' %}",
        "{% extends 'base' %}",
        "{{ self.x }}",
        "{{ cycler }}",
        "{{ lipsum() }}",
        "{{ _x }}",
    ),
    *(
        "{{ '{0.__class__}'.format(city) }}",
        "{{ '{0[__a]}'.format({}) }}",
        "{{ '%(a)*d' % {'a': 1} }}",
        "{{ city.format_map }}",
    ),
    # What is too much.
    *(
        "{{ 'x' * 99999999 }}",
        "{{ [1] * 99999999 }}",
        "{{ 9 ** 9999999 }}",
        "{{ 1 << 99999999 }}",
        "{{ '%99999999d' % 1 }}",
    ),
    *(
        "{{ '{:99999999}'.format(1) }}",
        "{{ city.center(99999999) }}",
        "{{ city | center(99999999) }}",
        "{{ range(99999999) }}",
    ),
    *(
        "{{ city.zfill(99999999) }}",
        "{{ city.ljust(99999999) }}",
        "{{ city | indent(99999999) }}",
        "{{ 'a'.join(['x' * 999999] * 99) }}",
    ),
    *("{{ ('x' * 9999) | replace('x', 'y' * 9999) }}", "{{ ('x' * 9999) | wordwrap(1, wrapstring='y' * 9999) }}"),
    "{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}",
    "{% set n = namespace(a=[]) %}{% for i in range(999) %}{% set n.a = [n.a] %}{% endfor %}{{ n.a }}",
    *(
        "{{ ('x' * 9999).replace('x', 'y' * 9999) }}",
        "{{ rows | batch(99999999) | list }}",
        "{{ rows | slice(99999999) | list }}",
    ),
    *(
        "{{ (9 ** 999) * (9 ** 999) }}",
        "{{ {'a': {'b': {'c': {'d': 1}}}}.x }}",
        "{{ [[[[1]]]][9] }}",
    ),
    *(
        "{{ {('a', ('b', 'c')): 1}.x }}",
        "{% for i in range(9999) %}{{ 'x' * 9999 }}{% endfor %}",
        "{{ '%9999d' % 1 }}",
        "{{ '%.9999f' % 1 }}",
    ),
    *(
        "{{ ('x ' * 60000) | wordwrap }}",
        "{{ ('x' * 1048576).split('x') | length }}",
        "{{ ('a' * 999999).center(9) | length }}",
    ),
    # What is told of loops, of names inside them, and of tags that are open.
    *(
        "{% for r in rows %}{% for s in rows %}{{ s.nope }}{% endfor %}{% endfor %}",
        "{% for r in rows %}{% if loop.index == 2 %}{{ r.x }}{% endif %}{% endfor %}",
    ),
    *(
        "{% set x %}open",
        "{% set x = 1 %}{% for a in rows %}",
        "{% if city %}{% for a in rows %}{% endif %}",
        "{% filter upper %}x",
        "{% with a = 1 %}",
    ),
    *(
        "{% macro m() %}x",
        "{% call m() %}x",
        "{{ 'a' is evn }}",
        "{{ 'a' is upperr }}",
        "{{ [] | frst }}",
        "{{ range(3) | first | nope }}",
    ),
    *(
        "{% macro m(a, a) %}{% endmacro %}",
        "{{ m(1, x=1, x=2) }}",
        "{% macro m() %}{% endmacro %}{{ m(1) }}",
        "{{ rows | map('nope') | list }}",
    ),
    *(
        "{{ 2 ** 4100 }}",
        "{{ -(2 ** 4100) }}",
        "{{ '{:999}'.format(1) | length }}",
    ),
    *(
        "{{ '{:1000}'.format(1) | length }}",
        "{{ '{:1001}'.format(1) }}",
        "{{ '{:01000}'.format(1) }}",
        "{{ '%1000d' % 1 | length }}",
        "{{ ('%1000d' % 1) | length }}",
    ),
    # What is right, near the edge of it.
    *(
        "{{ 1_0.5 }} {{ 1_000.25e1_0 }} {{ 0.5 | round }} {{ 2.567 | round(2) }} {{ 2.5 | round(0, 'floor') }}",
        "{{ 5 | string }}{{ 1.5 | string | length }}",
    ),
    *(
        "{% for c in tags %}{{ c }},{% endfor %}",
        "{{ price }} {{ price * 2 }} {{ price | string }}",
        "{% set x = [] %}{{ x }}{% set y %}z{% endset %}{{ y }}",
    ),
    *(
        "{% for r in rows %}{% for s in rows %}{{ loop.index }}{{ r.id }}{{ s.id }} {% endfor %}{% endfor %}",
        "{{ range(3) | list }} {{ range(2, 9, 3) | list }}",
    ),
    *(
        "{% for r in rows if r.note %}{{ loop.index }}{{ r.id }}{% endfor %}",
        "{% for a in [1, 2, 3] %}{{ loop.cycle('x', 'y') }}{% endfor %}",
        "{% filter upper %}a{{ city }}{% endfilter %}",
    ),
    *(
        "{% macro m(x) %}[{{ x }}{{ caller() }}]{% endmacro %}{% call m(1) %}c{% endcall %}",
        "{% with a = 1, b = 2 %}{{ a }}{{ b }}{% endwith %}",
        "{% block a %}in{% endblock %}",
    ),
    *(
        "{{ 'a,b,c'.split(',') | join('-') }} {{ 'a,b,c'.split(',', 1) }} {{ 'a,b,c'.rsplit(',', 1) }}",
        "{{ 'aXbX'.replace('X', '.', 1) }}",
    ),
    *(
        "{{ rows | batch(1) | list | length }}",
        "{{ rows | slice(2) | list | length }}",
        "{% set x = city %}{{ x }}{% set y %}b{{ x }}{% endset %}{{ y }}",
    ),
    *(
        "{{ true and city or none }}{{ not true }}{{ 1 if false else 2 }}",
        "{{ city is defined }}{{ nope is defined }}{{ 3 is odd }}",
    ),
    *(
        "{{ city }} {{ count }} {{ colours.split(', ')[1] }}",
        "{{ rows[0].name }} {{ rows[-1].watts }} {{ rows[0].note }}",
    ),
    *(
        "{{ city | upper | center(9) }}|",
        "{{ city | replace('L', 'l') }}",
        "{{ city | replace('o', '0', 1) }}",
        "{{ city[1:3] }}",
    ),
    *(
        "{{ 7 // 2 }} {{ 7 % 2 }} {{ 7 / 2 }} {{ 2 ** 8 }} {{ -3 }} {{ +3 }}",
        "{{ '%s has %d' % (city, 3) }}",
        "{{ '%5.2f' % 1.5 }}|",
    ),
    *(
        "{{ '%-5s' % 'a' }}|",
        "{{ '%(a)s' % {'a': 1} }}",
        "{{ '{:>5}'.format('a') }}|",
        "{{ '{!r}'.format('a') }}",
        "{{ '{a}'.format(a=1) }}",
    ),
    *(
        "{{ '{a}'.format_map({'a': 1}) }}",
        "{{ 'a' * 3 }}{{ 'b' * 0 }}{{ 3 * 'c' }}{{ 'd' * -1 }}",
        "{{ [1] * 2 }}",
        "{{ 'a' ~ 1 ~ none }}",
    ),
    *(
        "{{ 0x1F }} {{ 1_000 }} {{ 1.5e2 }} {{ 0b11 }} {{ 0o17 }}",
        "{{ {'a': 1, 'b': [2]} }}",
        "{{ {city: count} }}",
        "{{ (1, 2) }}",
    ),
    *(
        "{% for r in rows %}{{ loop.index }}{{ r.id }}{{ ',' if not loop.last }}{% else %}none{% endfor %}",
        "{{ rows | length }}",
    ),
    *(
        "{% for r in [] %}x{% else %}none{% endfor %}",
        "{% set a, b = 1, 2 %}{{ b }}{{ a }}",
        "{% if city == 'Lyon' %}yes{% else %}no{% endif %}",
    ),
    *(
        "{{ rows | map(attribute='name') | join(', ') }}",
        "{{ rows | sort(attribute='watts', reverse=true) | map(attribute='id') | join }}",
    ),
    *(
        "{{ rows | selectattr('note') | list | length }}",
        "{{ city | indent(2) }}",
        "{{ 'a b c' | wordwrap(1) }}",
        "{{ 'a-b' | wordwrap(2, false, '|') }}",
    ),
    *(
        "{{ city | default('x') }}{{ none | default('y', true) }}",
        "{% macro m(a, b=2) %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}{{ m(1, b=3) }}",
    ),
    *(
        "{% raw %}{{ city }}{% endraw %}",
        "{# a note #}Rain",
        "a {%- if true -%} b {%- endif -%} c",
        "{{ '{{' }} {{ \"it's\" }}",
        "{{ city.zfill(6) }}",
    ),
)


def _nothing(path: str) -> None:
    """Read no other file."""


@pytest.mark.parametrize("template", TEMPLATES)
def test_what_a_template_writes_or_is_told(template: str) -> None:
    text = f"Rain.\n{template}\n"
    expansion = expand(text, file=FILM, values={**VALUES, "rows": ROWS}, read=_nothing)
    told = PYTHONS_OWN.sub("(in Python's own words)", in_full(expansion.diagnostics))
    check_kept(TOLD, template, told or f"{expansion.text}\n")


def test_nothing_is_kept_of_templates_that_are_gone() -> None:
    check_no_others(TOLD, (*TEMPLATES, "included files"))


def test_a_text_without_marks_has_newlines_only() -> None:
    for text in ("Rain.\r\nSnow.\rHail.\n", "Rain.\r\n{{ 'Snow' }}.\rHail.\n"):
        assert expand(text, file=FILM, values={}, read=_nothing).text == "Rain.\nSnow.\nHail.\n"


def test_included_texts_are_joined_and_their_mistakes_stand_in_them() -> None:
    files = {"one.kling": "One {{ city }}.\n{% include 'sub/two.kling' %}", "sub/two.kling": "Two.\n{{ nope }}\n"}
    text = "{% include 'one.kling' %}\n{% for r in rows %}{% include 'one.kling' %}{% endfor %}\n"
    told = expand(text, file=FILM, values={**VALUES, "rows": ROWS}, read=files.get)
    check_kept(TOLD, "included files", in_full(told.diagnostics))
    files["sub/two.kling"] = "Two.\n"
    whole = expand(text, file=FILM, values={**VALUES, "rows": ROWS}, read=files.get)
    assert (whole.diagnostics, whole.text) == ((), "One Lyon.\nTwo.\n\nOne Lyon.\nTwo.\nOne Lyon.\nTwo.\n\n")
