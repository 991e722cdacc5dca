"""What the fixtures for a user's own tests compile: texts, films of a project with tables, and nothing outside of one."""

from __future__ import annotations

from pathlib import Path

import pytest

from kling_dsl.pytest_plugin import fixtures
from kling_dsl.pytest_plugin.fixtures import make_compile, make_folder, serve_sandbox

ROWS = "Data: rows: rows.csv\n\n{% for row in rows %}\nSHOT s{{ loop.index }} 3s\n{{ row.words }}.\n{% endfor %}\n"


def test_a_film_of_a_project_is_compiled_with_its_tables(tmp_path: Path) -> None:
    folder = make_folder(tmp_path)({"film.kling": ROWS.partition("\n")[2], "rows.csv": "words\nRain\nSnow\n"})
    found = make_compile(tmp_path)(folder.root / "film.kling", data={"rows": folder.root / "rows.csv"})
    assert [call.arguments["prompt"] for call in found.calls] == ["Rain.", "Snow."]


def test_a_table_outside_of_the_project_is_not_read(tmp_path: Path) -> None:
    folder = make_folder(tmp_path)({"film.kling": "SHOT a 3s\nRain.\n"})
    (tmp_path / "rows.csv").write_text("words\nRain\n")
    with pytest.raises(ValueError, match=r"rows\.csv lies outside the project, whose root is "):
        make_compile(tmp_path)(folder.root / "film.kling", data={"rows": tmp_path / "rows.csv"})


def test_a_film_that_leads_out_of_the_project_is_not_compiled(tmp_path: Path) -> None:
    folder = make_folder(tmp_path)()
    (tmp_path / "other.kling").write_text("SHOT a 3s\nRain.\n")
    (folder.root / "film.kling").symlink_to(tmp_path / "other.kling")
    found = make_compile(tmp_path)(folder.root / "film.kling")
    assert found.failed
    assert found.diagnostics[0].message.endswith("leads out of the project folder")


def test_without_the_extras_a_test_with_a_sandbox_is_skipped_by_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fixtures, "missing_packages", lambda: ("starlette", "av"))
    with pytest.raises(BaseException, match="the sandbox needs starlette, av: pip install") as ended:
        next(serve_sandbox(tmp_path))
    assert type(ended.value).__name__ == "Skipped"
