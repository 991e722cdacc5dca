"""What is read from media files: kind by content, digest, size as displayed, and damage."""

from __future__ import annotations

import hashlib
import os
import struct
import subprocess
import sys
import textwrap
import time
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from measuring import unmeasured
from media_samples import make_animation, make_picture, make_sound, make_video

from kling_dsl.project import DiskWorld, disk
from kling_dsl.project.kinds import recognize
from kling_dsl.project.media import describe_media
from kling_dsl.world import Media, Unreadable

KINDS = ("png", "jpeg", "webp", "gif", "avif", "bmp")


def facts(folder: Path, content: bytes, *, name: str = "file.bin") -> Media:
    (folder / name).write_bytes(content)
    media = DiskWorld(folder).media(name)
    assert isinstance(media, Media), media
    return media


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_is_known_by_its_content_whatever_its_name(tmp_path: Path, kind: str) -> None:
    content = make_picture(kind, 320, 412)
    expected = Media(hashlib.sha256(content).hexdigest(), len(content), kind, 320, 412)
    assert facts(tmp_path, content, name="picture.txt") == expected


@pytest.mark.parametrize("kind", ["gif", "webp"])
def test_an_animation_has_the_size_of_its_canvas(tmp_path: Path, kind: str) -> None:
    media = facts(tmp_path, make_animation(kind, 310, 305))
    assert (media.kind, media.width, media.height, media.problem) == (kind, 310, 305, "")


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("webp", {"lossless": True}),
        ("jpeg", {"progressive": True}),
        ("jpeg", {"icc_profile": b"profile" * 30_000}),
        ("jpeg", {"comment": b"\xff\xd9 is no end here"}),
        ("png", {"optimize": True}),
        ("gif", {"interlace": True}),
    ],
)
def test_variants_of_the_formats_are_read(tmp_path: Path, kind: str, options: dict[str, Any]) -> None:
    media = facts(tmp_path, make_picture(kind, 301, 333, **options))
    assert (media.kind, media.width, media.height, media.problem) == (kind, 301, 333, "")


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_counts_as_displayed(tmp_path: Path, kind: str, orientation: int) -> None:
    media = facts(tmp_path, make_picture(kind, 320, 480, orientation=orientation))
    assert (media.width, media.height) == ((480, 320) if orientation >= 5 else (320, 480))
    assert media.problem == ""


def test_avif_rotation_counts_as_displayed(tmp_path: Path) -> None:
    content = make_picture("avif", 320, 480, orientation=6)
    assert b"irot" in content
    media = facts(tmp_path, content)
    assert (media.kind, media.width, media.height, media.problem) == ("avif", 480, 320, "")


def test_orientation_is_read_in_both_byte_orders(tmp_path: Path) -> None:
    for order in ("<", ">"):
        mark = b"II*\0" if order == "<" else b"MM\0*"
        exif = mark + struct.pack(order + "LHHHLHHL", 8, 1, 0x0112, 3, 1, 8, 0, 0)
        media = facts(tmp_path, make_picture("jpeg", 320, 480, exif=b"Exif\0\0" + exif))
        assert (media.width, media.height) == (480, 320)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_truncated_picture_has_a_problem_and_keeps_its_kind(tmp_path: Path, kind: str, share: float) -> None:
    content = make_picture(kind, 320, 412)
    media = facts(tmp_path, content[: int(len(content) * share)])
    assert media.kind == kind
    assert media.problem


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_cut_anywhere_is_never_an_error_and_never_whole(tmp_path: Path, kind: str) -> None:
    content = make_picture(kind, 16, 12)
    for length in range(len(content)):
        if kind == "gif" and length == len(content) - 1:
            continue  # A GIF without its trailer counts as whole.
        media = facts(tmp_path, content[:length])
        assert media.problem or not media.kind, length


def test_a_gif_without_its_trailer_is_whole(tmp_path: Path) -> None:
    content = make_picture("gif", 320, 412)
    assert content.endswith(b"\0;")
    assert facts(tmp_path, content[:-1]).problem == ""
    assert facts(tmp_path, content[:-2]).problem == "it is cut off"


