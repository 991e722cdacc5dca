"""The sandbox's uploads, request history, prices and proxies, spoken to as any HTTP client would."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from sandbox_stage import ENDPOINT, KEY, PLAIN, Stage, picture, serving

HISTORY = "/v1/models/requests/by-endpoint"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with serving(tmp_path_factory.mktemp("sandbox")) as running:
        yield running


def history(stage: Stage, **asked: str) -> Any:
    return stage.http.get(HISTORY, params={"endpoint_id": ENDPOINT, **asked}).json()


def test_the_history_tells_what_was_sent_to_the_byte(tmp_path: Path) -> None:
    sent = '{ "duration":"5",  "prompt": "Zo\\u00eb ünd 1.50", "unknown": 1.50, "generate_audio": false }'
    with serving(tmp_path / "s") as stage:
        before = datetime.now(UTC)
        job = stage.http.post(f"/{ENDPOINT}", content=sent.encode()).json()
        stage.wait(job)
        answer = stage.http.get(HISTORY, params={"endpoint_id": ENDPOINT, "expand": "payloads"})
        assert sent in answer.text
        item = answer.json()["items"][0]
        assert (item["request_id"], item["endpoint_id"], item["status_code"]) == (job["request_id"], ENDPOINT, 200)
        times = [datetime.fromisoformat(item[key]) for key in ("sent_at", "started_at", "ended_at")]
        assert [before, *times] == sorted([before, *times])
        assert "json_input" not in history(stage)["items"][0]
        assert history(stage, expand="other")["has_more"] is False


def test_the_history_comes_in_pages_newest_first(tmp_path: Path) -> None:
    with serving(tmp_path / "s", history_page=3) as stage:
        ids = [stage.submit()["request_id"] for _ in range(7)]
        stage.submit(endpoint=ENDPOINT.replace("4k", "pro"))
        found: list[str] = []
        cursor: dict[str, str] = {}
        sizes = []
        while True:
            page = history(stage, **cursor)
            found += [item["request_id"] for item in page["items"]]
            sizes.append(len(page["items"]))
            if len(sizes) == 1:
                # What is submitted while someone turns the pages moves nothing to another page.
                stage.submit()
            if not page["has_more"]:
                assert page["next_cursor"] is None
                break
            cursor = {"cursor": page["next_cursor"]}
        assert (found, sizes) == (ids[::-1], [3, 3, 1])
        assert len(history(stage, limit="100")["items"]) == 8


def test_the_history_keeps_to_a_window(tmp_path: Path) -> None:
    with serving(tmp_path / "s") as stage:
        stage.submit()
        now = datetime.now(UTC)
        hour = timedelta(hours=1)
        windows = {(-1, 1): 1, (1, 2): 0, (-2, -1): 0}
        for (start, end), count in windows.items():
            asked = {"start": (now + start * hour).isoformat(), "end": (now + end * hour).isoformat()}
            assert len(history(stage, **asked)["items"]) == count
        naive = (now - hour).replace(tzinfo=None).isoformat()
        assert len(history(stage, start=naive)["items"]) == 1
        assert len(history(stage, start=(now - hour).strftime("%Y-%m-%dT%H:%M:%SZ"))["items"]) == 1


def test_a_day_alone_is_a_moment_of_the_history(stage: Stage) -> None:
    day = (datetime.now(UTC) + timedelta(days=2)).date().isoformat()
    answer = stage.http.get(HISTORY, params={"endpoint_id": ENDPOINT, "start": day})
    assert (answer.status_code, answer.json()["items"]) == (200, [])


@pytest.mark.parametrize("number", ["0", "10001", "-1", "one", "1.0", "²", "9" * 5000])
def test_what_is_no_number_of_a_part_is_refused(stage: Stage, number: str) -> None:
    begun = stage.http.post("/files/upload/multipart", headers={"X-Fal-File-Name": "a.png"}).json()
    answer = stage.http.put(f"{begun['access_url']}/multipart/{begun['uploadId']}/{number}", content=b"x")
    assert (answer.status_code, answer.json()["detail"]) == (400, "a part has a number from 1 to 10000")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/sandbox/bill", "GET, HEAD"),
        ("POST", "/v1/models/pricing", "GET, HEAD"),
        ("GET", "/files/upload", "POST"),
        ("PATCH", "/files/sandbox/uploads/a/b", "GET, HEAD, PUT"),
        ("PUT", "/files/sandbox/uploads/a/b/multipart/c/complete", "POST"),
    ],
)
def test_a_method_that_a_path_does_not_take_is_refused_with_those_that_it_does(
    stage: Stage, method: str, path: str, allowed: str
) -> None:
    answer = stage.http.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


def test_the_history_can_be_late(tmp_path: Path) -> None:
    with serving(tmp_path / "s", history_delay_seconds=600) as stage:
        stage.buy()
        assert history(stage)["items"] == []


def test_a_job_that_waits_has_no_end_in_the_history(tmp_path: Path) -> None:
    with serving(tmp_path / "s", job_seconds=600, runners=1) as stage:
        stage.submit()
        stage.submit()
        waiting, running = history(stage)["items"]
        assert (waiting["started_at"], waiting["ended_at"], waiting["status_code"]) == (None, None, None)
        assert running["started_at"] is not None


@pytest.mark.parametrize(
    "asked",
    [
        {"endpoint_id": ""},
        {"start": "yesterday"},
        {"limit": "0"},
        {"limit": "many"},
        {"cursor": "9" * 30},
        {"cursor": "-1"},
        {"limit": "²"},
    ],
)
def test_a_history_that_is_asked_for_wrongly_is_refused(stage: Stage, asked: dict[str, str]) -> None:
    answer = stage.http.get(HISTORY, params={"endpoint_id": ENDPOINT, **asked})
    assert (answer.status_code, type(answer.json()["detail"])) == (422, str)


def test_prices_are_the_sheets(stage: Stage) -> None:
    asked = {"endpoint_id": f"{ENDPOINT},{ENDPOINT.replace('4k', 'pro')}"}
    answer = stage.http.get("/v1/models/pricing", params=asked)
    prices = json.loads(answer.text, parse_float=Decimal)["prices"]
    assert prices[0] == {"endpoint_id": ENDPOINT, "unit_price": Decimal("0.42"), "unit": "seconds", "currency": "USD"}
    assert prices[1]["unit_price"] == Decimal("0.112")
    assert len(stage.http.get("/v1/models/pricing").json()["prices"]) == 5
    assert stage.http.get("/v1/models/pricing", params={"endpoint_id": "a/b"}).status_code == 404


def test_an_upload_is_found_at_its_address_with_its_kind(stage: Stage) -> None:
    content = picture()
    address = stage.upload(content, "image/png", "../../etc/pass wd.png")
    assert re.fullmatch(rf"{stage.sandbox.url}/files/sandbox/uploads/[0-9a-f]+/[A-Za-z0-9._-]+\.png", address)
    answer = stage.http.get(address)
    assert (answer.content, answer.headers["content-type"]) == (content, "image/png")


@pytest.mark.parametrize(
    "kind", ["image/png\r\nSet-Cookie: a=b", "text/html", "image/" + "x" * 9000, "", "image/p\u00e9"]
)
def test_a_kind_that_a_caller_makes_up_is_not_repeated(stage: Stage, kind: str) -> None:
    told = {"file_name": "\u202e\r\n\u00e9.png", "content_type": kind}
    answer = stage.http.post("/storage/upload/initiate", json=told).json()
    assert stage.http.put(answer["upload_url"], content=b"<script>").status_code == 200
    found = stage.http.get(answer["file_url"])
    assert (found.status_code, found.headers["content-type"]) == (200, "application/octet-stream")
    assert "set-cookie" not in found.headers


def test_an_upload_announced_first_is_there_when_it_was_put(stage: Stage) -> None:
    told = {"file_name": "a.png", "content_type": "image/png"}
    answer = stage.http.post("/storage/upload/initiate?storage_type=fal-cdn-v3", json=told).json()
    assert stage.http.get(answer["file_url"]).status_code == 404
    assert stage.buy({**PLAIN, "image_urls": [answer["file_url"]]}).status_code == 422
    assert httpx.put(answer["upload_url"], content=picture(), verify=stage.trust, trust_env=False).status_code == 200
    assert stage.http.get(answer["file_url"]).content == picture()
    assert stage.buy({**PLAIN, "image_urls": [answer["file_url"]]}).status_code == 200


def test_parts_are_put_together_in_their_order(stage: Stage) -> None:
    headers = {"Content-Type": "image/png", "X-Fal-File-Name": "a.png"}
    begun = stage.http.post("/files/upload/multipart", headers=headers).json()
    base = f"{begun['access_url']}/multipart/{begun['uploadId']}"
    content = picture()
    pieces = {2: content[1000:], 1: content[:1000]}
    tags = {
        number: stage.http.put(f"{base}/{number}", content=piece).headers["etag"] for number, piece in pieces.items()
    }
    parts = [{"partNumber": number, "etag": tag} for number, tag in tags.items()]
    wrong = [parts[:1], [], [{**parts[0], "etag": "x"}, parts[1]], [*parts, {"partNumber": 3, "etag": "y"}]]
    assert [stage.http.post(f"{base}/complete", json={"parts": each}).status_code for each in wrong] == [400] * 4
    assert stage.http.get(begun["access_url"]).status_code == 404
    assert stage.http.post(f"{base}/complete", json={"parts": parts}).status_code == 200
    assert stage.http.get(begun["access_url"]).content == content
    for path in (f"{base}/0", f"{base}/10001", f"{base}x/1"):
        assert stage.http.put(path, content=b"x").status_code in (400, 404)
    assert stage.http.post(f"{base}/complete", json={"parts": "all"}).status_code == 422


def test_an_upload_that_breaks_off_leaves_nothing(stage: Stage, tmp_path: Path) -> None:
    before = stage.sandbox.bill().uploads

    def broken() -> Iterator[bytes]:
        yield b"x" * 3_000_000
        raise RuntimeError("the caller's disk is gone")

    with pytest.raises(RuntimeError, match="disk"):
        stage.http.post("/files/upload", content=broken())
    assert stage.http.get("/sandbox/bill").json()["problems"] == []
    assert stage.sandbox.bill().uploads == before


def connect(stage: Stage, request: bytes) -> bytes:
    port = int(stage.sandbox.proxy.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=30) as plug:
        plug.sendall(request)
        answer = b""
        while data := plug.recv(4096):
            answer += data
            if b"200 Connection established" in answer:
                break
    return answer


@pytest.mark.parametrize(
    "target",
    [
        "CONNECT example.com:443",
        "CONNECT queue.fal.run:80",
        "CONNECT queue.fal.run.example.com:443",
        "CONNECT 127.0.0.1:22",
        "CONNECT queue.fal.run",
        "GET http://queue.fal.run/",
        "CONNECT",
    ],
)
def test_the_proxy_leads_to_fals_hosts_and_nowhere_else(stage: Stage, target: str) -> None:
    answer = connect(stage, f"{target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert f"{target} ".split(" ")[1] in stage.sandbox.bill().refused_hosts


@pytest.mark.parametrize(
    "request_bytes", [b"", b"\r\n\r\n", b"\xff" * 100_000, b"CONNECT queue.fal.run:443 HTTP/1.1\r\n"]
)
def test_the_proxy_survives_what_is_no_request(stage: Stage, request_bytes: bytes) -> None:
    port = int(stage.sandbox.proxy.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=30) as plug:
        plug.sendall(request_bytes)
    established = connect(stage, b"CONNECT queue.fal.run:443 HTTP/1.1\r\n\r\n")
    assert established == b"HTTP/1.1 200 Connection established\r\n\r\n"


def test_through_the_proxy_every_host_has_its_own_name(stage: Stage) -> None:
    with httpx.Client(proxy=stage.sandbox.proxy, verify=stage.trust, headers=KEY, trust_env=False) as http:
        token = http.post("https://rest.fal.ai/storage/auth/token?storage_type=fal-cdn-v3", json={}).json()
        assert token["base_url"] == "https://v3.fal.media"
        assert datetime.fromisoformat(token["expires_at"]) > datetime.now(UTC)
        bearer = {"Authorization": f"{token['token_type']} {token['token']}", "Content-Type": "image/png"}
        url = http.post("https://v3.fal.media/files/upload", content=picture(), headers=bearer).json()["access_url"]
        assert url.startswith("https://v3.fal.media/files/")
        job = http.post(f"https://queue.fal.run/{ENDPOINT}", json={**PLAIN, "image_urls": [url]}).json()
        assert job["status_url"].startswith("https://queue.fal.run/")
        while http.get(job["status_url"]).json()["status"] != "COMPLETED":
            pass
        video = http.get(job["response_url"]).json()["video"]
        assert video["url"].startswith("https://v3b.fal.media/files/")
        assert len(http.get(video["url"]).content) == video["file_size"]
        assert http.get(f"https://api.fal.ai{HISTORY}?endpoint_id={ENDPOINT}").json()["items"]
        with pytest.raises(httpx.ProxyError, match="403"):
            http.get("https://example.com/")
        assert http.post(f"https://fal.run/{ENDPOINT}", json=PLAIN).status_code == 404


PROXY = "/api/fal/proxy"


def aimed(target: str) -> dict[str, str]:
    return {"x-fal-target-url": target}


def test_the_javascript_proxy_leads_to_the_same_queue(stage: Stage) -> None:
    with httpx.Client(base_url=stage.sandbox.url, verify=stage.trust, trust_env=False) as http:
        job = http.post(PROXY, json=PLAIN, headers=aimed(f"https://queue.fal.run/{ENDPOINT}")).json()
        assert job["status_url"].startswith(stage.sandbox.url)
        path = f"/fal-ai/kling-video/requests/{job['request_id']}"
        status = http.get(PROXY, headers=aimed(f"https://queue.fal.run{path}/status?logs=1"))
        assert status.json()["status"] in ("IN_QUEUE", "IN_PROGRESS", "COMPLETED")
        history_url = f"https://api.fal.ai{HISTORY}?endpoint_id={ENDPOINT}&limit=1"
        assert len(http.get(PROXY, headers=aimed(history_url)).json()["items"]) == 1


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("", 400),
        ("https://example.com/", 412),
        ("http://queue.fal.run/", 412),
        ("https://queue.fal.run:8443/", 412),
        ("https://user@queue.fal.run/", 412),
        ("https://queue.fal.run@example.com/", 412),
        ("https://v3.fal.media/files/upload", 412),
        ("https://127.0.0.1/sandbox/reset", 412),
        ("https://queue.fal.run/sandbox/reset", 404),
        ("https://queue.fal.run/api/fal/proxy", 404),
        ("https://[queue.fal.run/", 412),
        ("//queue.fal.run/", 412),
        ("https://queue.fal.run/\u00fc", 412),
    ],
)
def test_the_javascript_proxy_refuses_every_other_aim(stage: Stage, target: str, status: int) -> None:
    header = [(b"x-fal-target-url", target.encode())]
    assert stage.http.post(PROXY, headers=header, content=b"{}").status_code == status


def test_the_javascript_proxy_is_on_loopback_only(stage: Stage) -> None:
    headers = {**aimed(f"https://queue.fal.run/{ENDPOINT}"), "Host": "queue.fal.run"}
    assert stage.http.post(PROXY, headers=headers, json=PLAIN).status_code == 404
