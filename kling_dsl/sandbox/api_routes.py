"""The platform's API: the history of requests, page by page, and prices."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import msgspec

from kling_dsl.sandbox.gate import room
from kling_dsl.sandbox.jobs import Job
from kling_dsl.sandbox.service import Service
from kling_dsl.sandbox.web import Refusal, Request, Response, Route, answer, refuse

_LARGEST_PAGE = 100


class ApiRoutes:
    """Answers for `api.fal.ai`."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/v1/models/requests/by-endpoint", room("api", self.history), methods=["GET"]),
            Route("/v1/models/pricing", room("api", self.pricing), methods=["GET"]),
        ]

    async def history(self, request: Request) -> Response:
        """List the requests of endpoints, newest first; one appears when the delay of the settings is over."""
        service, asked = self._service, request.query_params
        if service.faults.strike("history") is not None:
            return refuse(503, "the request history is not available", kind="service_unavailable")
        endpoints = _listed(asked.getlist("endpoint_id"))
        if not endpoints:
            raise Refusal(422, "endpoint_id is missing", kind="bad_request")
        start, end = _moment(asked.get("start", "")), _moment(asked.get("end", ""))
        size = min(_number(asked.get("limit", ""), service.settings.history_page), _LARGEST_PAGE)
        below = _number(asked.get("cursor", ""), 0)
        latest = time.monotonic() - service.settings.history_delay_seconds
        found = [
            job
            for job in reversed(service.jobs.values())
            if job.endpoint in endpoints
            and job.sent_time <= latest
            and (not below or job.number < below)
            and (start is None or job.sent_at >= start)
            and (end is None or job.sent_at <= end)
        ]
        page, more = found[:size], len(found) > size
        items = [_item(job, with_payloads="payloads" in _listed(asked.getlist("expand"))) for job in page]
        return answer({"items": items, "next_cursor": str(page[-1].number) if more else None, "has_more": more})

    async def pricing(self, request: Request) -> Response:
        """Tell what a second costs on each endpoint: the price that the model's sheet has for a plain request."""
        models = self._service.endpoints()
        wanted = _listed(request.query_params.getlist("endpoint_id")) or list(models)
        unknown = [endpoint for endpoint in wanted if endpoint not in models]
        if unknown:
            raise Refusal(404, f"there is no endpoint {unknown[0][:200]}", kind="not_found")
        prices = [
            {
                "endpoint_id": endpoint,
                # Digits as they stand in the sheet: a number of JSON, and no binary fraction on the way to it.
                "unit_price": msgspec.Raw(f"{models[endpoint].prices[-1].usd_per_second:f}".encode()),
                "unit": "seconds",
                "currency": "USD",
            }
            for endpoint in dict.fromkeys(wanted)
        ]
        return answer({"prices": prices, "next_cursor": None, "has_more": False})


def _item(job: Job, *, with_payloads: bool) -> dict[str, Any]:
    item: dict[str, Any] = {
        "request_id": job.request_id,
        "endpoint_id": job.endpoint,
        "sent_at": job.sent_at,
        "started_at": job.started_at,
        "ended_at": job.ended_at,
        "status_code": None if job.outcome is None else job.outcome.status,
        "duration": job.run_seconds,
    }
    # The bytes as they were sent: what is matched against them must not differ by how we write JSON.
    return {**item, "json_input": msgspec.Raw(job.body)} if with_payloads else item


def _listed(values: list[str]) -> list[str]:
    return [part.strip() for value in values for part in value.split(",") if part.strip()]


def _number(text: str, otherwise: int) -> int:
    if not text:
        return otherwise
    if not text.isdecimal() or not 0 < len(text) < 10 or int(text) == 0:
        raise Refusal(422, f"'{text[:40]}' is no whole number above 0", kind="bad_request")
    return int(text)


def _moment(text: str) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Refusal(422, f"'{text[:40]}' is no time in ISO 8601", kind="bad_request") from None
    # A time without a zone is one of UTC, as everything is that the service says.
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
