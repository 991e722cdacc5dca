"""The proof by deletion finds everything that it has to delete, and leaves files that can be read."""

from __future__ import annotations

import ast
import re
import tomllib
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
from deletable import Deletion, find_deletions
from deletions import CHOSEN
from deletions_explained import EXPLAINED

from kling_dsl import checks
from kling_dsl.ledger.transitions import STEPS
from kling_dsl.profiles import Profile
from kling_dsl.sheets import builtin_names, load_builtin, load_sheet

ROOT = Path(__file__).resolve().parent.parent


@cache
def deletions() -> tuple[Deletion, ...]:
    return find_deletions(ROOT)


def cut(deletion: Deletion) -> bytes:
    return deletion.apply((ROOT / deletion.path).read_bytes())


@pytest.mark.parametrize("name", builtin_names())
def test_every_rule_and_every_price_of_a_sheet_is_deleted_once(name: str) -> None:
    whole = load_builtin(name)
    here = [one for one in deletions() if one.path == f"specs/models/{name}.toml"]
    rules, prices = ([one for one in here if one.kind == kind] for kind in ("rule", "price"))
    assert [re.findall(r'slug = "(.+?)"', one.text) for one in rules] == [[rule.slug] for rule in whole.rules]
    assert [one.text.count("usd_per_second") for one in prices] == [1] * len(whole.prices)
    # What is left is read whole for one of them: the rest are cut in the same way.
    sheet = tomllib.loads(cut(rules[0]).decode())
    assert [rule["slug"] for rule in sheet["rules"]] == [rule.slug for rule in whole.rules[1:]]
    assert len(sheet["prices"]) == len(whole.prices)


def test_a_limit_goes_alone() -> None:
    name = "specs/models/o3-4k.toml"
    (limit,) = [one for one in deletions() if one.text == "[fields.elements.items.fields.reference_image_urls] max_items = 3"
                and one.path == name]  # fmt: skip
    profile, diagnostics = load_sheet(cut(limit).decode(), file=name)
    assert isinstance(profile, Profile), diagnostics
    assert profile.paths["elements.reference_image_urls"].max_items is None
    assert profile.paths["elements.reference_image_urls"].min_items == 1


def test_every_check_of_the_tuple_and_every_step_of_a_take_is_deleted() -> None:
    texts = [deletion.text for deletion in deletions() if deletion.path == "kling_dsl/checks/__init__.py"]
    assert {f"{check.__name__}," for check in checks.FIELD_CHECKS} <= {*texts}
    asked = {one.text.partition("(")[0] for one in deletions() if one.kind == "check"}
    assert {f"checks.{name}" for name in checks.__all__ if name.startswith("check_")} - asked <= {
        # Chosen by a name of its own where it is asked.
        *("checks.check_picture", "checks.check_video")
    }
    steps = [one for one in deletions() if one.kind == "step" and one.text.startswith("Step(")]
    assert len(steps) == sum(map(len, STEPS.values()))


def test_every_file_can_still_be_read() -> None:
    """One deletion of each shape, where reading them all would take long."""
    shapes = {(one.kind, one.path, one.instead, one.text.split("(")[0][:20]): one for one in deletions()}
    assert len(shapes) > 100
    for deletion in list(shapes.values())[::8]:
        text = cut(deletion).decode()
        if deletion.path.endswith(".py"):
            ast.parse(text)
        else:
            tomllib.loads(text)


def test_nothing_is_deleted_twice() -> None:
    places = Counter((one.path, one.start, one.end, one.instead) for one in deletions() if one.kind != "finding")
    assert [place for place, count in places.items() if count > 1] == []


def test_each_kind_has_its_tests() -> None:
    assert {one.kind for one in deletions()} == {*CHOSEN}
    named = {name for files in CHOSEN.values() for name in files}
    assert [name for name in named if not (ROOT / "tests" / f"{name}.py").exists()] == []


def test_what_is_explained_is_still_there() -> None:
    texts = {(one.path.rpartition("/")[2], one.text) for one in deletions()}
    gone = [
        (name, begins)
        for places in EXPLAINED.values()
        for name, beginnings in places.items()
        for begins in beginnings
        if not any(file == name and text.startswith(begins) for file, text in texts)
    ]
    assert gone == []
