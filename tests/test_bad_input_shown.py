"""What a stranger wrote is shown and never obeyed: by a terminal, a browser, GitHub, a shell or an interpreter."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from bad_input import SHOT, UNSEEN, kling, write
from media_samples import make_picture

ESCAPES = {
    "colour": "\x1b[31m",
    "title": "\x1b]0;owned\x07",
    "link": "\x1b]8;;https://evil.example\x1b\\text\x1b]8;;\x1b\\",
    "clear": "\x1b[2J\x1b[H",
    "csi": "\x9b31m",
    "bell": "\x07",
    "back": "\x08\x08\x08",
    "delete": "\x7f",
    "return": "\rfilm.kling: no mistakes",
    "bidi": "\u202egnp.exe",
    "isolate": "\u2066\u2069",
    "separator": "\u2028error",
}
VERBS = (
    ("check",),
    ("check", "--format", "json"),
    ("check", "--format", "sarif"),
    ("check", "--format", "github"),
    ("compile",),
    ("plan",),
)


@pytest.fixture(params=["one", "other"])
def escapes(request: pytest.FixtureRequest) -> str:
    """Half of the escapes in one text, so that each place is tried with every one in few runs."""
    found = list(ESCAPES.values())
    return "".join(found[::2] if request.param == "one" else found[1::2])


def test_escapes_in_every_place_of_a_film(tmp_path: Path, escapes: str) -> None:
    seen = escapes.replace("\r", "")
    film = (
        f"Title: A {escapes} title\nLook: {escapes}\nLok: {escapes}\nModel: {escapes}\nBudget: {escapes}\nData x: {seen}\n"
        f"Param p{escapes}: {escapes}\n\nimport {escapes}.kling\n\n"
        f"CHARACTER Mi{escapes}ra\n  front: {escapes}.png\n  frnt: {escapes}\n{escapes}\n\n"
        f"INT. ROOM {escapes} - DAY\n  loo{escapes}k: {escapes}\n\n"
        f"SHOT do{escapes}or {escapes}5s {escapes}\n  start: https://{escapes}\n  end: end of {escapes}\n"
        f"@No{escapes}body {escapes}\nNO{escapes}BODY ({escapes}): {escapes}\n{{{{ {escapes} }}}}\n{{% include '{seen}' %}}\n\n"
        f"CLIP {escapes} {escapes}\n\nSHOT {escapes}\n\nshot {escapes} 5s\n\nEND CLIP {escapes}\n[[ {escapes}\n"
    )
    write(tmp_path, {"film.kling": film})
    for words in VERBS:
        assert kling(*words, "film.kling", cwd=tmp_path).code == 1
    write(tmp_path, {"film.kling": film.replace("{{", "").replace("{%", "")})
    for words in VERBS:
        assert kling(*words, "film.kling", cwd=tmp_path).code == 1


def test_escapes_in_tables_values_sheets_and_settings(tmp_path: Path, escapes: str) -> None:
    toml = "".join(f"\\u{ord(char):04x}" for char in escapes)
    cell = escapes.replace("\r", "")
    write(
        tmp_path,
        {
            "rows.csv": f"name,{cell}\nx{cell}y,1\n",
            "film.kling": (
                f"Data rows: rows.csv\n\n{SHOT}{{% for row in rows %}}@{{{{ row.name }}}} {{{{ given }}}} {{% endfor %}}\n"
                "{{ rows[0].nosuch }}\n"
            ),
            "kling.toml": f'"{toml}" = 1\n[lints]\n"{toml}" = "{toml}"\n[paths]\nout = "{toml}"\n',
            "models/own.toml": f'name = "{toml}"\ntitle = "{toml}"\n"{toml}" = "{toml}"\n',
            "models/raw.toml": escapes,
        },
    )
    for words in VERBS:
        assert kling(*words, "--set", f"given={escapes}", "film.kling", cwd=tmp_path).code == 1
    assert kling("models", "own", cwd=tmp_path).code == 1
    assert kling("models", cwd=tmp_path).code == 1


def test_joiners_and_signs_of_direction_are_shown_in_a_film_that_compiles(tmp_path: Path) -> None:
    signs = "\u202e\u2066\u2069\u200e\u061c"
    write(tmp_path, {"film.kling": f"Title: A{signs}B\n\n.ROOM {signs}\n\n{SHOT}Rain {signs} falls.\n"})
    for words in (*VERBS, ("plan", "--format", "json"), ("plan", "--format", "markdown"), ("plan", "--format", "html")):
        assert kling(*words, "film.kling", cwd=tmp_path).code == 0
    for form in ("curl", "python", "javascript"):
        program = kling("compile", "--format", form, "film.kling", cwd=tmp_path).out
        assert UNSEEN.search(program) is None


MARKUP = (
    "<script>alert(1)</script><img src=x onerror=alert(1)> </title></style><b> &lt; \" ' "
    "[text](https://evil.example) ![p](https://evil.example/p.png) <https://evil.example> https://evil.example "
    "`code` | cell | **bold** @somebody #12 {{7*7}} ${7*7} <!-- --> ~~~ ::error::x %0A"
)


class _Page(HTMLParser):
    """Collects the elements of a page and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, list[tuple[str, str | None]]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, attrs))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_markup_in_a_plan_is_text(tmp_path: Path) -> None:
    words = MARKUP.replace("{{7*7}}", "").replace("[text]", "[ text]").replace("<!-- -->", "")
    heading = words.replace("#12 ", "").replace("@somebody", "@@somebody")
    name = "a<img src=x onerror=alert(1)>|b.kling"
    write(tmp_path, {name: f"Title: {words}\n\n.{'X'}{heading}\n\n{SHOT}"})
    html = kling("plan", "--format", "html", name, cwd=tmp_path).out
    page = _Page()
    page.feed(html)
    assert {tag for tag, _ in page.elements} <= {
        *(
            "html",
            "meta",
            "title",
            "style",
            "h1",
            "h2",
            "p",
            "table",
            "thead",
            "tbody",
            "tr",
            "th",
            "td",
            "dl",
            "dt",
            "dd",
        ),
    }
    assert {key for _, attributes in page.elements for key, _ in attributes} <= {
        "lang",
        "charset",
        "name",
        "content",
        "class",
    }
    assert "<script>alert(1)</script>" in page.text
    markdown = kling("plan", "--format", "markdown", name, cwd=tmp_path).out
    rendered = _render_markdown(markdown)
    assert {tag for tag, _ in rendered.elements} <= {
        *("h3", "table", "thead", "tbody", "tr", "th", "td", "strong", "ul", "li", "p", "code"),
    }
    rows = [line for line in markdown.splitlines() if line.startswith("| ") and not line.startswith("| :")]
    assert len({line.replace("\\|", "").count("|") for line in rows}) == 1, "a cell broke out of its column"
    for sign in ("@somebody", "](http", "<img", "<script", "https://evil"):
        assert sign not in markdown


