"""A plan as Markdown, for a review, and as an HTML page of its own."""

from __future__ import annotations

import html
import re
from decimal import Decimal

from kling_dsl.money import dollars
from kling_dsl.reports.escaping import visible
from kling_dsl.reports.plan import Plan, closing_lines

_HEADINGS = ("Clip", "State", "Seconds", "Takes", "Cost", "One more", "Total")
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1b1b;background:#fff}"
    "table{border-collapse:collapse;width:100%}th,td{padding:.25rem .75rem;text-align:right;border-bottom:1px solid #ddd}"
    "th:nth-child(-n+2),td:nth-child(-n+2){text-align:left}.scene td{font-weight:600;padding-top:1rem}"
    "dl{display:grid;grid-template-columns:max-content 1fr;gap:.25rem 1.5rem}dd{margin:0;overflow-wrap:anywhere}"
)


def render_plan_markdown(plan: Plan) -> str:
    """Return a plan as a GitHub-flavoured Markdown table; nothing a writer typed can act as markup."""
    lines = [
        f"### {_inert(plan.film)}",
        "",
        f"| {' | '.join(_HEADINGS)} |",
        "| :-- | :-- | --: | --: | --: | --: | --: |",
    ]
    for cells in _rows(plan):
        if len(cells) == 1:
            lines.append(f"| **{_inert(cells[0])}** | | | | | | |")
        else:
            lines.append("| " + " | ".join(_inert(cell) for cell in cells) + " |")
    lines.append("")
    lines += [f"- **{label}**: {_inert(words)}" for label, words in closing_lines(plan)]
    return "\n".join(lines) + "\n"


def render_plan_html(plan: Plan) -> str:
    """Return a plan as one HTML page without scripts, pictures or requests to anywhere."""
    rows: list[str] = []
    for cells in _rows(plan):
        if len(cells) == 1:
            rows.append(f'<tr class="scene"><td colspan="{len(_HEADINGS)}">{_escape(cells[0])}</td></tr>')
        else:
            rows.append("<tr>" + "".join(f"<td>{_escape(cell)}</td>" for cell in cells) + "</tr>")
    title = _escape(plan.film)
    head = "".join(f"<th>{name}</th>" for name in _HEADINGS)
    closing = "".join(f"<dt>{label}</dt><dd>{_escape(words)}</dd>" for label, words in closing_lines(plan))
    return (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<meta name="viewport" content="width=device-width">\n'
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n<h1>{title}</h1>\n<p>{_escape(plan.file)}</p>\n"
        f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{chr(10).join(rows)}\n</tbody>\n</table>\n<dl>{closing}</dl>\n</html>\n"
    )


def _rows(plan: Plan) -> list[tuple[str, ...]]:
    """Return a row of seven cells for each clip, and one of a single cell for each scene."""
    rows: list[tuple[str, ...]] = []
    running = Decimal(0)
    for scene, clips in plan.scenes:
        if scene:
            rows.append((scene,))
        for clip in clips:
            running += clip.cost_usd
            rows.append(
                (
                    clip.id,
                    clip.state,
                    str(clip.seconds),
                    str(clip.takes),
                    dollars(clip.cost_usd),
                    dollars(clip.retake_usd),
                    dollars(running),
                )
            )
    return rows


def _inert(text: str) -> str:
    """Return text that Markdown shows as it stands: no markup, no HTML, no mention, no link."""
    escaped = re.sub(r"([\\`*_{}\[\]()#+!|~$^-])", r"\\\1", visible(text))
    return _escape(escaped).replace("@", "&#64;").replace("://", "&#58;//")


def _escape(text: str) -> str:
    return html.escape(visible(text))
