"""Judges an EXPECT line by a compiled film: whether it holds, and if not, what is there instead and where."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Literal, TypeVar

import msgspec

from kling_dsl import nodes
from kling_dsl.checks import Bought, Script, Seen, Stated
from kling_dsl.checks.expectations import check_expectations
from kling_dsl.compiler import Compilation
from kling_dsl.diagnostics import Diagnostic, Note, error
from kling_dsl.money import dollars

MAX_NOTES = 8
"""Shots or clips that a failure names one by one."""

_SHOWN = 120
"""Characters of what is said or sent that a failure shows."""

_SIGNS = {"=": "exactly ", "<": "less than ", "<=": "at most ", ">": "more than ", ">=": "at least "}


class Verdict(msgspec.Struct, frozen=True):
    """What became of an EXPECT: `passed`, `failed`, or `always` when it could not fail and so tests nothing.

    `words` are those of the line; `diagnostics` say why it did not pass, at the writer's places.
    """

    words: str
    file: str
    line: int
    outcome: Literal["passed", "failed", "always"]
    diagnostics: tuple[Diagnostic, ...] = ()


Unit = TypeVar("Unit")

Draft = Callable[[str], Compilation]
"""Compiles the film with every shot on a model."""

Compare = Callable[[Stated], Diagnostic | None]
"""Compares the film's requests with those that were kept; None when they are the same."""


def judge(stated: Stated, compilation: Compilation, *, draft: Draft, compare: Compare) -> Verdict:
    """Judge an EXPECT of a film that compiles."""
    script, place = compilation.script, compilation.to_writer
    assert script is not None, "a film with an EXPECT has a script"
    assert place is not None, "a film with an EXPECT has a way back to its writer"
    top = compilation.place_of(stated)
    always = tuple(place(diagnostic) for diagnostic in check_expectations((stated,), script))
    if always:
        return Verdict(stated.node.text, top.file, top.line, "always", always)
    found = _find_fault(stated, script, draft, compare)
    if found is None:
        return Verdict(stated.node.text, top.file, top.line, "passed")
    return Verdict(stated.node.text, top.file, top.line, "failed", (place(found),))


def _find_fault(stated: Stated, script: Script, draft: Draft, compare: Compare) -> Diagnostic | None:
    statement = stated.node.statement
    if isinstance(statement, nodes.Total):
        return _judge_total(stated, statement, script, draft)
    if isinstance(statement, nodes.Count):
        return _judge_count(stated, statement, script)
    if isinstance(statement, nodes.Claim):
        return _judge_claim(stated, statement, script)
    return compare(stated)


def _judge_total(stated: Stated, total: nodes.Total, script: Script, draft: Draft) -> Diagnostic | None:
    what = f"the total{_in(total.place)}"
    if total.model is not None:
        what += f" with {total.model.value}"
        compilation = draft(total.model.value)
        if compilation.failed or compilation.script is None:
            first = next((d for d in compilation.diagnostics if d.severity == "error"), None)
            return _failed(
                stated,
                f"the film does not compile with {total.model.value}",
                () if first is None else (Note(first.message, first.span),),
                f"see `kling plan --model {total.model.value}`",
            )
        script = compilation.script
    clips = script.clips_at(total.place)
    amount = sum((clip.cost_usd for clip in clips if clip.cost_usd is not None), Decimal(0))
    if _holds(amount, total.limit):
        return None
    dearest = sorted(clips, key=lambda clip: -(clip.cost_usd or 0))

    def cost(clip: Bought) -> Note:
        usd = dollars(clip.cost_usd or Decimal(0))
        return Note(f'"{clip.request.id}" costs {usd}{_takes(clip)}', script.span_of(clip))

    message = f"{what} is {dollars(amount)}, and {_wanted(total.limit, '$')} is expected"
    return _failed(stated, message, _most(dearest, cost))


