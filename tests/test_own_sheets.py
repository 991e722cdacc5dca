"""What a film, its EXPECT lines and the commands say of models that state what no sheet of ours does."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import Project
from foreign_sheet import FILE, FOREIGN, WIDE
from helpers import compile_text, place
from told import check_kept

from kling_dsl.sheets import Profiles

TOLD = Path(__file__).parent / "told" / "own_models.txt"
WIDE_FILE = "models/wide-film.toml"
PROFILES = Profiles.of({FILE: FOREIGN, WIDE_FILE: WIDE})
FILM = "Model: {model}\n\nCHARACTER Mira\nA woman.\n\nINT. ROOM - DAY #1#\n\nSHOT door {seconds}s\n  {attribute}\nShe waits.\n\n{lines}\n"


def found(lines: str, *, model: str = "wide-film", seconds: int = 4, attribute: str = "speed: 1") -> list[str]:
    """Return what is reported of lines under a small film, the hint behind the message."""
    source = FILM.format(model=model, seconds=seconds, attribute=attribute, lines=lines)
    compilation = compile_text(source, profiles=PROFILES)
    return [
        f"{each.slug}: {each.message}" + (f" | {each.hint}" if each.hint else "")
        for each in compilation.diagnostics
        if each.severity == "error" or each.slug.startswith("expect")
    ]


@pytest.mark.parametrize("name", ["lumen-film", "wide-film"])
def test_a_sheet_of_your_own_is_shown_whole(tmp_path: Path, name: str) -> None:
    project = Project(tmp_path / "p")
    project.write(FILE, FOREIGN)
    project.write(WIDE_FILE, WIDE)
    check_kept(TOLD, name, project.run("models", name).stdout)


def test_a_model_whose_sheet_is_refused_is_not_said_to_be_unknown(tmp_path: Path) -> None:
    project = Project(tmp_path / "p")
    project.write("models/bad.toml", "format = 2\n")
    project.write("film.kling", "SHOT a 5s\nRain.\n")
    told = " ".join(project.run("plan", "film.kling", "--model", "bad", code=2).stderr.split())
    assert "the sheet of 'bad' is refused: run `kling models bad`, and mend models/bad.toml" in told


def test_lengths_that_a_model_lists_bound_what_can_be_expected() -> None:
    told = (
        "expect-always: this EXPECT cannot fail: wide-film makes clips of 4 to 16 s"
        " | state something that a change of the film could break, or delete the line"
    )
    assert found("EXPECT seconds in clip door <= 16s") == [told]


def test_a_model_without_shots_has_no_number_of_them_to_expect() -> None:
    assert found("EXPECT shots in clip door <= 1", model="lumen-film", attribute="") == []


def test_words_that_no_model_reads_are_never_said() -> None:
    words = "x" * 301
    (told,) = found(f'EXPECT some shot says "{words}"')
    assert told.startswith("expect-never: ")
    assert "wide-film reads 300 characters at most" in told


def test_a_model_that_says_nothing_of_its_speech_warns_of_none() -> None:
    film = FILM.format(
        model="lumen-film",
        seconds=5,
        attribute="audio: on",
        lines="MIRA: " + "Come back to me at once. " * 20,
    )
    assert "long-dialogue" not in [each.slug for each in compile_text(film, profiles=PROFILES).diagnostics]


def test_a_number_that_is_written_in_the_film_is_written_as_it_is_there() -> None:
    film = FILM.format(model="wide-film", seconds=4, attribute="speed: 1", lines="EXPECT clips in scene 7 = 1")
    film = film.replace("#1#", "#7#")
    (told,) = [each for each in compile_text(film, profiles=PROFILES).diagnostics if each.severity == "error"]
    assert place(told) == "12:23 expect-unknown"
    assert told.hint == "write #7# for the number that is written in the film"
