"""The benchmarks compare like with like: the same film at every run, the same requests from every notation."""

from __future__ import annotations

import functools
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
BENCHMARKS = ROOT / "benchmarks"
PEERS = BENCHMARKS / "peers"
OWN_PYTHON = BENCHMARKS / ".venv" / "bin" / "python"
KLING = str(Path(sys.executable).with_name("kling"))
PEERS_PYTHON = str(OWN_PYTHON if OWN_PYTHON.exists() else sys.executable)
COMMANDS = {
    "yaml": (str(PEERS / "yaml_film.py"), "film.yaml.j2", "safe"),
    "yaml-c": (str(PEERS / "yaml_film.py"), "film.yaml.j2", "c"),
    "jsonnet": (str(PEERS / "jsonnet_film.py"), "film.jsonnet", "collected"),
    "pydantic": ("film.py",),
}
MISSING = re.compile(r"ModuleNotFoundError: No module named '(\w+)'")


def call(
    *words: str, folder: Path = ROOT, variables: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **(variables or {})}
    return subprocess.run(words, cwd=folder, env=environment, capture_output=True, encoding="utf-8", check=False)


def make_film(folder: Path, shots: int, *, hash_seed: int = 1) -> Path:
    words = (sys.executable, str(BENCHMARKS / "films.py"), str(folder), "--shots", str(shots))
    made = call(*words, variables={"PYTHONHASHSEED": str(hash_seed)})
    assert made.returncode == 0, made.stderr
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@functools.cache
def compile_with(peer: str, film: Path) -> str:
    done = call(PEERS_PYTHON, *COMMANDS[peer], folder=film, variables={"PYTHONPATH": str(PEERS)})
    if missing := MISSING.search(done.stderr):
        pytest.skip(f"{missing[1]} is not installed: benchmarks/bench.py installs it")
    assert done.returncode == 0, done.stderr
    return done.stdout


def compare(ours: str, theirs: str, *, film: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    paths = [folder / "ours.json", folder / "theirs.json"]
    for path, text in zip(paths, (ours, theirs), strict=True):
        path.write_text(text, encoding="utf-8")
    words = [str(BENCHMARKS / "compare.py"), *map(str, paths), "--totals", str(film / "totals.json")]
    return call(sys.executable, *words)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_film(tmp_path_factory.mktemp("benchmarks") / "film", 40)


@pytest.fixture(scope="module")
def ours(film: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    words = (KLING, "compile", "film.kling", "--format", "json")
    done = call(*words, folder=film, variables={"XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache"))})
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_same_film_at_every_run(film: Path, tmp_path: Path) -> None:
    assert contents(film) == contents(make_film(tmp_path / "again", 40, hash_seed=7))


def test_one_shot_in_four_stands_in_a_clip_of_four(tmp_path: Path) -> None:
    text = (make_film(tmp_path, 80) / "film.kling").read_text(encoding="utf-8")
    clips = [piece.partition("END CLIP")[0] for piece in text.split("\nCLIP ")[1:]]
    assert text.count("\nSHOT ") == 80
    assert [clip.count("\nSHOT ") for clip in clips] == [4] * 5
    assert text.count("\nINT. ") + text.count("\nEXT. ") == 4


def test_actions_measure_200_characters_and_name_two_references(film: Path) -> None:
    blocks = (film / "film.kling").read_text(encoding="utf-8").split("\nSHOT ")[1:]
    actions = [" ".join(block.split("\n\n")[0].splitlines()[1:]) for block in blocks]
    assert {(len(action), action.count("@")) for action in actions} == {(200, 2)}


def test_pictures_are_real_and_all_different(film: Path) -> None:
    paths = sorted((film / "refs").iterdir())
    colours: list[object] = []
    for path in paths:
        with Image.open(path) as picture:
            assert (picture.format, picture.size) == ("PNG", (320, 320))
            colours += picture.getcolors(maxcolors=1) or []
    assert len(set(colours)) == len(paths) > 60


@pytest.mark.parametrize("peer", ["jsonnet", "pydantic", "yaml-c"])
def test_peers_compile_the_same_requests(peer: str, film: Path, tmp_path: Path) -> None:
    found = compare(compile_with(peer, film), compile_with("yaml", film), film=film, folder=tmp_path)
    assert (found.returncode, found.stderr) == (0, "")


def test_kling_compiles_what_the_generator_promises(ours: str, film: Path, tmp_path: Path) -> None:
    found = compare(ours, ours, film=film, folder=tmp_path)
    assert (found.returncode, found.stderr) == (0, "")


@pytest.mark.parametrize("peer", sorted(COMMANDS))
def test_kling_compiles_what_the_peer_compiles(peer: str, ours: str, film: Path, tmp_path: Path) -> None:
    found = compare(ours, compile_with(peer, film), film=film, folder=tmp_path)
    assert (found.returncode, found.stderr) == (0, "")


def test_check_of_the_film_finds_nothing(film: Path, tmp_path: Path) -> None:
    words = (KLING, "check", "film.kling", "--format", "json")
    done = call(*words, folder=film, variables={"XDG_CACHE_HOME": str(tmp_path)})
    assert (done.returncode, json.loads(done.stdout)) == (0, [])


def test_another_prompt_voids_the_comparison(ours: str, film: Path, tmp_path: Path) -> None:
    theirs = json.loads(ours)
    next(request for request in theirs["requests"] if "prompt" in request["arguments"])["arguments"]["prompt"] += "!"
    found = compare(ours, json.dumps(theirs), film=film, folder=tmp_path)
    assert found.returncode == 1
    assert ": arguments: " in found.stderr


def test_missing_request_voids_the_comparison(ours: str, film: Path, tmp_path: Path) -> None:
    theirs = json.loads(ours)
    del theirs["requests"][-1]
    found = compare(ours, json.dumps(theirs), film=film, folder=tmp_path)
    assert (found.returncode, found.stderr) == (1, "requests: 34 against 33\n")


def test_empty_output_voids_the_comparison(ours: str, film: Path, tmp_path: Path) -> None:
    found = compare(ours, "", film=film, folder=tmp_path)
    assert found.returncode == 1
    assert found.stderr.startswith("theirs.json (0 characters) is no JSON")


def test_recheck_measures_every_kind_of_edit() -> None:
    done = call(sys.executable, str(BENCHMARKS / "recheck.py"), "--lines", "200", "--edits", "2")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["lines"] >= 200
    assert len(found["kinds"]) == 5
    assert all(0 < times["least"] <= times["median"] <= times["most"] for times in found["kinds"].values())


def test_help_shows_an_example() -> None:
    done = call(sys.executable, str(BENCHMARKS / "bench.py"), "--help")
    assert done.returncode == 0
    assert "example: python benchmarks/bench.py" in " ".join(done.stdout.split())


def test_unknown_measurement_is_wrong_usage() -> None:
    done = call(sys.executable, str(BENCHMARKS / "bench.py"), "compil")
    assert done.returncode == 2
    assert "'compil'" in done.stderr
