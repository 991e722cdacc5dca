"""A lock says what it says whatever happened to its lines, and loses none of them."""

from __future__ import annotations

import hashlib
import json
import os
import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from kling_dsl.lock import MAX_LINE_BYTES, MAX_LOCK_BYTES, Lock, LockError, Pick, Problem, Take, add_records, read_lock


def digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def take(shot: str = "door", number: int = 1, *, content: str = "", **changes: Any) -> Take:
    """Return a take of the request of `shot`; `content` stands for the clip's own, so another one is another clip."""
    fields: dict[str, Any] = {
        "at": f"2026-11-22T17:03:{number:02}Z",
        "clip": shot,
        "cost_usd": Decimal("2.10"),
        "fingerprint": digest(shot),
        "model": "o3-4k",
        "request_id": f"r-{content or shot}-{number}",
        "seconds": 5,
        "sha256": digest(content or f"{shot} {number}"),
        "take": number,
    }
    return Take(**{**fields, **changes})


def pick(of: Take, at: str = "2026-11-23T00:00:00Z") -> Pick:
    return Pick(at=at, fingerprint=of.fingerprint, sha256=of.sha256)


def line(record: Take | Pick, **changes: Any) -> bytes:
    """Return a record as some other program would write it, with blanks and its own order of keys."""
    value = {field: getattr(record, field) for field in record.__struct_fields__}
    if isinstance(record, Take):
        value["cost_usd"] = str(record.cost_usd)
    value = {**value, "kind": type(record).__name__.lower(), **changes}
    return json.dumps({key: each for key, each in value.items() if each is not ...}).encode()


class Place:
    def __init__(self, folder: Path) -> None:
        self.path = folder / "films" / "lantern.kling.lock"
        self.guard = folder / ".kling" / "guards" / "lantern"

    def put(self, content: bytes) -> None:
        self.path.parent.mkdir(exist_ok=True)
        self.path.write_bytes(content)

    def write(self, *lines: bytes) -> Lock:
        self.put(b"".join(each + b"\n" for each in lines))
        return read_lock(self.path)

    def add(self, *records: Take | Pick) -> bytes:
        add_records(self.path, records, guard=self.guard)
        return self.path.read_bytes()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def same(one: Lock, other: Lock) -> bool:
    """Say whether two locks say the same, wherever the lines stand that are amiss."""
    messages = [{problem.message for problem in lock.problems} for lock in (one, other)]
    return (one.takes, one.picks, messages[0]) == (other.takes, other.picks, messages[1])


def test_a_missing_file_is_an_empty_lock(place: Place) -> None:
    lock = read_lock(place.path)
    assert lock == Lock((), (), ())
    assert lock.of(digest("door")) == ()
    assert lock.chosen(digest("door")) is None


def test_what_was_added_is_read(place: Place) -> None:
    first, second, other = take(), take(number=2), take("lamp", cost_usd=Decimal("0.336"), request_id="")
    place.add(second)
    place.add(other, first)
    place.add(pick(second))
    lock = read_lock(place.path)
    assert lock.of(first.fingerprint) == (first, second)
    assert lock.of(other.fingerprint) == (other,)
    assert lock.picks == (pick(second),)
    assert lock.problems == ()


def test_each_record_is_one_compact_line_with_sorted_keys(place: Place) -> None:
    content = place.add(take(cost_usd=Decimal("2.1")), pick(take()))
    lines = content.decode().splitlines()
    assert content.endswith(b"}\n")
    assert len(lines) == 2
    for text in lines:
        value = json.loads(text)
        keys = list(value)
        assert keys == ["kind", *sorted(keys[1:])]
        assert json.dumps(value, separators=(",", ":")) == text
    assert json.loads(lines[1])["cost_usd"] == "2.10"
    assert [json.loads(text)["kind"] for text in lines] == ["pick", "take"]


def test_the_bytes_do_not_depend_on_the_order_of_adding(tmp_path: Path) -> None:
    records: list[Take | Pick] = [take(clip, number) for clip in ("door", "lamp", "sea") for number in (1, 2, 3)]
    records.append(pick(take("lamp", 3)))
    contents = set()
    for seed in range(5):
        random.Random(seed).shuffle(records)
        (tmp_path / str(seed)).mkdir()
        place = Place(tmp_path / str(seed))
        for record in records:
            place.add(record)
        contents.add(place.path.read_bytes())
    assert len(contents) == 1


