"""The steps of the Action, run as shell on a real repository, with a stub of the servers that take comments."""

from __future__ import annotations

import json
import os
import re
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from review_stage import ACTION, BOT, FILM, MARK, STEPS, Comments, Outcome, Review, lacking, run_action
from workflow_files import parsed, steps_of

from kling_dsl.cli.verbs import COMMANDS

pytestmark = pytest.mark.skipif(
    bool(lacking("bash", "curl", "git", "jq")), reason=f"not installed here: {lacking('bash', 'curl', 'git', 'jq')}"
)

JOINER = "\N{WORD JOINER}"
LONGER = FILM.replace("stove 5s", "stove 7s")
BROKEN = FILM.replace("SHOT stove 5s", "SHOT stove 4.5s")
HOSTILE = "$(touch${IFS}pwned);`touch${IFS}pwned`"


@pytest.fixture
def comments() -> Iterator[Comments]:
    server = Comments()
    yield server
    server.close()


@pytest.fixture
def review(tmp_path: Path, comments: Comments) -> Review:
    review = Review(tmp_path, comments)
    review.commit({"film.kling": LONGER}, branch="change")
    review.check_out()
    return review


def review_cost(review: Review, **inputs: str) -> Outcome:
    """Run the steps after the check."""
    return run_action(review, without=("Install kling", "Check", "Test the scripts"), **inputs)


def without_marks(text: str) -> str:
    return text.replace(JOINER, "")


class TestFile:
    def test_no_expression_stands_in_a_program(self) -> None:
        steps = steps_of(ACTION.read_text())
        assert [step.name for step in steps] == [
            "Install kling",
            "Check",
            "Test the scripts",
            "Compare costs",
            "Comment",
            "Hold the cost against its limit",
        ]
        assert all(
            re.fullmatch(r'bash "\$GITHUB_ACTION_PATH/specs/starter/ci/steps/\w+\.sh"', step.run) for step in steps
        )
        assert not [path for path in STEPS.iterdir() if "${{" in path.read_text()]
        after = [step.condition for step in steps[2:]]
        assert after == ["!cancelled() && steps.install.outcome == 'success'"] * 4

    def test_a_parser_reads_the_same(self) -> None:
        action = parsed(ACTION.read_text())
        runs = [step for step in action["runs"]["steps"] if "run" in step]
        read = [(step.name, step.environment, step.run) for step in steps_of(ACTION.read_text())]
        assert [(step["name"], step.get("env", {}), step["run"]) for step in runs] == read
        assert all(step["shell"] == "bash" for step in runs)
        used = set(re.findall(r"inputs\.([\w-]+)", ACTION.read_text()))
        assert used == set(action["inputs"])
        assert all(one["description"] and isinstance(one["default"], str) for one in action["inputs"].values())
        assert all("@v" in step["uses"] for step in action["runs"]["steps"] if "uses" in step)

    def test_every_script_is_sound(self) -> None:
        for path in STEPS.iterdir():
            assert subprocess.run(["bash", "-n", str(path)], check=False, timeout=60).returncode == 0
            text = path.read_text()
            assert "eval " not in text
            assert "set -x" not in text
            assert path.name == "common.sh" or os.access(path, os.X_OK)


