"""Properties of the compiler: any text ends in diagnostics, and a session's answer is that of a fresh compile."""

from __future__ import annotations

from helpers import CAST, FILM, PROFILES, Case, MemoryWorld, apply_fix, compile_text, seen
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_language import CASES
from text_changes import LINES

from kling_dsl import parser
from kling_dsl.compiler import Options, Session

lines = st.lists(st.sampled_from(LINES), max_size=25)
quick = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def _world(text: str, cast: str = CAST) -> MemoryWorld:
    return MemoryWorld({FILM: text, "cast.kling": cast, "other.kling": "PROP Boat\nA boat.\n"})


@quick
@given(lines)
def test_a_fix_is_applied_and_ends(given_lines: list[str]) -> None:
    texts = {FILM: "\n".join(given_lines), "cast.kling": CAST}
    for diagnostic in compile_text(texts[FILM]).diagnostics:
        if diagnostic.fix is not None and all(edit.span.file in texts for edit in diagnostic.fix.edits):
            changed = apply_fix(texts, diagnostic.fix)
            assert changed != texts
            assert diagnostic not in compile_text(changed[FILM]).diagnostics


@quick
@given(st.text(max_size=300))
def test_blocks_hold_every_line_of_their_file(text: str) -> None:
    text = text.replace("\r", "\n")
    screenplay = parser.parse(text, file=FILM, known={})
    starts = [placed.line for placed in screenplay.blocks]
    assert starts == sorted(set(starts))
    assert screenplay.lines == (text if text.endswith("\n") else text + "\n").count("\n")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(lines, st.lists(st.tuples(st.integers(0, 24), st.sampled_from((*LINES, None))), max_size=5))
def test_a_session_answers_like_a_fresh_compile(first: list[str], edits: list[tuple[int, str | None]]) -> None:
    session = Session(PROFILES)
    text = list(first)
    assert seen(session.compile(FILM, _world("\n".join(text)), Options())) == _fresh("\n".join(text))
    for place, fragment in edits:
        at = min(place, len(text))
        if fragment is None:
            del text[at : at + 1]
        else:
            text.insert(at, fragment)
        changed = "\n".join(text)
        assert seen(session.compile(FILM, _world(changed), Options())) == _fresh(changed)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from([case for case in CASES if not case.options]), min_size=2, max_size=6))
def test_a_session_over_films_of_all_kinds_answers_like_a_fresh_compile(cases: list[Case]) -> None:
    session = Session(PROFILES)
    for case in cases:
        world = MemoryWorld({"cast.kling": CAST, **case.files})
        fresh = Session(PROFILES).compile(FILM, world, Options())
        assert seen(session.compile(FILM, world, Options())) == seen(fresh)


@quick
@given(lines, st.sampled_from(["PROP Boat\nA boat.\n", "", "CHARACTER Mira\nA woman.\n", CAST]))
def test_a_session_sees_a_changed_import(given_lines: list[str], cast: str) -> None:
    text = "\n".join(["import cast.kling", "", *given_lines])
    session = Session(PROFILES)
    session.compile(FILM, _world(text), Options())
    world = _world(text, cast)
    fresh = Session(PROFILES).compile(FILM, world, Options())
    assert seen(session.compile(FILM, world, Options())) == seen(fresh)


@quick
@given(lines, st.sampled_from([Options(model="o3-pro"), Options(lints={"unused-reference": "off"}), Options()]))
def test_a_session_sees_changed_options(given_lines: list[str], options: Options) -> None:
    text = "\n".join(given_lines)
    session = Session(PROFILES)
    session.compile(FILM, _world(text), Options(model="v3-pro-text"))
    fresh = Session(PROFILES).compile(FILM, _world(text), options)
    assert seen(session.compile(FILM, _world(text), options)) == seen(fresh)


def _fresh(text: str) -> tuple[object, ...]:
    return seen(Session(PROFILES).compile(FILM, _world(text), Options()))
