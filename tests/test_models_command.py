"""`kling models`: the list, one whole sheet, JSON and JSON Schema, in a project with sheets of its own."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema_rs
import pytest
from click.testing import CliRunner, Result
from told import check_kept

from kling_dsl import resources
from kling_dsl.cli.models import models_command
from kling_dsl.reports.models import reference_cap, render_models, row_of
from kling_dsl.sheets import builtin_names, load_builtin, load_sheet

TOLD = Path(__file__).parent / "told" / "models.txt"
HEADS = ["MODEL", "USD PER SECOND", "PRICE READ", "SECONDS", "REFERENCES", "ENDPOINT"]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project that is the current folder, with a cache of its own."""
    (tmp_path / "kling.toml").write_text("")
    (tmp_path / "models").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KLING_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("COLUMNS", raising=False)
    return tmp_path


def run(*arguments: str, columns: int | None = None) -> Result:
    env = {"NO_COLOR": "1"} | ({"COLUMNS": str(columns)} if columns else {})
    return CliRunner().invoke(models_command, list(arguments), env=env, prog_name="kling models")


def own_sheet(name: str = "house") -> str:
    text = resources.specs_path("models", "v3-pro-text.toml").read_text(encoding="utf-8")
    return text.replace('name = "v3-pro-text"', f'name = "{name}"').replace("0.112", "0.099")


@pytest.mark.usefixtures("project")
class TestList:
    def test_one_line_for_each_model_when_piped(self) -> None:
        result = run()
        lines = result.stdout.splitlines()
        assert result.exit_code == 0
        assert [lines[0][lines[0].index(head) :][: len(head)] for head in HEADS] == HEADS
        assert [line.split()[0] for line in lines[1:]] == list(builtin_names())
        assert (
            "o3-4k         0.42                 2026-11-22  3-15     7           fal-ai/kling-video/o3/4k"
            in result.stdout
        )

    @pytest.mark.parametrize("columns", [80, 100])
    def test_a_terminal_is_not_overrun(self, columns: int) -> None:
        result = run(columns=columns)
        assert max(map(len, result.stdout.splitlines())) <= columns
        assert "\n  fal-ai/kling-video/o3/4k/reference-to-video\n" in result.stdout

    def test_json(self) -> None:
        rows = {row["name"]: row for row in json.loads(run("--format", "json").stdout)}
        assert tuple(rows) == builtin_names()
        assert rows["v3-pro-image"]["usd_per_second"] == ["0.112", "0.168", "0.196"]
        assert rows["o3-4k"] == {
            "name": "o3-4k",
            "title": "Kling O3 4K, reference to video",
            "endpoint": "fal-ai/kling-video/o3/4k/reference-to-video",
            "origin": "builtin",
            "usd_per_second": ["0.42"],
            "price_date": "2026-11-22",
            "seconds": list(range(3, 16)),
            "references": 7,
            "drafts": ["o3-pro", "o3-standard"],
        }

    def test_reference_caps(self) -> None:
        caps = {name: reference_cap(load_builtin(name)) for name in builtin_names()}
        assert caps == {"o3-4k": 7, "o3-pro": 7, "o3-standard": 7, "v3-pro-image": 3, "v3-pro-text": 0}

    def test_unknown_cap_and_gaps_between_lengths_are_said(self) -> None:
        text = resources.specs_path("models", "v3-pro-image.toml").read_text(encoding="utf-8")
        text = text.replace("max = 3\n", 'max = 3\nseverity = "warning"\n', 1).replace(
            "min = 3\nmax = 15", 'values = ["5", "10"]'
        )
        profile, diagnostics = load_sheet(text, file="models/x.toml")
        assert profile is not None, diagnostics
        table = render_models([row_of(profile, "models/x.toml")], width=200)
        assert " 5, 10    no limit    fal-ai/" in table


