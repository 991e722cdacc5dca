"""The pages of the project say what is: their commands are run, their films compared, their lists held to the code.

`KLING_UPDATE_GOLDEN=1 pytest tests/test_docs.py` writes the README's outputs and films anew; read the difference.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from forking import run_kling

from kling_dsl import __version__
from kling_dsl.cli.verbs import COMMANDS
from kling_dsl.harness.console import type_block

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
LANGUAGE = (ROOT / "specs" / "language").glob("[0-9]*.md")
UPDATE = os.environ.get("KLING_UPDATE_GOLDEN") == "1"
PAGES = sorted(
    path
    for path in (
        *ROOT.glob("*.md"),
        *(ROOT / "benchmarks").glob("*.md"),
        *(ROOT / "specs").rglob("README.md"),
        *LANGUAGE,
    )
    if path.is_file()
)
FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
PIECE = re.compile(rf"{FENCE.pattern}|^<!-- in (?P<folder>\S+) -->$", re.MULTILINE | re.DOTALL)


def run(command: str, folder: Path) -> tuple[int, str]:
    """Run a `kling` command as the README shows it; return its exit code and what it printed."""
    words = shlex.split(command)
    assert words[0] == "kling", f"{command}: a console block shows kling or cd"
    settings = {"KLING_TODAY": "2026-11-22", "COLUMNS": "100", "NO_COLOR": "1", "PYTHONUTF8": "1"}
    # A queue that nothing can be sent to: what is shown here never buys.
    settings |= {"FAL_KEY": "nobody:nothing", "FAL_QUEUE_RUN_HOST": "127.0.0.1:none"}
    done = run_kling(
        words[1:], cwd=folder, environment={**os.environ, **settings}, seconds=60, errors=subprocess.STDOUT
    )
    return done.returncode, done.stdout.decode("utf-8")


class Reader:
    """Someone who follows the README from top to bottom, in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def follow(self, page: str) -> str:
        """Return the page as it would be if it showed what happens."""
        return PIECE.sub(self._do, page)

    def _do(self, piece: re.Match[str]) -> str:
        if piece["folder"]:
            self.folder = ROOT / piece["folder"]
            return piece[0]
        language, _, what = piece["info"].partition(" ")
        kind, _, name = what.partition("=")
        if language == "console":
            return f"```console\n{self._type(piece['body'])}```"
        if kind == "file":
            (self.folder / name).write_text(piece["body"], encoding="utf-8")
        elif kind == "is":
            return f"```{piece['info']}\n{(ROOT / name).read_text(encoding='utf-8')}```"
        return piece[0]

    def _type(self, block: str) -> str:
        shown, self.folder = type_block(block, self.folder, run)
        return shown


def test_the_readme_shows_what_happens(tmp_path: Path) -> None:
    page = README.read_text(encoding="utf-8")
    followed = Reader(tmp_path).follow(page)
    if UPDATE:
        README.write_text(followed, encoding="utf-8")
        page = followed
    assert page.splitlines() == followed.splitlines(), "KLING_UPDATE_GOLDEN=1 writes the outputs anew"


def test_the_readme_shows_the_plan_of_every_example() -> None:
    films = {path.with_suffix("").with_suffix("").name for path in (ROOT / "specs" / "examples").glob("*/*.plan.txt")}
    shown = re.findall(r"^\$ kling plan \w+/([\w-]+)\.kling$", README.read_text(encoding="utf-8"), re.MULTILINE)
    assert (len(films), sorted(shown)) == (5, sorted(films))
    for path in (ROOT / "specs" / "examples").glob("*/*.plan.txt"):
        plan = path.read_text(encoding="utf-8")
        closing = plan[plan.index("\nfilm ") :]
        assert closing in README.read_text(encoding="utf-8"), path.name


def rows(page: Path, first: str) -> list[str]:
    """Return the first cells of the table whose head begins with this word."""
    text = page.read_text(encoding="utf-8")
    table = text[text.index(f"| {first} |") :].partition("\n\n")[0]
    return [line.split(" | ")[0].removeprefix("| ") for line in table.splitlines()[2:]]


