"""The provider's errors in the writer's terms; a key is in none of them, whatever the provider repeats."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kling_dsl.render import failures
from kling_dsl.render.failures import failed_job, failed_result, hide, read_details, told_refusal

KEY = "c0ffee00-1234:5ecret5ecret5ecret"


@pytest.fixture
def hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "_secrets", set())
    hide(KEY)


@pytest.mark.usefixtures("hidden")
@pytest.mark.parametrize(
    "body",
    [
        {"detail": f"no such key: {KEY}"},
        {"detail": [{"loc": ["body", KEY], "msg": f"Key {KEY} is wrong", "type": "bad"}]},
        {"error": "secret 5ecret5ecret5ecret"},
        [KEY],
        f"{KEY} is no JSON",
    ],
)
def test_a_key_that_the_provider_repeats_is_not_shown(body: object) -> None:
    sent = json.dumps(body).encode()
    for words in (told_refusal(401, sent), failed_result(422, sent).reason, str(read_details(sent))):
        assert "5ecret" not in words
        assert "(the key)" in words
    assert "5ecret" not in failed_job(f"bad {KEY}", "").reason


def test_a_short_word_is_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "_secrets", set())
    hide("a:b")
    assert told_refusal(400, b'{"detail": "a:b and b"}') == "the provider refused the request (400, a:b and b)"


@pytest.mark.parametrize(
    ("status", "body", "reason", "billed"),
    [
        (500, b"oops", "the job failed (500, oops)", "no"),
        (
            422,
            b'{"detail": [{"loc": ["body", "image_urls", 0], "msg": "Too small", "type": "image_too_small"}]}',
            "a picture is too small for the model at image_urls.0 (422, image_too_small: Too small)",
            "maybe",
        ),
        (
            504,
            b'{"detail": "late", "error_type": "request_timeout"}',
            "the request waited too long at the provider (504, request_timeout: late)",
            "no",
        ),
    ],
)
def test_a_failed_result_is_told_with_what_it_means(status: int, body: bytes, reason: str, billed: str) -> None:
    failure = failed_result(status, body)
    assert (failure.reason, failure.billed) == (reason, billed)


@given(
    st.binary(max_size=300)
    | st.recursive(
        st.none() | st.text() | st.integers(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(st.sampled_from(["detail", "loc", "msg", "type", "error_type", "error"]), inner)
        ),
    ).map(lambda value: json.dumps(value).encode())
)
def test_any_body_gives_bounded_words(body: bytes) -> None:
    details = read_details(body)
    assert max(map(len, (details.kind, details.place, details.words))) <= max(failures.MAX_WORDS + 1, len(body))
    assert "\n" not in details.words
