"""What is said of pictures and videos before they are sent: every limit of a sheet at its edge, with real files."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from commands import Project, picture, video

from kling_dsl import resources

PICTURE_FILM = "STYLE Ink\n  image: ink.png\n\nSHOT a 5s\nIn the look of @Ink.\n"
VIDEO_FILM = "CHARACTER Walk\n  video: walk.mp4\n\nSHOT a 5s\n@Walk moves.\n"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")


def report(project: Project, film: str) -> list[dict[str, Any]]:
    """Check a film and return what is reported; the exit code follows from it."""
    project.write("film.kling", film)
    done = project.outcome("check", "film.kling", "--format", "json")
    found: list[dict[str, Any]] = json.loads(done.stdout)
    assert done.exit_code == any(one["severity"] == "error" for one in found)
    return found


def told(project: Project, film: str) -> list[tuple[str, str]]:
    """Return severity and slug of what is reported of a film."""
    return [(one["severity"], one["code"]) for one in report(project, film)]


def of_picture(project: Project, content: bytes, name: str = "ink.png") -> list[tuple[str, str]]:
    project.write(name, content)
    return told(project, PICTURE_FILM.replace("ink.png", name))


def of_video(project: Project, content: bytes, name: str = "walk.mp4") -> list[tuple[str, str]]:
    project.write(name, content)
    return told(project, VIDEO_FILM.replace("walk.mp4", name))


class TestPictures:
    @pytest.mark.parametrize(
        ("width", "height", "expected"),
        [
            (300, 300, []),
            (299, 300, [("error", "picture-too-small")]),
            (300, 299, [("error", "picture-too-small")]),
            (400, 1000, []),
            (399, 1000, [("error", "picture-aspect")]),
            (1000, 400, []),
            (1001, 400, [("error", "picture-aspect")]),
            (1, 1000, [("error", "picture-too-small"), ("error", "picture-aspect")]),
        ],
    )
    def test_pixels_and_shape(self, project: Project, width: int, height: int, expected: list[tuple[str, str]]) -> None:
        assert of_picture(project, picture(width, height)) == expected

    @pytest.mark.parametrize(
        ("kind", "expected"),
        [
            ("png", []),
            ("jpeg", []),
            ("webp", [("warning", "media-kind-doubtful")]),
            ("gif", [("warning", "media-kind-doubtful")]),
            ("avif", [("warning", "media-kind-doubtful")]),
            ("bmp", [("error", "media-kind")]),
            ("tiff", [("error", "media-kind")]),
        ],
    )
    def test_the_content_decides_the_kind_and_not_the_name(
        self, project: Project, kind: str, expected: list[tuple[str, str]]
    ) -> None:
        for name in ("ink.png", f"ink.{kind}", "ink"):
            assert of_picture(project, picture(kind=kind), name) == expected

    def test_a_doubtful_kind_has_its_size_checked_too(self, project: Project) -> None:
        assert of_picture(project, picture(100, 100, "webp")) == [
            ("warning", "media-kind-doubtful"),
            ("error", "picture-too-small"),
        ]

    @pytest.mark.parametrize("content", [b"a text that was renamed\n", b"", b"\x00" * 500, b"%PDF-1.7\n"])
    def test_what_is_no_picture_is_no_picture(self, project: Project, content: bytes) -> None:
        assert of_picture(project, content) == [("error", "media-kind")]

    def test_a_video_is_no_picture(self, project: Project) -> None:
        assert of_picture(project, video(4)) == [("error", "media-kind")]

    @pytest.mark.parametrize("kind", ["png", "jpeg"])
    def test_half_a_picture_is_damaged_and_nothing_else_is_said(self, project: Project, kind: str) -> None:
        whole = picture(kind=kind)
        assert of_picture(project, whole[: len(whole) // 2]) == [("error", "media-broken")]

    @pytest.mark.parametrize(("extra", "expected"), [(0, []), (1, [("error", "media-too-large")])])
    def test_bytes(self, project: Project, extra: int, expected: list[tuple[str, str]]) -> None:
        whole = picture(kind="jpeg")
        limit = 10_485_760
        assert of_picture(project, whole + bytes(limit - len(whole) + extra)) == expected

    def test_numbers_and_source_are_told_at_the_words(self, project: Project) -> None:
        project.write("ink.png", picture(120, 90))
        (found,) = report(project, PICTURE_FILM)
        assert found["message"] == "ink.png is 120\u00d790 pixels, and o3-4k takes 300\u00d7300 and more"
        assert (found["line"], found["column"], found["end_column"]) == (2, 10, 17)
        assert found["notes"][0]["message"].startswith("the limit was read in: ")

    def test_a_missing_picture_and_a_folder(self, project: Project) -> None:
        assert told(project, PICTURE_FILM) == [("error", "media-missing")]
        (project.root / "ink.png").mkdir()
        assert told(project, PICTURE_FILM) == [("error", "media-unreadable")]

    def test_a_link_that_leads_out(self, project: Project) -> None:
        outside = project.root.parent / "outside.png"
        outside.write_bytes(picture())
        (project.root / "ink.png").symlink_to(outside)
        assert told(project, PICTURE_FILM) == [("error", "outside-root")]

    @pytest.mark.parametrize("key", ["start", "end"])
    def test_frames_have_the_same_limits(self, project: Project, key: str) -> None:
        project.write("small.png", picture(100, 100))
        project.write("good.png", picture(1280, 720))
        frames = "  start: small.png\n" if key == "start" else "  start: good.png\n  end: small.png\n"
        found = report(project, f"SHOT a 5s\n{frames}Rain.\n")
        small = [one for one in found if one["code"] == "picture-too-small"]
        assert [one["line"] for one in small] == [2 if key == "start" else 3]

    def test_every_picture_of_an_element_is_looked_at(self, project: Project) -> None:
        for at, name in enumerate(("front", "left", "right")):
            project.write(f"{name}.png", picture(100 + at, 100))
        film = "CHARACTER Mira\n  front: front.png\n  angles: left.png, right.png\n\nSHOT a 5s\n@Mira waits.\n"
        assert [(one["code"], one["line"], one["column"]) for one in report(project, film)] == [
            ("picture-too-small", 2, 10),
            ("picture-too-small", 3, 11),
            ("picture-too-small", 3, 21),
        ]

    def test_one_picture_of_three_shots_is_told_once(self, project: Project) -> None:
        project.write("ink.png", picture(100, 100))
        film = PICTURE_FILM + "\nSHOT b 5s\n@Ink again.\n\nSHOT c 5s\n  model: o3-pro\n@Ink.\n"
        assert told(project, film) == [("error", "picture-too-small")]

    def test_addresses_are_not_looked_at(self, project: Project) -> None:
        assert told(project, PICTURE_FILM.replace("ink.png", "https://example.com/ink.bmp")) == []

    def test_another_sheet_has_other_limits(self, project: Project) -> None:
        text = resources.specs_path("models", "o3-4k.toml").read_text(encoding="utf-8")
        text = text.replace('name = "o3-4k"', 'name = "house"').replace('drafts = ["o3-pro", "o3-standard"]\n', "")
        text = text.replace("min_width = 300", "min_width = 700").replace(
            '\nkinds = ["jpeg", "png"]', '\nkinds = ["webp"]'
        )
        text = text.replace('doubtful_kinds = ["webp", "gif", "avif"]', 'doubtful_kinds = ["gif"]')
        text = text.replace("max_bytes = 10485760", "max_bytes = 100")
        project.write("models/house.toml", text)
        project.write("ink.png", picture(kind="webp"))
        found = report(project, "Model: house\n\n" + PICTURE_FILM)
        assert [one["code"] for one in found] == ["media-too-large", "picture-too-small"]
        assert "house takes 100 at most" in found[0]["message"]
        project.write("ink.png", picture())
        (found_kind,) = report(project, "Model: house\n\n" + PICTURE_FILM)
        assert "house takes webp" in found_kind["message"]

    @pytest.mark.parametrize(("count", "expected"), [(1, []), (3, []), (4, [("error", "too-many-angles")])])
    def test_angles_are_counted(self, project: Project, count: int, expected: list[tuple[str, str]]) -> None:
        project.write("front.png", picture())
        for at in range(count):
            project.write(f"a{at}.png", picture(650 + at))
        angles = ", ".join(f"a{at}.png" for at in range(count))
        film = f"CHARACTER Mira\n  front: front.png\n  angles: {angles}\n\nSHOT a 5s\n@Mira waits.\n"
        assert told(project, film) == expected


class TestVideos:
    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            ({"seconds": 3}, []),
            ({"seconds": 10}, []),
            ({"seconds": 2}, [("error", "video-length")]),
            ({"seconds": 11}, [("error", "video-length")]),
            ({"seconds": 3, "width": 718}, [("error", "video-size")]),
            ({"seconds": 3, "height": 2160}, []),
            ({"seconds": 3, "height": 2162}, [("error", "video-size")]),
            ({"seconds": 3, "rate": 23}, [("error", "video-rate")]),
            ({"seconds": 3, "rate": 60}, []),
            ({"seconds": 3, "rate": 61}, [("error", "video-rate")]),
            (
                {"seconds": 2, "width": 64, "height": 64, "rate": 10},
                [("error", "video-length"), ("error", "video-size"), ("error", "video-rate")],
            ),
        ],
    )
    def test_length_size_and_rate(
        self, project: Project, options: dict[str, int], expected: list[tuple[str, str]]
    ) -> None:
        assert of_video(project, video(**options)) == expected

    @pytest.mark.parametrize(
        ("suffix", "expected"),
        [
            (".mp4", []),
            (".mov", []),
            (".webm", [("warning", "media-kind-doubtful"), ("error", "video-size")]),
            (".mkv", [("error", "media-kind")]),
        ],
    )
    def test_the_content_decides_the_kind(self, project: Project, suffix: str, expected: list[tuple[str, str]]) -> None:
        size = 64 if suffix == ".webm" else 720
        assert of_video(project, video(3, width=size, height=size, suffix=suffix)) == expected

    def test_a_picture_is_no_video(self, project: Project) -> None:
        assert of_video(project, picture()) == [("error", "media-kind")]

    def test_half_a_video_is_damaged(self, project: Project) -> None:
        whole = video(4)
        assert of_video(project, whole[: len(whole) // 2]) == [("error", "media-broken")]

    def test_bytes(self, project: Project) -> None:
        text = resources.specs_path("models", "o3-4k.toml").read_text(encoding="utf-8")
        text = text.replace('name = "o3-4k"', 'name = "house"').replace('drafts = ["o3-pro", "o3-standard"]\n', "")
        size = len(video(3))
        film = "Model: house\n\n" + VIDEO_FILM
        project.write("walk.mp4", video(3))
        for limit, expected in ((size, []), (size - 1, [("error", "media-too-large")])):
            project.write("models/house.toml", text.replace("max_bytes = 209715200", f"max_bytes = {limit}"))
            assert told(project, film) == expected

    def test_the_measured_numbers_are_told(self, project: Project) -> None:
        project.write("walk.mp4", video(2))
        (found,) = report(project, VIDEO_FILM)
        assert found["message"] == "walk.mp4 lasts 2.00 s, and o3-4k takes 3 to 10.05 s"
        assert (found["line"], found["column"]) == (2, 10)

    def test_without_the_extra_it_is_said_that_nothing_was_measured(
        self, project: Project, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "av", None)
        assert of_video(project, video(2)) == [("note", "video-not-measured")]
        (found,) = report(project, VIDEO_FILM)
        assert "pip install 'kling-dsl[media]'" in found["hint"]

    def test_installing_the_extra_makes_a_remembered_check_anew(
        self, project: Project, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, "av", None)
            assert of_video(project, video(2)) == [("note", "video-not-measured")]
        assert told(project, VIDEO_FILM) == [("error", "video-length")]

    def test_without_the_extra_the_kind_is_still_known(self, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "av", None)
        assert of_video(project, picture()) == [("error", "media-kind")]

    def test_a_note_fails_no_strict_check(self, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "av", None)
        project.write("walk.mp4", video(4))
        project.write("film.kling", VIDEO_FILM)
        project.run("check", "--strict", "film.kling")

    def test_addresses_are_not_looked_at(self, project: Project) -> None:
        assert told(project, VIDEO_FILM.replace("walk.mp4", "https://example.com/walk.avi")) == []
