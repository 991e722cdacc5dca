"""`kling diff` on real repositories: which edits cost something, what is told of them, and how it ends."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from commands import picture
from git_projects import FILM, NEEDS_GIT, Repository, sha256_of

from kling_dsl.history.values import Change, Clip, Difference, Field, FilmDifference, Piece, Side
from kling_dsl.reports.diff_text import render_diff_text
from kling_dsl.reports.palette import COLOURED

pytestmark = NEEDS_GIT

HEADLESS = FILM.replace("Model: o3-4k\n", "Model: o3-4k\nHeadings: off\n")
ALL = ("door", "stair", "cliff", "sea")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A film without headings in its prompts, rendered whole and committed with its lock."""
    found = Repository(tmp_path / "repo")
    found.write_film(HEADLESS)
    found.commit("Write the film")
    found.buy(*ALL)
    found.commit("Render the film")
    return found


def changes(report: Any) -> dict[str, Any]:
    return {change["id"]: change for film in report["films"] for change in film["clips"]}


def move_block(repository: Repository, block: str, *, before: str = "", path: str = "film.kling") -> None:
    repository.edit(block, "", path=path)
    repository.edit(before, block + before, path=path)


def test_a_reworded_shot_is_the_one_billable_change(repository: Repository) -> None:
    repository.edit("heavy door", "red iron door")
    report = repository.json()
    assert report["total"]["billable_usd"] == "2.10"
    assert report["total"]["difference_usd"] == "0.00"
    found = changes(report)
    assert [name for name, change in found.items() if change["kind"] != "unchanged"] == ["door"]
    (field,) = found["door"]["fields"]
    assert field["path"] == "prompt"
    assert [(piece["kind"], piece["text"].strip()) for piece in field["words"]] == [
        ("same", "wide. @Element1 opens the"),
        ("removed", "heavy"),
        ("added", "red iron"),
        ("same", "door and looks up into the dark."),
    ]


@pytest.mark.parametrize(
    ("old", "new", "kinds"),
    [
        ("SHOT door", "# The door is new.\nSHOT door", {}),
        ("climbs the stair with", "climbs\nthe stair   with", {}),
        ("[[", "[[", {}),
        ("SHOT sea", "SHOT ocean", {"ocean": "renamed"}),
    ],
    ids=["comment", "re-wrap", "nothing", "renamed"],
)
def test_what_does_not_change_a_request_costs_nothing(
    repository: Repository, old: str, new: str, kinds: dict[str, str]
) -> None:
    if old != "[[":
        repository.edit(old, new)
    assert repository.kinds() == kinds
    report = repository.json("--exit-code")
    assert report["total"]["billable_usd"] == "0.00"
    assert report["total"]["to_buy_usd"] == "0.00"


def test_a_clip_that_moves_between_scenes_costs_nothing(repository: Repository) -> None:
    block = "SHOT stair 4s\n@Mira climbs the stair with @Lamp in her hand.\n\n"
    move_block(repository, block, before="SHOT sea 3s\n")
    found = changes(repository.json("--exit-code"))
    assert (found["stair"]["kind"], found["stair"]["moved"]) == ("moved", ["scene"])
    assert {name for name, change in found.items() if change["kind"] == "unchanged"} == {"door", "cliff", "sea"}


def test_a_cast_in_another_order_costs_nothing(repository: Repository) -> None:
    lamp = "PROP Lamp\n  image: refs/lamp.png\n"
    cast = (repository.root / "cast.kling").read_text(encoding="utf-8")
    repository.write("cast.kling", lamp + "\n" + cast.replace(lamp, ""))
    assert repository.kinds() == {}


def test_a_clip_that_moves_to_another_film_is_paid_for(repository: Repository) -> None:
    other = "Title: Other\nModel: o3-4k\nHeadings: off\n\nSHOT far 3s\nA far shore in the mist.\n"
    repository.write("other.kling", other)
    repository.commit("Write another film")
    block = "SHOT sea 3s\nThe sea lies still under the first light.\n"
    repository.edit(block, "")
    repository.write("other.kling", other + "\n" + block)
    found = changes(repository.json("--exit-code"))
    assert (found["sea"]["kind"], found["sea"]["moved"], found["sea"]["billable"]) == ("moved", ["file"], 0)
    assert found["sea"]["old"]["source"]["file"] == "film.kling"
    assert found["sea"]["new"]["source"]["file"] == "other.kling"
    assert "removed" not in {change["kind"] for change in found.values()}


