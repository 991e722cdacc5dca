"""Checks a film as a whole: ids, chains of frames, references that nobody uses, requests that repeat."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from decimal import Decimal

import msgspec

from kling_dsl import ir, spelling
from kling_dsl.diagnostics import Diagnostic, Note, error, rewrite, warning
from kling_dsl.money import dollars
from kling_dsl.source import Span

_SHOWN = 8
"""Clips of a ring that are named: the rest of a long one says nothing more."""
_SUGGESTED = 500
"""Unknown ids for which the nearest is looked up, among as many ids as a film may have."""


class Named(msgspec.Struct, frozen=True, eq=False):
    """A request with the line it begins at and, when it could be emitted, its fingerprint."""

    request: ir.Request
    line: int
    fingerprint: str = ""


def check_ids(named: Sequence[Named], file: str) -> Iterator[Diagnostic]:
    """Report ids that two shots or clips share."""
    first: dict[str, Span] = {}
    for item in named:
        spans = [(item.request.id, item.request.span)]
        if item.request.multi:
            spans += [(shot.id, shot.span) for shot in item.request.shots]
        for name, span in spans:
            if name not in first:
                first[name] = Span(file, span.line + item.line, span.column, span.end_line + item.line, span.end_column)
                continue
            here = span.moved(file, item.line)
            yield error(
                "duplicate-id",
                f'the id "{name}" is used twice',
                here,
                notes=(Note("it was used here first", first[name]),),
                hint="rename one of them: a new id does not change the request",
            )


def check_chains(named: Sequence[Named], file: str) -> Iterator[Diagnostic]:
    """Report a frame taken from a clip that does not exist, from inside a group, or from one's own future."""
    links = {
        item.request.id: tuple(
            frame for frame in (item.request.start, item.request.end) if isinstance(frame, ir.LastFrame)
        )
        for item in named
    }
    rings = _rings(links)
    ids = spelling.Names(links)
    unknown = 0
    inner = {shot.id: item.request.id for item in named if item.request.multi for shot in item.request.shots}
    for item in named:
        for frame in (item.request.start, item.request.end):
            if not isinstance(frame, ir.LastFrame):
                continue
            span = frame.span.moved(file, item.line)
            if frame.id in links:
                if item.request.id in rings and rings.get(frame.id) == rings[item.request.id]:
                    yield error(
                        "frame-cycle",
                        f'"{item.request.id}" needs the last frame of "{frame.id}", which needs its own',
                        span,
                        notes=(Note(_way(item.request.id, links, rings)),),
                        hint="start one of them from a picture",
                    )
            elif frame.id in inner:
                group = inner[frame.id]
                yield error(
                    "frame-inside-clip",
                    f'"{frame.id}" is a shot inside the CLIP "{group}", and only the clip as a whole has a last frame',
                    span,
                    hint=f"write `end of {group}`",
                    fix=rewrite(span, group),
                )
            else:
                unknown += 1
                near = spelling.nearest(frame.id, ids) if unknown <= _SUGGESTED else None
                yield error(
                    "unknown-frame",
                    f'no shot or clip is called "{frame.id}"',
                    span,
                    hint=f"did you mean {near}?" if near else "name the id of a shot or a clip of this film",
                    fix=rewrite(span, spelling.certain(frame.id, ids)) if unknown <= _SUGGESTED else None,
                )


def check_unused(references: Sequence[ir.Reference], used: Collection[str], file: str) -> Iterator[Diagnostic]:
    """Report references that the film itself declares and no shot uses; an imported cast may serve other films."""
    for reference in references:
        if reference.name not in used and reference.span.file == file:
            yield warning(
                "unused-reference",
                f"{reference.name} is declared, and no shot uses it",
                reference.span,
                hint=f"mention it as @{reference.name}, or delete it",
            )


def check_repeats(named: Sequence[Named], file: str) -> Iterator[Diagnostic]:
    """Report a request that is the same as an earlier one to the last character."""
    first: dict[str, Named] = {}
    for item in named:
        if not item.fingerprint:
            continue
        earlier = first.setdefault(item.fingerprint, item)
        if earlier is not item:
            yield warning(
                "repeated-request",
                f'"{item.request.id}" asks for exactly what "{earlier.request.id}" asks for',
                item.request.span.moved(file, item.line),
                notes=(Note("the first stands here", earlier.request.span.moved(file, earlier.line)),),
                hint="write `takes: 2` at the first to have it twice, or say what differs",
            )


def check_budget(total_usd: Decimal, settings: ir.Settings, span: Span) -> Iterator[Diagnostic]:
    """Report a film that costs more than its title page allows."""
    budget = settings.budget_usd
    if budget is not None and total_usd > budget:
        yield warning(
            "over-budget",
            f"the film costs {dollars(total_usd)}, which is {dollars(total_usd - budget)} over its budget of {dollars(budget)}",
            span,
            hint="`kling plan` refuses it; shorten it, take fewer takes, or price a draft model with `kling plan --model`",
        )


def _rings(links: Mapping[str, tuple[ir.LastFrame, ...]]) -> dict[str, int]:
    """Return a number for every clip that needs itself in the end, the same for all of one ring (Tarjan's algorithm)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    open_names: dict[str, None] = {}
    rings: dict[str, int] = {}
    for root in links:
        if root in order:
            continue
        work = [(root, iter(links[root]))]
        order[root] = low[root] = len(order)
        open_names[root] = None
        while work:
            name, frames = work[-1]
            for frame in frames:
                if frame.id not in links:
                    continue
                if frame.id not in order:
                    order[frame.id] = low[frame.id] = len(order)
                    open_names[frame.id] = None
                    work.append((frame.id, iter(links[frame.id])))
                    break
                if frame.id in open_names:
                    low[name] = min(low[name], order[frame.id])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[name])
                if low[name] == order[name]:
                    members: list[str] = []
                    while not members or members[-1] != name:
                        members.append(open_names.popitem()[0])
                    if len(members) > 1 or any(frame.id == name for frame in links[name]):
                        rings.update(dict.fromkeys(members, order[name]))
    return rings


def _way(start: str, links: Mapping[str, tuple[ir.LastFrame, ...]], rings: Mapping[str, int]) -> str:
    """Return the first clips that lie on the way from a clip back to itself, in words."""
    shown = [start]
    while len(shown) <= _SHOWN:
        shown.append(next(frame.id for frame in links[shown[-1]] if rings.get(frame.id) == rings[start]))
        if shown[-1] == start:
            return " needs ".join(shown)
    return " needs ".join([*shown, "…"])
