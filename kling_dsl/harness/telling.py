"""Tells what became of films and their EXPECT lines: in words, and as JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from kling_dsl.diagnostics import Diagnostic
from kling_dsl.harness.films import Outcome, count
from kling_dsl.reports.diagnostics_json import render_json
from kling_dsl.reports.escaping import safe_json, sound

Place = Callable[[Diagnostic], Diagnostic]
"""Gives a diagnostic its paths as the reader knows them."""


class _Expect(msgspec.Struct, frozen=True):
    words: str
    file: str
    line: int
    outcome: str
    diagnostics: msgspec.Raw


class _Script(msgspec.Struct, frozen=True):
    file: str
    film: str
    passed: bool
    expects: tuple[_Expect, ...]
    diagnostics: msgspec.Raw


class _Report(msgspec.Struct, frozen=True):
    passed: bool
    counts: dict[str, int]
    scripts: tuple[_Script, ...]


def told(outcome: Outcome) -> str:
    """Return what became of one script, as in `3 of 4 EXPECT lines hold`."""
    if outcome.broken:
        errors = sum(diagnostic.severity == "error" for diagnostic in outcome.diagnostics)
        return f"{errors} error{'' if errors == 1 else 's'}; nothing was tested"
    total = len(outcome.verdicts)
    if not total:
        return "no EXPECT"
    counts = count([outcome])
    held = counts["passed"]
    if held == total:
        return "the one EXPECT line holds" if total == 1 else f"all {total} EXPECT lines hold"
    words = f"{held} of {total} EXPECT lines hold{'s' * (held == 1)}"
    if counts["always"]:
        words += f", {counts['always']} cannot fail"
    return words


def sum_up(outcomes: Sequence[Outcome]) -> str:
    """Return the counts of a whole run in words."""
    counts = count(outcomes)
    words = [f"{counts['passed']} passed"]
    if counts["failed"]:
        words.append(f"{counts['failed']} failed")
    if counts["always"]:
        words.append(f"{counts['always']} cannot fail")
    if counts["broken"]:
        words.append(f"{counts['broken']} {'file has' if counts['broken'] == 1 else 'files have'} errors")
    if not any(outcome.verdicts for outcome in outcomes) and not counts["broken"]:
        return "nothing was tested: there is no EXPECT; write one, as in `EXPECT total <= $30`"
    return ", ".join(words)


def render_outcomes(outcomes: Sequence[tuple[Outcome, Place]]) -> bytes:
    """Return what became of scripts as JSON.

    An object with `passed`, `counts` (`passed`, `failed`, `always`, `broken`) and `scripts`: of each its `file`, the
    `film` it is about, whether it `passed`, its `diagnostics` as in `kling check --format json`, and its `expects`:
    `words`, `file`, `line`, an `outcome` of `passed`, `failed` or `always`, and the `diagnostics` that say why.
    """
    scripts = tuple(_script(outcome, place) for outcome, place in outcomes)
    told_all = [outcome for outcome, _ in outcomes]
    passed = all(outcome.passed for outcome in told_all) and any(outcome.verdicts for outcome in told_all)
    data = msgspec.json.encode(_Report(passed, count(told_all), scripts))
    return safe_json(msgspec.json.format(data, indent=2) + b"\n")


def _script(outcome: Outcome, place: Place) -> _Script:
    expects = tuple(
        _Expect(
            sound(verdict.words),
            sound(verdict.file),
            verdict.line,
            verdict.outcome,
            _diagnostics(verdict.diagnostics, place),
        )
        for verdict in outcome.verdicts
    )
    film = sound(outcome.compilation.file)
    return _Script(sound(outcome.script), film, outcome.passed, expects, _diagnostics(outcome.diagnostics, place))


def _diagnostics(diagnostics: Sequence[Diagnostic], place: Place) -> msgspec.Raw:
    return msgspec.Raw(render_json([place(diagnostic) for diagnostic in diagnostics]))