class TestCheck:
    def test_a_sound_film_passes_and_what_it_costs_is_said_once(self, review: Review, comments: Comments) -> None:
        review.stand_in(report="### Cost\n\n+$0.84\n")
        outcome = run_action(review)
        assert outcome.failed == []
        assert "no command for tests of scripts" in outcome.log
        [comment] = comments.kept
        assert comment["body"] == f"{MARK}\n### Cost\n\n+$0.84\n"
        assert review.summary.read_text() == "### Cost\n\n+$0.84\n\n"
        assert comments.tokens == {"Bearer t0ken"}
        assert "t0ken" not in outcome.log

    def test_mistakes_are_annotations_and_fail_and_the_comment_comes_all_the_same(
        self, review: Review, comments: Comments
    ) -> None:
        (review.work / "film.kling").write_text(BROKEN)
        review.stand_in(report="film.kling does not compile\n", code=1)
        outcome = run_action(review, sarif="found/kling.sarif")
        assert outcome.failed == ["Check"]
        assert "::error file=film.kling,line=7," in outcome.steps["Check"].stdout
        assert "title=fractional-length::" in outcome.steps["Check"].stdout
        found = json.loads((review.work / "found" / "kling.sarif").read_text())
        assert [one["ruleId"] for one in found["runs"][0]["results"]] == ["fractional-length"]
        assert without_marks(comments.kept[0]["body"]) == f"{MARK}\nfilm.kling does not compile\n"

    def test_a_warning_fails_only_when_strict(self, review: Review) -> None:
        (review.work / "film.kling").write_text("Title: A\n\nCHARACTER Ana\nTall.\n\nSHOT wake 4s\nHe wakes.\n")
        lenient = review.step("check")
        assert lenient.returncode == 0
        assert lenient.stdout.startswith("::warning file=film.kling,")
        assert review.step("check", KLING_STRICT="true").returncode == 1

    def test_only_the_films_that_are_named(self, review: Review) -> None:
        for name in ("a b.kling", "deep/er/c.kling", "out.kling"):
            place = review.work / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(BROKEN)
        review.git("add", "--all", folder=review.work)
        named = review.step("check", KLING_FILMS="\n  a b.kling \r\n\ndeep/**\n", KLING_CHECK_FORMAT="json")
        assert {one["file"] for one in json.loads(named.stdout)} == {"a b.kling", "deep/er/c.kling"}
        flat = review.step("check", KLING_FILMS="*.kling", KLING_CHECK_FORMAT="json")
        assert {one["file"] for one in json.loads(flat.stdout)} == {"a b.kling", "out.kling"}
        nothing = review.step("check", KLING_FILMS="nothing/*.kling")
        assert (nothing.returncode, nothing.stdout) == (0, "::notice::there is no film to check\n")

    def test_a_failing_test_of_the_scripts_fails_and_its_words_are_no_commands(self, review: Review) -> None:
        (review.bin / "kling").write_text(
            '#!/bin/sh\n[ "$1" = --help ] && { echo "  test     run them"; exit; }\necho "::add-mask::x"; echo "$@"; exit 1\n'
        )
        done = review.step("test")
        assert done.returncode == 1
        [word] = re.findall(r"^::stop-commands::(kling-[0-9a-f]{32})$", done.stdout, re.MULTILINE)
        assert f"\n::add-mask::x\ntest -- film.kling\n\n::{word}::\n" in done.stdout
        assert done.stdout.endswith("::error::a test of the scripts failed: kling test ended with exit code 1\n")