def test_adding_what_is_there_changes_nothing(place: Place) -> None:
    # Blanks, the order of lines and the missing last newline stay, since there is nothing to say.
    place.write(line(take("sea")), b"", line(take("door")))
    place.path.write_bytes(place.path.read_bytes().rstrip(b"\n"))
    before, status = place.path.read_bytes(), place.path.stat()
    assert place.add(take("door"), take("sea")) == before
    # The same paid request, fetched again later under another name.
    assert place.add(take("door", at="2027-01-01T00:00:00Z", clip="gate")) == before
    assert (place.path.stat().st_ino, place.path.stat().st_mtime_ns) == (status.st_ino, status.st_mtime_ns)


def test_adding_nothing_makes_no_file(place: Place) -> None:
    add_records(place.path, (), guard=place.guard)
    assert not place.path.exists()
    assert not place.guard.exists()


def test_a_new_lock_has_no_strange_files_beside_it(place: Place) -> None:
    place.add(take())
    assert [each.name for each in place.path.parent.iterdir()] == ["lantern.kling.lock"]


def test_the_mode_of_a_lock_is_kept(place: Place) -> None:
    place.add(take())
    assert place.path.stat().st_mode & 0o600 == 0o600
    place.path.chmod(0o640)
    place.add(take("lamp"))
    assert place.path.stat().st_mode & 0o777 == 0o640


def test_repeated_lines_fold(place: Place) -> None:
    lock = place.write(line(take()), line(pick(take())), line(take()), line(pick(take())), b"  ", line(take()))
    assert lock == Lock((take(),), (pick(take()),), ())


def test_a_line_told_with_another_moment_or_name_folds(place: Place) -> None:
    later = take(at="2027-01-01T00:00:00Z", clip="gate")
    lock = place.write(line(later), line(take()))
    assert lock == Lock((take(),), (), ())


def test_a_contradiction_is_reported_and_the_earliest_line_counts(place: Place) -> None:
    other = take(at="2026-11-22T18:00:00Z", cost_usd=Decimal("0.01"))
    lock = place.write(line(other), line(take()))
    assert lock.takes == (take(),)
    assert lock.problems == (Problem(1, "says otherwise than an earlier record what take 1 of door is"),)


def test_two_clips_of_one_number_are_both_kept(place: Place) -> None:
    early = take(content="one", at="2026-11-22T17:00:00Z")
    late = take(content="two", at="2026-11-22T18:00:00Z")
    lock = place.write(line(late), line(take(number=2)), line(early), line(take(number=4)))
    assert lock.of(early.fingerprint) == (early, take(number=2), replace(late, take=3), take(number=4))
    named = f"is a second take 1 of door ({digest('door')[:12]}); it counts as take 3"
    assert lock.problems == (Problem(1, named),)
    assert lock.chosen(early.fingerprint) == early


def test_two_clips_of_one_number_and_moment_are_told_apart_by_digest(place: Place) -> None:
    both = sorted((take(content=name, at="2026-11-22T17:00:00Z") for name in ("one", "two")), key=lambda t: t.sha256)
    lock = place.write(*(line(each) for each in reversed(both)))
    assert lock.takes == (both[0], replace(both[1], take=2))


def test_two_paid_requests_that_gave_the_same_bytes_are_two_takes(place: Place) -> None:
    first, second = take(content="same"), take(number=2, content="same")
    place.add(first, second)
    assert read_lock(place.path) == Lock((first, second), (), ())


def test_a_renumbered_take_that_is_added_again_changes_nothing(place: Place) -> None:
    place.write(line(take(content="one")), line(take(content="two")))
    before = place.path.read_bytes()
    assert place.add(*read_lock(place.path).takes) == before


