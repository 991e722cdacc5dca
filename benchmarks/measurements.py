"""The measurements, each a function from a stage to the lines of the table."""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterator
from functools import partial

import msgspec
import stage as stages
from processes import Ratio, Run, alternate, peak, ratio, seconds
from stage import Peer, Stage

FEWEST_SHOTS = 3
RECHECKED_LINES = 10_000
RECHECK_EDITS = 25
SHORT_ROUNDS = 4
MOST_MEGABYTES = 200
MOST_GROWTH = 11
MOST_RECHECK_MILLISECONDS = 50
# A definition is part of every request that names it, so that no cache of blocks can help there.
RECHECKS_OF_EVERYTHING = ("picture of the cast",)
LARGEST_SHARE_OF = {stages.YAML: 1 / 4, stages.JSONNET: 1.0}
LARGEST_SHARE_OF_BLACK_COLD = 0.8
LARGEST_SHARE_OF_BLACK_WARM = 0.5


class Outcome(msgspec.Struct, frozen=True):
    """A line of the table; `met` is None where there is no goal."""

    what: str
    goal: str
    measured: str
    met: bool | None = None


def measure_compile(stage: Stage, *, shots: int, rounds: int, **_: int) -> Iterator[Outcome]:
    """Compile one film, cold, against every peer in turn; both must come to the same requests."""
    for peer in stages.PEERS_OF_COMPILE:
        stage.run(stage.peer(peer), FEWEST_SHOTS)
    _compile_cold(stage, FEWEST_SHOTS)
    all_ours: list[Run] = []
    lines: list[Outcome] = []
    for peer in stages.PEERS_OF_COMPILE:
        ours, theirs = alternate(
            rounds,
            partial(_compile_cold, stage, shots),
            partial(stage.run, stage.peer(peer), shots, output="theirs"),
        )
        stage.agree("ours", "theirs", shots=shots)
        all_ours += ours
        lines.append(_against(peer, ours, theirs))
    yield Outcome(f"kling compile, {shots:,} shots", "", f"{seconds(all_ours):.2f} s")
    yield from lines
    megabytes = peak(all_ours)
    yield Outcome(
        f"peak memory, {shots:,} shots", f"< {MOST_MEGABYTES} MB", f"{megabytes:.0f} MB", megabytes < MOST_MEGABYTES
    )


def measure_scaling(stage: Stage, *, shots: int, rounds: int, largest: int, **_: int) -> Iterator[Outcome]:
    """Compile films of ten times the shots each, cold, up to `largest`."""
    _compile_cold(stage, FEWEST_SHOTS)
    few = shots // 10
    while few * 10 <= largest:
        many = few * 10
        slow, fast = alternate(rounds, partial(_compile_cold, stage, many), partial(_compile_cold, stage, few))
        growth = ratio(slow, fast)
        yield Outcome(
            f"{few:,} → {many:,} shots",
            f"≤ {MOST_GROWTH}x the time",
            f"{words_of(growth)} ({seconds(fast):.2f} → {seconds(slow):.2f} s, {peak(slow):.0f} MB)",
            growth.median <= MOST_GROWTH,
        )
        few = many


def measure_recheck(stage: Stage, **_: int) -> Iterator[Outcome]:
    """Re-check a film in one process after each edit of one line."""
    found = stage.recheck(RECHECKED_LINES, RECHECK_EDITS)
    yield Outcome(f"first check of {found.lines:,} lines, in memory", "", f"{found.first:.0f} ms")
    for kind, times in found.kinds.items():
        measured = f"{times.median:.1f} ms [{times.least:.1f} to {times.most:.1f}]"
        what = f"check again after one edit: {kind}"
        if kind in RECHECKS_OF_EVERYTHING:
            yield Outcome(what, "", measured)
        else:
            met = times.median <= MOST_RECHECK_MILLISECONDS
            yield Outcome(what, f"≤ {MOST_RECHECK_MILLISECONDS} ms", measured, met)


