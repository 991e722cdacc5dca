"""A render as plain text: a line for each event that is worth one, and a closing text that says what to do next."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import groupby
from typing import TYPE_CHECKING

import msgspec

from kling_dsl.money import dollars
from kling_dsl.reports.escaping import visible
from kling_dsl.reports.render_ends import LooseEnd, LooseKind, loose_ends, stored_rows

if TYPE_CHECKING:
    from kling_dsl.render.engine import Outcome
    from kling_dsl.render.events import Event

MAX_SHOWN = 10
"""The most clips that the closing text names under one heading; `kling status` and the JSON have them all."""

BILLED = {"no": ", not billed", "maybe": ", may be billed"}
"""Whether a failed take is paid for, as it follows `failed`."""

STOPPING = "stopping: nothing more is submitted; requests and downloads under way are finished (Ctrl-C leaves at once)"

_ONCE = frozenset(("uploading", "queued", "running", "elsewhere", "retrying", "waiting", "stopping"))
"""What is told once for a take and a reason: it comes again and again, and says nothing new."""

_PLACED = frozenset(("failed", "uncertain", "refused", "waiting", "lost"))
"""What the writer may have to look up in the film."""


class Lines:
    """Tells the events of one render as lines, and remembers what was told."""

    def __init__(self) -> None:
        self._told: set[tuple[str, int, str, str]] = set()

    def line_of(self, event: Event) -> str | None:
        """Return an event as a line without its line break, or None when it is not worth one or was told before."""
        if event.kind in _ONCE:
            mark = (event.clip, event.take, event.kind, event.reason)
            if mark in self._told:
                return None
            self._told.add(mark)
        return line_of(event)


def line_of(event: Event) -> str | None:
    """Return an event as a line in the writer's terms, without a line break; None when it is not worth one."""
    words = _words(event)
    if words is None:
        return None
    place = f" ({event.file}:{event.line})" if event.kind in _PLACED and event.file else ""
    take = f"take {event.take} " if event.take else ""
    subject = f"{event.clip}: {take}" if event.clip else ""
    return visible(f"{subject}{words}{place}")


def short_request(request_id: str) -> str:
    """Return as much of a request's id as a person compares."""
    return request_id if len(request_id) <= 12 else f"{request_id[:8]}…"


def queued_words(position: int | None) -> str:
    """Return a place in the queue, which is counted from 0, in words."""
    return "queued" if position is None else f"queued, {position:,} ahead" if position else "queued, next"


def _words(event: Event) -> str | None:
    request = f" (request {short_request(event.request_id)})" if event.request_id else ""
    cost = f", {dollars(event.cost_usd)}" if event.cost_usd is not None else ""
    because = f": {event.reason}" if event.reason else ""
    match event.kind:
        case "completed" | "fetching":
            return None
        case "uploading":
            return "uploading its files"
        case "submitted":
            return f"submitted{cost}{request}"
        case "queued":
            return queued_words(event.position)
        case "running":
            return "running"
        case "stored":
            note = f"; noted: {event.reason}" if event.reason else ""
            return f"stored as {event.sha256[:12]}{note}"
        case "failed":
            kept = f"; what came is in {event.path}" if event.path else ""
            return f"failed{BILLED.get(event.billed, '')}{because}{kept}"
        case "uncertain":
            return f"uncertain, may have been bought{because}"
        case "adopted":
            return f"found at the provider{cost}{because}{request}"
        case "waiting":
            return f"waits{because}"
        case "elsewhere":
            return f"waits{because or ': another process is rendering it'}"
        case "retrying":
            return f"not taken yet, tried again{because}"
        case "refused":
            return f"not bought{because}"
        case "lost":
            return f"broken off{because}"
        case "stopping":
            return STOPPING


class Commands(msgspec.Struct, frozen=True):
    """The commands that a person can go on with: about which film, and whether with real money."""

    film: str
    spends: bool = True

    @property
    def render(self) -> str:
        """Buys what is missing."""
        return self._command("render", self.film)

    @property
    def status(self) -> str:
        """Shows how every clip stands."""
        return self._command("status", self.film)

    @property
    def reconcile(self) -> str:
        """Looks up what may have been bought."""
        return self._command("reconcile", self.film)

    def retake(self, clip: str) -> str:
        """Return what buys a clip once more."""
        return self._command("retake", clip, "--film", self.film)

    def keep(self, clip: str, take: int | str) -> str:
        """Return what keeps a take that was set aside."""
        return self._command("pick", clip, str(take), "--keep", "--film", self.film)

    def _command(self, *words: str) -> str:
        flags = () if self.spends else ("--sandbox",)
        return visible(shlex.join(("kling", *words, *flags)))


def closing_text(
    outcome: Outcome, *, film: str, links: Mapping[str, str], sandbox: bool = False, width: int = 80
) -> str:
    """Return what a render came to, for people: what is stored and where, what is not and why, and how to go on.

    `film` is the film's file as a person types it, `links` the place of each clip's chosen take under its readable
    name, by the clip's id; `sandbox` says that no money was spent. A path or a command is never broken, so that a
    narrow text has lines that are longer.
    """
    commands = Commands(film, spends=not sandbox)
    loose = loose_ends(outcome)
    lines = [*_headline(outcome, commands, loose, width), *_places(outcome, links)]
    for kind, members in groupby(loose, key=lambda each: each.kind):
        lines += ["", *_section(kind, tuple(members), commands, width)]
    following = _next_steps(loose, commands)
    if following:
        lines += ["", "next:", *_commands(following, width)]
    return "".join(f"{line}\n" for line in lines)


