"""The filters and tests of a film's template: those of Jinja that give the same text everywhere, within bounds."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from jinja2.exceptions import TemplateError
from jinja2.filters import FILTERS, make_attrgetter
from jinja2.tests import TESTS
from jinja2.utils import pass_environment

from kling_dsl.templates.arithmetic import NUMBERS, check_length, combine, print_format
from kling_dsl.templates.budget import (
    MAX_RANGE,
    MAX_VALUE_CHARACTERS,
    MAX_WORK,
    UNDEFINED,
    Refusal,
    check_printable,
    kind_in_words,
    too_much,
)
from kling_dsl.templates.tracing import Trace
from kling_dsl.templates.wording import in_writers_words

Guard = Callable[[Trace, "list[Any]", "dict[str, Any]"], None]

FOR_WEB_PAGES = "the filter {} is for web pages: a film has nothing to escape"
FORBIDDEN_FILTERS = {
    **{
        name: FOR_WEB_PAGES.format(name)
        for name in ("e", "escape", "forceescape", "safe", "striptags", "tojson", "urlize", "xmlattr")
    },
    "random": "the filter random would give another film each time: the same commit has to give the same film",
    "pprint": "the filter pprint shows places in memory, which differ each time; print the parts of the value instead",
    "attr": 'the filter attr reaches into Python; write .name or ["name"] instead',
}
"""Why a filter of Jinja cannot be used, by its name."""

TEXT_FILTERS = frozenset(
    [
        "capitalize",
        "center",
        "format",
        "indent",
        "lower",
        "replace",
        "string",
        "title",
        "trim",
        "truncate",
        "upper",
        "wordcount",
        "wordwrap",
    ]
)
"""Filters whose value, and whose texts among the arguments, are taken as text."""
COMPARING = frozenset({"dictsort", "groupby", "max", "min", "sort", "unique", "urlencode"}) | frozenset(
    {"==", "eq", "equalto", "!=", "ne", ">", "gt", "greaterthan", ">=", "ge", "<", "lt", "lessthan", "<=", "le", "in"}
)
"""Filters and tests that look into the items of a list, to compare, hash or print them."""
GLANCING = frozenset({"count", "d", "default", "defined", "first", "last", "length", "mapping", "none", "undefined"})
"""Filters and tests that take the same time for a list of any length."""
MAX_WRAPPED_CHARACTERS = 20_000
"""The longest text that can be wrapped: the wrapping takes time that grows with its square."""
MAX_DECIMALS = 100
"""The most decimals to round to."""


def film_filters(trace: Trace) -> dict[str, Callable[..., Any]]:
    """Return the filters by name, each counting its work in `trace`."""
    known: Mapping[str, Any] = FILTERS
    chosen: dict[str, Callable[..., Any]] = {
        name: function for name, function in known.items() if name not in FORBIDDEN_FILTERS
    }
    chosen["join"] = functools.partial(join, trace)
    chosen["sum"] = functools.partial(add_up, trace)
    for name in ("join", "sum"):
        chosen[name] = pass_environment(chosen[name])
    chosen["format"] = lambda value, *args, **kwargs: print_format(trace, value, kwargs or args)
    chosen["string"] = lambda value: value
    return {name: guarded(trace, name, function) for name, function in chosen.items()}


def film_tests(trace: Trace) -> dict[str, Callable[..., Any]]:
    """Return the tests by name, each counting its work in `trace`."""
    known: Mapping[str, Any] = TESTS
    return {name: guarded(trace, name, function) for name, function in known.items()}


def guarded(trace: Trace, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a filter or test so that it is charged for, bounded, and fails in a writer's words."""
    passed = getattr(function, "jinja_pass_arg", None)
    first = 0 if passed is None else 1
    guard = GUARDS.get(name)
    takes_text = name in TEXT_FILTERS
    weigh = trace.charge if name in COMPARING else None if name in GLANCING else trace.skim

    def call(*given: Any, **kwargs: Any) -> Any:
        trace.step()
        args = list(given)
        if weigh is not None:
            for value in (*args[first:], *kwargs.values()):
                weigh(value)
        if takes_text and len(args) > first:
            args[first] = trace.text(args[first])
        try:
            if guard is not None:
                guard(trace, args[first:], kwargs)
            return trace.settle(function(*args, **kwargs))
        except (Refusal, TemplateError, RecursionError, MemoryError):
            raise
        except Exception as error:
            raise Refusal(
                "template-error", f"{name} does not work here: {in_writers_words(error)}", word=name
            ) from error

    if passed is not None:
        call.jinja_pass_arg = passed  # type: ignore[attr-defined]
    return call


def join(trace: Trace, environment: Any, value: Any, d: Any = "", attribute: Any = None) -> str:
    """Return the texts of the items, or of one attribute of each, with a separator between them."""
    items = trace.read(value)
    if attribute is not None:
        items = list(map(make_attrgetter(environment, attribute), items))
    return trace.join(items, trace.text(d))


