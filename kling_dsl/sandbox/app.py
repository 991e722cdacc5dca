"""The application: every route of every host behind one gate."""

from __future__ import annotations

from kling_dsl.sandbox.api_routes import ApiRoutes
from kling_dsl.sandbox.control_routes import ControlRoutes
from kling_dsl.sandbox.gate import Gate
from kling_dsl.sandbox.media_routes import MediaRoutes
from kling_dsl.sandbox.queue_routes import QueueRoutes
from kling_dsl.sandbox.service import Service
from kling_dsl.sandbox.upload_routes import UploadRoutes
from kling_dsl.sandbox.web import ASGIApp, ClientDisconnect, Refusal, Request, Response, Starlette, answer_refusal


def make_app(service: Service) -> ASGIApp:
    """Return the ASGI application of a sandbox."""
    asked_often, *queue = QueueRoutes(service).routes()
    others = [*MediaRoutes(service).routes(), *UploadRoutes(service).routes()]
    named = [*others, *ApiRoutes(service).routes(), *ControlRoutes(service).routes()]
    # The first route that fits is taken, so paths in which an endpoint stands come after those that are fixed.
    inner = Starlette(
        routes=[asked_often, *named, *queue],
        exception_handlers={Refusal: answer_refusal, ClientDisconnect: _say_nothing},
    )
    return Gate(inner, port=service.port, counts=service.counts)


async def _say_nothing(_request: Request, _problem: Exception) -> Response:
    """Return what is never sent: the caller has gone away."""
    return Response(status_code=499)
