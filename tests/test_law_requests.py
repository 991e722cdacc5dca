"""Laws of requests, held to every sheet: what the sheet takes is taken, and each rule and limit is missed alone."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import cache
from typing import Any

import jsonschema_rs
import msgspec
import pytest
from foreign_sheet import FOREIGN, WIDE, builtin_text
from hypothesis import given, note
from laws import examples
from request_films import (
    compile_asked,
    find_faults,
    judge_remotely,
    profile_of,
    sent_by,
    slugs_of,
    write_film,
)
from request_strategies import Asked, Fault, faults, requests, requests_with_media, wrong_requests
from sheet_oracle import LIMITS, SHEETS, Sheet

from kling_dsl.sheets import builtin_names
from kling_dsl.sheets.schema import json_schema

EVERY_SHEET = pytest.mark.parametrize("sheet", SHEETS.values(), ids=str)

SLUGS = {
    "prompt": {"max_characters": "prompt-too-long", "required": "empty-shot"},
    "shot-prompt": {"max_characters": "prompt-too-long", "required": "empty-shot"},
    "duration": dict.fromkeys(("min", "max", "values"), "clip-length-limit"),
    "shot-duration": dict.fromkeys(("min", "max", "values"), "shot-length-limit"),
    "shots": {"max_items": "too-many-shots", "min_items": "list-length"},
    "element-angles": {"max_items": "too-many-angles", "min_items": "list-length"},
    "element-front": {"required": "element-shape"},
}
"""What a limit is reported as, by the role of its field; of other fields see `expected`."""

NEVER_WRITTEN = {"prompt-or-shots", "text-or-scenes", "shots-fill-the-clip", "scenes-fill-the-length"} | {
    "front-needs-angles",
    "element-shape",
}
"""Rules that no film can break alone: the grammar offers no way, or a definition is refused before it is sent."""


@cache
def validator_of(sheet: Sheet) -> jsonschema_rs.Draft202012Validator:
    """Return an independent validator of the JSON Schema that the program exports for a sheet."""
    return jsonschema_rs.Draft202012Validator(json_schema(profile_of(sheet)))


def expected(sheet: Sheet, fault: object) -> str:
    """Return the slug by which a rule or a limit is reported."""
    if isinstance(fault, str):
        return fault
    assert isinstance(fault, tuple)
    path, key = fault
    role = sheet.fields[path].get("role", "")
    other = {"required": "missing-field", "min_items": "list-length", "max_items": "list-length"}
    return SLUGS.get(role, {}).get(key) or other.get(key, "value-not-taken")


def is_writable(fault: Fault) -> bool:
    """Say whether a film can ask for a request that is wrong by this alone."""
    if isinstance(fault.target, str):
        return fault.target not in NEVER_WRITTEN
    path, key = fault.target
    field = fault.sheet.fields[path]
    if key == "min_items":
        return bool(field[key] > 1)
    return key != "required" or field.get("role") not in ("prompt", "shot-prompt", "element-front")


@EVERY_SHEET
def test_what_a_sheet_takes_is_sent_as_it_was_written(sheet: Sheet) -> None:
    """No check refuses it, nothing is added, and the fields stand in the sheet's order."""

    @examples(12)
    @given(requests(sheet))
    def law(asked: Asked) -> None:
        note(write_film(asked))
        compilation = compile_asked(asked)
        assert slugs_of(compilation.diagnostics, "error") == []
        assert sent_by(compilation) == asked.arguments
        assert list(sent_by(compilation)) == list(asked.arguments)
        assert slugs_of(find_faults(asked), "error") == []

    law()


@EVERY_SHEET
def test_what_is_sent_satisfies_the_schema_of_its_sheet(sheet: Sheet) -> None:
    @examples(8)
    @given(requests(sheet))
    def law(asked: Asked) -> None:
        note(write_film(asked))
        (call,) = compile_asked(asked).calls
        assert [error.message for error in validator_of(sheet).iter_errors(call.arguments)] == []

    law()


@EVERY_SHEET
def test_the_sandbox_takes_what_the_checks_take(sheet: Sheet) -> None:
    @examples(8)
    @given(requests(sheet))
    def law(asked: Asked) -> None:
        note(write_film(asked))
        assert not compile_asked(asked).failed
        assert judge_remotely(asked) == ()

    law()


@EVERY_SHEET
def test_a_take_costs_what_the_sheet_says(sheet: Sheet) -> None:
    @examples(12)
    @given(requests(sheet))
    def law(asked: Asked) -> None:
        note(write_film(asked))
        compilation = compile_asked(asked)
        (call,) = compilation.calls
        assert Fraction(call.price_usd) == sheet.price(asked.arguments, asked.media)
        assert compilation.total_usd == call.price_usd == call.cost_usd

    law()


