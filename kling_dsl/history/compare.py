"""Compares the films of two revisions: what became of each clip, and what that costs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from kling_dsl.history.fields import compare_requests, price_field
from kling_dsl.history.pairing import (
    ClipPair,
    FilmPair,
    Member,
    Version,
    find_strayed,
    match_clips,
    match_equal,
    pair_films,
    without,
)
from kling_dsl.history.values import Change, Clip, Field, FilmDifference, Kind, Move, Side
from kling_dsl.lock import Lock
from kling_dsl.standing import Records, Standing, Standings

_NOTHING = Decimal(0)


def compare_films(old: Sequence[Version], new: Sequence[Version]) -> tuple[FilmDifference, ...]:
    """Return what became of the films of one revision in another one; renamed films and clips are found again.

    A film with errors on one side is not compared: its other side is priced all the same. The locks of all films of
    a side count together, so that a clip that went to another film is paid for.
    """
    pairs = pair_films(old, new)
    locks = (merge_locks(version.lock for version in old), merge_locks(version.lock for version in new))
    members = [tuple(_members(version, lock) for version, lock in zip(pair, locks, strict=True)) for pair in pairs]
    matched = [match_clips(*sides) if _is_comparable(pair) else [] for pair, sides in zip(pairs, members, strict=True)]
    strays = list(_match_across(pairs, members, matched))
    return tuple(
        _compare_film(pair, sides, found, strays) for pair, sides, found in zip(pairs, members, matched, strict=True)
    )


def merge_locks(locks: Iterable[Lock]) -> Lock:
    """Return one lock that says what all of them say; problems are left out."""
    given = [lock for lock in locks if lock.takes]
    if len(given) == 1:
        return given[0]
    names = [name for name in Lock.__struct_fields__ if name != "problems"]
    return Lock(**{name: _sorted(record for lock in given for record in getattr(lock, name)) for name in names})


def _sorted(records: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(sorted(set(records), key=lambda one: (one.fingerprint, getattr(one, "take", 0), one.at)))


def _is_comparable(pair: FilmPair) -> bool:
    return not any(version is not None and version.compilation.failed for version in pair)


def _members(version: Version | None, lock: Lock) -> list[Member]:
    if version is None or version.compilation.failed:
        return []
    compilation = version.compilation
    standings = Standings(compilation).all(Records(lock, lambda _: (), lambda _: True))
    digested = {item.built.request.id: item.built.emission.digested for item in compilation.items}
    return [
        Member(_clip(standing), standing.call, digested[standing.call.id], version, place, standing.frame_source)
        for place, standing in enumerate(standings)
    ]


def _clip(standing: Standing) -> Clip:
    call = standing.call
    return Clip(
        id=call.id,
        scene=call.scene,
        file=call.file,
        line=call.line,
        model=call.model,
        endpoint=call.endpoint,
        seconds=call.seconds,
        takes=call.takes,
        price_usd=call.price_usd,
        fingerprint=call.fingerprint,
        request=standing.fingerprint,
        held=int(standing.kept_usd / call.price_usd) if call.price_usd else min(len(standing.takes), call.takes),
        to_buy=len(standing.to_buy),
        accepted=standing.why if standing.accepted is not None else "",
    )


def _match_across(
    pairs: Sequence[FilmPair], members: Sequence[tuple[list[Member], ...]], matched: Sequence[list[ClipPair]]
) -> Iterator[ClipPair]:
    """Yield the clips that went from one film to another with their request as it was."""
    old: list[Member] = []
    new: list[Member] = []
    for pair, (before, after), found in zip(pairs, members, matched, strict=True):
        if _is_comparable(pair):
            left, come = without(before, after, found)
            old += left
            new += come
    for one, other in match_equal(old, new, key=lambda member: member.clip.fingerprint):
        yield ClipPair(one, other, same=True)


def _compare_film(
    pair: FilmPair, sides: tuple[list[Member], ...], matched: Sequence[ClipPair], strays: Sequence[ClipPair]
) -> FilmDifference:
    old, new = sides
    version = pair[1] or pair[0]
    assert version is not None, "a pair has a film on one side at least"
    changes: tuple[Change, ...] = ()
    if _is_comparable(pair):
        changes = tuple(_changes(old, new, matched, strays))
    return FilmDifference(version.compilation.title, _side(pair[0], old), _side(pair[1], new), changes)


def _changes(
    old: Sequence[Member], new: Sequence[Member], matched: Sequence[ClipPair], strays: Sequence[ClipPair]
) -> Iterator[Change]:
    """Yield what became of each clip, in the order of the new side; what was removed comes last."""
    # A clip that went to another scene has moved already: it is not taken for one that the others went past.
    strayed = find_strayed([pair for pair in matched if pair.old.clip.scene == pair.new.clip.scene])
    inside = {id(pair.new): pair for pair in matched}
    across = {id(pair.new): pair for pair in strays}
    names = {pair.old.clip.id: pair.new.clip.id for pair in matched}
    frames = {pair.new.clip.id: pair for pair in matched}
    for member in new:
        if pair := inside.get(id(member)):
            moved = tuple(_moves(pair, strayed))
            yield _change(pair, moved, names, stale=_stale(pair, frames))
        elif pair := across.get(id(member)):
            yield _change(pair, ("file",), names, stale=())
        else:
            yield Change("new", None, member.clip, billable=member.clip.to_buy)
    known = {id(pair.old) for pair in (*matched, *strays)}
    for member in old:
        if id(member) not in known:
            yield Change("removed", member.clip, None)


def _change(pair: ClipPair, moved: tuple[Move, ...], names: Mapping[str, str], *, stale: tuple[str, ...]) -> Change:
    old, new = pair.old.clip, pair.new.clip
    edited = () if pair.same else compare_requests(pair.old.call, pair.new.call, names)
    fields = (*edited, *_outside_the_request(pair, edited))
    renamed = old.id != new.id
    kind: Kind = "changed" if fields or stale else "renamed" if renamed else "moved" if moved else "unchanged"
    # For a request that is what it was, an edit can only have asked for more takes.
    billable = new.to_buy if edited or stale else max(0, min(new.to_buy, new.takes - max(old.takes, new.held)))
    return Change(kind, old, new, fields=fields, stale=stale, renamed=renamed, moved=moved, billable=billable)


def _outside_the_request(pair: ClipPair, edited: tuple[Field, ...]) -> Iterator[Field]:
    old, new = pair.old.clip, pair.new.clip
    if old.takes != new.takes:
        yield Field("takes", str(old.takes), str(new.takes))
    if old.price_usd != new.price_usd and not edited:
        yield price_field(old.price_usd, new.price_usd)


def _moves(pair: ClipPair, strayed: frozenset[str]) -> Iterator[Move]:
    if pair.old.clip.scene != pair.new.clip.scene:
        yield "scene"
    if pair.new.clip.id in strayed:
        yield "order"


def _stale(pair: ClipPair, pairs: Mapping[str, ClipPair]) -> tuple[str, ...]:
    """Return which of the clips that this one continues are not what they were.

    Their request may have changed, or another take of theirs may have been chosen since this one was bought.
    """
    after = pair.new.call.after
    if not after or len(after) != len(pair.old.call.after):
        return ()
    before = dict(zip(after, pair.old.call.after, strict=True))
    # A frame that is taken from another clip than before is an edit of this one.
    known = [pairs[name] for name in after if name in pairs and pairs[name].old.clip.id == before[name]]
    if not pair.same:
        return tuple(one.new.clip.id for one in known if one.old.clip.fingerprint != one.new.clip.fingerprint)
    old, new = pair.old.clip, pair.new.clip
    if not old.held or new.held >= old.held or old.request == new.request:
        return ()
    return tuple(one.new.clip.id for one in known if one.old.frame != one.new.frame)


def _side(version: Version | None, members: Sequence[Member]) -> Side | None:
    if version is None:
        return None
    if version.compilation.failed:
        return Side(version.file, failed=True)
    clips = [member.clip for member in members]
    return Side(
        version.file,
        clips=len(clips),
        seconds=sum(clip.seconds for clip in clips),
        film_usd=sum((clip.cost_usd for clip in clips), _NOTHING),
        to_buy_usd=sum((clip.to_buy_usd for clip in clips), _NOTHING),
        held_usd=sum((clip.held_usd for clip in clips), _NOTHING),
        models=tuple(dict.fromkeys(clip.model for clip in clips)),
        drafts=version.drafts,
    )
