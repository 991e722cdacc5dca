"""The price of one take, from its arguments: what is billed, by which price, and what may be remembered of it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from foreign_sheet import FILE, FOREIGN, builtin_text, load, replaced
from helpers import compile_text

from kling_dsl.calls import shape_of
from kling_dsl.costs import Pricer
from kling_dsl.sheets import Profiles

WALK, RUN = "asset:1/walk.mp4", "asset:2/run.mp4"
LENGTHS = {WALK: Decimal(4), RUN: Decimal("3.5")}


def bill(pricer: Pricer, lengths: Mapping[str, Decimal] = LENGTHS, **arguments: Any) -> tuple[str, str] | None:
    """Return the dollars and the billed seconds of a take."""
    cost = pricer.price(arguments, shape_of(arguments), lengths)
    return None if cost is None else (str(cost.usd.normalize()), str(cost.billed_seconds))


def test_output_and_input_are_billed_together_whichever_the_sheet_names_first() -> None:
    for text in (FOREIGN, replaced('"output", "reference_videos"', '"reference_videos", "output"')):
        pricer = Pricer(load(text))
        assert bill(pricer, resolution="720p", seconds=6, reference_videos=[WALK, RUN]) == ("1.89", "13.5")


def test_requests_of_one_shape_with_videos_of_other_lengths_cost_what_theirs_last() -> None:
    pricer = Pricer(load(FOREIGN))
    assert bill(pricer, resolution="720p", seconds=6, reference_videos=[WALK]) == ("1.4", "10")
    assert bill(pricer, resolution="720p", seconds=6, reference_videos=[RUN]) == ("1.33", "9.5")


ONLY_INPUT = replaced(
    '["output", "reference_videos"]\nminimum_seconds = 4', '["reference_videos"]\nminimum_seconds = 1'
)


def test_a_sheet_may_bill_the_input_alone() -> None:
    pricer = Pricer(load(ONLY_INPUT))
    assert bill(pricer, resolution="720p", seconds=6, reference_videos=[WALK]) == ("0.56", "4")
    assert bill(pricer, resolution="720p", seconds=6, reference_videos=[RUN]) == ("0.49", "3.5")
    assert bill(pricer, {}, resolution="720p", seconds=6, reference_videos=[WALK]) is None


def test_a_film_for_a_sheet_that_bills_the_input_alone_has_a_price() -> None:
    film = "Model: lumen-film\n\nPROP Walk\n  video: refs/walk.mp4\n\nSHOT a 6s\n@Walk moves.\n"
    compilation = compile_text(film, profiles=Profiles.of({FILE: ONLY_INPUT}))
    assert compilation.diagnostics == ()
    # The video of the test's world lasts five seconds.
    assert compilation.total_usd == Decimal("0.70")


def test_the_smallest_bill_is_the_sheets() -> None:
    assert bill(Pricer(load(FOREIGN)), resolution="720p", seconds=2) == ("0.56", "4")


@pytest.mark.parametrize(("audio", "usd"), [(True, "0.7"), (False, "0.56")])
def test_what_is_remembered_is_kept_apart_by_what_sets_the_price(audio: bool, usd: str) -> None:
    pricer = Pricer(load(builtin_text("o3-pro")))
    for _ in range(2):
        assert bill(pricer, prompt="Rain.", generate_audio=audio, duration="5") == (usd, "5")
        assert bill(pricer, prompt="Rain.", generate_audio=audio, duration="10") == (str(2 * Decimal(usd)), "10")
        assert bill(pricer, prompt="Rain.", generate_audio=not audio, duration="5") != (usd, "5")
