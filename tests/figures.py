"""Puts measured figures into a page, between its two marks; the words around them stay as they are."""

from __future__ import annotations

from pathlib import Path

BEGIN, END = "<!-- figures -->\n", "<!-- end of figures -->\n"


def put_figures(page: Path, figures: str) -> None:
    """Write figures into a page that has both marks, in place of those that are there."""
    before, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    assert begin, "the page has a mark where the figures begin"
    assert end, "the page has a mark where the figures end"
    page.write_text(f"{before}{BEGIN}\n{figures.strip()}\n\n{END}{after}", encoding="utf-8")
