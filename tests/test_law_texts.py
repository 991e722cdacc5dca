"""Law of texts: whatever a film's file holds, compiling it ends soon, in diagnostics that stand inside of it."""

from __future__ import annotations

import random
import re
import time
from pathlib import Path

import pytest
from film_strategies import Layout, films
from helpers import CAST, FILM, PROFILES, MemoryWorld
from hypothesis import given, note
from hypothesis import strategies as st
from laws import examples, seeded_examples
from test_language import CASES
from text_changes import LINES, changed

from kling_dsl import blocks, parser
from kling_dsl.compiler import Compilation, Options, compile_film
from kling_dsl.diagnostics import Diagnostic
from kling_dsl.project import DiskWorld
from kling_dsl.world import World

PATIENCE_SECONDS = 10
"""Processor time that no text of these sizes takes by far; what hangs altogether is stopped by the suite's own limit."""


def compile_soon(world: World) -> Compilation:
    """Compile, and check that it took no long time and that every diagnostic stands in its file."""
    before = time.process_time()
    compilation = compile_film(FILM, world, Options(), profiles=PROFILES)
    assert time.process_time() - before < PATIENCE_SECONDS
    for diagnostic in compilation.diagnostics:
        text = world.read_text(FILM)
        check_places(diagnostic, text if isinstance(text, str) else "")
    if not compilation.failed:
        assert [call.fingerprint for call in compilation.calls] != [""]
    return compilation


def check_places(diagnostic: Diagnostic, text: str) -> None:
    """Check that every place is in its file: lines from 1 to the last, columns up to just behind the line's end."""
    rows = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for span in (diagnostic.span, *diagnostic.also, *(told.span for told in diagnostic.notes if told.span)):
        if span.file != FILM:
            continue
        assert 1 <= span.line <= span.end_line <= len(rows) + 1, diagnostic
        row = rows[span.line - 1] if span.line <= len(rows) else ""
        assert 1 <= span.column <= len(row) + 1, diagnostic
        assert (span.end_line, span.end_column) >= (span.line, span.column), diagnostic
        last = rows[span.end_line - 1] if span.end_line <= len(rows) else ""
        assert span.end_column <= len(last) + 2, diagnostic


def world_of(text: str) -> MemoryWorld:
    """Return a world with a film's text and what it may import."""
    return MemoryWorld({FILM: text, "cast.kling": CAST, "other.kling": "PROP Boat\nA boat.\n"})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("any")


@examples(40)
@given(
    content=st.one_of(st.binary(max_size=300), st.text(max_size=300).map(lambda text: text.encode("utf-8", "replace")))
)
def test_any_bytes_on_the_disk_end_in_diagnostics(folder: Path, content: bytes) -> None:
    (folder / FILM).write_bytes(content)
    compilation = compile_soon(DiskWorld(folder))
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        assert [diagnostic.slug for diagnostic in compilation.diagnostics] == ["unreadable-file"]


@examples(80)
@given(st.text(alphabet="SHOTCLIPEND @#![]\\:.,()s5{%}\n\t'aéñ海\xa0\x0b\u2028", max_size=200))
def test_any_text_of_the_marks_of_the_language_ends_in_diagnostics(text: str) -> None:
    compile_soon(world_of(text))


@examples(80)
@given(st.lists(st.sampled_from(LINES), max_size=25))
def test_any_order_of_lines_ends_in_diagnostics(lines: list[str]) -> None:
    compile_soon(world_of("\n".join(lines)))


@seeded_examples(30)
@given(films(), st.integers(0, 2**32))
def test_a_film_that_was_damaged_ends_in_diagnostics(film: object, seed: int) -> None:
    texts = Layout(seed % 3).write(film)  # type: ignore[arg-type]
    text = changed(texts[FILM], seed)
    note(text)
    compile_soon(MemoryWorld({**texts, FILM: text}))


@seeded_examples(30)
@given(st.sampled_from(CASES), st.integers(0, 2**32))
def test_a_case_of_the_language_that_was_damaged_ends_in_diagnostics(case: object, seed: int) -> None:
    files = {"cast.kling": CAST, **case.files}  # type: ignore[attr-defined]
    files[FILM] = changed(files[FILM], seed)
    note(files[FILM])
    compile_soon(MemoryWorld(files))


@seeded_examples(30)
@given(st.integers(0, 2**32))
def test_a_text_that_the_grammar_derives_ends_in_diagnostics(seed: int) -> None:
    text = derive(random.Random(seed))
    note(text)
    compile_soon(world_of(text))


def derive(chance: random.Random) -> str:
    """Derive blocks from the grammar's own rules, each terminal as a line that its pattern takes."""
    rules: dict[str, list[list[str]]] = {}
    for rule in parser.grammar().rules:
        rules.setdefault(rule.origin.name, []).append([symbol.name for symbol in rule.expansion])
    terminals = {terminal.name: terminal.pattern.to_regexp() for terminal in parser.grammar().terminals}
    words = [*LINES, "  a: b", "Key: value", "  indented", " "]
    names = [chance.choice(["title_page", *sorted(blocks.BUILDERS)]) for _ in range(chance.randint(1, 5))]
    return "".join(_expand(name, rules, terminals, words, chance, 12) for name in names)


def _expand(
    name: str,
    rules: dict[str, list[list[str]]],
    terminals: dict[str, str],
    words: list[str],
    chance: random.Random,
    depth: int,
) -> str:
    if name not in rules:
        fitting = [word + "\n" for word in words if re.match(rf"(?:{terminals[name]})\Z", word + "\n")]
        return chance.choice(fitting) if fitting else f"{name} x\n"
    ways = rules[name]
    way = min(ways, key=len) if depth <= 0 else chance.choice(ways)
    return "".join(_expand(part, rules, terminals, words, chance, depth - 1) for part in way)


@pytest.mark.parametrize(
    ("film", "slug", "place"),
    [
        ("Title: Pier\n[[a note\nof two lines]] and words.\n\nSHOT a 5s\nRain.\n", "title-line", (2, 1, 3, 26)),
        ("Title: Pier\nRain [[a\nb]] fall: x\n\nSHOT a 5s\nRain.\n", "unknown-title-key", (2, 1, 3, 9)),
        ("SHOT a 5s\n  start: https://x.org[[/a.png\n  aspect]]: 16:9\nRain.\n", "bad-address", (2, 10, 3, 17)),
    ],
)
def test_a_mistake_ends_in_the_line_in_which_a_note_in_it_does(
    film: str, slug: str, place: tuple[int, int, int, int]
) -> None:
    [found] = [each for each in compile_soon(world_of(film)).diagnostics if each.slug == slug]
    assert (found.span.line, found.span.column, found.span.end_line, found.span.end_column) == place