def _render_markdown(text: str) -> _Page:
    from markdown_it import MarkdownIt

    page = _Page()
    page.feed(MarkdownIt("commonmark").enable("table").render(text))
    return page


def test_an_annotation_says_no_second_command(tmp_path: Path) -> None:
    name = "a,line=99::x%0A::set-env name=A::b.kling"
    film = f"{SHOT}@Nobody\n  start: %0A::error file=x::owned\n@%0A::stop-commands::x\nBO%0A::add-mask::x: hello\n"
    write(tmp_path, {name: film})
    ran = kling("check", "--format", "github", name, cwd=tmp_path)
    assert ran.code == 1
    for line in ran.out.splitlines():
        assert line.startswith(("::error ", "::warning ", "::notice "))
        assert line.count("::") == 2 or "%3A%3A" in line or line.split("::", 2)[1].count("file=") == 1
        assert "%0A::" not in line.split("::", 2)[1]
    listed = json.loads(kling("check", "--format", "sarif", name, cwd=tmp_path).out)
    places = {
        result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for result in listed["runs"][0]["results"]
    }
    assert len(places) == 1
    assert not set(' "<>\\^`{|}\n').intersection(places.pop())


HOSTILE = [
    "'; touch owned; '",
    '"; touch owned; "',
    "$(touch owned)",
    "`touch owned`",
    "\\' \\\" \\\\",
    "'''\"\"\"\n",
    "KLING\nEOF\ntouch owned\n",
    "*/ /* // # --",
    "</script> ${process.exit(7)}",
    "%s {0} !! ~ * ?",
    "__import__('os').system('touch owned')",
    "\u2028\u2029 \ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"),
]


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A film whose title, heading, look, names of files, prompts and dialogue all try to leave their quotes."""
    nasty = " ".join(text.replace("\n", " ") for text in HOSTILE).replace("{0}", "")
    file = "$(touch owned)`touch owned`';\"&|<>* a'b.png"
    clips = "".join(
        f"SHOT s{n} 5s {text.replace(chr(10), ' ')}\n{text.strip()}\n@Mira {n}.\n\n" for n, text in enumerate(HOSTILE)
    )
    film = (
        f"Title: {nasty}\nLook: {nasty}\n\nCHARACTER Mira\n  front: {file}\n  angles: {file}\n\n"
        f".ROOM {nasty}\n\n{clips}SHOT last 5s\n  start: end of s1\n@Mira turns.\n"
    )
    return write(tmp_path, {"film.kling": film, file: make_picture("png", 400, 400)})


def _program(folder: Path, form: str) -> str:
    ran = kling("compile", "--format", form, "film.kling", cwd=folder)
    assert ran.code == 0, ran.err
    assert UNSEEN.search(ran.out) is None
    return ran.out


def test_a_python_program_of_hostile_texts_is_only_data(hostile: Path) -> None:
    program = _program(hostile, "python")
    tame = write(hostile / "tame", {"film.kling": SHOT})
    assert _skeleton(program) == _skeleton(_program(tame, "python"))


def _skeleton(program: str) -> str:
    """Return the structure of a program without what its literals hold."""
    tree = ast.parse(program)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant):
            node.value = 0
        for field in ("elts", "keys", "values"):
            if isinstance(node, (ast.List, ast.Dict, ast.Tuple)) and hasattr(node, field):
                setattr(node, field, [])
    return ast.dump(tree)


@pytest.mark.parametrize(("form", "runner"), [("curl", "bash"), ("python", sys.executable), ("javascript", "node")])
def test_a_program_of_hostile_texts_does_nothing_without_a_key(hostile: Path, form: str, runner: str) -> None:
    if shutil.which(runner) is None:
        pytest.skip(f"needs {runner}")
    name = {"curl": "buy.sh", "python": "buy.py", "javascript": "buy.mjs"}[form]
    (hostile / name).write_text(_program(hostile, form), encoding="utf-8")
    before = sorted(os.listdir(hostile))
    environment = {"PATH": os.environ["PATH"], "HOME": str(hostile / "home")}
    done = subprocess.run((runner, name), cwd=hostile, env=environment, capture_output=True, timeout=20, check=False)
    assert done.returncode not in (0, 7)
    assert sorted(os.listdir(hostile)) == before, done.stderr


@pytest.mark.parametrize(("form", "runner"), [("curl", "sh"), ("javascript", "node")])
def test_other_programs_of_hostile_texts_are_well_formed(hostile: Path, form: str, runner: str) -> None:
    if shutil.which(runner) is None:
        pytest.skip(f"needs {runner}")
    name = {"curl": "buy.sh", "javascript": "buy.mjs"}[form]
    (hostile / name).write_text(_program(hostile, form), encoding="utf-8")
    flag = "-n" if form == "curl" else "--check"
    done = subprocess.run((runner, flag, name), cwd=hostile, capture_output=True, timeout=20, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("word", ["../../etc/x", "a/b", ".", "..", "-rf", "$(id)", "A", "é", "a\\b", "a\x00b", "con:"])
def test_an_id_is_never_a_path(tmp_path: Path, word: str) -> None:
    write(tmp_path, {"film.kling": f"SHOT {word} 5s\nSea.\n"})
    ran = kling("compile", "--format", "curl", "film.kling", cwd=tmp_path)
    assert ran.code == 1
    assert ran.out == ""
