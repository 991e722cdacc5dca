"""Takes many takes through a ledger on the disk, and prints the milliseconds of a step as JSON."""

from __future__ import annotations

import argparse
import hashlib
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import msgspec

from kling_dsl.ledger import Key, Ledger, Limit, Order, open_ledger

URL = "https://queue.example/requests/{}"


def main() -> None:
    """Print the median and the slowest of all steps of as many takes as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, epilog="example: python benchmarks/transitions.py out")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--takes", type=int, default=400, help="takes, of four steps each (%(default)s)")
    arguments = parser.parse_args()
    with open_ledger(arguments.folder / "ledger.db", run="benchmark") as ledger:
        times = [step for number in range(arguments.takes) for step in _time_take(ledger, number)]
    print(msgspec.json.encode({"median": statistics.median(times), "most": max(times)}).decode())


def _time_take(ledger: Ledger, number: int) -> list[float]:
    """Bring one take from nothing into the store, and return the milliseconds of each step."""
    key = Key(hashlib.sha256(str(number).encode()).hexdigest(), 1)
    now = datetime.now(UTC)
    urls = {name: URL.format(number) for name in ("response_url", "status_url", "cancel_url")}
    limits = (Limit("film", Decimal(1_000_000)),)
    return [
        _milliseconds(lambda: ledger.reserve(_order(key, number), limits, at=now)),
        _milliseconds(lambda: ledger.submitted(key, request_id=str(number), **urls, at=now)),
        _milliseconds(lambda: ledger.completed(key, result=b"{}" * 100, billed_units=None, at=now)),
        _milliseconds(lambda: ledger.stored(key, sha256=key.fingerprint, at=now)),
    ]


def _order(key: Key, number: int) -> Order:
    request = msgspec.json.encode({"prompt": f"Door number {number} opens. " * 10})
    return Order(
        key=key,
        film="film.kling",
        clip=f"s{number}",
        file="film.kling",
        line=number,
        model="o3-4k",
        endpoint="a/model",
        request=request,
        canonical=request,
        seconds=5,
        price_usd=Decimal("2.10"),
    )


def _milliseconds(step: Callable[[], object]) -> float:
    began = time.perf_counter()
    step()
    return (time.perf_counter() - began) * 1000


if __name__ == "__main__":
    main()
