"""Checks spoken lines against what a model can speak in the time that a shot has."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from kling_dsl import ir
from kling_dsl.diagnostics import Diagnostic, Note, warning
from kling_dsl.patterns import Rare
from kling_dsl.profiles import Profile, Speech

_HAN = Rare("[\u3400-\u4dbf\u4e00-\u9fff]")
_WORD = Rare(r"[^\W_]+(?:['’-][^\W_]+)*")
_SCRIPTS = (
    ("ja", "Japanese", "\u3040", "\u30ff"),
    ("ko", "Korean", "\uac00", "\ud7af"),
    ("ru", "Cyrillic", "\u0400", "\u04ff"),
    ("ar", "Arabic", "\u0600", "\u06ff"),
    ("he", "Hebrew", "\u0590", "\u05ff"),
    ("hi", "Devanagari", "\u0900", "\u097f"),
    ("el", "Greek", "\u0370", "\u03ff"),
    ("th", "Thai", "\u0e00", "\u0e7f"),
)
"""Language codes with their script's first and last letter; the Latin script tells no language."""

_HAN_PER_WORD = 2
"""Spoken Chinese takes about two characters in the time of an English word."""


def check_speech(request: ir.Request, profile: Profile, words_per_second: Decimal | None) -> Iterator[Diagnostic]:
    """Report speech without sound, speech too long for its shot, and speech that the model will not say as written.

    `words_per_second` is the project's own measure, or None for the sheet's.
    """
    limits = profile.speech
    silent = not _sounds(request, profile)
    for shot in request.shots:
        if not shot.speeches:
            continue
        if silent:
            yield warning(
                "silent-dialogue",
                f'"{shot.id}" has dialogue, and its audio is off',
                shot.speeches[0].span,
                hint="write `Audio: on` on the title page, or `audio: on` under the shot, unless only the lips shall move",
            )
        if limits is None:
            continue
        spoken = sum(count_words(speech.words) for speech in shot.speeches)
        room = (words_per_second or limits.words_per_second) * shot.seconds
        if spoken > room:
            yield warning(
                "long-dialogue",
                f'"{shot.id}" speaks {spoken} words in {shot.seconds} s, and about {int(room)} fit',
                shot.speeches[0].span,
                notes=(_basis(profile, limits),),
                hint="shorten the words, or give the shot more seconds",
            )
        for speech in shot.speeches:
            yield from _check_words(speech, profile, limits)


def count_words(words: str) -> int:
    """Count spoken words; Chinese characters count as parts of one."""
    han = len(_HAN().findall(words))
    return len(_WORD().findall(_HAN().sub(" ", words))) + -(-han // _HAN_PER_WORD)


def _check_words(speech: ir.Speech, profile: Profile, limits: Speech) -> Iterator[Diagnostic]:
    for code, name, first, last in () if speech.words.isascii() else _SCRIPTS:
        if code not in limits.languages and any(first <= char <= last for char in speech.words):
            yield warning(
                "translated-speech",
                f"{profile.name} speaks {' and '.join(limits.languages)}, so this {name} line will be spoken in translation",
                speech.span,
                notes=(_basis(profile, limits),),
                hint="write it in a language that the model speaks, or dub it afterwards",
            )
            return
    letters = [char for char in speech.words if char.isalpha() and char.lower() != char.upper()]
    if len(_WORD().findall(speech.words)) > 2 and letters and all(char.isupper() for char in letters):
        yield warning(
            "shouted-dialogue",
            "words in capitals are read as names and acronyms, letter by letter",
            speech.span,
            notes=(_basis(profile, limits),),
            hint="write speech in lower case, and how it is said in the brackets: MIRA (shouting): …",
        )


def _sounds(request: ir.Request, profile: Profile) -> bool:
    path = profile.roles.get("audio")
    if request.audio is not None or path is None:
        return bool(request.audio)
    return bool(profile.paths[path].default)


def _basis(profile: Profile, limits: Speech) -> Note:
    source = profile.sources[limits.source]
    return Note(f"this is {limits.confidence}: {source.title}, {source.date}")
