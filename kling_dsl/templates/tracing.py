"""Output that remembers where each of its pieces was written, through macros, blocks and includes."""

from __future__ import annotations

from array import array
from collections.abc import Iterable

from kling_dsl.templates.budget import (
    MAX_CALL_DEPTH,
    MAX_INTEGER_BITS,
    STEPS_PER_CALL,
    Budget,
    Limits,
    Refusal,
    too_much,
)
from kling_dsl.templates.source_map import Piece, Source, SourceMap, find_source

SPLICED = -1
"""The origin of an event whose text is `Traced`: its pieces know their own."""
SIFTED_PER_STEP = 4
"""How many items a loop with a condition looks at for one step, as many as are gone through in a list."""
PARTS_PER_CHUNK = 1 << 16
"""How many small texts are kept before they are joined, which frees them."""


class Traced(str):
    """A text that remembers its pieces. Any operation on it gives a plain `str`, as templates expect."""

    __slots__ = ("pieces",)
    pieces: list[Piece]


class Trace(Budget):
    """The state of one expansion: what is left to spend, which rounds are running, which sources were read."""

    def __init__(self, limits: Limits) -> None:
        super().__init__(limits)
        self.round: object = None
        self.depth = 0
        self.sources: list[Source] = []
        self.bases: list[int] = []
        self.origins = 0
        self.sifted = 0

    def add_source(self, source: Source) -> int:
        """Take in a source and return the number of its first origin."""
        base = self.origins
        self.sources.append(source)
        self.bases.append(base)
        self.origins += len(source.starts)
        return base

    def enter_round(self, origin: int, number: int, values: object, steps: int) -> None:
        """Begin a round of a loop."""
        self.round = (self.round, origin, number, values)
        self.steps -= steps
        if self.steps < self.checkpoint:
            self._look()

    def leave_round(self) -> None:
        """End the round that was begun last."""
        self.round = self.round[0]  # type: ignore[index]

    def sift(self) -> None:
        """Count an item that a loop looks at, to take it or leave it out."""
        self.sifted += 1
        if self.sifted % SIFTED_PER_STEP == 0:
            self.step()

    def enter_file(self, origin: int) -> None:
        """Begin to bring in another file."""
        self.round = (self.round, origin, 0, None)
        self.deepen()

    def leave_file(self) -> None:
        """Go on after a file was brought in."""
        self.depth -= 1
        self.leave_round()

    def deepen(self) -> None:
        """Go one call deeper; raises `Refusal` when that is too deep."""
        self.depth += 1
        self.step(STEPS_PER_CALL)
        if self.depth > MAX_CALL_DEPTH:
            raise too_much(
                f"macros, loops and includes call one another more than {MAX_CALL_DEPTH} deep here",
                hint="look for a file that includes itself, or a macro that calls itself without end",
            )

    def text(self, value: object) -> str:
        """Return the text of a value; that of an imported file is what it wrote."""
        if type(value).__name__ == "TemplateModule":
            return self.concat(value._body_stream)  # type: ignore[attr-defined]
        return super().text(value)

    def emit(self, origin: int, value: object) -> Piece:
        """Return the output of the expression at `origin`, a value of any kind."""
        kind = type(value)
        if kind is str:
            return value, origin, self.round  # type: ignore[return-value]
        if kind is Traced:
            return value, SPLICED, None  # type: ignore[return-value]
        if kind is int and value.bit_length() <= MAX_INTEGER_BITS:  # type: ignore[attr-defined]
            return str(value), origin, self.round
        text = self.text(value)
        return (text, SPLICED, None) if type(text) is Traced else (text, origin, self.round)

    def concat(self, events: Iterable[Piece]) -> Traced:
        """Return output as one text that keeps its pieces."""
        pieces: list[Piece] = []
        for event in events:
            if event[1] == SPLICED:
                pieces.extend(event[0].pieces)  # type: ignore[attr-defined]
            elif event[0]:
                pieces.append(event)
        self.step(len(pieces) // 8)
        size = sum([len(piece[0]) for piece in pieces])
        self.make(size, origin=pieces[0][1] if pieces else None)
        text = Traced("".join([piece[0] for piece in pieces]))
        text.pieces = pieces
        return text

    def collect(self, events: Iterable[Piece]) -> SourceMap:
        """Return the whole output with its map; raises `Refusal` when it grows too long."""
        chunks: list[str] = []
        parts: list[str] = []
        starts, origins, rounds = array("Q"), array("Q"), []
        position, limit = 0, self.limits.max_characters
        for event in events:
            for text, origin, running in (
                (event,) if event[1] != SPLICED else event[0].pieces  # type: ignore[attr-defined]
            ):
                if not text:
                    continue
                starts.append(position)
                origins.append(origin)
                rounds.append(running)
                parts.append(text)
                position += len(text)
                if position > limit:
                    raise too_much(
                        f"this template writes more than {limit:,} characters",
                        hint="split the film into several files",
                        origin=origin,
                    )
            if len(parts) > PARTS_PER_CHUNK:
                chunks.append("".join(parts))
                parts.clear()
        chunks.append("".join(parts))
        text = "".join(chunks)
        self._check_characters(text, starts, origins)
        return SourceMap(text, starts, origins, rounds, self.sources, self.bases)

    def _check_characters(self, text: str, starts: array[int], origins: array[int]) -> None:
        try:
            text.encode()
        except UnicodeEncodeError as error:
            stretch = max(k for k in range(len(starts)) if starts[k] <= error.start)
            raise Refusal(
                "template-error",
                "this gives half of a character (a lone surrogate), which no file can hold",
                origin=origins[stretch],
            ) from None

    def place(self, origin: int) -> tuple[Source, int]:
        """Return the source of an origin, and its number there."""
        return find_source(origin, self.sources, self.bases)
