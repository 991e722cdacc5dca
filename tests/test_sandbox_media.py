"""The sandbox's clips: real files of the right length, shape and sound, which show what was asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from media_samples import make_video
from PIL import Image, ImageChops
from sandbox_stage import PLAIN, Stage, coloured, frames, measured, serving

from kling_dsl.sandbox import placard
from kling_dsl.sandbox.clips import scaled_size
from kling_dsl.sandbox.encoding import encode_still, mark
from kling_dsl.sheets import builtin_names, load_builtin

SHORT = {"prompt": "A lantern swings.", "duration": "3"}
PROFILE = load_builtin("o3-4k")


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with serving(tmp_path_factory.mktemp("sandbox"), media="drawn", scale=0.05) as running:
        yield running


@pytest.mark.parametrize("name", builtin_names())
def test_a_clip_is_what_its_sheet_promises(tmp_path: Path, name: str) -> None:
    profile = load_builtin(name)
    roles = profile.roles
    with serving(tmp_path / "s", media="drawn", scale=0.05) as stage:
        for aspect, size in profile.output.sizes.items():
            asked: dict[str, Any] = {
                roles["prompt"]: "A sea.",
                roles["duration"]: "3",
                roles["audio"]: aspect == "16:9",
            }
            if "aspect" in roles:
                asked[roles["aspect"]] = aspect
            elif aspect != "16:9":
                continue
            if roles.get("start-frame") and profile.fields[roles["start-frame"]].required:
                asked[roles["start-frame"]] = "https://example.com/a.png"
            found = measured(stage.clip(asked, endpoint=profile.endpoint))
            rate = int(profile.output.frames_per_second)
            assert found.size == scaled_size(size, 0.05)
            assert (found.seconds, found.pictures, found.rate) == (3.0, 3 * rate, rate)
            assert (found.codec, found.pixels) in (("h264", "yuv420p"), ("mpeg4", "yuv420p"))
            assert (found.sounds, found.sound_codec) == ((1, "aac") if aspect == "16:9" else (0, ""))


@pytest.mark.parametrize("media", ["drawn", "plain"])
def test_a_clip_lasts_exactly_as_long_as_asked(tmp_path: Path, media: str) -> None:
    with serving(tmp_path / "s", media=media, scale=0.01) as stage:
        for seconds in (3, 8, 15):
            clip = stage.clip({**PLAIN, "duration": str(seconds), "generate_audio": True})
            assert measured(clip).seconds == seconds
            assert len(frames(clip)) == seconds * 24


@pytest.mark.parametrize("rate", [Fraction(24), Fraction(30_000, 1001)])
def test_a_still_shows_its_picture_evenly_and_begins_anew_in_each_second(rate: Fraction) -> None:
    clip = encode_still(Image.new("RGB", (64, 36), (24, 26, 30)), size=(64, 36), rate=rate, seconds=4, has_audio=False)
    shown = frames(clip)
    assert [frame.time for frame in shown] == pytest.approx([float(at / rate) for at in range(int(4 * rate))])
    assert [at for at, frame in enumerate(shown) if frame.key_frame] == [*range(0, len(shown), round(rate))]
    (colour,) = {middle(frame.to_image()) for frame in shown}
    assert colour == pytest.approx((24, 26, 30), abs=2)


@pytest.mark.parametrize("scale", [0.01, 0.03, 0.07, 0.1, 0.33, 1.0])
def test_a_scaled_size_is_even_and_keeps_its_shape(scale: float) -> None:
    for size in ((3840, 2160), (2160, 3840), (1920, 1080), (2880, 2880)):
        width, height = scaled_size(size, scale)
        assert (width % 2, height % 2) == (0, 0)
        assert abs(width / height / (size[0] / size[1]) - 1) < (0.02 if scale > 0.02 else 0.2)


def test_two_purchases_are_never_one_file_and_one_request_shows_one_picture(stage: Stage) -> None:
    clips = [stage.clip(SHORT, **{"x-kling-clip": "door"}) for _ in range(2)]
    ids = [submission.request_id for submission in stage.sandbox.bill().submissions[-2:]]
    assert [submission.clip for submission in stage.sandbox.bill().submissions[-2:]] == ["door", "door"]
    for clip, request_id in zip(clips, ids, strict=True):
        assert clip.endswith(mark(request_id))
    assert hashlib.sha256(clips[0]).digest() != hashlib.sha256(clips[1]).digest()
    assert clips[0].removesuffix(mark(ids[0])) == clips[1].removesuffix(mark(ids[1]))


def test_another_seed_or_request_draws_another_picture(tmp_path: Path) -> None:
    def first(seed: int, prompt: str) -> bytes:
        with serving(tmp_path / "s", media="drawn", scale=0.05, seed=seed) as stage:
            return bytes(
                frames(stage.clip({**SHORT, "prompt": prompt}, **{"x-kling-clip": "door"}))[0].to_image().tobytes()
            )

    pictures = {first(0, "A sea."), first(1, "A sea."), first(0, "A lake."), first(0, "A sea.")}
    assert len(pictures) == 3


def test_ready_made_clips_are_one_but_for_their_mark(tmp_path: Path) -> None:
    with serving(tmp_path / "s") as stage:
        clips = [stage.clip({**PLAIN, "prompt": prompt}) for prompt in ("One.", "Two.")]
        ids = [submission.request_id for submission in stage.sandbox.bill().submissions]
    assert len({clip.removesuffix(mark(each)) for clip, each in zip(clips, ids, strict=True)}) == 1
    assert clips[0] != clips[1]


def part(picture: Image.Image, left: float, top: float, right: float, bottom: float) -> Image.Image:
    """Cut a part out of a picture, by fractions of its size."""
    width, height = picture.size
    return picture.crop((int(left * width), int(top * height), int(right * width), int(bottom * height)))


def differ(one: Image.Image, other: Image.Image) -> bool:
    """Say whether two pictures differ by more than what the encoder does to them."""
    return max(high for _, high in ImageChops.difference(one, other).convert("RGB").getextrema()) > 60  # type: ignore[misc]


def middle(picture: Image.Image) -> tuple[int, ...]:
    found = picture.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
    assert isinstance(found, tuple)
    return found


def test_each_shot_is_shown_in_its_own_seconds_under_a_running_clock(stage: Stage) -> None:
    shots = [{"prompt": "Mira runs. " * 4, "duration": "2"}, {"prompt": "The sea waits. " * 6, "duration": "1"}]
    pictures = [frame.to_image() for frame in frames(stage.clip({"multi_prompt": shots, "duration": "3"}))]
    words = [part(picture, 0, 0.16, 1, 1) for picture in pictures]
    clocks = [part(picture, 0.7, 0, 1, 0.13) for picture in pictures]
    assert not differ(words[2], words[46])
    assert differ(words[46], words[50])
    assert not differ(words[50], words[70])
    assert all(differ(clocks[at], clocks[at + 12]) for at in (0, 20, 40, 58))


def test_a_title_is_the_clips_name_or_the_requests(stage: Stage) -> None:
    titles = [
        part(frames(stage.clip(SHORT, **clip))[0].to_image(), 0, 0, 0.6, 0.13) for clip in ({}, {"x-kling-clip": "sea"})
    ]
    assert differ(*titles)


def test_references_are_shown_as_small_pictures(stage: Stage, tmp_path: Path) -> None:
    red, blue = (stage.upload(coloured(colour)) for colour in ("red", "blue"))
    walk = make_video(tmp_path / "walk.mp4", width=720, height=720).read_bytes()
    elements = [
        {"frontal_image_url": red, "reference_image_urls": [blue]},
        {"video_url": stage.upload(walk, "video/mp4", "walk.mp4")},
    ]
    asked = {**SHORT, "elements": elements, "image_urls": [blue, "https://example.com/never-fetched.png"]}
    row = part(frames(stage.clip(asked))[0].to_image(), 0.05, 0.75, 0.95, 0.85)
    colours = [middle(part(row, at / 4 + 0.05, 0.2, at / 4 + 0.12, 0.8)) for at in range(4)]
    assert colours[0][0] > 150 > colours[0][2]
    assert colours[2][2] > 150 > colours[2][0]
    assert max(colours[1]) < 30
    assert 30 < min(colours[3]) <= max(colours[3]) < 80


def test_a_start_frame_tints_the_ground(stage: Stage) -> None:
    red, green = (stage.upload(coloured(colour)) for colour in ("red", "lime"))
    tints = [middle(frames(stage.clip({**SHORT, "start_image_url": each}))[0].to_image()) for each in (red, green)]
    assert tints[0][0] - tints[0][1] > 30
    assert tints[1][1] - tints[1][0] > 30


HOSTILE_WORDS = {
    "longest": "word " * 500,
    "one-word": "x" * 2500,
    "controls": "\x00\x1b[2J\u202e\u2028\ufffe\t\n" * 100,
    "scripts": "日本語の長い文章です。" * 50 + "🦀👩‍🚒" * 20 + "مرحبا",
    "blank": " ",
}


@pytest.mark.parametrize("case", HOSTILE_WORDS)
def test_any_words_can_be_drawn(stage: Stage, case: str) -> None:
    pictures = frames(stage.clip({**SHORT, "prompt": HOSTILE_WORDS[case]}))
    assert len(pictures) == 72


def test_pictures_that_cannot_be_shown_are_left_blank(stage: Stage) -> None:
    whole = coloured("red")
    # Whole by its headers, so that it is taken, and nonsense in its pixels.
    at = whole.index(b"IDAT") + 8
    broken = whole[:at] + bytes(20) + whole[at + 20 :]
    asked = {**SHORT, "image_urls": [stage.upload(broken)], "start_image_url": stage.upload(broken)}
    assert len(frames(stage.clip(asked))) == 72


def test_a_placard_says_what_the_request_says() -> None:
    shots = [{"prompt": "One.", "duration": "2"}, {"prompt": "Two.", "duration": "1"}]
    arguments = {
        "multi_prompt": shots,
        "elements": [{"video_url": "https://example.com/a.mp4"}],
        "image_urls": ["https://example.com/a.png", "https://example.com/b.png"],
        "start_image_url": "https://example.com/s.png",
        "end_image_url": "https://example.com/e.png",
    }
    asked: list[str] = []

    def find(address: str) -> Path | None:
        asked.append(address)
        return Path("b.png") if address.endswith("b.png") else None

    made = placard.make_placard(PROFILE, arguments, title="door", seconds=4, seed=0, find_upload=find)
    assert [(shot.start, shot.end, shot.words) for shot in made.shots] == [(0, 2, "1/2  One."), (2, 4, "2/2  Two.")]
    assert [each.tag for each in made.thumbnails] == ["@Element1", "@Image1", "@Image2", "start", "end"]
    assert [each.place for each in made.thumbnails] == [None, None, Path("b.png"), None, None]
    assert made.start_frame is None


@pytest.mark.parametrize("media", ["plain", "drawn"])
def test_a_clip_can_be_fetched_in_parts(tmp_path: Path, media: str) -> None:
    with serving(tmp_path / "s", media=media, scale=0.02) as stage:
        url = stage.buy(SHORT).json()["video"]["url"]
        upload = stage.upload(coloured("red"))
        for address in (url, upload):
            whole = stage.http.get(address)
            size = len(whole.content)
            assert whole.headers["accept-ranges"] == "bytes"
            head = stage.http.head(address)
            assert (head.status_code, head.headers["content-length"], head.content) == (200, str(size), b"")
            for wanted, found in {
                "0-9": slice(0, 10),
                f"{size - 5}-": slice(size - 5, size),
                "-7": slice(-7, None),
            }.items():
                answer = stage.http.get(address, headers={"Range": f"bytes={wanted}"})
                assert (answer.status_code, answer.content) == (206, whole.content[found])
            assert stage.http.get(address, headers={"Range": f"bytes={size}-"}).status_code == 416


def test_a_key_on_a_media_host_is_counted(tmp_path: Path) -> None:
    with serving(tmp_path / "s") as stage:
        url = stage.buy().json()["video"]["url"]
        stage.fetch(url)
        assert (stage.sandbox.bill().key_on_media_host, stage.sandbox.bill().downloads) == (0, 1)
        stage.http.get(url)
        assert (stage.sandbox.bill().key_on_media_host, stage.sandbox.bill().downloads) == (1, 2)


def test_the_queue_answers_while_clips_are_drawn(tmp_path: Path) -> None:
    with serving(tmp_path / "s", media="drawn", scale=0.05) as stage, ThreadPoolExecutor(4) as callers:
        jobs = list(callers.map(lambda _: stage.submit(SHORT), range(12)))
        assert any(stage.status(job)["status"] == "IN_PROGRESS" for job in jobs)
        for job in jobs:
            stage.wait(job)
        assert len(stage.sandbox.bill().submissions) == 12


def test_a_clip_that_cannot_be_kept_fails_its_job_and_says_so(tmp_path: Path) -> None:
    with serving(tmp_path / "s", media="drawn", scale=0.02, problems=1) as stage:
        # A file stands where the folder was, as when the disk is taken away.
        clips = tmp_path / "s" / "clips"
        clips.rmdir()
        clips.write_bytes(b"")
        job = stage.submit(SHORT)
        assert stage.wait(job)["error_type"] == "internal_error"
        assert stage.http.get(job["response_url"]).status_code == 500
        bill = stage.sandbox.bill()
        assert (bill.total_usd, bill.submissions[0].billed) == (Decimal(0), False)
        assert bill.problems[0].startswith(f"job {job['request_id']}: NotADirectoryError")
