"""The pages of the diagnostics: their form, their examples, and how they are read in a terminal."""

from __future__ import annotations

import re

import pytest

from kling_dsl.reports.pages import Example, Expected, PageError, page, parse_page, render_page, slugs, title_of
from kling_dsl.reports.palette import COLOURED

PAGE = """\
# bad-row

warning: A row that no shot uses.

Why it matters, with a block to read:

```text
no example
```

## Wrong

Some prose.

```kling model=o3-pro set city="New York" data rows=rows.csv
SHOT door 5s
Rain in {{ city }}.
```

```csv file=rows.csv
name
Lamp
```

```toml file=kling.toml
```

```diagnostics
2:1 bad-row
rows.csv:2:1 other-slug
```

```kling main=films/short.kling
SHOT door
```

```diagnostics
1:6 bad-row
```

## Right

````kling
```
````

### Another way

```kling
```

## See also

Words.
"""


def test_a_page_is_taken_apart() -> None:
    parsed = parse_page(PAGE, "bad-row")
    assert (parsed.slug, parsed.severity, parsed.title) == ("bad-row", "warning", "A row that no shot uses.")
    assert parsed.text == PAGE
    assert parsed.examples == (
        Example(
            kind="wrong",
            files={
                "film.kling": "SHOT door 5s\nRain in {{ city }}.\n",
                "rows.csv": "name\nLamp\n",
                "kling.toml": "",
            },
            main="film.kling",
            expected=(Expected("film.kling", 2, 1, "bad-row"), Expected("rows.csv", 2, 1, "other-slug")),
            line=16,
            options={"model": "o3-pro"},
            parameters={"city": "New York"},
            data={"rows": "rows.csv"},
        ),
        Example(
            "wrong",
            {"films/short.kling": "SHOT door\n"},
            "films/short.kling",
            parsed.examples[1].expected,
            34,
            {},
            {},
            {},
        ),
        Example("right", {"film.kling": "```\n"}, "film.kling", (), 44, {}, {}, {}),
        Example("right", {"film.kling": ""}, "film.kling", (), 50, {}, {}, {}),
    )
    assert parsed.examples[1].expected == (Expected("films/short.kling", 1, 6, "bad-row"),)


def test_an_example_knows_the_line_where_its_film_begins() -> None:
    lines = PAGE.split("\n")
    for example in parse_page(PAGE, "bad-row").examples[:2]:
        assert lines[example.line - 1] == example.files[example.main].split("\n")[0]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("# bad-row", "# other", "bad-row:1: the first line must be '# bad-row'"),
        ("warning: A row", "Warning: A row", "bad-row:3: the third line must be 'error: title'"),
        ("2:1 bad-row", "2,1 bad-row", "bad-row:29: expected 'line:column slug'"),
        ("rows.csv:2:1", "gone.csv:2:1", "bad-row:30: expected 'line:column slug'"),
        ("1:6 bad-row", "1:6 other-slug", "bad-row:33: a wrong example needs a diagnostics block that names bad-row"),
        ("```csv file=rows.csv", "```csv", "bad-row:20: a further file of an example needs a file= name"),
        ("file=kling.toml", "file=rows.csv", "bad-row:25: a further file of an example needs a file= name"),
        ("model=o3-pro set", "o3-pro set", "bad-row:15: 'o3-pro' is no key=value"),
        ("model=o3-pro set", "model=a model=b set", "bad-row:15: 'model=b' is no key=value, or its key is given twice"),
        (" data rows=rows.csv", " data", "bad-row:15: 'data' needs a name=value after it"),
        ("## Right", "## Left", "bad-row: no example under '## Right'"),
        ("## Wrong", "## Left", "bad-row: no example under '## Wrong'"),
        ("````kling", "````csv file=a.csv", "bad-row:43: an example begins with its film"),
        ("````\n\n###", "````\n\n```diagnostics\n1:1 bad-row\n```\n\n###", "bad-row:43: a right example cannot report"),
        ("\n````\n\n###", "\n\n###", "bad-row:43: this block is never closed"),
    ],
)
def test_a_broken_page_is_refused_with_its_line(old: str, new: str, problem: str) -> None:
    assert old in PAGE
    with pytest.raises(PageError, match=re.escape(problem)):
        parse_page(PAGE.replace(old, new, 1), "bad-row")


def test_every_page_of_the_project_keeps_the_form() -> None:
    assert "unknown-reference" in slugs()
    assert "README" not in slugs()
    for slug in slugs():
        found = page(slug)
        assert found is not None
        assert found.slug == slug
        assert title_of(found.text) == found.title


@pytest.mark.parametrize("slug", ["no-such-page", "README", "../models/o3-4k", "unknown-reference.md", "", "\x00", "A"])
def test_what_is_no_slug_of_a_page_has_no_page(slug: str) -> None:
    assert page(slug) is None


def test_the_expected_place_of_the_model_page_is_the_misspelt_name() -> None:
    found = page("unknown-reference")
    assert found is not None
    wrong, right = found.examples
    (expected,) = wrong.expected
    line = wrong.files[expected.file].split("\n")[expected.line - 1]
    assert line[expected.column - 1 :].startswith("@Mria ")
    assert (right.kind, right.expected) == ("right", ())


def test_a_text_without_a_title_has_none() -> None:
    assert title_of("# slug\n\nWords.\n") == ""
    assert title_of("") == ""


def test_a_page_is_laid_out_for_a_terminal() -> None:
    shown = render_page(parse_page(PAGE, "bad-row"))
    assert shown.startswith("bad-row\n\nwarning: A row that no shot uses.\n\nWhy it matters")
    assert "    SHOT door 5s\n    Rain in {{ city }}.\n\n  rows.csv:\n    name\n    Lamp\n" in shown
    assert "  reported:\n    2:1 bad-row\n    rows.csv:2:1 other-slug\n" in shown
    assert "\nRight\n" in shown
    assert "## " not in shown
    assert shown.endswith("\nWords.\n")


def test_headings_are_strong_in_colour() -> None:
    shown = render_page(parse_page(PAGE, "bad-row"), palette=COLOURED)
    assert shown.startswith(f"{COLOURED.strong}bad-row{COLOURED.reset}\n")
    assert f"{COLOURED.warning}warning{COLOURED.reset}: A row" in shown
    assert f"{COLOURED.strong}Wrong{COLOURED.reset}\n" in shown


def test_a_page_cannot_steer_the_terminal() -> None:
    shown = render_page(parse_page(PAGE.replace("Words.", "\x1b[2J\u202e"), "bad-row"), palette=COLOURED)
    assert shown.endswith("\\x1b[2J\\u202e\n")
