"""Prepares the environment of the peers, and describes the machine that measures."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from processes import BenchmarkError

HERE = Path(__file__).resolve().parent
REQUIREMENTS = HERE / "requirements.txt"
ENVIRONMENT = HERE / ".venv"
SHOWN = ("click", "lark", "msgspec", "jinja2")


def peers_python() -> Path:
    """Return the Python of the peers, made from `requirements.txt` when it is missing or made from another one."""
    python = ENVIRONMENT / "bin" / "python"
    stamp = ENVIRONMENT / "requirements.txt"
    wanted = REQUIREMENTS.read_bytes()
    if python.exists() and stamp.exists() and stamp.read_bytes() == wanted:
        return python
    print(f"making {ENVIRONMENT.name} with what we compare with …", file=sys.stderr)
    shutil.rmtree(ENVIRONMENT, ignore_errors=True)
    _call(sys.executable, "-m", "venv", str(ENVIRONMENT))
    _call(str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(REQUIREMENTS))
    stamp.write_bytes(wanted)
    return python


def machine() -> str:
    """Return one line about the machine: processor, cores, system, Python and the packages that take part."""
    own = ", ".join(f"{name} {metadata.version(name)}" for name in SHOWN)
    peers = [line for line in REQUIREMENTS.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    compared = ("Jinja2", "PyYAML", "jsonschema", "rjsonnet", "pydantic", "black")
    theirs = ", ".join(line.replace("==", " ") for line in peers if line.split("==")[0] in compared)
    return (
        f"{_processor()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}; ours: {own}; theirs: {theirs}"
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown processor"
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown processor")


def _call(*words: str) -> None:
    done = subprocess.run(words, stdout=sys.stderr, check=False)
    if done.returncode:
        raise BenchmarkError(f"{' '.join(words)} ended with {done.returncode}")