def test_the_newest_pick_counts_and_names_a_clip_not_a_number(place: Place) -> None:
    takes = [take(number=number) for number in (1, 2, 3)]
    place.add(*takes)
    place.add(pick(takes[2], "2026-11-23T00:00:00Z"))
    place.add(pick(takes[1], "2026-11-24T00:00:00Z"), pick(takes[0], "2026-11-22T00:00:00Z"))
    assert read_lock(place.path).chosen(digest("door")) == takes[1]
    # A second after a fraction of it, though "." sorts before "Z".
    place.add(pick(takes[2], "2026-11-24T00:00:00.5Z"))
    assert read_lock(place.path).chosen(digest("door")) == takes[2]
    place.add(take(content="branch", at="2026-11-01T00:00:00Z"))
    lock = read_lock(place.path)
    assert [each.take for each in lock.of(digest("door"))] == [1, 2, 3, 4]
    assert lock.picked(digest("door")) == takes[2]


def test_a_pick_of_a_clip_that_is_not_there_is_passed_over_and_told(place: Place) -> None:
    lost = pick(take(content="lost"))
    lock = place.write(line(lost), line(take()), line(pick(take(), "2026-01-01T00:00:00Z")))
    assert lock.chosen(digest("door")) == take()
    assert lock.problems == (Problem(1, f"picks a clip {lost.sha256[:12]} that no take has"),)
    assert place.write(line(lost)).chosen(digest("door")) is None


def test_picks_of_one_moment_are_decided_by_digest(place: Place) -> None:
    takes = [take(number=number) for number in (1, 2)]
    lines = [*map(line, takes), *map(line, map(pick, takes))]
    highest = max(takes, key=lambda each: each.sha256)
    assert place.write(*lines).chosen(digest("door")) == highest
    assert place.write(*reversed(lines)).chosen(digest("door")) == highest


TAKE = take()
AMISS: dict[str, tuple[bytes, str]] = {
    "garbage": (b"not json", "is no JSON"),
    "half a line": (line(TAKE)[:70], "is no JSON"),
    "two records in a line": (line(TAKE) * 2, "is no JSON"),
    "latin-1": (b'{"kind": "take", "clip": "caf\xe9"}', "is no JSON"),
    "NUL": (b"\x00" * 30, "is no JSON"),
    "depth": (b"[" * 8000, "is no JSON"),
    "a number": (b"7", 'is no record: it has no "kind"'),
    "a list": (b"[" + line(TAKE) + b"]", 'is no record: it has no "kind"'),
    "no kind": (line(TAKE, kind=...), 'is no record: it has no "kind"'),
    "a kind that is no text": (line(TAKE, kind=3), 'is no record: it has no "kind"'),
    "newer": (
        line(pick(TAKE), kind="promise"),
        'is of a kind "promise" that this version does not know; a newer kling may have written it',
    ),
    "a hostile kind": (
        line(TAKE, kind="\x1b[2J"),
        "is of a kind that this version does not know; a newer kling may have written it",
    ),
    "ours": (b"<<<<<<< HEAD", "is a mark that a merge left; delete it, both sides count"),
    "base": (b"||||||| 1234567", "is a mark that a merge left; delete it, both sides count"),
    "middle": (b"=======", "is a mark that a merge left; delete it, both sides count"),
    "theirs": (b">>>>>>> other", "is a mark that a merge left; delete it, both sides count"),
    "a missing field": (line(TAKE, sha256=...), 'is a take that lacks "sha256"'),
    "a missing field of a pick": (line(pick(TAKE), at=...), 'is a pick that lacks "at"'),
    "a wrong type": (line(TAKE, seconds="5"), 'is a take that has no valid "seconds"'),
    "a path for a digest": (line(TAKE, sha256="../../etc/passwd"), 'is a take that has no valid "sha256"'),
    "a digest and a newline": (line(TAKE, sha256=TAKE.sha256 + "\n"), 'is a take that has no valid "sha256"'),
    "a path for a clip": (line(TAKE, clip="../door"), 'is a take that has no valid "clip"'),
    "a clip with an escape": (line(TAKE, clip="\x1b[2J"), 'is a take that has no valid "clip"'),
    "a request id with an escape": (line(TAKE, request_id="\x1b[2J"), 'is a take that has no valid "request_id"'),
    "take 0": (line(TAKE, take=0), 'is a take that has no valid "take"'),
    "no seconds": (line(TAKE, seconds=0), 'is a take that has no valid "seconds"'),
    "an endless amount": (line(TAKE, cost_usd="Infinity"), 'is a take that has no valid "cost_usd"'),
    "no number": (line(TAKE, cost_usd="NaN"), 'is a take that has no valid "cost_usd"'),
    "an amount to fill the memory": (line(TAKE, cost_usd="1E+999999"), 'is a take that has no valid "cost_usd"'),
    "a finer amount than any": (line(TAKE, cost_usd="1E-999999"), 'is a take that has no valid "cost_usd"'),
    "an amount below nothing": (line(TAKE, cost_usd="-2.10"), 'is a take that has no valid "cost_usd"'),
    "an amount in words": (line(TAKE, cost_usd="two"), 'is a take that has no valid "cost_usd"'),
    "a moment elsewhere": (line(TAKE, at="2026-11-22T17:03:01+01:00"), 'is a take that has no valid "at"'),
    "a huge line": (
        b'{"kind": "take", "note": "' + b"x" * MAX_LINE_BYTES + b'"}',
        f"is longer than the {MAX_LINE_BYTES} bytes that a record may have",
    ),
}


