"""Why a clip would be bought, in one screen."""

from __future__ import annotations

from collections.abc import Iterator

from kling_dsl.history.lineage import Lineage
from kling_dsl.money import dollars
from kling_dsl.reports.diff_text import field_lines
from kling_dsl.reports.escaping import visible
from kling_dsl.reports.palette import Palette
from kling_dsl.reports.tables import fold
from kling_dsl.standing import Standing

MAX_FIELDS = 12
"""The most fields that are told; a screen has no room for more."""
_INDENT = "  "


def render_why(standing: Standing, lineage: Lineage | str, *, width: int, palette: Palette) -> str:
    """Return how a clip stands, and what of its request changed since when; a string says why that is not known."""
    call = standing.call
    cost = f"{dollars(standing.to_buy_usd)} to buy" if standing.to_buy else "nothing to buy"
    lines = [visible(f"{call.id} is {standing.state}, {cost}  ({call.file}:{call.line})")]
    told = [standing.why] if standing.why else []
    if standing.state == "kept" and standing.chosen is not None:
        chosen = standing.chosen
        told.append(f"its request is the one that was paid for: the take of {chosen.at[:10]} ({chosen.sha256[:12]})")
    told += [lineage] if isinstance(lineage, str) else _since(lineage)
    for words in told:
        lines += [f"{_INDENT}{line}" for line in fold(visible(words), width - len(_INDENT))]
    if isinstance(lineage, Lineage):
        for field in lineage.fields[:MAX_FIELDS]:
            lines += field_lines(field, width=width, palette=palette)
        if len(lineage.fields) > MAX_FIELDS:
            lines.append(f"{_INDENT * 2}and {len(lineage.fields) - MAX_FIELDS} more fields")
    return "".join(f"{line}\n" for line in lines)


def _since(lineage: Lineage) -> Iterator[str]:
    since = lineage.since
    if lineage.where == "working tree":
        yield "it is so since an edit that is not committed yet"
    elif since is not None:
        edge = ", or since an older one," if lineage.where == "older" else ""
        yield f"it is so since commit {since.id[:12]} of {since.date[:10]}{edge} {since.subject[:80]}"
    if lineage.before is None:
        yield "no commit has another request of it"
        return
    if not lineage.fields:
        yield "its own request is as it was: what changed is the clip that it goes on from"
        return
    what = "what was paid for, which is that of" if lineage.paid else "what it asked for before, which is that of"
    yield f"against {what} commit {lineage.before.id[:12]} of {lineage.before.date[:10]}:"
