"""What a model accepts, costs and gives: the model sheets of `specs/models/`, read into frozen values."""

from __future__ import annotations

from decimal import Decimal
from functools import cached_property
from typing import Literal

import msgspec

Confidence = Literal["certain", "high", "medium", "doubt"]
RuleSeverity = Literal["error", "warning"]
Role = Literal[
    "prompt",
    "shots",
    "shot-prompt",
    "shot-duration",
    "start-frame",
    "end-frame",
    "images",
    "videos",
    "voices",
    "elements",
    "element-front",
    "element-angles",
    "element-video",
    "element-voice",
    "audio",
    "duration",
    "shot-type",
    "aspect",
]
Value = bool | int | float | str


ANY_VALUE = "*"
"""Stands among a field's doubtful values for whatever is given."""


class Sheet(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, dict=True):
    """Base of every part of a sheet: an unknown key is a mistake."""


class Source(Sheet, frozen=True, kw_only=True):
    """Where facts of a sheet were read: `date` is the day of that reading (ISO)."""

    title: str
    url: str
    date: str


class Field(Sheet, frozen=True, kw_only=True):
    """One argument of the endpoint.

    `role` names the part of a film that fills it; a field without a role is filled by the writer's `attribute`.
    `min` and `max` bound a number, or the seconds of a duration that is sent as a string. `doubtful` maps accepted
    values, or `*` for any, to the reason why they draw a warning.
    """

    type: Literal["string", "integer", "number", "boolean", "list", "object"]
    role: Role | None = None
    attribute: str | None = None
    send: Literal["always", "when-set"] = "when-set"
    required: bool = False
    default: Value | None = None
    values: tuple[str | int, ...] = ()
    doubtful: dict[str, str] = {}
    min: Decimal | None = None
    max: Decimal | None = None
    max_characters: int | None = None
    min_items: int | None = None
    max_items: int | None = None
    media: Literal["image", "video"] | None = None
    items: Field | None = None
    fields: dict[str, Field] = {}
    confidence: Confidence = "high"
    source: str


class RuleBase(Sheet, frozen=True, kw_only=True):
    """What every cross-field rule states; field paths are `elements` or, inside a list, `elements.video_url`.

    An `exactly-one`, `requires` or `excludes` whose paths all lie inside one list speaks of each item of that list by
    itself; every other rule speaks of the whole request.
    """

    slug: str
    severity: RuleSeverity = "error"
    confidence: Confidence
    source: str
    because: str
    """Why the rule is there, in a sentence that is shown to the writer."""


class ExactlyOne(RuleBase, frozen=True, kw_only=True, tag="exactly-one", tag_field="kind"):
    """Exactly one of the fields is given."""

    of: tuple[str, ...]


class AtMost(RuleBase, frozen=True, kw_only=True, tag="at-most", tag_field="kind"):
    """The values at the `counts` paths, weighed, number `max` at most, when any field of `given` is sent, or always.

    A list counts its items, a single field counts 1 when it is sent, a path inside a list counts the items with it.
    """

    counts: dict[str, int]
    noun: str
    max: int
    given: tuple[str, ...] = ()


class Requires(RuleBase, frozen=True, kw_only=True, tag="requires", tag_field="kind"):
    """A request that gives `field` gives one of `needs` as well."""

    field: str
    needs: tuple[str, ...]


class Excludes(RuleBase, frozen=True, kw_only=True, tag="excludes", tag_field="kind"):
    """A request that gives `field` gives none of `others`."""

    field: str
    others: tuple[str, ...]


class SumEquals(RuleBase, frozen=True, kw_only=True, tag="sum-equals", tag_field="kind"):
    """The whole seconds at `of` add up to those of `total`."""

    of: str
    total: str


class TotalSeconds(RuleBase, frozen=True, kw_only=True, tag="total-seconds", tag_field="kind"):
    """The videos at `of` last between `min` and `max` seconds together."""

    of: str
    min: Decimal | None = None
    max: Decimal | None = None


class IgnoredWith(RuleBase, frozen=True, kw_only=True, tag="ignored-with", tag_field="kind"):
    """The endpoint ignores `field` when any of `given` is sent: warn when the picture differs from what was asked."""

    field: str
    given: tuple[str, ...]


Rule = ExactlyOne | AtMost | Requires | Excludes | SumEquals | TotalSeconds | IgnoredWith


