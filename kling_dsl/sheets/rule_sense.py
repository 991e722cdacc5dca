"""Whether the cross-field rules of a sheet speak of fields that exist and can be obeyed."""

from __future__ import annotations

import re
from collections.abc import Iterator

from kling_dsl.profiles import (
    AtMost,
    ExactlyOne,
    Excludes,
    Field,
    IgnoredWith,
    Profile,
    Requires,
    Rule,
    SumEquals,
    TotalSeconds,
)
from kling_dsl.sheets.mistakes import Mistake, Path
from kling_dsl.spelling import nearest

_SLUG = re.compile(r"[a-z][a-z0-9-]*\Z")


def rule_mistakes(profile: Profile) -> Iterator[Mistake]:
    """Check each rule: its slug, the fields it names, and its numbers."""
    slugs: set[str] = set()
    for at, rule in enumerate(profile.rules):
        path: Path = ("rules", at)
        if not _SLUG.match(rule.slug):
            yield Mistake((*path, "slug"), f'is "{rule.slug}", but a slug begins with a-z and has only a-z, 0-9 and -')
        elif rule.slug in slugs:
            yield Mistake((*path, "slug"), f'is "{rule.slug}", which another rule has already')
        slugs.add(rule.slug)
        if not rule.because.strip():
            yield Mistake((*path, "because"), "is empty")
        unknown = list(_unknown_fields(profile, rule, path))
        yield from unknown
        if not unknown:
            yield from _own_mistakes(profile, rule, path)


def unknown_field(profile: Profile, name: str, path: Path) -> Mistake:
    """Build the mistake of a path that names no field, with the nearest that there is."""
    near = nearest(name, profile.paths)
    return Mistake(path, f'is "{name}", which is no field', f"did you mean {near}?" if near else "")


def _unknown_fields(profile: Profile, rule: Rule, path: Path) -> Iterator[Mistake]:
    for key, names in _named(rule):
        if isinstance(names, str):
            if names not in profile.paths:
                yield unknown_field(profile, names, (*path, key))
            continue
        if not names and key != "given":
            yield Mistake((*path, key), "is empty")
        for at, name in enumerate(names):
            where = (*path, key, name if isinstance(names, dict) else at)
            if name not in profile.paths:
                yield unknown_field(profile, name, where)
            elif list(names).index(name) < at:
                yield Mistake(where, f"names {name} a second time")


def _named(rule: Rule) -> Iterator[tuple[str, str | tuple[str, ...] | dict[str, int]]]:
    """Return the keys of a rule that hold field paths, with what they hold."""
    for key in ("of", "total", "field", "needs", "others", "counts", "given"):
        names = getattr(rule, key, None)
        if names is not None:
            yield key, names


def _own_mistakes(profile: Profile, rule: Rule, path: Path) -> Iterator[Mistake]:
    if isinstance(rule, ExactlyOne):
        if len(rule.of) < 2:
            yield Mistake((*path, "of"), "names fewer than two fields, so that there is nothing to choose")
        yield from _scope_mistakes(rule.of, (*path, "of"))
    elif isinstance(rule, AtMost):
        yield from _at_most_mistakes(rule, path)
    elif isinstance(rule, Requires):
        if rule.field in rule.needs:
            yield Mistake((*path, "needs"), f"names {rule.field} itself")
    elif isinstance(rule, Excludes):
        if rule.field in rule.others:
            yield Mistake((*path, "others"), f"names {rule.field} itself")
    elif isinstance(rule, IgnoredWith):
        if rule.severity != "warning":
            yield Mistake((*path, "severity"), 'must be "warning": what is ignored is sent and paid all the same')
        if not rule.given or rule.field in rule.given:
            yield Mistake((*path, "given"), "must name other fields than the ignored one")
    elif isinstance(rule, SumEquals):
        for key, name in (("of", rule.of), ("total", rule.total)):
            field = profile.paths[name]
            if field.type != "integer" and field.role not in ("duration", "shot-duration"):
                yield Mistake((*path, key), f"is {name}, which is no whole number and no duration")
    elif isinstance(rule, TotalSeconds):
        yield from _total_mistakes(profile.paths[rule.of], rule, path)


def _at_most_mistakes(rule: AtMost, path: Path) -> Iterator[Mistake]:
    if rule.max < 1:
        yield Mistake((*path, "max"), f"is {rule.max}, but must be above 0")
    if not rule.noun.strip():
        yield Mistake((*path, "noun"), "is empty")
    for name, weight in rule.counts.items():
        if weight < 1:
            yield Mistake((*path, "counts", name), f"is {weight}, but a weight must be above 0")


def _total_mistakes(field: Field, rule: TotalSeconds, path: Path) -> Iterator[Mistake]:
    if "video" not in (field.media, field.items and field.items.media):
        yield Mistake((*path, "of"), f"is {rule.of}, which is no video")
    if rule.min is None and rule.max is None:
        yield Mistake(path, "lacks `min` and `max`, and so says nothing")
    elif rule.min is not None and rule.max is not None and rule.min > rule.max:
        yield Mistake((*path, "min"), f"is {rule.min}, above max, which is {rule.max}")
    elif any(limit is not None and limit < 0 for limit in (rule.min, rule.max)):
        yield Mistake(path, "has a length below 0")


def _scope_mistakes(names: tuple[str, ...], path: Path) -> Iterator[Mistake]:
    """Check that all fields of a choice lie in the same table: all at the top, or all inside one list."""
    if len({name.rpartition(".")[0] for name in names}) > 1:
        yield Mistake(path, "mixes fields of the request with fields inside a list")
