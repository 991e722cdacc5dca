"""Whatever bytes a stranger hands over: no exception, no hang, nothing read outside, nothing shown that is obeyed.

Each door is tried with the same mutations every time. Look harder with KLING_FUZZ_EXAMPLES, KLING_FUZZ_SECONDS and
KLING_FUZZ_SEED, or without end with `make fuzz`. What was ever found stands in `fuzz/found` and is tried for ever.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from fuzz import corpus
from fuzz.campaign import TooSlow, attempt, replay_command, run_campaign, shrink
from fuzz.judging import Broken, judge, judge_shown
from fuzz.mutations import LARGEST, mutate
from fuzz.targets import TARGETS, Target, files_of

from kling_dsl.diagnostics import Diagnostic, Note, error
from kling_dsl.source import Span

EXAMPLES = int(os.environ.get("KLING_FUZZ_EXAMPLES", "40"))
SECONDS = float(os.environ.get("KLING_FUZZ_SECONDS", "5"))
SEED = int(os.environ.get("KLING_FUZZ_SEED", "1"))

FOUND = corpus.found_cases()
SEEDS = corpus.seed_files()


@pytest.mark.parametrize("name", TARGETS)
def test_mutations_break_nothing(tmp_path: Path, name: str) -> None:
    told: list[str] = []
    ended = run_campaign(TARGETS[name], seed=SEED, seconds=SECONDS, most=EXAMPLES, folder=tmp_path, tell=told.append)
    assert ended.find is None, f"KLING_FUZZ_SEED={SEED}: " + "\n".join([*told, repr(ended.find and ended.find.data)])
    assert ended.tried


@pytest.mark.parametrize("name", FOUND)
def test_what_was_found_is_mended(name: str) -> None:
    failure, _ = attempt(TARGETS[name.partition("/")[0]], corpus.content_of(FOUND[name]))
    assert failure is None, failure


@pytest.mark.parametrize("name", SEEDS)
def test_what_campaigns_begin_with_breaks_nothing(name: str) -> None:
    failure, _ = attempt(TARGETS[name.partition("/")[0]], corpus.content_of(SEEDS[name]))
    assert failure is None, failure


def test_every_case_belongs_to_a_target_and_is_small() -> None:
    for name, path in (FOUND | SEEDS).items():
        assert name.partition("/")[0] in TARGETS
        assert len(corpus.content_of(path)) <= LARGEST, name
    assert all(corpus.seeds_of(name) != (b"",) for name in TARGETS)


def test_the_same_seed_tries_the_same_inputs() -> None:
    def tried(seed: int) -> list[bytes]:
        dice = random.Random(seed)
        return [mutate(b"SHOT a 5s\nSea.\n", dice, words=(b"@",), others=(b"CLIP b\n",)) for _ in range(200)]

    assert tried(1) == tried(1) != tried(2)
    assert max(map(len, tried(3))) <= LARGEST


def _fails_at(word: bytes, problem: Callable[[], BaseException]) -> Callable[[bytes], object]:
    def run(data: bytes) -> object:
        if word in data:
            raise problem()
        return len(data) % 7

    return run


def _turns_for_ever(data: bytes) -> object:
    while b"@@" in data:
        pass
    return None


PLANTED: dict[str, tuple[Callable[[bytes], object], bytes, str]] = {
    "an exception": (_fails_at(b"@@", lambda: KeyError("x")), b"@@", "KeyError"),
    "a broken promise": (_fails_at(b"{{", lambda: Broken("x")), b"{{", "Broken"),
    "no memory": (_fails_at(b"\0", MemoryError), b"\0", "MemoryError"),
    "a hang": (_turns_for_ever, b"@@", TooSlow.__name__),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_mistake_is_found_made_small_and_written(tmp_path: Path, name: str) -> None:
    run, smallest, kind = PLANTED[name]
    target = Target("pointer", run, (b"{{ x }}", b"a@@b", b"\0"), seconds=0.02)
    told: list[str] = []
    find = run_campaign(target, seed=1, seconds=60, most=5000, folder=tmp_path, tell=told.append).find
    assert find is not None
    assert find.failure.where.startswith(kind)
    assert (find.data, corpus.content_of(find.path)) == (smallest, smallest)
    assert replay_command(find.path, "pointer") in "\n".join(told)


def test_an_input_is_not_made_into_another_mistake() -> None:
    def run(data: bytes) -> object:
        if len(data) < 4:
            raise ValueError
        if b"x" in data:
            raise KeyError
        return None

    target = Target("pointer", run, ())
    failure, _ = attempt(target, b"aaaaaaxaaaaaa")
    assert failure is not None
    small = shrink(target, b"aaaaaaxaaaaaa", failure)
    assert (len(small), b"x" in small) == (4, True)


TEXTS = {"film.kling": "SHOT a 5s\nSea.\n"}
PLACE = Span("film.kling", 1, 1, 1, 5)
BAD: dict[str, Diagnostic] = {
    "a slug without a page": error("no-such-slug", "x", PLACE),
    "a line behind the last": error("bad-shot", "x", Span("film.kling", 5, 1, 5, 2)),
    "a column behind the end": error("bad-shot", "x", Span("film.kling", 1, 11, 1, 12)),
    "an end behind the end": error("bad-shot", "x", Span("film.kling", 1, 1, 1, 12)),
    "an end before the beginning": error("bad-shot", "x", Span("film.kling", 1, 5, 1, 4)),
    "a note in no line": error("bad-shot", "x", PLACE, notes=(Note("y", Span("film.kling", 0, 1, 0, 1)),)),
    "words without end": error("bad-shot", "x" * 3000, PLACE),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_diagnostic_is_noticed(name: str) -> None:
    with pytest.raises(Broken):
        judge([BAD[name]], TEXTS)


def test_a_good_diagnostic_is_let_through() -> None:
    slug = next(iter(judge([error("no-shots", "x\x1b[31m", PLACE)], TEXTS)))
    assert slug == "no-shots"


@pytest.mark.parametrize("text", ["a\x1b[31m", "\u202eb", "a\rb", "\x9b", "\ud800"])
def test_what_a_terminal_obeys_is_noticed(text: str) -> None:
    with pytest.raises(Broken):
        judge_shown(text, "a test")


def test_an_input_is_a_whole_project() -> None:
    files = {"film.kling": "SHOT a 5s\n", "cast.kling": "PROP Lamp\n", "rows.csv": "a\n1\n"}
    written = corpus.project_input(files, "film.kling")
    assert {name: text.strip() for name, text in files_of(written).items()} == {
        name: text.strip() for name, text in files.items()
    }


@pytest.mark.parametrize("data", [b"plain text\n", b"\0\xff", "é".encode(), b"a\rb", b"", "\u202e".encode()])
def test_a_case_is_read_as_it_was_written(tmp_path: Path, data: bytes) -> None:
    path = corpus.write_case(tmp_path, "case", data)
    assert corpus.content_of(path) == data
    assert path.read_text(encoding="utf-8").replace("\n", "").isprintable()


def _fuzz(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (sys.executable, "-m", "fuzz", "--out", str(folder), *words),
        cwd=Path(__file__).parent,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )


def test_the_command_ends_in_time_and_says_its_seed(tmp_path: Path) -> None:
    ran = _fuzz(tmp_path, "--target", "pointer", "--seconds", "0.2", "--seed", "7")
    assert ran.returncode == 0, ran.stderr
    assert "seed 7" in ran.stderr
    assert "nothing found" in ran.stderr


def test_the_command_runs_a_case_again(tmp_path: Path) -> None:
    path = corpus.write_case(tmp_path, "case", b"version 1\n")
    ran = _fuzz(tmp_path, "--target", "pointer", "--replay", str(path))
    assert (ran.returncode, ran.stdout.partition(":")[0]) == (0, "nothing is broken")
    assert _fuzz(tmp_path, "--replay", str(path)).returncode == 2