class Price(Sheet, frozen=True, kw_only=True):
    """US dollars per billed second, for requests that send these values and fields; the first match counts."""

    usd_per_second: Decimal
    when: dict[str, bool | int | str] = {}
    given: tuple[str, ...] = ()
    confidence: Confidence
    source: str


class Billing(Sheet, frozen=True, kw_only=True):
    """Which seconds are billed: `output`, and paths of input videos that are added; never under the minimum."""

    seconds: tuple[str, ...] = ("output",)
    minimum_seconds: int = 0

    @property
    def counts_input(self) -> bool:
        """Whether the length of an input video is part of the bill."""
        return any(path != "output" for path in self.seconds)


class PromptForms(Sheet, frozen=True, kw_only=True):
    """How the parts of a prompt are worded; `n` counts from 1."""

    element: str = ""
    image: str = ""
    video: str = ""
    voice: str = ""
    heading: str = "{heading}."
    camera: str = "{camera}."
    look: str = "{look}."
    dialogue: str = '{speaker} says: "{words}"'
    dialogue_with_manner: str = '{speaker} says ({manner}): "{words}"'
    described: str = "{name} ({description})"
    order: tuple[Literal["heading", "camera", "action", "look"], ...] = ("heading", "camera", "action", "look")
    source: str


class Speech(Sheet, frozen=True, kw_only=True):
    """What the model can speak: languages by ISO 639-1 code, and the most English words that fit into a second."""

    languages: tuple[str, ...] = ()
    words_per_second: Decimal
    confidence: Confidence
    source: str


class ImageLimits(Sheet, frozen=True, kw_only=True):
    """What a picture must be: sizes in pixels, aspect as width divided by height."""

    kinds: tuple[str, ...]
    doubtful_kinds: tuple[str, ...] = ()
    max_bytes: int
    min_width: int
    min_height: int
    min_aspect: Decimal
    max_aspect: Decimal
    source: str


class VideoLimits(Sheet, frozen=True, kw_only=True):
    """What a video must be: sizes in pixels, lengths in seconds."""

    kinds: tuple[str, ...]
    doubtful_kinds: tuple[str, ...] = ()
    max_bytes: int
    min_width: int
    min_height: int
    max_width: int
    max_height: int
    min_seconds: Decimal
    max_seconds: Decimal
    min_frames_per_second: Decimal
    max_frames_per_second: Decimal
    source: str


class MediaLimits(Sheet, frozen=True, kw_only=True):
    """The limits of each kind of media that the endpoint takes."""

    image: ImageLimits | None = None
    video: VideoLimits | None = None


class Output(Sheet, frozen=True, kw_only=True):
    """What the finished clip should measure, by aspect ratio: `sizes` maps `16:9` to `[3840, 2160]`."""

    container: str
    frames_per_second: Decimal
    sizes: dict[str, tuple[int, int]]
    confidence: Confidence
    source: str


class Profile(Sheet, frozen=True, kw_only=True):
    """One model sheet: an endpoint, its fields in the order they are sent, its rules, prices, wording and output."""

    format: Literal[1]
    name: str
    title: str
    endpoint: str
    drafts: tuple[str, ...] = ()
    """Names of cheaper sheets that take the same requests."""
    sources: dict[str, Source]
    fields: dict[str, Field]
    rules: tuple[Rule, ...] = ()
    prices: tuple[Price, ...]
    billing: Billing = Billing()
    prompt: PromptForms
    speech: Speech | None = None
    media: MediaLimits = MediaLimits()
    output: Output

    @cached_property
    def paths(self) -> dict[str, Field]:
        """Every field by its path, outer before inner: `elements` first, `elements.video_url` later."""
        found: dict[str, Field] = {}
        pending = [("", self.fields)]
        while pending:
            prefix, fields = pending.pop(0)
            for name, field in fields.items():
                found[prefix + name] = field
                pending.append((f"{prefix}{name}.", field.fields or (field.items.fields if field.items else {})))
        return found

    @cached_property
    def roles(self) -> dict[str, str]:
        """The path of the field that fills each role of the model: `{"shot-prompt": "multi_prompt.prompt"}`."""
        return {field.role: path for path, field in self.paths.items() if field.role}

    @cached_property
    def attributes(self) -> dict[str, str]:
        """The field name behind each further attribute that the model gives to shots, clips and scenes."""
        return {field.attribute: name for name, field in self.fields.items() if field.attribute}
