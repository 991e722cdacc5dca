"""Asks git for revisions, trees and blobs, by a few processes that run nothing of what the repository configures."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec

CALL_SECONDS = 120
"""How long one call of git may take: the tree of a repository with a million files takes it a few seconds."""

READING_SECONDS = 900
"""How long all the reading of blobs may take together."""

MAX_TREE_BYTES = 512 * 1024 * 1024
"""The longest listing of a tree: a million files with long paths stay below it."""

MAX_BLOB_BYTES = 512 * 1024 * 1024
"""The largest blob that is ever read whole, as for a media file on the disk."""

MAX_RESTARTS = 3
"""How often a process that ended over a question is started again before we give up."""

_LONGEST_NAME = 1000
"""The longest revision that anybody types."""

_KEPT_VARIABLES = ("GIT_CEILING_DIRECTORIES", "GIT_DISCOVERY_ACROSS_FILESYSTEM", "GIT_EXEC_PATH")
_KEPT_PREFIX = "GIT_CONFIG"
_COMMIT = re.compile(r"(?:[0-9a-f]{40}|[0-9a-f]{64})\Z")

_FIRST_WORDS = (
    "--no-pager",
    "--no-optional-locks",
    "--literal-pathspecs",
    *("-c", "core.fsmonitor=false"),
    *("-c", f"core.hooksPath={os.devnull}"),
    *("-c", f"core.attributesFile={os.devnull}"),
    *("-c", "core.sshCommand=false"),
    *("-c", "core.askPass="),
    *("-c", "credential.helper="),
    *("-c", "protocol.allow=never"),
    *("-c", "safe.bareRepository=explicit"),
)
_SETTINGS = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_PAGER": "cat",
    # A part that a clone left out is not fetched. What the repository says of single protocols stands over
    # `protocol.allow`, and this list stands over both; it is for those versions of git that know no other way.
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "none",
    # An id has to stand for one content, since facts are kept by it.
    "GIT_NO_REPLACE_OBJECTS": "1",
    "LC_ALL": "C",
    "LANGUAGE": "C",
}


class GitProblem(Exception):
    """Git cannot answer; the message says why and what to do.

    `usage` is `wrong` where another revision would help, and `elsewhere` where another folder would.
    """

    def __init__(self, message: str, *, usage: Literal["wrong", "elsewhere", "right"] = "right") -> None:
        super().__init__(message)
        self.usage = usage


class Entry(msgspec.Struct, frozen=True):
    """What a tree has at a path: `file`, `link` or `submodule`, and the id of its content."""

    kind: Literal["file", "link", "submodule"]
    id: str


class Commit(msgspec.Struct, frozen=True):
    """A commit: its id, when it was made (ISO 8601) and the first line of its message."""

    id: str
    date: str
    subject: str


Tree = Mapping[bytes, Entry]
"""The files below a folder at a revision, by path from that folder."""


class Repository:
    """The repository that a folder lies in; used as a context, which ends its processes.

    Blobs are asked of two processes that live as long as this object, one for sizes and one for contents, so that the
    number of processes does not depend on that of the files.
    """

    def __init__(self, folder: Path) -> None:
        """Find the repository of a folder; raises GitProblem when there is none that can be used."""
        self._folder = folder
        self._git = _find_git()
        words = ("rev-parse", "--is-inside-work-tree", "--is-shallow-repository", "--show-cdup")
        done = self._call(words)
        if done.returncode:
            missing = b"not a git repository" in done.stderr
            raise GitProblem(_refusal(done.stderr, folder), usage="elsewhere" if missing else "right")
        lines = os.fsdecode(done.stdout).split("\n", 2)
        if lines[0] != "true":
            raise GitProblem(f"{folder} lies in a git folder without a working tree; run this in a working tree")
        self._is_shallow = lines[1] == "true"
        self.top = Path(os.path.realpath(os.path.join(folder, lines[2].removesuffix("\n"))))
        self._sizes: _Batch | None = None
        self._contents: _Batch | None = None

    def __enter__(self) -> Repository:
        return self

    def __exit__(self, *_: object) -> None:
        for batch in (self._sizes, self._contents):
            if batch is not None:
                batch.close()
        self._sizes = self._contents = None

    def prefix_of(self, root: Path) -> bytes:
        """Return the path of a folder from the top of the working tree, with `/` after it; empty for the top itself."""
        try:
            parts = root.relative_to(self.top).parts
        except ValueError:
            raise GitProblem(f"{root} lies outside the working tree of its repository, {self.top}") from None
        return b"".join(os.fsencode(part) + b"/" for part in parts)

    def commit_of(self, revision: str) -> str:
        """Return the id of the commit that a revision names."""
        _refuse_odd(revision)
        done = self._call(("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"))
        found = done.stdout.decode("ascii", "replace").strip()
        if done.returncode == 0 and _COMMIT.match(found):
            return found
        if revision == "HEAD":
            raise GitProblem("this repository has no commit yet, so there is nothing to compare with; commit first")
        raise GitProblem(f"there is no revision '{revision}' in this repository{self._deepen()}", usage="wrong")

    def merge_base(self, one: str, other: str) -> str:
        """Return the commit from which two commits, given by id, went apart."""
        done = self._call(("merge-base", "--end-of-options", one, other))
        found = done.stdout.decode("ascii", "replace").partition("\n")[0]
        if done.returncode == 0 and _COMMIT.match(found):
            return found
        raise GitProblem(f"the two revisions have no common commit here{self._deepen()}")

    def commits(self, *, most: int, below: bytes) -> tuple[Commit, ...]:
        """Return the commits that changed something below a folder, from HEAD back along first parents, newest first."""
        form = "--format=%H%x00%cI%x00%s"
        where = ("--", os.fsdecode(below)) if below else ()
        words = ("log", "-z", form, "--first-parent", f"--max-count={most}", "--no-show-signature", "HEAD", *where)
        done = self._call(words)
        if done.returncode:
            return ()
        fields = done.stdout.decode("utf-8", "replace").split("\0")
        return tuple(Commit(*fields[at : at + 3]) for at in range(0, len(fields) - 2, 3))

    def tree(self, commit: str, prefix: bytes) -> Tree:
        """Return the files of a commit below a folder, which is given as `prefix_of` does; empty without such a folder."""
        where = ("--", os.fsdecode(prefix)) if prefix else ()
        done = self._call(("ls-tree", "-r", "-z", "--full-tree", commit, *where))
        if done.returncode:
            raise GitProblem(f"git cannot list the files of {commit[:12]}: {_words(done.stderr)}{self._deepen()}")
        if len(done.stdout) > MAX_TREE_BYTES:
            raise GitProblem(f"{commit[:12]} has more files than can be listed in {MAX_TREE_BYTES // 2**20} MiB")
        return _entries(done.stdout, len(prefix))

    def size(self, blob: str) -> int | None:
        """Return the bytes of a blob; None when this clone does not have it."""
        if self._sizes is None:
            self._sizes = _Batch(self._words(("cat-file", "--batch-check")), self._folder)
        return self._sizes.ask(blob)

    def read(self, blob: str) -> bytes | None:
        """Return the content of a blob whose size is known to be bearable; None when this clone does not have it."""
        if self._contents is None:
            self._contents = _Batch(self._words(("cat-file", "--batch")), self._folder)
        size = self._contents.ask(blob)
        return None if size is None else self._contents.take(size)

    def _call(self, words: Sequence[str]) -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run(  # noqa: S603 - git by its absolute path, its words after our own
                self._words(words),
                cwd=self._folder,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=CALL_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise GitProblem(f"git did not answer `{words[0]}` within {CALL_SECONDS} seconds") from None
        except (OSError, ValueError) as problem:
            raise GitProblem(f"git cannot be run in {self._folder}: {problem}") from None

    def _words(self, words: Sequence[str]) -> tuple[str, ...]:
        return (self._git, *_FIRST_WORDS, *words)

    def _deepen(self) -> str:
        if not self._is_shallow:
            return ""
        return (
            "; this clone is shallow and may have been cut off before it: fetch more of its history with"
            " `git fetch --unshallow`, or ask for the whole of it where it is cloned (`fetch-depth: 0`)"
        )


def blob_id(content: bytes, *, like: str) -> str:
    """Return the id that git gives to a content, in the form of the repository that an id is from."""
    # The name of a content, and no protection of anything.
    digest = hashlib.sha256() if len(like) == 64 else hashlib.sha1(usedforsecurity=False)
    digest.update(b"blob %d\0" % len(content))
    digest.update(content)
    return digest.hexdigest()


class _Batch:
    """A process of git that answers one question after the other."""

    def __init__(self, words: Sequence[str], folder: Path) -> None:
        self._words = words
        self._folder = folder
        self._restarts = 0
        self._start()

    def ask(self, blob: str) -> int | None:
        """Ask for one blob; return its bytes as git announces them, or None when it is missing."""
        assert _COMMIT.match(blob), "an id of git is hexadecimal, so that it asks one question"
        parts = self._answer(blob)
        if len(parts) == 3 and parts[1] == b"blob":
            return int(parts[2])
        if len(parts) == 2:
            return None
        # Where a clone left parts out, some versions of git end over the first of them, since they may not fetch it.
        if parts or self._restarts == MAX_RESTARTS:
            raise GitProblem(
                f"git cannot read {blob[:12]}: this clone is damaged or left out a part of its history;"
                " `git fsck` may say more, and `git fetch --refetch` fetches what is missing"
            )
        self._restarts += 1
        self.close()
        self._start()
        return None

    def _start(self) -> None:
        try:
            self._process = subprocess.Popen(  # noqa: S603 - git by its absolute path, and no words but ours
                self._words,
                cwd=self._folder,
                env=_environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        except OSError as problem:
            raise GitProblem(f"git cannot be run in {self._folder}: {problem}") from None
        self._alarm = threading.Timer(READING_SECONDS, self._process.kill)
        self._alarm.daemon = True
        self._alarm.start()

    def _answer(self, blob: str) -> list[bytes]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(blob.encode("ascii") + b"\n")
            self._process.stdin.flush()
            return self._process.stdout.readline(_LONGEST_NAME).split()
        except OSError:
            return []

    def take(self, size: int) -> bytes:
        """Read the content that was announced."""
        assert self._process.stdout is not None
        if size > MAX_BLOB_BYTES:
            raise GitProblem(f"a file of {size} bytes is too large to be read from git")
        content = self._process.stdout.read(size + 1)
        if len(content) != size + 1:
            raise GitProblem("git stopped in the middle of a file; `git fsck` may say why")
        return content[:-1]

    def close(self) -> None:
        """End the process."""
        self._alarm.cancel()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                if pipe is not None:
                    pipe.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._alarm.join()


def _find_git() -> str:
    # A folder that is named from where one stands could be the project's own, and a program in it anybody's.
    folders = os.pathsep.join(folder for folder in os.get_exec_path() if os.path.isabs(folder))
    found = shutil.which("git", path=folders)
    if found is None:
        raise GitProblem("git is not installed, and revisions are read through it")
    return found


def _environment() -> dict[str, str]:
    """Return the environment of git: none of what would lead it to another repository or make it write or ask."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GIT_") or name.startswith(_KEPT_PREFIX) or name in _KEPT_VARIABLES
    }
    return kept | _SETTINGS


