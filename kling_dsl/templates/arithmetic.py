"""Operators and text formatting of templates, with the size of the result known before it is made."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from string import Formatter
from typing import Any

from kling_dsl.templates.budget import (
    MAX_INTEGER_BITS,
    MAX_VALUE_CHARACTERS,
    UNDEFINED,
    Budget,
    Refusal,
    check_number,
    kind_in_words,
    too_much,
    value_too_long,
)

OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "**": operator.pow,
    "%": operator.mod,
}
NUMBERS: frozenset[type] = frozenset({int, float, bool, Decimal})
CONVERSIONS: dict[str, Callable[[str], str]] = {"s": str, "r": repr, "a": ascii}
MAX_FIELD_WIDTH = 1000
"""The widest field, and the highest precision, of a format."""
DIRECTIVE = re.compile(r"%(?:\(([^()]*)\))?[-#0 +]*(\*|\d*)(?:\.(\*|\d*))?[hlL]?([a-zA-Z%]?)")


def combine(budget: Budget, sign: str, left: Any, right: Any) -> object:
    """Return `left sign right`; raises `Refusal` when the result would be too large, and `TypeError`."""
    budget.step()
    first, second = type(left), type(right)
    if first in NUMBERS and second in NUMBERS:
        if sign == "**":
            check_power(left, right)
        result = OPERATORS[sign](left, right)
        check_number(result)
        if type(result) is complex:
            raise Refusal("template-error", "this root has no real value")
        return result
    if sign == "%" and isinstance(left, str):
        return print_format(budget, left, right if isinstance(right, (tuple, dict)) else (right,))
    for value in (left, right):
        if type(value).__name__ in UNDEFINED:
            value._fail_with_undefined_error()
    if sign == "+" and isinstance(left, str) and isinstance(right, str):
        check_length(len(left) + len(right))
        return budget.settle(left + right)
    if sign == "+" and first is second and first in (list, tuple):
        budget.step(len(left) + len(right))
        return left + right
    if sign == "*" and (first is int or second is int):
        return repeat(budget, left, right) if second is int else repeat(budget, right, left)
    raise TypeError(f"{sign} does not work between {kind_in_words(left)} and {kind_in_words(right)}")


def repeat(budget: Budget, value: Any, times: int) -> object:
    """Return a text or list `times` times over."""
    if isinstance(value, str):
        check_length(len(value) * max(times, 0))
        return budget.settle(value * times)
    if isinstance(value, (list, tuple)):
        budget.step(len(value) * max(times, 0))
        return value * times
    raise TypeError(f"* does not work between {kind_in_words(value)} and {kind_in_words(times)}")


def check_power(base: Any, exponent: Any) -> None:
    """Refuse a power with too many digits."""
    if isinstance(base, int) and isinstance(exponent, int) and abs(base) > 1:
        if exponent > 0 and base.bit_length() * exponent > 2 * MAX_INTEGER_BITS:
            raise too_much(f"this number would have more than {MAX_INTEGER_BITS * 3 // 10:,} digits")
        if exponent < -MAX_INTEGER_BITS:
            raise too_much("this number is too near to 0 to compute with")


def check_length(size: int) -> None:
    """Refuse a text of too many characters before it is made."""
    if size > MAX_VALUE_CHARACTERS:
        raise value_too_long(size)


def print_format(budget: Budget, template: str, values: Sequence[object] | Mapping[Any, object]) -> object:
    """Return `template % values`; raises `Refusal` for a width or a result that is too large."""
    if isinstance(values, Mapping) and "%(" not in template:
        values = (values,)
    directives = list(DIRECTIVE.finditer(template))
    budget.step(len(directives))
    for directive in directives:
        check_directive(directive)
    if template.count("%(") != sum(directive.group(1) is not None for directive in directives):
        raise Refusal("template-error", "this format has brackets in a name, which a film's template cannot have")
    if isinstance(values, Mapping):
        wanted = {directive.group(1) for directive in directives}
        arguments: Any = {key: plain(budget, value) for key, value in values.items() if key in wanted}
        sizes = [len(str(value)) for value in arguments.values()]
    else:
        arguments = tuple([plain(budget, value) for value in values])
        sizes = [len(str(value)) for value in arguments]
    widest = MAX_FIELD_WIDTH if any(directive.group(2) or directive.group(3) for directive in directives) else 0
    check_length(len(template) + len(directives) * (max(sizes, default=0) + widest))
    return budget.settle(template % arguments)


def check_directive(directive: re.Match[str]) -> None:
    """Refuse a field of a format that is too wide, or whose width is a value."""
    if directive.group(4) == "%" and not directive.group(2):
        return
    for width in (directive.group(2), directive.group(3)):
        if width == "*":
            raise Refusal("template-forbidden", "the width of a field has to be written in the format, not given as *")
        if width and (len(width) > 4 or int(width) > MAX_FIELD_WIDTH):
            raise too_much(f"a field of a format may be {MAX_FIELD_WIDTH:,} characters wide, no more")


def plain(budget: Budget, value: object) -> object:
    """Return a number as it is, and anything else as its text."""
    if type(value) in NUMBERS:
        check_number(value)
        return value
    return budget.text(value)


class FieldFormatter(Formatter):
    """Formats `{}` fields: values are reached as the sandbox allows, and each field's size is bounded."""

    def __init__(self, budget: Budget, reach: Callable[[object, object], object]) -> None:
        self.budget = budget
        self.reach = reach
        self.size = 0

    def get_field(self, field_name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Return the value of a field such as `0.name[key]`."""
        parts = re.findall(r"^[^.\[]*|\.[^.\[]+|\[[^\]]+\]", field_name)
        if "".join(parts) != field_name:
            raise ValueError(f"{field_name!r} is no field of a format")
        first: Any = parts[0]
        value = self.get_value(int(first) if first.isdecimal() else first, args, kwargs)
        for part in parts[1:]:
            key: object = part[1:] if part[0] == "." else part[1:-1]
            value = self.reach(value, int(part[1:-1]) if part[0] == "[" and part[1:-1].isdecimal() else key)
        return value, first

    def convert_field(self, value: Any, conversion: str | None) -> Any:
        """Return a value as text where the field asks for it."""
        if conversion is None:
            return value
        if conversion not in CONVERSIONS:
            raise ValueError(f"a field may end in !r, !s or !a, not in !{conversion}")
        return CONVERSIONS[conversion](self.budget.text(value))

    def format_field(self, value: Any, format_spec: str) -> str:
        """Return the text of one field."""
        self.budget.step()
        if any(len(digits) > 4 or int(digits) > MAX_FIELD_WIDTH for digits in re.findall(r"\d+", format_spec)):
            raise too_much(f"a field of a format may be {MAX_FIELD_WIDTH:,} characters wide, no more")
        shown = plain(self.budget, value)
        text = format(shown, format_spec)
        self.size += len(text)
        check_length(self.size)
        return text
