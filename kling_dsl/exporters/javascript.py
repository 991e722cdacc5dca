"""Calls as an ES module for Node over @fal-ai/client."""

from __future__ import annotations

from collections.abc import Sequence

from kling_dsl.calls import Call
from kling_dsl.exporters import common


def javascript_program(calls: Sequence[Call], *, film: str, root_note: str = "") -> str:
    """Return an ES module that buys every take of the calls; `root_note` says where to run it."""
    parts = {
        "HEADER": common.header(calls, film=film, root_note=root_note, prefix="//"),
        "CLIPS": common.json_literal(common.program_data(calls)),
        "SUMMARY": common.json_literal(common.summary(calls, film=film)),
    }
    return common.fill_template("javascript.mjs.in", parts)