def test_a_camera_may_append_to_a_jpeg(tmp_path: Path) -> None:
    content = make_picture("jpeg", 320, 412)
    assert facts(tmp_path, content + b"appended by a camera" * 1000).problem == ""
    assert facts(tmp_path, content[:-2] + b"appended by a camera" * 1000).problem == "it is cut off"


def test_a_jpeg_end_mark_is_found_across_the_steps_of_reading(tmp_path: Path) -> None:
    content = make_picture("jpeg", 320, 412)
    start = content.rindex(b"\xff\xda") + 4
    for before in (1024 * 1024 - 1, 1024 * 1024):
        padded = content[:start] + b"\0" * before + b"\xff\xd9" + b"\0" * 9000
        assert facts(tmp_path, padded).problem == ""


def test_a_png_header_with_a_wrong_checksum_is_a_problem(tmp_path: Path) -> None:
    content = bytearray(make_picture("png", 320, 412))
    content[18] ^= 1
    assert facts(tmp_path, bytes(content)).problem == "it has a PNG header whose checksum is wrong"


def test_a_png_without_pixels_is_a_problem(tmp_path: Path) -> None:
    content = make_picture("png", 320, 412)
    assert facts(tmp_path, content[:33] + b"\0\0\0\0IEND\xae\x42\x60\x82").problem == "it holds no picture data"


JPEG = make_picture("jpeg", 16, 12)
WEBP = make_picture("webp", 16, 12)
GIF = make_picture("gif", 16, 12)
AVIF = make_picture("avif", 16, 12)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"\xff\xd8\xff\xd9", "it holds no picture data"),
        (b"\xff\xd8\xff\xff\xff\x01\xff\xd9", "it holds no picture data"),
        (b"\xff\xd8\xff\xe0\0\1", "it has a broken JPEG segment at byte 2"),
        (b"\xff\xd8\xff\xe0\0\2text", "it has no JPEG marker at byte 6, where one belongs"),
        (b"\xff\xd8" + b"\xff\xe0\0\2" * 200_001, "it has more than 200000 segments"),
        (JPEG.replace(b"\xff\xc0", b"\xff\xc8"), "it states no picture size"),
        (WEBP.replace(b"\x9d\x01\x2a", b"\x9d\x01\x2b"), "it has a broken WebP picture header"),
        (WEBP.replace(b"VP8 ", b"VP8L"), "it has a broken WebP picture header"),
        (WEBP.replace(b"VP8 ", b"VP9 "), "it holds no picture data"),
        (WEBP[:16] + b"\xff" + WEBP[17:], "it is cut off"),
        (
            b"RIFF" + struct.pack("<L", 8_000_012) + b"WEBP" + b"FREE\0\0\0\0" * 1_000_001,
            "it has more than 200000 chunks",
        ),
        (b"GIF89a" + GIF[6:10] + b"\0\0\0?", "it has a broken GIF block at byte 13"),
        (b"GIF89a" + GIF[6:10] + b"\0\0\0;", "it holds no picture data"),
        (b"GIF89a" + GIF[6:10] + b"\0\0\0!\xfe" + b"\1x" * 200_001, "it has more than 200000 data blocks in one frame"),
        (b"GIF89a\0\0\0\0\0\0\0," + b"\0" * 9 + b"\2\0;", "it states no picture size"),
        (AVIF.replace(b"pitm", b"free"), "it states no picture size"),
        (AVIF.replace(b"ispe", b"free"), "it states no picture size"),
        (AVIF.replace(b"ipma", b"free"), "it states no picture size"),
        (AVIF.replace(b"mdat", b"free"), "it holds no picture data"),
        (AVIF[: AVIF.index(b"meta") - 4], "it is cut off before its picture header"),
        (AVIF[: AVIF.index(b"meta") - 4] + b"\0\0\0\4meta", "it has a broken box at byte "),
        (b"BM" + struct.pack("<LHHLLll", 26, 0, 0, 26, 40, 0, 0), "it states no picture size"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_damage_is_told_in_words(tmp_path: Path, content: bytes, problem: str) -> None:
    media = facts(tmp_path, content)
    assert media.problem.startswith(problem)
    assert (media.width, media.height) == (0, 0)


def test_rare_forms_of_headers_are_read(tmp_path: Path) -> None:
    core = b"BM" + struct.pack("<LHHLLHHHH", 26, 0, 0, 26, 12, 320, 412, 1, 24)
    assert facts(tmp_path, core) == Media(hashlib.sha256(core).hexdigest(), 26, "bmp", 320, 412)
    padded = JPEG[:2] + b"\xff\xff" + JPEG[2:]
    assert (facts(tmp_path, padded).width, facts(tmp_path, padded).problem) == (16, "")
    start = AVIF.index(b"mdat") - 4
    wide = AVIF[:start] + b"\0\0\0\1mdat" + struct.pack(">Q", len(AVIF) - start + 8) + AVIF[start + 8 :]
    open_ended = AVIF[:start] + b"\0\0\0\0" + AVIF[start + 4 :]
    for content in (wide, open_ended):
        assert (facts(tmp_path, content).width, facts(tmp_path, content).problem) == (16, "")


def test_a_claimed_size_is_told_and_never_decoded(tmp_path: Path) -> None:
    header = b"IHDR" + struct.pack(">LLBBBBB", 60_000, 60_000, 8, 6, 0, 0, 0)
    parts = [header, b"IDAT" + zlib.compress(b"\0" * 1000), b"IEND"]
    content = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">L", len(part) - 4) + part + struct.pack(">L", zlib.crc32(part)) for part in parts
    )
    media = facts(tmp_path, content)
    assert (media.width, media.height, media.problem) == (60_000, 60_000, "")


