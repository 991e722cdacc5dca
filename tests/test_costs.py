"""Money: every price by its conditions, sums recomputed by other means, and no binary fraction anywhere."""

from __future__ import annotations

import json
import tomllib
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

import foreign_sheet
import pytest
from commands import TODAY, Project, picture, refuse_float, video
from helpers import compile_text
from hypothesis import given, settings
from hypothesis import strategies as st

from kling_dsl import resources
from kling_dsl.money import decimal_string, dollars

VOICE = "CHARACTER Mira\n  voice: voice-7\nA keeper.\n\n"


def sheet(name: str) -> Any:
    """Read a sheet with the standard library alone."""
    text = resources.specs_path("models", f"{name}.toml").read_text(encoding="utf-8")
    return tomllib.loads(text, parse_float=Decimal)


def cost(source: str, **options: Any) -> Decimal:
    compilation = compile_text(source, **options)
    assert not compilation.failed, [d.message for d in compilation.diagnostics]
    return compilation.total_usd


@pytest.mark.parametrize(
    ("model", "audio", "usd"),
    [
        ("o3-4k", "off", "2.10"),
        ("o3-4k", "on", "2.10"),
        ("o3-pro", "off", "0.56"),
        ("o3-pro", "on", "0.70"),
        ("o3-standard", "off", "0.42"),
        ("o3-standard", "on", "0.56"),
        ("v3-pro-text", "off", "0.56"),
        ("v3-pro-text", "on", "0.84"),
        ("v3-pro-image", "off", "0.56"),
        ("v3-pro-image", "on", "0.84"),
    ],
)
def test_five_seconds_with_and_without_audio(model: str, audio: str, usd: str) -> None:
    start = "  start: refs/s.png\n" if model == "v3-pro-image" else ""
    assert cost(f"Model: {model}\nAudio: {audio}\n\nSHOT a 5s\n{start}Rain.\n") == Decimal(usd)


@pytest.mark.parametrize(("audio", "usd"), [("on", "0.98"), ("off", "0.56")])
def test_a_bound_voice_has_its_price_only_where_there_is_sound(audio: str, usd: str) -> None:
    assert cost(f"Model: v3-pro-text\nAudio: {audio}\n\n{VOICE}SHOT a 5s\n@Mira turns.\nMIRA: Back.\n") == Decimal(usd)


def test_a_shot_without_the_voice_pays_nothing_for_it() -> None:
    film = f"Model: v3-pro-text\nAudio: on\n\n{VOICE}SHOT a 5s\n@Mira turns.\nMIRA: Back.\n\nSHOT b 5s\nRain.\n"
    assert cost(film) == Decimal("0.98") + Decimal("0.84")


def test_takes_are_paid_each() -> None:
    assert cost("Takes: 3\n\nSHOT a 5s\nRain.\n\nSHOT b 4s\n  takes: 1\nFog.\n") == Decimal("7.98")


def test_grouping_shots_costs_what_they_cost_alone() -> None:
    alone = cost("SHOT a 4s\nRain.\n\nSHOT b 5s\nFog.\n")
    assert cost("CLIP c\n\nSHOT a 4s\nRain.\n\nSHOT b 5s\nFog.\n\nEND CLIP\n") == alone == Decimal("3.78")


def test_no_sum_is_rounded_by_the_context_of_the_caller() -> None:
    film = "Model: o3-standard\n\n" + "".join(f"SHOT s{n} 7s\nRain, {n}.\n\n" for n in range(300))
    with localcontext(prec=28):
        assert cost(film) == Decimal("0.084") * 7 * 300


SHOTS = st.lists(
    st.tuples(
        st.sampled_from(["o3-4k", "o3-pro", "o3-standard", "v3-pro-text"]),
        st.integers(3, 15),
        st.integers(1, 9),
        st.sampled_from(["on", "off"]),
    ),
    min_size=1,
    max_size=8,
)

SHEETS = {name: sheet(name) for name in ("o3-4k", "o3-pro", "o3-standard", "v3-pro-text")}


def _write_film(shots: list[tuple[str, int, int, str]]) -> str:
    return "".join(
        f"SHOT s{at} {seconds}s\n  model: {model}\n  takes: {takes}\n  audio: {audio}\nRain, {at}.\n\n"
        for at, (model, seconds, takes, audio) in enumerate(shots)
    )


def _expected(shots: list[tuple[str, int, int, str]], model: str | None = None) -> list[Decimal]:
    """Price shots from the sheets' own text, by hand: the first price whose conditions hold."""
    costs = []
    for name, seconds, takes, audio in shots:
        prices = SHEETS[model or name]["prices"]
        rate = next(
            price["usd_per_second"]
            for price in prices
            if not price.get("given") and price.get("when", {}).get("generate_audio", audio == "on") == (audio == "on")
        )
        costs.append(rate * seconds * takes)
    return costs


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("scratch") / "project")


