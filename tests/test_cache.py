"""What is remembered between two checks: the same answer when nothing changed, a fresh one when anything did."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import Project, picture
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kling_dsl import cache, resources, saved

FILM = """\
Title: Pier
Param tide: low
Data rows: rows.csv

import cast.kling

STYLE Ink
  image: refs/ink.png

SHOT wait 4s wide
@Mira waits at {{ tide }} tide, in the look of @Ink.

{% include "more.kling" %}
{% for row in rows %}
SHOT {{ row.id }} 3s
Waves, {{ row.id }}.

{% endfor %}
"""

CAST = "CHARACTER Mira\n  front: refs/front.png\n  angles: refs/left.png\n"


FILM_PATH = "films/film.kling"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A film with a file of every sort beside it, and a cache of its own."""
    made = Project(tmp_path / "home" / "project")
    monkeypatch.setenv("KLING_CACHE_DIR", str(tmp_path / "cache"))
    fill(made)
    return made


def fill(project: Project) -> None:
    project.write(FILM_PATH, FILM)
    project.write("films/cast.kling", CAST)
    project.write("films/rows.csv", "id\nsea\nfog\n")
    project.write("films/more.kling", "SHOT more 3s\nGulls.\n\n")
    for at, name in enumerate(("front", "left", "ink", "spare")):
        project.write(f"films/refs/{name}.png", picture(640 + at))


def answer(project: Project, *words: str, film: str = FILM_PATH, **settings: str) -> str:
    """Return what a check prints, as data and as text, with its exit codes."""
    told = []
    for form in ("json", "text", "github"):
        code, stdout = outcome(project, "check", film, *words, "--format", form, **settings)
        told.append(f"{code}\n{stdout}")
    return "\n".join(told)


def outcome(project: Project, *words: str, **settings: str) -> tuple[int, str]:
    """Return the exit code and what was printed, whichever code it is."""
    done = project.outcome(*words, **settings)
    return done.exit_code, done.stdout


def fresh(project: Project, *words: str, film: str = FILM_PATH) -> str:
    """Return what a check prints that remembers no film; only the saved grammar and sheets are shared."""
    store = Path(os.environ["KLING_CACHE_DIR"])
    other = store.with_name("fresh")
    shutil.rmtree(other, ignore_errors=True)
    shutil.copytree(store, other, ignore=lambda folder, names: ["check"])
    return answer(project, *words, film=film, KLING_CACHE_DIR=str(other))


def is_remembered(project: Project, model: str = "None", *values: str, film: str = FILM_PATH) -> bool:
    """Say whether what the last check found would be believed now."""
    options = (f"model {model}", *(f"set {value}" for value in values))
    return cache.recall(str(project.root / film), options) is not None


def test_a_second_check_remembers_and_answers_alike(project: Project) -> None:
    first = answer(project)
    assert is_remembered(project)
    assert answer(project) == first == fresh(project)


@pytest.mark.parametrize("words", [(), ("--format", "json"), ("--format", "sarif"), ("--format", "github")])
def test_a_remembered_check_loads_no_compiler(project: Project, words: tuple[str, ...]) -> None:
    """Only a film that has something to tell loads what renders it."""
    spy = (
        "import sys\nfrom kling_dsl.cli import main\ntry:\n    main()\n"
        "finally:\n    print(*sorted(sys.modules), file=sys.stderr)"
    )
    loaded: list[set[str]] = []
    for _ in range(2):
        done = subprocess.run(
            (sys.executable, "-c", spy, "check", FILM_PATH, *words),
            cwd=project.root,
            capture_output=True,
            encoding="utf-8",
            check=True,
        )
        loaded.append(set(done.stderr.split()))
    passes = {"lark", "jinja2", "kling_dsl.compiler", "kling_dsl.parser", "kling_dsl.emitter", "kling_dsl.sheets"}
    assert {"jinja2", "kling_dsl.compiler", "kling_dsl.parser"} <= loaded[0]
    assert loaded[1] & passes == set()


def _write(path: str, content: str | bytes) -> Callable[[Project], None]:
    def change(project: Project) -> None:
        project.write(path, content)

    return change


def _replace(path: str, old: str, new: str) -> Callable[[Project], None]:
    def change(project: Project) -> None:
        text = (project.root / path).read_text(encoding="utf-8")
        assert old in text
        project.write(path, text.replace(old, new))

    return change


def _remove(path: str) -> Callable[[Project], None]:
    def change(project: Project) -> None:
        place = project.root / path
        shutil.rmtree(place) if place.is_dir() else place.unlink()

    return change


