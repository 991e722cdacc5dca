"""What may be deleted from the program for the proof that the tests would notice, read from its own sources.

Nothing here is listed by hand: rules and limits are found in the sheets, checks, limits of the ledger and lines of the
binding in the code. Each deletion is a change of one file that is still meaningful without it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

Kind = Literal["rule", "limit", "price", "check", "finding", "ledger", "constraint", "step", "binding"]

KINDS: dict[Kind, str] = {
    "rule": "a `[[rules]]` entry of a model sheet",
    "limit": "a limit that a sheet states for a field, for media or for what a model speaks",
    "price": "a `[[prices]]` entry of a model sheet",
    "check": "an entry in a tuple of checks, or one call of a check",
    "finding": "a statement of `checks/` that reports a mistake",
    "ledger": "a statement of the ledger that decides whether money may be reserved or a take may move, or a part of its condition",
    "constraint": "a constraint or a trigger of the ledger's file",
    "step": "a legal step of a take, or that it is anybody's",
    "binding": "a statement of what turns names into the tags and references of a request",
}
"""What is deleted, one at a time; a statement that is deleted becomes `pass`."""

_LIMITS = re.compile(
    r"(?:min|max)(?:_\w+)?|values|required|doubtful_kinds|kinds|languages|words_per_second|send|default|media"
)
_HEADER = re.compile(rb"^\[+([\w.]+)\]+[ \t]*$", re.MULTILINE)
_KEY = re.compile(rb"^([\w\"']+) = .*\n", re.MULTILINE)
_IS_CHECK = re.compile(r"_?check(?:_\w+)?\Z")

CHECKING = ("kling_dsl/checks/*.py", "kling_dsl/compiler/*.py")
GUARDS = {
    "kling_dsl/ledger/sqlite.py": ("reserve", "_spending_under", "failed", "take_over", "_move", "_transaction"),
    "kling_dsl/ledger/transitions.py": ("find_step", "may_reserve"),
    "kling_dsl/ledger/amounts.py": ("price_nanos", "nanos_above", "nanos_below", "instant"),
}
"""The functions of the ledger that say no, by their files."""

BINDING = ("kling_dsl/lowering/cast.py", "kling_dsl/lowering/prose.py", "kling_dsl/lowering/requests.py")

_NEEDLESS = (ast.Pass, ast.FunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom, ast.Assert)
"""Statements that are not deleted: an `assert` says what holds anyway, and types need it."""


class Deletion(msgspec.Struct, frozen=True):
    """One deletion: bytes `start` to `end` of the file at `path` (from the checkout) become `instead`."""

    kind: Kind
    path: str
    line: int
    text: str
    start: int
    end: int
    instead: bytes = b""

    def apply(self, content: bytes) -> bytes:
        """Return the file's content without what is deleted."""
        return content[: self.start] + self.instead + content[self.end :]

    @property
    def place(self) -> str:
        """Where it stands, as `file:line`."""
        return f"{self.path}:{self.line}"


def find_deletions(root: Path) -> tuple[Deletion, ...]:
    """Return every deletion that the checkout at `root` offers, kind by kind."""
    found: list[Deletion] = []
    for path in sorted((root / "specs" / "models").glob("*.toml")):
        found += _in_sheet(_Source.read(path, root))
    for pattern in CHECKING:
        for path in sorted(root.glob(pattern)):
            found += _checks(_Source.read(path, root))
    for path in sorted((root / "kling_dsl" / "checks").glob("*.py")):
        found += _findings(_Source.read(path, root))
    for name, functions in GUARDS.items():
        found += _guards(_Source.read(root / name, root), functions)
    found += _constraints(_Source.read(root / "kling_dsl/ledger/schema.py", root))
    found += _steps(_Source.read(root / "kling_dsl/ledger/transitions.py", root))
    for name in BINDING:
        source = _Source.read(root / name, root)
        found += (source.without("binding", node) for function in source.functions() for node in _statements(function))
    order = list(KINDS)
    return tuple(sorted(dict.fromkeys(found), key=lambda one: (order.index(one.kind), one.path, one.start, one.end)))


class _Source:
    """A file with the means to say where in its bytes something stands."""

    def __init__(self, path: str, content: bytes) -> None:
        self.path = path
        self.content = content
        self.starts = [0, *(match.end() for match in re.finditer(rb"\n", content))]

    @classmethod
    def read(cls, path: Path, root: Path) -> _Source:
        return cls(path.relative_to(root).as_posix(), path.read_bytes())

    def functions(self) -> Iterator[ast.FunctionDef]:
        for node in ast.walk(ast.parse(self.content)):
            if isinstance(node, ast.FunctionDef):
                yield node

    def span(self, node: ast.stmt | ast.expr) -> tuple[int, int]:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self.starts[node.lineno - 1] + node.col_offset, self.starts[node.end_lineno - 1] + node.end_col_offset

    def cut(self, kind: Kind, start: int, end: int, instead: bytes = b"") -> Deletion:
        text = " ".join(self.content[start:end].decode().split())
        return Deletion(kind, self.path, self.content.count(b"\n", 0, start) + 1, text, start, end, instead)

    def without(self, kind: Kind, node: ast.stmt) -> Deletion:
        """Return the deletion of a statement; an `elif` goes with its own lines, and the arms below it stay."""
        start, end = self.span(node)
        if isinstance(node, ast.If) and self.content.startswith(b"elif", start):
            last = self.span(node.body[-1])[1]
            return self.cut(kind, start, last, b"elif False:\n" + b" " * (node.col_offset + 4) + b"pass")
        return self.cut(kind, start, end, b"pass")


