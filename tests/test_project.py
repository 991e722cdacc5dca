"""The project folder: its root, its settings, and a view of the disk that nothing leaves."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from measuring import unmeasured

from kling_dsl.project import DiskWorld, Settings, Signature, disk, find_project, find_root
from kling_dsl.project.settings import read_settings
from kling_dsl.world import Unreadable


def refusal(answer: object) -> Unreadable:
    assert isinstance(answer, Unreadable), answer
    return answer


def mistakes(text: str) -> list[tuple[str, int, str]]:
    _, found = read_settings(text, "kling.toml")
    assert all(diagnostic.slug == "bad-settings" for diagnostic in found)
    assert all(diagnostic.severity == "error" for diagnostic in found)
    assert all(diagnostic.span.file == "kling.toml" for diagnostic in found)
    return [(diagnostic.message, diagnostic.span.line, diagnostic.hint) for diagnostic in found]


# The root.


def test_the_nearest_mark_above_a_film_is_the_root(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    inner = tmp_path / "ads" / "spring"
    inner.mkdir(parents=True)
    assert find_root(inner / "film.kling") == tmp_path.resolve()
    (tmp_path / "ads" / "kling.toml").touch()
    assert find_root(inner / "film.kling") == (tmp_path / "ads").resolve()
    assert find_root(inner) == (tmp_path / "ads").resolve()


def test_a_linked_working_tree_is_a_root(tmp_path: Path) -> None:
    (tmp_path / ".git").write_text("gitdir: elsewhere\n")
    (tmp_path / "films").mkdir()
    assert find_root(tmp_path / "films" / "film.kling") == tmp_path.resolve()


def test_without_a_mark_the_film_stands_alone(tmp_path: Path) -> None:
    (tmp_path / "film.kling").touch()
    root = find_root(tmp_path / "film.kling")
    assert root == tmp_path.resolve()
    assert find_project(tmp_path / "film.kling").diagnostics == ()


def test_paths_are_told_from_the_root(tmp_path: Path) -> None:
    (tmp_path / "real" / "scenes").mkdir(parents=True)
    (tmp_path / "real" / "kling.toml").touch()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    for root in (tmp_path / "real", tmp_path / "link"):
        project = find_project(root / "film.kling")
        assert project.root == (tmp_path / "real").resolve()
        assert project.relative(tmp_path / "link" / "film.kling") == "film.kling"
        assert project.relative(tmp_path / "real" / "scenes" / "one.kling") == "scenes/one.kling"
        assert project.relative(root / "scenes" / ".." / "film.kling") == "film.kling"
        assert project.relative(tmp_path / "film.kling") is None
        assert project.relative(root / ".." / "film.kling") is None


def test_a_relative_path_counts_from_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kling.toml").touch()
    (tmp_path / "scenes").mkdir()
    monkeypatch.chdir(tmp_path / "scenes")
    project = find_project(Path("one.kling"))
    assert project.root == tmp_path.resolve()
    assert project.relative(Path("one.kling")) == "scenes/one.kling"
    assert project.relative(Path("../film.kling")) == "film.kling"


def test_a_film_that_is_a_link_keeps_its_own_name(tmp_path: Path) -> None:
    (tmp_path / "kling.toml").touch()
    (tmp_path / "second.kling").write_text("Title: Two\n")
    (tmp_path / "film.kling").symlink_to("second.kling")
    project = find_project(tmp_path / "film.kling")
    assert project.relative(tmp_path / "film.kling") == "film.kling"
    assert project.world().read_text("film.kling") == "Title: Two\n"


def test_sheets_are_the_toml_files_of_models(tmp_path: Path) -> None:
    (tmp_path / "kling.toml").touch()
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "mine.toml").write_text("format = 1\n")
    (tmp_path / "models" / "notes.txt").write_text("nothing")
    (tmp_path / "models" / "broken.toml").write_bytes(b"\xff")
    project = find_project(tmp_path)
    assert project.sheets() == {"models/mine.toml": "format = 1\n"}
    (found,) = project.diagnostics
    assert (found.slug, found.span.file) == ("bad-model-sheet", "models/broken.toml")
    assert "byte 0, line 1" in found.message


def test_a_project_counts_its_own_files_among_the_inputs(tmp_path: Path) -> None:
    (tmp_path / "film.kling").write_text("Title: One\n")
    before = find_project(tmp_path / "film.kling").world()
    before.read_text("film.kling")
    assert [signature.path for signature in before.inputs] == ["film.kling", "kling.toml", "models"]
    assert [signature.exists for signature in before.inputs] == [True, False, False]
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "mine.toml").touch()
    now = DiskWorld(tmp_path)
    changed = [signature.path for signature in before.inputs if now.signature(signature.path) != signature]
    assert changed == ["models"]
    again = find_project(tmp_path / "film.kling").world()
    assert [signature.path for signature in again.inputs] == ["kling.toml", "models", "models/mine.toml"]


# The settings.


def test_settings_are_read_and_default_to_nothing() -> None:
    text = """
