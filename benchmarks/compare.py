"""Checks that two programs compiled the same requests out of the same film, or says where they part."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any


def differences(ours: dict[str, Any], theirs: dict[str, Any]) -> Iterator[str]:
    """Say how two compiled films differ: counts, totals, and every request's endpoint, arguments, seconds and cost."""
    for name, read in (("seconds", int), ("cost_usd", Decimal)):
        one, other = read(ours["total"][name]), read(theirs["total"][name])
        if one != other:
            yield f"total {name}: {one} against {other}"
    if len(ours["requests"]) != len(theirs["requests"]):
        yield f"requests: {len(ours['requests'])} against {len(theirs['requests'])}"
    for one, other in zip(ours["requests"], theirs["requests"], strict=False):
        for name in ("id", "scene", "endpoint", "seconds", "references", "arguments"):
            if one[name] != other[name]:
                yield f"{one['id']}: {name}: {_sorted(one[name])} against {_sorted(other[name])}"
        if Decimal(one["cost_usd"]) != Decimal(other["cost_usd"]):
            yield f"{one['id']}: cost_usd: {one['cost_usd']} against {other['cost_usd']}"


def differences_from_film(ours: dict[str, Any], totals: dict[str, Any]) -> Iterator[str]:
    """Say where a compiled film does not come to what its generator says it comes to."""
    cost = Decimal(ours["total"]["cost_usd"])
    measured = {
        "requests": len(ours["requests"]),
        "shots": sum(len(request["arguments"].get("multi_prompt", " ")) for request in ours["requests"]),
        "seconds": ours["total"]["seconds"],
        "cost_usd": f"{cost:.2f}",
    }
    for name, value in totals.items():
        if measured[name] != value:
            yield f"{name} of the film: {measured[name]} against {value}"


def _read(path: Path) -> dict[str, Any]:
    content = path.read_text(encoding="utf-8")
    try:
        found: dict[str, Any] = json.loads(content)
    except json.JSONDecodeError as problem:
        raise SystemExit(f"{path.name} ({len(content):,} characters) is no JSON: {problem}") from problem
    return found


def _sorted(value: object) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def main() -> int:
    """Compare the files of the command line; return 1 when they differ."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog="example: python benchmarks/compare.py a.json b.json --totals totals.json"
    )
    parser.add_argument("ours", type=Path)
    parser.add_argument("theirs", type=Path)
    parser.add_argument("--totals", type=Path, required=True, help="the film's totals.json")
    arguments = parser.parse_args()
    ours, theirs, totals = (_read(path) for path in (arguments.ours, arguments.theirs, arguments.totals))
    found = [*differences_from_film(ours, totals), *differences(ours, theirs)]
    for line in found[:5]:
        print(line, file=sys.stderr)
    if len(found) > 5:
        print(f"and {len(found) - 5} more", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
