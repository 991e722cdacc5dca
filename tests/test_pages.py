"""Pages as tests: which examples a page has, what fails and how it is told, and what `--update-golden` writes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kling_dsl.harness.comparing import fold_prompt, project_json
from kling_dsl.harness.console import leave_out, type_block
from kling_dsl.harness.pages import PageError, read_examples
from kling_dsl.harness.stand_ins import MissingExtra, make_media

PAGE = """\
# Rain

Prose stays as it is.

## A door

```kling
SHOT door 5s
Rain on a storm door.
```

```prompt door
Snow on a storm door.
```

```json request=door
{"cost_usd": "2.10", "arguments": {"duration": "4", "seed": null}}
```

```console
$ kling check film.kling
film.kling: 2 clips, …; no mistakes
```

## A slip

```kling
shot door 5s
Rain.
```

### The same again

```kling file=again.kling same=film.kling
SHOT porte 5s
Hail.
```

## A door

```kling
SHOT door 5s
Rain.
```

```json arguments=window
{}
```
"""


def run_pytest(folder: Path, *words: str) -> tuple[int, str]:
    # Of the plugins that this environment has, only our own is loaded: the others take longer than the pages.
    done = subprocess.run(
        (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "kling_dsl.pytest_plugin", *words),
        cwd=folder,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pytest.ini").write_text("[pytest]\nkling_pages = pages\n", encoding="utf-8")
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "rain.md").write_text(PAGE, encoding="utf-8")
    (tmp_path / "README.md").write_text("```kling\nno film\n```\n", encoding="utf-8")
    return tmp_path


def test_a_failing_block_is_told_with_file_line_heading_and_difference(project: Path) -> None:
    code, told = run_pytest(project)
    assert code == 1
    # The README is no page, since no setting names it.
    assert "3 failed" in told
    assert "README" not in told
    assert "Traceback" not in told
    for words in (
        "pages/rain.md:12: A door: what the block `prompt door` shows (-) is not what is (+)",
        "  -Snow on a storm door.\n  +Rain on a storm door.\n",
        '  -{"cost_usd": "2.10", "arguments": {"duration": "4", "seed": null}}\n  +{"cost_usd": "2.10", "arg',
        "  -film.kling: 2 clips, …; no mistakes\n  +film.kling: 1 clip, 5 s, $2.10; no mistakes\n",
        "pages/rain.md:34: A slip: the film reports what no diagnostics block below it lists\n  + 1:1 error keyword-case:",
        "pages/rain.md:34: A slip: its requests are not those of film.kling",
        "pages/rain.md:46: A door: there is no request of window to compare with",
        "FAILED pages/rain.md::A door (2)",
    ):
        assert words in told, told


def test_update_golden_puts_blocks_right_and_leaves_the_rest(project: Path) -> None:
    page = project / "pages" / "rain.md"
    text = PAGE[: PAGE.index("### The same again")]
    page.write_text(text, encoding="utf-8")
    code, told = run_pytest(project, "--update-golden")
    assert (code, "2 passed" in told) == (0, True), told
    expected = (
        text.replace("Snow", "Rain")
        .replace('"4"', '"5"')
        .replace("2 clips, …;", "1 clip, 5 s, $2.10;")
        .replace(
            "shot door 5s\nRain.\n```\n",
            'shot door 5s\nRain.\n```\n\n```diagnostics\n1:1 error keyword-case: "shot" is written SHOT\n```\n',
        )
    )
    assert page.read_text(encoding="utf-8") == expected
    assert run_pytest(project)[0] == 0


@pytest.mark.parametrize(
    ("page", "line", "reason"),
    [
        ("```kling\nSHOT a 5s\n", 1, "never closed"),
        ("# A\n\n```python\nprint()\n```\n", 3, "begins with its film"),
        ("```kling\n```\n\n```python\n```\n", 4, "says nothing that can be tested"),
        ("```kling\n```\n\n```json door\n```\n", 4, "says nothing that can be tested"),
        ("```kling\n```\n\n```prompt\n```\n", 4, "says nothing that can be tested"),
        ("```kling colour=red\n```\n", 1, "knows no colour="),
        ("```kling set\n```\n", 1, "needs a name=value"),
        ("```kling set name='x\n```\n", 1, "cannot be read: No closing quotation"),
        ("```kling main=a.kling main=b.kling\n```\n", 1, "given twice"),
        ("```kling\n```\n\n```kling file=film.kling\n```\n", 4, "film.kling is written twice"),
    ],
)
def test_a_block_that_is_no_test_is_refused(page: str, line: int, reason: str) -> None:
    with pytest.raises(PageError, match=reason) as raised:
        read_examples(page)
    assert raised.value.line == line


def test_an_example_ends_before_the_next_film_and_before_a_heading_as_high_as_its_own() -> None:
    film, console = "```kling\n```\n", "```console\n```\n"
    page = f"## A\n{film}### B\n{console}{film}## C\n{console}### D\n{console}# E\n{film}"
    told = [(one.heading, one.line, one.main, len(one.scenes)) for one in read_examples(page)]
    assert told == [
        ("A", 2, "film.kling", 1),
        ("B", 7, "film.kling", 1),
        ("C", 10, "", 2),
        ("E", 16, "film.kling", 1),
    ]


def test_a_file_that_is_written_again_begins_another_scene() -> None:
    film, again, said = "```kling\n```\n", "```kling file=film.kling\n```\n", "```diagnostics\n```\n"
    [example] = read_examples(film + said + again + said)
    assert [(len(scene.files), len(scene.sayings)) for scene in example.scenes] == [(1, 1), (1, 1)]


def test_options_of_a_film_are_those_of_the_command_line() -> None:
    [example] = read_examples('```kling main=a.kling model=o3-pro set city="New York" data rows=rows.csv\n```\n')
    assert (example.main, example.model) == ("a.kling", "o3-pro")
    assert (example.parameters, example.data) == ({"city": "New York"}, {"rows": "rows.csv"})


@pytest.mark.parametrize(
    ("like", "expected"),
    [
        ("one …\n…\nfour\n", "one …\n…\nfour\n"),
        ("…\n", "…\n"),
        ("one two\n…\n\nnine\n", "one two\n…\nfour\n"),
        ("one …\n\nnine\n", "one two\nthree\n\nfour\n"),
    ],
    ids=["agrees", "leaves all out", "ends otherwise", "leaves no line out"],
)
def test_a_console_block_leaves_out_what_it_says(like: str, expected: str) -> None:
    assert leave_out("one two\nthree\n\nfour\n", like=like) == expected


def test_a_console_block_goes_where_cd_leads_and_tells_exit_codes() -> None:
    typed: list[tuple[str, str]] = []

    def shell(line: str, folder: Path) -> tuple[int, str]:
        typed.append((line, folder.as_posix()))
        return 3, "refused"

    shown, folder = type_block("$ kling plan\n$ cd sub\n$ kling render; echo $?\nold\n", Path("top"), shell)
    assert shown == "$ kling plan\nrefused\n$ cd sub\n$ kling render; echo $?\nrefused\n3\n"
    assert (typed, folder.as_posix()) == ([("kling plan", "top"), ("kling render", "top/sub")], "top/sub")


def test_json_is_compared_in_what_it_shows() -> None:
    value = {"a": [{"b": "asset:12/x.png", "c": 1}], "d": True}
    right = '{ "a": [{"b": "asset:…/x.png"}],\n  "gone": null }\n'
    assert project_json(right, value) == right
    assert project_json('{"d": 1}\n', value) == '{"d": true}\n'
    assert project_json('{"a": []}\n', value) == '{"a": [{"b": "asset:12/x.png", "c": 1}]}\n'
    assert project_json("", {"d": True}) == '{"d": true}\n'


def test_a_prompt_may_be_wrapped_and_keeps_its_paragraphs() -> None:
    wrapped = "Rain on\nthe door.\n\nThen snow.\n"
    assert fold_prompt(wrapped, "Rain on the door.\n\nThen snow.") == wrapped
    assert fold_prompt(wrapped, "Rain on the door. Then snow.") == "Rain on the door. Then snow.\n"
    assert fold_prompt("", "rain " * 30 + "ends") == "rain " * 19 + "rain\n" + "rain " * 10 + "ends\n"


def test_a_page_with_pictures_says_which_extra_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MissingExtra, match=r"pip install 'kling-dsl\[media\]'"):
        make_media("refs/never-made-before.png")
