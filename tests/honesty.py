"""Reads tests without running them, and finds those that prove nothing: no assertion, one that cannot fail, a bare skip.

An assertion is an `assert`, a check of pytest's (`raises`, `warns`, `fail`), a process that must end well
(`check=True`), or a call of something in the tests that makes one; what a call reaches is looked up in the text of the
tests, through names, imports and methods, and not in a list of names. A fixture does not count: it
prepares, and a test that asks nothing of what was prepared proves nothing.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
Function = ast.FunctionDef | ast.AsyncFunctionDef

CHECKS_OF_PYTEST = frozenset({"raises", "warns", "deprecated_call", "fail", "RaisesGroup"})
CHECKS_OF_OTHERS = frozenset({"check_call", "check_output", "check_returncode", "raise_for_status"})
"""What the standard library and httpx raise by when a process or an answer is not one of success."""

RUNS_RULES = "run_state_machine_as_test"
"""What of hypothesis calls the rules of the machine that it is given."""

PURE = frozenset(
    {"abs", "bool", "dict", "float", "frozenset", "int", "len", "list", "repr", "set", "sorted", "str", "tuple"}
)
"""What gives the same for the same, so that calling it on both sides compares a thing with itself."""

NEED = re.compile(r"needs \S+")
"""How the reason of a skip begins, before the program, package, privilege or system that the test cannot do without."""


class Finding(NamedTuple):
    """A test that proves less than it seems to: where it stands, and what is amiss."""

    file: str
    line: int
    what: str


class Place(NamedTuple):
    """A function as it is called: its module, its class or none, and its name."""

    module: str
    holder: str
    name: str


class Suite:
    """The texts of tests by the names of their modules, and what calls what in them."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self.trees = {name: ast.parse(text) for name, text in texts.items()}
        nodes = {module: list(ast.walk(tree)) for module, tree in self.trees.items()}
        self.functions: dict[Place, Function] = {}
        self.imports: dict[str, dict[str, tuple[str, str]]] = {}
        for module, tree in self.trees.items():
            self.imports[module] = dict(_imported(nodes[module], self.trees))
            for node in tree.body:
                if isinstance(node, FUNCTIONS):
                    self.functions[Place(module, "", node.name)] = node
                elif isinstance(node, ast.ClassDef):
                    for inner in node.body:
                        if isinstance(inner, FUNCTIONS):
                            self.functions[Place(module, node.name, inner.name)] = inner
        self._outside = {module: _outside(found, self.trees) for module, found in nodes.items()}
        self._methods_of: dict[tuple[str, str], list[Place]] = {}
        for place in self.functions:
            if place.holder:
                self._methods_of.setdefault((place.holder, place.name), []).append(place)
                self._methods_of.setdefault(("", place.name), []).append(place)
        self._holders = {place.holder for place in self.functions}
        self._nodes = nodes
        self._inside = {place: _what_runs(node) for place, node in self.functions.items()}
        self.asserting = self._spread()

    def findings(self) -> list[Finding]:
        """Return everything that is amiss, in the order of files and lines."""
        found: list[Finding] = []
        for place, node in self.functions.items():
            if _is_test(place) and place not in self.asserting:
                found.append(Finding(place.module, node.lineno, f"{place.name} asserts nothing"))
        for module, nodes in self._nodes.items():
            found += (Finding(module, line, what) for line, what in _cannot_fail(nodes))
            found += (Finding(module, line, what) for line, what in _unexplained(self.trees[module], nodes))
        return sorted(found)

    def _spread(self) -> set[Place]:
        """Return the functions that assert, by themselves or by what they call."""
        asserting = {place for place, inside in self._inside.items() if _asserts_itself(inside)}
        calls = {place: list(self._calls(place, node)) for place, node in self.functions.items()}
        while True:
            more = {
                place
                for place, called in calls.items()
                if place not in asserting and any(group and all(one in asserting for one in group) for group in called)
            }
            if not more:
                return asserting
            asserting |= more

    def _calls(self, place: Place, node: Function) -> Iterator[list[Place]]:
        """Yield, for each call, the functions that it may reach: more than one when it is not known which."""
        types = dict(self._annotated(place, node))
        for inner in self._inside[place]:
            if not isinstance(inner, ast.Call):
                continue
            called = inner.func
            if isinstance(called, ast.Name):
                yield self._named(place.module, called.id)
                if called.id == RUNS_RULES:
                    yield from ([rule] for rule in self._rules(inner.args))
            elif isinstance(called, ast.Attribute):
                yield self._methods(place, called, types)

    def _named(self, module: str, name: str) -> list[Place]:
        """Return the function or the constructor that a name stands for in a module."""
        home, name = self.imports[module].get(name, (module, name))
        direct = Place(home, "", name)
        if direct in self.functions:
            return [direct]
        made = Place(home, name, "__init__")
        return [made] if made in self.functions else []

    def _methods(self, place: Place, called: ast.Attribute, types: Mapping[str, str]) -> list[Place]:
        """Return the methods that a call through a value may reach; of a value of known class, that one."""
        receiver = called.value
        if isinstance(receiver, ast.Name):
            if receiver.id in self.imports[place.module] and self.imports[place.module][receiver.id][1] == "":
                module = self.imports[place.module][receiver.id][0]
                return [found] if (found := Place(module, "", called.attr)) in self.functions else []
            if receiver.id in self._outside[place.module]:
                return []
            holder = place.holder if receiver.id in ("self", "cls") else types.get(receiver.id, "")
            if holder in self._holders and holder:
                return self._methods_of.get((holder, called.attr), [])
        return self._methods_of.get(("", called.attr), [])

    def _rules(self, machines: Sequence[ast.expr]) -> Iterator[Place]:
        """Yield the methods that hypothesis calls of a machine: those that are decorated as its rules and invariants."""
        names = {machine.id for machine in machines if isinstance(machine, ast.Name)}
        for place, node in self.functions.items():
            if place.holder in names and node.decorator_list:
                yield place

    def _annotated(self, place: Place, node: Function) -> Iterator[tuple[str, str]]:
        """Yield the names of arguments and of what is made in a function, with the class that each is of."""
        for argument in node.args.args + node.args.kwonlyargs:
            if argument.annotation is not None:
                yield argument.arg, _last_word(argument.annotation)
        for inner in self._inside[place]:
            if isinstance(inner, ast.Assign) and isinstance(inner.value, ast.Call) and len(inner.targets) == 1:
                if isinstance(target := inner.targets[0], ast.Name):
                    yield target.id, self._made_by(place, inner.value)
            elif isinstance(inner, ast.With | ast.AsyncWith):
                for item in inner.items:
                    if isinstance(item.optional_vars, ast.Name) and isinstance(item.context_expr, ast.Call):
                        yield item.optional_vars.id, self._made_by(place, item.context_expr)

    def _made_by(self, place: Place, call: ast.Call) -> str:
        """Return the class of what a call returns, as far as the tests say it."""
        if not isinstance(call.func, ast.Name):
            return ""
        for found in self._named(place.module, call.func.id):
            if found.name == "__init__":
                return found.holder
            returned = self.functions[found].returns
            return _last_word(returned) if returned is not None else ""
        return ""


