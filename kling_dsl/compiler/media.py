"""Asks the world about every media file once a compilation, and checks it for the models that will read it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal

from kling_dsl import checks, ir
from kling_dsl.calls import Asset
from kling_dsl.diagnostics import Diagnostic
from kling_dsl.profiles import Profile
from kling_dsl.world import Media, Unreadable, World


class MediaBook:
    """The facts of the media files that a film names, by their path from the project's root."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.facts: dict[str, Media | Unreadable] = {}

    def look(self, path: str) -> Media | Unreadable:
        """Return the facts of a file."""
        found = self.facts.get(path)
        if found is None:
            found = self.facts[path] = self.world.media(path)
        return found

    def get(self, path: str, default: str = "") -> str:
        """Return the SHA-256 of a file, or the default when it cannot be read: what an emitter asks."""
        found = self.look(path)
        return found.sha256 if isinstance(found, Media) else default

    @property
    def measured(self) -> dict[str, Media]:
        """The facts of the files that could be read."""
        return {path: found for path, found in self.facts.items() if isinstance(found, Media)}

    @property
    def video_seconds(self) -> dict[str, Decimal]:
        """The lengths of the measured videos, by the address at which they stand in arguments."""
        return {
            Asset(found.sha256, path).address: Decimal(str(found.seconds))
            for path, found in self.measured.items()
            if found.seconds is not None
        }

    def is_current(self, world: World) -> bool:
        """Say whether every file asked about is still what it was."""
        return all(world.media(path) == found for path, found in self.facts.items())

    def check_reference(self, reference: ir.Reference, profiles: Iterable[Profile]) -> Iterator[Diagnostic]:
        """Report what is wrong with a reference and its files for any of the models."""
        models = tuple(profiles)
        told = (check(reference, profile) for profile in models for check in checks.REFERENCE_CHECKS)
        yield from _first_of_each(diagnostic for found in told for diagnostic in found)
        for medium in dict.fromkeys(reference.media):
            if isinstance(medium, ir.File):
                yield from self.check_file(medium, models, video=medium is reference.video)

    def check_file(self, file: ir.File, profiles: tuple[Profile, ...], *, video: bool) -> Iterator[Diagnostic]:
        """Report what is wrong with one file for any of the models, each mistake once."""
        facts = self.look(file.path)
        yield from checks.check_presence(file, facts)
        if isinstance(facts, Unreadable):
            return
        check = checks.check_video if video else checks.check_picture
        yield from _first_of_each(diagnostic for profile in profiles for diagnostic in check(file, facts, profile))


def _first_of_each(diagnostics: Iterable[Diagnostic]) -> Iterator[Diagnostic]:
    """Yield the first diagnostic of every slug: two models that refuse a file for one reason say it once."""
    seen: set[str] = set()
    for diagnostic in diagnostics:
        if diagnostic.slug not in seen:
            seen.add(diagnostic.slug)
            yield diagnostic
