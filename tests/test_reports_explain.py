"""`kling explain`, as a person calls it."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys

import pytest
from click.testing import CliRunner, Result

from kling_dsl.cli.explain import explain_command as explain
from kling_dsl.reports.pages import page, slugs


def run(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(explain, list(arguments), env={"NO_COLOR": None, "CI": None, **environment})


def test_a_page_is_printed() -> None:
    result = run("unknown-reference")
    assert result.exit_code == 0
    assert result.stdout.startswith("unknown-reference\n\nerror: A name after `@` that no definition declares.\n")
    assert "\n    @Mria opens the storm door.\n" in result.stdout
    assert "\n  reported:\n    8:1 unknown-reference\n" in result.stdout
    assert result.stderr == ""


def test_all_slugs_are_listed_with_their_titles() -> None:
    result = run()
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines] == list(slugs())
    (line,) = [line for line in lines if line.startswith("unknown-reference ")]
    assert line.endswith("  A name after `@` that no definition declares.")


def test_a_page_as_json() -> None:
    found = page("unknown-reference")
    assert found is not None
    shown = json.loads(run("unknown-reference", "--format", "json").stdout)
    assert shown["text"] == found.text
    assert shown["severity"] == "error"
    assert shown["examples"][0]["expected"] == [
        {"file": "film.kling", "line": 8, "column": 1, "slug": "unknown-reference"}
    ]


def test_the_list_as_json() -> None:
    shown = json.loads(run("--format", "json").stdout)
    assert [one["slug"] for one in shown] == list(slugs())
    assert {"slug", "severity", "title"} == set(shown[0])


@pytest.mark.parametrize("slug", ["unknown-refrence", "UNKNOWN-REFERENCE", "unknown-ref"])
def test_an_unknown_slug_names_the_nearest_and_fails(slug: str) -> None:
    result = run(slug)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert f"no diagnostic is called '{slug}'; did you mean " in result.stderr
    assert "unknown-reference" in result.stderr


def test_a_slug_like_no_other_says_where_the_list_is() -> None:
    result = run("zzzzzzzzzzzz\x1b[2J")
    assert result.exit_code == 2
    assert "'zzzzzzzzzzzz\\x1b[2J'; 'kling explain' lists all slugs" in result.stderr


@pytest.mark.parametrize(("variable", "coloured"), [("", True), ("NO_COLOR", False), ("CI", False)])
def test_headings_are_bold_only_where_colour_is_wanted(variable: str, coloured: bool) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "CI")}
    environment |= {"TERM": "xterm"} | ({variable: "1"} if variable else {})
    ours, theirs = pty.openpty()
    try:
        command = [sys.executable, "-m", "kling_dsl", "explain", "syntax"]
        done = subprocess.run(command, stdout=theirs, env=environment, timeout=60, check=True)
        shown = os.read(ours, 65536)
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.returncode == 0
    assert (b"\x1b[1m" in shown) is coloured


def test_help_shows_an_example() -> None:
    assert "kling explain unknown-reference" in run("--help").stdout