class TestDifference:
    def test_it_compares_with_the_branch_that_the_change_goes_to(self, review: Review) -> None:
        review_cost(review, max_increase="$5")
        main = review.git("rev-parse", "refs/heads/main")
        assert review.words() == ["diff", f"{main[:12]}...HEAD", "--format", "markdown", "--max-increase=$5"]

    def test_a_base_and_films_that_are_named(self, review: Review) -> None:
        first = review.git("rev-parse", "refs/heads/main")
        review.step("difference", KLING_BASE="main", KLING_TARGET="elsewhere", KLING_FILMS="*.kling")
        assert review.words() == ["diff", f"{first[:12]}...HEAD", "--format", "markdown", "--", "film.kling"]
        review.git("rm", "--quiet", "film.kling", folder=review.work)
        review.git("commit", "--quiet", "--message", "Remove", folder=review.work)
        review.step("difference", KLING_BASE=first, KLING_FILMS="film.kling")
        assert review.words()[-2:] == ["--", "film.kling"]

    def test_without_a_pull_request_there_is_nothing_to_compare_with(self, review: Review, comments: Comments) -> None:
        done = review.step("difference")
        assert done.stdout.startswith("::notice::there is nothing to compare with")
        assert [review.step(name, KLING_TOKEN="t").returncode for name in ("comment", "verdict")] == [0, 0]
        assert comments.asked == []
        assert not (review.bin / "words").exists()

    @pytest.mark.parametrize("base", ["-h", "--help", "no/such branch", HOSTILE, "refs/heads/x:y", "main\n"])
    def test_a_base_that_is_none_is_told_and_never_run(self, review: Review, base: str) -> None:
        done = review.step("difference", KLING_BASE=base)
        assert done.returncode == 0
        assert "::warning::the cost of the change is not known" in done.stdout
        assert review.step("verdict").returncode == 0
        limited = review.step("verdict", KLING_MAX_INCREASE="$5")
        assert limited.returncode == 1
        assert limited.stdout.startswith("::error::what the change costs is not known")
        assert not list(review.folder.rglob("pwned"))

    @pytest.mark.parametrize("depth", [1, 2])
    def test_a_shallow_clone_gets_what_it_lacks(self, tmp_path: Path, comments: Comments, depth: int) -> None:
        review = Review(tmp_path / "shallow", comments)
        fork = review.git("rev-parse", "HEAD")
        for seconds in range(6, 9):
            review.commit({"film.kling": FILM.replace("stove 5s", f"stove {seconds}s")}, branch="change")
        review.commit({"README.md": "later"})
        main = review.git("rev-parse", "HEAD")
        review.check_out(depth=depth)
        done = review_cost(review)
        assert done.failed == []
        assert review.words()[1] == f"{main[:12]}...HEAD"
        assert review.git("merge-base", main, "HEAD", folder=review.work) == fork

    def test_a_merge_that_a_server_makes_is_compared_with_what_it_goes_to(
        self, tmp_path: Path, comments: Comments
    ) -> None:
        review = Review(tmp_path / "merge", comments)
        before = review.git("rev-parse", "HEAD")
        review.commit({"film.kling": LONGER}, branch="change")
        main = review.commit({"other.kling": FILM})
        review.git("merge", "--quiet", "--no-edit", "change")
        review.git("update-ref", "refs/heads/merged", "HEAD")
        review.git("update-ref", "refs/heads/main", main)
        review.check_out("merged", depth=1)
        # The event names a commit of main that is older than what was merged.
        review.step("difference", KLING_TARGET="main", KLING_BASE_SHA=before)
        assert review.words()[1] == f"{main[:12]}...HEAD"

    def test_a_clone_that_cannot_fetch_says_what_to_do(self, tmp_path: Path, comments: Comments) -> None:
        review = Review(tmp_path / "cut", comments)
        review.commit({"film.kling": LONGER}, branch="change")
        review.check_out(depth=1)
        review.origin.rename(tmp_path / "gone")
        done = review.step("difference", KLING_TARGET="main", KLING_BASE_SHA="0" * 40)
        assert done.returncode == 0
        assert "give actions/checkout 'fetch-depth: 0'" in done.stdout

    def test_more_than_the_limit_fails_after_the_comment_was_written(self, review: Review, comments: Comments) -> None:
        reason = "the change adds $9.00, and --max-increase allows $5.00"
        review.stand_in(report="### Cost\n", code=3, reason=f"Error: {reason}\n::set-output name=x::y\n")
        outcome = review_cost(review, max_increase="$5")
        assert outcome.failed == ["Hold the cost against its limit"]
        assert (
            outcome.steps["Hold the cost against its limit"].stdout
            == f"::error::Error: {reason}%0A::set-output name=x::y\n"
        )
        assert f"Refused:\n\n    Error: {reason}\n" in comments.kept[0]["body"]
        assert "::stop-commands::" in outcome.steps["Compare costs"].stdout

    @pytest.mark.parametrize(
        ("code", "limit", "failed"),
        [(0, "$5", False), (5, "", False), (1, "", False), (1, "$5", True), (2, "", True), (70, "", True)],
    )
    def test_how_kling_ended_decides(self, review: Review, code: int, limit: str, failed: bool) -> None:
        review.stand_in(report="### Cost\n", code=code, reason="what it says")
        outcome = review_cost(review, max_increase=limit)
        assert outcome.failed == (["Hold the cost against its limit"] if failed else [])


