"""Any bytes in any file end in diagnostics or a line, with the right exit code: no traceback, no hang, nothing half written."""

from __future__ import annotations

import json
import os
import random
import re
import resource
from collections.abc import Callable
from pathlib import Path

import pytest
from bad_input import KLING, SHOT, files_in, kling, write
from media_samples import make_picture

PICTURE = make_picture("png", 400, 400)
ONE_GIGABYTE = {resource.RLIMIT_AS: 1 << 30}

TEXTS: dict[str, tuple[bytes, list[str]]] = {
    "latin-1": (b"SHOT a 5s\nA caf\xe9.\n", ["unreadable-file"]),
    "utf-16": ("SHOT a 5s\nSea.\n".encode("utf-16"), ["unreadable-file"]),
    "a lone surrogate": (b"SHOT a 5s\nSea \xed\xa0\x80.\n", ["unreadable-file"]),
    "cut in a character": ("SHOT a 5s\nÉ".encode()[:-1], ["unreadable-file"]),
    "nul": (b"SHOT a 5s\nSea\0.\n", ["control-character"]),
    "only nul": (b"\0" * 4096, ["control-character"]),
    "empty": (b"", ["no-shots"]),
    "blank": (b"\n \n\t\n", ["no-shots"]),
    "a picture": (PICTURE, ["unreadable-file"]),
    "escape": (b"SHOT a 5s\nSea \x1b[31m.\n", ["control-character"]),
    "bytes of every kind": (bytes(range(256)) * 64, ["unreadable-file"]),
}


@pytest.mark.parametrize("name", TEXTS)
def test_any_text_for_a_film(tmp_path: Path, name: str) -> None:
    content, slugs = TEXTS[name]
    write(tmp_path, {"film.kling": content})
    ran = kling("check", "film.kling", cwd=tmp_path)
    assert [slug for slug in ran.slugs if slug in slugs] == slugs
    assert ran.code == (0 if slugs == ["no-shots"] else 1)
    for verb in ("compile", "plan"):
        again = kling(verb, "film.kling", cwd=tmp_path)
        assert again.code == ran.code
        assert not (again.code and again.out), "a film with errors gave results"
    assert files_in(tmp_path).keys() == {"film.kling", "kling.toml"}


@pytest.mark.parametrize("seed", range(4))
def test_noise_in_every_file(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    words = [
        "SHOT",
        "CLIP",
        "END CLIP",
        "@",
        "[[",
        "]]",
        "{{",
        "}}",
        "{%",
        "%}",
        "import ",
        "\n",
        "\n\n",
        "  ",
        ": ",
        "5s",
        "a",
        "É",
    ]
    words += [
        "CHARACTER ",
        "INT. ",
        "MIRA: ",
        "front: ",
        "Model: ",
        '"',
        "=",
        "[",
        "]",
        ",",
        "\0",
        "\x1b",
        "\u202e",
        "\ufeff",
    ]
    noise = {
        name: "".join(dice.choice(words) for _ in range(2000))
        for name in ("film.kling", "cast.kling", "kling.toml", "models/own.toml", "rows.csv", "rows.json", "a.png")
    }
    noise["film.kling"] = (
        f"Title: Noise\nData rows: rows.{dice.choice(['csv', 'json'])}\n\nimport cast.kling\n\n{noise['film.kling']}"
    )
    write(tmp_path, noise)
    assert kling("check", "film.kling", cwd=tmp_path).code == 1
    assert kling("check", "--fix", "film.kling", "--format", "json", cwd=tmp_path).code == 1
    kling("models", "own", cwd=tmp_path)


PLACES: dict[str, tuple[Callable[[Path], object], int]] = {
    "a folder": (lambda path: path.mkdir(), 2),
    "nothing": (lambda path: None, 2),
    "a pipe": (os.mkfifo, 1),
    "a device": (lambda path: path.symlink_to("/dev/zero"), 1),
    "a link to itself": (lambda path: path.symlink_to(path.name), 2),
    "a link to nothing": (lambda path: path.symlink_to("nowhere.kling"), 2),
    "a link that leaves": (lambda path: path.symlink_to(path.parent.parent / "outside.kling"), 1),
}


@pytest.mark.parametrize("kind", PLACES)
def test_a_film_that_is_no_file(tmp_path: Path, kind: str) -> None:
    put, code = PLACES[kind]
    (tmp_path / "outside.kling").write_text(SHOT)
    folder = write(tmp_path / "project", {})
    put(folder / "film.kling")
    for verb in ("check", "compile", "plan"):
        ran = kling(verb, "film.kling", cwd=folder)
        assert ran.code == code
        assert "film.kling" in ran.told
        assert "Rain on a storm door" not in ran.told


@pytest.mark.parametrize(
    "name", [b"", b"a\xff.kling", b"a\x1b[31m.kling", b"a\n.kling", b"a" * 5000, b"\xe2\x80\xae.kling"]
)
def test_a_name_of_no_film(tmp_path: Path, name: bytes) -> None:
    assert kling("check", name, cwd=tmp_path).code == 2


@pytest.mark.parametrize("name", [b"a\x1b[31m.kling", b"a\nb.kling", "a\u202eb.kling".encode(), b"-.kling"])
def test_a_film_of_a_strange_name(tmp_path: Path, name: bytes) -> None:
    write(tmp_path, {})
    Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), name))).write_text(SHOT + "@Nobody\n")
    for words in (("check",), ("check", "--format", "github"), ("check", "--format", "sarif"), ("compile",), ("plan",)):
        assert kling(*words, b"./" + name, cwd=tmp_path).code == 1


