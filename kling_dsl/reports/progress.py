"""The live display of a render on a terminal: a row for each take that moves, and what it all comes to so far."""

from __future__ import annotations

import contextlib
import heapq
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from decimal import Decimal
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

import msgspec

from kling_dsl.money import dollars
from kling_dsl.reports.escaping import visible
from kling_dsl.reports.render_lines import BILLED, queued_words

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    from kling_dsl.render.events import Event, EventKind

REFRESHES_PER_SECOND = 4
MAX_NAME = 24
"""The most columns of a clip's name."""
FOOT = 3
"""The lines under the rows: what is not shown, the money, the counts."""

_RANKS: dict[EventKind, int] = {
    "fetching": 0,
    "completed": 0,
    "running": 1,
    "uploading": 2,
    "submitted": 3,
    "adopted": 3,
    "queued": 4,
    "retrying": 5,
    "elsewhere": 6,
}
"""States of a take that is under way; those of a low rank are shown first, since they move first."""

_ENDS: dict[EventKind, str] = {
    "stored": "stored",
    "failed": "failed",
    "uncertain": "uncertain",
    "refused": "not bought",
    "lost": "broken off",
    "waiting": "waiting",
}
"""The events after which a take is not under way any more, as they are counted."""

_AT_THE_PROVIDER = frozenset(("queued", "running", "completed", "fetching", "adopted"))

_STYLES: dict[EventKind, str] = {
    "stored": "green",
    "running": "cyan",
    "fetching": "cyan",
    "completed": "cyan",
    "failed": "red",
    "lost": "red",
    "uncertain": "yellow",
    "refused": "yellow",
    "waiting": "yellow",
    "retrying": "yellow",
}


NearestLimit = tuple[str, Decimal, Decimal]
"""The limit that a render comes to first: its name, its sum, and what counted against it before the render began."""


class _Row(msgspec.Struct):
    """A take as it is shown; `since` is when it was submitted or first heard of, `until` when it came to its end."""

    number: int
    name: str
    kind: EventKind
    words: str = ""
    since: float | None = None
    until: float | None = None
    position: int = 0
    cost_usd: Decimal | None = None

    @property
    def urgency(self) -> tuple[int, int, int]:
        """What sorts a row among those that are under way."""
        return _RANKS.get(self.kind, 0), self.position, self.number


