"""The requests of a film as JSON: exactly what is sent, what it costs, and which line asked for it."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec

from kling_dsl.calls import Call
from kling_dsl.money import decimal_string
from kling_dsl.reports.escaping import safe_json


class _Place(msgspec.Struct, frozen=True):
    file: str
    line: int


class _Request(msgspec.Struct, frozen=True):
    id: str
    scene: str
    endpoint: str
    arguments: dict[str, Any]
    references: dict[str, str]
    takes: int
    seconds: int
    cost_usd: str
    fingerprint: str
    source: _Place


class _Total(msgspec.Struct, frozen=True):
    seconds: int
    cost_usd: str


class _Requests(msgspec.Struct, frozen=True):
    film: str
    file: str
    requests: tuple[_Request, ...]
    total: _Total


def render_requests(calls: Sequence[Call], *, film: str, file: str) -> bytes:
    """Return the requests as indented JSON; `cost_usd` is of all takes, `seconds` of one."""
    report = _Requests(
        film,
        file,
        tuple(
            _Request(
                call.id,
                call.scene,
                call.endpoint,
                call.arguments,
                call.references,
                call.takes,
                call.seconds,
                decimal_string(call.cost_usd),
                call.fingerprint,
                _Place(call.file, call.line),
            )
            for call in calls
        ),
        _Total(sum(call.seconds for call in calls), decimal_string(sum((call.cost_usd for call in calls), Decimal(0)))),
    )
    return safe_json(msgspec.json.format(msgspec.json.encode(report), indent=2))
