"""Changes the passes, the checks and the ledger in thousands of small ways, and counts what the tests notice.

    make mutation ROOM=checks                                      one room, as in tests/mutation.md
    make mutation SAMPLE=90                                        a sample of every room
    .venv/bin/python tests/mutation.py --page                      the page from the figures of all rooms
    .venv/bin/python tests/mutation.py --show NAME                 what a mutant changes

mutmut works in a copy of the checkout under `out/mutation`, one for each room, and stays there to look at. Each room is
judged by tests that run in one process and ask no clock, so that what they say does not depend on the machine. A sample is
random, and the same for the same seed. The exit code is 1 when a room is below the floor.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import random
import resource
import shutil
import subprocess
import sys
import time
from collections import Counter
from importlib.metadata import version
from pathlib import Path

import msgspec
from figures import put_figures

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "out" / "mutation"
FIGURES = ROOT / "tests" / "mutation.json"
PAGE = ROOT / "tests" / "mutation.md"

FLOOR = 0.85
"""The share of mutants that the tests must notice, in each room and in all."""

SEED = 1
MEMORY_BYTES = 6 * 2**30
"""What a run may take: a mutant that never ends fails then."""


class Room(msgspec.Struct, frozen=True):
    """What is changed together, and the test files that judge it."""

    files: tuple[str, ...]
    tests: tuple[str, ...]


ROOMS: dict[str, Room] = {
    "costs": Room(("kling_dsl/costs.py",), ("test_costs", "test_pricer", "test_language")),
    "emitter": Room(("kling_dsl/emitter.py",), ("test_emitter", "test_language", "test_language_fingerprints")),
    "ledger": Room(
        ("kling_dsl/ledger/*.py",),
        ("test_ledger", "test_ledger_words", "test_ledger_files", "test_ledger_processes"),
    ),
    "checks": Room(
        ("kling_dsl/checks/*.py",),
        (
            "test_language",
            "test_expectations",
            "test_language_limits",
            "test_media_checks",
            "test_rule_kinds",
            "test_check_words",
            "test_diagnostic_pages",
        ),
    ),
    "lowering": Room(
        ("kling_dsl/lowering/*.py",),
        ("test_language", "test_rule_kinds", "test_language_fingerprints", "test_diagnostic_pages"),
    ),
    "parser": Room(
        ("kling_dsl/parser.py", "kling_dsl/blocks.py", "kling_dsl/slips.py", "kling_dsl/statements.py"),
        (
            "test_language",
            "test_expectations",
            "test_language_limits",
            "test_language_properties",
            "test_language_fingerprints",
            "test_diagnostic_pages",
        ),
    ),
    "templates": Room(
        ("kling_dsl/templates/*.py",),
        (
            "test_templates",
            "test_template_words",
            "test_template_tables",
            "test_template_limits",
            "test_template_data",
            "test_language",
            "test_diagnostic_pages",
        ),
    ),
}

LEFT_OUT = (
    "tests/test_language_limits.py::test_ten_thousand_errors_are_capped_and_counted",
    "tests/test_language_limits.py::test_warnings_beyond_the_cap_are_a_note",
    "tests/test_language_limits.py::test_fifty_million_characters_in_one_line_end_soon",
    "tests/test_templates.py::TestLimits::test_what_would_never_end_is_refused",
    "tests/test_templates.py::TestLimits::test_what_would_take_too_long_to_compile_is_refused",
    "tests/test_ledger_files.py::test_a_ledger_that_is_held_too_long_says_so",
    "tests/test_diagnostic_pages.py::test_every_slug_of_the_code_has_a_page_and_every_page_a_slug",
    "tests/test_diagnostic_pages.py::test_the_reader_of_the_code_finds_slugs_of_every_shape",
)
"""Tests that ask a clock, of which the machine may decide, or that read the code, which mutmut writes a hundred times over."""

_STATUS = {0: "survived", 1: "killed", 3: "killed", 5: "untested", 33: "untested", None: "unasked", 36: "timeout"}
_ENDED = frozenset((-24, 24, 152, 255, -9, -11))
"""Exit codes of mutants that were ended: they took too long, or all the memory."""


class Figures(msgspec.Struct, frozen=True):
    """What came of a room; a sample has fewer asked than there are mutants."""

    room: str
    mutants: int
    asked: int
    killed: int
    ended: int
    survivors: tuple[str, ...]
    untested: tuple[str, ...]
    minutes: float
    date: str
    mutmut: str
    seed: int

    @property
    def share(self) -> float:
        """The share that was noticed; what no test reaches was not."""
        return (self.killed + self.ended) / self.asked


def run_room(name: str, *, processes: int, sample: int | None, seed: int) -> Figures:
    """Ask the tests about the mutants of a room."""
    room = ROOMS[name]
    folder = OUT / name
    _prepare(folder, room)
    names = _mutants(folder, room)
    asked = sorted(random.Random(seed).sample(names, sample)) if sample and sample < len(names) else names
    print(f"{name}: {len(asked)} of {len(names)} mutants", file=sys.stderr, flush=True)
    began = time.monotonic()
    environment = {**os.environ, "PYTHONPATH": str(folder / "mutants"), "CI": "true"}
    done = subprocess.run(
        (Path(sys.executable).parent / "mutmut", "run", "--max-children", str(processes), *asked),
        cwd=folder,
        env=environment,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES)),
    )
    if done.returncode:
        raise SystemExit(f"{name}: mutmut gave up ({done.returncode}); what it said stands above")
    codes = {mutant: code for mutant, code in _codes(folder).items() if mutant in set(asked)}
    status = {mutant: "ended" if code in _ENDED else _STATUS.get(code, "ended") for mutant, code in codes.items()}
    counts = Counter(status.values())
    if len(codes) < len(asked) or counts["unasked"]:
        raise SystemExit(f"{name}: {len(asked) - len(codes) + counts['unasked']} mutants were not asked")
    return Figures(
        room=name,
        mutants=len(names),
        asked=len(asked),
        killed=counts["killed"],
        ended=counts["ended"] + counts["timeout"],
        survivors=tuple(sorted(mutant for mutant, what in status.items() if what == "survived")),
        untested=tuple(sorted(mutant for mutant, what in status.items() if what == "untested")),
        minutes=round((time.monotonic() - began) / 60, 1),
        date=f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}",
        mutmut=version("mutmut"),
        seed=seed,
    )


def _prepare(folder: Path, room: Room) -> None:
    """Copy what the tests need, with a configuration for this room."""
    shutil.rmtree(folder, ignore_errors=True)
    # Made now, because Python looks for a folder on its path only once.
    (folder / "mutants").mkdir(parents=True)
    for name in ("kling_dsl", "grammar", "specs", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    tests = [f"tests/{test}.py" for test in room.tests if (ROOT / "tests" / f"{test}.py").exists()]
    options = ["-n", "0", "-p", "no:cacheprovider", "--timeout", "20", "--tb=no"]
    options += [option for test in LEFT_OUT for option in ("--deselect", test)]
    lines = (
        f"only_mutate = {json.dumps(room.files)}",
        f"pytest_add_cli_args_test_selection = {json.dumps(tests)}",
        f"pytest_add_cli_args = {json.dumps(options)}",
    )
    (folder / "pyproject.toml").write_text(
        text.replace("[tool.mutmut]\n", "[tool.mutmut]\n" + "\n".join(lines) + "\n", 1), encoding="utf-8"
    )


def _mutants(folder: Path, room: Room) -> list[str]:
    """Return the names of all mutants of a room, as mutmut gives them."""
    program = (
        "import sys; from pathlib import Path\n"
        "from mutmut.mutation.file_mutation import mutate_file_contents\n"
        "from mutmut.utils.format_utils import get_mutant_name\n"
        "for path in sorted({path for pattern in sys.argv[1:] for path in Path().glob(pattern)}):\n"
        "    for name in mutate_file_contents(str(path), path.read_text(encoding='utf-8')).mutant_names:\n"
        "        print(get_mutant_name(path, name))\n"
    )
    words = (sys.executable, "-c", program, *room.files)
    return subprocess.run(words, cwd=folder, capture_output=True, check=True, encoding="utf-8").stdout.split()


def _codes(folder: Path) -> dict[str, int | None]:
    found: dict[str, int | None] = {}
    for path in (folder / "mutants" / "kling_dsl").rglob("*.meta"):
        found |= json.loads(path.read_bytes())["exit_code_by_key"]
    return found


def read_figures() -> dict[str, Figures]:
    """Return the figures of every room that was asked, as they are kept."""
    if not FIGURES.exists():
        return {}
    return {figures.room: figures for figures in msgspec.json.decode(FIGURES.read_bytes(), type=tuple[Figures, ...])}


def keep_figures(figures: Figures) -> None:
    """Keep the figures of a room, beside those of the others."""
    kept = {**read_figures(), figures.room: figures}
    ordered = [kept[room] for room in ROOMS if room in kept]
    FIGURES.write_bytes(msgspec.json.format(msgspec.json.encode(ordered), indent=1) + b"\n")


def table(figures: dict[str, Figures]) -> str:
    """Return the table of all rooms, with the sum below."""
    lines = [
        "| Room | Mutants | Asked | Killed | Ended | Survived | No test | Share | Minutes | Seed | Date |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    for one in figures.values():
        seed = one.seed if one.asked < one.mutants else "all"
        lines.append(
            f"| {one.room} | {one.mutants:,} | {one.asked:,} | {one.killed:,} | {one.ended} | {len(one.survivors)}"
            f" | {len(one.untested)} | {one.share:.1%} | {one.minutes} | {seed} | {one.date} |"
        )
    mutants, asked = (sum(getattr(one, name) for one in figures.values()) for name in ("mutants", "asked"))
    # Each room counts by its size, however large its sample is.
    share = sum(one.share * one.mutants for one in figures.values()) / mutants
    lines.append(f"| all, by size | {mutants:,} | {asked:,} | | | | | {share:.1%} | | | |")
    return "\n".join(lines) + "\n"


def write_page(figures: dict[str, Figures]) -> None:
    """Put the table into the page."""
    used = f"mutmut {version('mutmut')}, Python {platform.python_version()}."
    put_figures(PAGE, f"{used}\n\n{table(figures)}")


def show(name: str) -> int:
    """Print what a mutant changes, from the room in which it was asked."""
    room = next(room for room, one in ROOMS.items() if _is_of(name, one))
    return subprocess.run(
        (Path(sys.executable).parent / "mutmut", "show", name), cwd=OUT / room, check=False
    ).returncode


def _is_of(name: str, room: Room) -> bool:
    return any(
        name.startswith(file.removesuffix("/*.py").removesuffix(".py").replace("/", ".") + ".") for file in room.files
    )


def main() -> int:
    """Run the script."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--room", action="append", choices=[*ROOMS], help="only this room; may be repeated")
    parser.add_argument("--sample", type=int, metavar="N", help="ask about N mutants of each room, instead of all")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "--page", action="store_true", help="ask nothing: write the page from the figures that are kept"
    )
    parser.add_argument("--show", metavar="NAME", help="print what a mutant changes")
    wanted = parser.parse_args()
    if wanted.show:
        return show(wanted.show)
    if not wanted.page:
        for name in wanted.room or ROOMS:
            keep_figures(run_room(name, processes=wanted.processes, sample=wanted.sample, seed=wanted.seed))
    figures = read_figures()
    print(table(figures), end="")
    write_page(figures)
    judged = [figures[name] for name in wanted.room or ROOMS if name in figures]
    return int(any(one.share < FLOOR for one in judged))


if __name__ == "__main__":
    sys.exit(main())
