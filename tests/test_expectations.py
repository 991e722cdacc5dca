"""EXPECT lines: each form where it holds, and where it does not with what is there instead."""

from __future__ import annotations

import pytest
from helpers import FILM, compile_text

from kling_dsl.compiler import Compilation, Options
from kling_dsl.diagnostics import Diagnostic
from kling_dsl.harness import Verdict
from kling_dsl.harness.judging import MAX_NOTES, judge

LANTERN = """\
Title: The Lantern
Model: o3-4k
Audio: on

import cast.kling

INT. LIGHTHOUSE - NIGHT #1#

SHOT door 5s wide
@Mira opens the storm door.
In the look of @Ink.

SHOT reply 4s close-up on @Keeper
  takes: 2
  model: o3-pro
@Keeper turns from the lamp.
KEEPER (hoarse): You came  back, didn’t you?

EXT. SEA - NIGHT #7B#

CLIP window 9s
  with: @Fog
  audio: off

SHOT watch 4s
@Mira and @Keeper stand at the window.

SHOT sea 5s
Beyond @Mira, a lamp.

END CLIP

"""
# door 5 s x 0.42 = 2.10; reply 4 s x 0.14 = 0.56, twice; window 9 s x 0.42 = 3.78.

HOLD = """\
total = $7
total <= $7
total >= $7
total < $7.01
total > $6.99
total between $7 and $7
total in scene 1 = $3.22
total in scene #7B# = $3.78
total in clip reply = $1.12
total with o3-standard <= $3
total with o3-standard in scene 2 < $1
seconds = 18s
seconds in scene 1 = 9s
seconds in clip window = 9s
clips = 3
clips in scene 2 = 1
shots = 4
shots in scene 1 = 2
shots in clip window = 2
scenes = 2
takes = 4
takes in clip reply = 2
references = 4
references in clip window = 3
references in scene 1 = 3
every shot in scene 2 uses @Fog
every shot in clip window uses @Mira
some shot uses @Ink
no shot in scene 2 uses @Ink
shot door uses @Mira
shot sea uses @Fog
clip window uses @Keeper
no shot longer than 5s
every shot shorter than 6s
some clip longer than 8s
clip window longer than 8s
shot watch shorter than 5s
shot reply says "you came back"
shot reply says "Didn't you?"
shot reply says “CAME BACK”
some shot says "back"
no clip in scene 2 says "back"
shot door prompts "the storm door"
shot door prompts "@mira opens"
shot door prompts "@Element1 opens"
clip window prompts "a lamp"
every shot in scene 2 uses model o3-4k
clip reply uses model o3-pro
some clip has audio
no clip in scene 2 has audio
shot door has audio
""".splitlines()

