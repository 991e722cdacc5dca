"""What can go wrong on request: the table of faults, how they are written, and when each of them strikes."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Stage = Literal["submit", "status", "job", "media", "upload", "history"]


class Kind(msgspec.Struct, frozen=True):
    """One kind of fault: where it strikes, and what it does in a line for people."""

    stage: Stage
    words: str


FAULTS = {
    "accept-and-drop": Kind("submit", "the job is made and billed, and the connection closes without an answer"),
    "accept-and-504": Kind("submit", "the job is made and billed, and a gateway says 504"),
    "drop-before-accept": Kind("submit", "the connection closes without an answer, and there is no job"),
    "refuse-429": Kind("submit", "429; with @SECONDS it carries Retry-After"),
    "http-500": Kind("submit", "500 from the platform, no job"),
    "http-502": Kind("submit", "502 with a gateway's page, no job"),
    "http-503": Kind("submit", "503 with a gateway's page, no job"),
    "http-504": Kind("submit", "504 with a gateway's page, no job"),
    "slow-answer": Kind("submit", "the job is made, and the answer comes after @SECONDS (2 by default)"),
    "unauthorized": Kind("submit", "401, as for a wrong key"),
    "exhausted": Kind("submit", "403, as for an account without money"),
    "status-503": Kind("status", "503 when a job is asked after"),
    "status-drop": Kind("status", "the connection closes when a job is asked after"),
    "requeue": Kind("job", "the job goes back from running to the queue, once"),
    "job-error": Kind("job", "COMPLETED with error and error_type, 500 at the result, not billed"),
    "content-refusal": Kind("job", "422 content_policy_violation at the result, not billed"),
    "content-refusal-billed": Kind("job", "422 content_policy_violation at the result, billed all the same"),
    "result-gone": Kind("job", "404 at the result, for good; billed"),
    "media-missing": Kind("job", "404 for the clip, for good"),
    "media-cut": Kind("job", "the clip's file ends after half of its bytes"),
    "media-wrong-length": Kind("job", "the clip lasts other seconds than asked for"),
    "media-not-video": Kind("job", "the clip is a page of text"),
    "media-silent": Kind("job", "the clip has no sound, though sound was asked for"),
    "media-truncated": Kind("media", "a download ends in order before the bytes that were announced"),
    "media-drop-midway": Kind("media", "the connection breaks in the middle of a download"),
    "upload-503": Kind("upload", "503 for an upload"),
    "history-503": Kind("history", "503 for the request history"),
}
"""Every kind of fault by its name. A job's faults last; all others are over with one answer."""

SLOW_SECONDS = 2.0
"""How long a slow answer takes when nothing else is asked for."""

_WRITTEN = re.compile(r"(?P<kind>[a-z0-9-]+)(?:=(?P<count>\d+)|:(?P<probability>[\d.]+))?(?:@(?P<seconds>[\d.]+))?")


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A fault to inject: `count` times, or each time with a `probability`, or always when neither is given.

    `retry_after` is what a 429 says, in seconds; `seconds` is how long a slow answer takes.
    """

    kind: Annotated[str, Meta(extra_json_schema={"enum": list(FAULTS)})]
    count: Annotated[int, Meta(ge=0)] | None = None
    probability: Annotated[float, Meta(ge=0, le=1)] | None = None
    retry_after: Annotated[int, Meta(ge=0)] | None = None
    seconds: Annotated[float, Meta(ge=0)] | None = None

    def __post_init__(self) -> None:
        """Refuse a fault that could never be meant; raises ValueError, which msgspec turns into its own."""
        if self.kind not in FAULTS:
            raise ValueError(f"there is no fault '{self.kind}'; there are {', '.join(FAULTS)}")
        if self.probability is not None and not 0 <= self.probability <= 1:
            raise ValueError(f"a probability is between 0 and 1, and {self.probability} is not")
        if min(self.count or 0, self.retry_after or 0, self.seconds or 0) < 0:
            raise ValueError(f"a fault has no negative numbers: {self.kind}")


def read_fault(text: str) -> Fault:
    """Read `KIND`, `KIND=COUNT` or `KIND:PROBABILITY`, each with an optional `@SECONDS`; raises ValueError."""
    found = _WRITTEN.fullmatch(text)
    if found is None:
        raise ValueError(f"'{text}' is not written KIND, KIND=COUNT or KIND:PROBABILITY, with @SECONDS behind it")
    kind, count, probability, seconds = found.group("kind", "count", "probability", "seconds")
    wait = None if seconds is None else float(seconds)
    refusal = kind == "refuse-429" and wait is not None
    return Fault(
        kind,
        count=None if count is None else int(count),
        probability=None if probability is None else float(probability),
        retry_after=round(wait) if refusal and wait is not None else None,
        seconds=None if refusal else wait,
    )


class FaultBook:
    """The faults of a run, and how often each of them has struck; the seed decides what a probability comes to."""

    def __init__(self, faults: Iterable[Fault], *, seed: int) -> None:
        self._seed = seed
        self._entries: list[_Entry] = []
        self.replace(faults)

    def replace(self, faults: Iterable[Fault]) -> None:
        """Forget the faults of before, with their counts."""
        # A generator for each fault, so that one of them never changes when another strikes.
        self._entries = [_Entry(fault, random.Random(f"{self._seed}/{at}")) for at, fault in enumerate(faults)]  # noqa: S311

    def strike(self, stage: Stage) -> Fault | None:
        """Return the first fault that strikes at this stage now, and count it."""
        return next((entry.fault for entry in self._entries if entry.stage == stage and entry.strikes()), None)

    def strike_all(self, stage: Stage) -> frozenset[str]:
        """Return the kinds of every fault that strikes at this stage now, and count them."""
        return frozenset([entry.fault.kind for entry in self._entries if entry.stage == stage and entry.strikes()])


class _Entry:
    __slots__ = ("fault", "left", "numbers", "stage")

    def __init__(self, fault: Fault, numbers: random.Random) -> None:
        self.fault = fault
        self.stage = FAULTS[fault.kind].stage
        self.left = fault.count
        self.numbers = numbers

    def strikes(self) -> bool:
        if self.left == 0:
            return False
        if self.fault.probability is not None and self.numbers.random() >= self.fault.probability:
            return False
        if self.left is not None:
            self.left -= 1
        return True