class TestProjectSheets:
    def test_are_marked_with_their_file(self, project: Path) -> None:
        (project / "models" / "house.toml").write_text(own_sheet())
        result = run()
        assert result.exit_code == 0
        assert "\nhouse *       0.099, 0.168, 0.196 " in result.stdout
        assert result.stdout.endswith("\n\n* house is this project's own: models/house.toml\n")
        rows = {row["name"]: row["origin"] for row in json.loads(run("--format", "json").stdout)}
        assert rows["house"] == "models/house.toml"
        assert "sheet                   models/house.toml\n" in run("house").stdout

    def test_a_bad_one_is_reported_and_the_rest_is_listed(self, project: Path) -> None:
        (project / "models" / "house.toml").write_text(own_sheet().replace('"duration"', '"duratoin"', 1))
        result = run()
        assert result.exit_code == 1
        assert "o3-4k" in result.stdout
        assert "house" not in result.stdout
        assert (
            'error[bad-model-sheet]: model sheet models/house.toml: fields.duration.role is "duratoin"' in result.stderr
        )
        assert "did you mean duration?" in result.stderr
        named = run("house")
        assert (named.exit_code, named.stdout) == (1, "")
        assert "bad-model-sheet" in named.stderr
        assert run("o3-4k").exit_code == 0

    def test_a_builtin_name_is_refused(self, project: Path) -> None:
        (project / "models" / "o3-4k.toml").write_text(own_sheet("o3-4k"))
        result = run("o3-4k")
        assert result.exit_code == 1
        assert "has the name of the builtin model o3-4k" in result.stderr
        assert "fal-ai/kling-video/o3/4k/reference-to-video" in result.stdout


@pytest.mark.usefixtures("project")
class TestOne:
    @pytest.mark.parametrize("name", builtin_names())
    def test_shows_all_facts_with_sources(self, name: str) -> None:
        profile = load_builtin(name)
        result = run(name, columns=80)
        assert result.exit_code == 0
        shown = result.stdout
        words = " ".join(shown.split())
        for rule in profile.rules:
            assert f"{rule.slug} {rule.severity}: " in words
            assert rule.because in words
            assert f"({rule.confidence}, {rule.source} of {profile.sources[rule.source].date})" in words
        for field in profile.paths:
            assert f" {field.rpartition('.')[2]} " in shown
        for price in profile.prices:
            assert f"\n  {price.usd_per_second} " in shown
        for source in profile.sources.values():
            assert source.url in shown
            assert f"read on {source.date}" in words
        plain = [line for line in shown.splitlines() if "https://" not in line]
        assert max(map(len, plain)) <= 80

    @pytest.mark.parametrize("name", builtin_names())
    def test_says_what_it_said_when_somebody_last_read_it(self, name: str) -> None:
        """A rule, a limit or a price that is gone from a sheet is gone here too, and somebody has to mean it."""
        check_kept(TOLD, name, run(name).stdout)

    def test_json_is_the_whole_sheet_with_money_as_text(self) -> None:
        sheet = json.loads(run("o3-pro", "--format", "json").stdout)
        assert sheet["origin"] == "builtin"
        assert [price["usd_per_second"] for price in sheet["prices"]] == ["0.14", "0.112"]
        assert sheet["media"]["video"]["max_seconds"] == "10.05"
        assert list(sheet["fields"]) == list(load_builtin("o3-pro").fields)

    def test_unknown_name(self) -> None:
        result = run("o3-4")
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr == "kling models: no model is called 'o3-4'; did you mean o3-4k?\n"
        assert "'kling models' lists them" in run("\x1b[2Jsora").stderr
        assert "\x1b" not in run("\x1b[2Jsora").stderr

    def test_schema_of_a_request_and_of_the_format(self) -> None:
        request = json.loads(run("v3-pro-image", "--schema").stdout)
        validator = jsonschema_rs.validator_for(request)
        picture = "https://media.example/first.png"
        assert validator.is_valid({"prompt": "a door", "start_image_url": picture, "cfg_scale": 0.5, "duration": "15"})
        assert not validator.is_valid({"prompt": "a door"})
        assert not validator.is_valid({"prompt": "a door", "start_image_url": picture, "cfg_scale": 1.5})
        sheet = json.loads(run("--schema").stdout)
        assert jsonschema_rs.meta.is_valid(sheet)
        assert "usd_per_second" in sheet["$defs"]["Price"]["properties"]
