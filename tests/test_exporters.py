"""The exported programs: their data carries any text exactly, and run for real they pay once for every take."""

from __future__ import annotations

import ast
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from fal_stub import FalStub, make_certificate, serve
from hypothesis import given, settings
from hypothesis import strategies as st

from kling_dsl.calls import Asset, Call
from kling_dsl.exporters import curl_program, javascript_program, python_program
from kling_dsl.exporters.python import PACKAGES

# A jq that writes half of what the bodies of the requests are, and fails, as on a full disk.
FULL_DISK = """#!/bin/sh
case $* in
  *setpath*) {jq} "$@" | head -c 60; exit 2 ;;
esac
exec {jq} "$@"
"""
KEY = "key-id:key-secret"
ENDPOINT = "fal-ai/kling-video/o3/4k/reference-to-video"
HOSTILE = (
    "''' \"\"\" \\ \\\\' ${HOME} $(rm -rf .) `id` </script> */ // # %s {{x}} @@CLIPS@@ @@DATA@@",
    "\x1b]0;title\x07\x1b[31m\x9b2J\x7f\u202e\u2028\u2029\ufeff\u200d\x00",
    "first\nKLING_DATA_END\nlast\r\n\tEOF",
    "😀 👩‍🚒 美咲 Zoë \U000e0041 \ufffe",
    "frame:door/end",
)
FILMS = (
    "The Lantern",
    "coding: utf-7\n'''; import os #\x1b[2J*/ KLING_DATA_END",
    '$(touch hacked) `x` "\u2028 @@CLIPS@@',
)
EXPORTERS = {"python": python_program, "curl": curl_program, "javascript": javascript_program}
FASTER = {
    "python": ("FIRST_PAUSE_SECONDS = 2.0", "FIRST_PAUSE_SECONDS = 0.02"),
    "curl": ("first_pause=2\nlongest_pause=10", "first_pause=0\nlongest_pause=0"),
    "javascript": ("FIRST_PAUSE_SECONDS = 2;", "FIRST_PAUSE_SECONDS = 0.02;"),
}
ONLY_LOOPBACK = """
import os, socket
resolve = socket.getaddrinfo
def on_loopback(host, port, *rest, **more):
    if host in ("rest.fal.ai", "v3.fal.media"):
        host, port = "127.0.0.1", int(os.environ["STUB_PORT"])
    if host not in ("127.0.0.1", "localhost"):
        raise socket.gaierror(f"{host} is outside of this test")
    return resolve(host, port, *rest, **more)
socket.getaddrinfo = on_loopback
"""
FRAME_TAKER = """#!/bin/sh
exec "{python}" - "$@" <<'END'
import sys
words = sys.argv[1:]
if words == ["-version"]:
    sys.exit()
import av
with av.open(words[words.index("-i") + 1]) as film:
    *_, last = film.decode(video=0)
last.to_image().save(words[-1], "JPEG")
END
"""


def a_call(name: str = "door", **changes: Any) -> Call:
    facts: dict[str, Any] = {
        "id": name,
        "scene": "INT. LIGHTHOUSE - NIGHT",
        "model": "o3-4k",
        "endpoint": ENDPOINT,
        "arguments": {"prompt": "A door opens.", "duration": "5", "generate_audio": False},
        "references": {},
        "takes": 1,
        "seconds": 5,
        "price_usd": Decimal("2.10"),
        "fingerprint": hashlib.sha256(name.encode()).hexdigest(),
        "file": "lantern.kling",
        "line": 3,
    }
    return Call(**{**facts, **changes})


def data_of(kind: str, program: str) -> list[dict[str, Any]]:
    """Read the clips back out of a program as its own language would."""
    if kind == "python":
        data = program.split("\nCLIPS: list[dict[str, Any]] = ")[1].partition("\n\nSUMMARY = ")[0]
        return list(ast.literal_eval(data))
    if kind == "curl":
        lines = program.split("\n")
        start = lines.index("  cat <<'KLING_DATA_END'")
        return list(json.loads("\n".join(lines[start + 1 : lines.index("KLING_DATA_END", start)]))["clips"])
    return list(json.loads(re.split(r"^const CLIPS = |;\n\nconst SUMMARY = ", program, flags=re.MULTILINE)[1]))


