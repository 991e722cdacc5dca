"""The language, case by case: the films in `tests/language/` with their expected diagnostics, prompts and arguments."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from helpers import FILM, Case, apply_fix, check, compile_text, mark_of, prompts, read_cases
from told import check_kept, check_no_others, in_calls, in_full

from kling_dsl.compiler import Compilation, Options
from kling_dsl.diagnostics import Diagnostic

FOLDER = Path(__file__).parent / "language"
TOLD = Path(__file__).parent / "told" / "language.txt"
SENT = Path(__file__).parent / "told" / "requests.txt"
CASES = [case for path in sorted(FOLDER.glob("*.txt")) for case in read_cases(path)]


def _named() -> list[object]:
    return [pytest.param(case, id=f"{case.where}: {case.name}") for case in CASES]


@pytest.mark.parametrize("case", _named())
def test_case(case: Case) -> None:
    compilation = _compile(case, case.files)
    told = "\n".join(f"{d.span.line}:{d.span.column} {d.slug}: {d.message}" for d in compilation.diagnostics)
    assert sorted(mark_of(diagnostic, case.files) for diagnostic in compilation.diagnostics) == [*case.marks], told
    assert {id: prompts(compilation).get(id) for id in case.prompts} == case.prompts
    calls = {call.id: call for call in compilation.calls}
    for id, lines in case.sends.items():
        for line in lines.strip("\n").split("\n"):
            field, _, value = line.partition(": ")
            assert _shown(calls[id].arguments.get(field), json.loads(value)) == json.loads(value), f"{id}: {field}"
    assert {id: calls[id].endpoint for id in case.endpoints} == case.endpoints
    assert {id: str(calls[id].takes) for id in case.takes} == case.takes
    check_kept(TOLD, case.name, in_full(compilation.diagnostics))
    check_kept(SENT, case.name, in_calls(compilation.calls))
    for diagnostic in compilation.diagnostics:
        assert diagnostic.message
        assert diagnostic.message == diagnostic.message.strip()
        assert diagnostic.hint or diagnostic.notes or diagnostic.slug.startswith("template-")
        if diagnostic.fix is not None:
            _check_fix(case, compilation, diagnostic)


def test_what_a_title_page_says_of_the_whole_film() -> None:
    film = "Title: The Lantern\nAuthor: M. Keeper\nBudget: $30\nDuration: 4s\nHeadings: off\n\nSHOT a\nRain.\n"
    settings = compile_text(film).settings
    assert (settings.title, settings.author, settings.duration_seconds) == ("The Lantern", "M. Keeper", 4)
    assert (str(settings.budget_usd), settings.headings, settings.duration_unclear) == ("30", False, False)
    nothing = compile_text("SHOT a 5s\nRain.\n").settings
    assert (nothing.title, nothing.author, nothing.budget_usd, nothing.duration_seconds) == ("", "", None, None)
    assert nothing.headings


def test_each_shot_of_a_clip_uses_its_own_names_and_those_that_are_lent_to_all() -> None:
    film = (
        "import cast.kling\n\nCLIP c\n  with: @Fog, @Mira\n\nSHOT a 3s\n@Mira meets @Keeper.\n\n"
        "SHOT b 3s\n@Lamp, then @Keeper.\n\nSHOT d 3s\n@Lamp and @Lamp.\n\nEND CLIP\n"
    )
    (lent,) = compile_text(film).items
    assert {shot.id: shot.uses for shot in lent.built.request.shots} == {
        "a": ("Mira", "Keeper", "Fog", "Mira"),
        "b": ("Lamp", "Keeper", "Fog", "Mira"),
        "d": ("Lamp", "Fog", "Mira"),
    }
    (own,) = compile_text(film.replace("  with: @Fog, @Mira\n", "")).items
    assert [shot.uses for shot in own.built.request.shots] == [("Mira", "Keeper"), ("Lamp", "Keeper"), ("Lamp",)]


@pytest.mark.parametrize("blanks", ["", "   ", "\t"])
def test_blanks_at_the_end_of_an_expectation_are_none_of_its_words(blanks: str) -> None:
    film = f'import cast.kling\n\nSHOT a 5s\n  audio: on\nMIRA: Come back.\n\nEXPECT shot a says "Come back"{blanks}\n'
    assert check(film) == []
    assert check(film.replace("Come back.", "Rain.")) == []
    assert check(film.replace('back"', "back")) == ["7:20 expect-word"]


def test_names_of_cases_are_unique() -> None:
    counts = Counter(case.name for case in CASES)
    assert [name for name, count in counts.items() if count > 1] == []


def test_nothing_is_kept_of_cases_that_are_gone() -> None:
    for path in (TOLD, SENT):
        check_no_others(path, {case.name for case in CASES})


def _compile(case: Case, files: dict[str, str]) -> Compilation:
    values = {key.removeprefix("set "): value for key, value in case.options.items() if key.startswith("set ")}
    options = Options(model=case.options.get("model"), values=values)
    others = {path: text for path, text in files.items() if path != FILM}
    return compile_text(files[FILM], others, options=options)


def _shown(sent: Any, wanted: Any) -> Any:
    return len(sent) if isinstance(wanted, int) and isinstance(sent, list) else sent


def _check_fix(case: Case, before: Compilation, diagnostic: Diagnostic) -> None:
    """A fix removes its diagnostic and brings no error that was not there."""
    assert diagnostic.fix is not None
    after = _compile(case, apply_fix(case.files, diagnostic.fix))
    slugs = [Counter(d.slug for d in compilation.diagnostics) for compilation in (before, after)]
    errors = [Counter(d.slug for d in c.diagnostics if d.severity == "error") for c in (before, after)]
    assert slugs[1][diagnostic.slug] < slugs[0][diagnostic.slug], diagnostic.fix.title
    assert not errors[1] - errors[0], diagnostic.fix.title