def test_new_and_removed_clips_and_the_difference_in_dollars(repository: Repository) -> None:
    repository.edit("SHOT sea 3s\nThe sea lies still under the first light.\n", "SHOT hut 10s\nA hut on the cliff.\n")
    report = repository.json()
    found = changes(report)
    assert {name: found[name]["kind"] for name in ("hut", "sea")} == {"hut": "new", "sea": "removed"}
    assert found["sea"]["new"] is None
    assert found["hut"]["old"] is None
    assert report["total"] == {
        "old_usd": "7.56",
        "new_usd": "10.50",
        "difference_usd": "2.94",
        "billable_usd": "4.20",
        "to_buy_usd": "4.20",
        "failed": False,
    }


def test_more_takes_bill_only_what_is_added(repository: Repository) -> None:
    repository.edit("SHOT sea 3s\n", "SHOT sea 3s\n  takes: 3\n")
    found = changes(repository.json())
    assert [(field["path"], field["old"], field["new"]) for field in found["sea"]["fields"]] == [("takes", "1", "3")]
    assert (found["sea"]["billable"], found["sea"]["billable_usd"]) == (2, "2.52")


def test_a_model_over_all_is_held_against_itself(repository: Repository) -> None:
    report = repository.json("--model", "o3-standard")
    assert {change["kind"] for change in changes(report).values()} == {"unchanged"}
    assert report["total"]["new_usd"] == "1.512"


def test_the_drafts_of_both_sides_are_told(repository: Repository) -> None:
    repository.edit("SHOT sea 3s", "SHOT sea 6s")
    (film,) = repository.json()["films"]
    drafts = {draft["model"]: (draft["old_usd"], draft["new_usd"]) for draft in film["drafts"]}
    assert drafts["o3-standard"] == ("1.512", "1.764")


def test_a_changed_model_and_a_changed_picture_are_told(repository: Repository) -> None:
    repository.edit("Model: o3-4k", "Model: o3-standard")
    repository.write("refs/lamp.png", picture(800, 600))
    found = changes(repository.json())
    fields = {field["path"]: field for field in found["stair"]["fields"]}
    assert (fields["model"]["old"], fields["model"]["new"]) == ("o3-4k", "o3-standard")
    assert "endpoint" in fields
    (media,) = [field for field in fields.values() if field["old_sha256"]]
    assert media["old"] == media["new"] == "refs/lamp.png"
    assert media["old_sha256"] != media["new_sha256"]
    assert not media["words"]


CHAIN = (
    HEADLESS
    + "\nSHOT wave 3s\n  start: end of sea\nA wave comes in.\n\nSHOT foam 3s\n  start: end of wave\nFoam on the sand.\n"
)


def test_what_continues_a_changed_clip_is_stale_down_the_chain(repository: Repository) -> None:
    repository.write("film.kling", CHAIN)
    repository.buy(*ALL)
    repository.buy("wave")
    repository.buy("foam")
    repository.commit("Render the chain")
    assert repository.kinds("--exit-code") == {}
    repository.edit("under the first light", "under a red light")
    found = changes(repository.json())
    assert [found[name]["stale"] for name in ("sea", "wave", "foam")] == [[], ["sea"], ["wave"]]
    assert [found[name]["kind"] for name in ("sea", "wave", "foam")] == ["changed"] * 3
    assert found["wave"]["fields"] == []
    assert repository.json()["total"]["billable_usd"] == "3.78"
    assert "stale: starts from the end of sea" in " ".join(repository.diff().stdout.split())


def test_a_stale_clip_that_was_renamed_is_found(repository: Repository) -> None:
    repository.write("film.kling", CHAIN)
    repository.commit("Continue the sea")
    repository.edit("under the first light", "under a red light")
    repository.edit("SHOT foam", "SHOT spray")
    spray = changes(repository.json())["spray"]
    assert (spray["kind"], spray["stale"], spray["renamed_from"]) == ("changed", ["wave"], "foam")