def test_ten_thousand_errors_are_capped_and_counted(tmp_path: Path) -> None:
    write(tmp_path, {"film.kling": "".join(f"SHOT s{n} 5s\nSea {n}.\n  lok: x\n@Nobody{n}\n\n" for n in range(10_000))})
    ran = kling("check", "film.kling", cwd=tmp_path)
    assert ran.code == 1
    assert ran.told.count("\nerror[") + ran.told.startswith("error[") <= 1001
    assert re.search(r"\d,\d{3} more are not shown", ran.out)
    found = json.loads(kling("check", "--format", "json", "film.kling", cwd=tmp_path).out)
    assert len(found) == 1001
    assert found[-1]["code"] == "too-many-diagnostics"
    for form in ("sarif", "github"):
        assert kling("check", "--format", form, "film.kling", cwd=tmp_path).code == 1


IMPORTS: dict[str, tuple[dict[str, str], str]] = {
    "of itself": ({"film.kling": f"import film.kling\n\n{SHOT}"}, "import-cycle"),
    "in a ring": (
        {"film.kling": f"import a.kling\n\n{SHOT}", "a.kling": "import b.kling\n", "b.kling": "import a.kling\n"},
        "import-cycle",
    ),
    "that is missing": ({"film.kling": f"import none.kling\n\n{SHOT}"}, "missing-import"),
    "that leaves": ({"film.kling": f"import ../outside.kling\n\n{SHOT}"}, "outside-root"),
    "by an absolute path": ({"film.kling": f"import /etc/passwd.kling\n\n{SHOT}"}, "outside-root"),
    "of what is hidden": (
        {"film.kling": f"import .git/a.kling\n\n{SHOT}", ".git/a.kling": "PROP Lamp\nRed.\n"},
        "outside-root",
    ),
    "that is no text": ({"film.kling": f"import a.kling\n\n{SHOT}", "a.kling": "\udcff"}, "unreadable-file"),
    "of a control character": ({"film.kling": f"import a\x1b]0;x\x07.kling\n\n{SHOT}"}, "missing-import"),
    "fifty deep": (
        {"film.kling": f"import c0.kling\n\n{SHOT}", **{f"c{n}.kling": f"import c{n + 1}.kling\n" for n in range(60)}},
        "import-cycle",
    ),
}


@pytest.mark.parametrize("name", IMPORTS)
def test_an_import(tmp_path: Path, name: str) -> None:
    files, slug = IMPORTS[name]
    (tmp_path / "outside.kling").write_text("PROP Lamp\nA secret.\n")
    folder = write(tmp_path / "project", files)
    ran = kling("check", "film.kling", cwd=folder)
    assert ran.code == 1
    assert slug in ran.slugs
    assert "secret" not in ran.told


def test_an_import_through_links(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "a.kling").write_text("PROP Lamp\nA secret.\n")
    imports = "".join(f"import {name}\n" for name in ("file.kling", "folder/a.kling", "pipe.kling", "inner.kling"))
    folder = write(
        tmp_path / "project", {"film.kling": f"{imports}\n{SHOT}@Inner\n", "real.kling": "PROP Inner\nRed.\n"}
    )
    (folder / "file.kling").symlink_to("../outside/a.kling")
    (folder / "folder").symlink_to("../outside")
    (folder / "inner.kling").symlink_to("real.kling")
    os.mkfifo(folder / "pipe.kling")
    ran = kling("check", "film.kling", cwd=folder)
    assert ran.slugs == ["outside-root", "outside-root", "unreadable-file"]
    assert "secret" not in ran.told