def test_the_readme_lists_every_command() -> None:
    assert {cell.split()[1].strip("`") for cell in rows(README, "Command")} == set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_readme_names_every_choice_and_help_has_an_example(command: str, tmp_path: Path) -> None:
    code, text = run(f"kling {command} --help", tmp_path)
    assert code == 0
    assert re.search(rf"Example:\s+kling {command}\b", text)
    readme = README.read_text(encoding="utf-8")
    row = next(line for line in readme.splitlines() if line.startswith(f"| `kling {command} "))
    section = row + readme[readme.index("`check`, `test`, `compile` and `plan` also take") :]
    options = set(re.findall(r"^  (?:-\w, )?(--[a-z-]+)", text, re.MULTILINE)) - {"--help"}
    if command in ("models", "explain"):
        options.discard("--format")
    assert {option for option in options if option not in section} == set()


def test_general_help_has_an_example(tmp_path: Path) -> None:
    code, text = run("kling --help", tmp_path)
    assert code == 0
    assert "Example:" in text
    assert {name for name in COMMANDS if not re.search(rf"^  {name} ", text, re.MULTILINE)} == set()


FILM = "Title: Pier\nModel: o3-4k\nBudget: $5\n\nEXT. PIER - DUSK\n\nSHOT wait 4s wide\nA lantern swings.\n"
ENDINGS = {
    "0": ("kling check film.kling", FILM),
    "1": ("kling check film.kling", FILM.replace("A lantern", "@Lantern")),
    "2": ("kling chekc film.kling", FILM),
    "3": ("kling plan film.kling", FILM.replace("$5", "$1")),
    "4": ("kling render --yes film.kling", FILM),
    "5": ("kling plan --exit-code film.kling", FILM),
}
"""A command and a film for each exit code."""


@pytest.mark.parametrize("code", ENDINGS)
def test_each_exit_code_of_the_readme_can_be_had(code: str, tmp_path: Path) -> None:
    command, film = ENDINGS[code]
    (tmp_path / "film.kling").write_text(film, encoding="utf-8")
    ended, printed = run(command, tmp_path)
    assert ended == int(code), printed


def test_the_readme_lists_every_exit_code() -> None:
    assert rows(README, "Exit code") == list(ENDINGS)


def test_the_readme_lists_every_variable() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "kling_dsl").rglob("*.py"))
    code = code.replace("SANDBOX_VARIABLE", '"KLING_SANDBOX"')
    read = set(re.findall(r"\b(?:environ(?:\.get\(|\[)|in os\.environ.*?|getenv\()\"([A-Z_]+)\"", code))
    listed = {cell.strip("`") for cell in rows(README, "Variable")}
    assert {name for name in read if name.startswith("KLING_")} == {
        name for name in listed if name.startswith("KLING_")
    }


def links(page: Path) -> Iterator[str]:
    yield from re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", page.read_text(encoding="utf-8")))


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=[path.relative_to(ROOT).as_posix() for path in PAGES])
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_relative_to(ROOT), link
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=[path.relative_to(ROOT).as_posix() for path in PAGES])
def test_what_the_pages_make_can_be_made(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert {"demo", "test", "bench"} <= targets
    text = page.read_text(encoding="utf-8")
    assert set(re.findall(r"`make ([a-z]+)", text)) | set(re.findall(r"^make ([a-z]+)", text, re.MULTILINE)) <= targets


def test_make_help_lists_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    declared = set(re.findall(r"^\.PHONY: ([a-z]+)$", makefile, re.MULTILINE))
    assert set(re.findall(r"^([a-z]+):.* ## ", makefile, re.MULTILINE)) == declared


def test_the_architecture_page_shows_every_room_on_its_floor() -> None:
    page = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    floors = [re.split(r"\s{2,}", line)[0] for line in page.partition("```text\n")[2].partition("```")[0].splitlines()]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    [contract] = project["tool"]["importlinter"]["contracts"]
    assert floors == [floor for floor in contract["layers"] if floor != "__main__"]
    described = set(re.findall(r"^\| `([a-z_]+)/?` \|", page, re.MULTILINE))
    assert described == {room for floor in floors for room in floor.split(" | ")}


def test_the_changelog_has_the_version_and_what_comes_next() -> None:
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert headings[1].split()[0] == __version__
