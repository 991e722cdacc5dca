"""The steps a take may go, from which state to which, and whose they are."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

import msgspec

from kling_dsl.ledger.values import Billed, State

Verb = Literal["submitted", "completed", "stored", "failed", "uncertain", "adopted", "released", "reopened"]


class Step(msgspec.Struct, frozen=True):
    """One legal step; `by` says whether only the run that owns the row may go it."""

    source: State
    target: State
    by: Literal["owner", "anyone"] = "owner"


STEPS: Mapping[Verb, tuple[Step, ...]] = MappingProxyType(
    {
        "submitted": (Step("intent", "submitted"),),
        "completed": (Step("submitted", "completed"),),
        # A person may keep a clip that was refused: it was paid for.
        "stored": (Step("completed", "stored"), Step("failed", "stored", by="anyone")),
        "failed": (Step("intent", "failed"), Step("submitted", "failed"), Step("completed", "failed")),
        "uncertain": (Step("intent", "uncertain"),),
        "adopted": (Step("uncertain", "submitted", by="anyone"),),
        "released": (Step("uncertain", "released", by="anyone"),),
        "reopened": (Step("stored", "completed", by="anyone"),),
    }
)
"""Every step but two: `reserve` makes a row `intent`, and `take_over` changes the owner and not the state."""


class Standing(msgspec.Struct, frozen=True):
    """What decides which steps are open to a row."""

    number: int
    state: State
    owner: str
    quarantine: str


def find_step(verb: Verb, standing: Standing, *, run: str, billed: Billed | None = None) -> Step | str:
    """Return the step that `run` may go from where a row stands, or why it may not."""
    step = next((step for step in STEPS[verb] if step.source == standing.state), None)
    if step is None:
        return f"it is {standing.state}"
    if step.by == "owner" and standing.owner != run:
        return f"it belongs to the run {standing.owner}"
    if standing.state == "failed" and not standing.quarantine:
        return "it failed and left no clip"
    if standing.state == "intent" and billed == "maybe":
        return "it is intent, and what may have been billed without an answer is uncertain, not failed"
    return step


def may_reserve(state: State, billed: Billed | None) -> bool:
    """Tell whether a take that stands so may be bought again: only where it is sure that nothing was paid."""
    return state == "released" or (state == "failed" and billed == "no")
