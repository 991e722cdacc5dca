"""What people and tests ask of the sandbox itself: the bill, other faults, a new beginning, a description of it all."""

from __future__ import annotations

import msgspec

from kling_dsl.sandbox import description
from kling_dsl.sandbox.faults import Fault
from kling_dsl.sandbox.gate import room
from kling_dsl.sandbox.service import Service
from kling_dsl.sandbox.web import Refusal, Request, Response, Route, answer, read_body, read_json


class ControlRoutes:
    """Answers under `/sandbox` and for the description, on loopback alone."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/sandbox/bill", room("control", self.bill), methods=["GET"]),
            Route("/sandbox/faults", room("control", self.faults), methods=["POST"]),
            Route("/sandbox/reset", room("control", self.reset), methods=["POST"]),
            Route(description.PATH, room("control", self.description), methods=["GET"]),
        ]

    async def bill(self, _request: Request) -> Response:
        """Give the bill; money is a string of decimal dollars."""
        return answer(self._service.bill())

    async def faults(self, request: Request) -> Response:
        """Take other faults in place of those that there are."""
        try:
            faults = msgspec.convert(read_json(await read_body(request)), tuple[Fault, ...])
        except msgspec.ValidationError as problem:
            raise Refusal(422, str(problem), kind="bad_request") from None
        self._service.replace_faults(faults)
        return answer(faults)

    async def reset(self, request: Request) -> Response:
        """Begin anew."""
        await read_body(request)
        await self._service.reset()
        return answer({})

    async def description(self, _request: Request) -> Response:
        """Give the OpenAPI description of everything that is answered here."""
        return answer(description.describe(self._service.endpoints()))
