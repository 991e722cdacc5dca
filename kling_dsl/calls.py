"""What is sent: one call of an endpoint for every take, with its price and its place in the film."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec


class Asset(msgspec.Struct, frozen=True):
    """A local media file that a call uploads: it stands in the arguments as `asset:<sha256>/<name>`."""

    sha256: str
    path: str
    """From the project's root, with `/`."""

    @property
    def address(self) -> str:
        """The stand-in for the file in a call's arguments."""
        return f"asset:{self.sha256}/{self.path.rpartition('/')[2]}"


class Call(msgspec.Struct, frozen=True):
    """One clip to buy, `takes` times: exactly what is sent, what a take costs and which line asked for it.

    In `arguments` a local file stands as `asset:<sha256>/<name>`, the last frame of another clip as
    `frame:<id>/end`, and an https address as itself. `price_usd` is of one take, `cost_usd` of all its takes.
    """

    id: str
    scene: str
    model: str
    endpoint: str
    arguments: dict[str, Any]
    references: dict[str, str]
    takes: int
    seconds: int
    price_usd: Decimal
    fingerprint: str
    file: str
    line: int
    assets: tuple[Asset, ...] = ()
    after: tuple[str, ...] = ()
    """The ids of the clips whose last frame this one needs."""

    @property
    def cost_usd(self) -> Decimal:
        """What all takes of the clip cost together."""
        return self.price_usd * self.takes


def values_at(arguments: Mapping[str, Any], path: str) -> list[Any]:
    """Return what stands in arguments at a path such as `image_urls` or `elements.video_url`, lists opened.

    What is null or an empty string is not given, and is left out.
    """
    found: list[Any] = [arguments]
    for name in path.split("."):
        opened: list[Any] = []
        for item in found:
            value = item.get(name) if isinstance(item, Mapping) else None
            if isinstance(value, list):
                opened += value
            elif value is not None and value != "":
                opened.append(value)
        found = opened
    return found


def shape_of(arguments: Mapping[str, Any]) -> tuple[object, ...]:
    """Return which fields arguments give and how many of each, down into lists: two of one shape count alike."""
    return tuple([(name, _list_shape(value)) if type(value) is list else name for name, value in arguments.items()])


def _list_shape(items: list[Any]) -> tuple[object, ...]:
    return tuple(
        [
            tuple([(name, len(part)) if type(part) is list else name for name, part in item.items()])
            if type(item) is dict
            else 1
            for item in items
        ]
    )
