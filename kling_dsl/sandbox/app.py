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
    queue, media = QueueRoutes(service).routes(), MediaRoutes(service).routes()
    others = [*UploadRoutes(service).routes(), *ApiRoutes(service).routes(), *ControlRoutes(service).routes()]
    # A path that any endpoint may have comes last: the first route that fits is taken.
    asked, submitted = queue[:3], queue[3:]
    inner = Starlette(
        routes=[*asked, *media, *others, *submitted],
        exception_handlers={Refusal: answer_refusal, ClientDisconnect: _say_nothing},
    )
    return Gate(inner, port=service.port, counts=service.counts)


async def _say_nothing(_request: Request, _problem: Exception) -> Response:
    """Return what is never sent: the caller has gone away."""
    return Response(status_code=499)
