"""`kling takes` as it is run: which takes there are, what came to nothing, and in which film the clip is looked for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from rendered import AT, DEAD, FILM, Rendered, clock_in, contents, digest_of

from kling_dsl.cli.desk import Names, find_named
from kling_dsl.lock import Take
from kling_dsl.standing import take_of


@pytest.fixture(autouse=True)
def _clock() -> Iterator[None]:
    with clock_in("UTC"):
        yield


@pytest.fixture
def project(tmp_path: Path) -> Rendered:
    return Rendered(tmp_path / "project")


class TestText:
    def test_takes_of_every_kind_are_told(self, project: Rendered) -> None:
        project.bring("stove")
        project.bring("stove", 2)
        project.bring("stove", 3, to="set aside", reason="it is 2 s long, and 5 s were asked for")
        project.bring("stove", 4, to="failed", reason="content_policy_violation: too much smoke")
        project.bring("stove", 5, to="uncertain")
        project.bring("stove", 6, to="declined", reason="429, too many requests")
        project.bring("stove", 7, to="submitted")
        project.pick("stove", "stove 2")
        request = f"request-{project.standing('stove').fingerprint[:6]}"
        paths = [f".kling/store/{digest_of(f'stove {n}')[:2]}/{digest_of(f'stove {n}')}.mp4" for n in (1, 2)]
        quarantine = f".kling/store/quarantine/{project.standing('stove').fingerprint}-3-1.mp4"
        text = project.run("takes", "stove").stdout
        assert (
            text
            == f"""\
stove  (film.kling:7): 5 s on o3-4k, $2.10 a take, 2 of 2 there
uncertain: take 5 may have been bought: the connection was lost

  take 1  {digest_of("stove 1")[:12]}  2026-11-22 17:05  $2.10  {f"request {request}-1"}
    {paths[0]}

* chosen take 2  {digest_of("stove 2")[:12]}  2026-11-22 17:05  $2.10  {f"request {request}-2"}
    {paths[1]}

  take 3  failed, and may be billed  2026-11-22 17:05  $2.10 at most  {f"request {request}-3"}
    {quarantine}
    it is 2 s long, and 5 s were asked for
    the clip was set aside: if it is good, `kling pick stove 3 --keep` makes it count

  take 4  failed, and may be billed  2026-11-22 17:04  $2.10 at most  {f"request {request}-4"}
    content_policy_violation: too much smoke

  take 5  uncertain  2026-11-22 17:03  $2.10 at most
    the connection was lost
    `kling reconcile` looks it up at the provider

  take 6  failed  2026-11-22 17:03  nothing was bought
    429, too many requests

  take 7  at the provider  2026-11-22 17:03  $2.10  {f"request {request}-7"}