def test_endless_parts_are_refused_soon(tmp_path: Path) -> None:
    chunk = b"\0\0\0\0teXt\0\0\0\0"
    content = make_picture("png", 20, 20)[:33] + chunk * 400_000
    begin = time.process_time()
    assert facts(tmp_path, content).problem == "it has more than 200000 chunks"
    assert time.process_time() - begin < 5


def box(name: bytes, *contents: bytes) -> bytes:
    """Return a box of an AVIF or MP4 file."""
    content = b"".join(contents)
    return struct.pack(">L", 8 + len(content)) + name + content


AVIF_BEGINS = box(b"ftyp", b"avif" + bytes(4) + b"avif")
FIRST = bytes(4) + b"\0\1"
"""Names the item with the number 1 as the picture."""


def avif(*, primary: bytes = FIRST, places: bytes, more: bytes = b"") -> bytes:
    """Return an AVIF of 640 x 480 without its pixels; `places` says which properties are whose."""
    size = box(b"ispe", bytes(4) + struct.pack(">LL", 640, 480))
    header = box(b"iprp", box(b"ipco", size), box(b"ipma", places), more)
    return AVIF_BEGINS + box(b"meta", bytes(4), box(b"pitm", primary), header) + box(b"mdat", bytes(9))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (avif(places=bytes(4) + struct.pack(">LHBB", 1, 1, 1, 1)), ""),
        (avif(places=b"\0\0\0\1" + struct.pack(">LHBH", 1, 1, 1, 1)), ""),
        (avif(primary=b"\1" + bytes(6) + b"\1", places=b"\1\0\0\0" + struct.pack(">LLBB", 1, 1, 1, 1)), ""),
        (avif(places=bytes(4) + struct.pack(">LHBBHBB", 2, 7, 1, 1, 1, 1, 1)), ""),
        (avif(places=bytes(4) + struct.pack(">LHBB", 1, 7, 1, 1)), "it states no picture size"),
        (avif(places=bytes(6)), "it states no picture size"),
        (avif(places=b""), "it has a broken header"),
        (avif(primary=b"", places=b""), "it has a broken header"),
        (
            avif(places=b"", more=box(b"free", bytes(2 << 20))),
            "it has a picture header of more than 1048576 bytes",
        ),
        (AVIF_BEGINS + box(b"free") * 200_001, "it has more than 200000 boxes in one place"),
    ],
    ids=["short", "wide", "long", "second", "another", "none", "empty", "nameless", "large", "many"],
)
def test_the_header_of_an_avif_is_read_as_far_as_it_makes_sense(tmp_path: Path, content: bytes, problem: str) -> None:
    media = facts(tmp_path, content)
    assert (media.kind, media.width, media.height, media.problem) == (
        "avif",
        *((0, 0) if problem else (640, 480)),
        problem,
    )


