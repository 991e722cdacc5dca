"""Law of layouts: however a film is written down, the same requests are asked for."""

from __future__ import annotations

from film_strategies import Film, Layout, films, write_plainly
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
