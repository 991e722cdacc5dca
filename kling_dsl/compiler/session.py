"""Compiles a film: reads, lowers, emits, checks and prices it, and remembers every part that did not change."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from functools import partial

import msgspec

from kling_dsl import checks, ir, lowering, nodes, parser
from kling_dsl.compiler.loading import Loaded, Loader, to_writer
from kling_dsl.compiler.media import MediaBook
from kling_dsl.compiler.result import Compilation, Item, Options, top_of
from kling_dsl.compiler.testing import check_script, film_of, is_test, script_of, statements_of
from kling_dsl.compiler.units import BATCH_SIZE, Names, Result, UnitCompiler, passages_of
from kling_dsl.diagnostics import Diagnostic, error, has_errors
from kling_dsl.sheets import Profiles
from kling_dsl.source import Span
from kling_dsl.world import World

MAX_DIAGNOSTICS = 1000
"""More than anybody reads at once; what is left out is counted."""


MAX_FOUND = 12 * MAX_DIAGNOSTICS
"""Mistakes after which the rest of a film is not looked at: it is most likely no film."""

MAX_KNOWN_BLOCKS = 500_000
"""Blocks remembered before all are forgotten: an editor left open for weeks must not fill the memory."""


def compile_film(path: str, world: World, options: Options, *, profiles: Profiles) -> Compilation:
    """Compile the film at a path from the project's root; whatever is wrong with it is in the result's diagnostics."""
    return Session(profiles).compile(path, world, options)


class Session:
    """Compiles films again and again; what did not change since the last time is not done again.

    A session holds no file open and never writes. It serves one thread.
    """

    def __init__(self, profiles: Profiles) -> None:
        self.profiles = profiles
        self._blocks: parser.Blocks = {}
        self._results: dict[object, Result] = {}
        self._scenes: dict[object, tuple[object, lowering.Scene, tuple[Diagnostic, ...]]] = {}
        self._casts: tuple[object, lowering.Cast, tuple[Diagnostic, ...]] | None = None
        self._films: tuple[object, lowering.Scene, tuple[Diagnostic, ...]] | None = None
        self._units: UnitCompiler | None = None
        self._book: MediaBook | None = None
        self._kept: object = None
        self._options = Options()

    def compile(self, path: str, world: World, options: Options) -> Compilation:
        """Compile the film at a path from the project's root, or the film that the test file there is about."""
        if len(self._blocks) > MAX_KNOWN_BLOCKS:
            self._blocks = {}
        loader = Loader(world, options, self._blocks)
        test = loader.load_test(path) if is_test(path) else None
        about = path if test is None else film_of(test, loader.look, loader.diagnostics.append)
        film = None if about is None or (test is None and is_test(path)) else loader.load_film(about)
        if film is None:
            return self._nothing(path, loader)
        path = film.screenplay.file
        self._forget_what_changed(world, options)
        assert self._book is not None, "a book is opened before it is read"
        files = (film, *loader.imports)
        found = loader.diagnostics
        for file in files:
            _collect(file, found)
        cast = self._declare(files, found)
        scene = self._resolve_film(film, cast, found, options=options)
        results = self._compile_units(film, scene, found)
        references = tuple(cast.names.values())
        used = frozenset().union(*(result.used for result in results))
        items = tuple(Item(result.unit.line, result.built) for result in results if result.built is not None)
        broken = has_errors([*found, *loader.placed])
        found += self._check_film(path, film, items, references, used, scene, broken=broken)
        stated = statements_of(test or film)
        script = script_of(film, items, tuple(cast.names), self.profiles) if stated else None
        found += check_script(film, test, script, stated, found=(*found, *loader.placed))
        if test is not None:
            # What a film merely should know is said when the film is checked.
            found = [d for d in found if d.severity == "error" or d.span.file == test.screenplay.file]
        located = None
        if film.source_map is not None:
            located = {
                item.line: film.source_map.locate(Span(path, item.line, 1, item.line, 2))[0].line for item in items
            }
        self._kept = files
        sources = loader.sources
        diagnostics = _order([*loader.placed, *(to_writer(diagnostic, sources) for diagnostic in found)], path, options)
        return Compilation(
            file=path,
            settings=scene.settings,
            diagnostics=_cap(diagnostics),
            failed=has_errors(diagnostics),
            items=items,
            profiles=self.profiles,
            expanded=film.text,
            locate=located,
            files=tuple(dict.fromkeys(loader.files)),
            video_seconds=self._book.video_seconds,
            test="" if test is None else test.screenplay.file,
            stated=stated,
            script=script,
            to_writer=partial(to_writer, loaded=sources) if stated else None,
        )

    def _forget_what_changed(self, world: World, options: Options) -> None:
        if self._book is None or options != self._options or not self._book.is_current(world):
            self._book = MediaBook(world)
            self._results = {}
            self._units = UnitCompiler(self.profiles, self._book, options.words_per_second)
            self._options = options
        self._book.world = world

    def _declare(self, files: tuple[Loaded, ...], found: list[Diagnostic]) -> lowering.Cast:
        definitions = [
            (file.screenplay.file, placed.line, placed.block.node)
            for file in (*files[1:], files[0])
            for placed in file.screenplay.blocks
            if type(placed.block.node) is nodes.Definition
        ]
        key = tuple((file, line, id(node)) for file, line, node in definitions)
        if self._casts is None or self._casts[0] != key:
            self._casts = (key, *lowering.declare_cast(definitions))
        found += self._casts[2]
        return self._casts[1]

    def _resolve_film(
        self, film: Loaded, cast: lowering.Cast, found: list[Diagnostic], *, options: Options
    ) -> lowering.Scene:
        first = film.screenplay.blocks[0] if film.screenplay.blocks else None
        page = first.block.node if first and isinstance(first.block.node, nodes.TitlePage) else None
        line = first.line if first else 1
        path = film.screenplay.file
        key = (path, line, id(page) if page else None, id(cast), options.model, options.default_model)
        if self._films is None or self._films[0] != key:
            own: list[Diagnostic] = []
            settings, choices = lowering.resolve_title(page, own.append, profiles=self.profiles)
            if choices.look is not None:
                lowering.report_names(choices.look, cast, own.append)
            if choices.model is None and options.default_model is not None:
                if self.profiles.get(options.default_model) is None:
                    own.append(lowering.unknown_model(options.default_model, top_of(path), self.profiles))
                else:
                    choices = msgspec.structs.replace(choices, model=options.default_model)
            scene = lowering.Scene(
                settings, cast, self.profiles, path.rpartition("/")[0], choices, only_model=options.model
            )
            self._films = (key, scene, tuple(diagnostic.moved(path, line) for diagnostic in own))
            self._scenes = {}
        found += self._films[2]
        return self._films[1]

    def _compile_units(self, film: Loaded, scene: lowering.Scene, found: list[Diagnostic]) -> list[Result]:
        path = film.screenplay.file
        before, self._results = self._results, {}
        scenes: dict[object, tuple[object, lowering.Scene, tuple[Diagnostic, ...]]] = {}
        names = _names_of(scene.cast)
        here = scene
        heading: nodes.Placed | None = None
        found_units: list[tuple[object, lowering.Unit]] = []
        fresh: dict[object, tuple[lowering.Unit, lowering.Scene]] = {}
        for unit in lowering.group_units(film.screenplay, found.append):
            if unit.heading is not heading:
                heading = unit.heading
                here = self._enter(scene, heading, scenes)
            key: object = (id(here), id(unit.members[0][1]))
            if len(unit.members) > 1:
                key = (id(here), *[(offset, id(block)) for offset, block in unit.members])
            found_units.append((key, unit))
            if key not in before:
                fresh[key] = (unit, here)
        assert self._units is not None, "a compiler of units is made before there are units"
        results: list[Result] = []
        for start in range(0, len(found_units), BATCH_SIZE):
            batch = found_units[start : start + BATCH_SIZE]
            wanted = {key: fresh[key] for key, _ in batch if key in fresh and key not in self._results}
            self._results.update(zip(wanted, self._units.compile_units(tuple(wanted.values()), names), strict=True))
            for key, unit in batch:
                result = before.get(key) or self._results[key]
                if result.unit.line != unit.line:
                    result = msgspec.structs.replace(result, unit=unit)
                self._results[key] = result
                results.append(result)
                found += [diagnostic.moved(path, unit.line) for diagnostic in result.diagnostics]
            if len(found) > MAX_FOUND and start + BATCH_SIZE < len(found_units):
                found.append(_given_up(path, found_units[start + BATCH_SIZE][1].line))
                break
        for placed in film.screenplay.blocks:
            node = placed.block.node
            if type(node) is nodes.Heading:
                self._enter(scene, placed, scenes)
                found += (d.moved(path, placed.line) for d in scenes[id(placed.block)][2])
            if type(node) in (nodes.Heading, nodes.TitlePage):
                for passage in passages_of(node):
                    lints = checks.check_prose(passage, names.cased, names.caseless)
                    found += (d.moved(path, placed.line) for d in lints)
        self._scenes = scenes
        return results

    def _enter(
        self,
        film: lowering.Scene,
        heading: nodes.Placed | None,
        scenes: dict[object, tuple[object, lowering.Scene, tuple[Diagnostic, ...]]],
    ) -> lowering.Scene:
        if heading is None:
            return film
        key = id(heading.block)
        known = scenes.get(key) or self._scenes.get(key)
        if known is None:
            assert isinstance(heading.block.node, nodes.Heading)
            known = (heading.block, *lowering.enter_scene(film, heading.block.node))
        scenes[key] = known
        return known[1]

    def _check_film(
        self,
        path: str,
        film: Loaded,
        items: tuple[Item, ...],
        references: tuple[ir.Reference, ...],
        used: frozenset[str],
        scene: lowering.Scene,
        *,
        broken: bool,
    ) -> Iterator[Diagnostic]:
        book = self._book
        assert book is not None, "a book is opened before a film is checked"
        models = tuple({item.built.request.model: item for item in items})
        profiles = tuple(p for name in models or (scene.model,) if (p := self.profiles.get(name)) is not None)
        named = [checks.Named(item.built.request, item.line, item.built.fingerprint) for item in items]
        yield from checks.check_ids(named, path)
        yield from checks.check_chains(named, path)
        yield from checks.check_repeats(named, path)
        for reference in references:
            if reference.name in used or reference.span.file == path:
                yield from book.check_reference(reference, profiles)
        if items:
            yield from checks.check_unused(references, used, path)
        digests = {file: facts.sha256 for file, facts in book.measured.items()}
        yield from checks.check_shared_pictures(tuple(r for r in references if r.name in used), digests)
        total = sum((i.built.cost.usd * i.built.request.takes for i in items if i.built.cost is not None), Decimal(0))
        yield from checks.check_budget(total, scene.settings, _entry_span(film, "Budget", path))
        if not items and not references and not broken:
            yield Diagnostic(
                "no-shots",
                "warning",
                "this film has no shot",
                top_of(path),
                hint="write one: `SHOT door 5s wide`, and below it what is seen",
            )

    def _nothing(self, path: str, loader: Loader) -> Compilation:
        return Compilation(
            file=path,
            settings=ir.Settings(),
            diagnostics=(*loader.placed, *loader.diagnostics),
            failed=True,
            items=(),
            profiles=self.profiles,
            expanded="",
            locate=None,
            files=tuple(loader.files),
            video_seconds={},
            test=path if is_test(path) else "",
        )


