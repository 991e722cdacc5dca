"""SARIF 2.1.0, held to the rules of its specification and schema."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kling_dsl.diagnostics import Diagnostic, Edit, Fix, Note, error, warning
from kling_dsl.reports.diagnostics_sarif import render_sarif
from kling_dsl.source import Span

RULES = jsonschema_rs.validator_for(
    (Path(__file__).parent / "data" / "sarif-rules.schema.json").read_text(encoding="utf-8"), validate_formats=True
)
PAGE = "# unknown-reference\n\nerror: A name that nothing declares.\n\nProse with {braces}.\n"
PLACE = Span("films/the lantern.kling", 12, 3, 12, 8)
FULL = error(
    "unknown-reference",
    "@Mria is declared nowhere",
    PLACE,
    label="no such name",
    also=(Span("films/the lantern.kling", 14, 1, 14, 6),),
    notes=(Note("Mira is declared here", Span("cast.kling", 1, 11, 1, 15)), Note("2 names are near")),
    hint="did you mean @Mira?",
    fix=Fix("write @Mira", (Edit(PLACE, "@Mira"), Edit(Span("cast.kling", 1, 1, 1, 1), "# {x}\n"))),
)


def log_of(*diagnostics: Diagnostic) -> Any:
    """Render diagnostics, and hold the log to every rule of SARIF that the project knows."""
    data = render_sarif(diagnostics, version="0.1.0", help_text={"unknown-reference": PAGE}.get)
    log = json.loads(data)
    assert broken_rules(log) == []
    return log


def broken_rules(log: Any) -> list[str]:
    """Return what is wrong with a log: by the schema, then by the rules that reach from one object to another."""
    problems = [f"{error.instance_path}: {error.message}" for error in RULES.iter_errors(log)]
    return problems or [problem for run in log["runs"] for problem in _broken_links(run)]


def _broken_links(run: Any) -> Iterator[str]:
    rules = run["tool"]["driver"]["rules"]
    if len({rule["id"] for rule in rules}) != len(rules):
        yield "two rules have one id"
    for result in run["results"]:
        if not 0 <= result["ruleIndex"] < len(rules):
            yield f"ruleIndex {result['ruleIndex']} is outside the rules"
        elif rules[result["ruleIndex"]]["id"] != result["ruleId"]:
            yield f"ruleIndex {result['ruleIndex']} is not {result['ruleId']}"
        ids = [location["id"] for location in result.get("relatedLocations", ())]
        if len(set(ids)) != len(ids):
            yield "two related locations have one id"
    for artifact in _all(run, "artifactLocation"):
        base = artifact.get("uriBaseId")
        if base is not None and base not in run["originalUriBaseIds"]:
            yield f"uriBaseId {base} is declared nowhere"
        if base is not None and (artifact["uri"].startswith("/") or ":" in artifact["uri"].split("/")[0]):
            yield f"{artifact['uri']} is not relative"
    for region in [*_all(run, "region"), *_all(run, "deletedRegion")]:
        if (region["endLine"], region["endColumn"]) < (region["startLine"], region["startColumn"]):
            yield f"{region} ends before it begins"


def _all(value: Any, key: str) -> Iterator[Any]:
    """Return every value under `key`, however deep."""
    if isinstance(value, dict):
        if key in value:
            yield value[key]
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from _all(one, key)


def test_a_full_diagnostic_becomes_a_result_with_its_rule() -> None:
    (run,) = log_of(FULL)["runs"]
    assert run["columnKind"] == "unicodeCodePoints"
    assert run["tool"]["driver"] == {
        "name": "kling",
        "version": "0.1.0",
        "rules": [
            {
                "id": "unknown-reference",
                "shortDescription": {"text": "A name that nothing declares."},
                "defaultConfiguration": {"level": "error"},
                "help": {"text": PAGE, "markdown": PAGE},
            }
        ],
    }
    (result,) = run["results"]
    assert (result["ruleId"], result["ruleIndex"], result["level"]) == ("unknown-reference", 0, "error")
    assert result["message"]["text"] == "@Mria is declared nowhere\nNote: 2 names are near\nHint: did you mean @Mira?"
    assert result["locations"] == [
        {
            "physicalLocation": {
                "artifactLocation": {"uri": "films/the%20lantern.kling", "uriBaseId": "SRCROOT"},
                "region": {"startLine": 12, "startColumn": 3, "endLine": 12, "endColumn": 8},
            },
            "message": {"text": "no such name"},
        }
    ]
    assert [(one["id"], one["message"]["text"]) for one in result["relatedLocations"]] == [
        (1, "no such name"),
        (2, "Mira is declared here"),
    ]


def test_a_fix_has_one_change_for_each_file() -> None:
    (fix,) = log_of(FULL)["runs"][0]["results"][0]["fixes"]
    assert fix["description"] == {"text": "write @Mira"}
    assert [change["artifactLocation"]["uri"] for change in fix["artifactChanges"]] == [
        "films/the%20lantern.kling",
        "cast.kling",
    ]
    assert fix["artifactChanges"][1]["replacements"] == [
        {
            "deletedRegion": {"startLine": 1, "startColumn": 1, "endLine": 1, "endColumn": 1},
            "insertedContent": {"text": "# {x}\n"},
        }
    ]


def test_each_slug_is_one_rule_and_results_point_at_it() -> None:
    (run,) = log_of(warning("zoom", "z", PLACE), error("audio-off", "a", PLACE), warning("zoom", "again", PLACE))[
        "runs"
    ]
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["audio-off", "zoom"]
    assert [result["ruleIndex"] for result in run["results"]] == [1, 0, 1]
    assert [rule["shortDescription"]["text"] for rule in run["tool"]["driver"]["rules"]] == ["audio off", "zoom"]


def test_a_run_without_results_still_lists_them() -> None:
    (run,) = log_of()["runs"]
    assert (run["results"], run["tool"]["driver"]["rules"]) == ([], [])


@pytest.mark.parametrize(
    ("file", "uri"),
    [
        ("a b.kling", "a%20b.kling"),
        ("scene: one.kling", "scene%3A%20one.kling"),
        ("50%#?.kling", "50%25%23%3F.kling"),
        ("films/Zoë/美咲.kling", "films/Zo%C3%AB/%E7%BE%8E%E5%92%B2.kling"),
        ("caf\udce9.kling", "caf%ED%B3%A9.kling"),
    ],
)
def test_a_path_is_a_relative_uri(file: str, uri: str) -> None:
    (result,) = log_of(error("s", "m", Span(file, 1, 1, 1, 2)))["runs"][0]["results"]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"] == {"uri": uri, "uriBaseId": "SRCROOT"}


def test_an_absolute_path_is_a_uri_without_a_base() -> None:
    (result,) = log_of(error("s", "m", Span("/tmp/a b.kling", 1, 1, 1, 2)))["runs"][0]["results"]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"] == {"uri": "file:///tmp/a%20b.kling"}


def test_a_diagnostic_of_no_file_has_no_location_and_no_fix() -> None:
    nowhere = Span("", 0, 0, 0, 0)
    (result,) = log_of(
        error("s", "m", nowhere, also=(nowhere,), notes=(Note("n", nowhere),), fix=Fix("f", (Edit(nowhere, "x"),)))
    )["runs"][0]["results"]
    assert result["locations"] == []
    assert result["message"] == {"text": "m\nNote: n"}
    assert not {"relatedLocations", "fixes"} & set(result)


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ("{{ city }} is undefined", "{{{{ city }}}} is undefined"),
        ("{0}", "{{0}}"),
        ("[here](1) and [there]", r"\[here](1) and [there]"),
        ("\x1b[31m\u202e", r"\x1b[31m\u202e"),
        ("two\nlines", "two\nlines"),
    ],
)
def test_a_message_holds_no_argument_no_link_and_nothing_to_obey(message: str, text: str) -> None:
    assert log_of(error("s", message, PLACE))["runs"][0]["results"][0]["message"]["text"] == text


_SPANS = st.builds(Span, st.text(max_size=5), *([st.integers(-2, 50)] * 4))


@settings(deadline=None)
@given(st.text(), st.text(), _SPANS, _SPANS)
def test_any_diagnostic_makes_a_log_that_keeps_the_rules(message: str, text: str, span: Span, other: Span) -> None:
    diagnostic = error(
        "some-slug",
        f"m{message}",
        span,
        label=text,
        notes=(Note(f"n{text}", other),),
        fix=Fix("t", (Edit(other, text),)),
    )
    (result,) = log_of(diagnostic)["runs"][0]["results"]
    for location in result["locations"]:
        uri = location["physicalLocation"]["artifactLocation"]["uri"]
        assert unquote(uri.removeprefix("file://"), errors="surrogatepass") == span.file


def _first_result(log: Any) -> Any:
    return log["runs"][0]["results"][0]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda log: log.pop("version"),
        lambda log: log.update(version="2.0.0"),
        lambda log: log["runs"][0].pop("tool"),
        lambda log: log["runs"][0]["tool"]["driver"].pop("name"),
        lambda log: log["runs"][0].update(columnKind="codePoints"),
        lambda log: log["runs"][0].update(column_kind="unicodeCodePoints"),
        lambda log: log["runs"][0].update(originalUriBaseIds={}),
        lambda log: _first_result(log).pop("message"),
        lambda log: _first_result(log)["message"].update(text="{0}"),
        lambda log: _first_result(log).update(level="fatal"),
        lambda log: _first_result(log).update(ruleIndex=1),
        lambda log: _first_result(log).update(ruleId="other"),
        lambda log: _first_result(log)["locations"][0]["physicalLocation"]["region"].update(startLine=0),
        lambda log: _first_result(log)["locations"][0]["physicalLocation"]["region"].update(endColumn=1),
        lambda log: _first_result(log)["locations"][0]["physicalLocation"]["artifactLocation"].update(uri="a b.kling"),
        lambda log: _first_result(log)["relatedLocations"][1].update(id=1),
        lambda log: _first_result(log)["fixes"][0].pop("artifactChanges"),
        lambda log: _first_result(log)["fixes"][0]["artifactChanges"][0].update(replacements=[]),
    ],
)
def test_the_rules_refuse_a_spoilt_log(spoil: Callable[[Any], None]) -> None:
    log = log_of(FULL)
    spoil(log)
    assert broken_rules(log)