def _headline(outcome: Outcome, commands: Commands, loose: Sequence[LooseEnd], width: int) -> Iterator[str]:
    if outcome.problem:
        yield from _wrap(f"ended early: {outcome.problem}", width)
    elif outcome.stopped:
        yield "stopped; what was ordered goes on at the provider"
    stored = len(stored_rows(outcome))
    if not stored and not loose and not outcome.spent_usd:
        kept = sum(end.standing.state in ("kept", "accepted") for end in outcome.clips)
        yield f"nothing to render: {_count(kept, 'clip')} kept"
        return
    spent = dollars(outcome.spent_usd) if outcome.spent_usd else "nothing"
    verb = "spent or reserved" if loose else "spent"
    where = "" if commands.spends else " in the sandbox (no real money)"
    yield from _wrap(f"{_count(stored, 'take') if stored else 'no take'} stored, {spent} {verb}{where}", width)


def _places(outcome: Outcome, links: Mapping[str, str]) -> Iterator[str]:
    clips = dict.fromkeys(row.order.clip for row in stored_rows(outcome))
    shown = [visible(links[clip]) for clip in clips if clip in links]
    if len(shown) > MAX_SHOWN:
        shown = list(dict.fromkeys(f"{path.rpartition('/')[0]}/" for path in shown))
    yield from (f"  {path}" for path in shown[:MAX_SHOWN])


def _section(kind: LooseKind, members: Sequence[LooseEnd], commands: Commands, width: int) -> Iterator[str]:
    count, usd = len(members), sum((each.usd for each in members), Decimal(0))
    one = count == 1
    takes, clips = _count(count, "take"), _count(count, "clip")
    yield from _wrap(
        {
            "uncertain": f"{takes} may have been bought, {dollars(usd)} reserved",
            "billed": f"{takes} failed and may be billed, {dollars(usd)}",
            "failed": f"{takes} failed, nothing paid",
            "refused": f"{takes} not bought, {dollars(usd)}: a limit does not allow it",
            "broken-off": f"{clips} broken off",
            "missing": f"{clips} paid for, and {'its file is' if one else 'their files are'} not here: "
            "copy the store from where the film was rendered",
            "waiting": f"{clips} waiting for another one",
            "ordered": f"{takes} ordered and not here yet, {dollars(usd)}",
            "not-bought": f"{takes} not bought, {dollars(usd)}",
        }[kind],
        width,
    )
    alike = [tuple(group) for _, group in groupby(members, key=lambda each: (each.clip, each.reason, each.path))]
    for group in alike[:MAX_SHOWN]:
        each = group[0]
        because = f": {each.reason}" if each.reason else ""
        yield from _wrap(f"{each.clip}{_numbers(group)} ({each.file}:{each.line}){because}", width, indent="  ")
        if each.path:
            yield f"    what came is in {visible(each.path)}"
    if len(alike) > MAX_SHOWN:
        yield f"  and {sum(map(len, alike[MAX_SHOWN:])):,} more: {commands.status}"


def _numbers(group: Sequence[LooseEnd]) -> str:
    """Return which takes of a clip are meant: none for the whole clip."""
    numbers = [str(each.take) for each in group if each.take]
    if not numbers:
        return ""
    return f", take {numbers[0]}" if len(numbers) == 1 else f", takes {', '.join(numbers)}"


def _next_steps(loose: Sequence[LooseEnd], commands: Commands) -> list[tuple[str, str]]:
    """Return each command that helps, once, with what it does."""
    steps: list[tuple[str, str]] = []
    kinds = {each.kind for each in loose}
    if "uncertain" in kinds:
        steps.append((commands.reconcile, "asks the provider what was bought; buys nothing"))
    billed = [each for each in loose if each.kind == "billed"]
    kept = [each for each in billed if each.path]
    if kept:
        only = kept[0] if len(kept) == 1 else None
        steps.append(
            (commands.keep(only.clip, only.take) if only else commands.keep("ID", "TAKE"), "keeps what came, as it is")
        )
    if billed:
        only = billed[0] if len(billed) == 1 else None
        price = f"buys it once more, for {dollars(only.usd)}" if only else "buys one of them once more"
        steps.append((commands.retake(only.clip if only else "ID"), price))
    if kinds & {"failed", "broken-off", "waiting", "ordered", "not-bought"}:
        steps.append((commands.render, "goes on, and buys nothing twice"))
    elif "refused" in kinds:
        steps.append((commands.render, "buys the rest, when the limit was raised"))
    return steps


def _commands(steps: Sequence[tuple[str, str]], width: int) -> Iterator[str]:
    column = max(len(command) for command, _ in steps) + 2
    beside = 2 + column + max(len(words) for _, words in steps) <= width
    for command, words in steps:
        if beside:
            yield f"  {command:<{column}}{words}"
        else:
            yield f"  {command}"
            yield f"      {words}"


def _wrap(text: str, width: int, *, indent: str = "") -> list[str]:
    wrapper = textwrap.TextWrapper(
        max(32, width),
        initial_indent=indent,
        subsequent_indent=f"{indent}    ",
        break_long_words=False,
        break_on_hyphens=False,
        replace_whitespace=False,
    )
    return wrapper.wrap(visible(text))


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