def _names_of(cast: lowering.Cast) -> Names:
    characters = {reference.name for reference in cast.capitals.values()}
    caseless = sorted(name for name in characters if name.upper() == name.lower())
    return Names(frozenset(characters.difference(caseless)), tuple(caseless))


def _collect(file: Loaded, found: list[Diagnostic]) -> None:
    for placed in file.screenplay.blocks:
        for diagnostic in placed.block.diagnostics:
            found.append(diagnostic.moved(file.screenplay.file, placed.line))


def _entry_span(film: Loaded, key: str, path: str) -> Span:
    first = film.screenplay.blocks[0] if film.screenplay.blocks else None
    if first and isinstance(first.block.node, nodes.TitlePage):
        for entry in first.block.node.entries:
            if entry.key.value == key and entry.value.value:
                return entry.value.span.moved(path, first.line)
    return top_of(path)


def _order(found: list[Diagnostic], path: str, options: Options) -> tuple[Diagnostic, ...]:
    """Return the diagnostics as the writer gets them: each once, at the project's levels, in reading order."""
    kept: dict[Diagnostic, None] = {}
    for diagnostic in found:
        level = options.lints.get(diagnostic.slug) if diagnostic.severity != "error" else None
        if level == "off":
            continue
        if level in ("error", "warning"):
            diagnostic = msgspec.structs.replace(diagnostic, severity=level)
        kept[diagnostic] = None
    return tuple(sorted(kept, key=lambda d: (d.span.file != path, d.span.file, d.span.line, d.span.column)))


def _given_up(path: str, line: int) -> Diagnostic:
    return error(
        "too-many-diagnostics",
        f"more than {MAX_FOUND:,} mistakes were found, and what begins here was not looked at",
        Span(path, line, 1, line, 2),
        hint="mend the first ones: the rest often go with them",
    )


def _cap(diagnostics: tuple[Diagnostic, ...]) -> tuple[Diagnostic, ...]:
    if len(diagnostics) <= MAX_DIAGNOSTICS:
        return diagnostics
    left = diagnostics[MAX_DIAGNOSTICS:]
    more = Diagnostic(
        "too-many-diagnostics",
        "error" if has_errors(left) else "note",
        f"{len(left):,} more are not shown",
        left[0].span,
        hint="mend the first ones: the rest often go with them",
    )
    return (*diagnostics[:MAX_DIAGNOSTICS], more)
