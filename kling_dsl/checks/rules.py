"""Checks what is sent against the cross-field rules of the model's sheet."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any, Protocol

from kling_dsl import ir
from kling_dsl.calls import values_at
from kling_dsl.diagnostics import Diagnostic, Note, error, warning
from kling_dsl.profiles import (
    ANY_VALUE,
    AtMost,
    ExactlyOne,
    Excludes,
    IgnoredWith,
    Profile,
    Requires,
    Rule,
    SumEquals,
    TotalSeconds,
)
from kling_dsl.source import Span
from kling_dsl.world import Media

Arguments = Mapping[str, Any]
_KEYWORDS = {"start-frame": "start", "end-frame": "end", "aspect": "aspect", "shot-type": "type", "audio": "audio"}


class Measured(Protocol):
    """Where the facts of the media files are found."""

    @property
    def measured(self) -> Mapping[str, Media]:
        """The facts by path."""
        ...


class RuleBook:
    """The rules of one sheet, with a memory of which shapes of arguments keep all the rules that only count."""

    def __init__(self, profile: Profile, media: Measured) -> None:
        self.profile = profile
        self.media = media
        self._counting = tuple(
            rule for rule in profile.rules if isinstance(rule, AtMost | ExactlyOne | Requires | Excludes)
        )
        self._measuring = tuple(
            (rule, _fields_of(rule))
            for rule in profile.rules
            if isinstance(rule, SumEquals | TotalSeconds | IgnoredWith)
        )
        self._required = tuple(name for name, field in profile.fields.items() if field.required)
        self._lists = tuple(
            (name, field)
            for name, field in profile.fields.items()
            if field.role in ("images", "videos", "voices", "elements")
            and (field.max_items or field.min_items or ANY_VALUE in field.doubtful)
        )
        self._broken: dict[object, tuple[Rule, ...]] = {}

    def check(self, request: ir.Request, arguments: Arguments, shape: object) -> Iterator[Diagnostic]:
        """Report every rule that the arguments of a request break; `shape` is that of the arguments."""
        broken = self._broken.get(shape)
        if broken is None:
            broken = tuple(rule for rule in self._counting if breaks(rule, arguments))
            self._broken[shape] = broken
        for rule in broken:
            yield self._word(rule, request, arguments)
        if self._required:
            yield from self._check_required(request, arguments)
        if self._lists:
            yield from self._check_lists(request, arguments)
        for rule, first in self._measuring:
            if not first.isdisjoint(arguments):
                yield from self._measure(rule, request, arguments)

    def _check_required(self, request: ir.Request, arguments: Arguments) -> Iterator[Diagnostic]:
        for name in self._required:
            if not values_at(arguments, name):
                field = self.profile.fields[name]
                keyword = field.attribute or _KEYWORDS.get(field.role or "", "")
                yield error(
                    "missing-field",
                    f'{self.profile.name} needs {_keyword(self.profile, name)}, and "{request.id}" gives none',
                    request.span,
                    notes=(self._basis(field.source, f"it is required ({field.confidence}"),),
                    hint=f"write `  {keyword}: …` under the shot" if keyword else "mention a reference that fills it",
                )

    def _check_lists(self, request: ir.Request, arguments: Arguments) -> Iterator[Diagnostic]:
        for name, field in self._lists:
            count = len(values_at(arguments, name))
            most = field.max_items
            if count and ANY_VALUE in field.doubtful:
                yield warning(
                    "value-doubtful",
                    f'"{request.id}" gives {_keyword(self.profile, name)}, and that may be ignored:'
                    f" {field.doubtful[ANY_VALUE]}",
                    request.span,
                    notes=(self._basis(field.source, f"how sure this is: {field.confidence} (read"),),
                    hint="look it up before you buy, or drop it",
                )
            if count and ((most is not None and count > most) or count < (field.min_items or 0)):
                bounds = f"{most} at most" if most is not None and count > most else f"{field.min_items} at least"
                yield error(
                    "list-length",
                    f'"{request.id}" gives {count} {_keyword(self.profile, name)}, and {self.profile.name} takes {bounds}',
                    request.span,
                    notes=(self._basis(field.source, f"this limit holds ({field.confidence}"),),
                    hint="mention fewer of them" if most is not None and count > most else "mention more of them",
                )

    def _word(self, rule: Rule, request: ir.Request, arguments: Arguments) -> Diagnostic:
        name = self.profile.name
        what = f'{"CLIP" if request.multi else "shot"} "{request.id}"'
        also: tuple[Span, ...] = ()
        label = hint = ""
        if isinstance(rule, AtMost):
            total = weigh(rule, arguments)
            message = f"{what} uses {total} {rule.noun}, but {name} accepts {rule.max}"
            if rule.given:
                message += f" with {' or '.join(_keyword(self.profile, path) for path in rule.given if values_at(arguments, path))}"
            extra = _over(rule, request, self.profile, arguments)
            span, also = (extra[0], extra[1:]) if extra else (self._span(rule.given, request), ())
            label = "over the limit" if extra else ""
            hint = f"drop {total - rule.max} of them, or split the shot"
        elif isinstance(rule, Requires):
            message = f"{what} gives {_keyword(self.profile, rule.field)} without {_words(self.profile, rule.needs)}"
            span = self._span((rule.field,), request)
            hint = f"add {_words(self.profile, rule.needs)}"
        elif isinstance(rule, Excludes):
            others = tuple(path for path in rule.others if values_at(arguments, path)) or rule.others
            message = f"{what} gives {_keyword(self.profile, rule.field)} together with {_words(self.profile, others)}"
            span = self._span((rule.field,), request)
            hint = "drop one of the two"
        else:
            assert isinstance(rule, ExactlyOne), "only rules that count are broken by a shape"
            message = f"{what} must give exactly one of {_words(self.profile, rule.of)}"
            span = self._span(rule.of, request)
            hint = "give one, and only one, of them"
        return self._diagnose(rule, message, span, also=also, label=label, hint=hint)

    def _measure(self, rule: Rule, request: ir.Request, arguments: Arguments) -> Iterator[Diagnostic]:
        if isinstance(rule, SumEquals):
            parts = values_at(arguments, rule.of)
            total = values_at(arguments, rule.total)
            if parts and total and sum(int(str(part)) for part in parts) != int(str(total[0])):
                yield self._diagnose(
                    rule,
                    f'the shots of "{request.id}" do not add up to the clip\'s {total[0]} s',
                    request.span,
                    hint="change a length",
                )
        elif isinstance(rule, TotalSeconds):
            lengths = [
                seconds for address in values_at(arguments, rule.of) if (seconds := self._seconds(address)) is not None
            ]
            total_seconds = sum(lengths, Decimal(0))
            if lengths and (
                (rule.max is not None and total_seconds > rule.max)
                or (rule.min is not None and total_seconds < rule.min)
            ):
                bounds = f"{rule.min if rule.min is not None else 0} to {rule.max if rule.max is not None else '…'} s"
                yield self._diagnose(
                    rule,
                    f'the videos of "{request.id}" last {total_seconds} s together, and {self.profile.name} takes {bounds}',
                    request.span,
                    hint="cut them to length",
                )
        elif isinstance(rule, IgnoredWith) and any(values_at(arguments, path) for path in rule.given):
            yield from self._ignored(rule, request, arguments)

    def _ignored(self, rule: IgnoredWith, request: ir.Request, arguments: Arguments) -> Iterator[Diagnostic]:
        asked = str(arguments.get(rule.field, ""))
        width, colon, height = asked.partition(":")
        if not isinstance(request.start, ir.File) or not colon:
            return
        media = self.media.measured.get(request.start.path)
        if media is None or not media.height or not width.isdigit() or not height.isdigit():
            return
        # A picture within two parts in a hundred of the asked shape is cut by nobody's eye.
        if abs(media.width * int(height) - media.height * int(width)) * 50 > media.height * int(width):
            yield self._diagnose(
                rule,
                f'"{request.id}" asks for {asked}, and its start frame is {media.width}×{media.height}',
                self._span(rule.given, request),
                hint="crop the picture, or ask for its shape with aspect:",
            )

    def _seconds(self, address: str) -> Decimal | None:
        for media in self.media.measured.values():
            if media.seconds is not None and address.startswith(f"asset:{media.sha256}/"):
                return Decimal(str(media.seconds))
        return None

    def _span(self, paths: tuple[str, ...], request: ir.Request) -> Span:
        for path in paths:
            role = self.profile.paths[path].role or ""
            if span := request.places.get(_KEYWORDS.get(role, "")):
                return span
            if path.startswith(self.profile.roles.get("elements", "\n") + "."):
                for binding in request.bindings:
                    if binding.place == "elements":
                        return binding.span
        return request.span

    def _diagnose(
        self, rule: Rule, message: str, span: Span, *, also: tuple[Span, ...] = (), label: str = "", hint: str = ""
    ) -> Diagnostic:
        note = self._basis(rule.source, f"{rule.because} ({rule.confidence}")
        return Diagnostic(rule.slug, rule.severity, message, span, label=label, also=also, notes=(note,), hint=hint)

    def _basis(self, source: str, words: str) -> Note:
        stated = self.profile.sources[source]
        return Note(f"{words}: {stated.title}, {stated.date})")


def _fields_of(rule: SumEquals | TotalSeconds | IgnoredWith) -> frozenset[str]:
    """Return the fields without which there is nothing to measure."""
    paths = rule.given if isinstance(rule, IgnoredWith) else (rule.of,)
    return frozenset(path.partition(".")[0] for path in paths)


def breaks(rule: Rule, arguments: Arguments) -> bool:
    """Say whether arguments break a rule that only counts; rules on a list's items are asked of each item."""
    if isinstance(rule, AtMost):
        applies = not rule.given or any(values_at(arguments, path) for path in rule.given)
        return applies and weigh(rule, arguments) > rule.max
    paths = _paths(rule)
    outer = paths[0].rpartition(".")[0]
    if outer and all(path.rpartition(".")[0] == outer for path in paths):
        return any(_breaks_given(rule, _given_by(item, outer)) for item in values_at(arguments, outer))
    return _breaks_given(rule, _given_by(arguments, ""))