[lints]
unused-reference = "off"
[speech]
words_per_second = 2.5
[limits]
per_run_usd = "$5"
per_day_usd = "12.50"
total_usd = 100
[paths]
out = "build/clips/"
[models]
default = "o3-pro"
"""
    settings, found = read_settings(text, "kling.toml")
    assert found == ()
    assert settings.lints == {"unused-reference": "off"}
    assert settings.speech.words_per_second == Decimal("2.5")
    limits = settings.limits
    assert (limits.per_run_usd, limits.per_day_usd, limits.total_usd) == (Decimal(5), Decimal("12.50"), Decimal(100))
    assert settings.paths.out == "build/clips"
    assert settings.models.default == "o3-pro"
    assert read_settings("", "kling.toml") == (Settings(), ())


def test_every_mistake_is_told_with_its_line_and_the_rest_counts() -> None:
    text = """
[limit]
per_run_usd = "$5"

[limits]
per_run = "$5"
per_day_usd = 12.50
total_usd = "$100"

[lints]
unused-reference = "of"
"""
    settings, found = read_settings(text, "kling.toml")
    assert settings.limits.total_usd == Decimal(100)
    assert [(each.message, each.span.line, each.span.column, each.hint) for each in found] == [
        ("limit is no setting that we know", 2, 2, 'did you mean "limits"?'),
        ("limits.per_run is no setting that we know", 6, 1, "known here: per_run_usd, per_day_usd, total_usd"),
        (
            'limits.per_day_usd must be written as a string, "$12.50": money is decimal, and a TOML float is not',
            7,
            1,
            "",
        ),
        (
            'lints.unused-reference must be "error", "warning" or "off", not "of"',
            11,
            1,
            'did you mean "off"?',
        ),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('limits.total_usd = "five"', 'limits.total_usd must be an amount of dollars such as "$5" or "5.00"'),
        ('limits.total_usd = "-5"', "must be an amount of dollars"),
        ("limits.total_usd = -5", "must be an amount of dollars"),
        ("limits.total_usd = true", "not true"),
        ("limits.total_usd = inf", "money is decimal"),
        ("limits.total_usd = 1979-05-27", "not 1979-05-27"),
        ("limits.total_usd = 0x" + "f" * 9000, "must be an amount of dollars"),
        ("speech.words_per_second = 0", "must be a number of words above 0"),
        ("speech.words_per_second = nan", "must be a number of words above 0"),
        ("speech.words_per_second = 1e999999", "must be a number of words above 0"),
        ("speech.words_per_second = 0x" + "f" * 9000, "must be a number of words above 0"),
        ("speech.words_per_second = true", "must be a number of words above 0"),
        ('paths.out = "/tmp"', "must stay inside the project"),
        ('paths.out = "../out"', "must stay inside the project"),
        ('paths.out = "a\\\\b"', "must stay inside the project"),
        ('paths.out = "C:"', "must stay inside the project"),
        ("paths.out = 5", "must be a folder of the project"),
        ('paths.out = "\\u001b[31m"', r'not "\x1b[31m"'),
        ('models.default = ""', "must be the name of a model sheet"),
        ('models.default = "../../o3"', "must be the name of a model sheet"),
        ("limits = 5", "limits must be a table, [limits]"),
        ("lints = []", "lints must be a table, [lints]"),
        ("lints.a = {}", "not a table"),
    ],
)
def test_values_that_make_no_sense_are_refused(text: str, words: str) -> None:
    settings, found = read_settings(text, "kling.toml")
    assert settings == Settings()
    assert len(found) == 1
    assert words in found[0].message
    assert (found[0].span.line, found[0].span.column) == (1, 1)
    assert found[0].message.isprintable()


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("[limits]\nper_run_usd = $5\n", 2, "is not TOML: Invalid value"),
        ("[limits\n", 1, "is not TOML"),
        ("a = 1\na = 2\n", 2, "is not TOML"),
        ('x = """\nnever closed\n', 3, "is not TOML"),
        ("x = " + "[" * 100_000, 1, "its values lie too deep in each other"),
        ("x = " + "9" * 5000, 1, "is not TOML"),
        ("x = 1e" + "9" * 30, 1, "a number in it is too large"),
    ],
)
def test_what_is_no_toml_is_told_at_its_place(text: str, line: int, words: str) -> None:
    (told,) = mistakes(text)
    assert words in told[0]
    assert told[1] == line
    assert "(at " not in told[0]


