"""The example films: they check clean, and compile and plan to the files beside them, wherever that is done.

`KLING_UPDATE_GOLDEN=1 pytest tests/test_examples.py` writes those files anew; read the difference before keeping it.
"""

from __future__ import annotations

import csv
import gc
import hashlib
import importlib
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner

from kling_dsl.cli.verbs import kling
from kling_dsl.sheets import Profiles
from kling_dsl.sheets.schema import json_schema

EXAMPLES = Path(__file__).resolve().parent.parent / "specs" / "examples"
UPDATE = os.environ.get("KLING_UPDATE_GOLDEN") == "1"
SETTINGS = {"KLING_TODAY": "2026-11-22", "COLUMNS": "100", "NO_COLOR": "1"}
"""The day from which a price's age is counted, and the shape of a report."""


class Film(NamedTuple):
    """A film with what is known of it beforehand; `warnings` are (slug, words of its line)."""

    path: str
    requests: int
    seconds: int
    cost_usd: str
    warnings: tuple[tuple[str, str], ...] = ()

    @property
    def file(self) -> Path:
        """The film's file."""
        return EXAMPLES / self.path

    def golden(self, ending: str) -> Path:
        """Return the file beside the film with another ending."""
        return self.file.with_suffix(ending)


FILMS = (
    Film("provider/provider.kling", 1, 8, "3.36"),
    Film("lantern/lantern.kling", 3, 18, "7.56"),
    Film("short/ten-past-four.kling", 34, 159, "66.78"),
    Film("advert/advert.kling", 501, 2057, "251.552"),
    # The one doubtful value that the default model takes, shown on purpose.
    Film("trailer/undertow.kling", 6, 42, "26.04", (("value-doubtful", "  type: intelligent"),)),
)
PROVIDER, LANTERN, SHORT, ADVERT, TRAILER = FILMS
each_film = pytest.mark.parametrize("film", FILMS, ids=[film.file.stem for film in FILMS])

PRICES = {
    "fal-ai/kling-video/o3/4k/reference-to-video": {True: Decimal("0.42"), False: Decimal("0.42")},
    "fal-ai/kling-video/o3/standard/reference-to-video": {True: Decimal("0.112"), False: Decimal("0.084")},
}
"""US dollars per second with and without audio, written here once more so that the sum is not checked by itself."""

PAGE = """{
  "prompt": "@Element1 and @Element2 enters the scene from two sides. Elephant starts to play with the ball",
  "multi_prompt": null,
  "start_image_url": "https://v3b.fal.media/files/b/rabbit/NaslJIC7F2WodS6DFZRRJ.png",
  "end_image_url": "https://v3b.fal.media/files/b/tiger/BwHi22qoQnqaTNMMhe533.png",
  "image_urls": null,
  "elements": null,
  "duration": "8",
  "shot_type": "customize",
  "aspect_ratio": "16:9"
}"""
"""The arguments of the full example on the provider's page of the endpoint, as the page has them."""


def run_here(*words: str) -> tuple[int, bytes]:
    """Run the command line in this process; return its exit code and what it printed."""
    # A verb turns the search for garbage off for the rest of its process, which here is that of all tests.
    searched = gc.isenabled()
    try:
        done = CliRunner(env={**SETTINGS, "CI": None}).invoke(kling, words)
    finally:
        if searched:
            gc.enable()
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.stdout_bytes


