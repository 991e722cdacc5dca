"""The pages of the language are complete: whatever the program knows is shown in one of them, by an example that runs.

That the examples are true is seen by running the pages themselves, `specs/language`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import lark
import pytest
from helpers import FILM, MemoryWorld

from kling_dsl import parser, resources, vocabulary
from kling_dsl.cli.verbs import COMMANDS
from kling_dsl.compiler import Options, compile_film
from kling_dsl.harness.pages import Example, read_examples
from kling_dsl.reports import pages as diagnostic_pages
from kling_dsl.reports.markdown import Block, split_markdown
from kling_dsl.sheets import Profiles, builtin_names, load_builtin

LANGUAGE = resources.specs_path("language")
DIAGNOSTICS = resources.specs_path("diagnostics")
PAGES = sorted(LANGUAGE.glob("[0-9]*.md"))

ATTRIBUTES = {
    "definition": vocabulary.DEFINITION_KEYS,
    "heading": vocabulary.SCENE_KEYS,
    "shot": vocabulary.SHOT_KEYS,
    "clip": vocabulary.SHOT_KEYS,
}
"""The attributes of each construct, by its rule in the grammar."""

REFUSED = {("clip", "ATTRIBUTE end")}
"""What every model refuses, so that it is shown with its diagnostic only."""

_LISTED = re.compile(r"^(?:[^\s:]+:)?\d+:\d+ (?:(?:error|warning|note) )?([a-z0-9-]+)", re.MULTILINE)
_PRINTED = re.compile(r"^(?:error|warning|note)\[([a-z0-9-]+)\]", re.MULTILINE)


def blocks(path: Path) -> Iterator[Block]:
    yield from (piece for piece in split_markdown(path.read_text(encoding="utf-8")) if isinstance(piece, Block))


def reported(path: Path) -> set[str]:
    """Return the slugs that a page's examples report, in lists or as a command prints them."""
    found: set[str] = set()
    for block in blocks(path):
        if block.kind == "diagnostics":
            found |= set(_LISTED.findall(block.text))
        elif block.kind == "console":
            found |= set(_PRINTED.findall(block.text))
    return found


def films() -> Iterator[tuple[Example, dict[str, str]]]:
    """Yield every film of the pages, with its texts by path, as often as it is written."""
    for path in PAGES:
        for example in read_examples(path.read_text(encoding="utf-8")):
            texts: dict[str, str] = {}
            for scene in example.scenes:
                texts |= {file.name: file.block.text for file in scene.files}
                if example.main and scene.files:
                    yield example, dict(texts)


class Used:
    """What the parser met while the films of the pages were compiled; `right` is what films without errors have."""

    def __init__(self) -> None:
        self.rules: set[str] = set()
        self.terminals: set[str] = set()
        self.right: set[tuple[str, str]] = set()
        self.wrong: set[tuple[str, str]] = set()

    def note(self, trees: list[lark.Tree[lark.Token]], *, failed: bool) -> None:
        for tree in (branch for whole in trees for branch in whole.iter_subtrees()):
            tokens = [part for part in tree.children if isinstance(part, lark.Token)]
            self.rules.add(str(tree.data))
            self.terminals |= {token.type for token in tokens}
            lines = self.wrong if failed else self.right
            lines |= {(str(tree.data), f"{token.type} {first_word(token)}") for token in tokens}


def first_word(token: str) -> str:
    """Return the keyword, key or attribute that a line begins with."""
    return token.partition(":")[0].split()[0] if token.strip() else ""


@cache
def used() -> Used:
    met: list[lark.Tree[lark.Token]] = []
    parse = lark.Lark.parse

    def note(self: lark.Lark, *words: Any, **more: Any) -> Any:
        tree = parse(self, *words, **more)
        met.append(tree)
        return tree

    result = Used()
    profiles = Profiles.of({})
    # The parser keeps the bound method that it calls.
    parser._lark.cache_clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lark.Lark, "parse", note)
        for example, texts in films():
            met.clear()
            options = Options(model=example.model, values=example.parameters, data=example.data)
            compilation = compile_film(example.main or FILM, MemoryWorld(texts), options, profiles=profiles)
            result.note(met, failed=compilation.failed)
    parser._lark.cache_clear()
    return result