def measure_check(stage: Stage, *, rounds: int, **_: int) -> Iterator[Outcome]:
    """Check a film of three shots against `black --check` of one line, without and with the caches of both."""
    line = stage.folder / "one.py"
    line.write_text("x = 1\n", encoding="utf-8")
    saved_grammar = stage.empty_cache()
    stage.run(stage.kling("check", "film.kling", cache=saved_grammar), FEWEST_SHOTS + 1)
    kept, black_kept = stage.empty_cache(), stage.empty_cache()
    stage.run(stage.kling("check", "film.kling", cache=kept), FEWEST_SHOTS)
    stage.run(stage.black(line, cache=black_kept), FEWEST_SHOTS)

    def check(cache: str) -> Run:
        if cache == "kept":
            folder = kept
        elif cache == "grammar":
            folder = stage.copied_cache(saved_grammar)
        else:
            folder = stage.empty_cache()
        return stage.run(stage.kling("check", "film.kling", cache=folder), FEWEST_SHOTS)

    def black(cache: str) -> Run:
        folder = black_kept if cache == "kept" else stage.empty_cache()
        return stage.run(stage.black(line, cache=folder), FEWEST_SHOTS)

    for what, cache, share in (
        ("kling check, the first ever, no cache at all", "none", None),
        ("kling check, cold, grammar saved", "grammar", LARGEST_SHARE_OF_BLACK_COLD),
        ("kling check, nothing changed", "kept", LARGEST_SHARE_OF_BLACK_WARM),
    ):
        ours, theirs = alternate(rounds * SHORT_ROUNDS, partial(check, cache), partial(black, cache))
        found = ratio(ours, theirs)
        measured = f"{words_of(found)} ({seconds(ours) * 1000:.0f} against {seconds(theirs) * 1000:.0f} ms)"
        # Tables of the grammar are made once for a user and a version; a goal for that one run would be no use to anybody.
        goal, met = ("", None) if share is None else (f"≤ {share}x black", found.median <= share)
        yield Outcome(what, goal, measured, met)


def measure_imports(stage: Stage, **_: int) -> Iterator[Outcome]:
    """Say what a cold check imports, by package, and how long that takes with the interpreter's own clock on."""
    command = stage.kling("check", "film.kling", cache=stage.empty_cache())
    python, *rest = command.words
    timed = msgspec.structs.replace(command, words=(python, "-X", "importtime", *rest))
    stage.run(timed, FEWEST_SHOTS, output="imports")
    report = (stage.folder / "imports.err").read_text(encoding="utf-8")
    spent: collections.Counter[str] = collections.Counter()
    modules = 0
    for text in report.splitlines():
        own, _cumulative, name = text.removeprefix("import time:").split("|") if text.count("|") == 2 else ("", "", "")
        if own.strip().isdigit():
            modules += 1
            spent[name.strip().partition(".")[0]] += int(own)
    largest = ", ".join(f"{name} {microseconds / 1000:.0f}" for name, microseconds in spent.most_common(8))
    yield Outcome("kling check imports", "", f"{modules} modules, {spent.total() / 1000:.0f} ms ({largest})")


MEASUREMENTS: dict[str, Callable[..., Iterator[Outcome]]] = {
    "compile": measure_compile,
    "scaling": measure_scaling,
    "recheck": measure_recheck,
    "check": measure_check,
    "imports": measure_imports,
}


def _compile_cold(stage: Stage, shots: int) -> Run:
    command = stage.kling("compile", "film.kling", "--format", "json", cache=stage.empty_cache())
    return stage.run(command, shots, output="ours")


def _against(peer: Peer, ours: tuple[Run, ...], theirs: tuple[Run, ...]) -> Outcome:
    found = ratio(ours, theirs)
    share = LARGEST_SHARE_OF.get(peer)
    measured = f"{words_of(found)} ({seconds(ours):.2f} against {seconds(theirs):.2f} s, {peak(theirs):.0f} MB)"
    goal, met = ("", None) if share is None else (f"≤ {share}x its time", found.median <= share)
    return Outcome(f"against {peer.title}", goal, measured, met)


def words_of(found: Ratio) -> str:
    """Return a ratio as the table shows it."""
    return f"{found.median:.2f}x [{found.least:.2f} to {found.most:.2f}]"
