"""The bill of a sandbox: what was submitted, what it costs, and what else was seen."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

_MOST_NOTES = 100


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """One job that was accepted.

    `cost_usd` is what it costs when it is billed, and `billed` says whether it was. `clip` is the id that the caller
    gave in the header `x-kling-clip`, or empty. `ignored` are the paths of keys that no field of the model's sheet has.
    """

    request_id: str
    endpoint: str
    clip: str
    seconds: int
    cost_usd: Decimal
    billed: bool
    status: str
    error: str
    cancelled: bool
    sent_at: str
    arguments: Any
    ignored: tuple[str, ...]


class Bill(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a sandbox has counted; it never holds a key.

    `paid_posts_received` counts every submission that arrived whole, accepted or not. `key_on_media_host` counts
    requests for media or uploads that carried the account's key, `refused_hosts` names hosts outside that the proxy
    was asked for, and `problems` are mistakes of the sandbox itself.
    """

    total_usd: Decimal
    submissions: tuple[Submission, ...]
    paid_posts_received: int
    status_requests: int
    cancelled: int
    uploads: int
    upload_bytes: int
    downloads: int
    key_on_media_host: int
    refused_hosts: tuple[str, ...]
    problems: tuple[str, ...]


class Counts:
    """The running numbers of a sandbox."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Begin at nothing."""
        self.total_usd = Decimal(0)
        self.paid_posts_received = 0
        self.status_requests = 0
        self.cancelled = 0
        self.uploads = 0
        self.upload_bytes = 0
        self.downloads = 0
        self.key_on_media_host = 0
        self.refused_hosts: list[str] = []
        self.problems: list[str] = []

    def refuse_host(self, target: str) -> None:
        """Note a host that the proxy did not lead to; what repeats or goes on without end is noted no further."""
        if target not in self.refused_hosts and len(self.refused_hosts) < _MOST_NOTES:
            self.refused_hosts.append(target)

    def note_problem(self, words: str) -> None:
        """Note a mistake of the sandbox itself."""
        if len(self.problems) < _MOST_NOTES:
            self.problems.append(words)
