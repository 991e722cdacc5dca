"""`kling takes`: list everything that was ever rendered of a clip."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kling_dsl.cli.desk import Desk, Names, clip_options, find_named, format_option, typed_path

if TYPE_CHECKING:
    from kling_dsl.reports.takes import ClipTakes, Request
    from kling_dsl.standing import Standing


@click.command("takes")
@click.argument("identifier", metavar="ID")
@clip_options
@format_option
def takes_command(
    identifier: str,
    film: Path | None,
    sandbox: bool,
    form: str,
    model: str | None,
    values: tuple[str, ...],
    data: tuple[str, ...],
) -> None:
    """List all takes of a clip: which is chosen, what each cost, where its file is, and what came to nothing.

    Takes of requests that the clip no longer makes are listed, too: they were paid for, and undoing the edit brings
    them back.

    \b
    Example:
      kling takes door
      kling takes door --film film.kling
    """
    desk, standing = find_named(Names(identifier, film, model, values, data), sandbox=sandbox)
    from kling_dsl.cli.terminal import width_of
    from kling_dsl.reports.takes import render_takes, takes_json

    clip = _clip(desk, standing)
    click.echo(takes_json(clip) if form == "json" else render_takes(clip, width=width_of(sys.stdout)), nl=False)


def _clip(desk: Desk, standing: Standing) -> ClipTakes:
    from kling_dsl.reports.takes import Request, clip_takes, take_lines

    def find(sha256: str) -> tuple[Path, bool]:
        return desk.store.path(sha256).relative_to(desk.stage.root), desk.store.has(sha256)

    chosen = "" if standing.chosen is None else standing.chosen.sha256
    now = Request(standing.fingerprint, take_lines(standing.takes, standing.rows, chosen=chosen, find=find))
    records = desk.records
    earlier: list[tuple[str, Request]] = []
    for fingerprint in _earlier(desk, standing):
        takes = records.takes(fingerprint)
        lines = take_lines(takes, records.rows(fingerprint), chosen="", find=find)
        newest = max((take.at for take in takes), default="")
        if lines:
            earlier.append((newest, Request(fingerprint, lines)))
    earlier.sort(key=lambda pair: pair[0], reverse=True)
    return clip_takes(
        standing,
        shown=typed_path(desk.opened.project.root / desk.film),
        film=desk.film,
        sandbox=not desk.stage.spends,
        now=now,
        earlier=[request for _, request in earlier],
    )


def _earlier(desk: Desk, standing: Standing) -> list[str]:
    """Return the fingerprints of other requests that were made under the clip's id, and that no clip makes now."""
    current = {other.fingerprint for other in desk.standings}
    names = standing.call.id
    found = [take.fingerprint for take in desk.lock.takes if take.clip == names]
    found += [row.key.fingerprint for row in desk.rows if row.order.clip == names and row.order.film == desk.film]
    return [fingerprint for fingerprint in dict.fromkeys(found) if fingerprint not in current]