@settings(deadline=None)
@given(st.text(max_size=200) | st.from_regex(r"(\[?[a-z_.]{1,9}\]?( = [0-9\"$.e\[{-]{1,9})?\n){1,6}", fullmatch=True))
def test_any_text_is_read_without_an_exception(text: str) -> None:
    settings, found = read_settings(text, "kling.toml")
    assert isinstance(settings, Settings)
    assert all(diagnostic.slug == "bad-settings" for diagnostic in found)


def test_a_lint_that_does_not_exist_is_told(tmp_path: Path) -> None:
    (tmp_path / "kling.toml").write_text('[lints]\nunused-refrence = "off"\nquality-pile = "error"\n')
    (told,) = find_project(tmp_path).find_unknown_lints(("unused-reference", "quality-pile"))
    assert told.message == "lints.unused-refrence is no lint that we know"
    assert (told.span.line, told.hint) == (2, 'did you mean "unused-reference"?')


@pytest.mark.parametrize("kind", ["folder", "outside", "latin-1", "long"])
def test_a_settings_file_that_cannot_be_read_is_a_mistake_of_it(tmp_path: Path, kind: str) -> None:
    root = tmp_path / "project"
    root.mkdir()
    (tmp_path / "other.toml").write_text('[limits]\ntotal_usd = "$5"\n')
    path = root / "kling.toml"
    if kind == "folder":
        path.mkdir()
    elif kind == "outside":
        path.symlink_to(tmp_path / "other.toml")
    else:
        path.write_bytes(b"# caf\xe9" if kind == "latin-1" else b"#" * 300_000)
    project = find_project(root)
    assert project.settings == Settings()
    (told,) = project.diagnostics
    assert (told.slug, told.span.file) == ("bad-settings", "kling.toml")


# The disk.


def test_texts_are_read_as_they_stand(tmp_path: Path) -> None:
    (tmp_path / "film.kling").write_bytes(b"\xef\xbb\xbfTitle: Zo\xc3\xab\r\nAspect: 1:1\r")
    (tmp_path / "empty.kling").touch()
    world = DiskWorld(tmp_path)
    assert world.read_text("film.kling") == "Title: Zoë\r\nAspect: 1:1\r"
    assert world.read_text("empty.kling") == ""
    assert world.read_text("./film.kling") == world.read_text("film.kling")


