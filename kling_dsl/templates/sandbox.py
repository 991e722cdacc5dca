"""What a template may reach: the few attributes, methods and functions that a film needs, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time
from functools import partial
from typing import Any

from jinja2.environment import Template, TemplateModule
from jinja2.exceptions import TemplateNotFound, UndefinedError
from jinja2.filters import _GroupTuple
from jinja2.lexer import TokenStream
from jinja2.runtime import (
    BlockReference,
    Context,
    LoopContext,
    Macro,
    StrictUndefined,
    TemplateReference,
    Undefined,
)
from jinja2.sandbox import SandboxedEnvironment
from jinja2.utils import Cycler, Joiner, Namespace, missing

from kling_dsl.templates.arithmetic import FieldFormatter, check_length, combine
from kling_dsl.templates.budget import (
    MAX_RANGE,
    MAX_WORK,
    Limits,
    Refusal,
    kind_in_words,
    too_much,
)
from kling_dsl.templates.filters import FORBIDDEN_FILTERS, film_filters, film_tests
from kling_dsl.templates.lexing import Layout, tokenize
from kling_dsl.templates.tracing import Trace

__all__ = ["FORBIDDEN_FILTERS", "FilmEnvironment", "UnknownName"]

TEXT_METHODS = frozenset(
    [
        "capitalize",
        "casefold",
        "center",
        "count",
        "endswith",
        "find",
        "format",
        "format_map",
        "index",
        "isalnum",
        "isalpha",
        "isascii",
        "isdecimal",
        "isdigit",
        "isidentifier",
        "islower",
        "isnumeric",
        "isprintable",
        "isspace",
        "istitle",
        "isupper",
        "join",
        "ljust",
        "lower",
        "lstrip",
        "partition",
        "removeprefix",
        "removesuffix",
        "replace",
        "rfind",
        "rindex",
        "rjust",
        "rpartition",
        "rsplit",
        "rstrip",
        "split",
        "splitlines",
        "startswith",
        "strip",
        "swapcase",
        "title",
        "upper",
        "zfill",
    ]
)
METHODS: dict[type, frozenset[str]] = {
    str: TEXT_METHODS,
    list: frozenset({"count", "index"}),
    tuple: frozenset({"count", "index"}),
    dict: frozenset({"get", "items", "keys", "values"}),
    float: frozenset({"is_integer"}),
    date: frozenset({"isoformat", "weekday", "isoweekday"}),
    datetime: frozenset({"isoformat", "weekday", "isoweekday"}),
    time: frozenset({"isoformat"}),
    LoopContext: frozenset({"changed", "cycle"}),
    Cycler: frozenset({"next", "reset"}),
}
PROPERTIES: dict[type, frozenset[str]] = {
    date: frozenset({"year", "month", "day"}),
    datetime: frozenset({"year", "month", "day", "hour", "minute", "second"}),
    time: frozenset({"hour", "minute", "second"}),
    _GroupTuple: frozenset({"grouper", "list"}),
    LoopContext: frozenset(
        [
            "index",
            "index0",
            "revindex",
            "revindex0",
            "first",
            "last",
            "length",
            "depth",
            "depth0",
            "previtem",
            "nextitem",
        ]
    ),
    Cycler: frozenset({"current"}),
    Macro: frozenset({"name", "arguments", "caller", "catch_kwargs", "catch_varargs"}),
    BlockReference: frozenset({"super", "name"}),
}


class UnknownName(UndefinedError):
    """The use of something that is not there; `missing` says what."""

    def __init__(self, missing: FilmUndefined, message: str) -> None:
        super().__init__(message)
        self.hinted = bool(missing._undefined_hint)
        self.name = missing._undefined_name
        self.owner = missing._undefined_obj


class FilmUndefined(StrictUndefined):
    """A name that is not there: whatever a template does with it, but to ask whether it is defined, is an error."""

    __slots__ = ()

    def __init__(
        self,
        hint: str | None = None,
        obj: Any = missing,
        name: str | None = None,
        exc: Any = UndefinedError,
    ) -> None:
        super().__init__(hint, obj, name, exc)
        self._undefined_exception = partial(UnknownName, self)  # type: ignore[assignment]

    # Where a whole number is wanted: a width, a bound, the place of an item.
    __index__ = StrictUndefined._fail_with_undefined_error


class Method:
    """A method of a value, called with its arguments checked."""

    __slots__ = ("environment", "name", "value")

    def __init__(self, environment: FilmEnvironment, value: Any, name: str) -> None:
        self.environment = environment
        self.value = value
        self.name = name

    def __call__(self, *args: Any, **kwargs: Any) -> object:
        """Call the method; raises `Refusal` when that would take too much."""
        trace = self.environment.trace
        trace.step()
        for item in (*args, *kwargs.values()):
            trace.charge(item)
        if isinstance(self.value, dict):
            return trace.settle(getattr(self.value, self.name)(*args, **kwargs))
        trace.charge(self.value)
        if isinstance(self.value, str):
            return self._call_text(args, kwargs)
        return trace.settle(getattr(self.value, self.name)(*args, **kwargs))

    def _call_text(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
        trace, text = self.environment.trace, str.__str__(self.value)
        if self.name in ("format", "format_map"):
            formatter = FieldFormatter(trace, self.environment.getitem)
            values = args[0] if self.name == "format_map" and args else kwargs
            return trace.settle(formatter.vformat(text, () if self.name == "format_map" else args, values))
        if self.name == "join" and args:
            return trace.join(trace.read(args[0]), text)
        check_text_call(text, self.name, args)
        if self.name in ("split", "rsplit", "splitlines"):
            trace.step(len(text) // 2)
        return trace.settle(getattr(text, self.name)(*args, **kwargs))


def check_text_call(text: str, name: str, args: tuple[Any, ...]) -> None:
    """Refuse a method call on a text that would take too long or give too much."""
    numbers = [value for value in args if isinstance(value, int)]
    texts = [value for value in args if isinstance(value, str)]
    if name in ("ljust", "rjust", "center", "zfill"):
        check_length(max(numbers, default=0))
    if name == "replace" and len(texts) >= 2:
        found = text.count(texts[0]) if texts[0] else len(text) + 1
        check_length(len(text) + found * (len(texts[1]) - len(texts[0])))
    if any(len(text) * len(value) > MAX_WORK for value in texts):
        raise too_much(f"these texts are too long for .{name}()")


class FilmEnvironment(SandboxedEnvironment):
    """The sandbox of one expansion."""

    intercepted_binops = frozenset(SandboxedEnvironment.default_binop_table)
    trace: Trace
    layout: Layout
    load: Callable[[str, str], Template]

    def __init__(self, trace: Trace) -> None:
        super().__init__(undefined=FilmUndefined, keep_trailing_newline=True, optimized=False, cache_size=0)
        self.trace = trace
        self.concat = trace.concat  # type: ignore[assignment]
        self.filters = film_filters(trace)
        self.tests = film_tests(trace)  # type: ignore[assignment]
        self.globals = {
            "range": bounded_range,
            "dict": dict,
            "cycler": Cycler,
            "joiner": Joiner,
            "namespace": Namespace,
        }

    @classmethod
    def for_compiling(cls) -> FilmEnvironment:
        """Return an environment that knows the names of everything, to compile with."""
        return cls(Trace(Limits()))

    def _tokenize(
        self, source: str, name: str | None, filename: str | None = None, state: str | None = None
    ) -> TokenStream:
        return tokenize(self.lexer, self.layout)

    # Values

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Return `obj.attribute` if a film may have it."""
        for kind in type(obj).__mro__:
            if attribute in METHODS.get(kind, ()):
                return Method(self, obj, attribute)
            if attribute in PROPERTIES.get(kind, ()):
                return getattr(obj, attribute)
        if isinstance(obj, dict) and attribute in obj:
            return obj[attribute]
        if isinstance(obj, Undefined):
            obj._fail_with_undefined_error()
        if attribute.startswith("_"):
            raise Refusal(
                "template-forbidden",
                f"a template cannot reach {attribute!r}: names that begin with _ are Python's own",
                word=attribute,
            )
        if isinstance(obj, TemplateReference):
            return self._block(obj, attribute)
        if isinstance(obj, Namespace):
            try:
                return Namespace.__getattribute__(obj, attribute)
            except AttributeError:
                return self.undefined(obj=obj, name=attribute)
        if isinstance(obj, TemplateModule) and attribute in obj.__dict__:
            return obj.__dict__[attribute]
        if not isinstance(obj, (dict, TemplateModule)) and hasattr(type(obj), attribute):
            raise Refusal(
                "template-forbidden",
                f"a template cannot use .{attribute} of {kind_in_words(obj)}",
                hint="templates can read values and make text of them, and nothing else",
                word=attribute,
            )
        return self.undefined(obj=obj, name=attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Return `obj[argument]`."""
        if isinstance(argument, str):
            if isinstance(obj, dict) and argument in obj:
                return obj[argument]
            return self.getattr(obj, str.__str__(argument))
        self.trace.light(argument)
        if isinstance(obj, Undefined):
            obj._fail_with_undefined_error()
        if not isinstance(obj, (dict, list, tuple, str, range)):
            return self.undefined(obj=obj, name=argument)
        try:
            return obj[argument]
        except (TypeError, LookupError):
            return self.undefined(obj=obj, name=argument)

    def cut(self, obj: Any, start: Any, stop: Any, step: Any) -> object:
        """Return `obj[start:stop:step]`."""
        if isinstance(obj, Undefined):
            obj._fail_with_undefined_error()
        if not isinstance(obj, (list, tuple, str, range)):
            raise TypeError(f"{kind_in_words(obj)} has no parts to take with [:]")
        return self.trace.settle(obj[start:stop:step])

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Return the result of a bounded operation."""
        return combine(self.trace, operator, left, right)

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805 -- a film may name an argument self
        """Call one of the things that a film may call."""
        trace = __self.trace
        if isinstance(__obj, (Macro, BlockReference, LoopContext)):
            trace.deepen()
            result = __context.call(__obj, *args, **kwargs)
            trace.depth -= 1
            return result
        trace.step()
        for item in args:
            trace.charge(item)
        if isinstance(__obj, (Method, Joiner)) or __obj in (bounded_range, dict, Cycler, Joiner, Namespace):
            return __context.call(__obj, *args, **kwargs)
        if isinstance(__obj, Undefined):
            __obj._fail_with_undefined_error()
        raise TypeError(f"{kind_in_words(__obj)} cannot be called with ()")

    def _block(self, reference: TemplateReference, name: str) -> Any:
        try:
            return reference[name]
        except KeyError:
            return self.undefined(obj=reference, name=name)

    # Files

    def get_template(self, name: Any, parent: str | None = None, globals: Any = None) -> Template:
        """Return another template, named from where the file `parent` stands."""
        if isinstance(name, Undefined):
            name._fail_with_undefined_error()
        if not isinstance(name, str):
            raise TypeError(f"a file is named by a text, and this is {kind_in_words(name)}")
        return self.load(str.__str__(name), parent or "")

    def select_template(self, names: Any, parent: str | None = None, globals: Any = None) -> Template:
        """Return the first of several templates that is there."""
        if not isinstance(names, (list, tuple)) or not names:
            raise TypeError("include takes the name of a file, or a list of names")
        for name in names[:-1]:
            try:
                return self.get_template(name, parent)
            except TemplateNotFound:
                continue
        return self.get_template(names[-1], parent)

    def get_or_select_template(self, template_name_or_list: Any, parent: str | None = None, globals: Any = None) -> Any:
        """Return one template, or the first of several that is there."""
        if isinstance(template_name_or_list, (list, tuple)):
            return self.select_template(template_name_or_list, parent)
        return self.get_template(template_name_or_list, parent)


def bounded_range(*bounds: int) -> range:
    """Return the numbers of a range that a film could loop over."""
    numbers = range(*bounds)
    if numbers and (numbers[-1] - numbers[0]) // numbers.step >= MAX_RANGE:
        raise too_much(f"this range has more than {MAX_RANGE:,} numbers")
    return numbers
