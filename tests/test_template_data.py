"""Data files: what is read of each, and what is told of those that cannot be used, with the exact words underlined."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal

import pytest

from kling_dsl.diagnostics import Diagnostic
from kling_dsl.templates import parse_data

COMMA = 'a value that contains a comma is written in quotes: "a, b"'
NINES = "9" * 1000
ONES = "1" * 998
DEEP = "[" * 50_000

READ: tuple[tuple[str, str, object], ...] = (
    ("p.csv", "a,b\n1,2", [{"a": "1", "b": "2"}]),
    ("P.CSV", "a\n1", [{"a": "1"}]),
    ("p.csv", "\ufeff a , b \r\n 1 , 2 \r\n\r\n", [{"a": " 1 ", "b": " 2 "}]),
    ("p.csv", "a\n1\r2\r\n3\n", [{"a": "1"}, {"a": "2"}, {"a": "3"}]),
    ("p.csv", 'a,b\n"x, ""y""","l1\nl2"\n,\n', [{"a": 'x, "y"', "b": "l1\nl2"}, {"a": "", "b": ""}]),
    ("p.csv", "\n\na\n\n\n1\n\n2\n\n", [{"a": "1"}, {"a": "2"}]),
    ("p.csv", "a,b\n'x',y", [{"a": "'x'", "b": "y"}]),
    ("p.json", " 1 ", 1),
    ("p.json", "null", None),
    ("p.JSON", "[]", []),
    ("p.json", '{"a": 1.50, "c": {"a": 1e3}}', {"a": Decimal("1.50"), "c": {"a": Decimal("1E+3")}}),
    ("p.json", '[true, "\\u00e9", "\\ud83d\\ude00", "\\\\ud800"]', [True, "é", "😀", "\\ud800"]),
    ("p.json", f"[{NINES}, -{NINES[1:]}]", [10**1000 - 1, 1 - 10**999]),
    ("p.json", "[1e1000, -1e-1000, 0.0]", [Decimal("1E+1000"), Decimal("-1E-1000"), Decimal("0.0")]),
    ("p.json", f"[1.{ONES}]", [Decimal(f"1.{ONES}")]),
    ("p.jsonl", "\ufeff\n1\n\n \t\n[2]\n", [1, [2]]),
    ("p.toml", "a = 1.50\nb = 0x1f\n", {"a": Decimal("1.50"), "b": 31}),
    ("p.toml", "c = 1979-05-27\n[[d]]\ne = 'x'", {"c": date(1979, 5, 27), "d": [{"e": "x"}]}),
    ("p.toml", "#x\r\na=1\rb=1e1000", {"a": 1, "b": Decimal("1E+1000")}),
    ("p.toml", f"a = 0x{'F' * 830}", {"a": 16**830 - 1}),
    ("p.toml", f"a = {NINES}\nb = 'x{NINES}9'", {"a": 10**1000 - 1, "b": f"x{NINES}9"}),
)