@pytest.mark.parametrize(("text", "message"), AMISS.values(), ids=AMISS)
def test_a_line_that_is_amiss_is_told_and_kept_word_for_word(place: Place, text: bytes, message: str) -> None:
    lock = place.write(line(take("lamp")), text, line(take("sea")))
    assert lock.problems == (Problem(2, message),)
    assert {each.clip for each in lock.takes} == {"lamp", "sea"}
    content = place.add(take("new"))
    assert text in content.split(b"\n")
    assert [problem.message for problem in read_lock(place.path).problems] == [message]
    assert {each.clip for each in read_lock(place.path).takes} == {"lamp", "sea", "new"}


def test_lines_that_are_amiss_keep_their_order_and_number(place: Place) -> None:
    strange = [b"zz", b"<<<<<<< HEAD", b"aa", b"zz", b"======="]
    place.write(*strange, line(take("lamp")))
    content = place.add(take("new")).splitlines()
    assert content[2:] == strange


def test_fields_of_a_newer_version_are_kept(place: Place) -> None:
    newer = line(take(), watermark={"by": "kling 9"})
    assert place.write(newer).takes == (take(),)
    assert newer in place.add(take("lamp")).splitlines()
    assert read_lock(place.path).problems == ()


def test_windows_line_ends_and_a_byte_order_mark_do_no_harm(place: Place) -> None:
    place.write(b"\xef\xbb\xbf" + line(take()) + b"\r", line(take("lamp")) + b"\r", b"strange\r")
    lock = read_lock(place.path)
    assert {each.clip for each in lock.takes} == {"door", "lamp"}
    assert lock.problems == (Problem(3, "is no JSON"),)
    content = place.add(take("sea"))
    assert b"\r" not in content
    assert content.splitlines()[3:] == [b"strange"]
    assert {each.clip for each in read_lock(place.path).takes} == {"door", "lamp", "sea"}


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
def test_a_lock_in_utf_16_is_refused_and_left_alone(place: Place, encoding: str) -> None:
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    place.put((mark + line(take()).decode()).encode(encoding))
    before = place.path.read_bytes()
    with pytest.raises(LockError, match=r"lantern\.kling\.lock is UTF-16"):
        read_lock(place.path)
    with pytest.raises(LockError, match="UTF-16"):
        place.add(take("lamp"))
    assert place.path.read_bytes() == before


def test_a_lock_that_is_too_large_is_refused(place: Place) -> None:
    place.write()
    with place.path.open("r+b") as file:
        file.truncate(MAX_LOCK_BYTES + 1)
    with pytest.raises(LockError, match="larger than the 256 MiB"):
        read_lock(place.path)


def test_only_a_regular_file_is_a_lock(place: Place) -> None:
    place.path.mkdir(parents=True)
    with pytest.raises(LockError, match="no regular file"):
        read_lock(place.path)
    place.path.rmdir()
    os.mkfifo(place.path)
    with pytest.raises(LockError, match="no regular file"):
        place.add(take())
    place.path.unlink()
    secret = place.path.with_name("secret")
    secret.write_bytes(b"hidden\n")
    place.path.symlink_to(secret)
    with pytest.raises(LockError, match="symbolic link"):
        place.add(take())
    assert secret.read_bytes() == b"hidden\n"


