"""What goes wrong on request, and that nothing else does."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import av
import httpx
import pytest
from sandbox_stage import ENDPOINT, KEY, PLAIN, Stage, frames, measured, picture, serving

from kling_dsl.sandbox import FAULTS, Fault, read_fault
from kling_dsl.sandbox.faults import FaultBook


def submit(stage: Stage) -> httpx.Response:
    # A connection of its own, so that none is tried again by the pool.
    with httpx.Client(base_url=stage.sandbox.url, verify=stage.trust, headers=KEY, trust_env=False) as http:
        return http.post(f"/{ENDPOINT}", json=PLAIN)


@pytest.mark.parametrize(
    ("kind", "jobs"), [("accept-and-drop", 1), ("drop-before-accept", 0)], ids=["accepted", "not-accepted"]
)
def test_a_submission_can_be_left_without_an_answer(tmp_path: Path, kind: str, jobs: int) -> None:
    with serving(tmp_path / "s", f"{kind}=1") as stage:
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            submit(stage)
        bill = stage.sandbox.bill()
        assert (bill.paid_posts_received, len(bill.submissions)) == (1, jobs)
        assert submit(stage).status_code == 200


def test_a_dropped_job_that_was_accepted_is_billed(tmp_path: Path) -> None:
    with serving(tmp_path / "s", "accept-and-drop=1") as stage:
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            submit(stage)
        request_id = stage.sandbox.bill().submissions[0].request_id
        stage.wait({"status_url": f"/fal-ai/kling-video/requests/{request_id}/status"})
        assert stage.sandbox.bill().total_usd == Decimal("2.10")


REFUSALS: dict[str, tuple[int, str, str]] = {
    "refuse-429": (429, "true", "rate_limited"),
    "http-500": (500, "true", "internal_error"),
    "unauthorized": (401, "false", "unauthorized"),
    "exhausted": (403, "false", "exhausted_balance"),
}


@pytest.mark.parametrize("kind", REFUSALS)
def test_a_submission_can_be_refused_by_the_platform(tmp_path: Path, kind: str) -> None:
    status, retryable, name = REFUSALS[kind]
    with serving(tmp_path / "s", f"{kind}=2") as stage:
        answer = submit(stage)
        assert (answer.status_code, answer.json()["error_type"]) == (status, name)
        assert isinstance(answer.json()["detail"], str)
        assert (answer.headers["x-fal-retryable"], answer.headers["x-fal-error-type"]) == (retryable, name)
        assert "retry-after" not in answer.headers
        assert [submit(stage).status_code for _ in range(2)] == [status, 200]
        assert len(stage.sandbox.bill().submissions) == 1


def test_a_refusal_can_say_when_to_come_back(tmp_path: Path) -> None:
    with serving(tmp_path / "s", "refuse-429=1@7", Fault("refuse-429", count=1, retry_after=3)) as stage:
        assert [submit(stage).headers.get("retry-after") for _ in range(3)] == ["7", "3", None]


@pytest.mark.parametrize(
    ("kind", "jobs"), [("http-502", 0), ("http-503", 0), ("http-504", 0), ("accept-and-504", 1)], ids=str
)
def test_a_gateway_answers_with_a_page(tmp_path: Path, kind: str, jobs: int) -> None:
    with serving(tmp_path / "s", f"{kind}=1") as stage:
        answer = submit(stage)
        assert answer.status_code == int(kind[-3:])
        assert "nginx" in answer.text
        assert answer.headers["content-type"].startswith("text/html")
        assert "x-fal-request-id" not in answer.headers
        assert len(stage.sandbox.bill().submissions) == jobs


def test_a_slow_answer_comes_after_the_job_was_made(tmp_path: Path) -> None:
    with serving(tmp_path / "s", "slow-answer=1@600") as stage:
        with pytest.raises(httpx.ReadTimeout):
            stage.http.post(f"/{ENDPOINT}", json=PLAIN, timeout=0.3)
        assert len(stage.sandbox.bill().submissions) == 1
    with serving(tmp_path / "t", "slow-answer=1@0.05") as stage:
        assert submit(stage).status_code == 200


def test_asking_after_a_job_can_fail_and_be_repeated(tmp_path: Path) -> None:
    with serving(tmp_path / "s", "status-503=1", "status-drop=1") as stage:
        job = stage.submit()
        assert stage.http.get(job["status_url"]).status_code == 503
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            stage.http.get(job["status_url"])
        assert stage.wait(job)["status"] == "COMPLETED"
        assert stage.sandbox.bill().status_requests >= 3


def test_a_job_goes_back_to_the_queue_once(tmp_path: Path) -> None:
    with serving(tmp_path / "s", "requeue=1", job_seconds=1) as stage:
        job = stage.submit()
        assert stage.status(job)["status"] == "IN_PROGRESS"
        assert stage.wait(job, until="IN_QUEUE")["queue_position"] == 0
        stage.wait(job, until="IN_PROGRESS")
        stage.wait(job)
        assert stage.http.get(job["response_url"]).status_code == 200
        assert stage.sandbox.bill().total_usd == Decimal("2.10")


def test_a_job_can_end_with_an_error_of_the_platform(tmp_path: Path) -> None:
    with serving(tmp_path / "s", "job-error=1") as stage:
        job = stage.submit()
        status = stage.wait(job)
        assert (status["error_type"], bool(status["error"])) == ("runner_server_error", True)
        result = stage.http.get(job["response_url"])
        assert (result.status_code, result.headers["x-fal-error-type"]) == (500, "runner_server_error")
        assert result.headers["x-fal-retryable"] == "true"
        assert stage.sandbox.bill().total_usd == 0
        assert stage.buy().status_code == 200


@pytest.mark.parametrize(("kind", "usd"), [("content-refusal", "0"), ("content-refusal-billed", "2.10")])
def test_content_can_be_refused(tmp_path: Path, kind: str, usd: str) -> None:
    with serving(tmp_path / "s", kind) as stage:
        result = stage.buy()
        assert result.status_code == 422
        assert result.json()["detail"][0]["type"] == "content_policy_violation"
        assert result.headers["x-fal-billable-units"] == ("5" if kind.endswith("billed") else "0")
        assert stage.sandbox.bill().total_usd == Decimal(usd)


def test_a_result_can_be_gone(tmp_path: Path) -> None:
    with serving(tmp_path / "s", "result-gone=1") as stage:
        job = stage.submit()
        stage.wait(job)
        assert [stage.http.get(job["response_url"]).status_code for _ in range(2)] == [404, 404]
        assert stage.sandbox.bill().total_usd == Decimal("2.10")
        assert stage.buy().status_code == 200


def test_a_clip_can_be_missing(tmp_path: Path) -> None:
    with serving(tmp_path / "s", "media-missing=1") as stage:
        url = stage.buy().json()["video"]["url"]
        assert [stage.http.get(url).status_code for _ in range(2)] == [404, 404]


@pytest.mark.parametrize("media", ["plain", "drawn"])
def test_a_clip_can_be_cut_off(tmp_path: Path, media: str) -> None:
    with serving(tmp_path / "s", "media-cut=1", media=media, scale=0.02) as stage:
        video = stage.buy({**PLAIN, "duration": "3"}).json()["video"]
        content = stage.fetch(video["url"])
        assert len(content) == video["file_size"] // 2
        with pytest.raises((av.InvalidDataError, EOFError)):
            frames(content)


def test_a_clip_can_last_too_long_or_be_no_video(tmp_path: Path) -> None:
    with serving(tmp_path / "s", "media-not-video=1") as stage:
        assert b"<html" not in stage.clip()[:4]
        stage.sandbox.set_faults(Fault("media-wrong-length"))
        assert measured(stage.clip({**PLAIN, "duration": "3"})).seconds == 6


def test_a_clip_can_be_silent(tmp_path: Path) -> None:
    with serving(tmp_path / "s", "media-silent=1") as stage:
        for expected in (0, 1):
            assert measured(stage.clip({**PLAIN, "generate_audio": True})).sounds == expected


def take_in(answer: httpx.Response, received: bytearray) -> None:
    for part in answer.iter_raw():
        received += part


@pytest.mark.parametrize("kind", ["media-truncated", "media-drop-midway"])
@pytest.mark.parametrize("media", ["plain", "drawn"])
def test_a_download_can_break(tmp_path: Path, kind: str, media: str) -> None:
    with serving(tmp_path / "s", f"{kind}=1", media=media, scale=0.02) as stage:
        video = stage.buy({**PLAIN, "duration": "3"}).json()["video"]
        size = int(stage.http.head(video["url"]).headers["content-length"])
        assert size == video["file_size"]
        received = bytearray()
        with stage.http.stream("GET", video["url"]) as answer:
            assert int(answer.headers["content-length"]) == size
            with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
                take_in(answer, received)
        assert len(received) < size
        assert len(stage.fetch(video["url"])) == size


def test_uploads_and_the_history_can_be_busy(tmp_path: Path) -> None:
    with serving(tmp_path / "s", "upload-503=1", "history-503=1") as stage:
        assert stage.http.post("/files/upload", content=picture()).status_code == 503
        assert stage.upload(picture()).startswith("https://")
        history = f"/v1/models/requests/by-endpoint?endpoint_id={ENDPOINT}"
        assert [stage.http.get(history).status_code for _ in range(2)] == [503, 200]


def test_faults_can_be_replaced_while_it_runs(tmp_path: Path) -> None:
    with serving(tmp_path / "s", "http-500") as stage:
        assert submit(stage).status_code == 500
        wanted = [{"kind": "http-502", "count": 1}]
        assert stage.http.post("/sandbox/faults", json=wanted).json()[0]["kind"] == "http-502"
        assert [submit(stage).status_code for _ in range(2)] == [502, 200]
        refused: list[object] = [
            [{"kind": "earthquake"}],
            [{"kind": "http-502", "probability": 2}],
            {"kind": "x"},
            [{}],
        ]
        for wrong in refused:
            assert stage.http.post("/sandbox/faults", json=wrong).status_code == 422


def struck(fault: Fault, seed: int, times: int = 200) -> list[bool]:
    book = FaultBook((fault,), seed=seed)
    return [book.strike("submit") is not None for _ in range(times)]


def test_a_probability_is_kept_and_a_seed_repeats_it() -> None:
    likely = Fault("http-500", probability=0.25)
    assert struck(likely, 1) == struck(likely, 1)
    assert struck(likely, 1) != struck(likely, 2)
    assert 20 < sum(struck(likely, 1)) < 80
    assert sum(struck(Fault("http-500", count=3, probability=0.5), 1)) == 3
    assert sum(struck(Fault("http-500", probability=0.0), 1)) == 0
    assert all(struck(Fault("http-500"), 1))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("http-500", Fault("http-500")),
        ("http-500=3", Fault("http-500", count=3)),
        ("http-500:0.25", Fault("http-500", probability=0.25)),
        ("slow-answer=1@0.5", Fault("slow-answer", count=1, seconds=0.5)),
        ("refuse-429:1@2", Fault("refuse-429", probability=1.0, retry_after=2)),
    ],
)
def test_faults_are_read_as_they_are_written(text: str, fault: Fault) -> None:
    assert read_fault(text) == fault


@pytest.mark.parametrize("text", ["", "earthquake", "http-500=x", "http-500:1.5", "http-500=", "http-500:1.2.3", "=1"])
def test_a_fault_that_is_written_wrong_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        read_fault(text)


def test_every_fault_says_what_it_does() -> None:
    stages: Any = {kind.stage for kind in FAULTS.values()}
    assert stages == {"submit", "status", "job", "media", "upload", "history"}
    assert all(kind.words for kind in FAULTS.values())