@pytest.mark.parametrize("kind", EXPORTERS)
@settings(deadline=None, max_examples=50)
@given(prompt=st.text(), film=st.text(), note=st.text())
def test_any_text_survives_into_the_arguments(kind: str, prompt: str, film: str, note: str) -> None:
    arguments = {
        "prompt": prompt,
        "multi_prompt": [{"prompt": prompt[::-1], "duration": "3"}],
        "on": True,
        "none": None,
    }
    program = EXPORTERS[kind]([a_call(arguments=arguments)], film=film, root_note=note)
    kept = data_of(kind, program)[0]["arguments"]
    assert (kept, list(kept)) == (arguments, list(arguments))


@pytest.mark.parametrize("kind", EXPORTERS)
@pytest.mark.parametrize("film", FILMS)
def test_no_character_of_a_program_steers_a_terminal(kind: str, film: str) -> None:
    calls = [a_call(f"shot-{at}", arguments={"prompt": text}) for at, text in enumerate(HOSTILE)]
    program = EXPORTERS[kind](calls, film=film, root_note="\x1b[2J\nrm -rf .")
    assert [letter for letter in program if not letter.isprintable() and letter != "\n"] == []
    assert [clip["arguments"]["prompt"] for clip in data_of(kind, program)] == list(HOSTILE)
    if kind == "python":
        compile(program.encode(), "program", "exec")


@pytest.mark.parametrize("kind", EXPORTERS)
def test_the_top_says_what_is_bought_and_what_it_costs(kind: str) -> None:
    calls = [a_call(takes=2), a_call("reply", seconds=4, price_usd=Decimal("0.336"), after=("door",))]
    top = EXPORTERS[kind](calls, film="The Lantern", root_note="Run it beside kling.toml.").split("\nimport ")[0]
    for words in (
        "Buys The Lantern: 2 clips, 3 takes, 14 s, $4.536 in total.",
        "door: 5 s x 2 takes, $4.20",
        "reply: 4 s, $0.336",
        "needs the last frame of door, take 1",
        "Run it beside kling.toml.",
    ):
        assert words in top


def test_a_stand_in_of_no_asset_is_our_own_mistake() -> None:
    lost = a_call(arguments={"start_image_url": f"asset:{'a' * 64}/front.png"})
    with pytest.raises(ValueError, match="names no file"):
        python_program([lost], film="The Lantern")


def test_the_python_program_asks_for_the_fal_client_of_the_project() -> None:
    project = tomllib.loads(Path(__file__).parents[1].joinpath("pyproject.toml").read_text())
    assert PACKAGES.strip("'") in project["project"]["dependencies"]


def test_the_shell_accepts_the_script(tmp_path: Path) -> None:
    script = tmp_path / "buy.sh"
    script.write_text(curl_program([a_call(arguments={"prompt": text}) for text in HOSTILE], film=FILMS[1]))
    for shell in filter(shutil.which, ("sh", "dash", "bash", "ksh", "zsh")):
        subprocess.run([shell, "-n", script], check=True)


@pytest.mark.skipif(not shutil.which("node"), reason="needs node")
def test_node_accepts_the_module_and_reads_the_same_data(tmp_path: Path) -> None:
    module = tmp_path / "buy.mjs"
    program = javascript_program([a_call(arguments={"prompt": text}) for text in HOSTILE], film=FILMS[1])
    module.write_text(program)
    subprocess.run(["node", "--check", module], check=True)
    data = "const CLIPS" + program.split("const CLIPS", 1)[1].split(";\n\nconst SUMMARY", 1)[0]
    shown = tmp_path / "show.mjs"
    shown.write_text(f"{data};\nconsole.log(JSON.stringify(CLIPS.map((clip) => clip.arguments.prompt)));")
    assert json.loads(subprocess.check_output(["node", shown])) == list(HOSTILE)


