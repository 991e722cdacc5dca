"""What happens in a render, one value for each thing that a person or a program may want to hear of."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Literal

import msgspec

EventKind = Literal[
    "uploading",
    "submitted",
    "queued",
    "running",
    "completed",
    "fetching",
    "stored",
    "failed",
    "uncertain",
    "adopted",
    "waiting",
    "elsewhere",
    "retrying",
    "refused",
    "lost",
    "stopping",
]


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that happened to a take, or to the whole render when it names no clip.

    `position` is the place in the provider's queue, from 0. `reason` is in words. `path` is from the project's root.
    `spent_usd` is what this render has spent and reserved so far.
    """

    kind: EventKind
    clip: str = ""
    take: int = 0
    file: str = ""
    line: int = 0
    cost_usd: Decimal | None = None
    spent_usd: Decimal | None = None
    request_id: str = ""
    position: int | None = None
    bytes: int | None = None
    sha256: str = ""
    path: str = ""
    billed: str = ""
    reason: str = ""


Listener = Callable[[Event], None]
