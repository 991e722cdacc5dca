"""What is read takes about as long as it is long: no line and no list makes a reader go over it again and again."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest

from kling_dsl.lock import parse_lock
from kling_dsl.project.settings import read_settings
from kling_dsl.sheets import load_sheet
from kling_dsl.templates.data import parse_data

SECONDS = 4.0
"""Processor time for inputs that take less than a second, and took minutes when a reader went back over them."""


def _settings(line: str) -> object:
    return read_settings(f"[paths]\nx = '''\n{line}\n'''\nunknown = 1\n", "kling.toml")


def _sheet(line: str) -> object:
    return load_sheet(f"x = '''\n{line}\n'''\nunknown = 1\n", file="models/own.toml")


def _lock(count: int) -> object:
    take = {
        "kind": "take",
        "at": "2026-11-22T10:00:00Z",
        "clip": "door",
        "cost_usd": "2.10",
        "fingerprint": "a" * 64,
        "model": "o3-4k",
        "seconds": 5,
        "take": 1,
    }
    lines = [json.dumps({**take, "request_id": f"r{number}", "sha256": f"{number:064x}"}) for number in range(count)]
    lock = parse_lock("\n".join(lines).encode(), where="film.kling.lock")
    assert [one.take for one in lock.takes] == list(range(1, count + 1))
    return lock


def _twice(count: int) -> object:
    pairs = ", ".join(f'"k{number}": 1' for number in range(count))
    value, found = parse_data(f'{{{pairs}, "k{count - 1}": 2}}', path="rows.json")
    assert (value, found[0].message) == (None, f"the name 'k{count - 1}' comes twice in one mapping")
    return found


SLOW: dict[str, Callable[[], object]] = {
    "settings: a line of blanks": lambda: _settings(" " * 20_000),
    "settings: words without a sign": lambda: _settings("a " * 10_000),
    "settings: brackets": lambda: _settings("[ a" * 10_000),
    "sheet: a bracket and blanks": lambda: _sheet("[" + " " * 20_000),
    "sheet: a table that never closes": lambda: _sheet("[a" + " " * 20_000),
    "sheet: a key of many parts": lambda: _sheet("a . " * 5_000),
    "lock: one number for thousands of takes": lambda: _lock(15_000),
    "data: a name that comes twice after thousands": lambda: _twice(60_000),
}


@pytest.mark.parametrize("name", SLOW)
def test_a_reader_does_not_go_back(name: str) -> None:
    begun = time.process_time()
    SLOW[name]()
    assert time.process_time() - begun < SECONDS