@settings(deadline=None, max_examples=25)
@given(SHOTS)
def test_every_report_adds_up_to_the_last_digit(scratch: Project, shots: list[tuple[str, int, int, str]]) -> None:
    scratch.write("film.kling", "Headings: off\n\n" + _write_film(shots))
    costs = _expected(shots)
    plan, compiled = scratch.json("plan", "film.kling", "--format", "json"), scratch.json("compile", "film.kling")
    assert [Decimal(clip["cost_usd"]) for clip in plan["clips"]] == costs
    assert [Decimal(clip["retake_usd"]) * clip["takes"] for clip in plan["clips"]] == costs
    assert [Decimal(request["cost_usd"]) for request in compiled["requests"]] == costs
    totals = (plan["total"]["film_usd"], plan["total"]["to_buy_usd"], compiled["total"]["cost_usd"])
    assert {Decimal(total) for total in totals} == {sum(costs)}
    assert plan["total"]["seconds"] == compiled["total"]["seconds"] == sum(seconds for _, seconds, _, _ in shots)
    text = scratch.run("plan", "film.kling").stdout
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert f"to buy {dollars(sum(costs, Decimal(0)))}" in lines


@settings(deadline=None, max_examples=15)
@given(SHOTS)
def test_a_draft_is_quoted_at_what_the_film_would_cost_there(
    scratch: Project, shots: list[tuple[str, int, int, str]]
) -> None:
    shots = [("o3-4k", seconds, takes, audio) for _, seconds, takes, audio in shots]
    scratch.write("film.kling", _write_film(shots))
    drafts = {d["model"]: d["film_usd"] for d in scratch.json("plan", "film.kling", "--format", "json")["drafts"]}
    assert set(drafts) == {"o3-pro", "o3-standard"}
    for model, quoted in drafts.items():
        asked = scratch.json("plan", "film.kling", "--model", model, "--format", "json")["total"]["film_usd"]
        assert quoted == asked == decimal_string(sum(_expected(shots, model), Decimal(0)))


