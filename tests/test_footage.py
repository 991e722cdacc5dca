"""A clip is what its pictures are, whatever its header says, and its last picture is the one that is seen last."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import socket
import subprocess
import sys
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from footage_samples import claim_samples, level_of, make_clip
from hypothesis import given, settings
from hypothesis import strategies as st
from media_samples import make_picture, make_sound, make_video
from PIL import Image

from kling_dsl import footage
from kling_dsl.footage import Expected, Finding, Footage, Undecodable, Unusable, compare, last_frame, measure


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Have a folder with a silent clip and one with sound, three seconds each."""
    folder = tmp_path_factory.mktemp("clips")
    make_clip(folder / "silent.mp4")
    make_clip(folder / "sound.mp4", sound=True)
    make_clip(folder / "header-first.mp4", sound=True, header_first=True)
    return folder


def reason(path: Path) -> str:
    """Return why a file is no clip."""
    found = measure(path)
    assert isinstance(found, Unusable), found
    return found.reason


def written(folder: Path, content: bytes, name: str = "clip.mp4") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def right(**changes: Any) -> Footage:
    fields = {
        "container": "mp4",
        "width": 96,
        "height": 54,
        "seconds": 3.0,
        "frames_per_second": 24.0,
        "has_audio": False,
        "bytes": 5000,
    }
    return Footage(**{**fields, **changes})


WANTED = Expected(container="mp4", seconds=3, size=(96, 54), aspect=96 / 54, audio=False, size_is_sure=True)


def test_a_clip_that_is_right_measures_so(clips: Path) -> None:
    path = clips / "silent.mp4"
    found = measure(path)
    assert found == right(bytes=path.stat().st_size)
    assert isinstance(found, Footage)
    assert compare(found, WANTED) == Finding((), ())


@pytest.mark.parametrize("name", ["sound.mp4", "header-first.mp4"])
def test_sound_is_found(clips: Path, name: str) -> None:
    found = measure(clips / name)
    assert found == right(bytes=(clips / name).stat().st_size, has_audio=True)