def test_an_answer_is_kept_for_the_life_of_the_view(tmp_path: Path) -> None:
    (tmp_path / "film.kling").write_text("one")
    world = DiskWorld(tmp_path)
    assert world.read_text("film.kling") == "one"
    (tmp_path / "film.kling").write_text("two")
    assert world.read_text("film.kling") == "one"
    assert DiskWorld(tmp_path).read_text("film.kling") == "two"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"one\ntwo caf\xe9\n", "byte 11, line 2, is 0xE9"),
        (b"\xef\xbb\xbfone\n\xff", "byte 7, line 2, is 0xFF"),
        ("Title: One\n".encode("utf-16"), "is UTF-16"),
        (b"cut \xe7\xbe", "byte 4, line 1"),
        (b"surrogate \xed\xa0\x80", "byte 10, line 1"),
    ],
)
def test_what_is_not_utf_8_is_told_with_its_place(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "film.kling").write_bytes(content)
    told = refusal(DiskWorld(tmp_path).read_text("film.kling"))
    assert told.reason == "not-utf-8"
    assert words in told.message


def test_a_text_past_the_limit_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "film.kling").open("wb") as file:
        file.truncate(disk.MAX_TEXT_BYTES + 1)
    begin = time.process_time()
    told = refusal(DiskWorld(tmp_path).read_text("film.kling"))
    assert told == Unreadable("too-large", "is larger than the 64 MiB that a text may have")
    assert time.process_time() - begin < 0.5


@pytest.fixture
def walled(tmp_path: Path) -> Path:
    """A project beside a folder with a secret in it."""
    root = tmp_path / "project"
    (root / "refs").mkdir(parents=True)
    (root / "refs" / "note.txt").write_text("inside")
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "note.txt").write_text("secret")
    (tmp_path / "project-two").mkdir()
    (tmp_path / "project-two" / "note.txt").write_text("secret")
    (root / "file-out").symlink_to(tmp_path / "secret" / "note.txt")
    (root / "folder-out").symlink_to(tmp_path / "secret")
    (root / "up").symlink_to("..")
    (root / "twice").symlink_to("file-out")
    (root / "file-in").symlink_to("refs/note.txt")
    (root / "folder-in").symlink_to(root / "refs")
    (root / "loop").symlink_to("pool")
    (root / "pool").symlink_to("loop")
    (root / "dangling").symlink_to("nowhere")
    (root / ".env").write_text("secret")
    (root / ".git").mkdir()
    (root / ".git" / "config").write_text("secret")
    (root / "to-hidden").symlink_to(".env")
    return root


@pytest.mark.parametrize(
    "path",
    [
        "file-out",
        "folder-out/note.txt",
        "folder-out/../secret/note.txt",
        "folder-out",
        "up/secret/note.txt",
        "up/project-two/note.txt",
        "twice",
        "../secret/note.txt",
        "../project/refs/note.txt",
        "refs/../../secret/note.txt",
        "refs/../../project-two/note.txt",
        "..",
        "refs/../..",
        "/etc/passwd",
        "//etc/passwd",
        ".env",
        ".git/config",
        "refs/../.git/config",
        "to-hidden",
    ],
)
def test_nothing_leads_out_of_the_root(walled: Path, path: str) -> None:
    world = DiskWorld(walled)
    assert refusal(world.read_text(path)).reason == "outside"
    assert refusal(world.media(path)).reason == "outside"
    assert world.inputs == (Signature(path, True, -1, 0, 0),)


def test_an_absolute_path_is_refused_even_when_it_points_inside(walled: Path) -> None:
    assert refusal(DiskWorld(walled).read_text(str(walled / "refs" / "note.txt"))).reason == "outside"


