"""Finds which film and which clip of the new side is which of the old one."""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from kling_dsl.calls import Call
from kling_dsl.compiler import Compilation, Quote
from kling_dsl.emitter import canonical_json, chained
from kling_dsl.history.values import Clip
from kling_dsl.lock import Lock

LEAST_LIKENESS = 0.5
"""Films that share less are two films, as git has it for renamed files."""


class Version(msgspec.Struct, frozen=True, eq=False):
    """A film on one side: its compilation, its lock, and its price on draft models."""

    compilation: Compilation
    lock: Lock = Lock()
    drafts: tuple[Quote, ...] = ()

    @property
    def file(self) -> str:
        """The film's path from the project's root."""
        return self.compilation.file


FilmPair = tuple[Version | None, Version | None]


class Member(msgspec.Struct, frozen=True, eq=False):
    """A clip of one side with what is needed to match it; `frame` is the digest that other clips may start from."""

    clip: Clip
    call: Call
    digested: dict[str, object]
    version: Version
    place: int
    frame: str


class ClipPair(msgspec.Struct, frozen=True, eq=False):
    """A clip on both sides; `same` says whether both make one request, as far as the film alone tells."""

    old: Member
    new: Member
    same: bool


def pair_films(old: Sequence[Version], new: Sequence[Version]) -> tuple[FilmPair, ...]:
    """Return the films of both sides in pairs: by path, then, for those left over, by what they have in common."""
    before = {version.file: version for version in old}
    pairs: list[FilmPair] = [(before.pop(version.file, None), version) for version in new]
    left = [_Contents.of(version) for version in before.values()]
    found = [(at, _Contents.of(other)) for at, (one, other) in enumerate(pairs) if one is None and other is not None]
    likes = sorted(
        (-likeness[0], -likeness[1], contents.file, at)
        for at, new_contents in found
        for contents in left
        if max(likeness := contents.likeness(new_contents)) >= LEAST_LIKENESS
    )
    for _, _, file, at in likes:
        if file in before and pairs[at][0] is None:
            pairs[at] = (before.pop(file), pairs[at][1])
    pairs += [(version, None) for version in before.values()]
    return tuple(pairs)


def match_clips(old: Sequence[Member], new: Sequence[Member]) -> list[ClipPair]:
    """Match clips of one request first, then by id, then those that differ in the clip they continue alone."""
    pairs = [ClipPair(one, other, same=True) for one, other in match_equal(old, new, key=_fingerprint)]
    old, new = without(old, new, pairs)
    pairs += [ClipPair(one, other, same=False) for one, other in match_equal(old, new, key=_id)]
    old, new = without(old, new, pairs)
    before, after = ([member for member in side if member.call.after] for side in (old, new))
    pairs += [ClipPair(one, other, same=False) for one, other in match_equal(before, after, key=_unchained)]
    return sorted(pairs, key=lambda pair: pair.new.place)


def match_equal(
    old: Sequence[Member], new: Sequence[Member], *, key: Callable[[Member], object]
) -> Iterator[tuple[Member, Member]]:
    """Yield clips with equal keys in pairs, those with one id before the others, each clip once."""
    waiting: dict[object, list[Member]] = {}
    for member in old:
        waiting.setdefault(key(member), []).append(member)
    later: list[tuple[object, Member]] = []
    for member in new:
        found = waiting.get(wanted := key(member), [])
        same = next((one for one in found if one.clip.id == member.clip.id), None)
        if same is None:
            later.append((wanted, member))
        else:
            found.remove(same)
            yield same, member
    for wanted, member in later:
        if found := waiting.get(wanted, []):
            yield found.pop(0), member


def without(
    old: Sequence[Member], new: Sequence[Member], pairs: Sequence[ClipPair]
) -> tuple[list[Member], list[Member]]:
    """Return the clips of both sides that are in none of the pairs."""
    taken = {id(member) for pair in pairs for member in (pair.old, pair.new)}
    return [one for one in old if id(one) not in taken], [other for other in new if id(other) not in taken]


def find_strayed(pairs: Sequence[ClipPair]) -> frozenset[str]:
    """Return the new ids of the fewest clips whose moving explains the new order, the others being a rising row."""
    tails: list[int] = []
    ends: list[int] = []
    before: list[int] = []
    for at, pair in enumerate(pairs):
        length = bisect.bisect_left(tails, pair.old.place)
        tails[length : length + 1] = [pair.old.place]
        ends[length : length + 1] = [at]
        before.append(ends[length - 1] if length else -1)
    kept: set[int] = set()
    at = ends[-1] if ends else -1
    while at >= 0:
        kept.add(at)
        at = before[at]
    return frozenset(pair.new.clip.id for at, pair in enumerate(pairs) if at not in kept)


class _Contents(msgspec.Struct, frozen=True, eq=False):
    """What a film is told by when its path says nothing; a film with errors has only its lines for certain."""

    file: str
    lines: Counter[str]
    requests: Counter[str]
    ids: Counter[str]
    failed: bool

    @classmethod
    def of(cls, version: Version) -> _Contents:
        compilation = version.compilation
        calls = () if compilation.failed else compilation.calls
        return cls(
            version.file,
            Counter(compilation.expanded.split("\n")),
            Counter(call.fingerprint for call in calls),
            Counter(call.id for call in calls),
            compilation.failed,
        )

    def likeness(self, other: _Contents) -> tuple[float, float]:
        """Return which part of the requests and of the ids of two films is the same, from 0 to 1."""
        if self.failed or other.failed:
            lines = _shared(self.lines, other.lines)
            return lines, lines
        return _shared(self.requests, other.requests), _shared(self.ids, other.ids)


def _shared(one: Counter[str], other: Counter[str]) -> float:
    most = one.total() + other.total()
    return 2 * (one & other).total() / most if most else 0.0


def _fingerprint(member: Member) -> str:
    return member.clip.fingerprint


def _id(member: Member) -> str:
    return member.clip.id


def _unchained(member: Member) -> bytes:
    """Return the request of a clip without saying which clips it continues."""
    profile = member.version.compilation.profiles.get(member.call.model)
    assert profile is not None, "a call is made with its sheet"
    nobody: Mapping[str, str] = {}
    return canonical_json(member.call.endpoint, chained(member.digested, profile, nobody))