class TestComment:
    def test_it_is_updated_in_place(self, review: Review, comments: Comments) -> None:
        comments.say(f"{MARK}\nnot the robot's", "mallory")
        for number in range(120):
            comments.say(f"word {number}", "ada")
        for cost in ("$1", "$2", "$3"):
            review.stand_in(report=f"{cost}\n")
            assert review_cost(review).failed == []
        assert len(comments.kept) == 122
        assert comments.kept[-1]["body"] == f"{MARK}\n$3\n"
        assert comments.kept[0]["body"] == f"{MARK}\nnot the robot's"
        methods = [method for method, _ in comments.asked if method != "GET"]
        assert methods == ["POST", "PATCH", "PATCH"]

    def test_one_that_was_deleted_meanwhile_is_written_anew(self, review: Review, comments: Comments) -> None:
        comments.say(f"{MARK}\nold", BOT)
        comments.refused["PATCH"] = 404
        assert review_cost(review).failed == []
        assert comments.kept[-1]["body"].endswith("no change\n")
        assert len(comments.kept) == 2

    @pytest.mark.parametrize(("method", "status"), [("POST", 403), ("GET", 403), ("GET", 401), ("POST", 422)])
    def test_a_token_that_may_not_write_leaves_it_to_the_summary(
        self, review: Review, comments: Comments, method: str, status: int
    ) -> None:
        comments.refused[method] = status
        outcome = review_cost(review)
        assert outcome.failed == []
        assert comments.kept == []
        assert review.summary.read_text() == "### Cost\n\nno change\n\n"
        told = outcome.steps["Comment"].stdout
        assert told.startswith("::notice::no comment was written, because ")
        assert f"(HTTP {status})" in told
        assert told.endswith("what the change costs is in the summary of this run\n")

    def test_without_a_token_or_a_wish_nothing_is_asked(self, review: Review, comments: Comments) -> None:
        review.step("difference", KLING_TARGET="main")
        assert "there is no token" in review.step("comment", KLING_NUMBER="7", KLING_TOKEN="").stdout
        outcome = review_cost(review, comment="false")
        assert (outcome.failed, outcome.steps["Comment"].stdout) == ([], "")
        assert comments.asked == []
        assert review.summary.read_text().count("no change") == 2

    @pytest.mark.parametrize("program", ["curl", "jq"])
    def test_a_machine_that_lacks_a_program_leaves_it_to_the_summary(self, review: Review, program: str) -> None:
        review.step("difference", KLING_TARGET="main")
        done = review.step("comment", KLING_NUMBER="7", KLING_TOKEN="t", PATH=review.without(program))
        assert done.returncode == 0
        assert f"because {program} is not installed here" in done.stdout
        assert review.summary.read_text() == "### Cost\n\nno change\n\n"

    def test_a_server_that_is_gone_leaves_it_to_the_summary(self, review: Review) -> None:
        review.step("difference", KLING_TARGET="main")
        done = review.step("comment", KLING_NUMBER="7", KLING_TOKEN="t", GITHUB_API_URL="http://127.0.0.1:1")
        assert done.returncode == 0
        assert "the comments could not be read (HTTP 000)" in done.stdout

    def test_a_long_report_is_cut_at_a_line_and_closed(self, review: Review, comments: Comments) -> None:
        report = "<details>\n\n```text\n" + "a line of forty characters, é and 中 too\n" * 3000 + "```\n\n</details>\n"
        review.stand_in(report=report)
        review_cost(review)
        body = comments.kept[0]["body"]
        assert len(body) < 65_536
        closing = "\n```\n</details>\n\nThe rest does not fit into a comment: see [the summary of this run]"
        head, _, tail = body.partition(closing)
        assert head.endswith("a line of forty characters, é and 中 too")
        assert tail == "(https://github.example/o/r/actions/runs/42).\n"
        assert review.summary.read_text() == report + "\n"

    def test_nobody_is_notified_and_nothing_obeyed(self, review: Review, comments: Comments) -> None:
        review.stand_in(report="@Ana opens the door\n/approve\n  /merge\n")
        review_cost(review)
        assert comments.kept[0]["body"] == (
            f"{MARK}\n@{JOINER}Ana opens the door\n{JOINER}/approve\n{JOINER}  /merge\n"
        )

    def test_gitlab_keeps_a_note_up_to_date_or_leaves_an_artifact(self, review: Review, comments: Comments) -> None:
        settings = {
            "GITHUB_ACTIONS": "",
            "KLING_REVIEW": "kling-review",
            "CI_API_V4_URL": comments.url,
            "CI_PROJECT_ID": "9",
            "CI_MERGE_REQUEST_IID": "7",
            "KLING_TARGET": "main",
        }
        assert review.step("difference", **settings).returncode == 0
        assert "kling: notice: no comment was written, because there is no token" in (
            review.step("comment", **settings).stdout
        )
        assert (review.work / "kling-review" / "report.md").read_text() == "### Cost\n\nno change\n"
        for cost in ("$1", "$2"):
            review.stand_in(report=cost)
            review.step("difference", **settings)
            assert review.step("comment", **settings, KLING_GITLAB_TOKEN="glpat").returncode == 0
        assert [one["body"] for one in comments.kept] == [f"{MARK}\n$2"]
        assert [method for method, _ in comments.asked if method != "GET"] == ["POST", "PUT"]
        assert comments.tokens == {"glpat"}


