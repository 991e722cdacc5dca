"""What a clip that came is held to, as far as the model's sheet says it; and what is on record of it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import subprocess
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from footage_samples import make_clip
from foreign_sheet import FOREIGN, WIDE, load, replaced
from ledger_samples import AT, order_of

from kling_dsl.footage import Expected
from kling_dsl.ledger import Row, open_ledger
from kling_dsl.profiles import Profile
from kling_dsl.render.finishing import Kept, SetAside, expected_of, finish
from kling_dsl.render.provenance import Commit, Origin, read_commit
from kling_dsl.store import Store


def row_of(tmp_path: Path, arguments: Any) -> Row:
    request = json.dumps(arguments).encode()
    order = msgspec.structs.replace(order_of("f" * 64), request=request, seconds=3)
    with open_ledger(tmp_path / f"{hashlib.sha256(request).hexdigest()}.db", run="run") as ledger:
        ledger.reserve(order, (), at=AT)
        (row,) = ledger.rows()
    return row


def expected(tmp_path: Path, profile: Profile | None, arguments: Any, *, scaled: bool = False) -> Expected:
    return expected_of(row_of(tmp_path, arguments), Origin(profile, Commit(), scaled))


NOTHING = Expected(container="mp4", seconds=3, size=None, aspect=None, audio=None, size_is_sure=False)


@pytest.mark.parametrize("arguments", [{"ratio": "16:9"}, ["ratio"], "ratio"])
def test_without_the_models_sheet_a_clip_is_held_to_its_length_alone(tmp_path: Path, arguments: Any) -> None:
    assert expected(tmp_path, None, arguments) == NOTHING


def test_arguments_that_are_none_say_nothing_of_the_clip(tmp_path: Path) -> None:
    assert expected(tmp_path, load(FOREIGN), ["ratio"]) == NOTHING


def test_a_clip_has_the_size_of_its_aspect(tmp_path: Path) -> None:
    found = expected(tmp_path, load(FOREIGN), {"ratio": "16:9"})
    assert (found.size, found.aspect, found.size_is_sure) == ((1280, 720), 1280 / 720, True)
    found = expected(tmp_path, load(FOREIGN), {"ratio": "16:9"}, scaled=True)
    assert (found.size, found.aspect) == (None, 1280 / 720)


def test_without_an_aspect_a_clip_has_the_size_of_the_model_if_there_is_one(tmp_path: Path) -> None:
    assert expected(tmp_path, load(WIDE), {"sound": True}) == msgspec.structs.replace(
        NOTHING, audio=True, size_is_sure=True
    )
    one = replaced('"16:9" = [1280, 720], "4:3" = [960, 720]', '"4:3" = [960, 720]', WIDE)
    one = replaced('values = ["16:9", "4:3"]', 'values = ["4:3"]', one)
    assert expected(tmp_path, load(one), {}).size == (960, 720)
    assert expected(tmp_path, load(one), {"first": "https://x.example/a.png"}).size is None


def test_a_clip_of_a_model_that_is_gone_is_kept_with_what_is_known(tmp_path: Path) -> None:
    row = row_of(tmp_path, {"prompt": "Rain."})
    store = Store(tmp_path / "store")
    part = make_clip(store.part("f" * 64, 1).with_suffix(".mp4"))
    content = part.read_bytes()
    found = finish(part, row, Origin(None, Commit()), store, place_to_measure=contextlib.nullcontext())
    assert found == Kept(hashlib.sha256(content).hexdigest(), ())
    record = json.loads(store.provenance(found.sha256))
    assert record["model"] == {"name": "o3", "prices": []}
    assert Decimal(record["estimate_usd"]) == row.order.price_usd
    other = store.part("f" * 64, 1)
    other.write_bytes(content[:-100])
    aside = finish(other, row, Origin(None, Commit()), store, place_to_measure=contextlib.nullcontext())
    assert isinstance(aside, SetAside)
    assert aside.place.read_bytes() == content[:-100]


def test_without_git_or_with_one_that_does_not_answer_no_commit_is_on_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("PATH", str(tmp_path))
        assert read_commit(tmp_path) == Commit()

    def late(*_: object, **__: object) -> None:
        raise subprocess.TimeoutExpired("git", 20)

    monkeypatch.setattr(subprocess, "run", late)
    assert read_commit(tmp_path) == Commit()
