"""A plan as Markdown, for a review, and as an HTML page of its own."""

from __future__ import annotations

import html
import re

from kling_dsl.money import dollars
from kling_dsl.reports.escaping import visible
from kling_dsl.reports.plan import Plan, closing_lines

_WORDS = ("Clip", "State")
_NUMBERS = ("Seconds", "Takes", "Cost", "One more", "Total")
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1b1b;background:#fff}"
    "table{border-collapse:collapse;width:100%}th,td{padding:.25rem .75rem;text-align:left;border-bottom:1px solid #ddd}"
    "th:nth-last-child(-n+5),td:nth-last-child(-n+5){text-align:right}.scene td{font-weight:600;padding-top:1rem}"
    "dl{display:grid;grid-template-columns:max-content 1fr;gap:.25rem 1.5rem}dd{margin:0;overflow-wrap:anywhere}"
)


def render_plan_markdown(plan: Plan) -> str:
    """Return a plan as a GitHub-flavoured Markdown table; nothing a writer typed can act as markup."""
    lines = [
        f"### {inert(plan.film)}",
        "",
        f"| {' | '.join(_headings(plan))} |",
        "| " + ":-- | " * (len(_headings(plan)) - len(_NUMBERS)) + "--: | " * (len(_NUMBERS) - 1) + "--: |",
    ]
    for cells in _rows(plan):
        first = inert(cells[0])
        shown = [first if _is_clip(cells) else f"**{first}**", *(inert(cell) for cell in cells[1:])]
        lines.append("| " + " | ".join(shown) + " |")
    lines.append("")
    lines += [f"- **{label}**: {inert(words)}" for label, words in closing_lines(plan)]
    return "\n".join(lines) + "\n"


def render_plan_html(plan: Plan) -> str:
    """Return a plan as one HTML page without scripts, pictures or requests to anywhere."""
    rows: list[str] = []
    for cells in _rows(plan):
        kind = "" if _is_clip(cells) else ' class="scene"'
        rows.append(f"<tr{kind}>" + "".join(f"<td>{_escape(cell)}</td>" for cell in cells) + "</tr>")
    title = _escape(plan.film)
    head = "".join(f"<th>{name}</th>" for name in _headings(plan))
    closing = "".join(f"<dt>{label}</dt><dd>{_escape(words)}</dd>" for label, words in closing_lines(plan))
    return (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<meta name="viewport" content="width=device-width">\n'
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n<h1>{title}</h1>\n<p>{_escape(plan.file)}</p>\n"
        f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{chr(10).join(rows)}\n</tbody>\n</table>\n<dl>{closing}</dl>\n</html>\n"
    )


def _headings(plan: Plan) -> tuple[str, ...]:
    return (*_WORDS, *(("Model",) if len(plan.models) > 1 else ()), *_NUMBERS)


def _is_clip(cells: tuple[str, ...]) -> bool:
    return bool(cells[1])


def _rows(plan: Plan) -> list[tuple[str, ...]]:
    """Return the cells of each row; a scene's row has no state, model, takes and running total."""
    several = len(plan.models) > 1
    rows: list[tuple[str, ...]] = []
    for row in plan.rows:
        clip = row.clip
        cost = dollars(row.cost_usd)
        model = (clip.model if clip else "",) if several else ()
        if clip is None:
            rows.append((row.name, "", *model, f"{row.seconds:,}", "", cost, "", ""))
        else:
            retake, total = dollars(clip.retake_usd), dollars(row.total_usd)
            rows.append((clip.id, clip.state, *model, f"{clip.seconds:,}", str(clip.takes), cost, retake, total))
    return rows


def inert(text: str) -> str:
    """Return text that Markdown shows as it stands: no markup, no HTML, no mention, no link."""
    escaped = re.sub(r"([\\`*_{}\[\]()#+!|~$^-])", r"\\\1", visible(text))
    escaped = re.sub(r"(?i)\bwww\.", lambda match: f"{match[0][:-1]}\\.", escaped)
    # Hosts look for names and numbers of issues in what was rendered, where only a space of no width keeps them apart.
    return re.sub(r"@|#(?=\d)", r"\g<0>&#8203;", _escape(escaped).replace("&#x27;", "'")).replace("://", "&#58;//")


def _escape(text: str) -> str:
    return html.escape(visible(text))