def _given_by(arguments: Arguments, outer: str) -> Callable[[str], bool]:
    """Return what says whether the field at a path is given, in the arguments or in one item of their list `outer`."""
    return lambda path: bool(values_at(arguments, path[len(outer) + 1 :] if outer else path))


def _breaks_given(rule: Rule, given: Callable[[str], bool]) -> bool:
    if isinstance(rule, ExactlyOne):
        return sum(given(path) for path in rule.of) != 1
    if isinstance(rule, Requires):
        return given(rule.field) and not any(given(path) for path in rule.needs)
    if isinstance(rule, Excludes):
        return given(rule.field) and any(given(path) for path in rule.others)
    return False


def _paths(rule: Rule) -> tuple[str, ...]:
    if isinstance(rule, ExactlyOne):
        return rule.of
    if isinstance(rule, Requires):
        return (rule.field, *rule.needs)
    assert isinstance(rule, Excludes), "only these rules ask which fields are given"
    return (rule.field, *rule.others)


def weigh(rule: AtMost, arguments: Arguments) -> int:
    """Return what the counted fields of the arguments weigh together."""
    return sum(len(values_at(arguments, path)) * weight for path, weight in rule.counts.items())


def _over(rule: AtMost, request: ir.Request, profile: Profile, arguments: Arguments) -> tuple[Span, ...]:
    """Return where the references stand that come after the limit is full."""
    weights: dict[str | None, int] = {profile.paths[path].role: weight for path, weight in rule.counts.items()}
    total = sum(
        weights.get(role, 0) for role, frame in (("start-frame", request.start), ("end-frame", request.end)) if frame
    )
    spans: list[Span] = []
    for binding in request.bindings:
        roles = {binding.place, *({"element-video"} if binding.reference.video else ())}
        weight = max((weights.get(role, 0) for role in roles), default=0)
        total += weight
        if weight and total > rule.max:
            spans.append(binding.span)
    return tuple(dict.fromkeys(spans))


def _words(profile: Profile, paths: tuple[str, ...]) -> str:
    return " or ".join(_keyword(profile, path) for path in paths)


def _keyword(profile: Profile, path: str) -> str:
    """Return how a writer knows a field: by its attribute, in words, or by the field's own name."""
    field = profile.paths[path]
    named = {
        "start-frame": "a start frame",
        "end-frame": "an end frame",
        "shots": "several shots",
        "prompt": "a prompt of its own",
        "elements": "elements",
        "images": "loose pictures",
        "videos": "videos",
        "element-front": "an element's front",
        "element-angles": "an element's angles",
        "element-video": "an element's video",
        "element-voice": "an element's voice",
        "voices": "voices",
    }
    return named.get(field.role or "") or (f"{field.attribute}:" if field.attribute else path)