@pytest.mark.parametrize(
    ("track", "problem"),
    [
        (box(b"tkhd") + box(b"mdia", box(b"hdlr", bytes(8) + b"vide")), "it has a broken header"),
        (box(b"tkhd", bytes(84)) + box(b"mdia", box(b"hdlr")), "it is cut off"),
        (box(b"tkhd", bytes(84)) + box(b"mdia"), "it holds no video"),
        (box(b"tkhd", bytes(84)) + box(b"mdia", box(b"hdlr", bytes(8) + b"soun")), "it holds no video"),
        (
            box(b"tkhd", bytes(84)) + box(b"mdia", box(b"hdlr", bytes(8) + b"vide" + bytes(12))),
            "it holds a video of a kind that is not known",
        ),
    ],
    ids=["no matrix", "no kind", "nothing", "sound", "unknown"],
)
def test_a_film_whose_tracks_make_no_sense_is_told(tmp_path: Path, track: bytes, problem: str) -> None:
    media = facts(tmp_path, box(b"ftyp", b"isom" + bytes(4) + b"isom") + box(b"moov", box(b"trak", track)))
    assert (media.kind, media.problem) == ("mp4", problem)


@pytest.mark.parametrize(
    "exif",
    [
        b"II*\0" + struct.pack("<LH", 8, 0),
        b"II*\0" + struct.pack("<LHHHLHH", 8, 1, 0x0100, 3, 1, 8, 0),
        b"II*\0" + struct.pack("<LHHH", 8, 1, 0x0112, 3),
        b"II*\0" + struct.pack("<L", 90_000),
    ],
    ids=["nothing", "something else", "cut", "elsewhere"],
)
def test_a_picture_that_does_not_say_how_it_lies_stands_upright(tmp_path: Path, exif: bytes) -> None:
    media = facts(tmp_path, make_picture("jpeg", 320, 480, exif=b"Exif\0\0" + exif))
    assert (media.width, media.height, media.problem) == (320, 480, "")


def test_a_hostile_picture_index_costs_nothing(tmp_path: Path) -> None:
    """Items that claim 65,535 extents of no bytes each take gigabytes in a reader that believes them."""
    items = b"".join(struct.pack(">HHH", item, 0, 65_535) for item in range(60_000))
    index = box(b"iloc", bytes(6) + struct.pack(">H", 60_000) + items)
    content = box(b"ftyp", b"avif" + bytes(4) + b"avif") + box(b"meta", bytes(4) + index)
    begin = time.process_time()
    media = facts(tmp_path, content)
    assert (media.kind, media.problem) == ("avif", "it states no picture size")
    assert time.process_time() - begin < 1


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"", ""),
        (b"Title: The Lantern\n", ""),
        (b"BMW stands at the kerb, engine running.", ""),
        (b"GIF is a word here", ""),
        (b"%PDF-1.7", "pdf"),
        (b"II*\0", "tiff"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "svg"),
        (b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- made by hand -->\n<svg/>", "svg"),
        (b"<?xml version='1.0'?><film/>", ""),
        (b"<html><svg/></html>", ""),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "heic"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf", "avif"),
        (b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", "mov"),
        (b"\0\0\0\x14ftypmp42\0\0\0\0isom", "mp4"),
        (b"\0\0\0\x14ftypM4A \0\0\0\0isom", "m4a"),
        (b"RIFF\0\0\0\0WAVEfmt ", "wav"),
        (b"\x1a\x45\xdf\xa3\x9fB\x82\x84webm", "webm"),
        (b"\x1a\x45\xdf\xa3\x9fB\x82\x88matroska", "mkv"),
    ],
)
def test_kinds_by_their_first_bytes(head: bytes, kind: str) -> None:
    assert recognize(head) == kind