TEMPLATES = {
    "attribute": ("{{ ''.__class__ }}", "template-forbidden"),
    "subclasses": ("{{ ''['__class__'].__mro__[1].__subclasses__() }}", "template-forbidden"),
    "filter": ("{{ ''|attr('__class__') }}", "template-forbidden"),
    "format": ("{{ '{0.__class__}'.format('') }}", "template-forbidden"),
    "globals": ("{{ range.__init__.__globals__ }}", "template-forbidden"),
    "context": ("{{ self._TemplateReference__context }}", "template-forbidden"),
    "endless loop": (
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "template-limit",
    ),
    "endless recursion": ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "template-limit"),
    "gigabytes": ("{{ 'a' * 10**10 }}", "template-limit"),
    "doubled": ("{% set x = 'aaaaaaaa' %}" + "{% set x = x ~ x %}" * 40 + "{{ x }}", "template-limit"),
    "a large power": ("{{ 10 ** (10 ** 10) }}", "template-limit"),
    "padding": ("{{ 'x'|center(10**10) }}", "template-limit"),
    "many lines": ("{% for a in range(99999) %}{{ 'x' * 1000 }}\n{% endfor %}", "template-limit"),
    "includes itself": ("{% include 'film.kling' %}", "template-limit"),
    "includes what is outside": ("{% include '/etc/passwd' %}", "template-forbidden"),
    "includes what is hidden": ("{% include '.env' %}", "template-missing"),
    "unclosed": ("{% if 1 %}", "template-syntax"),
    "deep": ("{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", "template-limit"),
}


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template(tmp_path: Path, name: str) -> None:
    written, slug = TEMPLATES[name]
    write(tmp_path, {"film.kling": f"{SHOT}{written}\n", ".env": "secret"})
    ran = kling("check", "film.kling", cwd=tmp_path, limits=ONE_GIGABYTE, surroundings={"PYTHONWARNINGS": ""})
    assert ran.code == 1
    assert slug in ran.slugs
    assert "secret" not in ran.told
    assert "root:" not in ran.told


DATA = {
    "deep JSON": ("rows.json", "[" * 100_000),
    "deep TOML": ("rows.toml", "a = " + "[" * 100_000),
    "a number without end": ("rows.json", "9" * 100_000),
    "a cell without end": ("rows.csv", 'a\n"' + "x" * 3_000_000),
    "many columns": ("rows.csv", ",".join(f"c{n}" for n in range(200_000)) + "\n"),
    "not a number": ("rows.json", "[NaN, Infinity, 1e999999]"),
    "not UTF-8": ("rows.csv", "\udcff"),
    "a class": ("rows.json", '{"__class__": {"__mro__": []}}'),
}


@pytest.mark.parametrize("name", DATA)
def test_data(tmp_path: Path, name: str) -> None:
    file, content = DATA[name]
    film = f"Data rows: {file}\n\n{SHOT}{{{{ rows.__class__ }}}}{{% for row in rows %}}{{{{ row.a }}}}{{% endfor %}}\n"
    write(tmp_path, {"film.kling": film, file: content})
    assert kling("check", "film.kling", cwd=tmp_path, limits=ONE_GIGABYTE).code == 1


