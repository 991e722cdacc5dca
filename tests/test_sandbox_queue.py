"""The sandbox's queue: what it answers, how it judges, what it bills, and what it makes of hostile callers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from foreign_sheet import FOREIGN
from media_samples import make_video
from sandbox_stage import ENDPOINT, KEY, PLAIN, Stage, coloured, data_url, picture, serving

from kling_dsl.sheets import Profiles

ELSEWHERE = "https://example.com/a.png"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with serving(tmp_path_factory.mktemp("sandbox")) as running:
        yield running


def test_a_job_goes_from_the_queue_to_its_result(stage: Stage) -> None:
    answer = stage.http.post(f"/{ENDPOINT}", json=PLAIN)
    job = answer.json()
    assert set(job) == {"request_id", "response_url", "status_url", "cancel_url", "queue_position", "status"}
    assert (job["status"], job["queue_position"]) == ("IN_QUEUE", 0)
    base = f"{stage.sandbox.url}/fal-ai/kling-video/requests/{job['request_id']}"
    assert (job["response_url"], job["status_url"], job["cancel_url"]) == (base, f"{base}/status", f"{base}/cancel")
    status = stage.wait(job)
    assert status["logs"] == []
    assert status["metrics"]["inference_time"] >= 0
    assert "error" not in status
    result = stage.http.get(job["response_url"])
    assert result.status_code == 200
    assert result.headers["x-fal-billable-units"] == "5"
    assert result.headers["x-fal-request-id"] == answer.headers["x-fal-request-id"] == job["request_id"]
    assert {key: result.json()["video"][key] for key in ("content_type", "file_name")} == {
        "content_type": "video/mp4",
        "file_name": "output.mp4",
    }


def test_every_answer_says_that_it_is_the_sandbox(stage: Stage) -> None:
    for path in ("/sandbox/bill", "/nowhere", "/fal-ai/x/requests/1/status"):
        assert stage.http.get(path).headers["x-kling-sandbox"] == "1"


def test_positions_are_true_while_jobs_wait(tmp_path: Path) -> None:
    with serving(tmp_path / "s", runners=1, job_seconds=600) as stage:
        jobs = [stage.submit() for _ in range(4)]
        assert [job["queue_position"] for job in jobs] == [0, 0, 1, 2]
        assert stage.status(jobs[0])["status"] == "IN_PROGRESS"
        assert [stage.status(job)["queue_position"] for job in jobs[1:]] == [0, 1, 2]
        assert stage.http.put(jobs[2]["cancel_url"]).status_code == 202
        assert [stage.status(job)["queue_position"] for job in (jobs[1], jobs[3])] == [0, 1]
        assert stage.http.get(jobs[1]["status_url"]).status_code == 202


def test_a_cancelled_job_that_waited_is_over_and_not_billed(tmp_path: Path) -> None:
    with serving(tmp_path / "s", runners=1, job_seconds=600) as stage:
        stage.submit()
        job = stage.submit()
        assert stage.http.put(job["cancel_url"]).json() == {"status": "CANCELLATION_REQUESTED"}
        status = stage.wait(job)
        assert status["error_type"] == "client_cancelled"
        assert stage.http.get(job["response_url"]).status_code == 499
        assert stage.http.put(job["cancel_url"]).status_code == 400
        bill = stage.sandbox.bill()
        assert (bill.cancelled, bill.total_usd) == (1, Decimal(0))
        assert [each.cancelled for each in bill.submissions] == [False, True]


def test_a_cancelled_job_that_runs_goes_on_and_is_billed(tmp_path: Path) -> None:
    with serving(tmp_path / "s", job_seconds=0.3) as stage:
        job = stage.submit()
        assert stage.http.put(job["cancel_url"]).status_code == 202
        stage.wait(job)
        assert stage.http.get(job["response_url"]).status_code == 200
        assert stage.sandbox.bill().total_usd == Decimal("2.10")
        assert stage.http.put(job["cancel_url"]).json() == {"status": "ALREADY_COMPLETED"}


def test_what_is_not_there_is_404(stage: Stage) -> None:
    job = stage.submit()
    lost = "/fal-ai/kling-video/requests/00000000-0000-0000-0000-000000000000"
    answers = [
        stage.http.post("/fal-ai/kling-video/o9/text-to-video", json=PLAIN),
        stage.http.get(f"{lost}/status"),
        stage.http.get(lost),
        stage.http.put(f"{lost}/cancel"),
        stage.http.get(job["status_url"].replace("kling-video", "veo")),
    ]
    assert [answer.status_code for answer in answers] == [404] * 5
    assert all(isinstance(answer.json()["detail"], str) for answer in answers)


def test_a_result_is_not_there_before_the_end(tmp_path: Path) -> None:
    with serving(tmp_path / "s", job_seconds=600) as stage:
        answer = stage.http.get(stage.submit()["response_url"])
        assert (answer.status_code, answer.json()["detail"]) == (400, "Request is still in progress")


@pytest.mark.parametrize(
    ("key", "status"),
    [("", 401), ("Key nothing", 401), ("Key :", 401), ("Basic a:b", 401), ("Key a:b", 200), ("Bearer token", 200)],
)
def test_a_key_is_needed(stage: Stage, key: str, status: int) -> None:
    before = stage.sandbox.bill().paid_posts_received
    answer = stage.http.post(f"/{ENDPOINT}", json=PLAIN, headers={"Authorization": key})
    assert answer.status_code == status
    assert stage.sandbox.bill().paid_posts_received == before + (status == 200)


@pytest.mark.parametrize(
    ("host", "path", "status"),
    [
        ("evil.example", "/sandbox/bill", 421),
        ("127.0.0.1:1", "/sandbox/bill", 421),
        ("queue.fal.run", "/sandbox/bill", 404),
        ("api.fal.ai", "/v1/models/pricing", 200),
        ("api.fal.ai:443", "/v1/models/pricing", 200),
        ("queue.fal.run", "/v1/models/pricing", 404),
        ("v3.fal.media", "/v1/models/pricing", 404),
    ],
)
def test_each_host_answers_for_itself(stage: Stage, host: str, path: str, status: int) -> None:
    assert stage.http.get(path, headers={"Host": host}).status_code == status


def test_urls_are_on_the_host_that_was_asked(stage: Stage) -> None:
    for host in ("queue.falrun.com", "queue.fal.run"):
        job = stage.submit(Host=host)
        assert job["status_url"].startswith(f"https://{host}/fal-ai/kling-video/requests/")
        stage.wait({"status_url": job["status_url"].replace(f"https://{host}", stage.sandbox.url)})
        path = job["response_url"].removeprefix(f"https://{host}")
        url = stage.http.get(path, headers={"Host": host}).json()["video"]["url"]
        assert url.startswith("https://v3b.fal.media/files/")


SHOTS = [{"prompt": "One.", "duration": "2"}, {"prompt": "Two.", "duration": "3"}]
REFUSED: dict[str, tuple[dict[str, Any], list[Any], str]] = {
    "integer-duration": ({"duration": 5}, ["body", "duration"], "string_type"),
    "too-short": ({"duration": "2"}, ["body", "duration"], "literal_error"),
    "text-for-audio": ({"generate_audio": "yes"}, ["body", "generate_audio"], "bool_type"),
    "too-long": ({"prompt": "x" * 2501}, ["body", "prompt"], "string_too_long"),
    "both-prompts": ({"multi_prompt": SHOTS}, ["body"], "value_error"),
    "no-prompt": ({"prompt": None}, ["body"], "value_error"),
    "sum-of-shots": ({"prompt": None, "multi_prompt": SHOTS[:1]}, ["body", "duration"], "value_error"),
    "too-many": ({"image_urls": [ELSEWHERE] * 8}, ["body"], "value_error"),
    "no-such-image": ({"prompt": "@Image2", "image_urls": [ELSEWHERE]}, ["body", "prompt"], "value_error"),
    "no-such-element": ({"prompt": "@Element1"}, ["body", "prompt"], "value_error"),
    "image-zero": ({"prompt": "@Image0", "image_urls": [ELSEWHERE]}, ["body", "prompt"], "value_error"),
    "endless-number": ({"prompt": f"@Image{'9' * 2000}"}, ["body", "prompt"], "value_error"),
    "no-address": ({"image_urls": ["refs/a.png"]}, ["body", "image_urls", 0], "file_download_error"),
    "end-without-start": ({"end_image_url": ELSEWHERE}, ["body"], "missing"),
    "item-that-is-none": ({"image_urls": [None]}, ["body", "image_urls", 0], "string_type"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_wrong_request_is_refused_at_the_result_and_costs_nothing(stage: Stage, case: str) -> None:
    change, place, kind = REFUSED[case]
    job = stage.submit({**PLAIN, **change})
    status = stage.wait(job)
    assert "error" not in status
    result = stage.http.get(job["response_url"])
    detail = result.json()["detail"]
    assert (result.status_code, detail[0]["loc"], detail[0]["type"]) == (422, place, kind)
    assert all(set(each) >= {"loc", "msg", "type", "url", "input"} for each in detail)
    assert (result.headers["x-fal-billable-units"], result.headers["x-fal-retryable"]) == ("0", "false")
    submission = stage.sandbox.bill().submissions[-1]
    assert (submission.billed, submission.cost_usd, submission.error) == (False, Decimal(0), "422")


def test_an_upload_has_to_be_there_and_fit_the_model(stage: Stage, tmp_path: Path) -> None:
    good = stage.upload(picture())
    short = make_video(tmp_path / "short.mp4", width=720, height=720, seconds=1).read_bytes()
    cases = {
        "file_download_error": good.replace("front", "other"),
        "image_too_small": stage.upload(picture(200, 300)),
        "image_aspect_ratio": stage.upload(picture(300, 900)),
        "unsupported_image_format": stage.upload(b"no picture at all"),
        "image_load_error": stage.upload(picture()[:900]),
    }
    for kind, address in cases.items():
        result = stage.buy({**PLAIN, "start_image_url": good, "image_urls": [address]})
        assert result.status_code == 422
        assert [(each["loc"], each["type"]) for each in result.json()["detail"]] == [(["body", "image_urls", 0], kind)]
    element = {"elements": [{"video_url": stage.upload(short, "video/mp4", "walk.mp4")}]}
    detail = stage.buy({**PLAIN, **element}).json()["detail"]
    assert [(each["loc"], each["type"]) for each in detail] == [
        (["body", "elements", 0, "video_url"], "video_duration_too_short")
    ]
    assert stage.buy({**PLAIN, "start_image_url": good, "image_urls": [good]}).status_code == 200


def test_addresses_elsewhere_are_taken_as_they_are(stage: Stage) -> None:
    own = "https://v3.fal.media/files/lion/real-upload.png"
    addresses = [ELSEWHERE, own, data_url(picture()), "https://v3.fal.media.evil.example/files/sandbox/uploads/1/a.png"]
    assert stage.buy({**PLAIN, "image_urls": addresses}).status_code == 200


def test_a_frame_of_a_clip_is_judged_by_the_size_it_stands_for(stage: Stage) -> None:
    frame = stage.upload(coloured("red", 384, 216))
    assert stage.buy({**PLAIN, "start_image_url": frame}).status_code == 200


def test_unknown_keys_are_ignored_and_named_in_the_bill(stage: Stage) -> None:
    element = {"video_url": "https://example.com/a.mp4", "colour": "red"}
    stage.buy({**PLAIN, "promt": "typo", "cfg_scale": None, "elements": [element], "end_image_url": None})
    submission = stage.sandbox.bill().submissions[-1]
    assert submission.ignored == ("promt", "cfg_scale", "elements.colour")
    assert submission.billed
    assert submission.arguments["promt"] == "typo"


@pytest.mark.parametrize(
    ("endpoint", "change", "usd"),
    [
        (ENDPOINT, {}, "2.10"),
        (ENDPOINT, {"duration": "15", "generate_audio": True}, "6.30"),
        (ENDPOINT.replace("4k", "pro"), {}, "0.560"),
        (ENDPOINT.replace("4k", "pro"), {"generate_audio": True}, "0.70"),
    ],
)
def test_the_bill_is_the_sheets_price(stage: Stage, endpoint: str, change: dict[str, Any], usd: str) -> None:
    before = stage.sandbox.bill().total_usd
    assert stage.buy({**PLAIN, **change}, endpoint=endpoint).status_code == 200
    assert stage.sandbox.bill().total_usd - before == Decimal(usd)


def test_defaults_are_the_sheets(stage: Stage) -> None:
    assert stage.buy({"prompt": "Only words."}).headers["x-fal-billable-units"] == "5"


def test_a_sheet_of_the_project_is_served_too(tmp_path: Path) -> None:
    profiles = Profiles.of({"models/lumen-film.toml": FOREIGN})
    profile = profiles.get("lumen-film")
    assert profile is not None
    with serving(tmp_path / "s", profiles=profiles) as stage:
        address = stage.upload(picture(1280, 720))
        length = profile.roles["duration"]
        asked = {"prompt": "A sea.", "reference_images": [address], length: profile.fields[length].default or 5}
        result = stage.buy(asked, endpoint=profile.endpoint)
        assert result.status_code == 200, result.text
        assert stage.sandbox.bill().total_usd > 0


HOSTILE = {
    "nothing": b"",
    "cut": b'{"prompt": "x',
    "deep": b"[" * 100_000,
    "deep-objects": b'{"a":' * 50_000,
    "not-utf-8": b'{"prompt": "\xff\xfe"}',
    "a-surrogate": b'{"prompt": "\\ud800"}',
    "no-number": b'{"prompt": NaN}',
    "large-number": b'{"duration": ' + b"9" * 400 + b"}",
    "large-float": b'{"duration": 1e999}',
    "a-list": b"[1, 2]",
    "a-string": b'"prompt"',
    "null": b"null",
    "keys-twice": b'{"prompt": "a", "prompt": "b"}',
    "deep-but-whole": b'{"prompt": "x", "elements": ' + b"[" * 500 + b"]" * 500 + b"}",
    "odd-types": b'{"prompt": {"a": []}, "elements": [1, null, [], {"video_url": 5}], "multi_prompt": [{"duration": {}}]}',
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_json_is_answered_and_breaks_nothing(stage: Stage, case: str) -> None:
    answer = stage.http.post(f"/{ENDPOINT}", content=HOSTILE[case])
    assert answer.status_code in (200, 400)
    if answer.status_code == 200:
        stage.wait(answer.json())
        expected = 200 if case == "keys-twice" else 422
        assert stage.http.get(answer.json()["response_url"]).status_code == expected
    assert "Traceback" not in answer.text
    assert stage.http.get("/sandbox/bill").json()["problems"] == []


def test_a_body_above_the_limit_is_refused(stage: Stage) -> None:
    assert stage.http.post(f"/{ENDPOINT}", content=b" " * (1024 * 1024 + 1)).status_code == 413
    pieces = (b" " * 65536 for _ in range(20))
    assert stage.http.post(f"/{ENDPOINT}", content=pieces).status_code == 413
    assert stage.http.post("/storage/upload/initiate", content=b" " * (1024 * 1024 + 1)).status_code == 413
    assert stage.buy().status_code == 200


def test_the_bill_never_holds_a_key(tmp_path: Path) -> None:
    told: list[str] = []
    with serving(tmp_path / "s", told=told) as stage:
        stage.buy(Authorization="Key secret-id:secret-word")
        bill = stage.http.get("/sandbox/bill").text
    assert "secret" not in bill + "".join(told)
    assert json.loads(bill)["total_usd"] == "2.10"
    assert told[0].startswith("submission 1: fal-ai/kling-video")
    assert told[1].endswith("completed, bill $2.10")


def test_a_reset_begins_anew(tmp_path: Path) -> None:
    with serving(tmp_path / "s") as stage:
        job = stage.submit()
        address = stage.upload(picture())
        stage.wait(job)
        assert stage.http.post("/sandbox/reset").status_code == 200
        bill = stage.sandbox.bill()
        assert (len(bill.submissions), bill.total_usd, bill.uploads) == (0, Decimal(0), 0)
        assert stage.http.get(job["status_url"]).status_code == 404
        assert stage.http.get(address).status_code == 404
        assert stage.buy().status_code == 200


def test_the_bill_can_be_read_after_the_end(tmp_path: Path) -> None:
    with serving(tmp_path / "s") as stage:
        stage.buy()
    assert stage.sandbox.bill().paid_posts_received == 1


def test_a_crowd_is_served_by_one_loop(stage: Stage) -> None:
    before = stage.sandbox.bill()

    async def buy(client: aiohttp.ClientSession) -> int:
        async with client.post(f"/{ENDPOINT}", json=PLAIN) as answer:
            job = await answer.json()
        while True:
            async with client.get(job["status_url"]) as answer:
                if (await answer.json())["status"] == "COMPLETED":
                    break
            await asyncio.sleep(0.05)
        async with client.get(job["response_url"]) as answer:
            # Read to its end, so that the connection is handed back in order.
            assert (await answer.json())["video"]
            return answer.status

    async def crowd() -> list[int]:
        connector = aiohttp.TCPConnector(ssl=stage.trust, limit=64)
        async with aiohttp.ClientSession(stage.sandbox.url, connector=connector, headers=KEY) as client:
            return list(await asyncio.gather(*[buy(client) for _ in range(300)]))

    assert asyncio.run(crowd()) == [200] * 300
    after = stage.sandbox.bill()
    assert after.total_usd - before.total_usd == 300 * Decimal("2.10")
    assert len({submission.request_id for submission in after.submissions}) == len(after.submissions)


def test_callers_that_say_nothing_or_nonsense_hold_nothing_up(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        with serving(tmp_path / "s") as stage:
            for port in (stage.sandbox.url, stage.sandbox.proxy):
                for words in (b"", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01"):
                    address = ("127.0.0.1", int(port.rpartition(":")[2]))
                    stack.enter_context(socket.create_connection(address)).sendall(words)
            assert stage.buy().status_code == 200
        assert stage.sandbox.bill().paid_posts_received == 1