class TestHostile:
    def test_names_do_nothing(self, tmp_path: Path, comments: Comments) -> None:
        review = Review(tmp_path / "hostile", comments)
        names = (f"{HOSTILE}.kling", "-x.kling", "a\n::error::b.kling", "c'd\"e.kling", "::set-env name=x::y.kling")
        review.commit(dict.fromkeys(names, LONGER), branch=HOSTILE)
        review.check_out(HOSTILE)
        outcome = run_action(review, films="*.kling", base=HOSTILE)
        assert outcome.failed == []
        assert set(review.words()[5:]) == {*names, "film.kling"}
        assert not list(review.folder.rglob("pwned"))
        assert not [line for line in outcome.log.splitlines() if line.startswith(("::error", "::set-env"))]

    def test_a_mistake_in_a_film_with_a_hostile_name_is_one_annotation(
        self, tmp_path: Path, comments: Comments
    ) -> None:
        review = Review(tmp_path / "hostile", comments)
        review.commit({"a\n::error::b.kling": BROKEN}, branch="change")
        review.check_out()
        done = review.step("check")
        assert done.returncode == 1
        [annotation] = done.stdout.splitlines()
        assert annotation.startswith("::error file=a\\n%3A%3Aerror%3A%3Ab.kling,line=7,")

    def test_folders_of_the_change_are_not_imported_by_the_installation(self, review: Review) -> None:
        for name in ("pip", "venv", "kling_dsl", "ensurepip"):
            place = review.work / name
            place.mkdir()
            (place / "__init__.py").write_text("open('pwned', 'w')")
            (place / "__main__.py").write_text("open('pwned', 'w')")
        wheel = review.folder / "kling_dsl-9.0-py3-none-any.whl"
        about = "Metadata-Version: 2.1\nName: kling-dsl\nVersion: 9.0\n"
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr("kling_nine.py", "def main():\n    print('kling nine')\n")
            archive.writestr("kling_dsl-9.0.dist-info/METADATA", about)
            archive.writestr("kling_dsl-9.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
            archive.writestr("kling_dsl-9.0.dist-info/entry_points.txt", "[console_scripts]\nkling = kling_nine:main\n")
            archive.writestr("kling_dsl-9.0.dist-info/RECORD", "")
        path = review.temp / "path"
        done = review.step("install", KLING_PACKAGE=str(wheel), GITHUB_PATH=str(path), PIP_NO_INDEX="1")
        assert done.returncode == 0, done.stderr
        assert done.stdout == "kling nine\n"
        assert (Path(path.read_text().strip()) / "kling").is_file()
        assert not list(review.folder.rglob("pwned"))


@pytest.mark.skipif("diff" not in COMMANDS, reason="there is no kling diff yet")
class TestReal:
    def test_the_cost_of_a_longer_shot_is_said(self, review: Review, comments: Comments) -> None:
        review.real_difference()
        outcome = run_action(review)
        assert outcome.failed == [], outcome.log
        assert "0.84" in comments.kept[0]["body"]

    def test_more_than_the_limit_fails(self, review: Review, comments: Comments) -> None:
        review.real_difference()
        outcome = run_action(review, max_increase="$0.50")
        assert outcome.failed == ["Hold the cost against its limit"]
        assert "0.84" in comments.kept[0]["body"]
        assert run_action(review, max_increase="$0.84").failed == []

    def test_a_change_of_no_film_begins_no_comment_and_corrects_one(self, tmp_path: Path, comments: Comments) -> None:
        review = Review(tmp_path / "other", comments)
        review.commit({"README.md": "words"}, branch="change")
        review.check_out()
        review.real_difference()
        outcome = run_action(review)
        assert outcome.failed == []
        assert outcome.steps["Comment"].stdout == "no clip changed, and there is no comment that says otherwise\n"
        assert comments.kept == []
        comments.say(f"{MARK}\n+$9", BOT)
        run_action(review)
        assert "nothing to buy for what changed" in comments.kept[0]["body"]

    def test_a_renamed_shot_is_told(self, tmp_path: Path, comments: Comments) -> None:
        review = Review(tmp_path / "renamed", comments)
        review.commit({"film.kling": FILM.replace("stove 5s", "oven 5s")}, branch="change")
        review.check_out()
        review.real_difference()
        assert review_cost(review).failed == []
        assert "oven" in comments.kept[0]["body"]

    def test_a_film_that_the_change_removes_is_told(self, tmp_path: Path, comments: Comments) -> None:
        review = Review(tmp_path / "removed", comments)
        review.commit({"films/old.kling": FILM.replace("wake", "sleep")})
        review.commit({"films/old.kling": None}, branch="change")
        review.check_out()
        review.real_difference()
        assert review_cost(review, films="films/*.kling").failed == []
        assert "films/old.kling" in comments.kept[0]["body"]