def _refuse_odd(revision: str) -> None:
    """Refuse what git could take for an option, and what no revision looks like."""
    if not revision or revision.startswith("-") or len(revision) > _LONGEST_NAME or "\0" in revision:
        raise GitProblem(f"'{revision[:80]}' is no revision", usage="wrong")


def _entries(listing: bytes, skip: int) -> dict[bytes, Entry]:
    """Take a listing apart; paths lose the prefix, which every one begins with."""
    found: dict[bytes, Entry] = {}
    for line in listing.split(b"\0"):
        facts, tab, path = line.partition(b"\t")
        if not tab:
            continue
        mode, _, name = facts.split(b" ")
        kind: Literal["file", "link", "submodule"] = (
            "submodule" if mode == b"160000" else "link" if mode == b"120000" else "file"
        )
        found[path[skip:]] = Entry(kind, name.decode("ascii"))
    return found


def _refusal(said: bytes, folder: Path) -> str:
    """Return in our words why git does not take a folder for one of a repository."""
    if b"dubious ownership" in said:
        return (
            f"git does not trust {folder}, because another user owns it; if you do, tell git with"
            f" `git config --global --add safe.directory <its top folder>`"
        )
    if b"not a git repository" in said:
        return f"{folder} is in no git repository, and revisions can only be compared in one; begin with `git init`"
    if b"bare" in said or b"work tree" in said:
        return f"{folder} lies in a git folder without a working tree; run this in a working tree"
    return f"git cannot use the repository of {folder}: {_words(said)}"


def _words(said: bytes) -> str:
    """Return the first line of what git said."""
    lines = said.decode("utf-8", "replace").strip().splitlines()
    return lines[0].removeprefix("fatal: ").removeprefix("error: ")[:300] if lines else "it does not say why"