FAIL = {
    "total <= $6.99": 'the total is $7.00, and at most $6.99 is expected; "window" costs $3.78; "door" costs $2.10; '
    '"reply" costs $1.12, 2 takes',
    "total < $7": "the total is $7.00, and less than $7.00 is expected",
    "total > $7": "the total is $7.00, and more than $7.00 is expected",
    "total >= $7.01": "the total is $7.00, and at least $7.01 is expected",
    "total between $1 and $6.99": "the total is $7.00, and $1.00 to $6.99 is expected",
    "total between $7.01 and $8": "the total is $7.00, and $7.01 to $8.00 is expected",
    "total in scene 1 < $3": "the total in scene 1 is $3.22, and less than $3.00 is expected; "
    '"door" costs $2.10; "reply" costs $1.12, 2 takes',
    "total with o3-standard = $3": "the total with o3-standard is $2.212, and exactly $3.00 is expected",
    "seconds <= 17s": 'the film lasts 18 s, and at most 17 s is expected; "window" lasts 9 s; "door" lasts 5 s; '
    '"reply" lasts 4 s',
    "seconds in scene 2 between 3s and 8s": "scene 2 lasts 9 s, and 3 s to 8 s is expected",
    "clips = 2": "the film has 3 clips, and exactly 2 is expected",
    "clips in scene #7B# > 1": "scene #7B# has 1 clip, and more than 1 is expected",
    "shots < 4": "the film has 4 shots, and less than 4 is expected",
    "scenes = 3": "the film has 2 scenes, and exactly 3 is expected",
    "takes <= 3": 'the film has 4 takes, and at most 3 is expected; "reply" has 2 takes',
    "references in clip door = 1": "clip door has 2 references, and exactly 1 is expected; it uses @Ink, @Mira",
    "every shot uses @Mira": '1 of 4 shots does not use @Mira; "reply" uses @Keeper',
    "every shot in scene 1 uses @Ink": '1 of 2 shots in scene 1 does not use @Ink; "reply" uses @Keeper',
    "no shot uses @Keeper": '2 of 4 shots use @Keeper, and none should; "reply" uses @Keeper; '
    '"watch" uses @Mira, @Keeper, @Fog',
    "some shot in scene 1 uses @Fog": "no shot in scene 1 uses @Fog, of 2 shots",
    "some clip in scene 2 uses @Ink": "no clip in scene 2 uses @Ink, of one clip",
    "shot sea uses @Keeper": 'shot "sea" does not use @Keeper; "sea" uses @Mira, @Fog',
    "no shot longer than 4s": '2 of 4 shots are longer than 4 s, and none should; "door" lasts 5 s; "sea" lasts 5 s',
    "every clip shorter than 9s": '1 of 3 clips is not shorter than 9 s; "window" lasts 9 s',
    'shot door says "You came back"': 'shot "door" does not say "You came back"; "door" says nothing',
    'shot reply says "You left"': 'shot "reply" does not say "You left"; "reply" says "You came back, didn’t you?"',
    'no shot says "came back"': '1 of 4 shots says "came back", and none should; '
    '"reply" says "You came back, didn’t you?"',
    'shot watch prompts "snow"': 'shot "watch" does not prompt "snow"; "watch" is sent "EXT. SEA - NIGHT. @Element1 '
    'and @Element2 stand at the window."',
    "every clip uses model o3-4k": '1 of 3 clips does not use model o3-4k; "reply" is made by o3-pro',
    "no clip uses model o3-pro": '1 of 3 clips uses model o3-pro, and none should; "reply" is made by o3-pro',
    "every clip has audio": '1 of 3 clips has no audio; "window" has no audio',
    "clip door uses model o3-pro": 'clip "door" does not use model o3-pro; "door" is made by o3-4k',
}


def judged(film: str, *, options: Options | None = None) -> list[Verdict]:
    """Return the verdicts of a film's EXPECT lines; requests are never compared here."""
    compilation = compile_text(film, options=options)
    assert not compilation.failed, [(d.slug, d.message) for d in compilation.diagnostics]

    def draft(model: str) -> Compilation:
        return compile_text(film, options=Options(model=model))

    return [judge(stated, compilation, draft=draft, compare=lambda _: None) for stated in compilation.stated]


def told(diagnostic: Diagnostic) -> str:
    return "; ".join([diagnostic.message, *(note.message for note in diagnostic.notes)])


def test_every_form_holds_where_it_should() -> None:
    verdicts = judged(LANTERN + "".join(f"EXPECT {words}\n" for words in HOLD))
    assert [verdict.words for verdict in verdicts] == HOLD
    assert {v.words: [told(d) for d in v.diagnostics] for v in verdicts if v.outcome != "passed"} == {}


def test_every_form_fails_with_what_is_there_instead() -> None:
    verdicts = judged(LANTERN + "".join(f"EXPECT {words}\n" for words in FAIL))
    assert {verdict.words: verdict.outcome for verdict in verdicts} == dict.fromkeys(FAIL, "failed")
    for verdict in verdicts:
        [diagnostic] = verdict.diagnostics
        assert diagnostic.slug == "expect-failed"
        assert told(diagnostic).startswith(FAIL[verdict.words]), told(diagnostic)


def test_a_failure_points_at_its_words_and_at_each_shot_that_breaks_it() -> None:
    [verdict] = judged(LANTERN + "EXPECT   every shot [[always]] uses @Mira\n")
    [diagnostic] = verdict.diagnostics
    assert verdict.words == "every shot uses @Mira"
    line = LANTERN.count("\n") + 1
    assert (verdict.file, verdict.line) == (FILM, line)
    assert (diagnostic.span.line, diagnostic.span.column, diagnostic.span.end_column) == (line, 10, 42)
    [note] = diagnostic.notes
    assert note.span is not None
    assert LANTERN.splitlines()[note.span.line - 1][note.span.column - 1 :].startswith("reply 4s")


