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
from sandbox_stage import ENDPOINT, PLAIN, serving

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
        pytest.skip(f"needs {missing[1]}, which benchmarks/bench.py installs")
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


def test_ledger_steps_are_timed(tmp_path: Path) -> None:
    done = call(sys.executable, str(BENCHMARKS / "transitions.py"), str(tmp_path), "--takes", "3")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert 0 < found["median"] <= found["most"]


def test_bare_loop_brings_every_clip_home(tmp_path: Path) -> None:
    requests = [{"id": f"s{number}", "endpoint": ENDPOINT, "arguments": dict(PLAIN)} for number in range(3)]
    place = tmp_path / "requests.json"
    place.write_text(json.dumps({"requests": requests}), encoding="utf-8")
    with serving(tmp_path / "sandbox") as stage:
        loop = str(PEERS / "aiohttp_render.py")
        words = (sys.executable, loop, str(place), str(tmp_path / "out"), "3")
        done = call(*words, variables=stage.sandbox.environment())
        assert (done.returncode, done.stderr) == (0, "")
        bill = stage.sandbox.bill()
    assert [(submission.arguments, submission.billed) for submission in bill.submissions] == [(PLAIN, True)] * 3
    assert bill.downloads == 3
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"s0.mp4", "s1.mp4", "s2.mp4"}


def test_a_large_file_is_fetched_whole(tmp_path: Path) -> None:
    program = str(BENCHMARKS / "downloading.py")
    words = (sys.executable, program, "serve", str(tmp_path))
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            variables = dict(server.stdout.readline().strip().split("=", 1) for _ in range(3))
            part = tmp_path / "clip.part"
            done = call(sys.executable, program, "fetch", variables["ADDRESS"], "3", str(part), variables=variables)
        finally:
            server.terminate()
    assert (done.returncode, done.stderr) == (0, "")
    assert part.stat().st_size == 3_000_000


def test_rendering_is_among_the_measurements() -> None:
    done = call(sys.executable, str(BENCHMARKS / "bench.py"), "--help")
    assert done.returncode == 0
    assert "imports, render" in " ".join(done.stdout.split())
