"""The unmodified clients of fal, for Python and for JavaScript, against the sandbox."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sandbox_stage import ENDPOINT, Stage, coloured, measured, picture, serving

from kling_dsl.calls import Asset, Call
from kling_dsl.exporters import curl_program, javascript_program, python_program

CLIENT = """
import asyncio, json, sys
import fal_client
from pathlib import Path

ENDPOINT = sys.argv[1]
told = {}
def tell(**facts):
    told.update(facts)
def arguments(**changes):
    return {"prompt": "A door opens.", "duration": "5", "generate_audio": True, **changes}
"""

BUY = """
url = fal_client.upload_file(sys.argv[2])
seen, ids = [], []
result = fal_client.subscribe(
    ENDPOINT,
    arguments(prompt="@Image1 wakes.", image_urls=[url]),
    with_logs=True,
    on_enqueue=ids.append,
    on_queue_update=lambda status: seen.append(type(status).__name__),
    headers={"x-kling-clip": "door"},
)
import httpx
clip = httpx.get(result["video"]["url"])
Path(sys.argv[3]).write_bytes(clip.content)
tell(url=url, seen=seen, ids=ids, size=result["video"]["file_size"], status=fal_client.status(ENDPOINT, ids[0]).metrics)
"""

ASYNC = """
async def main():
    url = await fal_client.upload_async(Path(sys.argv[2]).read_bytes(), "image/png", "front.png")
    handle = await fal_client.submit_async(ENDPOINT, arguments(image_urls=[url]))
    seen = [type(status).__name__ async for status in handle.iter_events(interval=0.05)]
    result = await handle.get()
    tell(seen=seen, size=result["video"]["file_size"])
