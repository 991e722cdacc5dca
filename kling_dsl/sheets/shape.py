"""Whether keys and kinds of values of a parsed sheet are those of the format: every mistake, not the first."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import inspect

from kling_dsl.profiles import Profile
from kling_dsl.sheets.mistakes import Mistake, Path
from kling_dsl.spelling import nearest

_DEEPEST = 12
_LARGEST = 2**53
"""Whole numbers above this are not the same in every reader of JSON."""

_MOST_DIGITS = 15


def shape_mistakes(raw: dict[str, Any]) -> Iterator[Mistake]:
    """Find unknown and missing keys and values of the wrong kind in what TOML gave for a whole sheet."""
    yield from _value(raw, _whole_sheet(), ())


@functools.cache
def _whole_sheet() -> inspect.Type:
    return inspect.type_info(Profile)


def _value(value: object, wanted: inspect.Type, path: Path) -> Iterator[Mistake]:
    if len(path) > _DEEPEST:
        yield Mistake(path, "is nested too deeply")
        return
    if isinstance(wanted, inspect.UnionType):
        structs = [option for option in wanted.types if isinstance(option, inspect.StructType)]
        if structs:
            yield from _tagged(value, structs, path)
            return
    if isinstance(wanted, inspect.StructType):
        yield from _table(value, wanted, path)
    elif isinstance(wanted, inspect.DictType):
        yield from _dictionary(value, wanted, path)
    elif isinstance(wanted, inspect.VarTupleType | inspect.TupleType):
        yield from _array(value, wanted, path)
    else:
        yield from _leaf(value, wanted, path)


def _tagged(value: object, structs: list[inspect.StructType], path: Path) -> Iterator[Mistake]:
    """Check one table of a union of tables: the only one there is, or the one that its tag field names."""
    if len(structs) == 1:
        yield from _table(value, structs[0], path)
        return
    if not isinstance(value, dict):
        yield Mistake(path, f"must be a table, not {_shown(value)}")
        return
    field = str(structs[0].tag_field)
    by_tag = {str(struct.tag): struct for struct in structs}
    if field not in value:
        yield Mistake(path, f"lacks `{field}`", f"one of {', '.join(by_tag)}")
    elif not isinstance(value[field], str) or value[field] not in by_tag:
        near = nearest(str(value[field]), by_tag)
        hint = f"did you mean {near}?" if near else f"one of {', '.join(by_tag)}"
        yield Mistake((*path, field), f"is {_shown(value[field])}, which is no kind of rule", hint)
    else:
        yield from _table(value, by_tag[value[field]], path)


def _table(value: object, wanted: inspect.StructType, path: Path) -> Iterator[Mistake]:
    if not isinstance(value, dict):
        yield Mistake(path, f"must be a table, not {_shown(value)}")
        return
    known = {field.encode_name: field for field in wanted.fields}
    misspelt = set()
    for key, inner in value.items():
        if key in known:
            yield from _value(inner, known[key].type, (*path, key))
        elif key != wanted.tag_field:
            near = nearest(key, [name for name in known if name not in value])
            misspelt.add(near)
            hint = f"did you mean {near}?" if near else f"known here: {', '.join(known)}"
            yield Mistake((*path, key), "is no key of the sheet format", hint)
    missing = [name for name, field in known.items() if field.required and name not in value and name not in misspelt]
    if missing:
        yield Mistake(path, f"lacks {', '.join(f'`{name}`' for name in missing)}")


def _dictionary(value: object, wanted: inspect.DictType, path: Path) -> Iterator[Mistake]:
    if not isinstance(value, dict):
        yield Mistake(path, f"must be a table, not {_shown(value)}")
        return
    for key, inner in value.items():
        if not key.isprintable():
            yield Mistake(path, "has a key with a control character or a line break")
        yield from _value(inner, wanted.value_type, (*path, key))


def _array(value: object, wanted: inspect.VarTupleType | inspect.TupleType, path: Path) -> Iterator[Mistake]:
    if not isinstance(value, list):
        yield Mistake(path, f"must be a list in [ ], not {_shown(value)}")
        return
    if isinstance(wanted, inspect.TupleType):
        if len(value) != len(wanted.item_types):
            yield Mistake(path, f"must have {len(wanted.item_types)} items, not {len(value)}")
            return
        kinds = list(wanted.item_types)
    else:
        kinds = [wanted.item_type] * len(value)
    for at, (inner, kind) in enumerate(zip(value, kinds, strict=True)):
        yield from _value(inner, kind, (*path, at))


def _leaf(value: object, wanted: inspect.Type, path: Path) -> Iterator[Mistake]:
    options = [
        option
        for option in (wanted.types if isinstance(wanted, inspect.UnionType) else (wanted,))
        if not isinstance(option, inspect.NoneType)
    ]
    if isinstance(value, str) and not value.isprintable():
        yield Mistake(path, "has a control character or a line break")
    elif isinstance(value, Decimal) and not _is_sane(value):
        yield Mistake(path, f"is {_shown(value)}, which is no number to count with")
    elif not any(_fits(value, option) for option in options):
        words = " or ".join(dict.fromkeys(_named(option) for option in options))
        hint = ""
        if isinstance(value, str) and all(isinstance(option, inspect.LiteralType) for option in options):
            names = [
                str(name) for option in options if isinstance(option, inspect.LiteralType) for name in option.values
            ]
            near = nearest(value, names)
            hint = f"did you mean {near}?" if near else ""
        yield Mistake(path, f"is {_shown(value)}, but must be {words}", hint)


def _fits(value: object, wanted: inspect.Type) -> bool:
    if isinstance(wanted, inspect.StrType):
        return isinstance(value, str)
    if isinstance(wanted, inspect.BoolType):
        return isinstance(value, bool)
    if isinstance(wanted, inspect.LiteralType):
        return any(value == name and type(value) is type(name) for name in wanted.values)
    if isinstance(value, bool):
        return False
    if isinstance(wanted, inspect.IntType):
        return isinstance(value, int) and abs(value) < _LARGEST
    return isinstance(value, Decimal) or (isinstance(value, int) and abs(value) < _LARGEST)


def _is_sane(value: Decimal) -> bool:
    """Say whether a decimal is finite and of a length that later arithmetic can bear."""
    return value.is_finite() and -_MOST_DIGITS < value.adjusted() < _MOST_DIGITS and len(value.as_tuple().digits) <= 30


def _named(wanted: inspect.Type) -> str:
    if isinstance(wanted, inspect.StrType):
        return "text in quotes"
    if isinstance(wanted, inspect.BoolType):
        return "true or false"
    if isinstance(wanted, inspect.LiteralType):
        return "one of " + ", ".join(_shown(value) for value in wanted.values)
    return "a whole number" if isinstance(wanted, inspect.IntType) else "a number"


def _shown(value: object) -> str:
    """Show a TOML value in a few words."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = msgspec.json.encode(value).decode() if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."