def test_a_text_file_named_png_has_no_kind(tmp_path: Path) -> None:
    media = facts(tmp_path, b"not a picture at all\n", name="front.png")
    assert (media.kind, media.width, media.problem) == ("", 0, "")


def test_an_empty_file_has_no_kind(tmp_path: Path) -> None:
    assert facts(tmp_path, b"", name="front.png") == Media(hashlib.sha256().hexdigest(), 0, "")


def test_a_picture_of_12_megabytes_is_digested_whole(tmp_path: Path) -> None:
    content = make_picture("png", 2000, 2000, compress_level=0)
    assert len(content) > 12_000_000
    media = facts(tmp_path, content)
    assert (media.sha256, media.bytes) == (hashlib.sha256(content).hexdigest(), len(content))
    assert (media.width, media.height, media.problem) == (2000, 2000, "")


def test_a_sparse_file_of_four_gigabytes_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "huge.mp4").open("wb") as file:
        file.truncate(4 * 1024**3)
    begin = time.process_time()
    answer = DiskWorld(tmp_path).media("huge.mp4")
    assert isinstance(answer, Unreadable)
    assert answer.reason == "too-large"
    assert time.process_time() - begin < 0.5


def test_a_file_that_grows_past_the_limit_while_it_is_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "growing").write_bytes(b"x" * 3_000_000)
    with (tmp_path / "growing").open("rb") as file:
        assert describe_media(file, limit=2_000_000) is None


def test_a_file_that_changes_while_it_is_read_gets_no_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "front.png"
    path.write_bytes(make_picture("png", 320, 412))

    def describe_and_touch(file: BinaryIO, *, limit: int) -> Media | None:
        media = describe_media(file, limit=limit)
        with path.open("ab") as other:
            other.write(b"more")
        return media

    monkeypatch.setattr(disk, "describe_media", describe_and_touch)
    answer = DiskWorld(tmp_path).media("front.png")
    assert answer == Unreadable("unreadable", "changed while it was being read")


@pytest.mark.parametrize(("suffix", "kind"), [(".mp4", "mp4"), (".mov", "mov"), (".webm", "webm"), (".mkv", "mkv")])
def test_a_video_is_measured(tmp_path: Path, suffix: str, kind: str) -> None:
    path = make_video(tmp_path / f"take{suffix}", width=80, height=48, rate=25, seconds=4)
    media = facts(tmp_path, path.read_bytes(), name="take.png")
    assert (media.kind, media.width, media.height, media.problem) == (kind, 80, 48, "")
    assert media.seconds == pytest.approx(4, abs=0.05)
    assert media.frames_per_second == pytest.approx(25)


@pytest.mark.parametrize(("rotation", "size"), [(90, (48, 80)), (180, (80, 48)), (-90, (48, 80))])
def test_a_rotated_video_is_measured_as_displayed(tmp_path: Path, rotation: int, size: tuple[int, int]) -> None:
    path = make_video(tmp_path / "take.mp4", width=80, height=48, rotation=rotation)
    media = facts(tmp_path, path.read_bytes())
    assert (media.width, media.height) == size


def test_a_video_cut_anywhere_has_a_problem(tmp_path: Path) -> None:
    content = make_video(tmp_path / "take.mp4", seconds=1).read_bytes()
    for length in range(12, len(content), 97):
        media = facts(tmp_path, content[:length])
        assert media.problem, length
        assert media.seconds is None