@pytest.mark.parametrize("path", ["refs/note.txt", "file-in", "folder-in/note.txt", "refs/../refs/note.txt"])
def test_links_inside_the_root_are_followed(walled: Path, path: str) -> None:
    assert DiskWorld(walled).read_text(path) == "inside"


def test_a_root_behind_a_link_is_no_escape(walled: Path, tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to(walled)
    world = DiskWorld(tmp_path / "alias")
    assert world.read_text("refs/note.txt") == "inside"
    assert refusal(world.read_text("file-out")).reason == "outside"


@pytest.mark.parametrize(
    ("path", "reason", "words"),
    [
        ("nothing.kling", "missing", "does not exist"),
        ("refs/note.txt/deeper", "missing", "does not exist"),
        ("dangling", "missing", "does not exist"),
        ("refs", "directory", "is a folder"),
        ("", "directory", "is a folder"),
        (".", "directory", "is a folder"),
        ("loop", "unreadable", "leads back to itself"),
        ("loop/deeper", "unreadable", "leads back to itself"),
        ("a\0b", "unreadable", "NUL"),
        ("n" * 300, "unreadable", "too long"),
        ("deep/" * 1000 + "x", "unreadable", "too long"),
        ("\ud800.png", "unreadable", "cannot be read"),
    ],
)
def test_what_cannot_be_read_has_a_reason(walled: Path, path: str, reason: str, words: str) -> None:
    world = DiskWorld(walled)
    for told in (refusal(world.read_text(path)), refusal(world.media(path))):
        assert told.reason == reason
        assert words in told.message
    assert [signature.path for signature in world.inputs] == [path]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipes_sockets_and_devices_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    world = DiskWorld(tmp_path)
    assert refusal(world.read_text("pipe")) == Unreadable("unreadable", "is a named pipe")
    assert refusal(world.media("pipe")).reason == "unreadable"
    with socket.socket(socket.AF_UNIX) as server:
        address = os.path.relpath(tmp_path / "socket")
        if len(address) > 100:
            pytest.skip("needs a shorter temporary folder: a socket's address holds some 100 characters")
        server.bind(address)
        assert refusal(world.read_text("socket")) == Unreadable("unreadable", "is a socket")
    devices = DiskWorld(Path("/dev"))
    assert refusal(devices.read_text("zero")) == Unreadable("unreadable", "is a device")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_that_takes_the_place_of_a_file_does_not_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "film.kling"
    path.write_text("one")
    real = os.open

    def swap_and_open(target: str, flags: int) -> int:
        path.unlink()
        os.mkfifo(path)
        return real(target, flags)

    monkeypatch.setattr(os, "open", swap_and_open)
    assert refusal(DiskWorld(tmp_path).read_text("film.kling")).message == "is a named pipe"


def test_a_file_that_vanishes_before_it_is_opened_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "film.kling").write_text("one")
    real = os.open

    def vanish_and_open(target: str, flags: int) -> int:
        os.unlink(target)
        return real(target, flags)

    monkeypatch.setattr(os, "open", vanish_and_open)
    assert refusal(DiskWorld(tmp_path).read_text("film.kling")).reason == "missing"


@pytest.mark.skipif(not hasattr(os, "setresuid"), reason="needs a system where a test can be another user")
def test_permission_denied_is_told() -> None:
    """Read as a user of no rights, because the superuser reads everything; in a folder that such a user may enter."""
    program = textwrap.dedent(
        """
        import os, sys
        from pathlib import Path
        from kling_dsl.project import DiskWorld, Signature
        if os.geteuid() == 0:
            os.setresuid(65534, 65534, 65534)
        world = DiskWorld(Path(sys.argv[1]))
        print(world.read_text("film.kling").message)
        print(world.media("shut/front.png").message)
        print(world.read_text("open.kling"))
        assert world.inputs[0] == Signature("film.kling", True, -1, 0, 0), world.inputs
        """
    )
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        root.chmod(0o755)
        (root / "shut").mkdir()
        (root / "shut" / "front.png").touch()
        (root / "film.kling").write_text("one")
        (root / "open.kling").write_text("two")
        (root / "shut").chmod(0)
        (root / "film.kling").chmod(0)
        done = subprocess.run(
            [sys.executable, "-c", program, folder],
            env=unmeasured(),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        (root / "shut").chmod(0o700)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "may not be read: permission denied",
        "may not be read: permission denied",
        "two",
    ]