@pytest.mark.parametrize(
    "wrong",
    [{"clip": "../door"}, {"sha256": "short"}, {"take": 0}, {"at": "yesterday"}, {"request_id": "a b"}, {"seconds": 0}],
    ids=str,
)
def test_a_record_that_could_not_be_read_again_is_not_written(place: Place, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f'has no valid "{next(iter(wrong))}"'):
        place.add(take("lamp"), take(**wrong))
    assert not place.path.exists()


def test_a_take_with_an_impossible_cost_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="cost_usd"):
        take(cost_usd=Decimal("1E+999999"))


DIGESTS = st.sampled_from([digest(name) for name in "abc"])
MOMENTS = st.sampled_from(["2026-11-22T17:03:01Z", "2026-11-22T17:03:01.5Z", "2026-11-23T00:00:00Z"])
TAKES = st.builds(
    Take,
    at=MOMENTS,
    clip=st.sampled_from(["door", "lamp"]),
    cost_usd=st.sampled_from([Decimal("2.10"), Decimal("0.336")]),
    fingerprint=DIGESTS,
    model=st.just("o3-4k"),
    request_id=st.sampled_from(["r1", "r2"]),
    seconds=st.just(5),
    sha256=DIGESTS,
    take=st.integers(1, 3),
)
PICKS = st.builds(Pick, at=MOMENTS, fingerprint=DIGESTS, sha256=DIGESTS)
STRANGE = st.sampled_from([b"strange", b"<<<<<<< HEAD", line(pick(TAKE), kind="promise"), line(TAKE, take=0)])
LINES = st.lists(st.one_of(TAKES.map(line), PICKS.map(line), STRANGE), max_size=12)


@given(LINES, st.randoms(use_true_random=False))
def test_a_lock_says_the_same_in_any_order_and_however_often(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], chance: random.Random
) -> None:
    place = Place(tmp_path_factory.mktemp("lock"))
    repeated = [*lines, *chance.sample(lines, len(lines) // 2)]
    chance.shuffle(repeated)
    first = place.write(*lines)
    second = place.write(*repeated)
    assert same(first, second)
    for fingerprint in {each.fingerprint for each in first.takes}:
        numbers = [each.take for each in first.of(fingerprint)]
        assert numbers == sorted(set(numbers))
        assert first.chosen(fingerprint) == second.chosen(fingerprint)


@given(LINES, LINES, st.lists(st.one_of(TAKES, PICKS), max_size=4), st.lists(st.one_of(TAKES, PICKS), max_size=4))
def test_a_union_of_two_locks_is_one_lock_whichever_way_it_is_merged(
    tmp_path_factory: pytest.TempPathFactory,
    common: list[bytes],
    more: list[bytes],
    ours: list[Take | Pick],
    theirs: list[Take | Pick],
) -> None:
    contents = []
    place = Place(tmp_path_factory.mktemp("lock"))
    for added in (ours, theirs):
        place.write(*common, *more)
        contents.append(place.add(*added).splitlines())
    merged = place.write(*contents[0], *contents[1])
    assert same(merged, place.write(*contents[1], *contents[0]))
    assert same(merged, place.write(*sorted({*contents[0], *contents[1]})))


@given(st.lists(st.one_of(TAKES.map(line), PICKS.map(line)), max_size=8), st.lists(st.one_of(TAKES, PICKS), max_size=5))
def test_adding_loses_no_record_and_adding_again_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], records: list[Take | Pick]
) -> None:
    place = Place(tmp_path_factory.mktemp("lock"))
    before = place.write(*lines)
    content = place.add(*records)
    lock = read_lock(place.path)

    def paid(takes: Any) -> set[tuple[str, str, str]]:
        return {(each.fingerprint, each.sha256, each.request_id) for each in takes if isinstance(each, Take)}

    assert paid(lock.takes) == paid(before.takes) | paid(records)
    assert set(lock.picks) == set(before.picks) | {each for each in records if isinstance(each, Pick)}
    assert place.add(*reversed(records)) == content


@given(st.binary(max_size=256))
def test_no_content_makes_reading_fail(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    place = Place(tmp_path_factory.mktemp("lock"))
    place.put(content)
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        with pytest.raises(LockError):
            read_lock(place.path)
        return
    lock = read_lock(place.path)
    assert len(lock.problems) == sum(1 for text in content.removeprefix(b"\xef\xbb\xbf").split(b"\n") if text.strip())
