"""What the program tells its users word for word, kept in golden files that one reads before keeping them.

A file has sections, `=== name` and the text below it. `KLING_UPDATE_GOLDEN=1` writes the sections of the tests that are
run anew; those of cases that are gone are taken out by `test_nothing_is_kept_of_cases_that_are_gone` of each user.
"""

from __future__ import annotations

import fcntl
import functools
import json
import os
import re
from collections.abc import Collection, Iterable
from pathlib import Path

from kling_dsl.calls import Call
from kling_dsl.diagnostics import Diagnostic
from kling_dsl.source import Span

UPDATE = os.environ.get("KLING_UPDATE_GOLDEN") == "1"
ADVICE = "KLING_UPDATE_GOLDEN=1 writes the words anew; read the difference"

_DIGEST = re.compile(r"asset:(?P<kept>[0-9a-f]{6})[0-9a-f]{58}")


def in_full(diagnostics: Iterable[Diagnostic]) -> str:
    """Return everything that diagnostics say, with every place, in lines."""
    return "".join(f"{line}\n" for diagnostic in diagnostics for line in _lines(diagnostic))


def in_calls(calls: Iterable[Call]) -> str:
    """Return everything that calls send, cost and bind, in lines; a digest is shortened."""
    return "".join(f"{line}\n" for call in calls for line in _call_lines(call))


def check_kept(path: Path, name: str, text: str) -> None:
    """Assert that a section of a golden file has this text; an empty text has no section."""
    if UPDATE:
        _keep(path, {name: text})
    assert text == (_read(path) if UPDATE else _kept(path)).get(name, ""), ADVICE


def check_no_others(path: Path, names: Collection[str]) -> None:
    """Assert that a golden file has no sections but these."""
    gone = [name for name in _read(path) if name not in names]
    if UPDATE:
        _keep(path, dict.fromkeys(gone, ""))
        return
    assert gone == [], ADVICE


def _lines(diagnostic: Diagnostic) -> Iterable[str]:
    yield f"{in_place(diagnostic.span)} {diagnostic.severity}[{diagnostic.slug}]: {diagnostic.message}"
    if diagnostic.label:
        yield f"    label: {diagnostic.label}"
    if diagnostic.also:
        yield f"    also: {', '.join(map(in_place, diagnostic.also))}"
    for note in diagnostic.notes:
        yield f"    note: {note.message}" + (f" at {in_place(note.span)}" if note.span else "")
    if diagnostic.hint:
        yield f"    hint: {diagnostic.hint}"
    if diagnostic.fix is not None:
        yield f"    fix: {diagnostic.fix.title}"
        for edit in diagnostic.fix.edits:
            yield f"        {in_place(edit.span)} {edit.text!r}"


def _call_lines(call: Call) -> Iterable[str]:
    price = f"{call.takes} x ${call.price_usd}" if call.takes > 1 else f"${call.price_usd}"
    yield f"{call.id} (line {call.line}) {call.model}, {call.seconds} s, {price}, {call.fingerprint[:12]}"
    if call.scene:
        yield f"    scene: {call.scene}"
    if call.references:
        yield f"    binds: {', '.join(f'{name} as {tag}' for name, tag in call.references.items())}"
    if call.after:
        yield f"    after: {', '.join(call.after)}"
    for name, value in call.arguments.items():
        yield f"    {name}: {_DIGEST.sub(_shorten, json.dumps(value, ensure_ascii=False))}"


def _shorten(digest: re.Match[str]) -> str:
    return f"asset:{digest['kept']}"


def in_place(span: Span) -> str:
    """Return where a span begins and ends."""
    return f"{span.file}:{span.line}:{span.column}-{span.end_line}:{span.end_column}"


@functools.cache
def _kept(path: Path) -> dict[str, str]:
    return _read(path)


def _read(path: Path) -> dict[str, str]:
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    parts = re.split(r"(?m)^=== (.+)\n", text)
    return {name: body.removesuffix("\n") for name, body in zip(parts[1::2], parts[2::2], strict=True)}


def _keep(path: Path, sections: dict[str, str]) -> None:
    """Write sections anew, in the order of their names, while other processes may do the same."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        kept = {**_read(path), **sections}
        text = "\n".join(f"=== {name}\n{kept[name]}" for name in sorted(kept) if kept[name])
        file.seek(0)
        file.truncate()
        file.write(text + ("\n" if text else ""))
