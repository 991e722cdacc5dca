"""What happens in a render and what it comes to, as lines of JSON for programs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from kling_dsl.money import decimal_string
from kling_dsl.reports.escaping import safe_json, sound
from kling_dsl.reports.render_ends import LOOSE_KINDS, LooseEnd, loose_ends, stored_rows

if TYPE_CHECKING:
    from kling_dsl.render.engine import ClipEnd, Outcome
    from kling_dsl.render.events import Event


def event_line(event: Event, at: datetime) -> bytes:
    """Return an event as one line of compact JSON, with its line break.

    `event` (its kind) and `at` (UTC, with milliseconds and `Z`) come first, then of these, in this order, those that
    are set: `clip`, `take` (from 1), `file`, `line`, `cost_usd`, `spent_usd`, `request_id`, `position` (in the queue,
    from 0), `bytes`, `sha256`, `path`, `billed` (`no` or `maybe`), `reason`. Money is a string of decimal dollars;
    unseen characters stand in their `\\u` form.
    """
    content: dict[str, Any] = {"event": event.kind, "at": _moment(at)}
    for field in msgspec.structs.fields(event):
        value = getattr(event, field.name)
        if field.name != "kind" and value != field.default:
            content[field.name] = value
    return _line(content)


def end_line(outcome: Outcome, code: int, *, at: datetime, links: Mapping[str, str] | None = None) -> bytes:
    """Return what a render came to as the last line of its JSON; `code` is the exit code.

    `links` gives the place of each clip's chosen take under its readable name, by the clip's id.

    The line is an object of `event` (`end`), `at`, `code`, `stopped`, `problem` (what ended the render for all clips,
    or ""), `total` and `clips`. `total` has `spent_usd` (spent and reserved by this render), `clips`, `stored` (takes)
    and the number of loose ends by their kind: `uncertain`, `billed`, `failed`, `refused`, `broken-off`, `missing`,
    `waiting`, `ordered`, `not-bought`. Each clip has `id`, `state` (as in the plan), `fingerprint` ("" while it
    waits), `sha256` and `path` of its chosen take ("" without one), `source` and `problems`, a list of `kind`, `take`
    (0 for the whole clip), `usd`, `reason` and `path` (of what was set aside).
    """
    by_clip: dict[str, list[LooseEnd]] = {}
    loose = loose_ends(outcome)
    for each in loose:
        by_clip.setdefault(each.clip, []).append(each)
    counts: dict[str, int] = {kind: sum(each.kind == kind for each in loose) for kind in LOOSE_KINDS}
    stored = len(stored_rows(outcome))
    total: dict[str, Any] = {"spent_usd": outcome.spent_usd, "clips": len(outcome.clips), "stored": stored, **counts}
    content: dict[str, Any] = {
        "event": "end",
        "at": _moment(at),
        "code": code,
        "stopped": outcome.stopped,
        "problem": outcome.problem,
        "total": total,
        "clips": [_clip(end, by_clip.get(end.standing.call.id, []), links or {}) for end in outcome.clips],
    }
    return _line(content)


def _clip(end: ClipEnd, loose: list[LooseEnd], links: Mapping[str, str]) -> dict[str, Any]:
    standing = end.standing
    call = standing.call
    return {
        "id": call.id,
        "state": standing.state,
        "fingerprint": standing.fingerprint,
        "sha256": standing.chosen.sha256 if standing.chosen else "",
        "path": links.get(call.id, ""),
        "source": {"file": call.file, "line": call.line},
        "problems": [
            {"kind": each.kind, "take": each.take, "usd": each.usd, "reason": each.reason, "path": each.path}
            for each in loose
        ],
    }


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _line(content: dict[str, Any]) -> bytes:
    return safe_json(msgspec.json.encode(_plain(content))) + b"\n"


def _plain(value: Any) -> Any:
    """Return a value as JSON may carry it: money as a string of decimal dollars, texts without lone surrogates."""
    if isinstance(value, Decimal):
        return decimal_string(value)
    if isinstance(value, str):
        return sound(value)
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value
