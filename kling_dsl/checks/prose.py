"""Lints prose for habits of other tools that this kind of model ignores, and for names that lost their @."""

from __future__ import annotations

import re
from collections.abc import Iterator

from kling_dsl import nodes
from kling_dsl.diagnostics import Diagnostic, Edit, Fix, warning
from kling_dsl.patterns import Rare


def _in_every_case(*words: str) -> frozenset[str]:
    """Return words as they are written in a sentence, at its start and in a heading."""
    return frozenset(form for word in words for form in (word, word.capitalize(), word.upper()))


_WORD = Rare(r"(?<![\w@])\w+")
_APART = "".join(char if char.isalnum() or char in "_@" else " " for char in map(chr, range(128)))
"""Turns ASCII punctuation into blanks, so that splitting gives words, in a third of the time that a pattern takes."""
_NOTE = Rare(r"(?<!\\)(?<!\\\[)\[\[.*?(?:\]\]|\Z)", re.DOTALL)
_WEIGHT = Rare(r"\((?=[^():\n]*[^\W\d_])([^():\n]{1,60}):[ \t]*[0-9]*\.?[0-9]+\)|\w+::[0-9.]+|\({2,}[^()\n]+\){2,}")
_NEGATIVE = Rare(
    r"(?i)(?:negative[ \t]+prompt\b|--no\b"
    r"|\b(?:no|without)[ \t]+(?:text|watermarks?|blur(?:ry)?|distortions?|artifacts?|logos?|subtitles?|captions?|deformed|extra|bad|ugly|low)\b"
    r"|\bavoid[ \t]+(?:any[ \t]+)?(?:blur|distortions?|artifacts?|text|watermarks?)\b)"
)
_NEGATIVE_TRIGGERS = _in_every_case("negative", "no", "without", "avoid")
_QUALITY = frozenset(
    (
        "masterpiece",
        "photorealistic",
        "hyperrealistic",
        "ultrarealistic",
        "hyperdetailed",
        "ultradetailed",
        "8k",
        "4k",
        "uhd",
        "hdr",
        "award",
        "trending",
        "artstation",
        "unreal",
        "octane",
        "quality",
        "detailed",
        "resolution",
        "stunning",
        "breathtaking",
    )
)
_QUALITY_TRIGGERS = _in_every_case(*_QUALITY)
_PILE = 3
"""Two such words may be a description; three stand for nothing that can be filmed."""


def check_prose(passage: nodes.Passage, names: frozenset[str], caseless: tuple[str, ...]) -> Iterator[Diagnostic]:
    """Report lints of one passage; `names` are the CHARACTERs', `caseless` those in scripts without letter case."""
    raw = passage.raw
    words = {*raw.translate(_APART).split()}
    if not names.isdisjoint(words) or any(name in raw for name in caseless):
        yield from _check_names(passage, names, caseless)
    if "(" in raw or "::" in raw:
        yield from _check_weights(passage)
    if not words.isdisjoint(_NEGATIVE_TRIGGERS) or "--no" in raw:
        yield from _check_negatives(passage)
    if not words.isdisjoint(_QUALITY_TRIGGERS):
        yield from _check_quality(passage)


def _hidden(raw: str) -> str:
    """Return the text with its notes blanked, length kept: they are never sent."""
    return _NOTE().sub(lambda note: " " * len(note[0]), raw) if "[[" in raw else raw


def _check_names(passage: nodes.Passage, names: frozenset[str], caseless: tuple[str, ...]) -> Iterator[Diagnostic]:
    raw = _hidden(passage.raw)
    places = [(match.start(), match[0]) for match in _WORD().finditer(raw) if match[0] in names]
    places += [(match.start(), name) for name in caseless for match in re.finditer(rf"(?<!@){re.escape(name)}", raw)]
    for start, name in places:
        span = passage.span(start, start + len(name))
        yield warning(
            "name-without-at",
            f"{name} stands here without its @, so the model gets the word and not the reference",
            span,
            hint=f"write @{name}",
            fix=Fix(f"write @{name}", (Edit(span, f"@{name}"),)),
        )


def _check_weights(passage: nodes.Passage) -> Iterator[Diagnostic]:
    for match in _WEIGHT().finditer(_hidden(passage.raw)):
        yield warning(
            "weight-syntax",
            f"{match[0]} is the weight syntax of image models, which this model reads as plain words",
            passage.span(match.start(), match.end()),
            hint="say it in words, and say more of what matters more",
        )


def _check_negatives(passage: nodes.Passage) -> Iterator[Diagnostic]:
    for match in _NEGATIVE().finditer(_hidden(passage.raw)):
        yield warning(
            "negative-phrasing",
            f'"{match[0]}" names what shall not be seen, and a prompt tends to show what it names',
            passage.span(match.start(), match.end()),
            hint="describe what is seen instead; a model with a negative prompt has the attribute `negative:`",
        )


def _check_quality(passage: nodes.Passage) -> Iterator[Diagnostic]:
    raw = _hidden(passage.raw)
    found = [match for match in _WORD().finditer(raw) if match[0].lower() in _QUALITY]
    if len({match[0].lower() for match in found}) >= _PILE:
        yield warning(
            "quality-words",
            f"{len(found)} words here praise the picture instead of describing it",
            passage.span(found[0].start(), found[0].end()),
            also=tuple(
                passage.span(match.start(), match.end())
                for match in found[1:]
                if raw.count("\n", found[0].start(), match.start()) == 0
            ),
            hint="name light, lens, colour and movement: the resolution is the model's own",
        )