def test_a_video_without_its_index_says_so(tmp_path: Path) -> None:
    content = make_video(tmp_path / "take.mp4", seconds=1).read_bytes()
    media = facts(tmp_path, content[: content.index(b"moov") - 4])
    assert media.problem == "it has no index (moov), as when a recording was not finished"


def test_broken_bytes_inside_a_video_end_in_words_and_leave_the_terminal_alone(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    content = bytearray(make_video(tmp_path / "take.mp4", seconds=1).read_bytes())
    index = content.index(b"moov") + 4
    for start in range(index, len(content) - 8, 11):
        broken = content.copy()
        broken[start : start + 8] = b"\xff" * 8
        facts(tmp_path, bytes(broken))
    printed = capfd.readouterr()
    assert (printed.out, printed.err) == ("", "")


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    path = make_sound(tmp_path / "sound.mp4")
    assert facts(tmp_path, path.read_bytes()).problem == "it holds no video"


def test_a_playlist_in_a_video_box_reaches_for_no_other_file(tmp_path: Path) -> None:
    content = b"\0\0\0\x10ftypmp42\0\0\0\0#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/clip.ts\n"
    media = facts(tmp_path, content)
    assert media.kind == "mp4"
    assert media.problem


def test_without_the_extra_a_video_keeps_kind_and_digest(tmp_path: Path) -> None:
    path = make_video(tmp_path / "take.mp4")
    program = textwrap.dedent(
        """
        import importlib.abc, sys

        class NoExtra(importlib.abc.MetaPathFinder):
            def find_spec(self, name, path=None, target=None):
                if name.partition(".")[0] in ("av", "PIL"):
                    raise ModuleNotFoundError(name)

        import importlib.util
        sys.meta_path.insert(0, NoExtra())
        whole = importlib.util.find_spec
        importlib.util.find_spec = lambda name, package=None: None if name == "av" else whole(name, package)
        from kling_dsl.project import DiskWorld, media_extra_present
        media = DiskWorld(sys.argv[1]).media("take.mp4")
        print(media_extra_present(), media.kind, media.sha256, media.seconds, media.width, repr(media.problem))
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True, timeout=60
    )
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert done.stdout.split() == ["False", "mp4", digest, "None", "0", "''"]


def test_reading_a_picture_imports_nothing_heavy(tmp_path: Path) -> None:
    (tmp_path / "front.png").write_bytes(make_picture("png", 320, 412))
    program = textwrap.dedent(
        """
        import sys
        from pathlib import Path
        from kling_dsl.project import find_project
        project = find_project(Path(sys.argv[1]) / "film.kling")
        assert project.world().media("front.png").width == 320
        heavy = {"av", "PIL", "tomllib", "jinja2", "rich", "imagesize", "urllib.request", "difflib", "numpy"}
        print(sorted(heavy & set(sys.modules)))
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        env=unmeasured(),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout == "[]\n"


PREFIXES = [make_picture(kind, 8, 8)[:length] for kind in KINDS for length in (12, 30, 60)]


@settings(deadline=None)
@given(st.sampled_from([b"", *PREFIXES]), st.binary(max_size=300))
def test_any_bytes_are_described(tmp_path_factory: pytest.TempPathFactory, prefix: bytes, rest: bytes) -> None:
    media = facts(tmp_path_factory.getbasetemp(), prefix + rest, name=f"any-{os.getpid()}")
    assert media.sha256 == hashlib.sha256(prefix + rest).hexdigest()
    assert media.width >= 0
    assert media.height >= 0


@settings(deadline=None)
@given(st.sampled_from([make_picture(kind, 16, 12) for kind in KINDS]), st.integers(0, 2000), st.binary(max_size=8))
def test_any_damage_is_survived(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, place: int, replacement: bytes
) -> None:
    start = place % len(content)
    broken = content[:start] + replacement + content[start + len(replacement) :]
    media = facts(tmp_path_factory.getbasetemp(), broken, name=f"broken-{os.getpid()}")
    assert (media.width > 0) == (media.height > 0)
    assert not (media.problem and media.width)
