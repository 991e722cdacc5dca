"""A stage for the steps of a review: a real repository with a change in it, and a stub of the servers that take comments."""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from workflow_files import ROOT, steps_of

STEPS = ROOT / "specs" / "starter" / "ci" / "steps"
ACTION = ROOT / "action.yml"
BOT = "github-actions[bot]"
MARK = "<!-- kling: what this change costs -->"

FILM = """\
Title: The Pier
Budget: $40

SHOT wake 4s
He wakes.

SHOT stove 5s
He lights the stove.
"""

LONGER = FILM.replace("stove 5s", "stove 7s")
BROKEN = FILM.replace("SHOT stove 5s", "SHOT stove 4.5s")

_STAND_IN = """\
#!/usr/bin/env bash
if [[ $1 == diff && -f "$STAND_IN/code" ]]; then
  printf '%s\\0' "$@" >"$STAND_IN/words"
  cat "$STAND_IN/report"
  cat "$STAND_IN/reason" >&2
  exit "$(cat "$STAND_IN/code")"
fi
exec "$STAND_IN_PYTHON" -P -m kling_dsl "$@"
"""


class Comments:
    """A server on loopback that keeps comments as GitHub's API does, or notes as GitLab's does, and what it was asked."""

    def __init__(self) -> None:
        self.kept: list[dict[str, Any]] = []
        self.asked: list[tuple[str, str]] = []
        self.tokens: set[str] = set()
        self.refused: dict[str, int] = {}
        """The status by which a method is refused."""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                token = self.headers.get("Authorization") or self.headers.get("PRIVATE-TOKEN") or ""
                status, answer = outer.answer(self.command, self.path, body, token)
                content = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        for method in ("GET", "POST", "PATCH", "PUT"):
            setattr(Handler, f"do_{method}", Handler.handle_any)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def say(self, body: str, author: str) -> None:
        """Keep what somebody else wrote."""
        self.kept.append({"id": len(self.kept) + 1, "body": body, "user": {"login": author}})

    def answer(self, method: str, path: str, body: Any, token: str) -> tuple[int, Any]:
        self.asked.append((method, path))
        self.tokens.add(token)
        if method in self.refused:
            return self.refused[method], {"message": "Resource not accessible by integration"}
        place = urlsplit(path)
        if place.path == "/user":
            return 200, {"username": "robot"}
        if re.fullmatch(r"/repos/o/r/issues/7/comments|/projects/9/merge_requests/7/notes", place.path):
            if method == "POST":
                self.say(body["body"], BOT)
                if place.path.endswith("/notes"):
                    del self.kept[-1]["user"]
                    self.kept[-1]["author"] = {"username": "robot"}
                return 201, self.kept[-1]
            query = parse_qs(place.query)
            size, page = int(query["per_page"][0]), int(query["page"][0])
            return 200, self.kept[(page - 1) * size : page * size]
        one = re.fullmatch(r"(?:/repos/o/r/issues/comments|/projects/9/merge_requests/7/notes)/(\d+)", place.path)
        if one and method in ("PATCH", "PUT"):
            self.kept[int(one[1]) - 1]["body"] = body["body"]
            return 200, {}
        return 404, {"message": "Not Found"}


