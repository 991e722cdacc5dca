"""Laws of memory: what was remembered of an earlier compile or check never changes an answer."""

from __future__ import annotations

import itertools
import random

import pytest
from commands import Project, picture
from film_strategies import CAST_FILE, Film, Layout, films
from helpers import FILM, PROFILES, MemoryWorld, seen
from hypothesis import given, note
from hypothesis import strategies as st
from laws import seeded_examples
from test_cache import answer, fresh
from text_changes import changed

from kling_dsl.compiler import Options, Session
from kling_dsl.world import Unreadable

EDITS = 4
"""Edits of one film, each of them followed by a look."""
FLIPS = (
    *(("Audio: on", "Audio: off"), ("Audio: off", "Audio: on"), ("Headings: on", "Headings: off")),
    *(("Headings: off", "Headings: on"), ("Look: ", "Look: soft "), ("Aspect: ", "Aspect: 1:1 ")),
    *(("takes: 1", "takes: 2"), ("INT.", "EXT."), ("EXT.", "INT."), ("rain", "snow"), ("front: ", "image: ")),
)
"""Edits that move no line, so that all around them is as it was."""
OPTIONS = (Options(), Options(), Options(model="o3-pro"), Options(lints={"unused-reference": "error"}))
PLACES = (FILM, *(CAST_FILE,) * 4, "refs/ink.png", "refs/zoe.png", "refs/mira/l.png", "kling.toml", "models/x.toml")


@seeded_examples(20)
@given(films(), st.integers(0, 2**32))
def test_a_session_answers_like_a_fresh_one_after_any_edits(film: Film, seed: int) -> None:
    chance = random.Random(seed)
    session = Session(PROFILES)
    world = MemoryWorld(Layout(chance.choice((0, seed))).write(film))
    for _ in range(EDITS):
        options = chance.choice(OPTIONS)
        warm = seen(session.compile(FILM, world, options))
        assert warm == seen(Session(PROFILES).compile(FILM, world, options))
        world = MemoryWorld(_edit(film, world.texts, chance), _lost(chance))
        note(world.texts.get(FILM, ""))


def _edit(film: Film, texts: dict[str, str], chance: random.Random) -> dict[str, str]:
    """Return the texts after an edit: another layout, a word for another, a damaged file, a file that is gone, or the same again."""
    kind = chance.randrange(7)
    if kind > 4:
        old, new = chance.choice([pair for pair in FLIPS if pair[0] in texts[FILM]] or [("", "")])
        return {**texts, FILM: texts[FILM].replace(old, new, 1)}
    if kind == 0:
        return Layout(chance.randrange(2**32)).write(film)
    if kind == 1 and CAST_FILE in texts:
        return {**texts, CAST_FILE: changed(texts[CAST_FILE], chance.randrange(2**32))}
    if kind == 2:
        return {path: text for path, text in texts.items() if path == FILM or chance.random() < 0.5}
    return texts if kind == 3 else {**texts, FILM: changed(texts[FILM], chance.randrange(2**32))}


def _lost(chance: random.Random) -> dict[str, Unreadable]:
    """Return what became of media files: now and then one is gone."""
    return {"refs/ink.png": Unreadable("missing", "gone")} if chance.random() < 0.3 else {}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("memory") / "project")


@seeded_examples(3)
@given(film=films(), seed=st.integers(0, 2**32))
def test_a_remembered_check_answers_like_one_that_remembers_nothing(
    project: Project, tmp_path_factory: pytest.TempPathFactory, film: Film, seed: int
) -> None:
    chance = random.Random(seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KLING_CACHE_DIR", str(tmp_path_factory.mktemp("cache") / "cache"))
        for path, text in _write_with_import(film, seed).items():
            project.write(path, text.encode("utf-8"))
        for _ in range(EDITS):
            first = answer(project, film=FILM)
            assert answer(project, film=FILM) == first == fresh(project, film=FILM)
            _change_project(project, film, chance)


def _write_with_import(film: Film, seed: int) -> dict[str, str]:
    """Return the texts of a film in a layout that imports some of its cast."""
    layouts = (Layout(each).write(film) for each in itertools.count(seed + 1))
    return next(texts for texts in layouts if CAST_FILE in texts)


def _change_project(project: Project, film: Film, chance: random.Random) -> None:
    """Write, damage or delete one file of a project."""
    path = chance.choice(PLACES)
    place = project.root / path
    if path == FILM:
        project.write(path, _write_with_import(film, chance.randrange(2**32))[FILM].encode("utf-8"))
        if chance.random() < 0.5:
            project.write(
                path, changed(place.read_text(encoding="utf-8"), chance.randrange(99)).encode("utf-8", "replace")
            )
    elif place.exists() and chance.random() < 0.4:
        place.unlink()
    elif path.endswith(".png"):
        project.write(path, picture(chance.choice((100, 640, 641))))
    elif path.endswith(".toml"):
        project.write(path, chance.choice(("", '[lints]\nunused-reference = "off"\n', "nonsense")))
    else:
        project.write(path, chance.choice(("STYLE Ink\n  image: ../refs/ink.png\n", "PROP Boat\nA boat.\n", "@x\n")))
