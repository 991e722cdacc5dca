"""What a compilation is asked and what it gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import cached_property

import msgspec

from kling_dsl import ir
from kling_dsl.calls import Call
from kling_dsl.checks import Script, Stated
from kling_dsl.costs import Cost
from kling_dsl.diagnostics import Diagnostic
from kling_dsl.emitter import Emission, chained, fingerprint
from kling_dsl.profiles import Profile
from kling_dsl.sheets import Profiles
from kling_dsl.source import Span


class Options(msgspec.Struct, frozen=True):
    """What is asked of a compilation besides the film.

    `model` stands over every model that the film names, `default_model` under them. `values` and `data` stand over its `Param` and `Data` lines;
    `data` maps names to paths from the project's root. `lints` maps slugs of warnings to `error`, `warning` or `off`.
    """

    model: str | None = None
    default_model: str | None = None
    values: Mapping[str, str] = {}
    data: Mapping[str, str] = {}
    lints: Mapping[str, str] = {}
    words_per_second: Decimal | None = None


class Built(msgspec.Struct, frozen=True, eq=False):
    """A request with what it sends and costs; `fingerprint` is empty while it waits for the frame of another clip."""

    request: ir.Request
    emission: Emission
    fingerprint: str
    cost: Cost | None


class Item(msgspec.Struct, frozen=True, eq=False):
    """A built request at its place in the film: `line` is that of its first line, in the expanded text."""

    line: int
    built: Built


class Compilation(msgspec.Struct, frozen=True, eq=False, dict=True, kw_only=True):
    """A compiled film. `calls` are to be trusted only when it has not `failed`."""

    file: str
    settings: ir.Settings
    diagnostics: tuple[Diagnostic, ...]
    failed: bool
    items: tuple[Item, ...]
    profiles: Profiles
    expanded: str
    """The text of the film after its templates."""
    locate: Mapping[int, int] | None
    """The line in the writer's file of each request's line in the expanded text; None when they are the same."""
    files: tuple[str, ...]
    """Every text that was read, by path from the project's root: the film first."""
    video_seconds: Mapping[str, Decimal]
    """The lengths of the input videos, by their address in the arguments."""
    test: str = ""
    """The test file that was asked for, empty when the film itself was."""
    stated: tuple[Stated, ...] = ()
    """The EXPECT lines of the film, or of the test file in its place."""
    script: Script | None = None
    """The film as EXPECT lines speak of it, when there is one."""
    to_writer: Callable[[Diagnostic], Diagnostic] | None = None
    """Leads a diagnostic about an EXPECT line back to what the writer typed."""

    def place_of(self, stated: Stated) -> Span:
        """Return where the writer wrote the words of an EXPECT."""
        assert self.to_writer is not None, "a film with an EXPECT has a way back to its writer"
        return self.to_writer(Diagnostic("expect-failed", "error", "", stated.span)).span

    @property
    def title(self) -> str:
        """The film's title, or its file's name without its ending."""
        return self.settings.title or self.file.rpartition("/")[2].removesuffix(".kling")

    @property
    def seconds(self) -> int:
        """The seconds of all clips, each counted once."""
        return sum(item.built.request.seconds for item in self.items)

    @cached_property
    def total_usd(self) -> Decimal:
        """What all takes of all clips cost."""
        return sum(
            (item.built.cost.usd * item.built.request.takes for item in self.items if item.built.cost is not None),
            Decimal(0),
        )

    @cached_property
    def models(self) -> tuple[Profile, ...]:
        """The sheets of the models that the film uses, most used first."""
        counts: dict[str, int] = {}
        for item in self.items:
            counts[item.built.request.model] = counts.get(item.built.request.model, 0) + 1
        names = sorted(counts, key=lambda name: -counts[name])
        return tuple(profile for name in names if (profile := self.profiles.get(name)) is not None)

    @cached_property
    def fingerprints(self) -> dict[str, str]:
        """The fingerprint of every request by its id; a chained one holds that of the clip it starts from."""
        found = {item.built.request.id: item.built.fingerprint for item in self.items}
        chained = {item.built.request.id: item.built for item in self.items if not item.built.fingerprint}
        opened: set[str] = set()
        for name in chained:
            pending = [name]
            while pending:
                built = chained[pending[-1]]
                needed = [other for other in built.emission.after if not found.get(other, "-") and other not in opened]
                opened.add(pending[-1])
                if needed:
                    pending += needed
                    continue
                found[pending[-1]] = found[pending[-1]] or self._fingerprint(built, found)
                pending.pop()
        return found

    @cached_property
    def calls(self) -> tuple[Call, ...]:
        """The calls that the film asks for, in its order."""
        return tuple(self._call(item) for item in self.items if item.built.cost is not None)

    def _fingerprint(self, built: Built, known: Mapping[str, str]) -> str:
        profile = self.profiles.get(built.request.model)
        assert profile is not None, "a request is lowered only with its sheet"
        return fingerprint(profile.endpoint, chained(built.emission.digested, profile, known))

    def _call(self, item: Item) -> Call:
        request, emission, cost = item.built.request, item.built.emission, item.built.cost
        profile = self.profiles.get(request.model)
        assert profile is not None, "a request is lowered only with its sheet"
        assert cost is not None, "only priced requests become calls"
        return Call(
            id=request.id,
            scene=request.scene,
            model=request.model,
            endpoint=profile.endpoint,
            arguments=emission.arguments,
            references={binding.reference.name: binding.tag for binding in request.bindings},
            takes=request.takes,
            seconds=request.seconds,
            price_usd=cost.usd,
            fingerprint=self.fingerprints[request.id],
            file=self.file,
            line=item.line if self.locate is None else self.locate.get(item.line, item.line),
            assets=emission.assets,
            after=emission.after,
        )


def top_of(file: str) -> Span:
    """Return the span of a file's first character."""
    return Span(file, 1, 1, 1, 2)
