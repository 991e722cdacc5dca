"""What the tests of the sandbox share: one that runs, and a plain HTTPS client that talks to it."""

from __future__ import annotations

import base64
import contextlib
import io
import ssl
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import av
import httpx
from media_samples import make_picture

from kling_dsl.sandbox import Fault, Running, Settings, running
from kling_dsl.sheets import Profiles

ENDPOINT = "fal-ai/kling-video/o3/4k/reference-to-video"
PLAIN = {"prompt": "A door opens.", "duration": "5", "generate_audio": False}
KEY = {"Authorization": "Key sandbox:sandbox"}
PATIENCE_SECONDS = 60
"""How long a test waits for what must come: far more than it takes on any machine, so that only a fault runs into it."""


class Stage:
    """A sandbox that runs, and what a caller does with it."""

    def __init__(self, sandbox: Running, http: httpx.Client) -> None:
        self.sandbox = sandbox
        self.http = http

    def submit(self, arguments: Any = PLAIN, *, endpoint: str = ENDPOINT, **headers: str) -> dict[str, Any]:
        """Submit a job and return the answer, which has to be one of success."""
        answer = self.http.post(f"/{endpoint}", json=arguments, headers=headers)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def status(self, job: Mapping[str, Any]) -> dict[str, Any]:
        """Ask after a job once."""
        return dict(self.http.get(job["status_url"]).json())

    def wait(self, job: Mapping[str, Any], *, until: str = "COMPLETED") -> dict[str, Any]:
        """Ask after a job until it is in a state, and return the status."""
        end = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < end:
            status = self.status(job)
            if status["status"] == until:
                return status
            assert status["status"] != "COMPLETED", status
            time.sleep(0.01)
        raise AssertionError(f"the job never came to {until}")

    def buy(self, arguments: Any = PLAIN, *, endpoint: str = ENDPOINT, **headers: str) -> httpx.Response:
        """Submit a job, wait for its end, and return its result."""
        job = self.submit(arguments, endpoint=endpoint, **headers)
        self.wait(job)
        return self.http.get(job["response_url"])

    def clip(self, arguments: Any = PLAIN, *, endpoint: str = ENDPOINT, **headers: str) -> bytes:
        """Buy a clip and return its bytes."""
        result = self.buy(arguments, endpoint=endpoint, **headers)
        assert result.status_code == 200, result.text
        found = self.fetch(result.json()["video"]["url"])
        assert len(found) == result.json()["video"]["file_size"]
        return found

    def fetch(self, url: str) -> bytes:
        """Download without the key, as any caller should."""
        answer = httpx.get(url, verify=self.trust, trust_env=False)
        assert answer.status_code == 200, answer.text
        return answer.content

    def upload(self, content: bytes, kind: str = "image/png", name: str = "front.png") -> str:
        """Upload a file and return its address."""
        headers = {"Authorization": "Bearer token", "Content-Type": kind, "X-Fal-File-Name": name}
        answer = self.http.post("/files/upload", content=content, headers=headers)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_url"])

    @property
    def trust(self) -> ssl.SSLContext:
        """TLS that trusts this sandbox and nothing else."""
        return ssl.create_default_context(cafile=self.sandbox.certificate)


@contextlib.contextmanager
def serving(
    folder: Path,
    *faults: str | Fault,
    profiles: Profiles | None = None,
    told: list[str] | None = None,
    problems: int = 0,
    **settings: Any,
) -> Iterator[Stage]:
    """Serve a sandbox with instant, ready-made clips unless settings say otherwise.

    It must end with no more `problems` of its own than are foreseen.
    """
    from kling_dsl.sandbox import read_fault

    chosen = tuple(read_fault(fault) if isinstance(fault, str) else fault for fault in faults)
    wanted = Settings(**{"job_seconds": 0.0, "media": "plain", "faults": chosen, **settings})
    folder.mkdir(exist_ok=True)
    lines = [] if told is None else told
    with running(wanted, folder=folder, profiles=profiles or Profiles.of({}), tell=lines.append) as sandbox:
        trust = ssl.create_default_context(cafile=sandbox.certificate)
        with httpx.Client(base_url=sandbox.url, verify=trust, headers=KEY, trust_env=False, timeout=60) as http:
            yield Stage(sandbox, http)
    assert len(sandbox.bill().problems) == problems, sandbox.bill().problems


def picture(width: int = 640, height: int = 360, kind: str = "png") -> bytes:
    """Return a picture."""
    return make_picture(kind, width, height)


def coloured(colour: str, width: int = 640, height: int = 360) -> bytes:
    """Return a picture of one colour."""
    from PIL import Image

    content = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(content, "PNG")
    return content.getvalue()


def data_url(content: bytes) -> str:
    """Return a picture as an address that carries it."""
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


def frames(clip: bytes) -> list[Any]:
    """Decode every picture of a clip; `to_image` shows one as Pillow has it, which takes longer than to decode it."""
    opened: Any = av.open(io.BytesIO(clip))
    with opened as container:
        return list(container.decode(video=0))


class Measured(NamedTuple):
    """What a clip is, by its own headers."""

    size: tuple[int, int]
    seconds: float
    pictures: int
    rate: float
    codec: str
    pixels: str
    sounds: int
    sound_codec: str


def measured(clip: bytes) -> Measured:
    """Measure a clip."""
    opened: Any = av.open(io.BytesIO(clip), format="mov")
    with opened as container:
        track, sounds = container.streams.video[0], container.streams.audio
        return Measured(
            (track.width, track.height),
            container.duration / 1_000_000,
            track.frames,
            float(track.average_rate),
            track.codec_context.name,
            track.codec_context.pix_fmt,
            len(sounds),
            sounds[0].codec_context.name if sounds else "",
        )
