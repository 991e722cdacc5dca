"""What is known of the terminal: whether it wants colour, and how wide it is."""

from __future__ import annotations

import os
import shutil
from typing import TextIO

from kling_dsl.reports.palette import COLOURED, PLAIN, Palette

PIPED_WIDTH = 100
"""Columns when nobody looks at a terminal."""


def palette_for(stream: TextIO) -> Palette:
    """Return real colours for a terminal, and none for a pipe, under CI or with NO_COLOR."""
    if os.environ.get("NO_COLOR") or os.environ.get("CI") or os.environ.get("TERM") == "dumb" or not stream.isatty():
        return PLAIN
    return COLOURED


def width_of(stream: TextIO) -> int:
    """Return the columns of a stream: its terminal's, or those of COLUMNS, or `PIPED_WIDTH`."""
    if stream.isatty() or os.environ.get("COLUMNS"):
        return max(40, shutil.get_terminal_size((PIPED_WIDTH, 24)).columns)
    return PIPED_WIDTH