def _judge_count(stated: Stated, count: nodes.Count, script: Script) -> Diagnostic | None:
    clips = script.clips_at(count.place)
    if count.noun == "seconds":
        amount = sum(clip.request.seconds for clip in clips)
    elif count.noun == "clips":
        amount = len(clips)
    elif count.noun == "shots":
        amount = sum(len(clip.request.shots) for clip in clips)
    elif count.noun == "takes":
        amount = sum(clip.request.takes for clip in clips)
    elif count.noun == "references":
        amount = len(_used(script, count.place))
    else:
        amount = len(script.scenes)
    if _holds(Decimal(amount), count.limit):
        return None
    unit = "s" if count.noun == "seconds" else ""
    amount_words = f"{amount} s" if unit else f"{amount} {count.noun if amount != 1 else count.noun[:-1]}"
    verb = "lasts" if unit else "has"
    owner = "the film" if count.place is None else f"{count.place.kind} {count.place.name.value}"
    notes: tuple[Note, ...] = ()
    if unit:
        longest = sorted(clips, key=lambda clip: -clip.request.seconds)
        notes = _most(longest, lambda c: Note(f'"{c.request.id}" lasts {c.request.seconds} s', script.span_of(c)))
    elif count.noun == "references" and amount:
        names = sorted(_used(script, count.place))
        listed = ", ".join(f"@{name}" for name in names[:MAX_NOTES]) + (" …" if len(names) > MAX_NOTES else "")
        notes = (Note(f"it uses {listed}"),)
    elif count.noun == "takes":
        many = [clip for clip in clips if clip.request.takes > 1]
        notes = _most(many, lambda c: Note(f'"{c.request.id}" has {c.request.takes} takes', script.span_of(c)))
    message = f"{owner} {verb} {amount_words}, and {_wanted(count.limit, unit)} is expected"
    return _failed(stated, message, notes)


def _used(script: Script, place: nodes.Place | None) -> set[str]:
    return {name for clip in script.clips_at(place) for shot in clip.request.shots for name in shot.uses}


def _judge_claim(stated: Stated, claim: nodes.Claim, script: Script) -> Diagnostic | None:
    subject, predicate = claim.subject, claim.predicate
    units = _units(subject, script)
    holding = [unit for unit in units if _is_true(predicate, unit)]
    wanted = _predicate_words(predicate)
    noun = subject.unit
    if subject.quantifier == "some":
        if holding:
            return None
        among = f"{len(units)} {noun}s" if len(units) != 1 else f"one {noun}"
        message = f"no {noun}{_in(subject.place)} {wanted}, of {among}"
        return _failed(stated, message, _notes(predicate, units, script))
    if subject.quantifier == "no":
        if not holding:
            return None
        message = f"{_some(holding, units, noun)}{_in(subject.place)} {_plural(wanted, holding)}, and none should"
        return _failed(stated, message, _notes(predicate, holding, script))
    others = units if not holding else [unit for unit in units if not _is_true(predicate, unit)]
    if not others:
        return None
    if subject.quantifier == "the":
        message = f'{noun} "{subject.id.value if subject.id else ""}" {_denied(wanted)}'
    else:
        message = f"{_some(others, units, noun)}{_in(subject.place)} {_plural(_denied(wanted), others)}"
    return _failed(stated, message, _notes(predicate, others, script))


def _units(subject: nodes.Subject, script: Script) -> Sequence[Seen | Bought]:
    if subject.id is not None:
        name = subject.id.value
        return (script.shot_by_id[name],) if subject.unit == "shot" else (script.clip_by_id[name],)
    return script.shots_at(subject.place) if subject.unit == "shot" else script.clips_at(subject.place)


def _is_true(predicate: nodes.Predicate, unit: Seen | Bought) -> bool:
    clip = unit.clip if isinstance(unit, Seen) else unit
    shots = (unit.shot,) if isinstance(unit, Seen) else clip.request.shots
    if isinstance(predicate, nodes.UsesReference):
        name = unicodedata.normalize("NFC", predicate.name.value)
        return any(name in shot.uses for shot in shots)
    if isinstance(predicate, nodes.UsesModel):
        return clip.request.model == predicate.name.value
    if isinstance(predicate, nodes.Lasts):
        seconds = sum(shot.seconds for shot in shots)
        return seconds > predicate.seconds if predicate.than == "longer" else seconds < predicate.seconds
    if isinstance(predicate, nodes.Says):
        words = folded(predicate.words.value)
        return any(words in folded(text) for text in _texts(predicate, unit))
    return clip.audio is True


def _texts(says: nodes.Says, unit: Seen | Bought) -> list[str]:
    """Return what is spoken, or what is sent: the prompt as it is, and with names where the request has tags."""
    clip = unit.clip if isinstance(unit, Seen) else unit
    shots = (unit.shot,) if isinstance(unit, Seen) else clip.request.shots
    if says.where == "says":
        return [speech.words for shot in shots for speech in shot.speeches]
    texts: list[str] = []
    for shot in shots:
        named = shot.prompt
        # The longest tag first: @Element1 begins @Element10.
        for binding in sorted(clip.request.bindings, key=lambda binding: -len(binding.tag)):
            named = named.replace(binding.tag, f"@{binding.reference.name}")
        texts += [shot.prompt, named]
    return texts


def folded(text: str) -> str:
    """Return words as they are compared: without regard to letter case, blanks, forms of quotes and of letters."""
    plain = unicodedata.normalize("NFKC", text).translate(_QUOTES)
    return " ".join(plain.split()).casefold()