def find_dishonest(texts: Mapping[str, str]) -> list[Finding]:
    """Return what is amiss in tests, given by the names of their modules."""
    return Suite(texts).findings()


def _imported(nodes: Iterable[ast.AST], ours: Mapping[str, object]) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield the names that a module has from other modules of the tests, with those and what they are called there."""
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.module in ours:
            for alias in node.names:
                yield alias.asname or alias.name, (str(node.module), alias.name)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name in ours:
                    yield alias.asname or alias.name, (alias.name, "")


def _outside(nodes: Iterable[ast.AST], ours: Mapping[str, object]) -> set[str]:
    """Return the names of modules and other things that come from outside of the tests."""
    return {
        (alias.asname or alias.name).partition(".")[0]
        for node in nodes
        if isinstance(node, ast.Import) or (isinstance(node, ast.ImportFrom) and node.module not in ours)
        for alias in node.names
        if alias.name not in ours
    }


def _is_test(place: Place) -> bool:
    return (
        place.module.startswith("test_")
        and place.name.startswith("test")
        and (not place.holder or place.holder.startswith("Test"))
    )


def _last_word(annotation: ast.expr) -> str:
    """Return the class that an annotation is about: `Stage` of `Stage`, `Iterator[Stage]`, `Stage | None`, `a.Stage`."""
    if isinstance(annotation, ast.Subscript):
        inner = annotation.slice
        return _last_word(inner.elts[0] if isinstance(inner, ast.Tuple) and inner.elts else inner)
    if isinstance(annotation, ast.BinOp):
        return _last_word(annotation.left)
    if isinstance(annotation, ast.Attribute):
        return annotation.attr
    return annotation.id if isinstance(annotation, ast.Name) else ""


def _what_runs(node: Function) -> list[ast.AST]:
    """Return what is in a function, without the functions inside of it that it never names."""
    found: list[ast.AST] = []
    functions: list[Function] = []
    waiting: list[ast.AST] = list(node.body)
    used: set[str] = set()
    while waiting:
        while waiting:
            inner = waiting.pop()
            if isinstance(inner, FUNCTIONS) and not inner.decorator_list:
                functions.append(inner)
                continue
            found.append(inner)
            if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Load):
                used.add(inner.id)
            waiting += ast.iter_child_nodes(inner)
        for one in [one for one in functions if one.name in used]:
            functions.remove(one)
            waiting += one.body
    return found


def _asserts_itself(inside: Iterable[ast.AST]) -> bool:
    for inner in inside:
        if isinstance(inner, ast.Assert) and not _always(inner.test):
            return True
        if isinstance(inner, ast.Raise) and inner.exc is not None and "AssertionError" in ast.dump(inner.exc):
            return True
        if isinstance(inner, ast.Call) and _checks(inner):
            return True
    return False


def _checks(call: ast.Call) -> bool:
    """Tell whether a call is a check of pytest's, or of what a process or a server answered."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    must_succeed = any(
        word.arg == "check" and isinstance(word.value, ast.Constant) and word.value.value is True
        for word in call.keywords
    )
    return must_succeed or name in CHECKS_OF_OTHERS or (name in CHECKS_OF_PYTEST and _is_of_pytest(call.func))


