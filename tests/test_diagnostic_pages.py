"""Every page of a diagnostic is true: its examples report what they list, and no slug is without its page."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import msgspec
import pytest
from helpers import apply_fix
from page_runner import as_expected, run
from slugs import code_slugs, sheet_slugs
from told import check_kept, check_no_others, in_full

from kling_dsl.diagnostics import Diagnostic
from kling_dsl.reports import pages
from kling_dsl.reports.pages import Example, Page
from kling_dsl.resources import specs_path

TOLD = Path(__file__).parent / "told" / "pages.txt"
ONLY_ITS_OWN = frozenset(("too-many-diagnostics",))
"""Pages whose example reports a thousand others besides, which nobody could list."""


def _pages() -> list[Page]:
    return [page for slug in pages.slugs() if (page := pages.page(slug)) is not None]


def _examples() -> list[object]:
    return [
        pytest.param(page, example, id=f"{page.slug}-{example.kind}-{example.line}")
        for page in _pages()
        for example in page.examples
    ]


@pytest.mark.parametrize(("page", "example"), _examples())
def test_example_reports_what_its_page_lists(page: Page, example: Example, tmp_path: Path) -> None:
    found, texts = run(example, tmp_path / "before")
    if page.slug in ONLY_ITS_OWN:
        found = [diagnostic for diagnostic in found if diagnostic.slug == page.slug]
    assert as_expected(found) == sorted(example.expected, key=lambda one: (one.file, one.line, one.column, one.slug))
    check_kept(TOLD, _name(page, example), in_full(found))
    if example.kind == "right":
        assert found == []
        return
    assert {diagnostic.severity for diagnostic in found if diagnostic.slug == page.slug} == {page.severity}
    for number, diagnostic in enumerate(found):
        if diagnostic.fix is not None:
            files = {**example.files, **apply_fix(texts, diagnostic.fix)}
            left, _ = run(_with_files(example, files), tmp_path / f"after-{number}")
            assert _counted(left)[diagnostic.slug] < _counted(found)[diagnostic.slug], diagnostic.fix.title
            assert not _errors(left) - _errors(found), diagnostic.fix.title


def test_nothing_is_kept_of_examples_that_are_gone() -> None:
    check_no_others(TOLD, {_name(page, example) for page in _pages() for example in page.examples})


def test_every_slug_of_the_code_has_a_page_and_every_page_a_slug() -> None:
    emitted = {*code_slugs(), *sheet_slugs()}
    assert {slug: code_slugs().get(slug, "a sheet") for slug in emitted - {*pages.slugs()}} == {}
    assert {*pages.slugs()} - emitted == set()


def test_the_reader_of_the_code_finds_slugs_of_every_shape() -> None:
    # A literal, one arm of a condition, the default of a parameter, a constant of the module, and one in a table.
    for slug in ("duplicate-id", "media-kind-doubtful", "text-outside-shot", "bad-settings", "media-missing"):
        assert slug in code_slugs()


def test_rules_of_the_sheets_have_the_severity_of_their_page() -> None:
    stated = {page.slug: page.severity for page in _pages()}
    assert {slug: severities for slug, severities in sheet_slugs().items() if severities != {stated.get(slug)}} == {}


def test_no_two_pages_share_their_title() -> None:
    titles = Counter(page.title for page in _pages())
    assert [title for title, count in titles.items() if count > 1] == []


@pytest.mark.parametrize("slug", pages.slugs())
def test_page_is_laid_out_like_the_others(slug: str) -> None:
    text = specs_path("diagnostics", f"{slug}.md").read_text(encoding="utf-8")
    assert text.endswith("```\n")
    assert [line for line in text.split("\n") if len(line) > 120 and not line.startswith("{")] == []
    assert "\n\n\n" not in text
    prose = text.split("## Wrong")[0]
    assert len(prose.split()) > 20


def _name(page: Page, example: Example) -> str:
    return f"{page.slug} {page.examples.index(example) + 1}"


def _with_files(example: Example, files: dict[str, str]) -> Example:
    return msgspec.structs.replace(example, files=files, expected=())


def _counted(diagnostics: list[Diagnostic]) -> Counter[str]:
    return Counter(diagnostic.slug for diagnostic in diagnostics)


def _errors(diagnostics: list[Diagnostic]) -> Counter[str]:
    return Counter(diagnostic.slug for diagnostic in diagnostics if diagnostic.severity == "error")
