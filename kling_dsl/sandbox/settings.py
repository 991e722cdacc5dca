"""How a sandbox is set: how long its jobs take, how large its clips are, and what goes wrong."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Literal

import msgspec

from kling_dsl.sandbox.faults import Fault

_PACKAGES = ("av", "jsonschema_rs", "PIL", "starlette", "trustme", "uvicorn")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What a sandbox does.

    `job_seconds` is how long a job runs once one of the `runners` is free. `scale` is the size of a clip against the
    size in the model's sheet. `media` is `drawn`, or `plain` for ready-made clips that take no time. A submission shows
    up in the request history after `history_delay_seconds`, on pages of `history_page`.
    """

    job_seconds: float = 1.0
    scale: float = 0.1
    runners: int = 40
    seed: int = 0
    faults: tuple[Fault, ...] = ()
    media: Literal["drawn", "plain"] = "drawn"
    history_delay_seconds: float = 0
    history_page: int = 50


def missing_packages() -> tuple[str, ...]:
    """Return the packages of the extras `serve` and `media` that the sandbox needs and does not find."""
    return tuple(name for name in _PACKAGES if find_spec(name) is None)
