"""Reads the files that servers run: the steps of an Action or a workflow, and the whole of one where a parser is at hand."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

ROOT = Path(__file__).resolve().parent.parent

_TO_JSON = "import json, sys, yaml; json.dump(yaml.load(sys.stdin, yaml.BaseLoader), sys.stdout)"


class Step(Struct, frozen=True):
    """One step that runs a program; `condition` is what stands at its `if`, without the marks around it."""

    name: str
    condition: str
    environment: dict[str, str]
    run: str


def parsed(text: str) -> Any:
    """Return what a real parser makes of YAML, every scalar as text; skip where there is none."""
    places = (sys.executable, ROOT / "benchmarks" / ".venv" / "bin" / "python", shutil.which("python3") or "")
    for python in places:
        if not Path(python).is_file():
            continue
        command = (str(python), "-I", "-c", _TO_JSON)
        done = subprocess.run(command, input=text, capture_output=True, encoding="utf-8", check=False, timeout=60)
        if done.returncode == 0:
            return json.loads(done.stdout)
        assert "No module named 'yaml'" in done.stderr, done.stderr
    pytest.skip("needs a Python that has PyYAML")


def steps_of(text: str) -> tuple[Step, ...]:
    """Return the steps that run something, read as these files write them: a key a line, blocks only after `run: |`."""
    found = []
    for block in re.split(r"^ +- (?=name:|uses:)", text, flags=re.MULTILINE)[1:]:
        fields = dict(re.findall(r"^(?: {6,8})?(name|if|run): (.*)$", block, re.MULTILINE))
        if "run" not in fields:
            continue
        if fields["run"] == "|":
            lines = re.findall(r"^ {10}(.*)$", block.partition("run: |\n")[2], re.MULTILINE)
            fields["run"] = "\n".join(lines) + "\n"
        environment = dict(re.findall(r"^ {8,10}(KLING_\w+): (.*)$", block, re.MULTILINE))
        condition = fields.get("if", "").removeprefix("${{ ").removesuffix(" }}")
        found.append(Step(fields["name"], condition, environment, fields["run"]))
    return tuple(found)