def test_media_of_every_bad_kind(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "a.png").write_bytes(PICTURE)
    folder = write(
        tmp_path / "project",
        {
            "cut.png": PICTURE[: len(PICTURE) // 2],
            "text.png": "not a picture",
            "empty.png": "",
            "page.png": "<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>",
            ".hidden/a.png": PICTURE,
            ".git/a.png": PICTURE,
            "good.png": PICTURE,
            "small.png": make_picture("png", 4, 4),
            "sparse.png": b"\x89PNG\r\n\x1a\n",
            "huge.png": PICTURE + b"\0" * (11 << 20),
        },
    )
    os.truncate(folder / "sparse.png", 40 << 30)
    (folder / "link.png").symlink_to("../outside/a.png")
    (folder / "links").symlink_to("../outside")
    (folder / "loop.png").symlink_to("loop.png")
    (folder / "folder.png").mkdir()
    os.mkfifo(folder / "pipe.png")
    expected = {
        "none.png": "media-missing",
        "cut.png": "media-broken",
        "text.png": "media-kind",
        "empty.png": "media-kind",
        "page.png": "media-kind",
        ".hidden/a.png": "outside-root",
        ".git/a.png": "outside-root",
        "small.png": "picture-too-small",
        "sparse.png": "media-too-large",
        "huge.png": "media-too-large",
        "link.png": "outside-root",
        "links/a.png": "outside-root",
        "../outside/a.png": "outside-root",
        "/etc/passwd": "outside-root",
        "loop.png": "media-unreadable",
        "folder.png": "media-unreadable",
        "pipe.png": "media-unreadable",
        "good.png/a.png": "media-missing",
        "x" * 5000 + ".png": "media-unreadable",
        "a\u202eb.png": "media-missing",
    }
    props = "".join(f"STYLE S{n}\n  image: {path}\n\n" for n, path in enumerate(expected))
    uses = "".join(f"SHOT s{n} 5s\nSea {n} and @S{n}.\n\n" for n in range(len(expected)))
    write(folder, {"film.kling": props + uses})
    ran = kling("check", "--format", "json", "film.kling", cwd=folder)
    assert ran.code == 1
    by_line = {found["line"]: found["code"] for found in json.loads(ran.out) if found["severity"] == "error"}
    assert {path: by_line.get(3 * n + 2) for n, path in enumerate(expected)} == expected
    text = kling("check", "film.kling", cwd=folder)
    assert text.code == 1


def test_a_file_that_changes_while_it_is_read(tmp_path: Path) -> None:
    write(tmp_path, {"film.kling": f"STYLE S\n  image: a.png\n\n{SHOT}@S\n", "a.png": PICTURE + b"\0" * (5 << 20)})
    import subprocess
    import threading

    stop = threading.Event()

    def grow() -> None:
        with (tmp_path / "a.png").open("ab", buffering=0) as file:
            while not stop.is_set():
                file.write(b"\0")

    writer = threading.Thread(target=grow)
    writer.start()
    try:
        done = subprocess.run(
            (KLING, "compile", "film.kling"), cwd=tmp_path, capture_output=True, timeout=20, check=False
        )
    finally:
        stop.set()
        writer.join()
    assert done.returncode == 1
    assert b"changed while it was being read" in done.stderr
    assert done.stdout == b""


BAD_SETTINGS: dict[str, str | bytes] = {
    "kling.toml": "[lints]\nlong-dialogue = 'loud'\n[paths]\nout = '../x'\n\x1b = 1",
    "models/own.toml": "name = 'own'\nendpoint = '\x07'",
    "models/deep.toml": "a = " + "[" * 50_000,
    "models/o3-4k.toml": "",
    "models/large.toml": "# " + "x" * 300_000,
    "models/bytes.toml": b"\xff\xfe",
}


def test_settings_and_sheets(tmp_path: Path) -> None:
    write(tmp_path, BAD_SETTINGS | {"film.kling": SHOT})
    os.mkfifo(tmp_path / "models" / "pipe.toml")
    (tmp_path / "models" / "folder.toml").mkdir()
    (tmp_path / "models" / "link.toml").symlink_to("/etc/passwd")
    ran = kling("check", "film.kling", cwd=tmp_path)
    assert ran.code == 1
    assert ran.slugs.count("bad-model-sheet") >= 8
    assert "bad-settings" in ran.slugs
    assert "root:" not in ran.told
    assert kling("models", cwd=tmp_path).code == 1
    os.remove(tmp_path / "kling.toml")
    os.mkfifo(tmp_path / "kling.toml")
    assert "bad-settings" in kling("check", "film.kling", cwd=tmp_path).slugs


WRONG_USAGE = [
    ("chekc", "film.kling"),
    ("check",),
    ("check", "--format", "xml", "film.kling"),
    ("compile", "--only", "n\x1bo", "film.kling"),
    ("compile", "--model", "n\x1bo", "film.kling"),
    ("compile", "--set", "n\x1bo", "film.kling"),
    ("compile", "--set", "1x=2", "film.kling"),
    ("compile", "--data", "x", "film.kling"),
    ("compile", "--data", "x=/etc/passwd", "film.kling"),
    ("compile", "--data", "x=../\x1b[31m", "film.kling"),
    ("\x1b[31m",),
    ("explain", "\x1b[31m\u202e"),
    ("models", "\x1b[31m\u202e"),
    ("--\x1b[31m",),
    ("plan", "film.kling", "--out", "."),
]


@pytest.mark.parametrize("words", WRONG_USAGE, ids=[repr(words) for words in WRONG_USAGE])
def test_wrong_usage(tmp_path: Path, words: tuple[str, ...]) -> None:
    write(tmp_path, {"film.kling": SHOT})
    ran = kling(*words, cwd=tmp_path)
    assert ran.code == 2
    assert ran.out == ""
    assert len(ran.err.strip().splitlines()) <= 6


def test_a_refused_film_ends_with_three(tmp_path: Path) -> None:
    write(tmp_path, {"film.kling": f"Budget: $1\n\n{SHOT}"})
    assert kling("plan", "film.kling", cwd=tmp_path).code == 3
    assert kling("plan", "film.kling", "--out", "plan.html", "--format", "html", cwd=tmp_path).code == 3