def test_a_renamed_clip_that_others_continue_changes_nothing(repository: Repository) -> None:
    repository.write("film.kling", CHAIN)
    repository.commit("Continue the sea")
    repository.edit("SHOT wave", "SHOT roller")
    repository.edit("end of wave", "end of roller")
    assert repository.kinds() == {"roller": "renamed"}


def test_another_frame_to_start_from_is_an_edit(repository: Repository) -> None:
    repository.write("film.kling", CHAIN)
    repository.commit("Continue the sea")
    repository.edit("end of wave", "end of cliff")
    foam = changes(repository.json())["foam"]
    assert foam["stale"] == []
    assert [(field["old"], field["new"]) for field in foam["fields"]] == [("end of wave", "end of cliff")]


def test_another_choice_of_a_take_makes_what_continues_it_stale(repository: Repository) -> None:
    repository.write("film.kling", CHAIN)
    repository.buy(*ALL)
    repository.buy("wave")
    repository.buy("sea", number=2, clip="another sea")
    repository.commit("Render the chain")
    assert repository.kinds() == {}
    repository.pick("sea", sha256_of("another sea"))
    wave = changes(repository.json())["wave"]
    assert (wave["kind"], wave["stale"], wave["billable_usd"]) == ("changed", ["sea"], "1.26")


def test_two_clips_of_one_request_are_bought_once(repository: Repository) -> None:
    twin = "\nSHOT {0} 3s\nA lighthouse blinks.\n"
    repository.write("film.kling", HEADLESS + twin.format("one") + twin.format("two"))
    report = repository.json()
    assert {name: change["kind"] for name, change in changes(report).items() if change["kind"] == "new"} == {
        "one": "new",
        "two": "new",
    }
    assert report["total"]["billable_usd"] == "1.26"


def test_a_side_that_does_not_compile_is_told_and_the_other_is_priced(repository: Repository) -> None:
    repository.edit("@Mira opens", "@Mirra opens")
    done = repository.diff(code=1)
    assert "film.kling:10:1" in done.stderr
    assert "HEAD costs $7.56" in " ".join(done.stdout.split())
    repository.commit("Break the film")
    repository.edit("@Mirra opens", "@Mira opens")
    done = repository.diff(code=1)
    assert "HEAD:film.kling:10:1" in done.stderr
    assert "@Mirra opens the heavy door" in done.stderr
    assert "the working tree costs $7.56" in " ".join(done.stdout.split())
    report = repository.json(code=1)
    assert report["total"]["difference_usd"] is None
    assert report["films"][0]["old"] == {"file": "film.kling", "failed": True}


def test_a_film_that_one_side_lacks_is_all_new_or_all_removed(repository: Repository) -> None:
    repository.git("rm", "-q", "film.kling", "film.kling.lock")
    report = repository.json()
    assert {change["kind"] for change in changes(report).values()} == {"removed"}
    assert report["films"][0]["new"] is None
    assert report["total"]["difference_usd"] == "-7.56"
    repository.commit("Take the film away")
    assert {change["kind"] for change in changes(repository.json("HEAD..HEAD~1")).values()} == {"new"}
    assert repository.json()["films"] == []


@pytest.mark.parametrize("words", [(), ("films/ferry.kling",), ("film.kling",)], ids=["all", "new-name", "old-name"])
def test_a_renamed_film_is_the_same_film(repository: Repository, words: tuple[str, ...]) -> None:
    text = (repository.root / "film.kling").read_text(encoding="utf-8").replace("cast.kling", "../cast.kling")
    (repository.root / "film.kling").unlink()
    (repository.root / "film.kling.lock").rename(repository.write("films/ferry.kling.lock", ""))
    repository.write("films/ferry.kling", text)
    repository.edit("heavy door", "red door", path="films/ferry.kling")
    cast = (repository.root / "cast.kling").read_text(encoding="utf-8")
    assert "refs/" in cast
    (film,) = repository.json(*words)["films"]
    assert (film["old"]["file"], film["new"]["file"]) == ("film.kling", "films/ferry.kling")
    assert film["counts"] == {"new": 0, "changed": 1, "renamed": 0, "moved": 0, "removed": 0, "unchanged": 3}


