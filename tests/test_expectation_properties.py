"""EXPECT lines never change what is bought, and no words after EXPECT can make the parser raise.

KLING_EXPECT_EXAMPLES sets how many examples each law is tried with.
"""

from __future__ import annotations

import os

from helpers import compile_text
from hypothesis import given, settings
from hypothesis import strategies as st

from kling_dsl import parser, statements
from kling_dsl.compiler import Compilation
from kling_dsl.nodes import Expectation, Passage

EXAMPLES = int(os.environ.get("KLING_EXPECT_EXAMPLES", "30"))

WORDS = tuple(
    name.name.removeprefix(statements.WORD_PREFIX).lower()
    for name in parser.words_grammar().terminals
    if name.name.startswith(statements.WORD_PREFIX)
)
OTHERS = (
    *("<=", "<", "=", ">", ">=", "==", "≤", "$3", "$0", "3", "3s", "0s", "99999999999", "@Mira", "@Nobody", "@", "#1#"),
    *(
        "#",
        "##",
        "2",
        "door",
        "window",
        "sea",
        '"rain"',
        '"',
        "“",
        "“a”",
        "[[",
        "[[ a ]]",
        "]]",
        "\\[[",
        "o3-pro",
        "o9",
    ),
    *(
        "EXPECT",
        "!",
        "é",
        "美咲",
        "\t",
        "\u202e",
        "\x00",
        "\ue000",
        "{",
        "}",
        "%",
        "'",
        "::",
        "- 3",
        "1e9",
        "-$1",
        "$1.5",
    ),
)
SENTENCES = st.lists(st.sampled_from((*WORDS, *OTHERS)), max_size=9).map(" ".join)
ANY_WORDS = st.one_of(
    SENTENCES, st.text(st.characters(exclude_characters="\n\r", exclude_categories=["Cs"]), max_size=60)
)

SENSIBLE = st.sampled_from(
    (
        *("total <= $30", "total between $1 and $9", "total in scene 1 with o3-pro < $4", "seconds = 14s", "clips = 2"),
        *("every shot uses @Mira", "no shot longer than 4s", 'shot door says "no"', "clip window has audio"),
        *(
            "requests match golden",
            "every clip uses model o3-4k",
            'some shot prompts "rain"',
            "references in scene 1 = 1",
        ),
    )
)

BLOCKS = (
    "import cast.kling\n\n",
    "INT. ROOM - DAY\n\n",
    "SHOT door 5s wide\n@Mira opens.\n\nRain.\n\n",
    "CLIP window 9s\n\n",
    "SHOT watch 4s\n@Mira waits.\n\n",
    "SHOT sea 5s\nA lamp.\n\n",
    "END CLIP\n\n",
    "SHOT last 4s\n  start: end of door\nSnow.\n\n",
)


def bought(film: str) -> tuple[Compilation, object]:
    compilation = compile_text(film)
    # A line of the film is where it is; everything else of a call is what is bought.
    calls = [
        {**{name: getattr(call, name) for name in call.__struct_fields__}, "line": 0} for call in compilation.calls
    ]
    return compilation, (calls, compilation.total_usd, compilation.seconds, compilation.settings)


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(BLOCKS)), SENSIBLE), min_size=1, max_size=6))
def test_expect_lines_change_nothing_that_is_bought(lines: list[tuple[int, str]]) -> None:
    plain, before = bought("".join(BLOCKS))
    film = "".join(
        "".join(f"EXPECT {words}\n" for at, words in lines if at == number) + block
        for number, block in enumerate((*BLOCKS, ""))
    )
    compilation, after = bought(film)
    assert not plain.failed
    assert not compilation.failed
    assert len(compilation.stated) == len(lines)
    assert after == before


@settings(max_examples=3 * EXAMPLES, deadline=None)
@given(ANY_WORDS)
def test_any_words_are_a_statement_or_a_mistake_and_never_both(words: str) -> None:
    screenplay = parser.parse(f"EXPECT {words}", file="film.kling", known={})
    [placed] = screenplay.blocks
    node, found = placed.block.node, placed.block.diagnostics
    errors = [diagnostic for diagnostic in found if diagnostic.severity == "error"]
    if node is None:
        assert errors
    else:
        assert isinstance(node, Expectation)
        assert node.statement is not None
        assert all(diagnostic.slug in ("control-character", "unclosed-note") for diagnostic in errors)
        assert node.words == Passage(words.strip(" \t"), 0, node.words.column)
    for diagnostic in found:
        assert diagnostic.span.line == 0
        assert 1 <= diagnostic.span.column < diagnostic.span.end_column <= len(f"EXPECT {words}") + 1
        if diagnostic.fix is not None and diagnostic.slug.startswith("expect-"):
            assert all(edit.text for edit in diagnostic.fix.edits)


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.lists(ANY_WORDS, min_size=1, max_size=4))
def test_a_film_with_any_expect_lines_compiles_to_the_same_requests(lines: list[str]) -> None:
    film = "".join(BLOCKS) + "".join(f"EXPECT {words}\n" for words in lines if "{" not in words)
    compilation, after = bought(film)
    assert after == bought("".join(BLOCKS))[1]
    assert {d.slug for d in compilation.diagnostics if not d.slug.startswith("expect-")} <= {
        *("control-character", "reading-direction", "unclosed-note", "text-outside-shot"),
    }
