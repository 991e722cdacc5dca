"""Measures how fast films compile, are checked and rendered, against what a user would pick instead, and judges the goals."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import environment
import msgspec
from difference import measure_difference
from measurements import MEASUREMENTS, Outcome
from processes import BenchmarkError
from proof import measure_proof, measure_suite
from rendering import measure_render
from stage import Stage

EXAMPLE = "example: python benchmarks/bench.py compile check --rounds 3"
ALL = {
    **MEASUREMENTS,
    "render": measure_render,
    "difference": measure_difference,
    "proof": measure_proof,
    "suite": measure_suite,
}
VERDICTS = {True: "met", False: "MISSED", None: ""}


def main() -> int:
    """Measure what the command line names; return 1 when a goal is missed or a comparison is void."""
    arguments = _arguments()
    outcomes: list[Outcome] = []
    try:
        python = environment.peers_python()
        print(environment.machine())
        with tempfile.TemporaryDirectory(prefix="kling-benchmarks-") as folder:
            stage = Stage(Path(folder), python)
            for name in arguments.names or ALL:
                for outcome in ALL[name](
                    stage, shots=arguments.shots, rounds=arguments.rounds, largest=arguments.largest
                ):
                    outcomes.append(outcome)
                    print(_line(outcome), flush=True)
    except BenchmarkError as problem:
        print(f"void: {problem}", file=sys.stderr)
        return 1
    if arguments.json:
        arguments.json.write_bytes(msgspec.json.encode({"machine": environment.machine(), "rows": outcomes}))
    if arguments.markdown:
        arguments.markdown.write_text(_markdown(outcomes), encoding="utf-8")
    missed = [outcome.what for outcome in outcomes if outcome.met is False]
    if missed:
        print(f"missed: {'; '.join(missed)}", file=sys.stderr)
    return 1 if missed else 0


def _line(outcome: Outcome) -> str:
    return f"{outcome.what:<50} {outcome.goal:<18} {VERDICTS[outcome.met]:<7} {outcome.measured}"


def _markdown(outcomes: list[Outcome]) -> str:
    command = f"python benchmarks/{' '.join((Path(sys.argv[0]).name, *sys.argv[1:]))}"
    rows = (
        f"| {outcome.what} | {outcome.goal} | {VERDICTS[outcome.met]} | {outcome.measured} |" for outcome in outcomes
    )
    head = "| What | Goal | | Measured |\n| --- | --- | --- | --- |"
    return "\n".join((f"`{command}` on {environment.machine()}:", "", head, *rows, ""))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, epilog=EXAMPLE)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"what to measure, everything if none: {', '.join(ALL)}"
    )
    parser.add_argument("--shots", type=int, default=10_000, help="shots of the film that is compiled (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="pairs of runs for each comparison (%(default)s)")
    parser.add_argument("--full", action="store_true", help="scale up to ten times the shots as well")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the outcomes there too")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table there for a page")
    arguments = parser.parse_args()
    for name in arguments.names:
        if name not in ALL:
            parser.error(f"there is no measurement {name!r}: choose from {', '.join(ALL)}")
    if arguments.shots < 10 or arguments.rounds < 1:
        parser.error("measure at least 10 shots and one round")
    arguments.largest = arguments.shots * (10 if arguments.full else 1)
    return arguments


if __name__ == "__main__":
    sys.exit(main())