def run_kling(*words: str, cwd: Path, settings: Mapping[str, str]) -> tuple[int, bytes]:
    """Run the command line in a process of its own; return its exit code and what it printed."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("LC_", "PYTHON", "COLUMNS"))
    }
    environment |= SETTINGS | dict(settings)
    done = subprocess.run(
        [sys.executable, "-m", "kling_dsl", *words],
        cwd=cwd,
        env=environment,
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert b"Traceback" not in done.stderr, done.stderr.decode("utf-8", "replace")
    return done.returncode, done.stdout


def read_requests(film: Film) -> dict[str, Any]:
    """Return the golden requests of a film; another test holds them to what is compiled."""
    report: dict[str, Any] = json.loads(film.golden(".requests.json").read_bytes())
    return report


def read_arguments(film: Film) -> dict[str, dict[str, Any]]:
    """Return the arguments of each request by its id."""
    return {request["id"]: request["arguments"] for request in read_requests(film)["requests"]}


def prompts_of(arguments: Mapping[str, Any]) -> list[str]:
    """Return what a request tells the model: one prompt, or one for each shot."""
    return [shot["prompt"] for shot in arguments.get("multi_prompt", ())] or [arguments["prompt"]]


def hold_to_golden(printed: bytes, golden: Path) -> None:
    """Compare what was printed with its file, or write the file when that is asked for."""
    if UPDATE:
        golden.write_bytes(printed)
    assert printed.decode("utf-8") == golden.read_bytes().decode("utf-8"), "KLING_UPDATE_GOLDEN=1 writes the file anew"


@each_film
def test_a_film_checks_with_exactly_the_warnings_it_shows(film: Film) -> None:
    code, printed = run_here("check", "--format", "json", str(film.file))
    lines = film.file.read_text("utf-8").split("\n")
    found = tuple((item["code"], lines[item["line"] - 1]) for item in json.loads(printed))
    assert (code, found) == (0, film.warnings)


@each_film
def test_the_requests_are_those_beside_the_film(film: Film) -> None:
    code, printed = run_here("compile", "--format", "json", str(film.file))
    assert code == 0
    hold_to_golden(printed, film.golden(".requests.json"))


@each_film
def test_the_plan_is_that_beside_the_film_and_keeps_to_the_budget(film: Film) -> None:
    code, printed = run_here("plan", str(film.file))
    assert code == 0
    hold_to_golden(printed, film.golden(".plan.txt"))


@each_film
def test_the_same_requests_come_from_another_process_locale_and_folder(film: Film, tmp_path: Path) -> None:
    golden = film.golden(".requests.json").read_bytes()
    plain = {"PYTHONHASHSEED": "1", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    # Nothing is saved yet in a fresh cache folder; the second run finds what the first one saved.
    fresh = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    assert run_kling("compile", str(film.file), cwd=tmp_path, settings=plain | fresh) == (0, golden)
    other = {"PYTHONHASHSEED": "4242", "LC_ALL": other_locale(), "PYTHONIOENCODING": "latin-1", "TZ": "Pacific/Apia"}
    assert run_kling("compile", film.file.name, cwd=film.file.parent, settings=other | fresh) == (0, golden)


def other_locale() -> str:
    """Return the Turkish locale, whose i has another capital, or what comes nearest to it on this machine."""
    import locale

    before = locale.setlocale(locale.LC_ALL)
    for name in ("tr_TR.UTF-8", "tr_TR.utf8", "C.UTF-8", "C"):
        try:
            locale.setlocale(locale.LC_ALL, name)
        except locale.Error:
            continue
        locale.setlocale(locale.LC_ALL, before)
        return name
    raise AssertionError("every machine has the locale C")


@each_film
def test_every_request_is_one_that_its_endpoint_takes(film: Film) -> None:
    jsonschema_rs = pytest.importorskip("jsonschema_rs")
    profiles = Profiles.of({})
    known = [profile for name in profiles.names() if (profile := profiles.get(name)) is not None]
    validators = {profile.endpoint: jsonschema_rs.Draft202012Validator(json_schema(profile)) for profile in known}
    requests = read_requests(film)["requests"]
    wrong = {
        request["id"]: [str(problem) for problem in validators[request["endpoint"]].iter_errors(request["arguments"])]
        for request in requests
    }
    assert len(requests) == film.requests
    assert {name: problems for name, problems in wrong.items() if problems} == {}


@each_film
def test_the_cost_is_seconds_times_price(film: Film) -> None:
    report = read_requests(film)
    total = Decimal(0)
    for request in report["requests"]:
        arguments = request["arguments"]
        cost = int(arguments["duration"]) * PRICES[request["endpoint"]][arguments["generate_audio"]] * request["takes"]
        assert Decimal(request["cost_usd"]) == cost
        assert request["seconds"] == int(arguments["duration"])
        shots = arguments.get("multi_prompt")
        assert shots is None or sum(int(shot["duration"]) for shot in shots) == request["seconds"]
        total += cost
    seconds = sum(request["seconds"] for request in report["requests"])
    assert (report["total"]["seconds"], Decimal(report["total"]["cost_usd"])) == (seconds, total)
    assert (film.seconds, Decimal(film.cost_usd)) == (seconds, total)


@each_film
def test_the_plan_names_every_price_with_its_date_and_source(film: Film) -> None:
    text = " ".join(film.golden(".plan.txt").read_text("utf-8").split())
    used = {
        PRICES[request["endpoint"]][request["arguments"]["generate_audio"]]: request["endpoint"]
        for request in read_requests(film)["requests"]
    }
    for price, endpoint in used.items():
        assert re.search(rf"price \${price} a second .*?read 20\d\d-\d\d-\d\d: .*?https://\S*{endpoint}\S*", text), (
            price
        )
    assert f"${film.cost_usd}" in text


@each_film
def test_the_readme_says_what_a_film_costs(film: Film) -> None:
    paragraphs = (EXAMPLES / "README.md").read_text("utf-8").split("\n\n")
    [own] = [" ".join(text.split()) for text in paragraphs if f"({film.path})" in text]
    assert f"${film.cost_usd}" in own
    assert f"{film.seconds:,} s" in own


def test_the_provider_example_equals_the_page_but_for_its_missing_elements() -> None:
    [arguments] = read_arguments(PROVIDER).values()
    page = {name: value for name, value in json.loads(PAGE).items() if value is not None}
    elements = arguments.pop("elements")
    # The page leaves audio to its default, which is off; what has a default and may cost money is always sent.
    assert arguments == page | {"generate_audio": False}
    assert len(elements) == 2
    assert all(set(element) == {"frontal_image_url", "reference_image_urls"} for element in elements)


def test_the_lantern_binds_names_by_request_and_groups_the_last_two_shots() -> None:
    arguments = read_arguments(LANTERN)
    assert list(arguments) == ["door", "reply", "window"]
    assert arguments["reply"]["start_image_url"] == "frame:door/end"
    assert arguments["reply"]["prompt"].startswith("INT. LIGHTHOUSE - NIGHT. close-up on @Element1.")
    assert [shot["duration"] for shot in arguments["window"]["multi_prompt"]] == ["4", "5"]
    assert "grade colder" not in LANTERN.golden(".requests.json").read_text("utf-8")


def test_the_short_has_forty_shots_in_nine_scenes_with_chains_and_groups() -> None:
    requests = read_requests(SHORT)["requests"]
    assert sum(len(prompts_of(request["arguments"])) for request in requests) == 40
    scenes = [scene for scene, _ in itertools.groupby(requests, key=lambda request: request["scene"])]
    assert len(scenes) == 9
    chained = [
        request["id"] for request in requests if request["arguments"].get("start_image_url", "").startswith("frame:")
    ]
    assert chained == ["landing", "loft", "kneeling", "seating", "swing"]
    assert [request["id"] for request in requests if "multi_prompt" in request["arguments"]] == [
        "workbench",
        "stars",
        "bells",
    ]


def test_the_advert_has_a_request_for_each_row_with_its_name_unharmed() -> None:
    with (ADVERT.file.parent / "products.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    arguments = read_arguments(ADVERT)
    assert len(rows) == 500
    assert set(arguments) == {row["sku"] for row in rows} | {"farewell"}
    for row in rows:
        assert row["name"] in prompts_of(arguments[row["sku"]])[0]
    names = "".join(row["name"] for row in rows)
    assert all(mark in names for mark in ("Å", "Ł", "Ελ", "Ут", "美咲", '"', "“", "'", ","))


def test_the_advert_buys_its_heroes_on_the_better_model_and_twice() -> None:
    with (ADVERT.file.parent / "products.csv").open(encoding="utf-8", newline="") as file:
        heroes = {row["sku"] for row in csv.DictReader(file) if row["hero"] == "yes"}
    requests = read_requests(ADVERT)["requests"]
    assert {request["id"] for request in requests if "/o3/4k/" in request["endpoint"]} == heroes
    assert {request["id"] for request in requests if request["takes"] == 2} == heroes
    assert len(heroes) == 13


def test_a_row_pasted_twice_is_an_error_in_the_advert(tmp_path: Path) -> None:
    shutil.copytree(ADVERT.file.parent, tmp_path / "advert")
    table = tmp_path / "advert" / "products.csv"
    lines = table.read_text("utf-8").splitlines(keepends=True)
    # The third row, again and under another article number: the request would be the same to the last character.
    again = lines[3].replace("chair-001", "chair-101")
    table.write_text("".join([*lines, again]), "utf-8")
    code, printed = run_here("check", "--format", "json", str(tmp_path / "advert" / "advert.kling"))
    assert (code, [item["code"] for item in json.loads(printed)]) == (1, ["repeated-request"])


def test_a_new_row_of_the_advert_changes_no_other_shot(tmp_path: Path) -> None:
    shutil.copytree(ADVERT.file.parent, tmp_path / "advert")
    table = tmp_path / "advert" / "products.csv"
    header, *rows = table.read_text("utf-8").splitlines(keepends=True)
    new = "bag-000,Bag,Vega bag,The Old Forge,felted wool,plum,99.00,no\n"
    table.write_text("".join([header, new, *rows]), "utf-8")
    code, printed = run_here("compile", str(tmp_path / "advert" / "advert.kling"))
    before = {request["id"]: request["fingerprint"] for request in read_requests(ADVERT)["requests"]}
    after = {request["id"]: request["fingerprint"] for request in json.loads(printed)["requests"]}
    # The shopkeeper says how many articles there are, so her line is new as well.
    changed = {name for name in after if after[name] != before.get(name)}
    assert (code, changed, before.keys() - after.keys()) == (0, {"bag-000", "farewell"}, set())


def test_a_value_from_outside_changes_the_cost_of_the_advert() -> None:
    code, printed = run_here("compile", "--set", "hero_model=o3-standard", "--set", "hero_takes=1", str(ADVERT.file))
    # 500 rows: 487 of 4 s and 13 of 8 s without audio, and 5 s with it.
    expected = (487 * 4 + 13 * 8) * Decimal("0.084") + 5 * Decimal("0.112")
    assert (code, Decimal(json.loads(printed)["total"]["cost_usd"])) == (0, expected)


def test_the_trailer_shows_frames_takes_voice_and_escapes() -> None:
    arguments = read_arguments(TRAILER)
    assert {request["aspect_ratio"] for request in arguments.values()} == {"9:16"}
    assert arguments["turn"]["end_image_url"].endswith("/storm.png")
    assert arguments["flare"]["start_image_url"] == "frame:turn/end"
    assert [address.rpartition("/")[2] for address in arguments["pier"]["image_urls"]] == ["phone.png", "storm.png"]
    assert arguments["helmet"]["shot_type"] == "intelligent"
    assert arguments["helmet"]["elements"][0]["voice_id"] == "diver-low-and-slow"
    title = arguments["title"]["prompt"]
    assert title.startswith(
        "slow push-in. # 7 is painted on a buoy, and [[ Undertow ]] is scratched under it, with @ for"
    )
    assert "an eye.\n\nThe lamp" in title
    first, second, third = prompts_of(arguments["pier"])
    assert first.startswith("handheld, low. SHOT from below, @Element1 runs")
    assert "music" not in first
    assert "pilot@harbour.example" in second
    assert "Radio (a marine radio, its one red lamp blinking) to her ear. Radio says (crackling):" in third
    assert 'says (calm, far too close): "I never left the harbour."' in prompts_of(arguments["helmet"])[2]
    assert [request["takes"] for request in read_requests(TRAILER)["requests"]] == [2, 1, 2, 1, 1, 1]


def load_maker(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Import one of the scripts that made the files of the examples."""
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return importlib.import_module(name)


