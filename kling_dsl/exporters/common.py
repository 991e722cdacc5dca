"""What the exported programs share: their data, their words about money, and literals that carry any text."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from kling_dsl.calls import Call
from kling_dsl.resources import specs_path

Escape = Callable[[str], str]
Words = Mapping[bool | None, str]
_LONGEST_LINE = 100
_MARK = re.compile(r"@@([A-Z]+)@@")
_STAND_IN = re.compile(r"asset:[0-9a-f]{64}/|frame:[a-z][a-z0-9-]*/end\Z")


def fill_template(name: str, parts: Mapping[str, str]) -> str:
    """Return the program `specs/programs/<name>` with its `@@MARKS@@` replaced in one pass: parts stay as they are."""
    template = specs_path("programs", name).read_text(encoding="utf-8")
    return _MARK.sub(lambda mark: parts[mark[1]], template)


def program_data(calls: Sequence[Call]) -> list[dict[str, Any]]:
    """Return the calls as plain JSON values, each with the places of its media.

    `media` holds one entry per stand-in of the arguments: `at` is its path there, and either `sha256` and `file` name a
    local file or `frame` names the clip whose last frame belongs there. Raises ValueError for a stand-in of no asset.
    """
    return [
        {
            "id": call.id,
            "endpoint": call.endpoint,
            "fingerprint": call.fingerprint,
            "takes": call.takes,
            "seconds": call.seconds,
            "price_usd": f"{call.price_usd:f}",
            "after": list(call.after),
            "media": list(_media_places(call)),
            "arguments": call.arguments,
        }
        for call in calls
    ]


def has_frames(calls: Sequence[Call]) -> bool:
    """Tell whether a call needs the last frame of another clip."""
    return any(call.after for call in calls)


def summary(calls: Sequence[Call], *, film: str) -> str:
    """Return what a program buys and costs, in a line such as `The Lantern: 3 clips, 22 s, $9.24 in total.`."""
    takes = sum(call.takes for call in calls)
    seconds = sum(call.seconds * call.takes for call in calls)
    cost = sum((call.cost_usd for call in calls), Decimal(0))
    counts = f"{_count(len(calls), 'clip')}, {_count(takes, 'take')}, {seconds} s"
    return _one_line(f"{film}: {counts}, ${_money(cost)} in total.")


def header(calls: Sequence[Call], *, film: str, root_note: str, prefix: str) -> str:
    """Return the comment that a program opens with: what it buys, clip by clip, every line after `prefix`."""
    lines = [f"Buys {summary(calls, film=film)}", ""]
    for call in calls:
        takes = f" x {call.takes} takes" if call.takes > 1 else ""
        lines.append(f"  {call.id}: {call.seconds} s{takes}, ${_money(call.cost_usd)}, {call.endpoint}")
        lines += [f"    needs the last frame of {name}, take 1" for name in call.after]
    if root_note:
        lines += ["", root_note]
    return "\n".join(f"{prefix} {_one_line(line)}".rstrip() for line in lines)


def json_literal(value: Any, *, escape: Escape | None = None, words: Words | None = None) -> str:
    """Return a value as indented JSON in which no character can disturb a terminal, a line or a reader.

    `escape` writes every character that is not printable ASCII; `words` spells True, False and None.
    """
    return _literal(value, "", escape or escape_as_json, words or {True: "true", False: "false", None: "null"})


def escape_as_json(letter: str) -> str:
    """Return a printable character as itself and any other as JSON's escape."""
    return letter if letter.isprintable() else escape_as_ascii(letter)


def escape_as_ascii(letter: str) -> str:
    """Return a character as JSON's escape, one above U+FFFF as its two halves."""
    units = letter.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def escape_as_python(letter: str) -> str:
    """Return a printable character as itself and any other as Python's escape, which has no halves."""
    if letter.isprintable():
        return letter
    return f"\\U{ord(letter):08x}" if ord(letter) > 0xFFFF else f"\\u{ord(letter):04x}"


def _media_places(call: Call) -> Iterator[dict[str, Any]]:
    files = {asset.address: asset for asset in call.assets}
    frames = {f"frame:{name}/end": name for name in call.after}
    for path, text in _texts(call.arguments, ()):
        if isinstance(path[-1], str) and path[-1].endswith("prompt"):
            continue  # a writer's words are never a stand-in, whatever they say
        if text in files:
            yield {"at": list(path), "sha256": files[text].sha256, "file": files[text].path}
        elif text in frames:
            yield {"at": list(path), "frame": frames[text]}
        elif _STAND_IN.match(text):
            raise ValueError(f"call {call.id}: {text} names no file and no clip of the call")


def _texts(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts(item, (*path, key))
    elif isinstance(value, (list, tuple)):
        for position, item in enumerate(value):
            yield from _texts(item, (*path, position))


def _literal(value: Any, indent: str, escape: Escape, words: Words) -> str:
    if isinstance(value, str):
        return _text_literal(value, escape)
    if value is None or isinstance(value, bool):
        return words[value]
    if isinstance(value, (int, Decimal)):
        return f"{value:f}" if isinstance(value, Decimal) else str(value)
    deeper = indent + "  "
    if isinstance(value, Mapping):
        opening, closing = "{", "}"
        items = [f"{_text_literal(k, escape)}: {_literal(v, deeper, escape, words)}" for k, v in value.items()]
    elif isinstance(value, (list, tuple)):
        opening, closing = "[", "]"
        items = [_literal(item, deeper, escape, words) for item in value]
    else:
        return json.dumps(value, allow_nan=False)
    flat = opening + ", ".join(items) + closing
    if len(indent) + len(flat) <= _LONGEST_LINE and "\n" not in flat and (not items or indent):
        return flat
    return opening + "".join(f"\n{deeper}{item}," for item in items).removesuffix(",") + f"\n{indent}{closing}"


def _text_literal(text: str, escape: Escape) -> str:
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(letter if " " <= letter <= "~" else escape(letter) for letter in quoted)


def _one_line(text: str) -> str:
    return "".join(escape_as_python(letter) for letter in text)


def _money(amount: Decimal) -> str:
    return f"{amount:.2f}" if amount == amount.quantize(Decimal("0.01")) else f"{amount.normalize():f}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
