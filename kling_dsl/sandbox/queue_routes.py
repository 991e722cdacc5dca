"""The queue as callers see it: submit, ask, fetch, cancel."""

from __future__ import annotations

import asyncio
from typing import Any

from kling_dsl.sandbox.faults import SLOW_SECONDS, Fault
from kling_dsl.sandbox.gate import drop, room
from kling_dsl.sandbox.hosts import CLIP_HOST, base_for
from kling_dsl.sandbox.jobs import Job
from kling_dsl.sandbox.service import Service
from kling_dsl.sandbox.web import Refusal, Request, Response, Route, answer, gateway_page, read_body, read_json, refuse

_REASONS = {502: "Bad Gateway", 503: "Service Temporarily Unavailable", 504: "Gateway Time-out"}
_REFUSALS = {
    "http-500": (500, "the platform had an error of its own", "internal_error"),
    "unauthorized": (401, "the key is not valid", "unauthorized"),
    "exhausted": (403, "this account has no balance left: top it up before you submit again", "exhausted_balance"),
}
_CLIP_HEADER = "x-kling-clip"


class QueueRoutes:
    """Answers for `queue.fal.run`."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def routes(self) -> list[Route]:
        """Return the routes, those that are asked for most often first."""
        job = "/{owner}/{alias}/requests/{id}"
        return [
            Route(f"{job}/status", room("queue", self.status), methods=["GET"]),
            Route(job, room("queue", self.result), methods=["GET"]),
            Route(f"{job}/cancel", room("queue", self.cancel), methods=["PUT"]),
            Route("/{owner}/{alias}/{rest:path}", room("queue", self.submit), methods=["POST"]),
            Route("/{owner}/{alias}", room("queue", self.submit), methods=["POST"]),
        ]

    async def submit(self, request: Request) -> Response:
        """Take a job into the queue, unless a fault is in the way."""
        service = self._service
        endpoint = request.url.path.strip("/")
        if endpoint not in service.endpoints():
            return refuse(404, f"Application '{endpoint[:200]}' not found", kind="not_found")
        body = await read_body(request)
        service.counts.paid_posts_received += 1
        fault = service.faults.strike("submit")
        if fault is not None and fault.kind not in ("accept-and-drop", "accept-and-504", "slow-answer"):
            return await _fail(request, fault)
        job, position = service.accept(endpoint, body, read_json(body), clip=_clip_of(request))
        if fault is not None and fault.kind == "accept-and-drop":
            return await drop(request)
        if fault is not None and fault.kind == "accept-and-504":
            return gateway_page(504, _REASONS[504])
        if fault is not None:
            await asyncio.sleep(SLOW_SECONDS if fault.seconds is None else fault.seconds)
        urls = _urls(request, job)
        return answer({**urls, "status": "IN_QUEUE", "queue_position": position}, headers=_named(job))

    async def status(self, request: Request) -> Response:
        """Say how a job stands."""
        service = self._service
        service.counts.status_requests += 1
        fault = service.faults.strike("status")
        if fault is not None:
            return await drop(request) if fault.kind == "status-drop" else gateway_page(503, _REASONS[503])
        job = self._job(request)
        said: dict[str, Any] = {"status": job.state, **_urls(request, job)}
        if job.state == "IN_QUEUE":
            return answer({**said, "queue_position": service.queue.position(job)}, status=202, headers=_named(job))
        if job.outcome is None:
            return answer({**said, "logs": []}, status=202, headers=_named(job))
        failed = {"error": job.outcome.error, "error_type": job.outcome.error_type} if job.outcome.error else {}
        metrics = {"inference_time": job.run_seconds}
        return answer({**said, "logs": [], "metrics": metrics, **failed}, headers=_named(job))

    async def result(self, request: Request) -> Response:
        """Give what a job ended with."""
        job = self._job(request)
        outcome = job.outcome
        if outcome is None:
            return refuse(400, "Request is still in progress", kind="bad_request", headers=_named(job))
        units = job.verdict.billed_seconds if outcome.billed else 0
        headers = {**_named(job), "X-Fal-Billable-Units": f"{units}"}
        if outcome.clip_path:
            base = base_for(request.headers["host"].lower(), CLIP_HOST)
            video = {
                "url": f"{base}{outcome.clip_path}",
                "content_type": "video/mp4",
                "file_name": "output.mp4",
                "file_size": outcome.file_size,
            }
            return answer({"video": video}, headers=headers)
        if outcome.error_type:
            headers["X-Fal-Error-Type"] = outcome.error_type
        headers["X-Fal-Retryable"] = "true" if outcome.status >= 500 else "false"
        return Response(outcome.body, outcome.status, headers, media_type="application/json")

    async def cancel(self, request: Request) -> Response:
        """Cancel a job that waits; one that runs is asked to stop, and may run on."""
        job = self._job(request)
        if job.outcome is not None:
            return answer({"status": "ALREADY_COMPLETED"}, status=400, headers=_named(job))
        if not job.cancelled:
            self._service.counts.cancelled += 1
        self._service.queue.cancel(job)
        return answer({"status": "CANCELLATION_REQUESTED"}, status=202, headers=_named(job))

    def _job(self, request: Request) -> Job:
        named = request.path_params
        job = self._service.job(named["id"])
        if job.endpoint.split("/")[:2] != [named["owner"], named["alias"]]:
            raise Refusal(404, "Request not found", kind="not_found")
        return job


async def _fail(request: Request, fault: Fault) -> Response:
    """Answer a submission that makes no job."""
    if fault.kind == "drop-before-accept":
        return await drop(request)
    if fault.kind == "refuse-429":
        wait = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
        return refuse(429, "too many requests at once", kind="rate_limited", headers=wait)
    if fault.kind in _REFUSALS:
        status, words, kind = _REFUSALS[fault.kind]
        return refuse(status, words, kind=kind)
    status = int(fault.kind.removeprefix("http-"))
    return gateway_page(status, _REASONS[status])


def _urls(request: Request, job: Job) -> dict[str, str]:
    """Return the id and addresses of a job, on the host that its caller uses; paths below the application are left out."""
    authority = request.headers["host"].lower()
    base = base_for(authority, authority.partition(":")[0])
    owner, alias = job.endpoint.split("/")[:2]
    url = f"{base}/{owner}/{alias}/requests/{job.request_id}"
    return {
        "request_id": job.request_id,
        "response_url": url,
        "status_url": f"{url}/status",
        "cancel_url": f"{url}/cancel",
    }


def _named(job: Job) -> dict[str, str]:
    return {"X-Fal-Request-Id": job.request_id}


def _clip_of(request: Request) -> str:
    """Return the clip's id from the caller's header: what can be shown of it, and not too much of it."""
    text = request.headers.get(_CLIP_HEADER, "")
    return "".join([letter for letter in text[:80] if letter.isprintable()])
