"""A film's life in git, from the first commit to a second clone: each clip is bought once, and every dollar is told before."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from render_films import REAL_MONEY, Ran, Theatre
from test_render_key import UNNOTICED

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")

FILM = """\
Title: Night Ferry
Model: o3-4k
Budget: $20
Headings: off

EXT. PIER - DUSK

SHOT wait 4s wide
A woman waits at the end of the pier,
her case at her feet.

SHOT horn 5s close-up
She looks up as the horn sounds.

INT. FERRY - NIGHT

SHOT deck 3s low angle
The deck lights come on.

SHOT wake 3s
White water behind the boat.
"""

EDITED = """\
Title: Night Ferry
Model: o3-4k
Budget: $20
Headings: off

EXT. PIER - DUSK

# her coat has to be the one of the first scene
SHOT wait 4s wide
A woman waits at the end of the pier, her case at her feet.

SHOT wash 3s
White water behind the boat.

SHOT horn 5s close-up
She looks up, smiling, as the horn sounds.

INT. FERRY - NIGHT

SHOT deck 3s low angle
The deck lights come on.
"""


class Clone:
    """A working tree of the film's repository, and the ways of its writer."""

    def __init__(self, folder: Path, theatre: Theatre) -> None:
        self.folder = folder
        self._theatre = theatre

    def git(self, *words: str) -> str:
        who = {f"GIT_{role}_{what}": "ada" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        plain = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        done = subprocess.run(
            ("git", *words), cwd=self.folder, env={**os.environ, **who, **plain}, capture_output=True, check=True
        )
        return done.stdout.decode()

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text, encoding="utf-8")

    def commit(self, message: str) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)

    def kling(self, *words: str, code: int = 0) -> Ran:
        """Run `kling` with money, as far as it knows: a sandbox stands in for fal without being recognized."""
        job = {"folder": str(self.folder), "words": words, "patches": UNNOTICED, "environment": REAL_MONEY}
        (ran,) = self._theatre.driver.run(job)
        assert ran.code == code, (ran.code, ran.stdout, ran.stderr)
        return ran

    def json(self, *words: str, code: int = 0) -> Any:
        return json.loads(self.kling(*words, "--format", "json", code=code).stdout)

    def bought(self) -> list[str]:
        """Return the prompts of what was bought so far, in the order in which the requests arrived."""
        return [str(submission.arguments["prompt"]) for submission in self._theatre.bill().submissions]


def begin(folder: Path, theatre: Theatre) -> Clone:
    theatre.reset()
    folder.mkdir()
    clone = Clone(folder, theatre)
    clone.git("init", "--quiet", "--initial-branch", "main")
    clone.write("film.kling", FILM)
    clone.write("kling.toml", '[limits]\nper_run_usd = "$10"\n')
    clone.write(".gitignore", ".kling/\nout/\n")
    clone.write(".gitattributes", "*.kling text eol=lf\n*.kling.lock text eol=lf merge=union\n")
    clone.commit("A film of four shots")
    clone.kling("render", "film.kling", "--yes")
    clone.commit("Render it")
    return clone


def test_one_edit_is_one_purchase_from_the_branch_to_the_second_clone(theatre: Theatre, tmp_path: Path) -> None:
    ada = begin(tmp_path / "ada", theatre)
    assert len(ada.bought()) == 4
    assert ada.json("plan", "film.kling")["total"]["kept_usd"] == "6.30"

    # On a branch one shot is reworded, another moved and renamed, a third gets a comment, and is wrapped anew.
    ada.git("switch", "--quiet", "--create", "smile")
    ada.write("film.kling", EDITED)
    ada.commit("She smiles")
    difference = ada.json("diff", "main..smile")
    [film] = difference["films"]
    kinds = {clip["id"]: clip["kind"] for clip in film["clips"]}
    assert {name: kind for name, kind in kinds.items() if kind in ("new", "changed", "removed")} == {"horn": "changed"}
    assert kinds["wash"] == "renamed"
    assert difference["total"]["billable_usd"] == "2.10"
    assert ada.json("diff", "main..smile", "--max-increase", "$0")["total"]["difference_usd"] == "0.00"
    assert re.search(r"\{\+[^}]*smiling", ada.kling("diff", "main..smile").stdout)

    # The plan is saved, reviewed with the branch, and merged.
    ada.kling("plan", "film.kling", "--out", "plan.json")
    ada.commit("Plan it")
    ada.git("switch", "--quiet", "main")
    ada.git("merge", "--quiet", "--no-ff", "--message", "She smiles", "smile")
    assert "what was paid for" in ada.kling("why", "horn").stdout

    # Exactly that is bought, and buying it again is refused, since the plan has come true.
    ada.kling("render", "plan.json", "--yes")
    [prompt] = ada.bought()[4:]
    assert "smiling" in prompt
    assert "horn was changed, 1 to buy and is kept" in ada.kling("render", "plan.json", "--yes", code=3).stderr
    assert len(ada.bought()) == 5
    assert ada.kling("verify").code == 0
    ada.commit("Render what changed")

    # A clone that is given the store buys nothing.
    given = Clone(tmp_path / "given", theatre)
    ada.git("clone", "--quiet", str(ada.folder), str(given.folder))
    shutil.copytree(ada.folder / ".kling" / "store", given.folder / ".kling" / "store")
    assert given.json("plan", "film.kling")["total"]["to_buy_usd"] == "0.00"
    given.kling("render", "film.kling", "--yes")
    given.kling("render", "film.kling", "--locked")
    assert (given.folder / "out" / "film" / "horn.mp4").is_file()

    # One that is not says exactly what it lacks, and buys none of it again.
    bare = Clone(tmp_path / "bare", theatre)
    ada.git("clone", "--quiet", str(ada.folder), str(bare.folder))
    plan = bare.json("plan", "film.kling")
    assert {clip["id"]: clip["state"] for clip in plan["clips"]} == dict.fromkeys(kinds, "missing")
    assert plan["total"]["to_buy_usd"] == "0.00"
    ended = bare.kling("render", "film.kling", "--yes", code=4)
    digest = next(clip["why"] for clip in plan["clips"] if clip["id"] == "horn")
    assert digest in " ".join((ended.stdout + ended.stderr).split())
    bare.kling("render", "film.kling", "--locked", code=3)
    assert len(ada.bought()) == 5


def test_two_branches_that_render_merge_without_a_conflict(theatre: Theatre, tmp_path: Path) -> None:
    ada = begin(tmp_path / "ada", theatre)
    for branch, old, new in (("smile", "looks up", "looks up, smiling,"), ("storm", "White water", "Wild water")):
        ada.git("switch", "--quiet", "--create", branch, "main")
        ada.write("film.kling", FILM.replace(old, new))
        ada.kling("render", "film.kling", "--yes")
        ada.commit(branch)
    ada.git("switch", "--quiet", "main")
    for branch in ("smile", "storm"):
        ada.git("merge", "--quiet", "--message", f"Merge {branch}", branch)
    assert ada.json("plan", "film.kling")["total"]["to_buy_usd"] == "0.00"
    assert len(ada.bought()) == 6
    assert ada.kling("verify").code == 0