def test_inputs_tell_whether_anything_changed(tmp_path: Path) -> None:
    (tmp_path / "film.kling").write_text("one")
    (tmp_path / "refs").mkdir()
    (tmp_path / "refs" / "front.png").write_bytes(b"picture")
    world = DiskWorld(tmp_path)
    world.read_text("film.kling")
    world.media("refs/front.png")
    world.read_text("later.kling")
    status = (tmp_path / "film.kling").stat()
    assert world.inputs == (
        Signature("film.kling", True, 3, status.st_mtime_ns, status.st_ino),
        Signature("later.kling", False, 0, 0, 0),
        world.signature("refs/front.png"),
    )
    (tmp_path / "later.kling").write_text("now")
    os.utime(tmp_path / "film.kling", ns=(1, 1))
    (tmp_path / "new.png").write_bytes(b"picture")
    os.replace(tmp_path / "new.png", tmp_path / "refs" / "front.png")
    now = DiskWorld(tmp_path)
    assert all(now.signature(signature.path) != signature for signature in world.inputs)


def test_a_link_that_turns_outwards_changes_its_signature(tmp_path: Path) -> None:
    root = tmp_path / "project"
    root.mkdir()
    (root / "one").write_text("inside")
    os.link(root / "one", tmp_path / "two")
    (root / "film.kling").symlink_to("one")
    before = DiskWorld(root)
    assert before.read_text("film.kling") == "inside"
    (root / "film.kling").unlink()
    (root / "film.kling").symlink_to(tmp_path / "two")
    assert DiskWorld(root).signature("film.kling") not in before.inputs


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_path_gets_an_answer(tmp_path_factory: pytest.TempPathFactory, path: str) -> None:
    world = DiskWorld(tmp_path_factory.getbasetemp())
    for answer in (world.read_text(path), world.media(path)):
        assert refusal(answer).message
    assert [signature.path for signature in world.inputs] == [path]


@pytest.mark.parametrize(
    ("number", "reason", "words"),
    [
        (errno.EISDIR, "directory", "is a folder"),
        (errno.EACCES, "unreadable", "may not be read: permission denied"),
        (errno.EIO, "unreadable", "cannot be read: Input/output error"),
        (errno.ENOENT, "missing", "does not exist"),
    ],
)
def test_a_file_that_fails_while_it_is_read_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, reason: str, words: str
) -> None:
    (tmp_path / "film.kling").write_text("one")

    def fail(*_: object, **__: object) -> object:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(disk, "_read_at_most", fail)
    monkeypatch.setattr(disk, "describe_media", fail)
    world = DiskWorld(tmp_path)
    for answer in (world.read_text("film.kling"), world.read_media("film.kling"), world.media("film.kling")):
        assert (refusal(answer).reason, refusal(answer).message) == (reason, words)


def test_a_file_that_grows_while_it_is_read_is_read_no_further(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "film.kling").write_text("one")

    def grow(*_: object, **__: object) -> bytes:
        monkeypatch.setattr(disk, "MAX_TEXT_BYTES", 2)
        return b"one and more"

    monkeypatch.setattr(disk, "_read_at_most", grow)
    assert refusal(DiskWorld(tmp_path).read_text("film.kling")).reason == "too-large"
    monkeypatch.setattr(disk, "describe_media", lambda *_, **__: None)
    assert refusal(DiskWorld(tmp_path).media("film.kling")).reason == "too-large"