@pytest.mark.parametrize("known", [parser.grammar, parser.words_grammar], ids=["blocks", "words of EXPECT"])
def test_every_rule_and_terminal_of_the_grammar_is_met(known: Callable[[], lark.Lark]) -> None:
    rules = {str(rule.origin.name) for rule in known().rules if not rule.options.expand1}
    rules = {name for name in rules if not name.startswith("_")}
    assert len(rules) > 7
    assert rules - used().rules == set()
    terminals = {terminal.name for terminal in known().terminals if not terminal.name.startswith("_")}
    assert len(terminals) > 10
    assert terminals - used().terminals == set()


def test_every_keyword_begins_a_line_of_a_film_without_errors() -> None:
    words = {word.partition(" ")[2].upper() for _, word in used().right}
    assert set(vocabulary.KEYWORDS) - words == set()


def test_every_title_key_stands_in_a_film_without_errors() -> None:
    shown = {word for rule, word in used().right if rule == "title_page"}
    keys = {*vocabulary.TITLE_KEYS, *vocabulary.TEST_KEYS}
    assert {key for key in keys if f"ENTRY {key}" not in shown} == set()


@pytest.mark.parametrize("rule", ATTRIBUTES)
def test_every_attribute_stands_in_a_film_without_errors(rule: str) -> None:
    assert used().wrong >= REFUSED
    shown = {word for met, word in used().right | REFUSED if met == rule}
    assert {key for key in ATTRIBUTES[rule] if f"ATTRIBUTE {key}" not in shown} == set()


def test_every_attribute_of_a_sheet_stands_in_a_film_without_errors() -> None:
    own = {key for name in builtin_names() for key in load_builtin(name).attributes}
    shown = {word for _, word in used().right}
    assert {key for key in own if f"ATTRIBUTE {key}" not in shown} == set()
    assert own


def test_every_diagnostic_is_reported_by_an_example() -> None:
    known = set(diagnostic_pages.slugs())
    language = set().union(*map(reported, PAGES))
    assert language <= known
    own = {slug for slug in known if slug in reported(DIAGNOSTICS / f"{slug}.md")}
    assert known - language - own == set()
    # What needs a strange file, a broken sheet or a thousand mistakes is shown on its own page only.
    assert len(language) >= 0.8 * len(known)


@pytest.mark.parametrize("name", builtin_names())
def test_every_rule_and_price_of_a_sheet_is_shown(name: str) -> None:
    [shown] = [
        block.text for path in PAGES for block in blocks(path) if block.text.startswith(f"$ kling models {name}\n")
    ]
    sheet = load_builtin(name)
    for rule in sheet.rules:
        assert re.search(rf"^  {rule.slug}\s+{rule.severity}: ", shown, re.MULTILINE), rule.slug
    for price in sheet.prices:
        assert re.search(rf"^  {re.escape(str(price.usd_per_second))} ", shown, re.MULTILINE), price


def test_every_command_is_run() -> None:
    run = {
        line.split()[2]
        for path in PAGES
        for block in blocks(path)
        if block.kind == "console"
        for line in block.text.splitlines()
        if line.startswith("$ kling ") and not line.split()[2].startswith("-")
    }
    assert set(COMMANDS) - run == set()


def test_the_index_lists_every_page_in_order() -> None:
    index = (LANGUAGE / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"\]\(([0-9][^)]*\.md)\)", index) == [path.name for path in PAGES]
    for path in PAGES:
        title = path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
        number, _, words = title.partition(". ")
        assert path.name.startswith(f"{int(number):02}-"), path.name
        assert f"[{words}]({path.name})" in index, path.name


@pytest.mark.parametrize("path", PAGES, ids=[path.stem for path in PAGES])
def test_a_page_is_laid_out_like_the_others(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    prose = [piece for piece in split_markdown(text) if isinstance(piece, str)]
    assert [line for line in prose if len(line) > 125 and not line.startswith("|")] == []
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
