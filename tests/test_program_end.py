"""The program ends as soon as it has an exit code, and leaves nothing undone that was left to its end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

START = """
import atexit, sys, threading, time
from kling_dsl.cli import run

class Kept:
    def __del__(self):
        print("taken apart")

kept = Kept()
atexit.register(print, "left to the end")
sys.argv = ["kling", *sys.argv[1:]]
"""


def ended(*words: str, before: str = "") -> tuple[int, list[str]]:
    """Return the exit code and the lines of a program that does something before it becomes `kling`."""
    program = f"{START}{before}\nrun()\n"
    done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.splitlines()


def test_nothing_is_taken_apart_and_what_was_left_to_the_end_is_done() -> None:
    code, lines = ended("--version")
    assert code == 0
    assert lines[0].startswith("kling")
    assert lines[1:] == ["left to the end"]


def test_the_exit_code_is_that_of_the_verb(tmp_path: Path) -> None:
    film = tmp_path / "film.kling"
    film.write_text("SHOT door 3s wide\nA door opens for @Nobody.\n")
    assert ended("check", str(film))[0] == 1
    assert ended("check", str(tmp_path / "missing.kling"))[0] == 2


def test_another_thread_is_waited_for() -> None:
    late = "threading.Thread(target=lambda: (time.sleep(0.5), print('said late'))).start()"
    code, lines = ended("--version", before=late)
    assert (code, lines[1:]) == (0, ["said late", "left to the end", "taken apart"])


def test_an_output_that_is_full_is_no_success() -> None:
    program = f"{START}print('too much')\nsys.stdout = open('/dev/full', 'w')\nsys.stdout.write('lost')\nrun()\n"
    done = subprocess.run([sys.executable, "-c", program, "--version"], capture_output=True, text=True, check=False)
    assert done.returncode not in (0, 2)
