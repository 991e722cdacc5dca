"""A parsed sheet as bytes, and back without building a decoder: types cost more to compile than a sheet to read."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from kling_dsl import profiles
from kling_dsl.profiles import Profile, Sheet


def pack(profile: Profile) -> bytes:
    """Write a profile as MessagePack that `unpack` reads back as an equal value."""
    return msgspec.msgpack.encode(_packed(profile))


def unpack(content: bytes) -> Profile | None:
    """Read what `pack` wrote, or return None for anything else."""
    try:
        profile = _unpacked(msgspec.msgpack.decode(content))
    except (msgspec.MsgspecError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        return None
    return profile if isinstance(profile, Profile) else None


def _packed(value: Any) -> Any:
    """Return a value in which every list begins with the kind of what it stands for."""
    if isinstance(value, Sheet):
        given = {name: getattr(value, name) for name in value.__struct_fields__}
        return ["struct", type(value).__name__, {name: _packed(inner) for name, inner in given.items()}]
    if isinstance(value, dict):
        return ["dict", {key: _packed(inner) for key, inner in value.items()}]
    if isinstance(value, tuple):
        return ["tuple", *map(_packed, value)]
    return ["decimal", str(value)] if isinstance(value, Decimal) else value


def _unpacked(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    kind = value[0]
    if kind == "struct":
        made = getattr(profiles, value[1])
        if not (isinstance(made, type) and issubclass(made, Sheet)):
            raise TypeError(value[1])
        return made(**{name: _unpacked(inner) for name, inner in value[2].items()})
    if kind == "dict":
        return {key: _unpacked(inner) for key, inner in value[1].items()}
    return Decimal(value[1]) if kind == "decimal" else tuple(map(_unpacked, value[1:]))
