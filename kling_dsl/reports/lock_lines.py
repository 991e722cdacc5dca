"""Says of a line of a lock that is amiss what it contradicts, what counts meanwhile, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal, TypeVar

import msgspec

from kling_dsl.lock import Acceptance, Lock, Pick, Problem, Take
from kling_dsl.money import dollars

Severity = Literal["error", "note"]
Record = TypeVar("Record", Take, Pick, Acceptance)

_NUMBERED = re.compile(r"take (\d+) of ")


class Explained(msgspec.Struct, frozen=True):
    """What is to be said of a line: what is amiss, what to do, and whether anything is in danger."""

    what: str
    todo: str
    severity: Severity = "error"


def explain_line(problem: Problem, lock: Lock, line: bytes) -> Explained:
    """Return what is to be said of a problem of a lock, given the line that it is about."""
    for beginning, explain in _EXPLAINED.items():
        if problem.message.startswith(beginning):
            return explain(f"this line {problem.message}", lock, line)
    return Explained(f"this line {problem.message}", "mend the line, or take the lock from git")


def _mark(what: str, lock: Lock, line: bytes) -> Explained:
    todo = (
        "delete the marks and keep every other line, since each may have been paid for; with `*.kling.lock merge=union` "
        "in .gitattributes git merges locks by itself"
    )
    return Explained(what, todo)


def _second_take(what: str, lock: Lock, line: bytes) -> Explained:
    take = _decode(line, Take)
    clip = take.clip if take else "ID"
    chosen = lock.chosen(take.fingerprint) if take else None
    used = f"; take {chosen.take} is used" if chosen else ""
    todo = f"nothing: both were paid for and both count{used}; `kling pick {clip} N` chooses another"
    return Explained(what, todo, "note")


def _otherwise(what: str, lock: Lock, line: bytes) -> Explained:
    take = _decode(line, Take)
    first = next((one for one in lock.takes if take and _identity(one) == _identity(take)), None)
    number = _NUMBERED.search(what)
    if take is None or first is None or number is None:
        return Explained(what, "delete the line that is wrong; until then the earlier record counts")
    pairs = (
        ("take", str(take.take), number[1]),
        ("model", take.model, first.model),
        ("seconds", str(take.seconds), str(first.seconds)),
        ("cost", dollars(take.cost_usd), dollars(first.cost_usd)),
    )
    told = ", ".join(f"{name} {here} and not {there}" for name, here, there in pairs if here != there)
    asked = f"the provider's record of request {take.request_id} says which" if take.request_id else "compare the bill"
    todo = f"delete the line that is wrong: {asked}; until then the earlier record counts"
    return Explained(f"{what}: {told}" if told else what, todo)


def _lost_pick(what: str, lock: Lock, line: bytes) -> Explained:
    pick = _decode(line, Pick)
    chosen = lock.chosen(pick.fingerprint) if pick else None
    used = f"; until then take {chosen.take} of {chosen.clip} is used" if chosen else ""
    todo = f"bring the line of that take back from the branch that has it, or delete this one if the clip is gone{used}"
    return Explained(what, todo)


def _lost_acceptance(what: str, lock: Lock, line: bytes) -> Explained:
    decision = _decode(line, Acceptance)
    clip = f"{decision.clip} is" if decision else "the clip is"
    todo = (
        "bring the line of that take back from the branch that has it, or delete this one if the clip is gone; until "
        f"then {clip} bought like any other"
    )
    return Explained(what, todo)


def _newer(what: str, lock: Lock, line: bytes) -> Explained:
    return Explained(what, "use the version of kling that wrote it; if nobody has one, take the lock from git")


_EXPLAINED: dict[str, Callable[[str, Lock, bytes], Explained]] = {
    "is a mark that a merge left": _mark,
    "is a second take ": _second_take,
    "says otherwise ": _otherwise,
    "picks a clip ": _lost_pick,
    "accepts a clip ": _lost_acceptance,
    "is of a kind": _newer,
}
"""What explains a problem, by how its message begins."""


def _decode(line: bytes, kind: type[Record]) -> Record | None:
    try:
        return msgspec.json.decode(line, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError):
        return None


def _identity(take: Take) -> tuple[str, str, str]:
    return (take.fingerprint, take.sha256, take.request_id)