def test_ranges_compare_what_git_compares(repository: Repository) -> None:
    repository.git("checkout", "-q", "-b", "work")
    repository.edit("SHOT sea 3s", "SHOT sea 5s")
    repository.commit("Lengthen the sea")
    repository.git("checkout", "-q", "main")
    repository.edit("SHOT cliff 6s", "SHOT cliff 7s")
    repository.commit("Lengthen the cliff")
    assert repository.kinds("main..work") == {"sea": "changed", "cliff": "changed"}
    assert repository.kinds("main...work") == {"sea": "changed"}
    assert repository.kinds("work..") == {"sea": "changed", "cliff": "changed"}
    assert repository.kinds("HEAD~1", "film.kling") == {"cliff": "changed"}
    assert repository.kinds("film.kling", "work") == {"sea": "changed", "cliff": "changed"}
    assert repository.json("main...work")["new"]["revision"] == "work"
    assert repository.json("main")["new"] == {"revision": None, "commit": None}


def test_settings_sheets_and_data_are_read_at_the_revision(repository: Repository) -> None:
    rows = "Title: Rows\nHeadings: off\nData: rows: rows.csv\n\n{% for row in rows %}\nSHOT r{{ loop.index }} 3s\n{{ row.words }} on the table.\n{% endfor %}\n"
    repository.write("rows.kling", rows.replace("Data: rows: rows.csv", "Data rows: rows.csv"))
    repository.write("rows.csv", "words\nA cup\nA plate\n")
    repository.write("kling.toml", '[models]\ndefault = "o3-4k"\n')
    repository.commit("Write rows")
    repository.write("rows.csv", "words\nA cup\nA bowl\n")
    repository.write("kling.toml", '[models]\ndefault = "o3-standard"\n')
    found = changes(repository.json("HEAD", "rows.kling"))
    assert {clip: (c["old"]["model"], c["new"]["model"]) for clip, c in found.items()} == {
        "r1": ("o3-4k", "o3-standard"),
        "r2": ("o3-4k", "o3-standard"),
    }
    words = [piece for field in found["r2"]["fields"] for piece in field["words"] if piece["kind"] != "same"]
    assert [(piece["kind"], piece["text"].strip()) for piece in words] == [("removed", "plate"), ("added", "bowl")]


def test_exit_codes(repository: Repository) -> None:
    repository.edit("SHOT sea 3s", "SHOT sea 5s")
    repository.diff(code=0)
    repository.diff("--exit-code", code=5)
    repository.diff("--max-increase", "$0.84", code=0)
    done = repository.diff("--max-increase", "0.83", "--exit-code", code=3)
    assert "refused: $0.84 more than before, which is over the $0.83 allowed" in done.stderr


def test_text_keeps_to_its_width_and_marks_words(repository: Repository) -> None:
    repository.edit("heavy door and looks up into the dark", "red iron door and looks up into the dark night sky")
    repository.edit("SHOT sea", "SHOT ocean")
    done = repository.diff()
    assert all(len(line) <= 80 for line in done.stdout.splitlines()), done.stdout
    words = " ".join(done.stdout.split())
    assert "{-heavy-} {+red iron+}" in words
    assert "{-dark.-} {+dark night sky.+}" in words
    assert "sea → ocean" in words
    assert "unchanged 2 clips" in words
    assert words.startswith("HEAD → the working tree: costs $7.56 as before; $2.10 to buy for what changed")


def test_nothing_that_a_writer_typed_acts(repository: Repository) -> None:
    evil = "a \\x1b[31mred</details> <script>x</script> @everyone **door** | `x` https://evil.example/"
    repository.edit("Title: The Lantern", f"Title: {evil}")
    repository.edit("heavy door", f"{evil} door".replace("@everyone ", ""))
    page = repository.diff("--format", "markdown").stdout
    assert page.count("</details>") == 1
    assert "<script" not in page
    assert "@everyone" not in page
    assert "\x1b" not in page
    assert "**door**" not in page.replace("**door**\n", "")
    assert "://" not in page
    text = repository.diff().stdout
    assert "\x1b" not in text


