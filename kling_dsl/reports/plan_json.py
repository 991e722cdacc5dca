"""A plan as JSON, for machines and for a file that is rendered later."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from kling_dsl.money import decimal_string
from kling_dsl.reports.escaping import safe_json
from kling_dsl.reports.plan import Clip, Plan
from kling_dsl.reports.ways import find_ways


def render_plan_json(plan: Plan, basis: Mapping[str, Any] | None = None) -> bytes:
    """Return a plan as indented JSON; money is a string of decimal dollars.

    `basis` is what a saved plan rests on beyond what it shows; it stands under `saved`.
    """
    report: dict[str, Any] = {
        "film": plan.film,
        "file": plan.file,
        "clips": [_clip_report(clip) for clip in plan.clips],
        "total": {
            "seconds": plan.seconds,
            "film_usd": decimal_string(plan.film_usd),
            "kept_usd": decimal_string(plan.kept_usd),
            "to_buy_usd": decimal_string(plan.to_buy_usd),
        },
        "budget": None
        if plan.budget_usd is None
        else {
            "usd": decimal_string(plan.budget_usd),
            "spent_usd": decimal_string(plan.film_spent_usd),
            "over_usd": decimal_string(plan.over_budget_usd),
        },
        "limits": [
            {
                "name": room.name,
                "usd": decimal_string(room.usd),
                "counted_usd": decimal_string(room.counted_usd),
                "over_usd": decimal_string(room.over_usd(plan.to_buy_usd)),
            }
            for room in plan.rooms
        ],
        "ways_under_budget": [{"what": way.words, "film_usd": decimal_string(way.film_usd)} for way in find_ways(plan)],
        "drafts": [
            {
                "model": quote.model,
                "film_usd": None if quote.film_usd is None else decimal_string(quote.film_usd),
                "refused": quote.refused,
            }
            for quote in plan.drafts
        ],
        "prices": [
            {
                "model": basis.model,
                "usd_per_second": decimal_string(basis.usd_per_second),
                "condition": basis.condition,
                "billed": basis.billed,
                "confidence": basis.confidence,
                "date": basis.date,
                "old": basis.is_old,
                "source": basis.source,
                "url": basis.url,
            }
            for basis in plan.prices
        ],
    }
    if basis is not None:
        report["saved"] = basis
    return safe_json(msgspec.json.format(msgspec.json.encode(report), indent=2))


def _clip_report(clip: Clip) -> dict[str, Any]:
    return {
        "id": clip.id,
        "scene": clip.scene,
        "model": clip.model,
        "state": clip.state,
        "why": clip.why,
        "seconds": clip.seconds,
        "takes": clip.takes,
        "cost_usd": decimal_string(clip.cost_usd),
        "retake_usd": decimal_string(clip.retake_usd),
        "to_buy_usd": decimal_string(clip.to_buy_usd),
        "kept_usd": decimal_string(clip.kept_usd),
        "fingerprint": clip.fingerprint,
        "source": {"file": clip.file, "line": clip.line},
    }
