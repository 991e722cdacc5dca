"""What one expansion may cost in steps, characters and seconds, and the refusal that ends it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sized
from datetime import date, datetime
from datetime import time as time_of_day
from decimal import Decimal
from typing import Any, cast

import msgspec

from kling_dsl.source import Span

MAX_VALUE_CHARACTERS = 1 << 20
"""The most characters of one computed value: hundreds of prompts, and small enough for any single operation."""
MAX_INTEGER_BITS = 4096
"""The largest number: 1,233 digits."""
MAX_VALUE_DEPTH = 50
"""How deep lists and mappings may lie in one another when they are compared, printed or used as a key."""
MAX_CALL_DEPTH = 50
"""How deep macros, recursive loops and includes may call one another."""
STEPS_PER_CALL = 5
"""What a call of a macro counts for: it takes as long as that many pieces of output."""
MAX_RANGE = 100_000
"""The most numbers of one range, rows of a batch and slices of a list: a round for each shot of the longest film."""
STEPS_BETWEEN_LOOKS = 2000
"""How many steps pass between two looks at the clock: about a millisecond."""
CHARACTERS_PER_STEP = 256
"""How many characters an operation on text may read for one step."""
MAX_WORK = 1 << 28
"""The most character comparisons that one operation on two texts may need."""

SCALARS: frozenset[type] = frozenset({str, int, float, bool, type(None), Decimal, date, datetime, time_of_day})


class Limits(msgspec.Struct, frozen=True):
    """What one expansion may use up.

    A film of 100,000 shots has about 28 million characters and takes about 2 million steps (a round of a loop, each
    piece of text or value that it writes, each filter and call is a step, and so are four items that a loop with a
    condition looks at); the defaults leave some room above that.
    `max_characters` bounds the expanded text and, counted separately, the text of all values made on the way.
    """

    max_characters: int = 32 << 20
    max_steps: int = 3_000_000
    max_seconds: float = 20.0


class Refusal(Exception):
    """An expansion that must end: the facts of its one diagnostic, `word` being what to underline in the tag."""

    def __init__(
        self,
        slug: str,
        message: str,
        *,
        hint: str = "",
        word: str = "",
        origin: int | None = None,
        offset: int | None = None,
        span: Span | None = None,
    ) -> None:
        super().__init__(message)
        self.slug = slug
        self.message = message
        self.hint = hint
        self.word = word
        self.origin = origin
        self.offset = offset
        self.span = span


def too_much(message: str, *, hint: str = "", origin: int | None = None) -> Refusal:
    """Build the refusal of something that would not end, or not fit."""
    return Refusal("template-limit", message, hint=hint, origin=origin)


class Budget:
    """What is left of the limits of one expansion."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.steps = limits.max_steps
        self.checkpoint = limits.max_steps
        self.characters = limits.max_characters
        # The one look at a clock outside the doors: the promise is that an expansion ends in bounded time.
        self.deadline = time.monotonic() + limits.max_seconds

    def step(self, count: int = 1) -> None:
        """Use up steps; raises `Refusal` when none is left or the time is over."""
        self.steps -= count
        if self.steps < self.checkpoint:
            self._look()

    def make(self, count: int, *, origin: int | None = None) -> None:
        """Use up characters of computed values; raises `Refusal` when none is left."""
        self.characters -= count
        if self.characters < 0:
            raise too_much(
                f"the values of this template hold more than {self.limits.max_characters:,} characters",
                hint="split the film into several files, or make less text from each value",
                origin=origin,
            )

    def charge(self, value: object) -> None:
        """Use up the steps that reading all of `value` takes: to compare, hash, sort, search or print it."""
        kind = type(value)
        if kind is str or isinstance(value, str):
            if len(value) > CHARACTERS_PER_STEP:  # type: ignore[arg-type]
                self.step(len(value) // CHARACTERS_PER_STEP)  # type: ignore[arg-type]
        elif kind not in SCALARS:
            self._weigh(value)

    def skim(self, value: object) -> None:
        """Use up the steps that going once through a value takes, without looking into its items."""
        if isinstance(value, str):
            self.charge(value)
        elif isinstance(value, (dict, range, *SEQUENCES)):
            self.step(len(cast("Sized", value)) // 4)

    def light(self, value: object) -> object:
        """Return `value` after charging for reading it."""
        if type(value) not in SCALARS or type(value) is str:
            self.charge(value)
        return value

    def settle(self, value: object) -> object:
        """Return what an operation gave, charged for; an iterator is read to its end into a list."""
        kind = type(value)
        if kind is str:
            self.make(len(value))  # type: ignore[arg-type]
            if len(value) > MAX_VALUE_CHARACTERS:  # type: ignore[arg-type]
                raise value_too_long(len(value))  # type: ignore[arg-type]
        elif kind is int or kind is Decimal:
            check_number(value)
        elif kind is list or kind is tuple:
            self.step(len(value) // 4)  # type: ignore[arg-type]
        elif isinstance(value, Iterator):
            return self.read(value)
        return value

    def read(self, items: Iterable[object]) -> list[object]:
        """Return the items of an iterable, each for a step."""
        if isinstance(items, (list, tuple, range, dict, str)):
            self.step(len(items))
            return list(items)
        result = []
        for item in items:
            self.step()
            result.append(item)
        return result

    def text(self, value: object) -> str:
        """Return the text of a value as the film shows it; raises `Refusal` for what has no lasting text."""
        if isinstance(value, str):
            return value
        kind = type(value)
        if kind is int or kind is Decimal:
            check_number(value)
        if kind in SCALARS or kind.__name__ in UNDEFINED:
            return str(value)
        self.charge(value)
        room = [MAX_VALUE_CHARACTERS]
        check_printable(value, room)
        text = str(value)
        self.make(len(text))
        return text

    def join(self, values: Iterable[object], separator: str = "") -> str:
        """Return the texts of the values, joined; raises `Refusal` when that is too long."""
        parts: list[str] = []
        size = 0
        for value in values:
            self.step()
            part = self.text(value)
            size += len(part) + len(separator)
            if size > MAX_VALUE_CHARACTERS + len(separator):
                raise value_too_long(size)
            parts.append(part)
        text = separator.join(parts)
        self.make(len(text))
        return text

    def _look(self) -> None:
        if self.steps < 0:
            raise too_much(
                f"this template takes more than {self.limits.max_steps:,} steps to expand",
                hint="look for a loop over too many things, or split the film into several files",
            )
        if time.monotonic() > self.deadline:
            raise too_much(
                f"this template takes more than {self.limits.max_seconds:g} seconds to expand",
                hint="look for a loop over too many things, or split the film into several files",
            )
        self.checkpoint = max(0, self.steps - STEPS_BETWEEN_LOOKS)

    def _weigh(self, value: object) -> None:
        # Without recursion: frames that come and go at the end of a chunk of Python's stack cost six times as much.
        waiting: list[tuple[Any, int]] = [(value, 0)]
        while waiting:
            value, depth = waiting.pop()
            if depth > MAX_VALUE_DEPTH:
                raise too_much(f"this value has lists or mappings inside one another, more than {MAX_VALUE_DEPTH} deep")
            if isinstance(value, dict):
                parts: tuple[Any, ...] = (value.keys(), value.values())
            elif isinstance(value, SEQUENCES):
                parts = (value,)
            else:
                self.step(len(value) if isinstance(value, range) else 1)
                continue
            for items in parts:
                kinds = set(map(type, items))
                self.step(2 + len(items) // 4)
                if str in kinds:
                    self.step(sum(len(item) for item in items if type(item) is str) // CHARACTERS_PER_STEP)
                if not kinds <= SCALARS:
                    self.step(len(items))
                    waiting += [(item, depth + 1) for item in items if type(item) not in SCALARS]


UNDEFINED = frozenset({"FilmUndefined", "Undefined"})
"""The types that stand for something missing, by name: their text is empty, or an error that says what is missing."""
SEQUENCES: tuple[type, ...] = (list, tuple, type({}.keys()), type({}.values()), type({}.items()))
"""The kinds of value that are lists for a writer."""


def value_too_long(size: int) -> Refusal:
    """Build the refusal of one value with too many characters."""
    return too_much(f"this value would have {size:,} characters or more, {MAX_VALUE_CHARACTERS:,} is the limit")


def check_number(value: object) -> None:
    """Refuse a number so large that computing with it or printing it would take for ever."""
    if isinstance(value, int):
        if value.bit_length() > MAX_INTEGER_BITS:
            raise too_much(f"this number would have more than {MAX_INTEGER_BITS * 3 // 10:,} digits")
    elif isinstance(value, Decimal) and value.is_finite() and abs(value.adjusted()) > MAX_INTEGER_BITS // 4:
        raise too_much("this number is too large or too near to 0 to compute with")


def check_printable(value: Any, room: list[int]) -> None:
    """Refuse a value that would print a place in memory, or whose parts are together longer than `room[0]`."""
    if isinstance(value, str):
        room[0] -= len(value) + 4
    elif isinstance(value, dict):
        for key, item in value.items():
            check_printable(key, room)
            check_printable(item, room)
    elif isinstance(value, SEQUENCES):
        for item in cast("Iterable[object]", value):
            check_printable(item, room)
    elif type(value) is int:
        check_number(value)
        room[0] -= value.bit_length() // 3 + 4
    elif type(value) in SCALARS or isinstance(value, range):
        room[0] -= 40
    elif type(value).__name__ in UNDEFINED:
        str(value)
    else:
        raise Refusal("template-error", f"this gives {kind_in_words(value)}, which is no text", hint=hint_for(value))
    if room[0] < 0:
        raise value_too_long(MAX_VALUE_CHARACTERS - room[0])


def kind_in_words(value: object) -> str:
    """Name the kind of a value as a writer would."""
    return name_kind(type(value).__name__)


def name_kind(name: str) -> str:
    """Name a kind of value as a writer would, given Python's name of it."""
    short = name.rpartition(".")[2]
    return KINDS.get(short, f"a {short}")


def hint_for(value: object) -> str:
    """Say what the writer probably meant to write instead of printing this value."""
    if type(value).__name__ == "Method":
        return 'to run it write () after it; a column or key of that name is read with ["name"]'
    if isinstance(value, Callable):  # type: ignore[arg-type]
        return "to run it write () after it"
    return "print one of its parts"


KINDS = {
    "int": "a whole number",
    "float": "a number",
    "Decimal": "a number",
    "bool": "true or false",
    "NoneType": "none",
    "str": "a text",
    "list": "a list",
    "tuple": "a list",
    "dict": "a mapping",
    "dict_keys": "a list",
    "dict_values": "a list",
    "dict_items": "a list",
    "range": "a range",
    "Method": "a function",
    "function": "a function",
    "type": "a function",
    "Macro": "a macro",
    "Cycler": "a cycler",
    "Joiner": "a joiner",
    "LoopContext": "the loop itself",
    "Namespace": "a namespace",
    "TemplateModule": "an imported file",
    "TemplateReference": "the template itself",
    "BlockReference": "a block",
    "complex": "a complex number",
}
