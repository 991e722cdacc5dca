"""The application: every route of every host behind one gate."""

from __future__ import annotations

from collections.abc import Iterator

from kling_dsl.sandbox.api_routes import ApiRoutes
from kling_dsl.sandbox.control_routes import ControlRoutes
from kling_dsl.sandbox.gate import Gate
from kling_dsl.sandbox.media_routes import MediaRoutes
from kling_dsl.sandbox.queue_routes import QueueRoutes
from kling_dsl.sandbox.service import Service
from kling_dsl.sandbox.upload_routes import UploadRoutes
from kling_dsl.sandbox.web import (
    ASGIApp,
    ClientDisconnect,
    Handler,
    Refusal,
    Request,
    Response,
    Route,
    Starlette,
    answer_refusal,
    refuse,
)


def make_app(service: Service) -> ASGIApp:
    """Return the ASGI application of a sandbox."""
    asked_often, *queue = QueueRoutes(service).routes()
    others = [*MediaRoutes(service).routes(), *UploadRoutes(service).routes()]
    named = [*others, *ApiRoutes(service).routes(), *ControlRoutes(service).routes()]
    # The first route that fits is taken, so paths in which an endpoint stands come after those that are fixed.
    inner = Starlette(
        routes=[asked_often, *_exact(named), *queue],
        exception_handlers={Refusal: answer_refusal, ClientDisconnect: _say_nothing},
    )
    return Gate(inner, port=service.port, counts=service.counts)


def _exact(routes: list[Route]) -> Iterator[Route]:
    """Yield the routes path by path, behind each a refusal of all other methods: a later route may fit the path, too."""
    paths: dict[str, list[Route]] = {}
    for route in routes:
        paths.setdefault(route.path, []).append(route)
    for path, taking in paths.items():
        yield from taking
        methods = {method for route in taking for method in route.methods or ()}
        yield Route(path, _refuse_with(", ".join(sorted(methods))), methods=sorted(_METHODS - methods))


_METHODS = {"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"}


def _refuse_with(allowed: str) -> Handler:
    async def refuse_method(request: Request) -> Response:
        words = f"{request.method} is not what {request.url.path[:200]} takes: {allowed}"
        return refuse(405, words, kind="method_not_allowed", headers={"Allow": allowed})

    return refuse_method


async def _say_nothing(_request: Request, _problem: Exception) -> Response:
    """Return what is never sent: the caller has gone away."""
    return Response(status_code=499)
