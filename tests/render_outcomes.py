"""Events and outcomes of renders that never were, made by hand for the tests of what a person sees of a render."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from kling_dsl.calls import Call
from kling_dsl.ledger import Key, Order, Row
from kling_dsl.ledger.values import State as RowState
from kling_dsl.render.engine import ClipEnd, Outcome
from kling_dsl.render.events import Event, EventKind
from kling_dsl.render.takes import Ended
from kling_dsl.standing import Standing, State, take_of

AT = datetime(2026, 11, 22, 17, 3, 42, 120_000, tzinfo=UTC)
REQUEST = "764cabcf-b745-4b3e-ae38-1200304cf45b"
FILTER = "the provider's filter refused the content: reword the shot or change its pictures (422)"
PRICE = Decimal("2.10")


def digest(words: str) -> str:
    return hashlib.sha256(words.encode()).hexdigest()


def event(kind: EventKind, clip: str = "door", take: int = 1, **details: Any) -> Event:
    fields = {"file": "film.kling", "line": 23, "cost_usd": PRICE, "spent_usd": PRICE, **details}
    return Event(kind, clip=clip, take=take, **fields)


def call(name: str = "door", *, takes: int = 1, file: str = "film.kling", line: int = 23) -> Call:
    return Call(
        id=name,
        scene="INT. LIGHTHOUSE - NIGHT",
        model="o3-4k",
        endpoint="an/endpoint",
        arguments={},
        references={},
        takes=takes,
        seconds=5,
        price_usd=PRICE,
        fingerprint=digest(name),
        file=file,
        line=line,
    )


def row(
    state: RowState,
    name: str = "door",
    *,
    take: int = 1,
    billed: Any = None,
    reason: str = "",
    quarantine: str = "",
    fingerprint: str = "",
) -> Row:
    """Return a row of the ledger; `fingerprint` makes it one of a request that another clip makes as well."""
    of = call(name)
    order = Order(
        key=Key(fingerprint or of.fingerprint, take),
        film="film.kling",
        clip=name,
        file=of.file,
        line=of.line,
        model=of.model,
        endpoint=of.endpoint,
        request=b"{}",
        canonical=b"{}",
        seconds=5,
        price_usd=PRICE,
    )
    return Row(
        order=order,
        state=state,
        billed=billed,
        reason=reason,
        quarantine=quarantine,
        request_id=REQUEST,
        response_url="",
        status_url="",
        cancel_url="",
        result=b"",
        billed_units=None,
        sha256=digest(f"{name} {take}") if state == "stored" else "",
        run="run",
        owner="run",
        reserved_at=AT,
        submitted_at=AT,
        completed_at=None,
        stored_at=AT if state == "stored" else None,
        updated_at=AT,
        number=1,
        attempt=1,
    )


def standing(of: Call, state: State, *, rows: Sequence[Row] = (), **details: Any) -> Standing:
    """Return how a clip stands; of `rows` the stored ones are its takes."""
    takes = tuple(take_of(each) for each in rows if each.state == "stored")
    fields = {
        "why": "",
        "fingerprint": of.fingerprint,
        "takes": takes,
        "chosen": takes[0] if takes else None,
        "rows": tuple(each for each in rows if each.state != "stored"),
        **details,
    }
    return Standing(of, state, **fields)


def stored(name: str = "door", *, takes: int = 1, line: int = 23) -> ClipEnd:
    rows = [row("stored", name, take=number) for number in range(1, takes + 1)]
    ended = tuple(Ended(each.key.take, each) for each in rows)
    return ClipEnd(standing(call(name, takes=takes, line=line), "kept", rows=rows), ended)


def ended_as(state: State, one: Row) -> ClipEnd:
    """Return the end of a clip whose one take came as far as a row."""
    return ClipEnd(standing(call(one.order.clip), state, rows=(one,)), (Ended(one.key.take, one, one.reason),))


def kept(name: str) -> ClipEnd:
    return ClipEnd(standing(call(name), "kept", rows=(row("stored", name),)))


def outcome(*clips: ClipEnd, spent: str = "0", stopped: bool = False, problem: str = "") -> Outcome:
    return Outcome(clips, Decimal(spent), stopped, problem)


def mixed() -> Outcome:
    """Return an outcome in which nearly everything happened."""
    place = ".kling/store/quarantine/0a1b-1-1.mp4"
    lost = "the connection was lost after the request was sent: peer closed connection without a complete answer"
    limit = "$2.10 more would pass the film's Budget, $10.00, by $0.50: $8.40 spent"
    waits = call("roof", line=80)
    return outcome(
        stored("door"),
        ended_as("failed", row("failed", "hall", billed="maybe", reason=FILTER)),
        ended_as("failed", row("failed", "pier", billed="maybe", reason="it lasts 3.2 s, not 5 s", quarantine=place)),
        ended_as("new", row("failed", "lamp", billed="no", reason="the model failed inside (500)")),
        ended_as("uncertain", row("uncertain", "storm", reason=lost)),
        ClipEnd(
            standing(call("rope", line=61), "new", to_buy=(1,)),
            (Ended(1, None, limit, refused_by_limit=True),),
        ),
        ClipEnd(standing(call("wave", line=70), "new", to_buy=(1,)), problem="refs/wave.png could not be uploaded"),
        ClipEnd(
            standing(waits, "waiting", fingerprint="", to_buy=(1, 2), why="needs the last frame of storm"),
            problem="needs the last frame of storm",
        ),
        kept("gull"),
        spent="8.40",
    )
