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
from review_stage import (
    ACTION,
    BROKEN,
    FILM,
    LONGER,
    MARK,
    STEPS,
    Comments,
    Review,
    lacking,
    longer_review,
    review_cost,
    run_action,
)
from workflow_files import parsed, steps_of

pytestmark = pytest.mark.skipif(
    bool(lacking("bash", "curl", "git", "jq")), reason=f"needs {lacking('bash', 'curl', 'git', 'jq')}"
)

# A Python without pip, which makes environments with the Python `inside` in them, and that one.
LACKS_PIP = """#!/bin/sh
printf '%s\\n' "python3 $*" >>"$STAND_IN/pythons"
[ "$3" = venv ] || exit 1
mkdir -p "$6/bin"
cp "$STAND_IN/inside" "$6/bin/python"
"""
IN_ENVIRONMENT = """#!/bin/sh
case $0 in */kling) echo "kling nine"; exit ;; esac
printf '%s\\n' "python $*" >>"$STAND_IN/pythons"
[ "$4" != install ] || cp "$0" "${0%python}kling"
"""
HOSTILE = "$(touch${IFS}pwned);`touch${IFS}pwned`"


@pytest.fixture
def comments() -> Iterator[Comments]:
    server = Comments()
    yield server
    server.close()


@pytest.fixture
def review(tmp_path: Path, comments: Comments) -> Review:
    return longer_review(tmp_path, comments)


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
        assert "no film has an EXPECT line" in outcome.log
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
        assert comments.kept[0]["body"] == f"{MARK}\nfilm.kling does not compile\n"

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
        (review.work / "film.kling").write_text(f"{LONGER}\nEXPECT clips = 2\n")
        (review.bin / "kling").write_text('#!/bin/sh\necho "::add-mask::x"; echo "$@"; exit 1\n')
        done = review.step("test")
        assert done.returncode == 1
        [word] = re.findall(r"^::stop-commands::(kling-[0-9a-f]{32})$", done.stdout, re.MULTILINE)
        assert f"\n::add-mask::x\ntest -- film.kling\n\n::{word}::\n" in done.stdout
        assert done.stdout.endswith("::error::a test of the scripts failed: kling test ended with exit code 1\n")

    def test_the_expect_lines_of_films_are_run_where_there_are_any(self, review: Review) -> None:
        none = review.step("test")
        assert (none.returncode, none.stdout) == (0, "no film has an EXPECT line\n")
        (review.work / "film.test.kling").write_text("EXPECT clips = 2\n")
        review.git("add", "--all", folder=review.work)
        holds = review.step("test")
        assert holds.returncode == 0, holds.stdout
        assert "film.test.kling: the one EXPECT line holds" in holds.stdout
        (review.work / "film.test.kling").write_text("EXPECT clips = 3\n")
        fails = review.step("test")
        assert fails.returncode == 1
        assert "error[expect-failed]: the film has 2 clips, and exactly 3 is expected" in fails.stdout


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
        for name in ("pip", "venv", "kling_dsl", "ensurepip", "zipfile"):
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
        settings = {"KLING_PACKAGE": str(wheel), "GITHUB_PATH": str(path), "PIP_NO_INDEX": "1"}
        done = review.step("install", **settings, PYTHONPATH=str(review.work))
        assert done.returncode == 0, done.stderr
        assert done.stdout == "kling nine\n"
        assert (Path(path.read_text().strip()) / "kling").is_file()
        assert not list(review.folder.rglob("pwned"))

    def test_an_environment_gets_a_pip_where_there_is_none_and_every_python_is_isolated(self, review: Review) -> None:
        for name, program in (("python3", LACKS_PIP), ("inside", IN_ENVIRONMENT)):
            (review.bin / name).write_text(program)
            (review.bin / name).chmod(0o755)
        path = review.temp / "path"
        done = review.step("install", KLING_PACKAGE="kling-dsl==9.0", GITHUB_PATH=str(path))
        assert (done.returncode, done.stdout) == (0, "kling nine\n"), done.stderr
        place = f"{review.temp}/kling-review/environment"
        assert (review.bin / "pythons").read_text().splitlines() == [
            f"python3 -I -m venv --clear --without-pip {place}",
            f"python3 -I -m pip --python {place}/bin/python --version",
            "python -I -m ensurepip",
            "python -I -m pip install --quiet --disable-pip-version-check --no-input kling-dsl==9.0",
        ]
