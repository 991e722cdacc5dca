"""Since when a clip asks for what it asks for: its requests, from the working tree back through the commits."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Literal

import msgspec

from kling_dsl.calls import Call
from kling_dsl.compiler import Compilation
from kling_dsl.history.fields import compare_requests
from kling_dsl.history.git import Commit
from kling_dsl.history.values import Field

Where = Literal["commit", "working tree", "older"]


class Lineage(msgspec.Struct, frozen=True):
    """What changed in a clip's request, against what, and since when.

    `fields` compare it with the request that was paid for, or, when none of the commits has that one, with the last
    other request that the clip made. `paid` tells which. `since` is the commit that brought today's request, None when
    it is not committed yet (`where` is `working tree`) or older than the commits that were looked at (`older`).
    """

    where: Where
    since: Commit | None
    before: Commit | None
    fields: tuple[Field, ...]
    paid: bool


def trace(
    name: str,
    current: Call,
    commits: Iterable[Commit],
    compile_at: Callable[[Commit], Compilation | None],
    *,
    paid: Collection[str],
) -> Lineage:
    """Walk back from today's request of a clip to the one that was paid for; `paid` holds the lock's fingerprints.

    `compile_at` returns the film at a commit, None where it does not exist or does not compile; such commits are
    passed over. Nothing older is compiled than is needed.
    """
    since: Commit | None = None
    where: Where = "working tree"
    other: tuple[Commit, Call] | None = None
    for commit in commits:
        compilation = compile_at(commit)
        call = None if compilation is None else _find(compilation, name, current)
        if call is None:
            continue
        if other is None and call.fingerprint == current.fingerprint:
            since, where = commit, "commit"
            continue
        other = other or (commit, call)
        if call.fingerprint in paid:
            return Lineage(where, since, commit, compare_requests(call, current, {}), paid=True)
    if other is None:
        return Lineage("older" if since is not None else where, since, None, (), paid=False)
    return Lineage(where, since, other[0], compare_requests(other[1], current, {}), paid=False)


def _find(compilation: Compilation, name: str, current: Call) -> Call | None:
    """Return the clip of a film as it was: the one with its id, or the one with its request under another id."""
    calls = compilation.calls
    by_id = next((call for call in calls if call.id == name), None)
    return by_id or next((call for call in calls if call.fingerprint == current.fingerprint), None)