def _is_of_pytest(node: ast.expr) -> bool:
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name) and node.id == "pytest"


def _cannot_fail(nodes: Iterable[ast.AST]) -> Iterator[tuple[int, str]]:
    """Yield the lines of assertions that hold whatever the program does, or whose failure is caught."""
    for node in nodes:
        if isinstance(node, ast.Assert) and _always(node.test):
            yield node.lineno, f"`assert {ast.unparse(node.test)}` cannot fail"
        if isinstance(node, ast.Try) and any(_swallows(handler) for handler in node.handlers):
            for inner in (one for statement in node.body for one in ast.walk(statement)):
                if isinstance(inner, ast.Assert):
                    yield inner.lineno, "the failure of this assertion is caught"


def _swallows(handler: ast.ExceptHandler) -> bool:
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    catches = any(
        kind is None or (isinstance(kind, ast.Name) and kind.id in ("AssertionError", "Exception", "BaseException"))
        for kind in kinds
    )
    return catches and not any(isinstance(node, ast.Raise) for node in ast.walk(handler))


def _always(test: ast.expr) -> bool:
    """Tell whether an expression is true whatever happens, as far as its text says."""
    if isinstance(test, ast.Constant):
        return bool(test.value)
    if isinstance(test, ast.Tuple | ast.List | ast.Set):
        return any(not isinstance(element, ast.Starred) for element in test.elts)
    if isinstance(test, ast.Dict):
        return any(key is not None for key in test.keys)
    if isinstance(test, ast.JoinedStr):
        return any(isinstance(part, ast.Constant) for part in test.values)
    if isinstance(test, ast.Lambda | ast.GeneratorExp):
        return True
    if isinstance(test, ast.BoolOp):
        return (any if isinstance(test.op, ast.Or) else all)(_always(value) for value in test.values)
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return _never(test.operand)
    return isinstance(test, ast.Compare) and len(test.ops) == 1 and _compares_with_itself(test)


def _never(test: ast.expr) -> bool:
    if isinstance(test, ast.Constant):
        return not test.value
    if isinstance(test, ast.Tuple | ast.List):
        return not test.elts
    return isinstance(test, ast.Dict) and not test.keys


def _compares_with_itself(test: ast.Compare) -> bool:
    """Tell whether both sides are one thing, or a number of things is compared with naught."""
    left, right, (operator,) = test.left, test.comparators[0], test.ops
    if isinstance(operator, ast.GtE) and isinstance(right, ast.Constant) and right.value == 0:
        return isinstance(left, ast.Call) and isinstance(left.func, ast.Name) and left.func.id == "len"
    if not isinstance(operator, ast.Eq | ast.LtE | ast.GtE | ast.Is):
        return False
    # What calls anything may differ between two calls; that is what a test of determinism asks.
    for node in ast.walk(left):
        if isinstance(node, ast.Await | ast.Yield | ast.NamedExpr):
            return False
        if isinstance(node, ast.Call) and not (isinstance(node.func, ast.Name) and node.func.id in PURE):
            return False
    return ast.dump(left) == ast.dump(right)


def _unexplained(tree: ast.Module, nodes: Iterable[ast.AST]) -> Iterator[tuple[int, str]]:
    """Yield the lines of skips and expected failures that do not say what they need."""
    texts = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    called: set[int] = set()
    for node in nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _is_of_pytest(node.func):
            called.add(id(node.func))
            if node.func.attr in ("skip", "skipif", "xfail"):
                reason = _reason(node, texts)
                if not NEED.match(reason):
                    yield node.lineno, f"a {node.func.attr} says {reason!r}, and not what the test needs"
    for node in nodes:
        if not isinstance(node, ast.Attribute) or id(node) in called:
            continue
        if node.attr in ("skip", "xfail") and _is_of_pytest(node):
            yield node.lineno, f"a {node.attr} gives no reason"


def _reason(call: ast.Call, texts: Mapping[str, ast.expr]) -> str:
    """Return the reason of a skip, with … for what only a run knows; an empty text when it gives none."""
    named = [word.value for word in call.keywords if word.arg in ("reason", "msg")]
    is_call = isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name)
    given = named or (call.args[:1] if is_call else [])
    return _words(given[0], texts) if given else ""


def _words(value: ast.expr, texts: Mapping[str, ast.expr]) -> str:
    if isinstance(value, ast.Constant):
        return str(value.value)
    if isinstance(value, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in value.values)
    if isinstance(value, ast.BinOp):
        return _words(value.left, texts) + _words(value.right, texts)
    if isinstance(value, ast.Name) and value.id in texts:
        return _words(texts[value.id], texts)
    return "…"
