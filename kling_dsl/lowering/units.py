"""Groups the blocks of a film into what is bought at once: a shot alone, or the shots of a CLIP."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from kling_dsl import nodes
from kling_dsl.diagnostics import Diagnostic, error
from kling_dsl.lowering.values import Report
from kling_dsl.source import Span

Member = tuple[int, nodes.Block]
"""A block and how many lines it stands below the first line of its unit."""


class Unit(msgspec.Struct, frozen=True, eq=False):
    """The blocks of one request: `line` is that of the first; `heading` is the scene's block, with its line."""

    line: int
    members: tuple[Member, ...]
    heading: nodes.Placed | None


def group_units(screenplay: nodes.Screenplay, report: Report) -> Iterator[Unit]:
    """Yield the units of a film in order; what cannot stand inside or outside a CLIP is reported."""
    heading: nodes.Placed | None = None
    group: list[nodes.Placed] | None = None
    for placed in screenplay.blocks:
        node = placed.block.node
        kind = type(node)
        if kind is nodes.Shot:
            if group is None:
                yield Unit(placed.line, ((0, placed.block),), heading)
            else:
                group.append(placed)
        elif kind is nodes.Clip:
            if group is not None:
                report(_unclosed(group, screenplay.file, placed.line))
                yield _unit(group, heading)
            group = [placed]
        elif kind is nodes.EndClip:
            if group is None:
                report(
                    error(
                        "stray-end-clip",
                        "END CLIP ends no group",
                        Span(screenplay.file, placed.line, 1, placed.line, 9),
                        hint="delete it, or begin the group with a line like `CLIP window 9s`",
                    )
                )
            else:
                yield _unit(group, heading)
                group = None
        elif kind is nodes.Heading:
            if group is not None:
                report(_heading_in_clip(placed, group, screenplay.file))
            else:
                heading = placed
        elif group is not None and node is not None and kind is not nodes.Expectation:
            report(_misplaced(placed, screenplay.file))
    if group is not None:
        report(_unclosed(group, screenplay.file, None))
        yield _unit(group, heading)


def _unit(group: list[nodes.Placed], heading: nodes.Placed | None) -> Unit:
    first = group[0].line
    return Unit(first, tuple((placed.line - first, placed.block) for placed in group), heading)


def _unclosed(group: list[nodes.Placed], file: str, before: int | None) -> Diagnostic:
    line = group[0].line
    where = f"before the next CLIP in line {before}" if before else "before the end of the file"
    return error(
        "unclosed-clip",
        f"this CLIP is not ended {where}",
        Span(file, line, 1, line, 5),
        hint="write END CLIP after its last shot",
    )


def _heading_in_clip(placed: nodes.Placed, group: list[nodes.Placed], file: str) -> Diagnostic:
    node = placed.block.node
    width = len(node.text.raw) if isinstance(node, nodes.Heading) else 1
    return error(
        "heading-in-clip",
        "a scene heading cannot stand inside a CLIP, which is one request in one scene",
        Span(file, placed.line, 1, placed.line, 1 + width),
        hint=f"end the CLIP of line {group[0].line} with END CLIP first",
    )


def _misplaced(placed: nodes.Placed, file: str) -> Diagnostic:
    return error(
        "definition-in-clip",
        "a definition or an import cannot stand inside a CLIP",
        Span(file, placed.line, 1, placed.line, 2),
        hint="move it above the scene",
    )
