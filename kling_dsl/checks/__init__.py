"""The checks: pure functions over one request, one passage, one media file or the whole film, listed in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from kling_dsl import ir
from kling_dsl.checks.fields import check_length, check_prompt_length, check_shot_count, check_taken, check_values
from kling_dsl.checks.film import Named, check_budget, check_chains, check_ids, check_repeats, check_unused
from kling_dsl.checks.media import check_angles, check_picture, check_presence, check_shared_pictures, check_video
from kling_dsl.checks.prose import check_prose
from kling_dsl.checks.rules import RuleBook
from kling_dsl.checks.speech import check_speech
from kling_dsl.diagnostics import Diagnostic
from kling_dsl.profiles import Profile

FIELD_CHECKS: tuple[Callable[[ir.Request, Profile], Iterator[Diagnostic]], ...] = (
    check_prompt_length,
    check_length,
    check_shot_count,
    check_values,
    check_taken,
)
"""What is asked of every request, one sheet field at a time."""

__all__ = [
    "FIELD_CHECKS",
    "Named",
    "RuleBook",
    "check_angles",
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
