"""Compares the arguments of two requests field by field, and prose word by word."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from kling_dsl.calls import Call
from kling_dsl.history.values import Field, Piece

MAX_EQUAL_PAIRS = 50_000
"""How often a word of one text may be one of the other: a text of one word again and again is not marked word by word.

A prompt of four hundred words has some three thousand such pairs."""

_FRAME = re.compile(r"frame:(.+)/end\Z", re.DOTALL)
_ASSET = re.compile(r"asset:([0-9a-f]*)/(.*)\Z", re.DOTALL)


class _Leaf(msgspec.Struct, frozen=True):
    """A value at the end of a path: what makes it the same as another one, what is shown of it, its digest."""

    same: object
    shown: str
    sha256: str = ""


def compare_requests(old: Call, new: Call, names: Mapping[str, str]) -> tuple[Field, ...]:
    """Return the fields in which two requests differ; `names` has the ids of the old clips as they are now."""
    one = dict(_leaves(old.arguments, "", _paths_of(old), names))
    other = dict(_leaves(new.arguments, "", _paths_of(new), {}))
    found = [
        Field(path, before, after)
        for path, before, after in (("model", old.model, new.model), ("endpoint", old.endpoint, new.endpoint))
        if before != after
    ]
    for path in dict.fromkeys((*other, *one)):
        before, after = one.get(path), other.get(path)
        if before is None or after is None or before.same != after.same:
            found.append(_field(path, before, after))
    return tuple(found)


def mark_words(old: str, new: str) -> tuple[Piece, ...]:
    """Return two texts as one, with the words that went and those that came marked; empty for what is no prose.

    The words of a piece are parted by single spaces, as are the pieces.
    """
    import difflib

    one, other = old.split(), new.split()
    counts = Counter(other)
    if min(len(one), len(other)) < 2 or sum(counts[word] for word in one) > MAX_EQUAL_PAIRS:
        return ()
    pieces: list[Piece] = []
    for what, start, end, from_, to in difflib.SequenceMatcher(None, one, other, False).get_opcodes():
        if what == "equal":
            pieces.append(Piece("same", " ".join(other[from_:to])))
            continue
        if end > start:
            pieces.append(Piece("removed", " ".join(one[start:end])))
        if to > from_:
            pieces.append(Piece("added", " ".join(other[from_:to])))
    # Texts that differ in their spaces alone have no word to mark.
    return tuple(pieces) if any(piece.kind != "same" for piece in pieces) else ()


def price_field(old: Decimal, new: Decimal) -> Field:
    """Return the field for a request that did not change and whose price did."""
    from kling_dsl.money import decimal_string

    return Field("price_usd", decimal_string(old), decimal_string(new))


def _field(path: str, old: _Leaf | None, new: _Leaf | None) -> Field:
    prose = old is not None and new is not None and not old.sha256 and not new.sha256
    return Field(
        path,
        old.shown if old is not None else None,
        new.shown if new is not None else None,
        old_sha256=old.sha256 if old is not None else "",
        new_sha256=new.sha256 if new is not None else "",
        words=mark_words(old.shown, new.shown) if old is not None and new is not None and prose else (),
    )


def _leaves(value: Any, path: str, paths: Mapping[str, str], names: Mapping[str, str]) -> Iterator[tuple[str, _Leaf]]:
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _leaves(inner, f"{path}.{name}" if path else name, paths, names)
    elif isinstance(value, list) and value:
        for at, inner in enumerate(value):
            yield from _leaves(inner, f"{path}[{at}]", paths, names)
    elif isinstance(value, str):
        yield path, _text_leaf(value, paths, names)
    else:
        # A number and the same digits in quotes are two requests.
        written = msgspec.json.encode(value).decode("utf-8")
        yield path, _Leaf((type(value), written), written)


def _text_leaf(value: str, paths: Mapping[str, str], names: Mapping[str, str]) -> _Leaf:
    if match := _ASSET.match(value):
        # The name of a file is not part of the request: its content is.
        return _Leaf(("asset", match[1]), paths.get(value, match[2]), match[1])
    if match := _FRAME.match(value):
        name = names.get(match[1], match[1])
        return _Leaf(("frame", name), f"end of {name}")
    return _Leaf(value, value)


def _paths_of(call: Call) -> dict[str, str]:
    return {asset.address: asset.path for asset in call.assets}