def _in_sheet(source: _Source) -> Iterator[Deletion]:
    headers = list(_HEADER.finditer(source.content))
    for header, following in zip(headers, [*headers[1:], None], strict=True):
        name = header[1].decode()
        end = following.start() if following else len(source.content)
        block = source.content[header.end() : end]
        comment = re.search(rb"(?:^#.*\n)+\Z", block, re.MULTILINE)
        end -= len(comment[0]) if comment else 0
        if name in ("rules", "prices"):
            yield source.cut("rule" if name == "rules" else "price", header.start(), end)
        elif name.startswith(("fields.", "media.", "speech")):
            for key in _KEY.finditer(source.content, header.end(), end):
                if name.endswith(".doubtful") or _LIMITS.fullmatch(key[1].decode()):
                    cut = source.cut("limit", key.start(), key.end())
                    yield msgspec.structs.replace(cut, text=f"[{name}] {cut.text}")


def _checks(source: _Source) -> Iterator[Deletion]:
    for node in ast.walk(ast.parse(source.content)):
        if isinstance(node, ast.Call) and _IS_CHECK.match(_called(node)):
            # Every check gives diagnostics one after the other, so that one which is not asked gives an empty tuple.
            yield source.cut("check", *source.span(node), b"()")
        elif isinstance(node, ast.Tuple) and node.elts:
            names = [element.id for element in node.elts if isinstance(element, ast.Name)]
            if len(names) == len(node.elts) and all(map(_IS_CHECK.match, names)):
                for element in node.elts:
                    start, end = source.span(element)
                    comma = re.compile(rb"\s*,").match(source.content, end)
                    yield source.cut("check", start, comma.end() if comma else end)


def _called(node: ast.Call) -> str:
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else ""


def _findings(source: _Source) -> Iterator[Deletion]:
    for node in ast.walk(ast.parse(source.content)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Yield):
            yield source.without("finding", node)


def _guards(source: _Source, functions: tuple[str, ...]) -> Iterator[Deletion]:
    for function in source.functions():
        if function.name not in functions:
            continue
        for statement in _statements(function):
            yield source.without("ledger", statement)
        for node in ast.walk(function):
            if isinstance(node, ast.BoolOp):
                neutral = b"True" if isinstance(node.op, ast.And) else b"False"
                yield from (source.cut("ledger", *source.span(value), neutral) for value in node.values)
            elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
                yield from (source.cut("ledger", *source.span(side), b"0") for side in (node.left, node.right))


def _constraints(source: _Source) -> Iterator[Deletion]:
    text = source.content
    for match in re.finditer(rb" CHECK \(| REFERENCES \w+ \(|,\n +UNIQUE \(", text):
        depth, end = 1, match.end()
        while depth:
            depth += {40: 1, 41: -1}.get(text[end], 0)
            end += 1
        yield source.cut("constraint", match.start(), end)
    tree = ast.parse(text)
    triggers = {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign) and b"CREATE TRIGGER" in text[slice(*source.span(node))]
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Tuple):
            for element in node.elts:
                start, end = source.span(element)
                if (isinstance(element, ast.Name) and element.id in triggers) or (
                    isinstance(element, ast.Constant) and str(element.value).startswith("CREATE TRIGGER")
                ):
                    yield source.cut("constraint", start, end + 1)


def _steps(source: _Source) -> Iterator[Deletion]:
    for node in ast.walk(ast.parse(source.content)):
        if isinstance(node, ast.Call) and _called(node) == "Step":
            start, end = source.span(node)
            comma = re.compile(rb",\s*").match(source.content, end)
            yield source.cut("step", start, comma.end() if comma else end)
            for keyword in node.keywords:
                yield source.cut("step", source.span(node.args[-1])[1], source.span(keyword.value)[1])


def _statements(function: ast.FunctionDef) -> Iterator[ast.stmt]:
    """Yield the statements of a function that do something, those inside others as well."""
    for owner in ast.walk(function):
        for name in ("body", "orelse", "finalbody"):
            block = getattr(owner, name, None)
            if not isinstance(block, list):
                continue
            for number, node in enumerate(block):
                if not _is_needless(node, owner, last=number == len(block) - 1):
                    yield node


def _is_needless(node: ast.stmt, owner: ast.AST, *, last: bool) -> bool:
    """Say whether a statement does nothing, or nothing else than what happens without it."""
    if isinstance(node, _NEEDLESS) or (isinstance(node, ast.AnnAssign) and node.value is None):
        return True
    if isinstance(node, ast.If) and len(node.body) == 1 and not node.orelse:
        # Without the one statement in it, which is deleted as well, it does nothing.
        return not isinstance(node.body[0], _NEEDLESS)
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return True
    ends = last and isinstance(owner, ast.FunctionDef)
    if ends and isinstance(node, ast.Return):
        return node.value is None or (isinstance(node.value, ast.Constant) and node.value.value is None)
    return last and isinstance(node, ast.Continue) and isinstance(owner, ast.For | ast.While)