MISTAKES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("p.csv", "", ("1:1-1:1 this data file is empty",)),
    ("p.csv", " \n\n", ("1:1-1:1 this data file is empty",)),
    ("p.txt", "a", ("1:1-1:1 a data file ends in one of .csv, .json, .jsonl, .toml",)),
    ("a.csv/c", "a", ("1:1-1:1 a data file ends in one of .csv, .json, .jsonl, .toml",)),
    # Rows and columns.
    ("p.csv", "a,b", ("1:1-1:4 this file names columns but has no rows",)),
    ("p.csv", "a,b\n", ("1:1-1:4 this file names columns but has no rows",)),
    ("p.csv", '\n\n"a\n",b\n\n', ("3:1-4:4 this file names columns but has no rows",)),
    ("p.csv", "a,,c,\n1,2,3,4", ("1:3-1:4 column 2 has no name", "1:6-2:1 column 4 has no name")),
    ("p.csv", ",b\n1,2\n", ("1:1-1:2 column 1 has no name",)),
    ("p.csv", "a, ,c\n1,2,3\n", ("1:3-1:4 column 2 has no name",)),
    ("p.csv", 'a,"",c\n1,2,3\n', ("1:3-1:5 column 2 has no name",)),
    ("p.csv", "a,", ("1:3-1:3 column 2 has no name",)),
    ("p.csv", "a,b,a,b\n1,2,3,4", ("1:5-1:6 two columns are named 'a'", "1:7-1:8 two columns are named 'b'")),
    ("p.csv", '"a","b","a"\n1,2,3\n', ("1:9-1:12 two columns are named 'a'",)),
    ("p.csv", 'a,"b ""x""","b ""x"""\n1,2,3\n', ("1:13-1:22 two columns are named 'b \"x\"'",)),
    ("p.csv", '"a\nb",c,c\n1,2,3\n', ("2:6-2:7 two columns are named 'c'",)),
    ("p.csv", "\n\na,a\n1,2\n", ("3:3-3:4 two columns are named 'a'",)),
    (
        "p.csv",
        "a,b\n1\n2,3\n4,5,6",
        (
            f"2:1-2:2 this row has 1 value, but the first line names 2 | {COMMA}",
            f"4:1-4:6 this row has 3 values, but the first line names 2 | {COMMA}",
        ),
    ),
    ("p.csv", "a\n\n1,2\n", (f"3:1-3:4 this row has 2 values, but the first line names 1 | {COMMA}",)),
    ("p.csv", 'a,b\n"1\n2"\n3,4', (f"2:1-3:3 this row has 1 value, but the first line names 2 | {COMMA}",)),
    ("p.csv", 'a,b\n"x\n\ny",1,2', (f"2:1-4:7 this row has 3 values, but the first line names 2 | {COMMA}",)),
    ("p.csv", 'a,b\n"3,4\n', ("2:1-2:5 this row cannot be read: a quoted value is never closed",)),
    ("p.csv", 'a,b\n1,"2\n3', ("2:1-2:5 this row cannot be read: a quoted value is never closed",)),
    ("p.csv", '"a', ("1:1-1:3 this row cannot be read: a quoted value is never closed",)),
    ("p.csv", 'a,b\n"3"4,5\n1,2\n', ("2:1-2:7 this row cannot be read: ',' expected after '\"'",)),
    (
        "p.csv",
        'a,b\n1\n"2',
        (
            f"2:1-2:2 this row has 1 value, but the first line names 2 | {COMMA}",
            "3:1-3:3 this row cannot be read: a quoted value is never closed",
        ),
    ),
    # JSON: its form, its numbers, its names, its texts.
    ("p.json", "{", ("1:2-1:2 this is no JSON: Expecting property name enclosed in double quotes",)),
    ("p.json", "[1,\n2,\nx]", ("3:1-3:2 this is no JSON: Expecting value",)),
    ("p.json", "[1] 2", ("1:5-1:6 this is no JSON: Extra data",)),
    ("p.json", '["a\nb"]', ("1:4-2:1 this is no JSON: Invalid control character at",)),
    ("p.json", "[Infinity]", ("1:2-1:10 Infinity is no number that a film can use",)),
    ("p.json", "[-Infinity]", ("1:2-1:11 -Infinity is no number that a film can use",)),
    ("p.json", "\n[1, NaN]", ("2:5-2:8 NaN is no number that a film can use",)),
    ("p.json", "[1e1001]", ("1:2-1:8 this number is too large or too near to 0",)),
    ("p.json", "[-1e-1001]", ("1:2-1:10 this number is too large or too near to 0",)),
    ("p.json", "[1.5e9999999999999999999]", ("1:2-1:25 this number is too large or too near to 0",)),
    ("p.json", f"[1.{ONES}1]", ("1:2-1:1003 this number is too large or too near to 0",)),
    ("p.json", f"[{NINES}9]", ("1:2-1:1003 a number may have 1,000 digits, no more",)),
    ("p.json", '\n{"b": {"a": 1, "a": 2}}', ("2:8-2:11 the name 'a' comes twice in one mapping",)),
    ("p.json", '{"b": 1, "a": 1, "a": 2}', ("1:10-1:13 the name 'a' comes twice in one mapping",)),
    ("p.json", '{"é\\n": 1, "é\\n": 2}', ("1:1-1:21 the name 'é\\n' comes twice in one mapping",)),
    ("p.json", '["x", "\\ud83d",\n1]', ("1:1-1:16 a text holds half of a character (a lone surrogate)",)),
    ("p.json", '{"\\udc00": 1}', ("1:1-1:14 a text holds half of a character (a lone surrogate)",)),
    ("p.json", '{"a": {"b": [1, "\\uDFFF"]}}', ("1:1-1:28 a text holds half of a character (a lone surrogate)",)),
    ("p.json", DEEP, ("1:1-1:2 the lists and mappings of this file lie too deep in one another",)),
    # JSON Lines: each line for itself, placed in the file.
    (
        "p.jsonl",
        "1\n\n2 3\n[\n4",
        ("3:3-3:4 this is no JSON: Extra data", "4:2-5:1 this is no JSON: Expecting value"),
    ),
    (
        "p.jsonl",
        '{"a": 1}\n{"a": 1, "a": 2}\n  {"b": NaN}\n',
        ("2:2-2:5 the name 'a' comes twice in one mapping", "3:9-3:12 NaN is no number that a film can use"),
    ),
    (
        "p.jsonl",
        '"\\ud800"\n1\n "\\ud800"',
        (
            "1:1-1:9 a text holds half of a character (a lone surrogate)",
            "3:1-3:10 a text holds half of a character (a lone surrogate)",
        ),
    ),
    ("p.jsonl", f"1\n{DEEP}\n", ("2:1-2:2 the lists and mappings of this file lie too deep in one another",)),
    # TOML.
    ("p.toml", "a = ", ("1:5-1:6 this is no TOML: Invalid value",)),
    ("p.toml", "a = '''\nx\n", ("3:1-3:2 this is no TOML: Expected \"'''\"",)),
    ("p.toml", "a = 1\n\x01", ("2:1-2:2 this is no TOML: Invalid statement",)),
    ("p.toml", "a = inf\n", ("1:5-1:8 this is no number that a film can use",)),
    ("p.toml", "b = 1\na = [-nan]\n", ("2:6-2:10 this is no number that a film can use",)),
    ("p.toml", "a = 1\nb = 1e1001", ("2:5-2:11 this number is too large or too near to 0",)),
    ("p.toml", f"a = 1{NINES}.5", ("1:5-1:1008 this number is too large or too near to 0",)),
    ("p.toml", f"b = 'x'\na = [{{b = 1{NINES}}}]", ("2:11-2:1012 a number may have 1,000 digits, no more",)),
    ("p.toml", f"a = {NINES * 5}\n", ("1:5-1:5005 a number may have 1,000 digits, no more",)),
    ("p.toml", f"a = 0x{NINES[:840]}\n", ("1:5-1:847 a number may have 1,000 digits, no more",)),
    ("p.toml", f"a = {DEEP[:5000]}", ("1:1-1:2 the lists and tables of this file lie too deep in one another",)),
)


