"""Finds every slug that the program's code and its builtin sheets can put on a diagnostic, by reading the code."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import kling_dsl
from kling_dsl.sheets import builtin_names, load_builtin

PACKAGE = Path(kling_dsl.__file__).parent
_BORROWED = frozenset(("facts", "rule", "diagnostic", "self", "d", "item", "one", "page", "each"))
"""Names of values whose `.slug` was given to them elsewhere, where it is found."""

_READ = (ast.ClassDef, ast.FunctionDef, ast.Call)
"""The kinds of node that take a slug, or hand one over."""


class Unknown(Exception):
    """A slug is written in a way that this reader does not know: teach it, or write the slug as a literal."""


@cache
def code_slugs() -> dict[str, tuple[str, ...]]:
    """Return every slug that stands in the code, with the places (`file:line`) where it is handed to a diagnostic."""
    modules = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}
    nodes = {path: [node for node in ast.walk(module) if isinstance(node, _READ)] for path, module in modules.items()}
    own = {path: _takers(found) for path, found in nodes.items()}
    public = {name: at for takers in own.values() for name, at in takers.items() if not name.startswith("_")}
    found: dict[str, list[str]] = {}
    for path, module in modules.items():
        for node in nodes[path]:
            for expression in _slug_expressions(node, {**public, **own[path]}):
                where = f"{path.relative_to(PACKAGE)}:{expression.lineno}"
                for slug in _values(expression, module, where):
                    found.setdefault(slug, []).append(where)
    return {slug: tuple(places) for slug, places in sorted(found.items())}


@cache
def sheet_slugs() -> dict[str, frozenset[str]]:
    """Return every slug of a rule in a builtin sheet, with the severities that its rules have."""
    found: dict[str, set[str]] = {}
    for name in builtin_names():
        for rule in load_builtin(name).rules:
            found.setdefault(rule.slug, set()).add(rule.severity)
    return {slug: frozenset(severities) for slug, severities in sorted(found.items())}


def _takers(nodes: Iterable[ast.AST]) -> dict[str, int | None]:
    """Return the functions and classes among nodes that take a `slug`, with its position (None: by keyword only)."""
    takers: dict[str, int | None] = {}
    for node in nodes:
        if isinstance(node, ast.ClassDef) and node.name == "Diagnostic":
            takers[node.name] = 0
        owner = node.name if isinstance(node, ast.ClassDef) else None
        for function in node.body if isinstance(node, ast.ClassDef) else [node]:
            if not isinstance(function, ast.FunctionDef) or bool(owner) != (function.name == "__init__"):
                continue
            names = [argument.arg for argument in function.args.args if argument.arg != "self"]
            if "slug" in names:
                takers[owner or function.name] = names.index("slug")
            elif any(argument.arg == "slug" for argument in function.args.kwonlyargs):
                takers[owner or function.name] = None
    # A page is found by a slug, and that makes no diagnostic.
    for name in ("page", "parse_page"):
        takers.pop(name, None)
    return takers


def _slug_expressions(node: ast.AST, takers: dict[str, int | None]) -> Iterator[ast.expr]:
    if isinstance(node, ast.FunctionDef) and node.name in takers:
        arguments = node.args.args
        defaults = dict(zip(reversed([a.arg for a in arguments]), reversed(node.args.defaults), strict=False))
        if "slug" in defaults:
            yield defaults["slug"]
    if not isinstance(node, ast.Call):
        return
    function = node.func
    if isinstance(function, ast.IfExp):
        names = [part.id for part in (function.body, function.orelse) if isinstance(part, ast.Name)]
    else:
        names = [function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")]
    for position in {takers[name] for name in names if name in takers}:
        if position is not None and position < len(node.args):
            yield node.args[position]
    if any(name in takers for name in names):
        yield from (keyword.value for keyword in node.keywords if keyword.arg == "slug")


def _is_get(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get"


def _values(node: ast.expr, module: ast.Module, where: str) -> Iterator[str]:
    """Yield the texts that an expression may have as its value."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from _values(node.body, module, where)
        yield from _values(node.orelse, module, where)
    elif isinstance(node, ast.Call) and _is_get(node) and isinstance(node.func, ast.Attribute):
        yield from _values(node.func.value, module, where)
        for default in node.args[1:]:
            yield from _values(default, module, where)
    elif isinstance(node, ast.Dict):
        for value in node.values:
            yield from _values(value, module, where)
    elif isinstance(node, ast.Name):
        yield from _named(node, module, where)
    elif isinstance(node, ast.Attribute) and node.attr == "slug" and getattr(node.value, "id", "") in _BORROWED:
        return
    elif not isinstance(node, ast.Constant):
        raise Unknown(f"{where}: {ast.unparse(node)}")


def _named(node: ast.Name, module: ast.Module, where: str) -> Iterator[str]:
    """Yield the values of a name: all that its module assigns to it; a parameter `slug` has its callers' values."""
    given = [
        each.value
        for each in ast.walk(module)
        if isinstance(each, ast.Assign) and any(isinstance(t, ast.Name) and t.id == node.id for t in each.targets)
    ]
    for value in given:
        yield from _values(value, module, where)
    if given or node.id == "slug":
        return
    for each in ast.walk(module):
        if isinstance(each, ast.ImportFrom) and any(alias.name == node.id for alias in each.names) and each.module:
            path = PACKAGE.parent / (each.module.replace(".", "/") + ".py")
            yield from _named(node, ast.parse(path.read_text(encoding="utf-8")), where)
            return
    raise Unknown(f"{where}: {node.id}")
