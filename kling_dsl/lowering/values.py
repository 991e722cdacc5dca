"""Reads the values of title keys and attributes: lengths, money, switches, counts, media and names."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from decimal import Decimal

from kling_dsl import ir
from kling_dsl.diagnostics import Diagnostic, Edit, Fix, error
from kling_dsl.source import Span, Text

Report = Callable[[Diagnostic], None]

_MONEY = re.compile(r"\$([0-9]{1,9}(?:\.[0-9]{1,2})?)\Z")
_SECONDS = re.compile(r"([0-9]{1,6})s\Z")
_COUNT = re.compile(r"[1-9][0-9]{0,3}\Z")
_FRAME = re.compile(r"end[ \t]+of[ \t]+(\S+)\Z")
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")


def read_switch(value: Text, report: Report, *, key: str) -> bool | None:
    """Read `on` or `off`."""
    if value.value in ("on", "off"):
        return value.value == "on"
    lowered = value.value.lower()
    guess = {"yes": "on", "true": "on", "no": "off", "false": "off"}.get(lowered, lowered)
    fix = Fix(f"write {guess}", (Edit(value.span, guess),)) if guess in ("on", "off") else None
    report(
        error(
            "bad-value",
            f'{key} takes on or off, not "{value.value}"',
            spot(value),
            hint=f"write {guess if fix else 'on or off'}",
            fix=fix,
        )
    )
    return None


def read_count(value: Text, report: Report, *, key: str) -> int | None:
    """Read a whole number from 1 to 9,999."""
    if _COUNT.match(value.value):
        return int(value.value)
    report(
        error(
            "bad-value",
            f'{key}: needs a whole number from 1 to 9999, not "{value.value}"',
            spot(value),
            hint="write 1, 2, 3 …",
        )
    )
    return None


def read_seconds(value: Text, report: Report, *, key: str) -> int | None:
    """Read whole seconds with their unit, as in `5s`."""
    if match := _SECONDS.match(value.value):
        return int(match[1])
    fix = (
        Fix(f"write {value.value}s", (Edit(value.span, f"{value.value}s"),))
        if value.value.isascii() and value.value.isdigit()
        else None
    )
    report(
        error(
            "bad-length",
            f'{key} takes whole seconds such as 5s, not "{value.value}"',
            spot(value),
            hint="write 5s",
            fix=fix,
        )
    )
    return None


def read_money(value: Text, report: Report, *, key: str) -> Decimal | None:
    """Read US dollars, as in `$12.50`."""
    if match := _MONEY.match(value.value):
        return Decimal(match[1])
    report(
        error(
            "bad-money",
            f'{key} takes dollars such as $10 or $12.50, not "{value.value}"',
            spot(value),
            hint="write the sign, and at most two decimals",
        )
    )
    return None


def read_names(value: Text) -> tuple[Text, ...]:
    """Split a comma-separated value; empty parts are kept, so that they can be reported."""
    parts: list[Text] = []
    column = value.column
    for part in value.value.split(","):
        bare = part.strip(" \t")
        blanks = len(part) - len(part.lstrip(" \t")) if bare else 0
        parts.append(Text(bare, value.line, column + blanks))
        column += len(part) + 1
    return tuple(parts)


def read_picture(value: Text, report: Report, *, key: str, folder: str) -> ir.Picture | None:
    """Read a media file relative to `folder` or an https address; a path that climbs above the root is an error."""
    written = value.value
    span = spot(value)
    if not written:
        report(error("bad-value", f"{key}: names no file", span, hint=f"write `{key}: refs/picture.png`"))
        return None
    if match := _ADDRESS.match(written):
        if match[1].lower() == "https" and re.match(r"https://[^\s/?#@\\]+(?:[/?#]\S*)?\Z", written, re.IGNORECASE):
            return ir.Address(written, span)
        report(
            error(
                "bad-address",
                f'"{written}" is no https address that the provider could fetch',
                span,
                hint="name a file of the project, or an https:// address without blanks and without a user name",
            )
        )
        return None
    path = posixpath.normpath(posixpath.join(folder, written)) if not written.startswith("/") else written
    if path.startswith(("/", "../")) or path == ".." or "\\" in path:
        report(
            error(
                "outside-root",
                f'"{written}" leads out of the project',
                span,
                hint="paths are relative to the file that names them, with / between folders, and stay inside the project; copy the file in",
            )
        )
        return None
    return ir.File(path, span)


def read_frame(value: Text, report: Report, *, key: str, folder: str) -> ir.Frame | None:
    """Read `end of <id>`, a picture file or an https address."""
    if match := _FRAME.match(value.value):
        return ir.LastFrame(match[1], Text(match[1], value.line, value.column + match.start(1)).span)
    if (
        re.match(r"(?i)(?:end|start|last frame|first frame)\s+(?:of|from)?\s*\S+\Z", value.value)
        and "." not in value.value
    ):
        report(
            error(
                "bad-value",
                f'{key} does not know "{value.value}"',
                spot(value),
                hint="write `end of <id>`, a picture file, or an https address",
            )
        )
        return None
    return read_picture(value, report, key=key, folder=folder)


def spot(value: Text) -> Span:
    """Return the span of a value, one column wide where it is empty."""
    return (
        value.span if value.value else Span("", value.line, max(1, value.column), value.line, max(1, value.column) + 1)
    )
