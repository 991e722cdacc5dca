"""Calls as a POSIX shell script over curl and jq, for a machine that has nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from kling_dsl.calls import Call
from kling_dsl.exporters import common


def curl_program(calls: Sequence[Call], *, film: str, root_note: str = "") -> str:
    """Return a shell script that buys every take of the calls; `root_note` says where to run it."""
    data = {"summary": common.summary(calls, film=film), "clips": common.program_data(calls)}
    parts = {
        "HEADER": common.header(calls, film=film, root_note=root_note, prefix="#"),
        "DATA": common.json_literal(data, escape=common.escape_as_ascii),
        "TOOLS": "curl jq ffmpeg" if common.has_frames(calls) else "curl jq",
    }
    return common.fill_template("curl.sh.in", parts)