@pytest.mark.parametrize("name", ["silent.mp4", "sound.mp4", "header-first.mp4"])
def test_a_clip_that_is_cut_off_anywhere_is_no_clip(clips: Path, tmp_path: Path, name: str) -> None:
    content = (clips / name).read_bytes()
    cuts = {*range(0, len(content), len(content) // 60), len(content) - 1, len(content) - 9, content.index(b"moov") - 4}
    for cut in sorted(cuts):
        why = reason(written(tmp_path, content[:cut]))
        assert why.startswith(("is cut off", "is empty", "is no video")), (cut, why)


def test_a_clip_whose_pictures_are_gone_is_no_clip(clips: Path, tmp_path: Path) -> None:
    content = (clips / "silent.mp4").read_bytes()
    start, end = content.index(b"mdat") + 4, content.index(b"moov") - 4
    for begin in (start, (start + 2 * end) // 3):
        why = reason(written(tmp_path, content[:begin] + bytes(end - begin) + content[end:]))
        assert why.startswith(("cannot be decoded", "has a damaged", "holds no picture"))


PAGE = b"<!doctype html><html><body>404</body></html>"
PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (PAGE, "is no video, but a web page or XML"),
        (b"\n  " + PAGE.upper(), "is no video, but a web page or XML"),
        (b'{"detail": "gone"}', "is no video, but JSON"),
        (PLAYLIST, "is no video, but a playlist"),
        (make_picture("png", 96, 54), "is no video, but a PNG picture"),
        (make_picture("jpeg", 96, 54), "is no video, but a JPEG picture"),
        (b"ffconcat version 1.0\nfile secret.mp4\n", "is no video"),
        (bytes(4096), "is no video"),
        (b"\x00\x00\x00\x18ftypmp42", "is cut off: 12 of at least 24 bytes are there"),
        (b"\x00\x00\x00\x0cftypmp42", "is cut off: its table of contents is not there"),
        (b"\x00\x00\x00\x03ftypmp42", "has a broken box at byte 0"),
        (b"\x00\x00\x00\x01ftypmp42\xff\xff\xff\xff", "is cut off"),
        (b"\x1aE\xdf\xa3\x9fB\x86\x81\x01webm" + bytes(100), "cannot be decoded: "),
    ],
    ids=lambda value: value[:20].decode("latin-1") if isinstance(value, bytes) else None,
)
def test_what_is_no_video_says_what_it_is(tmp_path: Path, content: bytes, words: str) -> None:
    assert reason(written(tmp_path, content)).startswith(words)


def test_a_playlist_in_disguise_reaches_nothing(clips: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/secret.mp4".encode()
        local = str(clips / "silent.mp4").encode()
        head = b"\x00\x00\x00\x10ftypmp42\x00\x00\x00\x00"
        for target in (address, local, b"file:" + local):
            playlist = PLAYLIST + target + b"\n#EXT-X-ENDLIST\n"
            for content in (playlist, head + playlist, head + b"\x00\x00\x00\x00mdat" + playlist):
                for name in ("clip.mp4", "clip.m3u8"):
                    assert reason(written(tmp_path, content, name))
        with pytest.raises(BlockingIOError):
            server.accept()


@pytest.mark.parametrize("name", ["http://127.0.0.1:9/clip.mp4", "concat:a.mp4|b.mp4", "file:clip.mp4", "-i"])
def test_a_name_is_only_ever_a_file(clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError):
        measure(Path(name))
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_bytes((clips / "silent.mp4").read_bytes())
    assert isinstance(measure(Path(name)), Footage)


def test_what_is_no_regular_file_is_an_error_and_not_a_bad_clip(clips: Path, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(clips / "silent.mp4")
    for name in ("folder", "pipe", "link", "missing"):
        with pytest.raises(OSError, match=r"regular file|symbolic|No such file"):
            measure(tmp_path / name)
        with pytest.raises(OSError, match=r"regular file|symbolic|No such file"):
            last_frame(tmp_path / name)


def test_a_failing_disk_is_an_error_and_not_a_bad_clip(clips: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing(io.BytesIO):
        """Reads the head and the boxes, and fails once the demuxer asks."""

        rewound = 0

        def seek(self, offset: int, whence: int = 0) -> int:
            self.rewound += (offset, whence) == (0, 0)
            return super().seek(offset, whence)

        def read(self, size: int | None = -1) -> bytes:
            if self.rewound > 1:
                raise OSError(5, "Input/output error")
            return super().read(size)

    content = (clips / "silent.mp4").read_bytes()
    monkeypatch.setattr(footage, "open", lambda *_, **__: Failing(content), raising=False)
    with pytest.raises(OSError, match="Input/output error"):
        measure(clips / "silent.mp4")


def test_other_containers_are_named(tmp_path: Path) -> None:
    for suffix, codec in (("mov", "libx264"), ("webm", "libvpx"), ("mkv", "libx264")):
        path = make_clip(tmp_path / f"clip.{suffix}", codec=codec, pictures=24)
        found = measure(path)
        assert isinstance(found, Footage)
        assert found.container == suffix
        assert found.seconds == pytest.approx(1, abs=0.01)
        told = compare(found, Expected(container="mp4", seconds=1))
        assert told.refused == (f"it is {suffix}, and mp4 was expected",)
        assert last_frame(path)


def test_a_container_without_pictures_is_no_clip(tmp_path: Path) -> None:
    assert reason(make_sound(tmp_path / "sound.mp4")) == "holds no video"


def test_a_turned_clip_measures_as_it_is_shown(tmp_path: Path) -> None:
    # The bright quarter, upper left in the file, is turned against the clock.
    for rotation, brightest in ((90, (0, 1)), (-90, (1, 0)), (180, (1, 1))):
        path = make_clip(tmp_path / "turned.mp4", pictures=5, rotation=rotation, corner=235)
        found = measure(path)
        assert isinstance(found, Footage)
        assert (found.width, found.height) == ((96, 54) if rotation == 180 else (54, 96))
        picture = Image.open(io.BytesIO(last_frame(path))).convert("L")
        assert picture.size == (found.width, found.height)
        assert max(_QUARTERS, key=lambda quarter: _level(picture, *quarter)) == brightest


_QUARTERS = ((0, 0), (0, 1), (1, 0), (1, 1))


def _level(picture: Image.Image, x: int, y: int) -> int:
    """Return how bright a quarter of a grey picture is in its middle."""
    across, down = picture.width * (2 * x + 1) // 4, picture.height * (2 * y + 1) // 4
    return picture.tobytes()[down * picture.width + across]


def test_pictures_with_long_pixels_measure_as_they_are_shown(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "wide.mp4", pictures=5, width=72, height=54, pixel=Fraction(4, 3))
    found = measure(path)
    assert isinstance(found, Footage)
    assert (found.width, found.height) == (96, 54)
    assert Image.open(io.BytesIO(last_frame(path))).size == (96, 54)


def decoded(path: Path) -> tuple[int, bytes]:
    """Decode a clip in the plainest way; return how many pictures it has, and as PNG the one with the last moment."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    assert all(frame.pts is not None for frame in frames)
    content = io.BytesIO()
    max(frames, key=lambda frame: frame.pts or 0).to_image().save(content, "PNG")  # type: ignore[no-untyped-call]
    return len(frames), content.getvalue()


def same_picture(one: bytes, other: bytes) -> bool:
    first, second = (Image.open(io.BytesIO(content)) for content in (one, other))
    return (first.size, first.tobytes()) == (second.size, second.tobytes())


@pytest.mark.parametrize(
    "options",
    [
        {"bf": "0"},
        {"bf": "0", "g": "1"},
        {"bf": "3", "b_strategy": "0", "g": "12"},
        {"bf": "3", "b_strategy": "0", "g": "1000"},
        {"bf": "3", "b_strategy": "0", "g": "10", "flags": "-cgop"},
    ],
    ids=str,
)
@pytest.mark.parametrize("pictures", [1, 2, 71, 72, 73])
def test_the_last_frame_is_the_picture_that_is_shown_last(
    tmp_path: Path, options: dict[str, str], pictures: int
) -> None:
    path = make_clip(tmp_path / "clip.mp4", pictures=pictures, options={"preset": "veryfast", **options})
    count, last = decoded(path)
    assert count == pictures
    assert same_picture(last_frame(path), last)
    found = measure(path)
    assert isinstance(found, Footage)
    assert found.seconds == pytest.approx(pictures / 24)


def test_the_last_picture_in_a_file_is_not_always_the_one_shown_last(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mp4", options={"preset": "veryfast", "bf": "3", "b_strategy": "0"})
    with av.open(str(path)) as container:
        moments = [packet.pts for packet in container.demux(video=0) if packet.pts is not None]
    assert moments[-1] != max(moments)
    assert same_picture(last_frame(path), decoded(path)[1])


def test_the_last_frame_is_a_full_size_png_of_its_brightness(clips: Path) -> None:
    content = last_frame(clips / "silent.mp4")
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    with Image.open(io.BytesIO(content)) as picture:
        assert (picture.size, picture.mode) == ((96, 54), "RGB")
        level = _level(picture.convert("L"), 0, 0)
    # The last of 72 pictures, in the range that video uses, 16 to 235.
    assert abs(level - (level_of(71) - 16) * 255 / 219) < 12


def test_the_last_frame_of_one_file_is_always_the_same(clips: Path, tmp_path: Path) -> None:
    content = last_frame(clips / "sound.mp4")
    assert last_frame(clips / "sound.mp4") == content
    assert last_frame(written(tmp_path, (clips / "sound.mp4").read_bytes(), "other name.bin")) == content
    program = (
        "import hashlib, pathlib, sys\nfrom kling_dsl.footage import last_frame\n"
        "print(hashlib.sha256(last_frame(pathlib.Path(sys.argv[1]))).hexdigest())"
    )
    done = subprocess.run(
        (sys.executable, "-c", program, str(clips / "sound.mp4")), capture_output=True, encoding="utf-8", check=True
    )
    assert done.stdout.strip() == hashlib.sha256(content).hexdigest()


def test_untagged_colours_are_read_as_players_read_them(tmp_path: Path) -> None:
    # Y 100, Cb 90, Cr 160 by the matrices of BT.601 and of BT.709.
    for height, (red, green, blue) in ((54, (149, 86, 21)), (640, (155, 89, 17))):
        path = make_clip(tmp_path / "clip.mp4", width=64, height=height, pictures=2, corner=100)
        with Image.open(io.BytesIO(last_frame(path))) as picture:
            found = picture.getpixel((8, 8))
        assert isinstance(found, tuple)
        assert all(abs(one - other) <= 4 for one, other in zip(found, (red, green, blue), strict=True)), found


def test_a_last_frame_that_is_too_large_comes_as_jpeg(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "large.mp4", width=960, height=540, pictures=2, corner=235)
    content = last_frame(path)
    assert last_frame(path, most_bytes=len(content)) == content
    # A plain picture is smaller as PNG, so one with grain is what a limit is for.
    grain = random.Random(1).randbytes(960 * 540 * 3)
    picture = Image.frombytes("RGB", (960, 540), grain)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(footage._Video, "upright", lambda *_: picture)
        large = last_frame(path)
        small = last_frame(path, most_bytes=len(large) * 2 // 3)
        smaller = last_frame(path, most_bytes=len(large) // 2)
        with pytest.raises(Undecodable, match="does not fit into 10 bytes"):
            last_frame(path, most_bytes=10)
    assert large.startswith(b"\x89PNG")
    assert len(large) > len(small) > len(smaller)
    for each in (small, smaller):
        with Image.open(io.BytesIO(each)) as opened:
            assert (opened.format, opened.size) == ("JPEG", (960, 540))


def test_no_last_frame_of_what_is_no_clip(tmp_path: Path) -> None:
    with pytest.raises(Undecodable, match=r"from .*clip\.mp4: it is no video, but a web page"):
        last_frame(written(tmp_path, PAGE))


@pytest.mark.parametrize(
    ("expected", "found", "finding"),
    [
        ({}, {}, Finding()),
        ({}, {"seconds": 3.54}, Finding()),
        ({}, {"seconds": 2.46}, Finding()),
        ({}, {"seconds": 3.55}, Finding(("it is 3.55 s long, and 3 s were asked for",))),
        ({}, {"seconds": 2.45}, Finding(("it is 2.45 s long, and 3 s were asked for",))),
        ({}, {"seconds": 3.6, "frames_per_second": 0.0}, Finding(("it is 3.60 s long, and 3 s were asked for",))),
        ({}, {"container": "webm"}, Finding(("it is webm, and mp4 was expected",))),
        ({"audio": True}, {}, Finding(("it has no sound, and sound was asked for",))),
        ({"audio": True}, {"has_audio": True}, Finding()),
        ({}, {"has_audio": True}, Finding((), ("it has sound, and none was asked for",))),
        ({"audio": None}, {"has_audio": True}, Finding()),
        ({}, {"width": 97}, Finding(("it is 97 × 54, and 96 × 54 was expected",))),
        ({"size_is_sure": False}, {"width": 97}, Finding((), ("it is 97 × 54, and 96 × 54 was expected",))),
        ({"size": None}, {"width": 97}, Finding()),
        ({"size": None}, {"width": 192, "height": 108}, Finding()),
        (
            {"size": None},
            {"width": 99},
            Finding(("it is 99 × 54, a shape of 1.83 to 1, and 1.78 to 1 was asked for",)),
        ),
        (
            {"size": None, "aspect": Decimal("0.5625")},
            {},
            Finding(("it is 96 × 54, a shape of 1.78 to 1, and 0.56 to 1 was asked for",)),
        ),
        ({"size": None, "aspect": None}, {"width": 1}, Finding()),
        ({"frames_per_second": Decimal(24)}, {"frames_per_second": 23.976}, Finding()),
        (
            {"frames_per_second": Decimal(24)},
            {"frames_per_second": 60.0},
            Finding((), ("it has 60 frames a second, and 24 were expected",)),
        ),
        (
            {"audio": True, "size_is_sure": False},
            {"seconds": 1.0, "width": 97},
            Finding(
                ("it is 1.00 s long, and 3 s were asked for", "it has no sound, and sound was asked for"),
                ("it is 97 × 54, and 96 × 54 was expected",),
            ),
        ),
    ],
    ids=str,
)
def test_a_difference_is_refused_or_noted(expected: dict[str, Any], found: dict[str, Any], finding: Finding) -> None:
    fields = {field: getattr(WANTED, field) for field in WANTED.__struct_fields__}
    assert compare(right(**found), Expected(**{**fields, **expected})) == finding


def test_real_clips_that_differ_are_told_apart(tmp_path: Path) -> None:
    found = measure(make_video(tmp_path / "clip.mp4", width=64, height=48, seconds=5))
    assert isinstance(found, Footage)
    assert compare(found, WANTED).refused == (
        "it is 5.00 s long, and 3 s were asked for",
        "it is 64 × 48, a shape of 1.33 to 1, and 1.78 to 1 was asked for",
        "it is 64 × 48, and 96 × 54 was expected",
    )


def probe(path: Path) -> tuple[str, int]:
    """Measure a file in a process of its own; return why it is no clip, and the memory it took in MiB."""
    program = (
        "import json, pathlib, resource, sys\nimport av\nfrom kling_dsl.footage import measure\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "reason = getattr(measure(pathlib.Path(sys.argv[1])), 'reason', '')\n"
        "print(json.dumps([reason, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024]))"
    )
    done = subprocess.run(
        (sys.executable, "-c", program, str(path)), capture_output=True, encoding="utf-8", check=True, timeout=30
    )
    assert done.stderr == ""
    why, memory = json.loads(done.stdout)
    return why, memory


def test_a_header_that_claims_millions_of_samples_takes_no_memory(clips: Path, tmp_path: Path) -> None:
    content = (clips / "silent.mp4").read_bytes()
    for samples in (20_000_000, 2**31, 2**32 - 1):
        why, memory = probe(written(tmp_path, claim_samples(content, samples)))
        assert why == "has a header that claims more samples than any clip has"
        assert memory < 16


@pytest.mark.parametrize("table", [b"stszstsz", b"trun\x00\x00\x00\x00", b"stz2\x00\x00\x00\x00\x00\x00\x00\x00"])
def test_claims_are_found_wherever_they_hide(tmp_path: Path, table: bytes) -> None:
    box = table + b"\x7f" * 16
    content = b"\x00\x00\x00\x0cftypmp42" + (len(box) + 8).to_bytes(4, "big") + b"moov" + box
    assert reason(written(tmp_path, content)) == "has a header that claims more samples than any clip has"


def test_a_compressed_or_endless_header_is_refused(tmp_path: Path) -> None:
    head = b"\x00\x00\x00\x0cftypmp42"
    packed = head + b"\x00\x00\x00\x18moov\x00\x00\x00\x10cmov\x00\x00\x00\x08dcom"
    assert reason(written(tmp_path, packed)) == "has a compressed header, which no clip needs"
    many = head + b"\x00\x00\x00\x08uuid" * (footage.MAX_BOXES + 1)
    assert reason(written(tmp_path, many)) == f"has more than {footage.MAX_BOXES} boxes"
    large = written(tmp_path, head + (footage.MAX_HEADER_BYTES + 8).to_bytes(4, "big") + b"moov")
    with large.open("r+b") as file:
        file.truncate(len(head) + footage.MAX_HEADER_BYTES + 8)
    assert probe(large)[1] < 16
    assert reason(large) == "has a header that is larger than any clip's"


def test_a_picture_beyond_8k_is_not_decoded(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "huge.mp4", codec="mpeg4", width=8000, height=5008, pictures=1)
    why, memory = probe(path)
    assert why.startswith("cannot be decoded")
    # One such picture takes 57 MiB.
    assert memory < 24


@pytest.mark.parametrize("claim", [(65535, 65535), (1, 65535), (65535, 1), (0, 0)])
def test_a_header_that_claims_another_size_takes_no_memory(clips: Path, tmp_path: Path, claim: tuple[int, int]) -> None:
    content = bytearray((clips / "silent.mp4").read_bytes())
    at = bytes(content).index(b"avc1", bytes(content).index(b"stsd"))
    assert content[at + 28 : at + 32] == (96).to_bytes(2, "big") + (54).to_bytes(2, "big")
    content[at + 28 : at + 32] = b"".join(side.to_bytes(2, "big") for side in claim)
    path = written(tmp_path, bytes(content))
    assert probe(path)[1] < 24
    found = measure(path)
    # The pictures themselves are as they were; a header may only have them shown wider.
    assert isinstance(found, Unusable) or found.height == 54


def test_video_of_an_unknown_kind_is_told(clips: Path, tmp_path: Path) -> None:
    content = (clips / "silent.mp4").read_bytes().replace(b"avc1", b"zzzz")
    assert reason(written(tmp_path, content)) == "holds video of a kind that cannot be decoded here"


def test_what_the_decoder_says_is_told_in_words(clips: Path, tmp_path: Path) -> None:
    content = (clips / "silent.mp4").read_bytes()
    start, end = content.index(b"mdat") + 4, content.index(b"moov") - 4
    broken = written(tmp_path, content[:start] + b"\xff" * (end - start) + content[end:])
    assert reason(broken) == "cannot be decoded: Invalid data found when processing input"


def test_pixels_of_an_absurd_shape_are_refused(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mp4", width=96, height=736, pictures=2, pixel=Fraction(600))
    assert reason(path) == "claims pixels of a shape that no picture has"
    with pytest.raises(Undecodable, match="of a shape that no picture has"):
        last_frame(path)


def test_nothing_is_left_open_and_nothing_is_printed(
    clips: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    content = (clips / "sound.mp4").read_bytes()
    middle = len(content) // 3
    broken = [
        content[:middle],
        content[:middle] + bytes(1500) + content[middle + 1500 :],
        PAGE,
        content[:-40] + bytes(40),
    ]
    paths = [clips / "sound.mp4", *(written(tmp_path, each, f"{number}.mp4") for number, each in enumerate(broken))]
    measure(paths[0])
    before = os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else []
    for _ in range(5):
        for path in paths:
            measure(path)
            try:
                last_frame(path)
            except Undecodable:
                continue
    after = os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else []
    assert len(after) == len(before)
    assert capfd.readouterr() == ("", "")


@given(st.integers(0, 2**32 - 1), st.integers(1, 30))
@settings(max_examples=60, deadline=None)
def test_no_damage_makes_measuring_fail(
    clips: Path, tmp_path_factory: pytest.TempPathFactory, seed: int, hits: int
) -> None:
    chance = random.Random(seed)
    content = bytearray((clips / "header-first.mp4").read_bytes())
    for _ in range(hits):
        content[chance.randrange(len(content))] = chance.randrange(256)
    path = written(tmp_path_factory.getbasetemp(), bytes(content), "damaged.mp4")
    assert isinstance(measure(path), Footage | Unusable)


def test_importing_the_module_loads_no_codec() -> None:
    program = "import sys, kling_dsl.footage\nprint([name for name in ('av', 'PIL') if name in sys.modules])"
    done = subprocess.run((sys.executable, "-c", program), capture_output=True, encoding="utf-8", check=True)
    assert done.stdout.strip() == "[]"