@pytest.mark.parametrize("fault", faults(), ids=str)
def test_what_breaks_one_rule_or_limit_is_reported_as_that_and_refused(fault: Fault) -> None:
    """A film that can say it gets that slug and no other error; the sandbox refuses it too, and takes what only warns."""
    sheet, target = fault.sheet, fault.target
    written: list[bool] = []

    @examples(2)
    @given(wrong_requests(fault))
    def law(asked: Asked) -> None:
        note(write_film(asked))
        compilation = compile_asked(asked)
        errors = slugs_of(compilation.diagnostics, "error")
        written.append(sent_by(compilation) == asked.arguments)
        wanted = sorted({expected(sheet, each) for each in asked.faults})
        if written[-1]:
            assert sorted(set(errors)) == wanted
            assert len(errors) == 1 or target not in sheet.errors
        elif not compilation.failed:
            # The film cannot say it; what it says in its place is sound.
            sent = msgspec.structs.replace(asked, arguments=sent_by(compilation))
            assert sent.faults == frozenset()
        if isinstance(target, str):
            found = find_faults(asked)
            assert slugs_of(found, "error") == wanted
            assert target in [diagnostic.slug for diagnostic in found]
        assert bool(judge_remotely(asked)) == bool(asked.faults)

    law()
    assert any(written) == is_writable(fault)


@pytest.mark.parametrize("sheet", [sheet for sheet in SHEETS.values() if "media" in sheet.raw], ids=str)
@pytest.mark.parametrize("kind", ["image", "video"])
def test_a_file_at_a_limit_is_taken_and_one_beyond_it_is_refused(sheet: Sheet, kind: str) -> None:
    """The sandbox measures an uploaded file by the same limits as the checks measure the file of the project."""
    limits = sheet.raw["media"].get(kind)
    if limits is None:
        assert not any(
            kind in (field.get("media"), field.get("items", {}).get("media")) for field in sheet.fields.values()
        )
        return
    edges = _edges(kind, limits)
    assert {key for key, *_ in edges} == set(limits) - {"source"}

    @examples(1)
    @given(requests_with_media(sheet, kind))
    def law(drawn: tuple[Asked, str]) -> None:
        asked, path = drawn
        for key, slug, inside, beyond in edges:
            note(f"{key}\n{write_film(asked)}")
            taken = _with_facts(asked, path, inside)
            assert slugs_of(compile_asked(taken).diagnostics, "error") == []
            assert judge_remotely(taken) == ()
            refused = _with_facts(asked, path, beyond)
            found = compile_asked(refused).diagnostics
            if key == "doubtful_kinds":
                assert slug in slugs_of(found, "warning")
                assert (slugs_of(found, "error"), judge_remotely(refused)) == ([], ())
                continue
            assert slugs_of(found, "error") == sorted({slug, *map(str, refused.faults)})
            assert judge_remotely(refused) != ()

    law()


def test_every_rule_and_every_limit_of_every_sheet_is_broken_by_some_strategy() -> None:
    """Counted in the text of the sheets, by line, so that no reader of them can lose any."""
    texts = {name: builtin_text(name) for name in builtin_names()} | {"lumen-film": FOREIGN, "wide-film": WIDE}
    assert set(texts) == set(SHEETS)
    for name, text in texts.items():
        covered = [fault.target for fault in faults() if fault.sheet.name == name]
        slugs = re.findall(r'(?m)^slug = "(.+)"', text)
        assert [target for target in covered if isinstance(target, str)] == slugs
        assert slugs == [rule.slug for rule in profile_of(SHEETS[name]).rules]
        fields = re.split(r"(?m)^\[\[", text[text.index("[fields.") :])[0]
        stated = re.findall(rf"(?m)^(?:{'|'.join(LIMITS)}) = ", fields)
        assert len([target for target in covered if isinstance(target, tuple)]) == len(stated)


def _with_facts(asked: Asked, path: str, facts: dict[str, Any]) -> Asked:
    files = {**asked.files, path: msgspec.structs.replace(asked.files[path], **facts)}
    return msgspec.structs.replace(asked, files=files)


def _edges(kind: str, limits: dict[str, Any]) -> list[tuple[str, str, dict[str, Any], dict[str, Any]]]:
    """Return for each limit of a kind of media its key, its slug, facts that just keep it and facts that do not."""
    good = {"kind": limits["kinds"][-1], "bytes": limits["max_bytes"]}
    edges: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
        ("kinds", "media-kind", good, {**good, "kind": "bmp"}),
        ("max_bytes", "media-too-large", good, {**good, "bytes": limits["max_bytes"] + 1}),
    ]
    for doubtful in limits.get("doubtful_kinds", ()):
        edges.append(("doubtful_kinds", "media-kind-doubtful", good, {**good, "kind": doubtful}))
    low = {"width": limits["min_width"], "height": limits["min_height"]}
    slug = "picture-too-small" if kind == "image" else "video-size"
    for side in ("width", "height"):
        edges.append((f"min_{side}", slug, low, {**low, side: low[side] - 1}))
        if kind == "video":
            high = {**low, side: limits[f"max_{side}"]}
            edges.append((f"max_{side}", slug, high, {**high, side: high[side] + 1}))
    if kind == "image":
        long = 100 * max(low.values())
        for key, pixel in (("min_aspect", -1), ("max_aspect", 1)):
            edge = int(limits[key] * long)
            beyond = {"width": edge + pixel, "height": long}
            edges.append((key, "picture-aspect", {"width": edge, "height": long}, beyond))
        return edges
    for fact, slug in (("seconds", "video-length"), ("frames_per_second", "video-rate")):
        for end, step in (("min", -0.01), ("max", 0.01)):
            bound = float(limits[f"{end}_{fact}"])
            edges.append((f"{end}_{fact}", slug, {fact: bound}, {fact: bound + step}))
    return edges