class LiveProgress:
    """Shows a render while it goes on, and takes the display away when it is left.

    `update` is called for each event, from any one thread; drawing is done by a thread of rich, four times a second.
    The cursor stays visible, so that nothing is left to restore however the process ends.
    """

    def __init__(
        self,
        stream: TextIO,
        *,
        total: int,
        limit: NearestLimit | None = None,
        note: str = "",
        clock: Callable[[], float] = time.monotonic,
        console: Console | None = None,
    ) -> None:
        """Prepare to draw on `stream`; `total` counts the takes to bring to their end, `note` stands beside the money."""
        self._console = console or _console(stream)
        self._total = total
        self._limit = limit
        self._note = note
        self._clock = clock
        self._begun = clock()
        self._spent_usd = Decimal(0)
        self._under_way: dict[tuple[str, int], _Row] = {}
        self._ended: dict[tuple[str, int], _Row] = {}
        self._number = 0
        self._is_stopping = False
        self._guard = threading.RLock()
        self._live: Live | None = None

    def __enter__(self) -> LiveProgress:
        from rich.live import Live

        self._begun = self._clock()
        self._live = Live(
            get_renderable=self._draw,
            console=self._console,
            refresh_per_second=REFRESHES_PER_SECOND,
            transient=True,
            # What is written to a pipe while the display is on belongs to the pipe.
            redirect_stdout=_is_terminal(sys.stdout),
            redirect_stderr=_is_terminal(sys.stderr),
        )
        self._live.start()
        self._console.show_cursor(True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Take the display off the terminal; may be called again, and before the process is ended on the spot."""
        live, self._live = self._live, None
        if live is not None:
            with contextlib.suppress(OSError):
                live.stop()

    def update(self, event: Event) -> None:
        """Take up an event; it is seen at the next drawing."""
        with contextlib.suppress(Exception), self._guard:
            self._take_up(event)

    def _take_up(self, event: Event) -> None:
        if event.spent_usd is not None:
            self._spent_usd = event.spent_usd
        if event.kind == "stopping":
            self._is_stopping = True
        if not event.clip:
            return
        now = self._clock()
        row = self._row(event)
        row.kind = event.kind
        row.words = _words(event)
        row.position = event.position or 0
        row.cost_usd = event.cost_usd if event.cost_usd is not None else row.cost_usd
        if event.kind == "submitted" or (row.since is None and event.kind in _AT_THE_PROVIDER):
            row.since = now
        mark = (event.clip, event.take)
        if event.kind in _ENDS:
            row.until = now
            self._ended[mark] = row
        else:
            row.until = None
            self._under_way[mark] = row

    def _row(self, event: Event) -> _Row:
        """Take the row of an event's take out of where it is; a take takes over the row of its clip without a take."""
        name = visible(f"{event.clip}, take {event.take}" if event.take > 1 else event.clip)
        for rows in (self._under_way, self._ended):
            for take in (event.take, 0):
                if row := rows.pop((event.clip, take), None):
                    row.name = name
                    return row
        self._number += 1
        return _Row(self._number, name, event.kind)

    def _draw(self) -> Text:
        from rich.text import Text

        width, height = self._console.size
        room = max(0, height - 1 - FOOT)
        now = self._clock()
        with self._guard:
            rows, hidden = self._pick(room)
            counts, under_way = Counter(row.kind for row in self._ended.values()), len(self._under_way)
        lines = [*_drawn(rows, now, width)]
        if hidden:
            lines.append((f"and {hidden:,} more under way", "dim"))
        lines += [(self._money(), "bold"), (self._progress(counts, under_way, now), "")]
        text = Text(no_wrap=True, overflow="ellipsis")
        for at, (line, style) in enumerate(lines):
            text.append("\n" if at else "")
            text.append(line, style)
        return text

    def _pick(self, room: int) -> tuple[list[_Row], int]:
        """Return copies of the rows to show, in the order in which they began, and how many under way are not shown."""
        shown = heapq.nsmallest(room, self._under_way.values(), key=lambda row: row.urgency)
        left = room - len(shown)
        ended = list(islice(reversed(self._ended.values()), left))
        rows = sorted((*shown, *ended), key=lambda row: row.number)
        return [msgspec.structs.replace(row) for row in rows], len(self._under_way) - len(shown)

    def _money(self) -> str:
        note = f" ({visible(self._note)})" if self._note else ""
        spent = f"{dollars(self._spent_usd)} spent"
        if self._limit is None:
            return f"{spent}{note}"
        name, limit_usd, counted_usd = self._limit
        counted = f"; {dollars(counted_usd + self._spent_usd)}" if counted_usd else ""
        return f"{spent}{counted} of {dollars(limit_usd)}, {visible(name)}{note}"

    def _progress(self, counts: Counter[EventKind], under_way: int, now: float) -> str:
        known = counts.total() + under_way
        total = max(self._total, known)
        parts = [f"{counts['stored']:,} of {total:,} stored"]
        parts += [f"{under_way:,} under way"] if under_way else []
        parts += [f"{total - known:,} to go"] if total > known else []
        parts += [f"{counts[kind]:,} {words}" for kind, words in _ENDS.items() if counts[kind] and kind != "stored"]
        stopping = "stopping, Ctrl-C leaves at once: " if self._is_stopping else ""
        return f"{_minutes(now - self._begun)}  {stopping}{', '.join(parts)}"


def _drawn(rows: Sequence[_Row], now: float, width: int) -> list[tuple[str, str]]:
    from rich.cells import cell_len, set_cell_size

    if not rows:
        return []
    costs = [dollars(row.cost_usd) if row.cost_usd is not None else "" for row in rows]
    times = ["" if row.since is None else _minutes((row.until or now) - row.since) for row in rows]
    name_width = min(MAX_NAME, max(cell_len(row.name) for row in rows))
    cost_width, time_width = max(map(len, costs)), max(5, *map(len, times))
    words_width = max(8, width - name_width - cost_width - time_width - 6)
    lines: list[tuple[str, str]] = []
    for row, cost, spent_time in zip(rows, costs, times, strict=True):
        name, words = (
            text if cell_len(text) <= columns else set_cell_size(text, columns - 1) + "…"
            for text, columns in ((row.name, name_width), (row.words, words_width))
        )
        cells = (set_cell_size(name, name_width), set_cell_size(words, words_width))
        line = "  ".join((*cells, spent_time.rjust(time_width), cost.rjust(cost_width)))
        lines.append((line, _STYLES.get(row.kind, "")))
    return lines


def _words(event: Event) -> str:
    because = f": {event.reason}" if event.reason else ""
    words = {
        "queued": queued_words(event.position),
        "fetching": f"fetching {_size(event.bytes)}" if event.bytes else "fetching",
        "failed": f"failed{BILLED.get(event.billed, '')}{because}",
        "uncertain": f"uncertain{because}",
        "refused": f"not bought{because}",
        "lost": f"broken off{because}",
        "waiting": f"waits{because}",
        "elsewhere": "another process is rendering it",
        "retrying": f"tries again{because}",
        "adopted": "found at the provider",
        "completed": "finished at the provider",
    }.get(event.kind, event.kind)
    return visible(words)


def _size(count: int) -> str:
    return f"{count / 1e6:,.0f} MB" if count >= 1e6 else f"{count / 1e3:,.0f} kB"


def _minutes(seconds: float) -> str:
    whole = max(0, int(seconds))
    return f"{whole // 60}:{whole % 60:02}"


def _is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and not stream.closed and stream.isatty()


def _console(stream: TextIO) -> Console:
    from rich.console import Console

    return Console(file=stream, highlight=False, markup=False, emoji=False)