def test_the_products_are_those_that_their_script_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    maker = load_maker("make_products", ADVERT.file.parent, monkeypatch)
    assert maker.render_csv() == (ADVERT.file.parent / "products.csv").read_text("utf-8")


def test_the_pictures_are_those_that_their_script_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    image = pytest.importorskip("PIL.Image")
    chops = pytest.importorskip("PIL.ImageChops")
    stat = pytest.importorskip("PIL.ImageStat")
    pages = load_maker("make_pictures", EXAMPLES, monkeypatch).list_pictures()
    kept = {
        path.relative_to(EXAMPLES).as_posix() for path in EXAMPLES.rglob("refs/**/*") if path.suffix in (".png", ".jpg")
    }
    assert set(pages) == kept
    # Not every version of the library rounds an edge or packs a file alike, so a picture is compared by its looks.
    for name in sorted(pages)[::3]:
        drawn, saved = pages[name](), image.open(EXAMPLES / name).convert("RGB")
        assert drawn.size == saved.size
        assert max(stat.Stat(chops.difference(drawn, saved)).mean) < 4, name


def test_the_files_are_small_and_the_pictures_distinct_and_large_enough() -> None:
    image = pytest.importorskip("PIL.Image")
    pictures = [path for path in EXAMPLES.rglob("refs/**/*") if path.suffix in (".png", ".jpg")]
    assert len({hashlib.sha256(path.read_bytes()).digest() for path in pictures}) == len(pictures)
    for path in pictures:
        with image.open(path) as picture:
            assert min(picture.size) >= 300, path
        assert path.stat().st_size < 6_000, path
    assert sum(path.stat().st_size for path in EXAMPLES.rglob("*") if path.is_file()) < 2_500_000


def test_the_video_is_one_that_an_element_may_be_shown_by() -> None:
    av = pytest.importorskip("av")
    path = TRAILER.file.parent / "refs" / "diver.mp4"
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height, stream.average_rate) == (720, 1280, 24)
        assert sum(1 for _ in container.decode(stream)) == 96
    assert path.stat().st_size < 60_000