class Stage:
    """A project folder, an exported program in it and the stand-in that it buys from."""

    def __init__(self, kind: str, root: Path, certificate: Path, stub: FalStub) -> None:
        self.kind, self.root, self.stub = kind, root, stub
        self.picture = b"not really a picture"
        self.asset = Asset(hashlib.sha256(self.picture).hexdigest(), "refs/zoë's $front.png")
        root.joinpath("refs").mkdir()
        root.joinpath(self.asset.path).write_bytes(self.picture)
        tools = root.parent / "tools"
        tools.mkdir()
        tools.joinpath("sitecustomize.py").write_text(ONLY_LOOPBACK)
        if not shutil.which("ffmpeg"):
            tools.joinpath("ffmpeg").write_text(FRAME_TAKER.format(python=sys.executable))
            tools.joinpath("ffmpeg").chmod(0o755)
        self.environment = {
            "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(tools),
            "PYTHONPATH": str(tools),
            "STUB_PORT": str(stub.port),
            "FAL_KEY": KEY,
            "FAL_RUN_HOST": stub.host,
            "FAL_QUEUE_RUN_HOST": stub.host,
            "FAL_REST_HOST": stub.host,
            "SSL_CERT_FILE": str(certificate),
            "CURL_CA_BUNDLE": str(certificate),
            "NODE_EXTRA_CA_CERTS": str(certificate),
        }

    def run(self, calls: list[Call], **changes: str) -> subprocess.CompletedProcess[str]:
        """Export the calls and run the program in the project's root."""
        program = EXPORTERS[self.kind](calls, film=FILMS[2])
        assert FASTER[self.kind][0] in program
        path = self.root / {"python": "buy.py", "curl": "buy.sh", "javascript": "buy.mjs"}[self.kind]
        path.write_text(program.replace(*FASTER[self.kind]), encoding="utf-8")
        if self.kind == "javascript":
            modules = self.root / "node_modules"
            if not modules.exists():
                modules.symlink_to(Path(os.environ["KLING_FAL_JS"]) / "node_modules")
        command = {"python": [sys.executable], "curl": ["sh"], "javascript": ["node"]}[self.kind]
        environment = {**self.environment, **changes}
        return subprocess.run(
            [*command, path.name], cwd=self.root, env=environment, capture_output=True, text=True, check=False
        )

    def records(self) -> list[dict[str, Any]]:
        lines = self.root.joinpath("out/requests.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def write_records(self, *lines: dict[str, Any]) -> None:
        self.root.joinpath("out").mkdir()
        self.root.joinpath("out/requests.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))

    def clips(self) -> list[str]:
        return sorted(path.name for path in self.root.joinpath("out").glob("*.mp4"))


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not shutil.which("openssl"):
        pytest.skip("needs openssl, which makes the certificate")
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="session")
def clip() -> bytes:
    av = pytest.importorskip("av")
    from PIL import Image

    target = io.BytesIO()
    with av.open(target, "w", format="mp4") as film:
        stream = film.add_stream("mpeg4", rate=24)
        stream.width, stream.height, stream.time_base = 64, 64, Fraction(1, 24)
        for colour in ("red", "red", "blue"):
            film.mux(stream.encode(av.VideoFrame.from_image(Image.new("RGB", (64, 64), colour))))
        film.mux(stream.encode(None))
    return target.getvalue()


JAVASCRIPT = pytest.param(
    "javascript",
    marks=pytest.mark.skipif(
        not (shutil.which("node") and os.environ.get("KLING_FAL_JS")),
        reason="needs node, and a folder in KLING_FAL_JS where `npm install @fal-ai/client@1` has run",
    ),
)
CURL = pytest.param(
    "curl",
    marks=pytest.mark.skipif(not (shutil.which("curl") and shutil.which("jq")), reason="needs curl and jq"),
)


@pytest.fixture(params=["python", CURL, JAVASCRIPT])
def stage(request: pytest.FixtureRequest, tmp_path: Path, certificate: Path, clip: bytes) -> Iterator[Stage]:
    root = tmp_path / "a film"
    root.mkdir()
    with serve(certificate, clip) as stub:
        yield Stage(request.param, root, certificate, stub)


def test_every_take_is_bought_once_with_exactly_its_arguments(stage: Stage) -> None:
    address = stage.asset.address
    pictures = {"image_urls": [address, "https://example.com/a.png"], "elements": [{"frontal_image_url": address}]}
    hostile = [{"prompt": text, "duration": "3"} for text in HOSTILE]
    door = {"duration": "5", "prompt": HOSTILE[0], **pictures, "generate_audio": True, "end": None, "shots": hostile}
    calls = [a_call(arguments=door, takes=2, assets=(stage.asset,)), a_call("sea")]
    done = stage.run(calls)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Takes to buy now: 3, for $6.30." in done.stdout
    assert list(stage.stub.uploads.values()) == [stage.picture]
    uploaded = f"https://{stage.stub.media_host}{next(iter(stage.stub.uploads))}"
    sent = json.loads(json.dumps(door).replace(json.dumps(address)[1:-1], uploaded))
    expected = [(ENDPOINT, sent), (ENDPOINT, sent), (ENDPOINT, calls[1].arguments)]
    assert [(path, list(body), body) for path, body in stage.stub.paid] == [(p, list(b), b) for p, b in expected]
    assert stage.clips() == ["door-take1.mp4", "door-take2.mp4", "sea-take1.mp4"]
    assert all(stage.root.joinpath("out", name).read_bytes() == stage.stub.clip for name in stage.clips())
    events = [line["event"] for line in stage.records()]
    assert events == ["sending", "submitted"] * 3 + ["stored"] * 3
    assert {line["request_id"] for line in stage.records() if line["event"] == "stored"} == set(stage.stub.jobs)
    assert stage.stub.key_leaks == []
    assert not stage.root.joinpath("hacked").exists()
    before = len(stage.stub.seen)
    again = stage.run(calls)
    assert (again.returncode, len(stage.stub.seen)) == (0, before)
    assert again.stdout.count("is there already") == 3


def test_a_lost_answer_is_paid_at_most_once(stage: Stage) -> None:
    stage.stub.drop_submits = True
    for _ in range(2):
        done = stage.run([a_call()])
        assert done.returncode == 4
        assert "may have been bought" in done.stdout
        assert len(stage.stub.paid) == 1
    assert [line["event"] for line in stage.records()] == ["sending"]


def test_nothing_starts_without_a_key(stage: Stage) -> None:
    done = stage.run([a_call()], FAL_KEY="")
    assert (done.returncode, stage.stub.seen) == (2, [])
    assert "FAL_KEY is not set" in done.stderr
    assert "1 clip, 1 take, 5 s, $2.10 in total" in done.stdout


@pytest.mark.parametrize("stage", ["python"], indirect=True)
def test_nothing_is_bought_without_the_packages_that_it_needs(stage: Stage) -> None:
    stage.root.parent.joinpath("tools", "fal_client.py").write_text("raise ImportError('not installed')\n")
    done = stage.run([a_call()])
    assert (done.returncode, stage.stub.seen) == (2, [])
    assert "this needs fal-client: pip install" in done.stderr
    assert list(stage.root.joinpath("out").iterdir()) == []


@pytest.mark.parametrize("change", [lambda path: path.write_bytes(b"another"), lambda path: path.unlink()])
def test_nothing_is_bought_with_a_changed_or_missing_file(stage: Stage, change: Callable[[Path], None]) -> None:
    change(stage.root / stage.asset.path)
    arguments = {"prompt": "x", "start_image_url": stage.asset.address}
    done = stage.run([a_call("sea"), a_call(arguments=arguments, assets=(stage.asset,))])
    assert (done.returncode, stage.stub.seen) == (2, [])
    assert stage.asset.path in done.stderr
    assert "Nothing was bought" in done.stderr


def test_a_clip_starts_with_the_last_frame_of_the_one_before(stage: Stage) -> None:
    arguments = {"prompt": "frame:door/end", "start_image_url": "frame:door/end"}
    done = stage.run([a_call("reply", arguments=arguments, after=("door",)), a_call()])
    assert (done.returncode, done.stderr) == (0, "")
    assert [body["prompt"] for _, body in stage.stub.paid] == ["A door opens.", "frame:door/end"]
    start = stage.stub.paid[1][1]["start_image_url"]
    picture = stage.stub.uploads[start.partition(stage.stub.media_host)[2]]
    from PIL import Image

    red, _, blue = Image.open(io.BytesIO(picture)).convert("RGB").tobytes()[:3]
    assert red < 60
    assert blue > 190
    assert stage.clips() == ["door-take1.mp4", "reply-take1.mp4"]


def test_a_failed_clip_says_why_and_holds_back_only_what_needs_it(stage: Stage) -> None:
    detail = [{"loc": ["body", "prompt"], "msg": "refused \x1b[31m", "type": "content_policy_violation"}]
    stage.stub.failure = (422, {"detail": detail})
    arguments = {"prompt": "x", "start_image_url": "frame:door/end"}
    done = stage.run([a_call(), a_call("reply", arguments=arguments, after=("door",))])
    assert done.returncode == 4
    assert "content_policy_violation" in done.stdout
    assert "\x1b" not in done.stdout
    assert "the clip before it is missing" in done.stdout
    assert [line["event"] for line in stage.records()] == ["sending", "submitted", "failed"]
    assert len(stage.stub.paid) == 1
    assert stage.clips() == []


def test_a_refused_account_stops_the_spending(stage: Stage) -> None:
    stage.stub.refuse_submits = (403, {"detail": "User is locked. Reason: Exhausted balance."})
    done = stage.run([a_call(), a_call("sea")])
    assert done.returncode == 4
    assert "Exhausted balance" in done.stdout
    assert len(stage.stub.paid) == 1
    stage.stub.refuse_submits = None
    assert stage.run([a_call(), a_call("sea")]).returncode == 0
    assert len(stage.stub.paid) == 3


def test_a_run_after_a_crash_collects_what_was_bought(stage: Stage) -> None:
    bought = {"event": "submitted", "id": "door", "take": 1, "fingerprint": a_call().fingerprint}
    stage.write_records({**bought, **stage.stub.submit()})
    with stage.root.joinpath("out/requests.jsonl").open("a") as file:
        file.write('{"event": "stor')
    done = stage.run([a_call()])
    assert (done.returncode, done.stderr) == (0, "")
    assert stage.stub.paid == []
    assert stage.clips() == ["door-take1.mp4"]
    last = stage.root.joinpath("out/requests.jsonl").read_text().splitlines()[-1]
    assert json.loads(last)["event"] == "stored"


def test_a_stored_clip_that_is_gone_is_not_bought_again(stage: Stage) -> None:
    stored = {"event": "stored", "id": "door", "take": 1, "fingerprint": a_call().fingerprint, "request_id": "r"}
    stage.write_records(stored)
    done = stage.run([a_call()])
    assert (done.returncode, stage.stub.paid) == (4, [])
    assert "its file is gone" in done.stdout


def test_records_that_cannot_be_read_stop_the_run_before_it_buys(stage: Stage) -> None:
    stage.root.joinpath("out/requests.jsonl").mkdir(parents=True)
    arguments = {"prompt": "x", "start_image_url": stage.asset.address}
    done = stage.run([a_call(arguments=arguments, assets=(stage.asset,))])
    assert (done.returncode, stage.stub.seen) == (2, [])
    assert "requests.jsonl cannot be read. Nothing was bought" in done.stderr


@pytest.mark.parametrize("stage", [CURL], indirect=True)
def test_a_request_that_the_disk_cuts_off_is_not_sent(stage: Stage) -> None:
    stands_in = stage.root.parent / "tools" / "jq"
    stands_in.write_text(FULL_DISK.format(jq=shutil.which("jq")))
    stands_in.chmod(0o755)
    done = stage.run([a_call("door"), a_call("reply")])
    assert (done.returncode, stage.stub.paid) == (4, [])
    assert done.stdout.count("was not sent, its media could not be prepared") == 2


def test_a_clip_of_an_earlier_version_is_kept_and_named_so(stage: Stage) -> None:
    stage.write_records({"event": "stored", "id": "door", "take": 1, "fingerprint": "other", "request_id": "r"})
    stage.root.joinpath("out/door-take1.mp4").write_bytes(b"precious")
    done = stage.run([a_call()])
    assert (done.returncode, stage.stub.paid) == (0, [])
    assert "of an earlier version" in done.stdout
    assert stage.root.joinpath("out/door-take1.mp4").read_bytes() == b"precious"


def test_the_key_goes_to_no_host_that_an_answer_names(stage: Stage) -> None:
    stage.stub.status_host = stage.stub.media_host
    done = stage.run([a_call()])
    assert done.returncode == 4
    assert "address outside fal" in done.stdout
    assert stage.stub.key_leaks == []
    assert [line["event"] for line in stage.records()] == ["sending", "submitted"]


def test_two_runs_do_not_work_at_once(stage: Stage) -> None:
    stage.root.joinpath("out/.running").mkdir(parents=True)
    done = stage.run([a_call()])
    assert (done.returncode, stage.stub.seen) == (2, [])
    assert "another run is at work" in done.stderr
