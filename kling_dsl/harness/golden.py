"""Keeps the requests of a film in a file beside it, and says which clip and which field differ from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from kling_dsl.calls import Call
from kling_dsl.checks import Stated
from kling_dsl.diagnostics import Diagnostic, Note, error
from kling_dsl.durable import write_whole
from kling_dsl.harness.judging import MAX_NOTES
from kling_dsl.reports.escaping import safe_json
from kling_dsl.source import Span
from kling_dsl.world import Unreadable, World

ENDING = ".golden.json"
_AROUND = 30
"""Characters of a text before the first one that differs, and after it, that are shown."""


class Kept(msgspec.Struct, frozen=True):
    """A request as it is kept: what is sent, without what it costs and where it is written."""

    id: str
    endpoint: str
    takes: int
    references: dict[str, str]
    arguments: dict[str, Any]


class _Golden(msgspec.Struct, frozen=True):
    """The content of a file of golden requests."""

    film: str
    requests: tuple[Kept, ...]


def golden_path(script: str) -> str:
    """Return where the golden requests of a film or of a test file are kept, from the project's root."""
    return script.removesuffix(".kling") + ENDING


def write_golden(root: Path, script: str, calls: Sequence[Call], *, title: str) -> Path:
    """Write the requests anew, whole or not at all; raises OSError when they cannot be written."""
    path = root / golden_path(script)
    golden = _Golden(title, tuple(_kept(call) for call in calls))
    content = safe_json(msgspec.json.format(msgspec.json.encode(golden), indent=2) + b"\n")
    write_whole(path, content, mode=0o666)
    return path


def compare_golden(stated: Stated, script: str, calls: Sequence[Call], *, world: World) -> Diagnostic | None:
    """Return what differs between a film's requests and those that are kept, or None."""
    path = golden_path(script)
    text = world.read_text(path)
    if isinstance(text, Unreadable):
        what = f"there is no {path}" if text.reason == "missing" else f"{path} {text.message}"
        return _failed(stated, f"{what}, with which the requests could be compared", ())
    try:
        golden = msgspec.json.decode(text, type=_Golden)
    except (msgspec.DecodeError, msgspec.ValidationError, RecursionError) as problem:
        return _failed(stated, f"{path} holds no requests: {problem}", ())
    notes = [*_differences(golden.requests, calls)]
    if not notes:
        return None
    clips = len({note.message.partition(":")[0] for note in notes})
    message = f"{clips} request{'' if clips == 1 else 's'} differ{'s' if clips == 1 else ''} from {path}"
    shown = tuple(notes[:MAX_NOTES])
    if len(notes) > MAX_NOTES:
        shown = (*shown, Note(f"and {len(notes) - MAX_NOTES} more differences"))
    return _failed(stated, message, shown)


def _failed(stated: Stated, message: str, notes: tuple[Note, ...]) -> Diagnostic:
    hint = "when the film is right as it is, `kling test --update-golden` writes them anew; read the difference"
    return error("expect-failed", message, stated.span, notes=notes, hint=hint)


def _kept(call: Call) -> Kept:
    return Kept(call.id, call.endpoint, call.takes, call.references, call.arguments)


def _differences(before: Sequence[Kept], calls: Sequence[Call]) -> Iterator[Note]:
    """Yield a note for each difference, which begins with the clip's id."""
    kept = {request.id: request for request in before}
    now = {call.id: call for call in calls}
    for name in kept:
        if name not in now:
            yield Note(f"{name}: is kept, and the film asks for no such clip")
    for call in calls:
        span = Span(call.file, call.line, 1, call.line, 2)
        old = kept.get(call.id)
        if old is None:
            yield Note(f"{call.id}: is not kept", span)
            continue
        # What was kept went through JSON, so what is now goes through it as well.
        pairs = zip(*(_plain(request) for request in (old, _kept(call))), strict=True)
        for (field, left), (_, right) in pairs:
            for path, one, other in _unlike(left, right, field):
                yield Note(f"{call.id}: {path} was {_shown(one, other)}, and is {_shown(other, one)}", span)


def _plain(request: Kept) -> list[tuple[str, Any]]:
    value: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(request))
    return [(name, value[name]) for name in ("endpoint", "takes", "arguments", "references")]


_NOTHING = object()


def _unlike(left: Any, right: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    """Yield the path of each part that is not the same in two values, with both."""
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        for key in dict.fromkeys((*left, *right)):
            inner = f"{path}.{key}" if path != "arguments" else str(key)
            yield from _unlike(left.get(key, _NOTHING), right.get(key, _NOTHING), inner)
    elif isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        for number, (one, other) in enumerate(zip(left, right, strict=True), 1):
            yield from _unlike(one, other, f"{path}[{number}]")
    elif left != right or type(left) is not type(right):
        yield path, left, right


def _shown(value: Any, other: Any) -> str:
    """Show a value, and of a long text what is around the first character that differs from the other's."""
    if value is _NOTHING:
        return "not sent"
    if not isinstance(value, str):
        text = msgspec.json.encode(value).decode("utf-8")
        return text if len(text) <= 4 * _AROUND else text[: 4 * _AROUND] + "…"
    at = 0
    if isinstance(other, str):
        at = next(
            (n for n, (a, b) in enumerate(zip(value, other, strict=False)) if a != b), min(len(value), len(other))
        )
    start, end = max(0, at - _AROUND), at + 2 * _AROUND
    return f'"{"…" * (start > 0)}{value[start:end]}{"…" * (end < len(value))}"'