"""
        )
        assert all((project.root / path).is_file() for path in (*paths, quarantine))

    def test_a_clip_without_takes_says_so(self, project: Rendered) -> None:
        text = project.run("takes", "walk").stdout
        assert text.splitlines() == [
            "walk  (film.kling:11): 6 s on o3-4k, $2.52 a take, 0 of 1 there",
            "waiting: needs the last frame of wake, which is not rendered yet",
            "",
            "there is no take of it yet",
        ]

    def test_a_missing_file_is_told_with_what_brings_it_back(self, project: Rendered) -> None:
        project.bring("wake")
        project.clip_path("wake 1").unlink()
        text = project.run("takes", "wake").stdout
        assert "the file is not here: `kling render film.kling` fetches it, as long as the provider has it" in text

    def test_takes_of_earlier_requests_have_their_own_heading(self, project: Rendered) -> None:
        old = project.bring("wake").key.fingerprint
        project.write("film.kling", FILM.replace("He wakes.", "He wakes slowly."))
        newer = project.bring("wake", at=AT + timedelta(days=1), content="slowly").key.fingerprint
        project.write("film.kling", FILM.replace("He wakes.", "He wakes, at last."))
        assert project.standing("wake").fingerprint not in (old, newer)
        lines = project.run("takes", "wake").stdout.splitlines()
        heads = [line for line in lines if line.startswith("of an earlier")]
        assert heads == [f"of an earlier request of wake, {name[:12]}" for name in (newer, old)]
        assert lines[3] == "there is no take of it yet"
        assert not any(line.startswith("*") for line in lines)

    def test_an_edit_undone_brings_the_take_back(self, project: Rendered) -> None:
        project.bring("wake")
        project.write("film.kling", FILM.replace("He wakes.", "He wakes slowly."))
        assert "of an earlier request" in project.run("takes", "wake").stdout
        project.write("film.kling", FILM)
        text = project.run("takes", "wake").stdout
        assert "* chosen take 1" in text
        assert "earlier" not in text

    def test_letters_that_a_terminal_obeys_are_shown(self, project: Rendered) -> None:
        project.bring("wake", to="failed", reason="\x1b[31mred\u202e\nand on")
        text = project.run("takes", "wake").stdout
        assert "\x1b" not in text
        assert "\\x1b[31mred\\u202e\\nand on" in text


class TestRecords:
    def test_json_has_every_take_with_its_place(self, project: Rendered) -> None:
        row = project.bring("stove")
        project.bring("stove", 2, to="set aside", reason="too short")
        found = project.json("takes", "stove", "--format", "json")
        assert {name: found[name] for name in ("clip", "film", "state", "wanted", "price_usd", "sandbox")} == {
            "clip": "stove",
            "film": "film.kling",
            "state": "failed",
            "wanted": 2,
            "price_usd": "2.10",
            "sandbox": False,
        }
        first, second = found["takes"]
        assert first == {
            "take": 1,
            "state": "here",
            "chosen": True,
            "sha256": row.sha256,
            "at": "2026-11-22T17:05:12Z",
            "cost_usd": "2.10",
            "request_id": row.request_id,
            "reason": "",
            "billed": "",
            "path": f".kling/store/{row.sha256[:2]}/{row.sha256}.mp4",
        }
        assert (second["state"], second["billed"], second["reason"]) == ("set aside", "maybe", "too short")
        assert (project.root / second["path"]).is_file()
        assert found["earlier"] == []

    def test_a_take_that_only_the_ledger_has_is_there(self, project: Rendered) -> None:
        project.bring("wake", lock=False)
        assert [take["state"] for take in project.json("takes", "wake", "--format", "json")["takes"]] == ["here"]

    def test_a_take_that_only_the_lock_has_is_there(self, project: Rendered) -> None:
        project.bring("wake")
        project.desk().stage.ledger.unlink()
        assert [take["state"] for take in project.json("takes", "wake", "--format", "json")["takes"]] == ["here"]

    def test_a_day_that_no_calendar_has_is_left_out(self, project: Rendered) -> None:
        take = Take(
            at="2026-99-22T17:03:42Z",
            clip="wake",
            model="o3-4k",
            seconds=4,
            take=1,
            cost_usd=project.order("wake").price_usd,
            request_id="",
            sha256="a" * 64,
            fingerprint=project.standing("wake").fingerprint,
        )
        project.record(take)
        assert project.json("takes", "wake", "--format", "json")["takes"][0]["at"] == ""

    def test_nothing_is_written(self, project: Rendered) -> None:
        project.bring("wake")
        before = contents(project.root)
        project.run("takes", "wake")
        assert contents(project.root) == before

    def test_nothing_is_made_where_nothing_was_rendered(self, project: Rendered) -> None:
        before = contents(project.root)
        project.run("takes", "wake")
        assert contents(project.root) == before
        assert not (project.root / ".kling").exists()

    def test_the_sandbox_has_takes_of_its_own(self, tmp_path: Path) -> None:
        project = Rendered(tmp_path / "project", sandbox=True)
        project.bring("wake")
        assert project.json("takes", "wake", "--format", "json")["takes"] == []
        there = project.json("takes", "wake", "--sandbox", "--format", "json")
        assert (there["sandbox"], [take["state"] for take in there["takes"]]) == (True, ["here"])
        assert project.run("takes", "wake", KLING_SANDBOX="https://127.0.0.1:1").stdout.count("chosen take 1") == 1


class TestFindingTheFilm:
    def test_the_film_that_has_the_clip_is_found(self, project: Rendered) -> None:
        project.write("films/other.kling", "Title: Other\n\nSHOT door 3s\nA door.\n")
        assert project.run("takes", "door").stdout.startswith("door  (films/other.kling:3)")
        assert project.run("takes", "wake", folder="films").stdout.startswith("wake  (film.kling:4)")

    def test_an_id_that_is_made_by_a_template_is_found(self, project: Rendered) -> None:
        project.write(
            "made.kling", "Title: Made\n\n{% for n in [1, 2] %}\nSHOT door-{{ n }} 3s\nDoor {{ n }}.\n\n{% endfor %}"
        )
        assert project.run("takes", "door-2").stdout.startswith("door-2  (made.kling:4)")

    def test_an_unknown_id_is_answered_with_the_nearest(self, project: Rendered) -> None:
        done = project.run("takes", "stov", code=2)
        assert "no film of this project has a clip 'stov'; did you mean stove?" in done.stderr
        done = project.run("takes", "stov", "--film", "film.kling", code=2)
        assert "film.kling has no clip 'stov'; did you mean stove?" in done.stderr

    def test_a_hostile_id_is_shown_and_not_obeyed(self, project: Rendered) -> None:
        done = project.run("takes", "\x1b[2J" + "a" * 500, code=2)
        assert "\x1b" not in done.stderr
        assert len(done.stderr) < 400

    def test_an_id_of_several_films_wants_the_film(self, project: Rendered) -> None:
        project.write("b side.kling", FILM)
        done = project.run("takes", "wake", code=2)
        assert "2 films have a clip 'wake'; say which with --film 'b side.kling' or --film film.kling" in done.stderr
        assert project.run("takes", "wake", "--film", "b side.kling").stdout.startswith("wake  (b side.kling:4)")

    def test_hidden_folders_the_output_and_links_to_elsewhere_have_no_films(
        self, project: Rendered, tmp_path: Path
    ) -> None:
        for path in (".hidden/a.kling", "out/a.kling", ".kling/a.kling", ".a.kling"):
            project.write(path, FILM)
        (tmp_path / "elsewhere.kling").write_text(FILM)
        os.symlink(tmp_path / "elsewhere.kling", project.root / "link.kling")
        assert project.run("takes", "wake").stdout.startswith("wake  (film.kling:4)")

    def test_a_film_with_errors_that_has_the_clip_is_told(self, project: Rendered) -> None:
        project.write("film.kling", FILM.replace("He walks.", "@Nobody walks."))
        done = project.run("takes", "wake", code=1)
        assert "error[unknown-reference]" in done.stderr

    def test_another_film_with_errors_is_in_nobodys_way(self, project: Rendered) -> None:
        project.write("broken.kling", "Title: {{ lost }}\n\nSHOT other 5s\n@Nobody walks.\n")
        assert project.run("takes", "wake").stdout.startswith("wake")

    def test_other_verbs_get_the_desk_and_the_clip(self, project: Rendered, monkeypatch: pytest.MonkeyPatch) -> None:
        row = project.bring("wake")
        monkeypatch.chdir(project.root)
        desk, standing = find_named(Names("wake"), sandbox=False)
        assert (desk.film, standing.call.id, standing.takes) == ("film.kling", "wake", (take_of(row),))
        desk, standing = find_named(Names("wake", Path("film.kling")), sandbox=True)
        assert (desk.rows, standing.state, desk.stage.spends) == ((), "new", False)

    def test_no_more_films_are_looked_at_than_there_may_be(
        self, project: Rendered, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        project.write("zoo/z.kling", "Title: Z\n\nSHOT zebra 3s\nA zebra.\n")
        assert project.run("takes", "zebra").exit_code == 0
        monkeypatch.setattr("kling_dsl.cli.desk.MAX_FILMS", 1)
        assert "has a clip 'zebra'" in project.run("takes", "zebra", code=2).stderr


class TestBadRecords:
    def test_lines_of_the_lock_that_nobody_understands_are_told(self, project: Rendered) -> None:
        project.bring("wake")
        lock = project.desk().lock_path
        lock.write_text(lock.read_text() + "".join(f"\x1b junk {n}\n" for n in range(12)))
        done = project.run("takes", "wake")
        assert "film.kling.lock:2: warning: this line is no JSON\n" in done.stderr
        assert "film.kling.lock: 2 more such lines: see `kling verify`" in done.stderr
        assert "\x1b" not in done.stderr
        assert "chosen take 1" in done.stdout

    def test_a_lock_that_is_no_file_ends_with_a_message(self, project: Rendered) -> None:
        (project.root / "film.kling.lock").mkdir()
        assert "film.kling.lock is no regular file" in project.run("takes", "wake", code=1).stderr

    @pytest.mark.parametrize("content", [b"", b"no ledger", b"SQLite format 3\0" + b"\0" * 100])
    def test_a_damaged_ledger_ends_with_a_message_and_is_left_alone(self, project: Rendered, content: bytes) -> None:
        project.write(".kling/ledger.db", content)
        done = project.run("takes", "wake", code=1)
        assert "ledger.db is damaged" in done.stderr
        assert (project.root / ".kling/ledger.db").read_bytes() == content

    def test_a_ledger_of_a_newer_version_ends_with_a_message(self, project: Rendered) -> None:
        project.bring("wake")
        path = project.desk().stage.ledger
        content = bytearray(path.read_bytes())
        content[60:64] = (99).to_bytes(4, "big")
        path.write_bytes(content)
        assert "was written by a newer version of kling" in project.run("takes", "wake", code=1).stderr

    def test_a_folder_that_is_read_only_can_be_read(self, project: Rendered) -> None:
        project.bring("wake", run=DEAD)
        folders = [project.root, *(path for path in project.root.rglob("*") if path.is_dir())]
        for folder in folders:
            folder.chmod(0o500)
        try:
            assert "chosen take 1" in project.run("takes", "wake").stdout
        finally:
            for folder in folders:
                folder.chmod(0o700)


def test_help_has_an_example(project: Rendered) -> None:
    assert "Example:\n    kling takes door\n" in project.run("takes", "--help").stdout