class Review:
    """A pull request from the branch `change` to `main`, checked out as a server does it."""

    def __init__(self, folder: Path, comments: Comments, *, like: Path | None = None) -> None:
        """Begin with one commit of the film, or with a copy of the origin of another review."""
        self.folder = folder
        self.comments = comments
        self.origin = folder / "origin"
        self.work = folder / "work"
        self.temp = folder / "temp"
        self.home = folder / "home"
        self.bin = folder / "bin"
        for place in (self.temp, self.home, self.bin):
            place.mkdir(parents=True)
        self.stand_in(report="### Cost\n\nno change\n")
        program = self.bin / "kling"
        program.write_text(_STAND_IN)
        program.chmod(0o755)
        self.summary = self.temp / "summary.md"
        if like:
            shutil.copytree(like, self.origin)
        else:
            self.git("init", "--quiet", "--initial-branch=main", str(self.origin), folder=folder)
            self.commit({"film.kling": FILM})

    def git(self, *words: str, folder: Path | None = None) -> str:
        """Run git as nobody in particular."""
        done = subprocess.run(
            ("git", "-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "maintenance.auto=false", *words),
            cwd=folder or self.origin,
            env=self.surroundings(),
            capture_output=True,
            encoding="utf-8",
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def commit(self, files: Mapping[str, str | None], *, branch: str = "main") -> str:
        """Commit files on a branch of the origin, which begins where HEAD is; None removes a file."""
        known = subprocess.run(
            ("git", "rev-parse", "--verify", "--quiet", f"refs/heads/{branch}"), cwd=self.origin, check=False, timeout=60,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        if known.returncode == 0:
            self.git("symbolic-ref", "HEAD", f"refs/heads/{branch}")
            self.git("reset", "--quiet", "--hard")
        elif branch != "main":
            self.git("update-ref", f"refs/heads/{branch}", "HEAD")
            self.git("symbolic-ref", "HEAD", f"refs/heads/{branch}")
        for name, content in files.items():
            place = self.origin / name
            if content is None:
                place.unlink()
            else:
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(content)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "Work")
        return self.git("rev-parse", "HEAD")

    def check_out(self, branch: str = "change", *, depth: int = 0) -> None:
        """Clone what the change is, all of it or so many commits deep."""
        words = ("--depth", str(depth)) if depth else ()
        self.git(
            "clone", "--quiet", *words, "--branch", branch, f"file://{self.origin}", str(self.work), folder=self.folder
        )

    def stand_in(self, *, report: str = "", code: int = 0, reason: str = "") -> None:
        """Say what `kling diff` prints and how it ends."""
        for name, content in (("report", report), ("code", str(code)), ("reason", reason)):
            (self.bin / name).write_text(content)

    def real_difference(self) -> None:
        """Let `kling diff` be the real one."""
        (self.bin / "code").unlink()

    def words(self) -> list[str]:
        """Return the words that `kling diff` was called with."""
        return (self.bin / "words").read_text().split("\0")[:-1]

    def step(self, name: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run one script of the steps."""
        return self.bash(f'bash "{STEPS / name}.sh"', settings)

    def bash(self, program: str, settings: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """Run a program as GitHub's runner does."""
        script = self.temp / "step.sh"
        script.write_text(program)
        return subprocess.run(
            ("bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)),
            cwd=self.work,
            env={**self.surroundings(), **settings},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            check=False,
            timeout=60,
        )

    def without(self, *programs: str) -> str:
        """Return a path on which these programs are missing."""
        place = self.folder / "few"
        place.mkdir(exist_ok=True)
        for folder in os.environ["PATH"].split(os.pathsep):
            for program in Path(folder).glob("*") if Path(folder).is_dir() else ():
                if program.name not in programs and not os.path.lexists(place / program.name):
                    (place / program.name).symlink_to(program)
        return f"{self.bin}{os.pathsep}{place}"

    def surroundings(self) -> dict[str, str]:
        """Return the environment that a runner gives to every step."""
        return {
            "PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.home),
            "XDG_CACHE_HOME": str(self.home / "cache"),
            "KLING_CACHE_DIR": os.environ["KLING_CACHE_DIR"],  # a cold one would read the grammar and every sheet anew
            "STAND_IN": str(self.bin),
            "STAND_IN_PYTHON": sys.executable,
            "GIT_CONFIG_NOSYSTEM": "1",
            "KLING_TODAY": "2026-11-22",
            "RUNNER_TEMP": str(self.temp),
            "GITHUB_ACTIONS": "true",
            "GITHUB_ACTION_PATH": str(ROOT),
            "GITHUB_API_URL": self.comments.url,
            "GITHUB_SERVER_URL": "https://github.example",
            "GITHUB_REPOSITORY": "o/r",
            "GITHUB_RUN_ID": "42",
            "GITHUB_STEP_SUMMARY": str(self.summary),
        }


@functools.cache
def _longer() -> tempfile.TemporaryDirectory[str]:
    """Make a review in which the change makes a shot longer, once for all tests of a process."""
    folder = tempfile.TemporaryDirectory(prefix="kling-review-")
    comments = Comments()
    Review(Path(folder.name), comments).commit({"film.kling": LONGER}, branch="change")
    comments.close()
    return folder


def longer_review(folder: Path, comments: Comments) -> Review:
    """Return a review in which the change makes a shot longer, checked out."""
    review = Review(folder, comments, like=Path(_longer().name, "origin"))
    review.check_out()
    return review


class Outcome:
    """What the steps of an Action came to, by name."""

    def __init__(self) -> None:
        self.steps: dict[str, subprocess.CompletedProcess[str]] = {}

    @property
    def failed(self) -> list[str]:
        return [name for name, done in self.steps.items() if done.returncode != 0]

    @property
    def log(self) -> str:
        return "".join(done.stdout + done.stderr for done in self.steps.values())


def run_action(review: Review, *, without: Iterable[str] = ("Install kling",), **inputs: str) -> Outcome:
    """Run the Action's steps in order as a runner does; those with `!cancelled()` run after a failure too."""
    outcome = Outcome()
    text = ACTION.read_text(encoding="utf-8")
    for step in steps_of(text):
        if step.name in without or (outcome.failed and "!cancelled()" not in step.condition):
            continue
        settings = {name: evaluate(value, text, inputs, review) for name, value in step.environment.items()}
        outcome.steps[step.name] = review.bash(step.run, settings)
    return outcome


def review_cost(review: Review, **inputs: str) -> Outcome:
    """Run the steps after the check."""
    return run_action(review, without=("Install kling", "Check", "Test the scripts"), **inputs)


def evaluate(expression: str, text: str, inputs: Mapping[str, str], review: Review) -> str:
    """Return what an expression of the Action is in a pull request from `change` to `main`."""
    source = expression.removeprefix("${{ ").removesuffix(" }}")
    if source.startswith("inputs.") and " " not in source:
        return given(source.removeprefix("inputs."), text, inputs)
    known = {
        "github.base_ref": "main",
        "github.event.pull_request.base.sha": review.git("rev-parse", "refs/heads/main"),
        "github.event.pull_request.number": "7",
        "github.token": "t0ken",
    }
    return known[source]


def given(name: str, text: str, inputs: Mapping[str, str]) -> str:
    """Return an input, or what the Action says for want of it."""
    default = re.search(rf'^  {name}:\n    description: .*\n    default: "(.*)"$', text, re.MULTILINE)
    assert default, name
    return inputs.get(name.replace("-", "_"), default[1])


def lacking(*programs: str) -> str:
    """Return which of these programs are not here, for the reason of a skip."""
    return ", ".join(program for program in programs if shutil.which(program) is None)