_QUOTES = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"'})


def _notes(predicate: nodes.Predicate, units: Sequence[Seen | Bought], script: Script) -> tuple[Note, ...]:
    def note(unit: Seen | Bought) -> Note:
        name = unit.shot.id if isinstance(unit, Seen) else unit.request.id
        return Note(f'"{name}" {_state(predicate, unit)}', script.span_of(unit))

    return _most(units, note)


def _state(predicate: nodes.Predicate, unit: Seen | Bought) -> str:
    """Say what is there of what was asked for."""
    clip = unit.clip if isinstance(unit, Seen) else unit
    shots = (unit.shot,) if isinstance(unit, Seen) else clip.request.shots
    if isinstance(predicate, nodes.UsesReference):
        names = list(dict.fromkeys(name for shot in shots for name in shot.uses))
        return f"uses {', '.join(f'@{name}' for name in names[:MAX_NOTES])}" if names else "uses no reference"
    if isinstance(predicate, nodes.UsesModel):
        return f"is made by {clip.request.model}"
    if isinstance(predicate, nodes.Lasts):
        return f"lasts {sum(shot.seconds for shot in shots)} s"
    if isinstance(predicate, nodes.Says):
        if predicate.where == "says":
            spoken = _texts(predicate, unit)
            return f"says {_quoted(' / '.join(spoken))}" if spoken else "says nothing"
        return f"is sent {_quoted(' / '.join(shot.prompt for shot in shots))}"
    return "has audio" if clip.audio else "has no audio"


def _quoted(text: str) -> str:
    return f'"{text}"' if len(text) <= _SHOWN else f'"{text[:_SHOWN]}…"'


def _predicate_words(predicate: nodes.Predicate) -> str:
    if isinstance(predicate, nodes.UsesReference):
        return f"uses @{predicate.name.value}"
    if isinstance(predicate, nodes.UsesModel):
        return f"uses model {predicate.name.value}"
    if isinstance(predicate, nodes.Lasts):
        return f"is {predicate.than} than {predicate.seconds} s"
    if isinstance(predicate, nodes.Says):
        return f"{predicate.where} {_quoted(predicate.words.value)}"
    return "has audio"


_DENIED = {
    "uses": "does not use",
    "is": "is not",
    "says": "does not say",
    "prompts": "does not prompt",
    "has": "has no",
}
_PLURAL = {"uses": "use", "is": "are", "says": "say", "prompts": "prompt", "has": "have", "does": "do"}


def _denied(words: str) -> str:
    first, _, rest = words.partition(" ")
    return f"{_DENIED[first]} {rest}"


def _plural(words: str, units: Sequence[object]) -> str:
    first, _, rest = words.partition(" ")
    return words if len(units) == 1 else f"{_PLURAL[first]} {rest}"


def _some(units: Sequence[object], of: Sequence[object], noun: str) -> str:
    if len(of) == 1:
        return f"the one {noun}"
    return f"{len(units)} of {len(of)} {noun}s"


def _holds(amount: Decimal, limit: nodes.Limit) -> bool:
    if limit.sign == "between":
        return limit.high is not None and limit.low <= amount <= limit.high
    if limit.sign == "=":
        return amount == limit.low
    if limit.sign in ("<", "<="):
        return amount < limit.low or (limit.sign == "<=" and amount == limit.low)
    return amount > limit.low or (limit.sign == ">=" and amount == limit.low)


def _wanted(limit: nodes.Limit, unit: str) -> str:
    def shown(number: Decimal) -> str:
        return dollars(number) if unit == "$" else f"{number} s" if unit else str(number)

    if limit.sign == "between":
        return f"{shown(limit.low)} to {shown(limit.high or limit.low)}"
    return f"{_SIGNS[limit.sign]}{shown(limit.low)}"


def _in(place: nodes.Place | None) -> str:
    return "" if place is None else f" in {place.kind} {place.name.value}"


def _takes(clip: Bought) -> str:
    return f", {clip.request.takes} takes" if clip.request.takes > 1 else ""


def _most(units: Sequence[Unit], note: Callable[[Unit], Note]) -> tuple[Note, ...]:
    """Return the notes of the first units, and how many more there are."""
    shown = tuple(note(unit) for unit in units[:MAX_NOTES])
    return shown if len(units) <= MAX_NOTES else (*shown, Note(f"and {len(units) - MAX_NOTES} more"))


def _failed(stated: Stated, message: str, notes: tuple[Note, ...] = (), hint: str = "") -> Diagnostic:
    hint = hint or "change the film, or what is expected of it"
    return error("expect-failed", message, stated.span, notes=notes, hint=hint)
