"""The sandbox keeps to its own OpenAPI description: every path is in it, and every answer is as it says.

Requests are made up from the description by schemathesis and sent to a sandbox that runs. KLING_API_EXAMPLES chooses how
many of each kind are random; above the default, those of every model are tried.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from foreign_sheet import FILE, FOREIGN
from sandbox_stage import ENDPOINT, KEY, PLAIN, Stage, picture, serving

from kling_dsl.profiles import Profile
from kling_dsl.sandbox import FAULTS, Settings
from kling_dsl.sandbox.description import PATH, describe
from kling_dsl.sheets import Profiles

FEW = 2
EXAMPLES = int(os.environ.get("KLING_API_EXAMPLES", str(FEW)))
JOB = "/fal-ai/kling-video/requests/{request_id}"
UPLOAD = "/files/sandbox/uploads/"
CLIP = "/files/sandbox/clips/"
FAULTS_PATH = "/sandbox/faults"
METHODS = ("get", "put", "post", "delete", "patch")


def models(extra: Mapping[str, str] | None = None) -> dict[str, Profile]:
    profiles = Profiles.of(extra or {})
    return {profile.endpoint: profile for name in profiles.names() if (profile := profiles.get(name)) is not None}


def operations(described: Mapping[str, Any]) -> set[tuple[str, str]]:
    return {(path, method) for path, item in described["paths"].items() for method in item if method in METHODS}


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with serving(tmp_path_factory.mktemp("sandbox")) as running:
        yield running


def test_the_description_is_served_on_loopback_alone(stage: Stage) -> None:
    assert stage.http.get(PATH).json() == describe(models())
    assert stage.http.get(PATH, headers={"Host": "queue.fal.run"}).status_code == 404


def test_every_route_is_described_and_every_description_has_a_route(tmp_path: Path) -> None:
    from starlette.routing import Match

    from kling_dsl.sandbox.app import make_app
    from kling_dsl.sandbox.service import Service

    extra = {FILE: FOREIGN, "models/short.toml": FOREIGN.replace("lumen-film", "short").replace("/film/", "/")}
    profiles = Profiles.of(extra)
    service = Service(Settings(), folder=tmp_path, profiles=profiles, port=1, tell=lambda _: None)
    app: Any = make_app(service)
    routes = [route for route in app._inner.routes if route.endpoint.__name__ != "refuse_method"]
    refusals = [route for route in app._inner.routes if route not in routes]
    reached = set()
    for path, method in operations(describe(service.endpoints())):
        scope = {"type": "http", "method": method.upper(), "path": re.sub(r"\{\w+\}", "1", path), "headers": []}
        found = next(route for route in app._inner.routes if route.matches(scope)[0] is Match.FULL)
        assert found not in refusals, (path, method)
        reached.add((found.path, method.upper()))
    taken = {(route.path, method) for route in routes for method in route.methods if method != "HEAD"}
    assert taken - reached == {("/{owner}/{alias}", "POST")} - reached
    assert reached <= taken


def test_the_description_is_itself_as_openapi_wants_it() -> None:
    described = describe(models({FILE: FOREIGN}))
    assert described["openapi"].startswith("3.1.")
    ids = [described["paths"][path][method]["operationId"] for path, method in operations(described)]
    assert len(ids) == len(set(ids))
    for schema in described["components"]["schemas"].values():
        # Raises for what is no JSON Schema, or refers to what is not there.
        jsonschema_rs.Draft202012Validator({**schema, "components": described["components"]})
    references = set(re.findall(r'"#/components/(\w+)/([\w.-]+)"', json.dumps(described)))
    assert references == {(kind, name) for kind, name in references if name in described["components"][kind]}
    kept = {(kind, name) for kind, named in described["components"].items() for name in named}
    assert kept - references == {("securitySchemes", "key")}


def test_every_kind_of_fault_is_in_the_description() -> None:
    fault = describe(models())["components"]["schemas"]["Fault"]
    assert fault["properties"]["kind"]["enum"] == list(FAULTS)


def configured(stage: Stage, *, stateful: bool) -> Any:
    from schemathesis.config import SchemathesisConfig

    # A job that is over cannot be cancelled, one that the model refused has no clip, and a file may be shorter than the
    # part that is wanted of it: no description of a request can know.
    over = {"positive_data_acceptance": {"expected-statuses": ["2xx", "400", "404", "416", "422"]}}
    return SchemathesisConfig.from_dict(
        {
            "base-url": stage.sandbox.url,
            "headers": KEY,
            "tls-verify": str(stage.sandbox.certificate),
            "workers": 1,
            "continue-on-failure": True,
            "suppress-health-check": ["all"],
            "generation": {"max-examples": EXAMPLES, "deterministic": True, "database": "none"},
            "phases": {"stateful": {"enabled": stateful}},
            # The service takes any JSON for a job and judges it when the job runs, as fal does, so wrong input is no
            # reason for it to refuse.
            "checks": {"negative_data_rejection": {"enabled": False}},
            "operations": [{"include-path-regex": f"^({re.escape(JOB)}|{UPLOAD}|{CLIP})", "checks": over}],
        }
    )


def broken_promises(schema: Any) -> tuple[list[str], set[int]]:
    """Send everything that is made up from a description; return what did not hold, and the statuses that came."""
    from schemathesis.engine import events, from_schema

    found: dict[tuple[str, str, str], str] = {}
    statuses: set[int] = set()
    for event in from_schema(schema).execute():
        if isinstance(event, (events.NonFatalError, events.FatalError)):
            problem = event.value if isinstance(event, events.NonFatalError) else event.exception
            found["error", type(problem).__name__, ""] = str(problem)
        if not isinstance(event, events.ScenarioFinished):
            continue
        statuses |= {each.response.status_code for each in event.recorder.interactions.values() if each.response}
        for case, checks in event.recorder.checks.items():
            for check in checks:
                if check.failure_info is not None:
                    failure = check.failure_info.failure
                    place = event.recorder.cases[case].value.operation.label
                    told = f"{failure.title}: {failure.message}\n{check.failure_info.code_sample[-1000:]}"
                    found.setdefault((check.name, place, failure.title), told)
    return [f"{name} at {place}: {told}" for (name, place, _), told in found.items()], statuses


def loaded(stage: Stage, paths: Callable[[str], bool], *, stateful: bool) -> Any:
    """Return the description that a sandbox serves, with some of its paths, as schemathesis reads it."""
    from schemathesis import openapi

    served = stage.http.get(PATH).json()
    served["paths"] = {path: item for path, item in served["paths"].items() if paths(path)}
    return openapi.from_dict(served, config=configured(stage, stateful=stateful))


def test_every_answer_is_as_described(stage: Stage) -> None:
    # The model with the most kinds of fields stands for the others; faults have a test of their own, since they last.
    others = {f"/{endpoint}" for endpoint in models() if EXAMPLES <= FEW and endpoint != ENDPOINT}
    schema = loaded(stage, lambda path: path not in (FAULTS_PATH, *others), stateful=True)
    with led_to_what_is_there(stage):
        found, statuses = broken_promises(schema)
    assert found == [], "\n\n".join(found)
    assert {200, 400, 401, 404, 405, 422} <= statuses
    assert stage.sandbox.bill().problems == ()


@contextlib.contextmanager
def led_to_what_is_there(stage: Stage) -> Iterator[None]:
    """Put the names of a real job, clip and upload into some paths: made-up ones lead to nothing but 404."""
    from schemathesis import hooks

    job = stage.submit(PLAIN)
    stage.wait(job)
    clip = stage.http.get(job["response_url"]).json()["video"]["url"].split("/")
    upload = stage.upload(picture()).split("/")
    begun = stage.http.post("/files/upload/multipart", headers={"X-Fal-File-Name": "a.png"}).json()
    parts = begun["access_url"].split("/")
    real = {
        ("id", "name"): {"id": clip[-2], "name": clip[-1]},
        ("key", "name"): {"key": upload[-2], "name": upload[-1]},
        ("id", "key", "name"): {"key": parts[-2], "name": parts[-1], "id": begun["uploadId"]},
        ("request_id",): {"request_id": job["request_id"]},
    }
    turns = iter(range(1_000_000))

    def before_call(_context: Any, case: Any, _kwargs: dict[str, Any]) -> None:
        names = tuple(sorted(name for name in case.path_parameters or {} if name != "number"))
        if names in real and next(turns) % 2:
            case.path_parameters.update(real[names])

    hooks.GLOBAL_HOOK_DISPATCHER.register_hook_with_name(before_call, "before_call")
    try:
        yield
    finally:
        hooks.unregister(before_call)


def test_faults_are_taken_as_described(tmp_path: Path) -> None:
    with serving(tmp_path / "s") as stage:
        schema = loaded(stage, lambda path: path == FAULTS_PATH, stateful=False)
        # JSON Schema takes 2.0 for a whole number, and the reader of faults does not.
        schema.config.checks.positive_data_acceptance.enabled = False
        found, statuses = broken_promises(schema)
    assert found == [], "\n\n".join(found)
    assert {200, 400, 405, 422} <= statuses
