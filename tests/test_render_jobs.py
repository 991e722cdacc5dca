"""What becomes of a job that is asked after, by whatever the provider answers: it is never forgotten, and never hangs."""

from __future__ import annotations

import asyncio

import httpx
import msgspec
import pytest
from ledger_samples import AT, TAKEN, order_of, reserve

from kling_dsl.ledger import Row, open_ledger
from kling_dsl.render.account import Account
from kling_dsl.render.clock import Clock
from kling_dsl.render.failures import Failure
from kling_dsl.render.jobs import Finished, Pace, Progress, Unreachable, follow
from kling_dsl.render.problems import AccountRefused, FromSandbox

ACCOUNT = Account("Key x:y", "queue.fal.run", "x:y")
JOB = "https://queue.fal.run/a/b/requests/1"
PACE = Pace(first_seconds=1.0, growth=2.0, most_seconds=8.0, outage_seconds=60.0)
VIDEO = b'{"video":{"url":"https://v3.fal.media/x.mp4"}}'

QUEUED = (200, b'{"status":"IN_QUEUE","queue_position":3,"logs":null}')
RUNS = (200, b'{"status":"IN_PROGRESS","logs":null}')
DONE = (200, b'{"status":"COMPLETED","logs":null}')
BROKEN = (200, b'{"status":"COMPLETED","logs":null,"error":"out of memory","error_type":"internal_server_error"}')
RESULT = (200, VIDEO)

Answer = tuple[int, bytes] | tuple[int, bytes, dict[str, str]]


class QuickClock(Clock):
    """A clock on which waiting takes no time and is seen."""

    def __init__(self) -> None:
        self.waited: list[float] = []

    def elapsed(self) -> float:
        return sum(self.waited)

    async def sleep(self, seconds: float) -> None:
        self.waited.append(seconds)

    def jittered(self, seconds: float) -> float:
        return seconds


class Provider:
    """Answers questions after the status and the result, each with its next answer; the last is given for ever."""

    def __init__(self, status: tuple[Answer, ...], result: tuple[Answer, ...]) -> None:
        self.status, self.result = list(status), list(result)
        self.asked: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        place = "status" if request.url.path.endswith("/status") else "result"
        self.asked.append(place)
        answers = self.status if place == "status" else self.result
        code, content, *headers = answers.pop(0) if len(answers) > 1 else answers[0]
        if code == 0:
            raise httpx.ReadError("", request=request)
        return httpx.Response(code, content=content, headers=headers[0] if headers else {})


