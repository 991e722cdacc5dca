"""Test files and EXPECT lines: which film a test file is about, what it may hold, and what its lines are about."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal

from kling_dsl import checks, nodes, spelling
from kling_dsl.compiler.loading import Loaded
from kling_dsl.compiler.result import Item, top_of
from kling_dsl.diagnostics import Diagnostic, error, rewrite
from kling_dsl.sheets import Profiles
from kling_dsl.source import Span
from kling_dsl.vocabulary import TEST_ENDING, TEST_KEYS
from kling_dsl.world import Unreadable

_HELD = {
    nodes.Shot: "a SHOT",
    nodes.Clip: "a CLIP",
    nodes.EndClip: "END CLIP",
    nodes.Heading: "a scene heading",
    nodes.Definition: "a definition",
    nodes.Import: "an import",
}


def is_test(path: str) -> bool:
    """Say whether a path is that of a test file."""
    return path.endswith(TEST_ENDING)


def film_of(test: Loaded, look: Callable[[str], str | Unreadable], report: Callable[[Diagnostic], None]) -> str | None:
    """Return the path of the film that a test file is about; None when it names none that can be read."""
    path = test.screenplay.file
    entry = next((entry for _, entry in _entries(test) if entry.key.value == "Film" and entry.value.value), None)
    if entry is None:
        target, span = f"{path.removesuffix(TEST_ENDING)}.kling", top_of(path)
        hint = "a title page may name another film, as in `Film: lantern.kling`"
    else:
        written = entry.value.value
        target = posixpath.normpath(posixpath.join(posixpath.dirname(path), written))
        span = entry.value.span.moved(path, test.screenplay.blocks[0].line)
        hint = "the path is relative to the test file"
        if target.startswith(("/", "../")) or target == ".." or "\\" in written:
            report(error("outside-root", f'"{written}" leads out of the project', span, hint="name a film inside it"))
            return None
        if is_test(target) or not target.endswith(".kling"):
            what = "is a test file itself" if is_test(target) else "is no .kling file"
            report(
                error("missing-film", f'"{written}" {what}', span, hint="name the film, as in `Film: lantern.kling`")
            )
            return None
    content = look(target)
    if isinstance(content, Unreadable):
        slug = "outside-root" if content.reason == "outside" else "missing-film"
        report(error(slug, f"the film of this test, {target}: {content.message}", span, hint=hint))
        return None
    return target


def check_script(
    film: Loaded,
    test: Loaded | None,
    script: checks.Script | None,
    stated: tuple[checks.Stated, ...],
    *,
    found: Sequence[Diagnostic],
) -> Iterator[Diagnostic]:
    """Report what is wrong with a test file, and with EXPECT lines; `found` is what is wrong with the film."""
    if test is not None:
        for placed in test.screenplay.blocks:
            yield from (diagnostic.moved(test.screenplay.file, placed.line) for diagnostic in placed.block.diagnostics)
        yield from _check_test(test, film)
    if script is not None:
        from kling_dsl.checks.expectations import check_expectations, check_names

        # In a film with mistakes a shot may be missing; what depends on its shots is not looked at. A mistake in an
        # EXPECT takes no shot away.
        broken = any(d.severity == "error" and not d.slug.startswith("expect-") for d in found)
        yield from (check_names if broken else check_expectations)(stated, script)


def _check_test(test: Loaded, film: Loaded) -> Iterator[Diagnostic]:
    """Report what stands in a test file and belongs into a film, and values that its film does not have."""
    path = test.screenplay.file
    given = {(entry.key.value, entry.name.value) for _, entry in _entries(film) if entry.name is not None}
    seen: set[tuple[str, str]] = set()
    for line, entry in _entries(test):
        key, name = entry.key.value, entry.name
        span = (name or entry.key).span.moved(path, line)
        if key not in TEST_KEYS:
            yield _not_here(f"{key}: on a title page", span)
            continue
        again = (key, name.value if name else "")
        if again in seen:
            yield error(
                "duplicate-title-key", f"{' '.join(again).strip()} is given twice", span, hint="keep one of the two"
            )
        seen.add(again)
        if not entry.value.value:
            yield error("bad-value", f"{key} has no value", span, hint="write it after the colon, or delete the line")
        if name is not None and (key, name.value) not in given:
            names = [other for kind, other in given if kind == key]
            near = spelling.nearest(name.value, sorted(names))
            yield error(
                "expect-unknown",
                f"the film has no line `{key} {name.value}`, so that its value would change nothing",
                span,
                hint=f"did you mean {near}?"
                if near
                else f"write `{key} {name.value}: …` on the film's title page first",
                fix=rewrite(span, spelling.certain(name.value, names)),
            )
    for placed in test.screenplay.blocks:
        if (held := _HELD.get(type(placed.block.node))) is not None:  # type: ignore[arg-type]
            yield _not_here(held, Span(path, placed.line, 1, placed.line, 2))


def _not_here(what: str, span: Span) -> Diagnostic:
    return error(
        "expect-only",
        f"{what} stands in a test file, which holds EXPECT lines only",
        span,
        hint="move it into the film; a test file may have `Film:`, `Param` and `Data` lines above its first blank line",
    )


def _entries(loaded: Loaded) -> Iterator[tuple[int, nodes.Entry]]:
    first = loaded.screenplay.blocks[0] if loaded.screenplay.blocks else None
    if first is not None and isinstance(first.block.node, nodes.TitlePage):
        for entry in first.block.node.entries:
            yield first.line, entry


def statements_of(loaded: Loaded) -> tuple[checks.Stated, ...]:
    """Return the EXPECT lines of a file that can be read, in order."""
    file = loaded.screenplay.file
    return tuple(
        [
            checks.Stated(file, placed.line, placed.block.node)
            for placed in loaded.screenplay.blocks
            if type(placed.block.node) is nodes.Expectation
        ]
    )


def script_of(film: Loaded, items: Sequence[Item], names: Sequence[str], profiles: Profiles) -> checks.Script:
    """Return a film as EXPECT lines speak of it."""
    marks = [
        checks.SceneMark(placed.line, placed.block.node.number)
        for placed in film.screenplay.blocks
        if type(placed.block.node) is nodes.Heading
    ]
    clips: list[checks.Bought] = []
    scene = -1
    for item in items:
        while scene + 1 < len(marks) and marks[scene + 1].line < item.line:
            scene += 1
        request, cost = item.built.request, item.built.cost
        profile = profiles.get(request.model)
        sound = profile.roles.get("audio") if profile is not None else None
        audio = None if sound is None else bool(item.built.emission.arguments.get(sound, False))
        usd: Decimal | None = None if cost is None else cost.usd * request.takes
        clips.append(checks.Bought(request, item.line, scene, usd, audio))
    return checks.Script(film.screenplay.file, tuple(marks), tuple(clips), tuple(names), profiles)
