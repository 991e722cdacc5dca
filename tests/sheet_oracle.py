"""Model sheets as the laws read them: straight from their TOML, with every rule, limit and price worked out anew.

Nothing of the program's own reading of a sheet is used here, so that a rule which the program loses is missed.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from typing import Any

from foreign_sheet import FOREIGN, WIDE

from kling_dsl import resources
from kling_dsl.sheets import Profiles
from kling_dsl.world import Media

LIMITS = ("required", "values", "min", "max", "max_characters", "min_items", "max_items")
"""The keys of a field by which a request can be wrong, types apart."""

Arguments = dict[str, Any]


class Sheet:
    """One sheet as its TOML says it."""

    def __init__(self, text: str) -> None:
        self.raw: dict[str, Any] = tomllib.loads(text, parse_float=Decimal)
        self.name: str = self.raw["name"]

    def __repr__(self) -> str:
        return self.name

    @cached_property
    def fields(self) -> dict[str, dict[str, Any]]:
        """Every field by its path, such as `elements.video_url`."""
        return dict(_fields(self.raw["fields"], ""))

    @cached_property
    def roles(self) -> dict[str, str]:
        """The path of the field that fills each role."""
        return {field["role"]: path for path, field in self.fields.items() if "role" in field}

    @cached_property
    def rules(self) -> dict[str, dict[str, Any]]:
        """Every cross-field rule by its slug."""
        return {rule["slug"]: rule for rule in self.raw.get("rules", ())}

    @cached_property
    def errors(self) -> frozenset[str]:
        """The slugs of the rules that are errors."""
        return frozenset(slug for slug, rule in self.rules.items() if rule.get("severity", "error") == "error")

    @cached_property
    def limits(self) -> tuple[tuple[str, str], ...]:
        """Every limit of a field, as the field's path and the key that states it."""
        return tuple((path, key) for path, field in self.fields.items() for key in LIMITS if key in field)

    @property
    def bills_videos(self) -> bool:
        """Whether the lengths of input videos are part of the bill."""
        return len(self.raw.get("billing", {}).get("seconds", ["output"])) > 1

    def limit(self, role: str, key: str) -> Any:
        """Return a limit of the field that fills a role; None where there is no such field or limit."""
        return self.fields[self.roles[role]].get(key) if role in self.roles else None

    def broken_rules(self, arguments: Arguments, media: Mapping[str, Media]) -> frozenset[str]:
        """Return the slugs of the rules that arguments break; `media` are the local files by their address."""
        return frozenset(slug for slug, rule in self.rules.items() if not holds(rule, arguments, media))

    def broken_limits(self, arguments: Arguments) -> frozenset[tuple[str, str]]:
        """Return the limits that arguments are outside of."""
        return frozenset(limit for limit in self.limits if not self._within(*limit, arguments))

    def price(self, arguments: Arguments, media: Mapping[str, Media]) -> Fraction:
        """Return the dollars of one take, in whole fractions: the first price whose conditions hold."""
        rate = next(
            price["usd_per_second"]
            for price in self.raw["prices"]
            if all(arguments.get(name) == value for name, value in price.get("when", {}).items())
            and all(found_at(arguments, path) for path in price.get("given", ()))
        )
        billing = self.raw.get("billing", {})
        seconds = Fraction(0)
        for path in billing.get("seconds", ["output"]):
            if path == "output":
                seconds += int(arguments[self.roles["duration"]])
            else:
                seconds += sum(Fraction(str(media[address].seconds)) for address in found_at(arguments, path))
        return Fraction(rate) * max(seconds, Fraction(billing.get("minimum_seconds", 0)))

    def _within(self, path: str, key: str, arguments: Arguments) -> bool:
        field, limit = self.fields[path], self.fields[path][key]
        table, _, name = path.rpartition(".")
        holders = [item for item in (found_at(arguments, table) if table else [arguments]) if isinstance(item, dict)]
        if key == "required":
            return not limit or all(name in holder for holder in holders)
        for holder in holders:
            if name not in holder:
                continue
            value = holder[name]
            if key == "values" and value not in limit:
                return False
            if key in ("min", "max"):
                number = Fraction(str(value))
                if (number < Fraction(limit)) if key == "min" else (number > Fraction(limit)):
                    return False
            if key in ("max_characters", "min_items", "max_items"):
                assert field["type"] in ("string", "list")
                if (len(value) < limit) if key == "min_items" else (len(value) > limit):
                    return False
        return True