def add_up(trace: Trace, environment: Any, iterable: Any, attribute: Any = None, start: Any = 0) -> Any:
    """Return the sum of the items, or of one attribute of each."""
    items = trace.read(iterable)
    if attribute is not None:
        items = list(map(make_attrgetter(environment, attribute), items))
    total = start
    for item in items:
        total = combine(trace, "+", total, item)
    return total


def number_at(args: list[Any], kwargs: dict[str, Any], position: int, name: str) -> int:
    """Return the size of a whole number among the arguments, 0 if there is none."""
    value = args[position] if len(args) > position else kwargs.get(name)
    return abs(value) if isinstance(value, int) else 0


def text_at(args: list[Any], kwargs: dict[str, Any], position: int, name: str) -> str:
    """Return a text among the arguments, empty if there is none."""
    value = args[position] if len(args) > position else kwargs.get(name)
    return value if isinstance(value, str) else ""


def guard_center(trace: Trace, args: list[Any], kwargs: dict[str, Any]) -> None:
    """Bound the width of a centred text."""
    check_length(number_at(args, kwargs, 1, "width"))


def guard_indent(trace: Trace, args: list[Any], kwargs: dict[str, Any]) -> None:
    """Bound the text that indenting adds."""
    width = max(number_at(args, kwargs, 1, "width"), len(text_at(args, kwargs, 1, "width")), 4)
    check_length(len(args[0]) + (args[0].count("\n") + 1) * width)


def guard_replace(trace: Trace, args: list[Any], kwargs: dict[str, Any]) -> None:
    """Bound the text that replacing adds."""
    for position in range(1, min(len(args), 3)):
        args[position] = trace.text(args[position])
    old, new = text_at(args, kwargs, 1, "old"), text_at(args, kwargs, 2, "new")
    if not isinstance(kwargs.get("old", ""), str) or not isinstance(kwargs.get("new", ""), str):
        raise Refusal("template-error", "replace takes two texts", word="replace")
    found = args[0].count(old) if old else len(args[0]) + 1
    check_length(len(args[0]) + found * (len(new) - len(old)))


def guard_trim(trace: Trace, args: list[Any], kwargs: dict[str, Any]) -> None:
    """Bound the comparisons of trimming."""
    if len(args[0]) * len(text_at(args, kwargs, 1, "chars")) > MAX_WORK:
        raise too_much("these texts are too long for trim")


def guard_wordwrap(trace: Trace, args: list[Any], kwargs: dict[str, Any]) -> None:
    """Bound the text that is wrapped, and what is put between its lines."""
    if len(args[0]) > MAX_WRAPPED_CHARACTERS:
        raise too_much(f"a text of more than {MAX_WRAPPED_CHARACTERS:,} characters cannot be wrapped")
    check_length(len(args[0]) * (1 + len(text_at(args, kwargs, 3, "wrapstring"))))


def guard_batch(trace: Trace, args: list[Any], kwargs: dict[str, Any]) -> None:
    """Bound the length of a batch."""
    size = number_at(args, kwargs, 1, "linecount")
    if size > MAX_RANGE:
        raise too_much(f"a batch may have {MAX_RANGE:,} items, no more")
    trace.step(size)


def guard_slice(trace: Trace, args: list[Any], kwargs: dict[str, Any]) -> None:
    """Bound the number of slices."""
    if number_at(args, kwargs, 1, "slices") > MAX_RANGE:
        raise too_much(f"a list may be cut into {MAX_RANGE:,} slices, no more")


def guard_round(trace: Trace, args: list[Any], kwargs: dict[str, Any]) -> None:
    """Bound the decimals, and take numbers only."""
    guard_number(trace, args, kwargs)
    if number_at(args, kwargs, 1, "precision") > MAX_DECIMALS:
        raise too_much(f"a number can be rounded to {MAX_DECIMALS} decimals, no more")


def guard_number(trace: Trace, args: list[Any], kwargs: dict[str, Any]) -> None:
    """Take a number only: with a text, Python's remainder would format it, and its product repeat it."""
    if type(args[0]).__name__ in UNDEFINED:
        args[0]._fail_with_undefined_error()
    if type(args[0]) not in NUMBERS:
        raise TypeError(f"a number is wanted, and this is {kind_in_words(args[0])}")


def guard_urlencode(trace: Trace, args: list[Any], kwargs: dict[str, Any]) -> None:
    """Take only what has a text that is always the same."""
    check_printable(args[0], [MAX_VALUE_CHARACTERS])


GUARDS: dict[str, Guard] = {
    "odd": guard_number,
    "even": guard_number,
    "divisibleby": guard_number,
    "urlencode": guard_urlencode,
    "center": guard_center,
    "indent": guard_indent,
    "replace": guard_replace,
    "trim": guard_trim,
    "wordwrap": guard_wordwrap,
    "batch": guard_batch,
    "slice": guard_slice,
    "round": guard_round,
}
