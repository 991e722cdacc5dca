"""The OpenAPI description of what a sandbox answers: its fixed part from `specs/sandbox`, requests from the model sheets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from kling_dsl import __version__, resources
from kling_dsl.profiles import Profile
from kling_dsl.sandbox.bill import Bill
from kling_dsl.sandbox.faults import Fault
from kling_dsl.sheets.schema import json_schema

PATH = "/openapi.json"

_Json = dict[str, Any]


def describe(models: Mapping[str, Profile]) -> _Json:
    """Return the description of a sandbox that serves these models, by endpoint.

    The paths are those of all of fal's hosts together, as on loopback. Every path, status and header that can be seen is
    in it, those that only an injected fault brings about too.
    """
    described: _Json = msgspec.json.decode(resources.specs_path("sandbox", "openapi.json").read_bytes())
    described["info"]["version"] = __version__
    described["paths"] |= {f"/{endpoint}": _submission(endpoint, profile) for endpoint, profile in models.items()}
    for application in dict.fromkeys(map(_application, models)):
        described["paths"] |= _jobs(application)
    (_, counted) = msgspec.json.schema_components((Bill, tuple[Fault, ...]), ref_template=_SCHEMA.format(name="{name}"))
    described["components"]["schemas"] |= {
        **counted,
        **{profile.name: _request(profile) for profile in models.values()},
        "Endpoint": {"enum": list(models)},
    }
    return described


_SCHEMA = "#/components/schemas/{name}"
_KEYED: list[dict[str, list[str]]] = [{"key": []}]


def _request(profile: Profile) -> _Json:
    # Within a larger document a schema is found by its name there, and is written in that document's dialect.
    return {key: value for key, value in json_schema(profile).items() if key not in ("$schema", "$id")}


def _application(endpoint: str) -> str:
    """Return the part of an endpoint under which its jobs are found."""
    return "/".join(endpoint.split("/")[:2])


def _schema(name: str) -> _Json:
    return {"$ref": _SCHEMA.format(name=name)}


def _common(**statuses: str) -> _Json:
    """Return responses that are the same wherever they come, as `_404="NotFound"`."""
    return {status[1:]: {"$ref": f"#/components/responses/{name}"} for status, name in statuses.items()}


def _answer(words: str, schema: _Json, *headers: str) -> _Json:
    """Return a response of a job: it bears the id of the request, and further headers of these names."""
    named = {name: {"schema": _schema(_HEADERS[name])} for name in ("X-Fal-Request-Id", *headers)}
    return {"description": words, "headers": named, "content": {"application/json": {"schema": schema}}}


_UNITS = "X-Fal-Billable-Units"
_HEADERS = {"X-Fal-Request-Id": "RequestId", _UNITS: "Units"}


def _submission(endpoint: str, profile: Profile) -> _Json:
    application = _application(endpoint)
    following = {"parameters": {"request_id": "$response.body#/request_id"}}
    links = {name: {"operationId": f"{name}-{application}", **following} for name in ("status", "result", "cancel")}
    operation = {
        "operationId": f"submit-{profile.name}",
        "summary": f"Take a job for {profile.title} into the queue; mistakes in it are found when it runs.",
        "security": _KEYED,
        "parameters": [
            {
                "in": "header",
                "name": "x-kling-clip",
                "description": "What the clip is called on its pictures.",
                "schema": {"type": "string", "maxLength": 80},
            }
        ],
        "requestBody": {"required": True, "content": {"application/json": {"schema": _schema(profile.name)}}},
        "responses": {
            "200": {**_answer("The job is in the queue.", _schema("Submitted")), "links": links},
            **_common(_400="Senseless", _401="NoKey", _403="NoBalance", _413="TooLarge", _429="TooOften"),
            **_common(_500="Broken", _502="Gateway", _503="Gateway", _504="Gateway"),
        },
    }
    return {"post": operation}


def _jobs(application: str) -> _Json:
    job = f"/{application}/requests/{{request_id}}"
    shared = {
        "security": _KEYED,
        "parameters": [{"in": "path", "name": "request_id", "required": True, "schema": {"type": "string"}}],
    }
    error = _schema("PlatformError")
    unknown = _common(_401="NoKey", _404="NotFound")
    status = {
        "operationId": f"status-{application}",
        "summary": "Say how a job stands.",
        "responses": {
            "200": _answer("The job is over, well or not.", _schema("Completed")),
            "202": _answer("The job waits or runs.", _schema("Waiting")),
            **unknown,
            **_common(_503="Gateway"),
        },
    }
    result = {
        "operationId": f"result-{application}",
        "summary": "Give what a job ended with.",
        "responses": {
            "200": _answer("The clip.", _schema("Result"), _UNITS),
            "400": _answer("The job is not over.", error),
            **unknown,
            "422": _answer("The model refuses the request.", _schema("ModelErrors"), _UNITS),
            "499": _answer("The job was cancelled before it ran.", error, _UNITS),
            "500": _answer("The job failed, as an injected fault has it.", error, _UNITS),
        },
    }
    cancel = {
        "operationId": f"cancel-{application}",
        "summary": "Cancel a job that waits; one that runs is asked to stop, and may run on.",
        "responses": {
            "202": _answer("It was asked to.", _schema("Cancelling")),
            "400": _answer("It is over.", _schema("TooLate")),
            **unknown,
        },
    }
    return {
        f"{job}/status": {"get": {**status, **shared}},
        job: {"get": {**result, **shared}},
        f"{job}/cancel": {"put": {**cancel, **shared}},
    }
