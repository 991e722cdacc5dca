"""The checks: pure functions over one request, one passage, one media file or the whole film, listed in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from kling_dsl import ir
from kling_dsl.checks.fields import (
    PriceAt,
    check_fractions,
    check_length,
    check_prompt_length,
    check_shot_count,
    check_taken,
    check_values,
    check_voice,
)
from kling_dsl.checks.film import Named, check_budget, check_chains, check_ids, check_repeats, check_unused
from kling_dsl.checks.media import check_angles, check_picture, check_presence, check_shared_pictures, check_video
from kling_dsl.checks.prose import check_prose
from kling_dsl.checks.rules import RuleBook
from kling_dsl.checks.script import Bought, SceneMark, Script, Seen, Stated
from kling_dsl.checks.speech import check_speech
from kling_dsl.diagnostics import Diagnostic
from kling_dsl.profiles import Profile

FIELD_CHECKS: tuple[Callable[[ir.Request, Profile], Iterator[Diagnostic]], ...] = (
    check_shot_count,
    check_values,
    check_taken,
)
"""What is asked of every request, one sheet field at a time, besides its lengths and those of its prompts."""


REFERENCE_CHECKS: tuple[Callable[[ir.Reference, Profile], Iterator[Diagnostic]], ...] = (check_angles, check_voice)
"""What is asked of every reference for each model that may read it, its files apart."""


class FieldBook:
    """The field checks for one sheet, with a memory of the requests that pass.

    Most requests of a film are alike in all but their prompts, and nothing but a prompt's length depends on it.
    """

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self._passed: set[object] = set()

    def check(self, request: ir.Request, price_at: PriceAt) -> Iterator[Diagnostic]:
        """Report every field of a request that is outside the sheet's limits; a length is told with its price."""
        yield from check_prompt_length(request, self.profile)
        if request.fractions:
            yield from check_fractions(request, price_at)
        key = (
            request.multi,
            tuple([shot.seconds for shot in request.shots]),
            request.audio,
            request.aspect,
            request.shot_type,
            request.start is None,
            request.end is None,
            tuple(request.extra.items()),
        )
        if key in self._passed:
            return
        found = [*check_length(request, self.profile, price_at)]
        found += (diagnostic for check in FIELD_CHECKS for diagnostic in check(request, self.profile))
        if not found:
            self._passed.add(key)
        yield from found


__all__ = [
    "FIELD_CHECKS",
    "REFERENCE_CHECKS",
    "Bought",
    "FieldBook",
    "Named",
    "RuleBook",
    "SceneMark",
    "Script",
    "Seen",
    "Stated",
    "check_budget",
    "check_chains",
    "check_ids",
    "check_picture",
    "check_presence",
    "check_prose",
    "check_repeats",
    "check_shared_pictures",
    "check_speech",
    "check_unused",
    "check_video",
]
