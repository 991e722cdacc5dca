"""Lays what a page says of a film beside what the film gives: each verb returns the text that the block should have.

A block that says the right thing is returned as it stands, however it is laid out; another one is worded anew.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from kling_dsl.compiler import Compilation
from kling_dsl.diagnostics import Diagnostic
from kling_dsl.harness.console import LEFT_OUT
from kling_dsl.money import decimal_string

_WIDTH = 100
_BARE = re.compile(r"(?:[^\s:]+:)?\d+:\d+ [a-z0-9-]+")


def list_diagnostics(shown: str, found: Sequence[Diagnostic], *, main: str) -> str:
    """Return diagnostics one a line, `line:column severity slug: message`, or `line:column slug` where the page does.

    What is not about the film `main` has its file in front. The order of the page is kept where it lists the same.
    """
    lines = [line.strip() for line in shown.splitlines() if line.strip()]
    bare = bool(lines) and all(_BARE.fullmatch(line) for line in lines)
    told = []
    for one in found:
        place = f"{one.span.line}:{one.span.column}"
        place = place if one.span.file == main else f"{one.span.file}:{place}"
        short = f"{place} {one.slug}"
        told.append(short if bare or short in lines else f"{place} {one.severity} {one.slug}: {one.message}")
    return shown if sorted(told) == sorted(lines) else "".join(f"{line}\n" for line in told)


def fold_prompt(shown: str, prompt: str) -> str:
    """Return a prompt in lines of readable width; a blank line parts its paragraphs."""
    paragraphs = [" ".join(paragraph.split()) for paragraph in re.split(r"\n\s*\n", shown.strip())]
    if paragraphs == prompt.split("\n\n"):
        return shown
    import textwrap

    wrapped = [
        "\n".join(textwrap.wrap(paragraph, _WIDTH, break_long_words=False, break_on_hyphens=False))
        for paragraph in prompt.split("\n\n")
    ]
    return "\n\n".join(wrapped) + "\n"


def project_json(shown: str, found: Any) -> str:
    """Return the part of a value that the page shows: the keys that it names, `null` for one that is not there.

    `…` in a text of the page stands for anything. A block that is no JSON is filled with the whole value.
    """
    try:
        wanted = json.loads(shown)
    except ValueError:
        return _laid_out(found) + "\n"
    part = _part(wanted, found)
    return shown if json.dumps(part) == json.dumps(wanted) else _laid_out(part) + "\n"


def request_of(compilation: Compilation, name: str) -> dict[str, Any] | None:
    """Return the request of a shot or clip as `kling compile` prints it, with its model's name; None when it has none."""
    if compilation.failed:
        return None
    call = next((call for call in compilation.calls if call.id == name), None)
    if call is None:
        return None
    return {
        "id": call.id,
        "scene": call.scene,
        "model": call.model,
        "endpoint": call.endpoint,
        "arguments": call.arguments,
        "references": call.references,
        "takes": call.takes,
        "seconds": call.seconds,
        "cost_usd": decimal_string(call.cost_usd),
        "source": {"file": call.file, "line": call.line},
    }


def prompt_of(compilation: Compilation, name: str) -> str | None:
    """Return the prompt of a shot, alone or in a CLIP; None when there is no such shot."""
    prompts = {shot.id: shot.prompt for item in compilation.items for shot in item.built.request.shots}
    return prompts.get(name)


def _part(wanted: Any, found: Any) -> Any:
    if isinstance(wanted, dict) and isinstance(found, dict):
        return {key: _part(value, found.get(key)) for key, value in wanted.items()}
    if isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        return [_part(one, other) for one, other in zip(wanted, found, strict=True)]
    if isinstance(wanted, str) and isinstance(found, str) and LEFT_OUT in wanted:
        pattern = ".*".join(map(re.escape, wanted.split(LEFT_OUT)))
        return wanted if re.fullmatch(pattern, found, re.DOTALL) else found
    return found


def _laid_out(value: Any, indent: int = 0) -> str:
    """Return JSON with what fits on a line on one line."""
    line = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict | list) or not value or indent + len(line) <= _WIDTH:
        return line
    blanks = " " * (indent + 2)
    if isinstance(value, list):
        parts = [_laid_out(part, indent + 2) for part in value]
    else:
        parts = [f"{json.dumps(key, ensure_ascii=False)}: {_laid_out(part, indent + 2)}" for key, part in value.items()]
    opening, closing = ("[", "]") if isinstance(value, list) else ("{", "}")
    return f"{opening}\n{blanks}" + f",\n{blanks}".join(parts) + f"\n{' ' * indent}{closing}"