class Job:
    """A job at a provider that answers as it is told, and how it was followed."""

    def __init__(self, row: Row, *status: Answer, result: tuple[Answer, ...] = (RESULT,)) -> None:
        self.row = row
        self.provider = Provider(status, result)
        self.clock = QuickClock()
        self.seen: list[int | None] = []

    def follow(self) -> Finished | Failure:
        return asyncio.run(self._follow())

    async def _follow(self) -> Finished | Failure:
        def see(progress: Progress) -> None:
            self.seen.append(progress.position)

        async with httpx.AsyncClient(transport=httpx.MockTransport(self.provider)) as client:
            return await follow(self.row, ACCOUNT, client, self.clock, pace=PACE, seen=see)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what is asked again be asked at once: fal-client and stamina wait by clocks of their own."""
    import fal_client.client
    import stamina

    real = stamina.retry_context
    monkeypatch.setattr(fal_client.client, "_get_retry_delay", lambda *words: 0.0)
    monkeypatch.setattr(
        stamina,
        "retry_context",
        lambda **rules: real(**{**rules, "wait_initial": 0.0, "wait_max": 0.0, "wait_jitter": 0.0}),
    )


@pytest.fixture(scope="module")
def row(tmp_path_factory: pytest.TempPathFactory) -> Row:
    """A take that the provider has a job for."""
    addresses = {"response_url": JOB, "status_url": f"{JOB}/status", "cancel_url": f"{JOB}/cancel"}
    with open_ledger(tmp_path_factory.mktemp("ledger") / "ledger.db", run="run") as ledger:
        ledger.submitted(reserve(ledger, "door"), **{**TAKEN, **addresses}, at=AT)
        found = ledger.row(order_of().key)
    assert found is not None
    return found


def test_a_job_is_asked_after_ever_less_often_until_it_is_done(row: Row) -> None:
    job = Job(row, QUEUED, RUNS, RUNS, RUNS, RUNS, DONE)
    assert job.follow() == Finished(VIDEO, None)
    assert job.clock.waited == [1.0, 2.0, 4.0, 8.0, 8.0, 8.0]
    assert job.seen == [3, None, None, None, None]


@pytest.mark.parametrize("code", [404, 410])
def test_a_queue_that_does_not_know_the_job_yet_is_asked_again(row: Row, code: int) -> None:
    job = Job(row, *((code, b"{}"),) * 4, RUNS, *((code, b"{}"),) * 4, DONE)
    assert job.follow() == Finished(VIDEO, None)
    assert job.provider.asked.count("status") == 10


@pytest.mark.parametrize("code", [404, 410])
def test_a_job_that_the_queue_forgot_has_its_result_all_the_same(row: Row, code: int) -> None:
    job = Job(row, RUNS, (code, b"{}"))
    assert job.follow() == Finished(VIDEO, None)
    assert job.provider.asked == ["status"] * 6 + ["result"]


def test_a_job_that_the_queue_forgot_and_that_has_no_result_may_have_been_paid(row: Row) -> None:
    failure = Job(row, (404, b"{}"), result=((404, b'{"detail":"not found"}'),)).follow()
    assert failure == Failure("the provider no longer has the result: it is kept for about an hour (404)", "maybe")


@pytest.mark.parametrize("code", [408, 409, 425, 429, 500, 502])
def test_a_provider_that_is_busy_is_asked_again(row: Row, code: int) -> None:
    assert Job(row, (code, b"busy"), (code, b"busy"), DONE).follow() == Finished(VIDEO, None)


@pytest.mark.parametrize("code", [409, 500])
def test_a_provider_that_stays_busy_keeps_the_job_for_the_next_render(row: Row, code: int) -> None:
    job = Job(row, (code, b"busy"))
    with pytest.raises(Unreachable, match=f"cannot be asked after: the provider answers {code}"):
        job.follow()
    assert PACE.outage_seconds < job.clock.elapsed() <= PACE.outage_seconds + PACE.most_seconds


@pytest.mark.parametrize(
    "content",
    [b"<html>", b"{}", b"[]", b"5", b'"COMPLETED"', b'{"status":"LOST"}', b"\xff", b"[" * 100_000],
    ids=lambda content: repr(content[:20]),
)
def test_a_status_that_makes_no_sense_may_make_sense_later(row: Row, content: bytes) -> None:
    assert Job(row, (200, content), DONE).follow() == Finished(VIDEO, None)
    with pytest.raises(Unreachable, match="cannot be asked after: the provider's answer makes no sense"):
        Job(row, (200, content)).follow()


@pytest.mark.parametrize("code", [401, 402, 403])
def test_a_refused_key_ends_the_render_and_loses_no_job(row: Row, code: int) -> None:
    with pytest.raises(AccountRefused, match=rf"refuses the key \({code}, no such key\): jobs it has are asked after"):
        Job(row, RUNS, (code, b'{"detail":"no such key"}')).follow()


@pytest.mark.parametrize("code", [401, 402, 403])
def test_a_refused_key_at_the_result_loses_no_job(row: Row, code: int) -> None:
    words = {"detail": "User is locked. Reason: Exhausted balance.", "error_type": "exhausted_balance"}
    refused: Answer = (code, msgspec.json.encode(words), {"x-fal-error-type": "exhausted_balance"})
    with pytest.raises(AccountRefused, match=rf"refuses the key \({code}, User is locked"):
        Job(row, DONE, result=(refused,)).follow()


@pytest.mark.parametrize("code", [302, 400, 413, 451, 500])
@pytest.mark.parametrize("content", [b"<html>a page</html>", b'{"detail":"not now"}', b'{"detail":[]}', b""])
def test_an_answer_at_the_result_that_is_not_the_models_leaves_the_clip_to_the_next_render(
    row: Row, code: int, content: bytes
) -> None:
    with pytest.raises(Unreachable, match=f"the provider answered {code} when asked after the job"):
        Job(row, DONE, result=((code, content),)).follow()


@pytest.mark.parametrize("code", [400, 403, 422])
def test_a_list_of_errors_at_the_result_is_the_models_and_ends_the_job(row: Row, code: int) -> None:
    told = {"loc": ["body", "prompt"], "msg": "no", "type": "content_policy_violation"}
    failure = Job(row, DONE, result=((code, msgspec.json.encode({"detail": [told]})),)).follow()
    words = "the provider's filter refused the content: reword the shot or change its pictures"
    assert failure == Failure(
        f"{words} at prompt ({code}, content_policy_violation: no)", "maybe", "content_policy_violation"
    )


def test_a_question_that_is_refused_is_left_to_the_next_render(row: Row) -> None:
    with pytest.raises(Unreachable, match="the provider answered 418 when asked after the job: no"):
        Job(row, (418, b'{"detail":"no"}')).follow()


@pytest.mark.parametrize(
    "answer", [(0, b""), (408, b""), (425, b""), (429, b""), (502, b"a page"), (503, b""), (504, b"")]
)
def test_a_result_that_does_not_come_is_asked_for_again(row: Row, answer: Answer) -> None:
    assert Job(row, DONE, result=(answer, answer, RESULT)).follow() == Finished(VIDEO, None)
    job = Job(row, DONE, result=(answer,))
    with pytest.raises(Unreachable, match="the job is done, and its result cannot be fetched for now"):
        job.follow()
    assert job.provider.asked.count("result") == 5


@pytest.mark.parametrize("header", ["x-fal-request-id", "x-fal-error-type"])
def test_a_model_that_was_late_ended_the_job(row: Row, header: str) -> None:
    late: Answer = (504, b'{"detail":"late","error_type":"generation_timeout"}', {header: "1"})
    failure = Job(row, DONE, result=(late,)).follow()
    words = "the model took too long and gave up (504, generation_timeout: late)"
    assert failure == Failure(words, "no", "generation_timeout")


def test_an_error_of_a_job_is_told_even_when_its_result_is_there(row: Row) -> None:
    failure = Job(row, BROKEN).follow()
    assert failure == Failure("the model failed inside; the shot itself may be fine (out of memory)", "maybe")


def test_a_result_of_a_sandbox_is_none_of_a_real_job(row: Row) -> None:
    strange: Answer = (200, VIDEO, {"x-kling-sandbox": "1"})
    with pytest.raises(FromSandbox):
        Job(row, DONE, result=(strange,)).follow()


@pytest.mark.parametrize("key", ["status_url", "response_url"])
@pytest.mark.parametrize(
    "url",
    [
        *("http://queue.fal.run/1", "https://queue.fal.run.example/1", "https://x@queue.fal.run/1", "queue.fal.run/1"),
        *("https://[::1", "https://queue.fal.run:99999/1", "https://queue.fal.run:x/1", "https://queue.fal.run:8443/1"),
        *("https://x\\.fal.run/1", "https://queue.fal.run/\0", "https://queue.fal.run/" + "1" * 70_000),
    ],
    ids=lambda url: repr(url[:40]),
)
def test_the_key_goes_to_no_address_that_is_none_of_the_providers(row: Row, key: str, url: str) -> None:
    job = Job(msgspec.structs.replace(row, **{key: url}), DONE)
    with pytest.raises(Unreachable, match="named an address that is not its own, and the key was not sent there"):
        job.follow()
    assert job.provider.asked == []
