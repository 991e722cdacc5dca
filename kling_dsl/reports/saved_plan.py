"""Plans that are kept in a file: what they rest on, reading them back, and what has moved since they were made."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from kling_dsl.compiler import Compilation
from kling_dsl.money import decimal_string, dollars
from kling_dsl.profiles import Profile
from kling_dsl.standing import Standing

FORMAT = 1
MAX_PLAN_BYTES = 256 * 1024 * 1024


class NotAPlan(Exception):
    """A file that is no saved plan; the message says why, in words that follow the file's name."""


class SavedClip(msgspec.Struct, frozen=True):
    """A clip as a saved plan has it; `media` are the digests of its files by path from the root."""

    id: str
    state: str
    seconds: int
    takes: int
    price_usd: str
    fingerprint: str
    to_buy: tuple[int, ...]
    media: dict[str, str]


class Basis(msgspec.Struct, frozen=True):
    """What a saved plan rests on: the options of its film, the sheets by digest, and its clips."""

    format: int
    options: dict[str, Any]
    sheets: dict[str, str]
    clips: tuple[SavedClip, ...]
    budget_usd: str | None = None


class SavedPlan(msgspec.Struct, frozen=True):
    """A plan read from a file: the film's path from its project's root, and what the plan rests on."""

    file: str
    saved: Basis


def basis_of(compilation: Compilation, standings: Sequence[Standing], *, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a plan rests on, as its file has it; it holds no secret and nothing of this machine."""
    budget = compilation.settings.budget_usd
    basis = Basis(
        format=FORMAT,
        options=dict(options),
        sheets={profile.name: _digest(profile) for profile in compilation.models},
        clips=tuple(_clip(standing) for standing in standings),
        budget_usd=None if budget is None else decimal_string(budget),
    )
    found: dict[str, Any] = msgspec.to_builtins(basis)
    return found


def read_saved_plan(content: bytes) -> SavedPlan:
    """Return the plan that a file holds; raises NotAPlan."""
    if len(content) > MAX_PLAN_BYTES:
        raise NotAPlan("is larger than any plan")
    try:
        plan = msgspec.json.decode(content, type=SavedPlan)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as problem:
        hint = "make one with `kling plan FILM --out plan.json`"
        raise NotAPlan(f"is no saved plan ({str(problem)[:200]}): {hint}") from None
    if plan.saved.format != FORMAT:
        raise NotAPlan(f"is a plan of form {plan.saved.format}, and this version reads {FORMAT}: make it anew")
    return plan


def moved(saved: SavedPlan, compilation: Compilation, standings: Sequence[Standing]) -> tuple[str, ...]:
    """Return what has changed since a plan was made, in words; nothing means that it holds to the dollar."""
    basis = saved.saved
    now = {standing.call.id: standing for standing in standings}
    found: list[str] = []
    budget = compilation.settings.budget_usd
    if (None if budget is None else decimal_string(budget)) != basis.budget_usd:
        found.append("film: its Budget")
    sheets = {profile.name: _digest(profile) for profile in compilation.models}
    found += [f"sheet: {name}" for name in sorted(basis.sheets | sheets) if basis.sheets.get(name) != sheets.get(name)]
    for clip in basis.clips:
        standing = now.pop(clip.id, None)
        found += [f"film: {clip.id} is gone"] if standing is None else _moves(clip, standing)
    found += [f"film: {name} is new" for name in now]
    return tuple(found)


def _moves(clip: SavedClip, standing: Standing) -> Iterator[str]:
    now = _clip(standing)
    name = clip.id
    changed = [path for path, digest in clip.media.items() if now.media.get(path, digest) != digest]
    yield from (f"media: {path}, which {name} shows" for path in changed)
    if (now.fingerprint != clip.fingerprint and not changed) or now.takes != clip.takes:
        what = "its takes" if now.takes != clip.takes else "its request"
        yield f"film: {name}, {what}"
    if _usd(now.price_usd) != _usd(clip.price_usd):
        yield f"price: {name} from {_shown(clip.price_usd)} to {_shown(now.price_usd)} a take"
    if now.fingerprint == clip.fingerprint and (now.state, now.to_buy) != (clip.state, clip.to_buy):
        yield f"lock or ledger: {name} was {_told(clip)} and is {_told(now)}"


def _clip(standing: Standing) -> SavedClip:
    call = standing.call
    return SavedClip(
        id=call.id,
        state=standing.state,
        seconds=call.seconds,
        takes=call.takes,
        price_usd=decimal_string(call.price_usd),
        # While a clip waits, the request of the clip that it waits for stands for the frame.
        fingerprint=standing.fingerprint or call.fingerprint,
        to_buy=standing.to_buy,
        media={asset.path: asset.sha256 for asset in call.assets},
    )


def _told(clip: SavedClip) -> str:
    takes = f", {len(clip.to_buy)} to buy" if clip.to_buy else ""
    return f"{clip.state}{takes}"


def _digest(profile: Profile) -> str:
    return hashlib.sha256(msgspec.json.encode(profile, order="sorted")).hexdigest()


def _usd(amount: str) -> Decimal | None:
    try:
        return Decimal(amount)
    except InvalidOperation:
        return None


def _shown(amount: str) -> str:
    usd = _usd(amount)
    return dollars(usd) if usd is not None else "nothing that can be read"
