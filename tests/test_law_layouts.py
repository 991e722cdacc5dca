"""Laws of layouts: however a film is written down, the same requests are asked for and the same mistakes are found."""

from __future__ import annotations

import msgspec
from film_strategies import Clip, Film, Layout, films, write_plainly
from helpers import FILM, PROFILES, MemoryWorld
from hypothesis import given, note
from hypothesis import strategies as st
from laws import seeded_examples

from kling_dsl.compiler import Compilation, Options, compile_film


def compile_texts(texts: dict[str, str]) -> Compilation:
    return compile_film(FILM, MemoryWorld(texts), Options(), profiles=PROFILES)


@seeded_examples(25)
@given(films(), st.integers(1, 2**32))
def test_any_layout_of_a_film_asks_for_the_same_requests(film: Film, seed: int) -> None:
    plain = compile_texts(write_plainly(film))
    layout = Layout(seed)
    texts = layout.write(film)
    other = compile_texts(texts)
    note("\n=====\n".join([write_plainly(film)[FILM], *texts.values()]))
    for compilation in (plain, other):
        assert [(d.slug, d.message, d.span) for d in compilation.diagnostics if d.severity == "error"] == []
    wanted = {layout.ids[call.id]: call for call in plain.calls}
    found = {call.id: call for call in other.calls}
    assert set(found) == set(wanted)
    for name, call in wanted.items():
        told = (found[name].endpoint, found[name].arguments.get("prompt"), found[name].arguments.get("multi_prompt"))
        assert told == (call.endpoint, call.arguments.get("prompt"), call.arguments.get("multi_prompt"))
        assert found[name].fingerprint == call.fingerprint
        assert (found[name].takes, found[name].price_usd) == (call.takes, call.price_usd)


@seeded_examples(15)
@given(films(), st.integers(1, 2**32), st.integers(0, 99))
def test_a_mistake_is_shown_where_it_was_typed_in_any_layout_and_any_template(
    film: Film, seed: int, where: int
) -> None:
    layout = Layout(seed)
    layout.is_template = True
    texts = layout.write(_with_mistake(film, where % len(film.units)))
    note(texts[FILM])
    found = [d for d in compile_texts(texts).diagnostics if d.severity == "error"]
    # A shot of a film may be written once only, so that the mistake is found once.
    assert [diagnostic.slug for diagnostic in found] == ["unknown-reference"]
    span = found[0].span
    rows = texts[FILM].removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    assert (span.file, span.line) == (FILM, span.end_line)
    assert rows[span.line - 1][span.column - 1 : span.end_column - 1] == "@Nowhere"


def _with_mistake(film: Film, at: int) -> Film:
    """Return a film of which one unit mentions a name that nobody declares, in its first shot's first words."""
    numbered = iter(range(len(film.units)))
    scenes = []
    for scene in film.scenes:
        units = []
        for unit in scene.units:
            if next(numbered) == at:
                shot = unit.shots[0] if isinstance(unit, Clip) else unit
                (_, *rest) = shot.paragraphs[0]
                words = (("rain", "{", "@Nowhere", "falls"), *rest)
                shot = msgspec.structs.replace(shot, paragraphs=(words, *shot.paragraphs[1:]))
                unit = msgspec.structs.replace(unit, shots=(shot, *unit.shots[1:])) if isinstance(unit, Clip) else shot
            units.append(unit)
        scenes.append(msgspec.structs.replace(scene, units=tuple(units)))
    return msgspec.structs.replace(film, scenes=tuple(scenes))