def _told(diagnostics: tuple[Diagnostic, ...], path: str) -> Iterator[str]:
    for one in diagnostics:
        assert (one.slug, one.severity, one.span.file, one.notes) == ("bad-data", "error", path, ())
        place = f"{one.span.line}:{one.span.column}-{one.span.end_line}:{one.span.end_column}"
        yield f"{place} {one.message}" + (f" | {one.hint}" if one.hint else "")


@pytest.mark.parametrize(("path", "text", "value"), READ)
def test_what_is_read(path: str, text: str, value: object) -> None:
    # The texts are compared too, because 1 and Decimal("1.0") are equal.
    read, diagnostics = parse_data(text, path=path)
    assert (read, repr(read), diagnostics) == (value, repr(value), ())


@pytest.mark.parametrize(("path", "text", "told"), MISTAKES)
def test_what_is_told(path: str, text: str, told: tuple[str, ...]) -> None:
    value, diagnostics = parse_data(text, path=path)
    assert value is None
    assert tuple(_told(diagnostics, path)) == told


@pytest.mark.parametrize(
    ("path", "text", "told"),
    [
        ("p.csv", "a,b\n" + "1\n" * 30, [f"{k}:1-{k}:2 this row has 1 value, but the" for k in range(2, 22)]),
        ("p.csv", "," * 30 + "\n1", [f"1:{k}-1:{k + 1} column {k} has no name" for k in range(1, 21)]),
        ("p.csv", ",".join("a" * 30), [f"1:{k}-1:{k + 1} two columns are named 'a'" for k in range(3, 43, 2)]),
        ("p.jsonl", "x\n" * 30, [f"{k}:1-{k}:2 this is no JSON: Expecting value" for k in range(1, 21)]),
        ("p.jsonl", "x\n" * 19 + "1\nx\nx", [f"{k}:1-{k}:2 this is no JSON: " for k in (*range(1, 20), 21)]),
    ],
)
def test_twenty_mistakes_of_a_file_are_told(path: str, text: str, told: list[str]) -> None:
    value, diagnostics = parse_data(text, path=path)
    assert value is None
    words = list(_told(diagnostics, path))
    assert [word[: len(start)] for word, start in zip(words, told, strict=True)] == told