def _same_size_and_time(project: Project) -> None:
    """Damage a picture in its place and put its time back, as a careless sync would."""
    place = project.root / "films/refs/ink.png"
    before = place.stat()
    content = bytearray(place.read_bytes())
    content[20] ^= 1
    with place.open("r+b") as file:
        file.write(content)
    os.utime(place, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = place.stat()
    assert (after.st_size, after.st_mtime_ns, after.st_ino) == (before.st_size, before.st_mtime_ns, before.st_ino)


def _same_text_size_and_time(project: Project) -> None:
    place = project.root / FILM_PATH
    before = place.stat()
    text = place.read_text()
    with place.open("r+b") as file:
        file.write(text.replace("Waves", "@Wave").encode())
    os.utime(place, ns=(before.st_atime_ns, before.st_mtime_ns))


def _link(path: str, target: str) -> Callable[[Project], None]:
    def change(project: Project) -> None:
        place = project.root / path
        place.unlink(missing_ok=True)
        place.symlink_to(target)

    return change


HOUSE = (resources.specs_path("models", "o3-pro.toml")).read_text(encoding="utf-8").replace('"o3-pro"', '"house"', 1)

CHANGES: dict[str, Callable[[Project], None]] = {
    "the film's text": _replace(FILM_PATH, "Waves", "@Waves"),
    "the film's text in its place, with its size and time": _same_text_size_and_time,
    "an imported text": _replace("films/cast.kling", "Mira", "Maria"),
    "an imported text goes": _remove("films/cast.kling"),
    "a table": _replace("films/rows.csv", "fog", "wait"),
    "a table goes": _remove("films/rows.csv"),
    "an included text": _replace("films/more.kling", "3s", "2s"),
    "a picture goes": _remove("films/refs/ink.png"),
    "a picture is another": _write("films/refs/ink.png", picture(100, 100)),
    "a picture is damaged, with its size and time": _same_size_and_time,
    "a picture is a link": _link("films/refs/ink.png", "spare.png"),
    "an imported text is a link that leads out": _link("films/cast.kling", "../../../outside.kling"),
    "the settings appear": _write("kling.toml", '[lints]\nunused-reference = "error"\n'),
    "the sheets' folder appears": _write("models/house.toml", HOUSE),
    "a nearer root by git": lambda project: (project.root / "films/.git").mkdir(),
    "a nearer root by settings": _write("films/kling.toml", ""),
    "the root's mark goes": _remove(".git"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_every_change_of_an_input_is_seen(project: Project, change: Callable[[Project], None]) -> None:
    project.root.parent.parent.joinpath("outside.kling").write_text(CAST)
    answer(project)
    assert is_remembered(project)
    change(project)
    assert not is_remembered(project)
    assert answer(project) == fresh(project)
    assert is_remembered(project)


MORE: dict[str, tuple[Callable[[Project], None], Callable[[Project], None]]] = {
    "a picture appears": (_remove("films/refs/ink.png"), _write("films/refs/ink.png", picture(642))),
    "an imported text appears": (_remove("films/cast.kling"), _write("films/cast.kling", CAST)),
    "an included text appears": (_remove("films/more.kling"), _write("films/more.kling", "SHOT x 3s\nFog.\n\n")),
    "a table appears": (_remove("films/rows.csv"), _write("films/rows.csv", "id\nsea\n")),
    "the settings change": (_write("kling.toml", ""), _write("kling.toml", "[lints]\nno-such-lint = 'off'\n")),
    "the settings go": (_write("kling.toml", "[lints]\nno-such-lint = 'off'\n"), _remove("kling.toml")),
    "a sheet changes": (_write("models/house.toml", HOUSE), _write("models/house.toml", "name = 5\n")),
    "a second sheet appears": (_write("models/house.toml", HOUSE), _write("models/other.toml", "name = 5\n")),
    "a sheet goes": (_write("models/house.toml", "name = 5\n"), _remove("models/house.toml")),
    "the sheets' folder goes": (_write("models/house.toml", "name = 5\n"), _remove("models")),
    "a picture's link turns": (_link("films/refs/ink.png", "spare.png"), _link("films/refs/ink.png", "left.png")),
    "a mark above appears": (_remove(".git"), lambda project: (project.root.parent / ".git").mkdir()),
    "a mark far above appears": (_remove(".git"), lambda project: (project.root.parents[1] / "kling.toml").touch()),
}


@pytest.mark.parametrize(("before", "change"), MORE.values(), ids=MORE)
def test_every_change_from_another_state_is_seen(
    project: Project, before: Callable[[Project], None], change: Callable[[Project], None]
) -> None:
    before(project)
    answer(project)
    assert is_remembered(project)
    change(project)
    assert not is_remembered(project)
    assert answer(project) == fresh(project)


def test_a_film_behind_a_link_follows_it(project: Project) -> None:
    project.write("films/other.kling", "SHOT other 5s\n@Nobody waits.\n")
    _link("films/link.kling", "film.kling")(project)
    first = answer(project, film="films/link.kling")
    assert is_remembered(project, film="films/link.kling")
    _link("films/link.kling", "other.kling")(project)
    assert answer(project, film="films/link.kling") == fresh(project, film="films/link.kling") != first


def test_a_folder_behind_a_link_follows_it(project: Project) -> None:
    project.write("next/film.kling", "SHOT other 5s\n@Nobody waits.\n")
    _link("current", "films")(project)
    first = answer(project, film="current/film.kling")
    assert "unknown-reference" not in first
    _link("current", "next")(project)
    assert "unknown-reference" in answer(project, film="current/film.kling")


def test_a_whole_project_behind_a_link_follows_it(project: Project) -> None:
    home = project.root.parent
    other = Project(home / "second")
    other.write("film.kling", "SHOT other 5s\n@Nobody waits.\n")
    project.write("film.kling", "SHOT door 5s\nRain.\n")
    link = home / "current"
    link.symlink_to("project")
    assert outcome(project, "check", str(link / "film.kling"))[0] == 0
    link.unlink()
    link.symlink_to("second")
    assert outcome(project, "check", str(link / "film.kling"))[0] == 1


def test_what_is_none_of_the_inputs_changes_nothing(project: Project) -> None:
    answer(project)
    project.write("films/another.kling", "SHOT a 5s\nFog.\n")
    project.write("notes.txt", "later")
    os.utime(project.root / FILM_PATH)
    os.utime(project.root / "films/cast.kling")
    assert is_remembered(project)


@pytest.mark.parametrize("words", [("--model", "o3-pro"), ("--set", "tide=high"), ("--data", "rows=films/other.csv")])
def test_each_way_of_asking_has_an_answer_of_its_own(project: Project, words: tuple[str, ...]) -> None:
    project.write("films/other.csv", "id\nwait\n")
    plain = answer(project)
    asked = answer(project, *words)
    assert (answer(project), answer(project, *words)) == (plain, asked)
    assert asked == fresh(project, *words)
    assert (asked != plain) == (words[0] != "--set")


def test_a_table_given_by_option_is_an_input(project: Project) -> None:
    words = ("--data", "rows=films/other.csv")
    project.write("films/other.csv", "id\na\n")
    first = answer(project, *words)
    project.write("films/other.csv", "id\na\nb\n")
    assert first != answer(project, *words) == fresh(project, *words)


def test_another_version_of_the_program_starts_anew(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(project)
    assert is_remembered(project)
    monkeypatch.setattr(cache, "__version__", "99.0")
    assert not is_remembered(project)


def test_what_changed_between_reading_and_remembering_is_not_taken_for_what_was_read(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file keeps its inode, its size and its time, so that only its content tells."""
    from kling_dsl.cli import films

    project.write(FILM_PATH, "SHOT wait 4s\n@Nobo waits.\n")
    opening = films.open_script

    def open_and_change(*words: object, **options: object) -> object:
        opened = opening(*words, **options)  # type: ignore[arg-type]
        place = project.root / FILM_PATH
        before = place.stat()
        with place.open("r+b") as file:
            file.write(b"SHOT wait 4s\nNobod waits.\n")
        os.utime(place, ns=(before.st_atime_ns, before.st_mtime_ns))
        return opened

    with monkeypatch.context() as patch:
        patch.setattr(films, "open_script", open_and_change)
        assert outcome(project, "check", FILM_PATH)[0] == 1
    assert outcome(project, "check", FILM_PATH)[0] == 0


def test_a_picture_that_changes_meanwhile_is_not_remembered(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    from kling_dsl.cli import films

    opening = films.open_script

    def open_and_change(*words: object, **options: object) -> object:
        opened = opening(*words, **options)  # type: ignore[arg-type]
        project.write("films/refs/ink.png", picture(50, 50))
        return opened

    with monkeypatch.context() as patch:
        patch.setattr(films, "open_script", open_and_change)
        assert outcome(project, "check", FILM_PATH)[0] == 0
    assert not is_remembered(project)
    assert outcome(project, "check", FILM_PATH)[0] == 1


def records(project: Project) -> list[Path]:
    return sorted(Path(os.environ["KLING_CACHE_DIR"], "check").iterdir())


def _flip(at: int) -> Callable[[bytes], bytes]:
    return lambda content: content[:at] + bytes([content[at] ^ 0x40]) + content[at + 1 :]


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "short": lambda content: content[:10],
    "cut": lambda content: content[:-1],
    "longer": lambda content: content + b"\n",
    "zeros": lambda content: bytes(len(content)),
    "no utf-8": lambda content: b"\xff" * len(content),
    "digest": _flip(3),
    "head": _flip(40),
    "end": _flip(-2),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_record_is_as_good_as_none(project: Project, damage: Callable[[bytes], bytes]) -> None:
    project.write(FILM_PATH, "SHOT wait 4s\n@Nobody waits.\n")
    first = answer(project)
    (record,) = records(project)
    record.write_bytes(damage(record.read_bytes()))
    assert not is_remembered(project)
    assert answer(project) == first
    assert is_remembered(project)


@pytest.mark.parametrize(
    "payload", [b"", b"\n\n", b"root\nfailed\n\n", b"\xff\xfe\n\n", b"/\npassed\nall is well\ntext\n\n"]
)
def test_a_sound_record_that_makes_no_sense_is_as_good_as_none(project: Project, payload: bytes) -> None:
    first = answer(project)
    (record,) = records(project)
    saved.store("check", record.name, payload)
    assert not is_remembered(project)
    assert answer(project) == first


def test_a_folder_in_a_records_place_only_costs_time(project: Project) -> None:
    first = answer(project)
    (record,) = records(project)
    record.unlink()
    record.mkdir()
    assert answer(project) == answer(project) == first
    assert records(project) == [record]


@pytest.mark.parametrize("kind", ["a file", "below a file", "not writable"])
def test_a_cache_folder_that_takes_nothing_only_costs_time(
    project: Project, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = answer(project)
    place = project.root.parents[1] / "blocked"
    if kind == "not writable":
        place.mkdir(mode=0o500)
    else:
        place.write_text("")
    chosen = place / "below" if kind == "below a file" else place
    monkeypatch.setenv("KLING_CACHE_DIR", str(chosen))
    assert answer(project) == answer(project) == first
    if kind != "not writable":
        assert place.read_text() == ""


def test_records_are_for_their_owner_alone(project: Project) -> None:
    answer(project)
    folder = Path(os.environ["KLING_CACHE_DIR"], "check")
    assert stat.S_IMODE(folder.stat().st_mode) & 0o077 == 0


def test_twenty_checks_at_once_never_mix_their_answers(project: Project) -> None:
    """The film changes under twenty processes; each answers for one of its states and is remembered for no other."""
    versions = [f"SHOT wait 4s\n@Guest{letter} waits.\n" for letter in "ABCDEFGH"]
    project.write(FILM_PATH, versions[0])
    answers = {}
    for version in versions:
        project.write(FILM_PATH, version)
        answers[version] = outcome(project, "check", FILM_PATH, "--format", "json")[1]
    assert len(set(answers.values())) == len(versions)
    shutil.rmtree(Path(os.environ["KLING_CACHE_DIR"], "check"))
    place = project.root / FILM_PATH
    running = [project.start("check", FILM_PATH, "--format", "json") for _ in range(20)]
    turn = 0
    while any(process.poll() is None for process in running):
        with place.open("r+b") as file:
            file.write(versions[turn % len(versions)].encode())
        turn += 1
        time.sleep(0.002)
    told = [process.communicate() for process in running]
    assert all(stdout in answers.values() for stdout, _ in told), told
    assert all(stderr == "" for _, stderr in told)
    assert turn > len(versions)
    for version in versions:
        with place.open("r+b") as file:
            file.write(version.encode())
        assert outcome(project, "check", FILM_PATH, "--format", "json")[1] == answers[version]
    assert all(len(record.name) == 64 for record in records(project))


EDITS = st.lists(
    st.tuples(
        st.sampled_from(["films/film.kling", "films/cast.kling", "films/rows.csv", "kling.toml"]),
        st.sampled_from(["Mira", "sea", "4s", "low", "Ink", "\n", "wait", "[lints]\nunused-reference = 'off'\n"]),
        st.sampled_from(["", "@", "x", "\n", "5s", "{{ tide }}", "\t", "\u00e9"]),
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(EDITS)
def test_after_any_edits_a_remembered_check_answers_like_a_fresh_one(
    project: Project, edits: list[tuple[str, str, str]]
) -> None:
    fill(project)
    (project.root / "kling.toml").unlink(missing_ok=True)
    for path, old, new in edits:
        place = project.root / path
        text = place.read_text(encoding="utf-8") if place.exists() else ""
        project.write(path, text.replace(old, new, 1) if old in text else text + old + new)
        first = answer(project)
        assert answer(project) == first == fresh(project)