def holds(rule: dict[str, Any], arguments: Arguments, media: Mapping[str, Media]) -> bool:
    """Say whether arguments keep a rule, warnings included."""
    kind = rule["kind"]
    if kind == "at-most":
        weight = sum(len(found_at(arguments, path)) * each for path, each in rule["counts"].items())
        given = rule.get("given")
        return weight <= rule["max"] or (given is not None and not any(found_at(arguments, path) for path in given))
    if kind == "sum-equals":
        parts, total = found_at(arguments, rule["of"]), found_at(arguments, rule["total"])
        return not parts or not total or sum(int(part) for part in parts) == int(total[0])
    if kind == "total-seconds":
        lengths = [Fraction(str(media[one].seconds)) for one in found_at(arguments, rule["of"]) if one in media]
        return not lengths or rule.get("min", 0) <= sum(lengths) <= rule.get("max", sum(lengths))
    if kind == "ignored-with":
        return not any(_differs(media.get(one), arguments[rule["field"]]) for one in _pictures(rule, arguments))
    return all(_holds_in(rule, table, scope) for table, scope in _tables(rule, arguments))


def found_at(arguments: Any, path: str) -> list[Any]:
    """Return what is given at a path, lists opened; null and the empty string are not given."""
    if isinstance(arguments, list):
        return [found for item in arguments for found in found_at(item, path)]
    if not path:
        return [] if arguments is None or arguments == "" else [arguments]
    if not isinstance(arguments, dict):
        return []
    first, _, rest = path.partition(".")
    return found_at(arguments.get(first), rest)


def read_all() -> dict[str, Sheet]:
    """Return every sheet that the laws are held to: those that ship with the program and two of other houses."""
    folder = resources.specs_path("models")
    texts = [path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.toml"))]
    return {sheet.name: sheet for sheet in map(Sheet, (*texts, FOREIGN, WIDE))}


SHEETS = read_all()
PROFILES = Profiles.of({"models/lumen-film.toml": FOREIGN, "models/wide-film.toml": WIDE})


def _fields(fields: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, field in fields.items():
        yield prefix + name, field
        yield from _fields(field.get("fields") or field.get("items", {}).get("fields", {}), f"{prefix}{name}.")


def _tables(rule: dict[str, Any], arguments: Arguments) -> Iterator[tuple[Any, int]]:
    """Yield the tables that a rule speaks of one by one, with how many characters of its paths lead there."""
    paths = [*rule.get("of", ()), *rule.get("needs", ()), *rule.get("others", ())]
    paths += [rule["field"]] if "field" in rule else []
    lists = {path.rpartition(".")[0] for path in paths}
    if len(lists) == 1 and (outer := lists.pop()):
        for item in found_at(arguments, outer):
            yield item, len(outer) + 1
    else:
        yield arguments, 0


def _holds_in(rule: dict[str, Any], table: Any, scope: int) -> bool:
    def given(paths: list[str]) -> int:
        return sum(bool(found_at(table, path[scope:])) for path in paths)

    if rule["kind"] == "exactly-one":
        return given(rule["of"]) == 1
    if rule["kind"] == "requires":
        return not given([rule["field"]]) or bool(given(rule["needs"]))
    assert rule["kind"] == "excludes", f"a kind of rule that the laws do not know: {rule['kind']}"
    return not given([rule["field"]]) or not given(rule["others"])


def _pictures(rule: dict[str, Any], arguments: Arguments) -> list[Any]:
    return [one for path in rule["given"] for one in found_at(arguments, path)] if rule["field"] in arguments else []


def _differs(media: Media | None, asked: str) -> bool:
    """Say whether a picture has another shape than was asked for, by more than two parts in a hundred."""
    if media is None:
        return False
    width, height = map(int, asked.split(":"))
    return abs(Fraction(media.width, media.height) / Fraction(width, height) - 1) > Fraction(2, 100)
