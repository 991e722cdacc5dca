"""What is on record beside every clip: where it comes from, what was asked for, and what was paid."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import msgspec

from kling_dsl import __version__
from kling_dsl.footage import Footage
from kling_dsl.ledger import Row
from kling_dsl.money import decimal_string
from kling_dsl.profiles import Profile
from kling_dsl.render.answers import decode

GIT_SECONDS = 20.0
"""How long git may take to say what the commit is; a record without it is better than none."""


class Commit(msgspec.Struct, frozen=True):
    """The commit that was checked out and whether files differed from it; empty outside of git."""

    sha: str = ""
    dirty: bool | None = None


def read_commit(root: Path) -> Commit:
    """Ask git for the commit of a project; nothing that the repository configures is run."""
    sha = _git(root, "rev-parse", "--verify", "--quiet", "HEAD")
    if not sha:
        return Commit()
    changed = _git(root, "status", "--porcelain", "--untracked-files=no", "--ignore-submodules=all")
    return Commit(sha.strip(), None if changed is None else bool(changed.strip()))


def _git(root: Path, *words: str) -> str | None:
    safe = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=", "-c", "core.pager=cat", "--no-optional-locks")
    try:
        done = subprocess.run(  # noqa: S603 - the words are ours
            ["git", *safe, *words],  # noqa: S607 - git is wherever the user has it
            cwd=root,
            capture_output=True,
            check=False,
            timeout=GIT_SECONDS,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None


class Origin(msgspec.Struct, frozen=True):
    """What is on record of every take of a render: its model's sheet, None when it is gone, and the commit."""

    profile: Profile | None
    commit: Commit
    scaled: bool = False
    """Whether the clip comes from the sandbox, whose pictures are smaller than the model's."""


def provenance(row: Row, origin: Origin, *, sha256: str, footage: Footage | None, notes: tuple[str, ...]) -> bytes:
    """Return the record of a clip as indented JSON; `footage` is None for one that cannot be opened."""
    order = row.order
    canonical = msgspec.json.decode(order.canonical)
    record: dict[str, Any] = {
        "kind": "clip",
        "sha256": sha256,
        "fingerprint": order.key.fingerprint,
        "take": order.key.take,
        "film": order.film,
        "clip": order.clip,
        "source": {"file": order.file, "line": order.line},
        "commit": origin.commit.sha,
        "dirty": origin.commit.dirty,
        "endpoint": order.endpoint,
        "request": msgspec.json.decode(order.request),
        "arguments_by_digest": canonical.get("arguments"),
        "model": {"name": order.model, "prices": _prices(origin.profile)},
        "request_id": row.request_id,
        "estimate_usd": decimal_string(order.price_usd),
        "billed_units": None if row.billed_units is None else format(row.billed_units, "f"),
        "result": decode(row.result, object),
        "footage": None if footage is None else msgspec.to_builtins(footage),
        "notes": list(notes),
        "ordered_at": row.reserved_at.isoformat(),
        "completed_at": row.completed_at.isoformat() if row.completed_at else None,
        "program": f"kling-dsl {__version__}",
    }
    return msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n"


def _prices(profile: Profile | None) -> list[dict[str, Any]]:
    """Return what the estimate rests on."""
    if profile is None:
        return []
    return [
        {
            "usd_per_second": decimal_string(price.usd_per_second),
            "confidence": price.confidence,
            "date": profile.sources[price.source].date,
            "url": profile.sources[price.source].url,
        }
        for price in profile.prices
    ]
