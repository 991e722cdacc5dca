"""The JSON Schema of a sheet's requests says each rule that a schema can say, for fields in every place."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import pytest
from foreign_sheet import WIDE, load, replaced

from kling_dsl.sheets.schema import json_schema

RULE = """
[[rules]]
{rule}
confidence = "certain"
source = "page"
because = "it is so"
"""


def sheet(rule: str, text: str = WIDE) -> Any:
    """Return the schema of a sheet with one rule more in front of the others."""
    return json_schema(load(replaced("[[rules]]", RULE.format(rule=rule).lstrip() + "\n[[rules]]", text)))


def accepts(schema: Any, **arguments: Any) -> bool:
    whole = {"text": "Rain.", "length": "8", "speed": 1, **arguments}
    return bool(jsonschema_rs.validator_for(schema).is_valid(whole))


PICTURE = "https://media.example/a.png"


@pytest.mark.parametrize(
    ("most", "first", "both"),
    [(1, True, False), (2, True, True)],
)
def test_single_fields_that_count_together_are_limited(most: int, first: bool, both: bool) -> None:
    counts = "counts = { first = 1, last = 1 }"
    schema = sheet(f'kind = "at-most"\nslug = "few-frames"\n{counts}\nnoun = "frames"\nmax = {most}')
    assert accepts(schema, first=PICTURE) is first
    assert accepts(schema, first=PICTURE, last=PICTURE) is both
    assert accepts(schema)


def test_a_rule_with_more_ways_than_a_schema_can_hold_is_left_to_the_checks() -> None:
    counts = "counts = { scenes = 1, figures = 2, first = 3, last = 4, grain = 5, stock = 6, strict = 7 }"
    schema = sheet(f'kind = "at-most"\nslug = "few-things"\n{counts}\nnoun = "things"\nmax = 90')
    assert "few-things (error): it is so" in schema["$comment"]


def test_a_sheet_whose_rules_are_all_said_leaves_nothing_out() -> None:
    rules = WIDE[WIDE.index("[[rules]]") : WIDE.index("[[prices]]")]
    assert "$comment" not in json_schema(load(replaced(rules, "", WIDE)))
