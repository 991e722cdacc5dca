"""Properties of templates: every character finds its way back, the text is Jinja's own, and nothing ever raises."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

import jinja2
from hypothesis import given, settings
from hypothesis import strategies as st

from kling_dsl.source import Span
from kling_dsl.templates import Expansion, Limits, expand

FILM = "film.kling"
PART = "parts/part.kling"
MACROS = "parts/macros.kling"
SLUGS = {"syntax", "undefined", "forbidden", "limit", "error", "missing"}

# A template is drawn as a tree, and written with numbered words and values: w7w stands at one place only, and only the
# expression {{ v7v }} gives the value V7V.

spaces = st.sampled_from(["", "", " ", "\n", "  \n ", "\n\n", "\t"])
signs = st.sampled_from(["", "", "", "-", "+"])
closing = st.sampled_from(["", "", "", "-"])
words = st.tuples(st.just("word"), spaces, spaces)
values = st.tuples(st.just("value"), closing, closing)
leaves = st.one_of(
    words,
    words,
    values,
    st.tuples(st.sampled_from(["comment", "raw", "include", "index", "macro-of-file", "upper"]), closing, closing),
)


def branches(children: st.SearchStrategy[list[object]]) -> st.SearchStrategy[object]:
    """Return tags around children."""
    kinds = ["loop", "loop2", "filtered", "if", "else", "macro", "call", "set", "with", "block", "filter"]
    return st.tuples(st.sampled_from(kinds), signs, closing, signs, closing, children)


bodies: st.SearchStrategy[list[object]] = st.recursive(
    st.lists(leaves, min_size=1, max_size=4),
    lambda children: st.lists(st.one_of(leaves, branches(children)), min_size=1, max_size=4),
    max_leaves=12,
)


class Writer:
    """Writes drawn trees as templates, and remembers the words and values that it used."""

    def __init__(self) -> None:
        self.number = 0
        self.folder = "parts/"
        self.values: dict[str, str] = {}

    def next(self) -> int:
        self.number += 1
        return self.number

    def write(self, body: object, *, inner: tuple[str, ...]) -> str:
        """Return the template of a body; `inner` are the kinds that cannot stand here."""
        assert isinstance(body, list)
        return "".join(self.one(node, inner) for node in body)

    def one(self, node: tuple[object, ...], inner: tuple[str, ...]) -> str:
        kind, *rest = node
        number = self.next()
        if kind in inner:
            return f"w{number}w"
        if kind == "word":
            return f"{rest[0]}w{number}w{rest[1]}"
        if len(rest) == 2:
            return self.leaf(str(kind), number, str(rest[0]), str(rest[1]))
        left, right, left2, right2, children = rest
        # A definition of a block or macro inside a loop or macro means something else, or is an error.
        text = self.write(children, inner=(*inner, "block", "macro-of-file"))
        openings = {
            "loop": ("for i in range(3)", "endfor"),
            "loop2": ("for i in 'ab'", "endfor"),
            "filtered": ("for i in range(4) if i is odd", "endfor"),
            "if": ("if true", "endif"),
            "else": ("if false %}lost{% else", "endif"),
            "macro": (f"macro m{number}(i=5)", "endmacro"),
            "call": ("call twice()", "endcall"),
            "set": (f"set s{number}", "endset"),
            "with": ("with i = 8", "endwith"),
            "block": (f"block b{number}", "endblock"),
            "filter": ("filter replace('q', 'r')", "endfilter"),
        }
        opening, end = openings[str(kind)]
        result = f"{{%{left} {opening} {right}%}}{text}{{%{left2} {end} {right2}%}}"
        result += f"{{{{ m{number}() }}}}{{{{ m{number}(2) }}}}" if kind == "macro" else ""
        return result + (f"{{{{ s{number} }}}}" if kind == "set" else "")

    def leaf(self, kind: str, number: int, left: str, right: str) -> str:
        if kind == "value":
            self.values[f"v{number}v"] = f"V{number}V"
            return f"{{{{{left} v{number}v {right}}}}}"
        if kind == "index":
            return f"{{% for k in [0] %}}{{{{{left} loop.index {right}}}}}{{% endfor %}}"
        if kind == "upper":
            return f"{{{{{left} 'text'|upper {right}}}}}"
        if kind == "comment":
            return f"{{#{left} hidden {right}#}}"
        if kind == "raw":
            return f"{{%{left} raw {right}%}} w{number}w{{{{ no }}}} {{%{left} endraw {right}%}}"
        if kind == "include":
            return f"{{%{left} include '{self.folder}part.kling' {right}%}}"
        return f"{{%{left} import '{self.folder}macros.kling' as file {right}%}}{{{{ file.twice(file.once) }}}}"


PRELUDE = "{% macro twice() %}<{{ caller() }}|{% for j in [1, 2] %}{{ caller() }}{% endfor %}>{% endmacro %}"
MACRO_FILE = "{% macro once() %}w900001w{% endmacro %}{% macro twice(inner) %}{{ inner() }}w900002w{% endmacro %}"


@st.composite
def films(draw: st.DrawFn) -> tuple[dict[str, str], dict[str, str]]:
    """Draw a template, its files and its values."""
    writer = Writer()
    main = PRELUDE + writer.write(draw(bodies), inner=())
    writer.folder = ""
    part = PRELUDE + writer.write(draw(bodies), inner=("include", "block"))
    newline = draw(st.sampled_from(["\n", "\n", "\r\n"]))
    files = {FILM: main, PART: part, MACROS: MACRO_FILE}
    return {file: text.replace("\n", newline) for file, text in files.items()}, writer.values


def nothing(path: str) -> None:
    """Read a project without further files."""


class RelativeEnvironment(jinja2.Environment):
    """Jinja as it comes, but for names of files, which are relative to the file that they stand in."""

    def join_path(self, template: str, parent: str) -> str:
        return posixpath.normpath(posixpath.join(posixpath.dirname(parent), template))


def run(files: dict[str, str], given_values: dict[str, str]) -> Expansion:
    expansion = expand(files[FILM], file=FILM, values=given_values, read=files.get)
    assert expansion.diagnostics == ()
    return expansion


def at(text: str, start: int, end: int) -> Span:
    """Return the span of `text[start:end]`."""
    line, last = text.count("\n", 0, start) + 1, text.count("\n", 0, end) + 1
    return Span("", line, start - text.rfind("\n", 0, start), last, end - text.rfind("\n", 0, end))


def original(files: dict[str, str], span: Span) -> tuple[int, int]:
    """Return the offsets of a span in the file it names, newlines normalised."""
    lines = files[span.file].replace("\r\n", "\n").split("\n")
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    return starts[span.line - 1] + span.column - 1, starts[span.end_line - 1] + span.end_column - 1


def places(files: dict[str, str], word: str) -> Iterator[tuple[str, int]]:
    """Yield (file, offset) of every place of a word."""
    for file, text in files.items():
        for found in re.finditer(re.escape(word), text.replace("\r\n", "\n")):
            yield file, found.start()


@settings(deadline=None, max_examples=60)
@given(films())
def test_the_text_is_what_jinja_makes_of_it(film: tuple[dict[str, str], dict[str, str]]) -> None:
    files, given_values = film
    expansion = run(files, given_values)
    environment = RelativeEnvironment(
        keep_trailing_newline=True, undefined=jinja2.StrictUndefined, loader=jinja2.DictLoader(files)
    )
    assert expansion.text == environment.get_template(FILM).render(given_values)


@settings(deadline=None, max_examples=60)
@given(films())
def test_every_character_of_constant_text_finds_its_own_place(film: tuple[dict[str, str], dict[str, str]]) -> None:
    files, given_values = film
    expansion = run(files, given_values)
    for offset, character in enumerate(expansion.text):
        span, notes = expansion.source_map.locate(at(expansion.text, offset, offset + 1))
        start, end = original(files, span)
        written = files[span.file].replace("\r\n", "\n")[start:end]
        if not any(" gave " in note.message for note in notes):
            assert written == character
        else:
            assert written.startswith(("{{", "{%"))


@settings(deadline=None, max_examples=60)
@given(films())
def test_every_word_and_every_value_finds_its_one_origin(film: tuple[dict[str, str], dict[str, str]]) -> None:
    files, given_values = film
    expansion = run(files, given_values)
    for found in re.finditer(r"([wV])\d+[wV]", expansion.text):
        span, notes = expansion.source_map.locate(at(expansion.text, found.start(), found.end()))
        start, end = original(files, span)
        written = files[span.file].replace("\r\n", "\n")[start:end]
        gave = [note for note in notes if " gave " in note.message]
        if gave and "filter replace" in written:
            continue  # a filtered text maps to its filter as a whole
        if found[1] == "w":
            assert [(span.file, start)] == list(places(files, found[0]))
            assert (end - start, gave) == (len(found[0]), [])
        else:
            assert re.fullmatch(r"\{\{-? " + found[0].lower() + r" -?\}\}", written)
            assert [note.message.endswith(f" gave {found[0]!r}") for note in gave] == [True]
            assert gave[0].span == span


@settings(deadline=None, max_examples=40)
@given(st.lists(st.lists(st.integers(0, 9), max_size=4), max_size=4))
def test_every_round_is_named(table: list[list[int]]) -> None:
    template = "{% for row in t %}{% for cell in row %}\n(w){% endfor %}{% endfor %}"
    expansion = expand(template, file=FILM, values={"t": table}, read=nothing)
    wanted = [(y, x, cell) for y, row in enumerate(table, 1) for x, cell in enumerate(row, 1)]
    for found, (y, x, cell) in zip(re.finditer(r"w", expansion.text), wanted, strict=True):
        _, notes = expansion.source_map.locate(at(expansion.text, *found.span()))
        assert notes[0].message == f"in round {x} of the loop in line 1, where cell = {cell}"
        assert notes[1].message.startswith(f"in round {y} of the loop in line 1, where row = [")


@settings(deadline=None, max_examples=80)
@given(films(), st.data())
def test_any_span_has_a_place_inside_its_file(film: tuple[dict[str, str], dict[str, str]], data: st.DataObject) -> None:
    files, given_values = film
    expansion = run(files, given_values)
    start = data.draw(st.integers(0, len(expansion.text)))
    end = data.draw(st.integers(start, len(expansion.text)))
    span, _ = expansion.source_map.locate(at(expansion.text, start, end))
    if expansion.text:
        first, last = original(files, span)
        assert 0 <= first <= last <= len(files[span.file].replace("\r\n", "\n"))


FRAGMENTS = [
    "{{", "}}", "{%", "%}", "{#", "#}", "{%-", "-%}", "{{-", "-}}", "for", "in", "if", "else", "elif", "endfor",
    "endif", "macro", "endmacro", "call", "endcall", "set", "endset", "filter", "endfilter", "include",
    "import", "from", "as", "extends", "block", "endblock", "raw", "endraw", "with", "endwith", "recursive",
    "scoped", "required", "print", "not", "and", "or", "is", "defined", "x", "xs", "loop", "self", "super",
    "caller", "namespace", "range", "dict", "cycler", "(", ")", "[", "]", "{", "}", "|", ".", ",", ":", "=",
    "==", "<", "+", "-", "*", "**", "/", "//", "%", "~", "1", "0", "3.5", "'a'", "'%s'", "'film.kling'", "'",
    '"', "\\", "\n", " ", " ", " ", "upper", "join", "map", "sort", "list", "length", "_", "__class__", "é",
    "\x00", "\u2028", "\ud7ff", "autoescape", "true", "none", "varargs", "kwargs", "ignore", "missing",
]  # fmt: skip
VALID = [
    "{% macro m(a, b=1) %}{{ a }}{{ b }}{{ caller() }}{% endmacro %}{% call m(x) %}y{% endcall %}",
    "{% for a in xs if a is defined %}{{ loop.index }}{{ a|string|upper }}{% else %}-{% endfor %}",
    "{% set ns = namespace(n=0) %}{% for a in xs recursive %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}",
    "{% include 'film.kling' ignore missing %}{% from 'film.kling' import q as r %}{{ r }}",
    "{% filter indent(width=2) %}{{ '%05d' % x }}{% endfilter %}{{ '{0:>{1}}'.format(x, 3) }}",
    "{% block b scoped %}{{ self.b() if false else xs[0:1] }}{% endblock %}{% raw %}{{{% endraw %}",
    "{{ xs|map('string')|join(', ')|replace('1', '2')|truncate(9) }}{{ x if x > 1 and x in xs else 'n' ~ x }}",
    "{% with a = {'k': [1, (2, 3)]} %}{{ a.k[1] }}{{ a['k']|batch(2)|list }}{% endwith %}{{ a.b.c }}",
]
LIMITS = Limits(max_characters=100_000, max_steps=20_000, max_seconds=10)


def check_any(text: str) -> None:
    """Expand any text at all: it gives a text, or diagnostics that stand inside it."""
    files = {FILM: text}
    expansion = expand(text, file=FILM, values={"x": 3, "xs": [1, 2, "z"]}, read=files.get, limits=LIMITS)
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for diagnostic in expansion.diagnostics:
        span = diagnostic.span
        assert diagnostic.slug.removeprefix("template-") in SLUGS
        assert diagnostic.message.isprintable()
        assert diagnostic.message.strip()
        assert all(note.message.isprintable() for note in diagnostic.notes)
        assert (span.file, span.line <= span.end_line <= len(lines)) == (FILM, True)
        assert 1 <= span.column <= len(lines[span.line - 1]) + 1
        assert 1 <= span.end_column <= len(lines[span.end_line - 1]) + 1
    expansion.text.encode()
    expansion.source_map.locate(Span("", 1, 1, 2, 1))


@settings(deadline=None, max_examples=200)
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=30))
def test_fragments_never_raise(fragments: list[str]) -> None:
    check_any("".join(fragments))
    check_any("{{ " + " ".join(fragments) + " }}")


@settings(deadline=None, max_examples=200)
@given(st.sampled_from(VALID), st.data())
def test_broken_templates_never_raise(template: str, data: st.DataObject) -> None:
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(template)))
        end = min(len(template), start + data.draw(st.integers(0, 6)))
        template = template[:start] + data.draw(st.sampled_from(FRAGMENTS)) + template[end:]
    check_any(template)


@settings(deadline=None, max_examples=80)
@given(
    st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=30),
    st.sampled_from(["{{%s}}", "{%%%s%%}", "{#%s"]),
)
def test_any_text_never_raises(text: str, marks: str) -> None:
    check_any(marks % text)
