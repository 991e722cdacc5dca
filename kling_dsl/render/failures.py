"""The provider's errors in the writer's terms, and whether the take may be billed."""

from __future__ import annotations

from typing import Any

import msgspec

from kling_dsl.ledger import Billed
from kling_dsl.render.answers import decode

LEAST_SECRET = 8
"""What is shorter is no secret, and would be found in words that tell nothing."""
MAX_WORDS = 500
"""The most characters of the provider's own words that are shown and kept."""

KINDS = {
    "content_policy_violation": "the provider's filter refused the content: reword the shot or change its pictures",
    "no_media_generated": "the model gave no video for this request",
    "image_too_small": "a picture is too small for the model",
    "image_too_large": "a picture is too large for the model",
    "image_load_error": "a picture could not be read by the model",
    "file_download_error": "the model could not fetch one of the files",
    "file_too_large": "a file is too large for the model",
    "unsupported_image_format": "a picture is of a kind that the model does not read",
    "unsupported_video_format": "a video is of a kind that the model does not read",
    "face_detection_error": "the model found no face where it needs one",
    "downstream_service_error": "a service behind the model failed; the shot itself may be fine",
    "downstream_service_unavailable": "a service behind the model was not there; the shot itself may be fine",
    "generation_timeout": "the model took too long and gave up",
    "internal_server_error": "the model failed inside; the shot itself may be fine",
    "request_timeout": "the request waited too long at the provider",
    "startup_timeout": "the model did not start in time",
    "runner_disconnected": "the machine that ran the model went away",
    "runner_connection_timeout": "the machine that should run the model did not answer",
    "runner_connection_refused": "the machine that should run the model did not answer",
    "runner_scheduling_failure": "the provider found no machine to run the model on",
    "bad_request": "the provider could not read the request",
}
"""What the provider's error types mean to a writer (types of the model's and the platform's errors, medium)."""


_secrets: set[str] = set()


def hide(secret: str) -> None:
    """Keep a secret out of all words of the provider that are shown or kept, should it ever repeat one."""
    # A key is an id and a secret; the id alone opens nothing.
    _secrets.update(part for part in (secret, secret.rpartition(":")[2]) if len(part) >= LEAST_SECRET)


FILE_LOST = frozenset(("file_download_error", "image_load_error"))
"""Errors after which the addresses of a request's files are not believed any more."""


class Failure(msgspec.Struct, frozen=True):
    """A take that gave no clip: why, in words, and whether it may be billed."""

    reason: str
    billed: Billed
    kind: str = ""
    """The provider's own type of the error, empty when it gave none."""


class _Errors(msgspec.Struct, frozen=True):
    detail: tuple[object, ...]


class Details(msgspec.Struct, frozen=True):
    """What an error's body says: its type, where in the request, and the provider's own words."""

    kind: str
    place: str
    words: str


def told_refusal(status: int, body: bytes) -> str:
    """Return why a request was refused when it was sent, by status and in the provider's words."""
    own = _own_words(read_details(body))
    if status == 401:
        return f"the provider does not know the key (401{own}): look at FAL_KEY"
    if status in (402, 403):
        return f"the provider refuses the account ({status}{own}): look at the balance and the rights of the key"
    if status == 429:
        return f"the provider takes no more requests for now (429{own})"
    return f"the provider refused the request ({status}{own})"


def failed_result(status: int, body: bytes) -> Failure:
    """Return what an error at a job's result means.

    A 5xx is not billed; a 4xx may be, since the model has run by then (API facts, section 2, medium).
    """
    details = read_details(body)
    meaning = KINDS.get(details.kind, "")
    place = f" at {details.place}" if details.place else ""
    words = f"{meaning or 'the job failed'}{place} ({status}{_own_words(details)})"
    return Failure(words, "no" if status >= 500 else "maybe", details.kind)


def failed_job(error: str, kind: str) -> Failure:
    """Return what an error in a completed job's status means, when its result says no more."""
    meaning = KINDS.get(kind, "the job failed")
    return Failure(f"{meaning} ({_cut(error)})", "maybe")


def read_details(body: bytes) -> Details:
    """Read an error's body: a list of the model's errors, a string of the platform, or anything at all."""
    try:
        content = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Details("", "", _cut(body[: 4 * MAX_WORDS].decode("utf-8", "replace")))
    if not isinstance(content, dict):
        return Details("", "", _cut(str(content)))
    detail = content.get("detail", content.get("error", ""))
    # A type is a word of the provider like any other, and may be as long and as indiscreet.
    kind = _cut(_text(content.get("error_type")))
    if isinstance(detail, list) and detail and isinstance(detail[0], dict):
        first: dict[str, Any] = detail[0]
        location = first.get("loc")
        parts = [str(part) for part in location if part != "body"] if isinstance(location, list) else []
        more = f"; and {len(detail) - 1} more" if len(detail) > 1 else ""
        return Details(
            _cut(_text(first.get("type"))) or kind, _cut(".".join(parts)), _cut(_text(first.get("msg")) + more)
        )
    return Details(kind, "", _cut(detail if isinstance(detail, str) else str(detail)))


def is_list_of_errors(body: bytes) -> bool:
    """Say whether an error's body is what a model says of a request: a list, where the platform has a text."""
    content = decode(body, _Errors)
    return content is not None and bool(content.detail)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _own_words(details: Details) -> str:
    named = details.kind if details.kind and details.kind not in details.words else ""
    told = ": ".join(part for part in (named, details.words) if part)
    return f", {told}" if told else ""


def _cut(words: str) -> str:
    for secret in sorted(_secrets, key=len, reverse=True):
        words = words.replace(secret, "(the key)")
    folded = " ".join(words.split())
    return folded if len(folded) <= MAX_WORDS else f"{folded[:MAX_WORDS]}…"