def test_films_are_told_from_revisions(repository: Repository) -> None:
    assert "no film 'gone.kling'" in repository.diff("gone.kling", code=2).stderr
    assert "is a second revision" in repository.diff("HEAD", "HEAD~1", code=2).stderr
    assert "is a folder" in repository.diff("--", "refs", code=2).stderr
    repository.write("HEAD", "not a film")
    assert repository.kinds("HEAD") == {}
    repository.git("branch", "odd.kling")
    assert repository.kinds("refs/heads/odd.kling") == {}
    assert "outside" in repository.diff("HEAD", "--", "film.kling", "/etc/passwd", code=2).stderr


def test_a_template_that_others_include_is_no_film(repository: Repository) -> None:
    repository.write("parts.kling", "SHOT {{ name }} 3s\nWe see {{ what }} here.\n")
    repository.commit("Write a part")
    assert [film["file"] for film in repository.json()["films"]] == ["film.kling"]
    # Asked for by its name, it is told what it lacks.
    assert "parts.kling" in repository.diff("parts.kling", code=1).stderr
    repository.edit("We see", "We hear", path="parts.kling")
    assert "parts.kling" in repository.diff(code=1).stderr


def test_an_accepted_clip_is_told_and_not_billed(repository: Repository) -> None:
    repository.edit("heavy door", "red door")
    repository.accept("door", sha256_of("door 1"))
    door = changes(repository.json("--exit-code"))["door"]
    assert (door["kind"], door["billable"], door["new"]["held"]) == ("changed", 0, 1)
    assert "A Writer kept the take" in door["new"]["accepted"]
    assert "accepted: A Writer kept the take" in " ".join(repository.diff().stdout.split())


def test_problems_of_the_lock_are_told(repository: Repository) -> None:
    with (repository.root / "film.kling.lock").open("a", encoding="utf-8") as lock:
        lock.write("<<<<<<< ours\n")
    assert "film.kling.lock:5: warning: this line" in repository.diff().stderr
    (repository.root / "film.kling.lock").write_bytes(b"\xff\xfeU\0")
    assert "is UTF-16" in repository.diff(code=1).stderr
    repository.commit("Damage the lock")
    assert "HEAD:film.kling.lock is UTF-16" in repository.diff("HEAD..HEAD", code=1).stderr


def test_a_terminal_shows_words_in_colour() -> None:
    pieces = (Piece("same", "the"), Piece("removed", "heavy"), Piece("added", "red \x1b[31m"), Piece("same", "door"))
    clip = _clip()
    change = Change("changed", clip, clip, fields=(Field("prompt", "the heavy door", "the red door", words=pieces),))
    film = FilmDifference("T", Side("film.kling"), Side("film.kling"), (change,))
    text = render_diff_text(Difference("a", "b", "", "", (film,)), width=80, palette=COLOURED)
    assert f"the {COLOURED.error}heavy{COLOURED.reset} {COLOURED.hint}red{COLOURED.reset}" in text
    assert "{-" not in text
    assert "\\x1b[31m" in text


def _clip() -> Clip:
    return Clip("door", "", "film.kling", 1, "o3-4k", "e", 5, 1, Decimal("2.10"), "f", "r", 0, 1)


def test_a_repository_with_the_longer_ids(tmp_path: Path) -> None:
    top = tmp_path / "long"
    top.mkdir()
    repository = Repository(tmp_path / "repo")
    repository.git("init", "-q", "--object-format=sha256", str(top))
    repository.top = repository.root = top
    repository.write_film()
    assert len(repository.commit()) == 64
    repository.edit("heavy door", "red door")
    assert repository.kinds() == {"door": "changed"}


def test_a_model_that_nobody_knows_is_wrong_usage(repository: Repository) -> None:
    done = repository.diff("--model", "o3-4kk", code=2)
    assert "did you mean o3-4k?" in done.stderr


def test_the_help_has_an_example(repository: Repository) -> None:
    assert "kling diff origin/main...HEAD" in repository.diff("--help").stdout