asyncio.run(main())
"""

PARTS = """
import fal_client.client as client
# Above this size the client sends a file in parts; 100 MB would only make the test slow.
client.MULTIPART_THRESHOLD = 1000
client.MULTIPART_CHUNK_SIZE = 700
data = Path(sys.argv[2]).read_bytes()
url = fal_client.upload(data, "image/png", "front.png")
import httpx
tell(url=url, same=httpx.get(url).content == data, parts=-(-len(data) // 700))
"""

STORAGE = """
url = fal_client.upload(Path(sys.argv[2]).read_bytes(), "image/png", "front.png", repository="fal")
tell(url=url)
"""

CANCEL = """
first = fal_client.submit(ENDPOINT, arguments())
second = fal_client.submit(ENDPOINT, arguments())
status = second.status()
tell(position=status.position)
second.cancel()
ended = second.status()
tell(ended=type(ended).__name__, error=ended.error_type, first=type(first.status()).__name__)
"""

REFUSED = """
try:
    fal_client.subscribe(ENDPOINT, arguments(duration="99"))
except fal_client.FalClientHTTPError as problem:
    tell(status=problem.status_code, detail=problem.response.json()["detail"], id=problem.response_headers["x-fal-request-id"])
"""

WRONG_KEY = """
client = fal_client.SyncClient(key="no key")
try:
    client.submit(ENDPOINT, arguments())
except fal_client.FalClientHTTPError as problem:
    tell(without_key=problem.status_code)
"""

DROPPED = """
handle = fal_client.submit(ENDPOINT, arguments())
tell(id=handle.request_id)
"""


@pytest.fixture
def front(tmp_path: Path) -> Path:
    path = tmp_path / "front.png"
    path.write_bytes(picture())
    return path


def run(stage: Stage, program: str, *words: str | Path) -> Any:
    """Run a program of the Python client in a process of its own, with nothing but the sandbox's variables set."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "SYSTEMROOT")}
    done = subprocess.run(
        [sys.executable, "-c", f"{CLIENT}{program}\nprint(json.dumps(told))", ENDPOINT, *words],
        env={**kept, **stage.sandbox.environment()},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_python_client_uploads_buys_and_downloads(tmp_path: Path, front: Path) -> None:
    with serving(tmp_path / "s", media="drawn", scale=0.05, job_seconds=0.3) as stage:
        told = run(stage, BUY, front, tmp_path / "clip.mp4")
        clip = (tmp_path / "clip.mp4").read_bytes()
        bill = stage.sandbox.bill()
    assert told["url"].startswith("https://v3.fal.media/files/sandbox/uploads/")
    assert told["url"].endswith("/front.png")
    assert (told["seen"][0], told["seen"][-1]) == ("InProgress", "Completed")
    assert told["ids"] == [bill.submissions[0].request_id]
    assert told["status"]["inference_time"] >= 0.3
    assert len(clip) == told["size"]
    assert (measured(clip).seconds, measured(clip).sounds) == (5.0, 1)
    assert (bill.total_usd, bill.uploads, bill.submissions[0].clip) == (Decimal("2.10"), 1, "door")
    assert (bill.key_on_media_host, bill.refused_hosts) == (0, ())


def test_the_python_client_does_so_without_waiting_threads_too(tmp_path: Path, front: Path) -> None:
    with serving(tmp_path / "s", job_seconds=0.1) as stage:
        told = run(stage, ASYNC, front)
        assert told["seen"][-1] == "Completed"
        assert stage.sandbox.bill().submissions[0].arguments["image_urls"][0].startswith("https://v3.fal.media/")


def test_the_python_client_uploads_in_parts(tmp_path: Path, front: Path) -> None:
    with serving(tmp_path / "s") as stage:
        told = run(stage, PARTS, front)
        assert (told["same"], told["parts"] > 2) == (True, True)
        assert stage.sandbox.bill().upload_bytes == front.stat().st_size


def test_the_python_client_uploads_to_the_older_storage(tmp_path: Path, front: Path) -> None:
    with serving(tmp_path / "s") as stage:
        assert run(stage, STORAGE, front)["url"].startswith("https://v3.fal.media/")
        assert stage.sandbox.bill().uploads == 1


def test_the_python_client_sees_positions_and_cancels(tmp_path: Path) -> None:
    with serving(tmp_path / "s", runners=1, job_seconds=600) as stage:
        told = run(stage, CANCEL)
        assert told == {"position": 0, "ended": "Completed", "error": "client_cancelled", "first": "InProgress"}
        assert stage.sandbox.bill().cancelled == 1


def test_the_python_client_is_told_what_is_wrong(tmp_path: Path) -> None:
    with serving(tmp_path / "s") as stage:
        told = run(stage, REFUSED + WRONG_KEY)
        assert (told["status"], told["detail"][0]["loc"]) == (422, ["body", "duration"])
        assert told["id"] == stage.sandbox.bill().submissions[0].request_id
        assert told["without_key"] == 401
        assert stage.sandbox.bill().paid_posts_received == 1


def test_the_python_client_buys_again_when_an_answer_is_lost(tmp_path: Path) -> None:
    with serving(tmp_path / "s", "accept-and-drop=2", "accept-and-504=1") as stage:
        told = run(stage, DROPPED)
        bill = stage.sandbox.bill()
        # What the sandbox is for: the official client has paid four times for one clip.
        assert (bill.paid_posts_received, len(bill.submissions)) == (4, 4)
        assert told["id"] == bill.submissions[-1].request_id


JAVASCRIPT = """
import { createRequire } from "node:module";
const { fal } = createRequire(process.env.KLING_FAL_JS + "/")("@fal-ai/client");
@@CONFIG@@
const [endpoint, encoded] = process.argv.slice(2);
const content = Buffer.from(encoded, "base64");
const url = await fal.storage.upload(new Blob([content], { type: "image/png" }));
const large = await fal.storage.upload(new Blob([Buffer.alloc(91 * 1024 * 1024, 7)], { type: "video/mp4" }));
const back = (await (await fetch(large)).arrayBuffer()).byteLength;
const seen = [];
const result = await fal.subscribe(endpoint, {
  input: { prompt: "@Image1 wakes.", duration: "5", image_urls: [url, new Blob([content], { type: "image/png" })] },
  pollInterval: 50,
  logs: true,
  headers: { "x-kling-clip": "door" },
  onQueueUpdate: (update) => seen.push(update.status),
});
const clip = Buffer.from(await (await fetch(result.data.video.url)).arrayBuffer()).toString("base64");
let refused;
try {
  await fal.subscribe(endpoint, { input: { prompt: "@Image9" }, pollInterval: 50 });
} catch (problem) {
  refused = { name: problem.name, status: problem.status, place: problem.body.detail[0].loc };
}
const { request_id } = await fal.queue.submit(endpoint, { input: { prompt: "A sea." } });
const history = await fetch(`${process.env.KLING_SANDBOX}/v1/models/requests/by-endpoint?endpoint_id=${endpoint}`, {
  headers: { Authorization: `Key ${process.env.FAL_KEY}` },
});
const last = (await history.json()).items[0].request_id;
console.log(JSON.stringify({ url, back, seen, id: result.requestId, size: result.data.video.file_size, clip, refused, same: last === request_id }));
"""


NODE = pytest.mark.skipif(
    not (shutil.which("node") and os.environ.get("KLING_FAL_JS")),
    reason="needs node, and a folder in KLING_FAL_JS where `npm install @fal-ai/client@1` has run",
)
CURL = pytest.mark.skipif(not (shutil.which("curl") and shutil.which("jq")), reason="needs curl and jq")


@NODE
def test_the_javascript_client_uploads_buys_and_downloads(tmp_path: Path) -> None:
    import base64

    program = tmp_path / "buy.mjs"
    encoded = base64.b64encode(coloured("red")).decode()
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "SYSTEMROOT")}
    kept["KLING_FAL_JS"] = str(Path(os.environ["KLING_FAL_JS"]).resolve())
    with serving(tmp_path / "s", job_seconds=0.2) as stage:
        program.write_text(JAVASCRIPT.replace("@@CONFIG@@", stage.sandbox.javascript()))
        done = subprocess.run(
            ["node", program, ENDPOINT, encoded],
            env={**kept, **stage.sandbox.environment()},
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        bill = stage.sandbox.bill()
    assert told["url"].startswith(f"{stage.sandbox.url}/files/sandbox/uploads/")
    assert told["back"] == 91 * 1024 * 1024
    assert (told["seen"][-1], told["id"]) == ("COMPLETED", bill.submissions[0].request_id)
    clip = base64.b64decode(told["clip"])
    assert (len(clip), measured(clip).seconds) == (told["size"], 5.0)
    assert told["refused"] == {"name": "ValidationError", "status": 422, "place": ["body", "prompt"]}
    assert told["same"]
    assert (bill.uploads, bill.submissions[0].clip, bill.key_on_media_host) == (3, "door", 0)


EXPORTED = {
    "python": (python_program, "buy.py", [sys.executable], "FIRST_PAUSE_SECONDS = 2.0", "FIRST_PAUSE_SECONDS = 0.02"),
    "curl": (curl_program, "buy.sh", ["sh"], "first_pause=2\nlongest_pause=10", "first_pause=0\nlongest_pause=0"),
    "javascript": (javascript_program, "buy.mjs", ["node"], "FIRST_PAUSE_SECONDS = 2;", "FIRST_PAUSE_SECONDS = 0.02;"),
}


@pytest.mark.parametrize("kind", ["python", pytest.param("curl", marks=CURL), pytest.param("javascript", marks=NODE)])
def test_an_exported_program_buys_from_the_sandbox(tmp_path: Path, kind: str) -> None:
    export, name, command, pause, shorter = EXPORTED[kind]
    content = picture()
    (tmp_path / "front.png").write_bytes(content)
    asset = Asset(hashlib.sha256(content).hexdigest(), "front.png")
    arguments = {"prompt": "@Image1 wakes.", "duration": "5", "generate_audio": True, "image_urls": [asset.address]}
    call = Call(
        id="door",
        scene="INT. LIGHTHOUSE - NIGHT",
        model="o3-4k",
        endpoint=ENDPOINT,
        arguments=arguments,
        references={"Mira": "@Image1"},
        takes=2,
        seconds=5,
        price_usd=Decimal("2.10"),
        fingerprint="f" * 64,
        file="film.kling",
        line=3,
        assets=(asset,),
    )
    program = export([call], film="The Lantern")
    assert pause in program
    (tmp_path / name).write_text(program.replace(pause, shorter), encoding="utf-8")
    if kind == "javascript":
        (tmp_path / "node_modules").symlink_to(Path(os.environ["KLING_FAL_JS"]).resolve() / "node_modules")
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "SYSTEMROOT")}
    with serving(tmp_path / "s") as stage:
        environment = {**kept, **stage.sandbox.environment()}
        done = subprocess.run(
            [*command, name], cwd=tmp_path, env=environment, capture_output=True, encoding="utf-8", check=False
        )
        assert (done.returncode, done.stderr) == (0, ""), done.stdout
        bill = stage.sandbox.bill()
    clips = [(tmp_path / "out" / f"door-take{take}.mp4").read_bytes() for take in (1, 2)]
    assert [measured(clip).seconds for clip in clips] == [5.0, 5.0]
    assert clips[0] != clips[1]
    assert (bill.paid_posts_received, bill.total_usd, bill.uploads) == (2, Decimal("4.20"), 1)
    assert (bill.key_on_media_host, bill.submissions[0].ignored) == (0, ())