def test_what_a_template_wrote_is_led_back_to_what_the_writer_typed() -> None:
    film = '{% for n in [1, 2] %}\nSHOT s{{ n }} 5s\nRain {{ n }}.\n\nEXPECT shot s{{ n }} prompts "Rain 2"\n{% endfor %}\n'
    first, second = judged(film)
    assert (first.words, first.outcome, first.line) == ('shot s1 prompts "Rain 2"', "failed", 5)
    assert (second.words, second.outcome, second.line) == ('shot s2 prompts "Rain 2"', "passed", 5)
    [diagnostic] = first.diagnostics
    assert diagnostic.span.line == 5
    assert [note.span and note.span.line for note in diagnostic.notes if note.message.startswith('"s1"')] == [2]


def test_only_so_many_shots_are_named() -> None:
    film = "".join(f"SHOT s{n} 5s\nRain {n}.\n\n" for n in range(MAX_NOTES + 3))
    [verdict] = judged(f"{film}EXPECT every shot longer than 9s\n")
    notes = [note.message for note in verdict.diagnostics[0].notes]
    assert (len(notes), notes[-1]) == (MAX_NOTES + 1, "and 3 more")


def test_a_draft_that_does_not_take_the_film_is_no_total() -> None:
    film = (
        "CHARACTER Diver\n  video: refs/diver.mp4\n\nSHOT a 5s\n@Diver sinks.\n\nEXPECT total with v3-pro-text <= $3\n"
    )
    [verdict] = judged(film)
    [diagnostic] = verdict.diagnostics
    assert diagnostic.message == "the film does not compile with v3-pro-text"
    assert "v3-pro-text takes none" in diagnostic.notes[0].message


def test_an_expect_that_cannot_fail_never_passes() -> None:
    [verdict] = judged("SHOT a 5s\nRain.\n\nEXPECT no shot longer than 15s\n")
    assert verdict.outcome == "always"
    assert [diagnostic.slug for diagnostic in verdict.diagnostics] == ["expect-always"]


@pytest.mark.parametrize("words", ["every shot in scene 2 uses @Mira", "no clip in scene 2 has audio"])
def test_nothing_is_true_of_a_scene_without_shots(words: str) -> None:
    film = f"import cast.kling\n\nINT. A\n\nSHOT a 5s\n@Mira.\n\nINT. B\n\nEXPECT {words}\n"
    assert [verdict.outcome for verdict in judged(film)] == ["always"]
    some = compile_text(film.replace("every", "some").replace("no clip", "some clip"))
    assert "expect-never" in [diagnostic.slug for diagnostic in some.diagnostics]


def test_the_models_option_is_judged_too() -> None:
    film = "Model: o3-4k\n\nSHOT a 5s\nRain.\n\nEXPECT total <= $1\nEXPECT every clip uses model o3-4k\n"
    assert [verdict.outcome for verdict in judged(film)] == ["failed", "passed"]
    assert [verdict.outcome for verdict in judged(film, options=Options(model="o3-pro"))] == ["passed", "failed"]


def test_a_film_with_another_mistake_reports_only_the_names_that_are_surely_wrong() -> None:
    film = "SHOT a 5s\n@Nobody.\n\nEXPECT shot b longer than 4s\nEXPECT every clip uses model o3-4q\n"
    assert [d.slug for d in compile_text(film).diagnostics] == ["unknown-reference", "expect-unknown"]


def test_a_number_that_two_scenes_may_have_must_be_written_with_its_signs() -> None:
    film = "INT. A #2#\n\nSHOT a 5s\nRain.\n\nINT. B #1#\n\nSHOT b 4s\nSnow.\n\nEXPECT seconds in scene 2 = 4s\n"
    [diagnostic] = compile_text(film).diagnostics
    assert diagnostic.slug == "expect-unknown"
    assert "may mean two scenes" in diagnostic.message
    [verdict] = judged(film.replace("scene 2", "scene #2#").replace("4s\n", "5s\n"))
    assert verdict.outcome == "passed"


def test_shots_before_the_first_heading_are_in_no_scene() -> None:
    film = "SHOT a 5s\nRain.\n\nINT. A\n\nSHOT b 4s\nSnow.\n\nEXPECT seconds in scene 1 = 4s\nEXPECT seconds = 9s\n"
    assert [verdict.outcome for verdict in judged(film)] == ["passed", "passed"]


def test_an_imported_file_keeps_its_expect_lines_to_itself() -> None:
    cast = "CHARACTER Mira\nA keeper.\n\nEXPECT total <= $1\n"
    compilation = compile_text("import cast.kling\n\nSHOT a 5s\n@Mira.\n", {"cast.kling": cast})
    assert (compilation.stated, compilation.diagnostics) == ((), ())