class TestSheetOfTheProject:
    """An endpoint of another house, told by a sheet and no code, from the film to the bill."""

    FILM = (
        "Title: Lumen\nModel: lumen-film\nDuration: 30s\n\n"
        "PROP Walk\n  video: walk.mp4\n\nPROP Run\n  video: run.mp4\n\nSTYLE Ink\n  image: ink.png\n\n"
        "SHOT long\n@Walk moves in @Ink.\n\n"
        "SHOT short 2s\n  resolution: 480p\nNothing moves.\n\n"
        "SHOT both 2s\n  resolution: 1080p\n  takes: 2\n@Walk, then @Run, then @Walk.\n"
    )

    @pytest.fixture
    def project(self, tmp_path: Path) -> Project:
        made = Project(tmp_path / "project")
        made.write("models/lumen-film.toml", foreign_sheet.FOREIGN)
        made.write("film.kling", self.FILM)
        made.write("walk.mp4", video(4))
        made.write("run.mp4", video(3))
        made.write("ink.png", picture())
        return made

    def test_input_and_output_are_billed_with_a_minimum(self, project: Project) -> None:
        found = project.json("plan", "film.kling", "--format", "json")
        told = [(clip["id"], clip["seconds"], clip["retake_usd"], clip["cost_usd"]) for clip in found["clips"]]
        assert told == [
            ("long", 30, decimal_string(34 * Decimal("0.14")), "4.76"),
            ("short", 2, decimal_string(4 * Decimal("0.0625")), "0.25"),
            ("both", 2, decimal_string(9 * Decimal("0.30")), "5.40"),
        ]
        assert found["total"]["film_usd"] == "10.41"

    def test_what_is_sent_is_as_the_sheet_says(self, project: Project) -> None:
        long, short, both = project.json("compile", "film.kling")["requests"]
        assert {request["endpoint"] for request in (long, short, both)} == {"lumen-labs/film/v2/reference-to-video"}
        assert list(long["arguments"]) == [
            "prompt",
            "reference_images",
            "reference_videos",
            "seconds",
            "resolution",
            "ratio",
        ]
        assert (long["arguments"]["seconds"], long["arguments"]["resolution"]) == (30, "720p")
        assert long["arguments"]["prompt"] == "[Video 1] moves in [Image 1]."
        assert short["arguments"] == {"prompt": "Nothing moves.", "seconds": 2, "resolution": "480p", "ratio": "21:9"}
        assert both["arguments"]["prompt"] == "[Video 1], then [Video 2], then [Video 1]."
        assert [name.rpartition("/")[2] for name in both["arguments"]["reference_videos"]] == ["walk.mp4", "run.mp4"]

    def test_the_plan_says_what_is_billed_and_when_each_price_holds(self, project: Project) -> None:
        text = project.run("plan", "film.kling", COLUMNS="400").stdout
        billed = "a second of the clip and the videos it is given, at least 4 s a take, on lumen-film"
        page = "(certain), read 2026-10-01: Lumen's page, https://lumen.example/film"
        assert [line.split(maxsplit=1)[1] for line in text.splitlines() if line.startswith("price")] == [
            f"$0.14 {billed} with resolution 720p {page}",
            f"$0.0625 {billed} with resolution 480p {page}",
            f"$0.30 {billed} otherwise {page}",
        ]

    def test_a_price_that_two_resolutions_share_is_told_for_each(self, project: Project) -> None:
        project.write(
            "models/lumen-film.toml", foreign_sheet.replaced("usd_per_second = 0.0625", "usd_per_second = 0.14")
        )
        prices = project.json("plan", "film.kling", "--format", "json")["prices"]
        assert [(price["usd_per_second"], price["condition"]) for price in prices] == [
            ("0.14", "with resolution 720p"),
            ("0.14", "with resolution 480p"),
            ("0.30", "otherwise"),
        ]

    def test_a_video_counts_double_against_the_cap(self, project: Project) -> None:
        names = "".join(f"PROP Walk{n}\n  video: walk{n}.mp4\n\n" for n in range(4))
        pictures = "".join(f"STYLE Ink{n}\n  image: ink{n}.png\n\n" for n in range(7))
        for n in range(4):
            project.write(f"walk{n}.mp4", video(3))
        for n in range(7):
            project.write(f"ink{n}.png", picture(640 + n))
        film = f"Model: lumen-film\n\n{names}{pictures}SHOT a 5s\n"
        shown = " ".join([*(f"@Walk{n}" for n in range(3)), *(f"@Ink{n}" for n in range(7))])
        project.write("film.kling", f"{film}{shown}.\n")
        found = project.json("check", "film.kling", "--format", "json", code=1)
        assert "too-many-references" in [one["code"] for one in found]
        project.write("film.kling", f"{film}{shown.replace(' @Ink6', '')}.\n")
        found = project.json("check", "film.kling", "--format", "json")
        assert "too-many-references" not in [one["code"] for one in found]

    def test_videos_that_last_too_long_together_are_an_error(self, project: Project) -> None:
        project.write("walk.mp4", video(13))
        found = project.json("check", "film.kling", "--format", "json", code=1)
        assert [(one["code"], one["line"]) for one in found] == [("video-seconds", found[0]["line"])]
        assert "16" in found[0]["message"]

    def test_a_video_by_address_has_no_known_price(self, project: Project) -> None:
        project.write("film.kling", self.FILM.replace("walk.mp4", "https://example.com/walk.mp4"))
        found = project.json("check", "film.kling", "--format", "json", code=1)
        assert {one["code"] for one in found} == {"price-unknown"}
        assert project.run("plan", "film.kling", code=1).stdout == ""

    def test_lengths_end_where_the_sheet_says(self, project: Project) -> None:
        project.write("film.kling", self.FILM.replace("Duration: 30s", "Duration: 31s"))
        assert "clip-length-limit" in project.run("check", "film.kling", code=1).stdout


@pytest.mark.parametrize("words", [("compile",), ("plan", "--format", "json")])
def test_money_is_written_as_a_string(scratch: Project, words: tuple[str, ...]) -> None:
    scratch.write("film.kling", "Model: o3-standard\nBudget: $12.50\n\nSHOT a 4s\nRain.\n")
    verb, *options = words
    report = json.loads(scratch.run(verb, "film.kling", *options).stdout, parse_float=refuse_float)
    pending: list[tuple[str, Any]] = [("", report)]
    seen: set[str] = set()
    while pending:
        key, value = pending.pop()
        if key.endswith("usd") or key == "usd_per_second":
            assert isinstance(value, str), key
            assert Decimal(value) >= 0
            seen.add(key)
        if isinstance(value, dict):
            pending += value.items()
        elif isinstance(value, list):
            pending += [(key, item) for item in value]
    assert "cost_usd" in seen


@given(st.decimals(min_value=-(10**9), max_value=10**9, places=6))
def test_an_amount_in_words_is_that_amount(amount: Decimal) -> None:
    words = dollars(amount)
    sign, digits = ("-", words[2:]) if words.startswith("-") else ("", words[1:])
    assert Decimal(sign + digits.replace(",", "")) == amount
    assert Decimal(decimal_string(amount)) == amount
    assert len(decimal_string(amount).partition(".")[2]) >= 2
    assert not decimal_string(amount).endswith("0") or len(decimal_string(amount).partition(".")[2]) == 2


def test_the_day_of_the_tests_is_the_day_of_the_sheets() -> None:
    """Otherwise the tests below the age of 90 days would begin to fail by themselves."""
    assert max(source["date"] for name in SHEETS for source in SHEETS[name]["sources"].values()) <= TODAY
