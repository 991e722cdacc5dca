"""Calls as a Python program over fal-client, which a person can read, keep and run."""

from __future__ import annotations

from collections.abc import Sequence

from kling_dsl.calls import Call
from kling_dsl.exporters import common

PACKAGES = "'fal-client>=1.0.3,<1.1'"


def python_program(calls: Sequence[Call], *, film: str, root_note: str = "") -> str:
    """Return a Python program that buys every take of the calls; `root_note` says where to run it."""
    words = {True: "True", False: "False", None: "None"}
    parts = {
        "HEADER": common.header(calls, film=film, root_note=root_note, prefix="#"),
        "PIP": PACKAGES,
        "CLIPS": common.json_literal(common.program_data(calls), escape=common.escape_as_python, words=words),
        "SUMMARY": common.json_literal(common.summary(calls, film=film), escape=common.escape_as_python),
    }
    return common.fill_template("python.py.in", parts)
