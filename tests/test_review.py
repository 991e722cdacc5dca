"""The comment of a review, and whole reviews: the Action with the real `kling diff`, and what `kling init --ci` writes."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from review_stage import (
    BOT,
    BROKEN,
    FILM,
    MARK,
    STEPS,
    Comments,
    Review,
    evaluate,
    lacking,
    longer_review,
    review_cost,
    run_action,
)
from workflow_files import steps_of

pytestmark = pytest.mark.skipif(
    bool(lacking("bash", "curl", "git", "jq")), reason=f"needs {lacking('bash', 'curl', 'git', 'jq')}"
)

JOINER = "\N{WORD JOINER}"


@pytest.fixture
def comments() -> Iterator[Comments]:
    server = Comments()
    yield server
    server.close()


@pytest.fixture
def review(tmp_path: Path, comments: Comments) -> Review:
    return longer_review(tmp_path, comments)


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


class TestWorkflows:
    """What `kling init --ci` writes, run with the kling and the scripts of this checkout."""

    @staticmethod
    def written(review: Review, server: str) -> str:
        assert subprocess.run(
            [review.bin / "kling", "init", "--ci", server], cwd=review.work, env=review.surroundings(), check=False,
            capture_output=True, timeout=60,
        ).returncode == 0  # fmt: skip
        place = {"github": ".github/workflows/kling.yml", "gitlab": ".gitlab-ci.yml"}[server]
        return (review.work / place).read_text()

    def test_github(self, review: Review, comments: Comments) -> None:
        review.real_difference()
        text = self.written(review, "github")
        above = dict(re.findall(r'^  (KLING_\w+): "?(.*?)"?$', text, re.MULTILINE))
        assert list(above) == ["KLING_PACKAGE", "KLING_FILMS", "KLING_STRICT", "KLING_MAX_INCREASE"]
        codes = {}
        for step in steps_of(text)[1:]:
            own = {name: evaluate(value, text, {}, review) for name, value in step.environment.items()}
            settings = {**above, "KLING_MAX_INCREASE": "$0.50", **own, "KLING_STEPS": str(STEPS)}
            codes[step.name] = review.bash(step.run, settings).returncode
        assert [name for name, code in codes.items() if code] == ["Hold the cost against its limit"]
        assert "0.84" in comments.kept[0]["body"]

    def test_gitlab(self, review: Review, comments: Comments) -> None:
        review.real_difference()
        text = self.written(review, "gitlab")
        above = dict(re.findall(r'^    (KLING_\w+): "?(.*?)"?$', text, re.MULTILINE))
        lines = re.findall(
            r"^    - (.*)$", text.partition("  script:\n")[2].partition("  artifacts:\n")[0], re.MULTILINE
        )
        assert len(lines) == 6
        # The three lines above install kling; here the Python that runs this test has it.
        program = "\n".join(lines[3:]).replace("$(python", f"$({sys.executable}")
        settings = {
            **above,
            "GITHUB_ACTIONS": "",
            "CI_API_V4_URL": comments.url,
            "CI_PROJECT_ID": "9",
            "CI_MERGE_REQUEST_IID": "7",
            "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
            "CI_MERGE_REQUEST_DIFF_BASE_SHA": review.git("rev-parse", "refs/heads/main"),
            "KLING_GITLAB_TOKEN": "glpat",
        }
        done = review.bash(program, settings)
        assert done.returncode == 0, done.stderr
        assert "0.84" in comments.kept[0]["body"]
        assert "0.84" in (review.work / "kling-review" / "report.md").read_text()
        refused = review.bash(program, {**settings, "KLING_MAX_INCREASE": "$0.50"})
        assert refused.returncode == 1
        assert "kling: error: refused: $0.84 more than before" in refused.stdout
        (review.work / "film.kling").write_text(BROKEN)
        assert review.bash(program, settings).returncode == 1
