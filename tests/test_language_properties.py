"""Properties of the compiler: any text ends in diagnostics, and a session's answer is that of a fresh compile."""

from __future__ import annotations

import msgspec
from helpers import CAST, FILM, PROFILES, Case, MemoryWorld, apply_fix, compile_text, fingerprints
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_language import CASES

from kling_dsl import parser
from kling_dsl.compiler import Compilation, Options, Session
from kling_dsl.diagnostics import Diagnostic

FRAGMENTS = (
    "SHOT a 5s wide", "SHOT b 3s", "SHOT Bad", "SHOT c 5.5s", "CLIP g 9s", "CLIP h", "END CLIP", "INT. ROOM - DAY",
    "EXT. SEA", ".SPACE", "CHARACTER Mira", "CHARACTER Zoë", "PROP Lamp", "STYLE Ink", "PLACE 海",
    "import cast.kling", "import other.kling", "Title: x", "Look: @Ink grain", "Budget: $5", "Duration: 4s",
    "Headings: off", "Audio: on", "  front: refs/a.png", "  angles: refs/b.png", "  image: refs/c.png",
    "  video: refs/d.mp4", "  start: end of a", "  end: end of b", "  look: in @Ink", "  with: @Ink, @Mira",
    "  takes: 2", "  model: o3-pro", "  model: v3-pro-text", "  negative: cars", "  aspect: 1:1", "  nonsense: 1",
    "MIRA: Hello.", "MIRA (low): Hello", "  there.", "NOBODY: Hi.", "CUT TO:", "@Mira waits.",
    "@Zoë and @海 and @Nobody.", "Rain falls.", "# comment", "[[note]]", "[[open", "closed]]", "!SHOT prose",
    "\\# hash", "", "", "EXPECT x", "EXPECT shot a uses @Ink", "EXPECT total <= 3", "shot d 5s", "(word:1.3) no text, 8k masterpiece stunning", "Mira without at.",
    "<<<voice_1>>> @Element1", "{# remark #}", "a@b.c @@x",
)  # fmt: skip
"""Lines that a film may be made of, right and wrong."""

lines = st.lists(st.sampled_from(FRAGMENTS), max_size=25)
quick = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def _world(text: str, cast: str = CAST) -> MemoryWorld:
    return MemoryWorld({FILM: text, "cast.kling": cast, "other.kling": "PROP Boat\nA boat.\n"})


def _seen(compilation: Compilation) -> tuple[object, ...]:
    """Return all of a compilation that anybody can see."""
    calls = () if compilation.failed else compilation.calls
    return (
        compilation.diagnostics,
        compilation.failed,
        msgspec.json.encode([msgspec.to_builtins(call) for call in calls], enc_hook=str),
        compilation.total_usd,
        compilation.seconds,
        compilation.settings,
        compilation.files,
        [(item.line, item.built.request.id, item.built.fingerprint) for item in compilation.items],
    )


@quick
@given(st.text(max_size=400))
def test_any_text_ends_in_diagnostics(text: str) -> None:
    compilation = compile_text(text)
    for diagnostic in compilation.diagnostics:
        _check_places(diagnostic, text)


@quick
@given(st.text(alphabet="SHOTCLIPEND @#![]\\:.,()s5{%}\n\t'aéñ海", max_size=200))
def test_any_text_of_the_marks_of_the_language_ends_in_diagnostics(text: str) -> None:
    for diagnostic in compile_text(text).diagnostics:
        _check_places(diagnostic, text)


@quick
@given(lines)
def test_any_order_of_lines_ends_in_diagnostics(given_lines: list[str]) -> None:
    text = "\n".join(given_lines)
    compilation = compile_text(text)
    for diagnostic in compilation.diagnostics:
        _check_places(diagnostic, text)


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
@given(lines, st.lists(st.tuples(st.integers(0, 24), st.sampled_from((*FRAGMENTS, None))), max_size=5))
def test_a_session_answers_like_a_fresh_compile(first: list[str], edits: list[tuple[int, str | None]]) -> None:
    session = Session(PROFILES)
    text = list(first)
    assert _seen(session.compile(FILM, _world("\n".join(text)), Options())) == _fresh("\n".join(text))
    for place, fragment in edits:
        at = min(place, len(text))
        if fragment is None:
            del text[at : at + 1]
        else:
            text.insert(at, fragment)
        changed = "\n".join(text)
        assert _seen(session.compile(FILM, _world(changed), Options())) == _fresh(changed)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from([case for case in CASES if not case.options]), min_size=2, max_size=6))
def test_a_session_over_films_of_all_kinds_answers_like_a_fresh_compile(cases: list[Case]) -> None:
    session = Session(PROFILES)
    for case in cases:
        world = MemoryWorld({"cast.kling": CAST, **case.files})
        fresh = Session(PROFILES).compile(FILM, world, Options())
        assert _seen(session.compile(FILM, world, Options())) == _seen(fresh)


@quick
@given(lines, st.sampled_from(["PROP Boat\nA boat.\n", "", "CHARACTER Mira\nA woman.\n", CAST]))
def test_a_session_sees_a_changed_import(given_lines: list[str], cast: str) -> None:
    text = "\n".join(["import cast.kling", "", *given_lines])
    session = Session(PROFILES)
    session.compile(FILM, _world(text), Options())
    world = _world(text, cast)
    fresh = Session(PROFILES).compile(FILM, world, Options())
    assert _seen(session.compile(FILM, world, Options())) == _seen(fresh)


@quick
@given(lines, st.sampled_from([Options(model="o3-pro"), Options(lints={"unused-reference": "off"}), Options()]))
def test_a_session_sees_changed_options(given_lines: list[str], options: Options) -> None:
    text = "\n".join(given_lines)
    session = Session(PROFILES)
    session.compile(FILM, _world(text), Options(model="v3-pro-text"))
    fresh = Session(PROFILES).compile(FILM, _world(text), options)
    assert _seen(session.compile(FILM, _world(text), options)) == _seen(fresh)


words = st.lists(
    st.sampled_from(["rain", "@Mira", "snow,", "@Keeper's", "door.", "@@", "a@b.c"]), min_size=1, max_size=12
)


@quick
@given(words, st.data())
def test_prose_wraps_anywhere(given_words: list[str], data: st.DataObject) -> None:
    joints = data.draw(
        st.lists(st.sampled_from([" ", "\n", "  ", "\n   ", "\n# why\n", " [[note]] "]), min_size=12, max_size=12)
    )
    plain = "x " + " ".join(given_words)
    wrapped = "x" + "".join(joint + word for joint, word in zip([" ", *joints], given_words, strict=False))
    film = "import cast.kling\n\nSHOT a 5s\n{}\n"
    assert fingerprints(film.format(wrapped)) == fingerprints(film.format(plain))


def _fresh(text: str) -> tuple[object, ...]:
    return _seen(Session(PROFILES).compile(FILM, _world(text), Options()))


def _check_places(diagnostic: Diagnostic, text: str) -> None:
    """Every place is in its file: lines from 1 to the last, columns from 1 to just behind the line's end."""
    rows = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for span in (diagnostic.span, *diagnostic.also, *(note.span for note in diagnostic.notes if note.span)):
        if span.file != FILM:
            continue
        assert 1 <= span.line <= span.end_line <= len(rows) + 1, diagnostic
        row = rows[span.line - 1] if span.line <= len(rows) else ""
        assert 1 <= span.column <= len(row) + 1, diagnostic
        assert (span.end_line, span.end_column) >= (span.line, span.column), diagnostic
