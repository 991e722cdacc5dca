"""Plans as they are read: any names and amounts at any width, as text, Markdown and HTML."""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from kling_dsl.compiler import Quote
from kling_dsl.money import dollars
from kling_dsl.reports.escaping import visible
from kling_dsl.reports.palette import COLOURED, PLAIN
from kling_dsl.reports.plan import Basis, Clip, Plan, on_the_point
from kling_dsl.reports.plan_pages import render_plan_html, render_plan_markdown
from kling_dsl.reports.plan_text import render_plan_text

URL = "https://fal.ai/models/fal-ai/kling-video/o3/4k/reference-to-video/llms.txt"


def clip(
    name: str,
    scene: str = "",
    *,
    model: str = "o3-4k",
    usd: Decimal = Decimal("2.10"),
    takes: int = 1,
    seconds: int = 5,
) -> Clip:
    return Clip(
        id=name,
        scene=scene,
        model=model,
        state="new",
        why="not rendered yet",
        seconds=seconds,
        takes=takes,
        cost_usd=usd * takes,
        retake_usd=usd,
        to_buy_usd=usd * takes,
        kept_usd=Decimal(0),
        fingerprint="0" * 64,
        file="film.kling",
        line=1,
    )


def plan(*clips: Clip, film: str = "The Pier", file: str = "film.kling", budget: Decimal | None = None) -> Plan:
    basis = Basis("o3-4k", Decimal("0.42"), "", "", "certain", "2026-11-22", 0, "fal's page", URL)
    return Plan(film, file, clips, budget, (Quote("o3-pro", Decimal("0.56"), 0),), (basis,))


def columns(text: str) -> int:
    """Count the columns of a terminal that a line takes."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


AMOUNTS = st.decimals(min_value=0, max_value=10**6, places=4).map(lambda amount: amount.normalize() + Decimal(0))
NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,70}", fullmatch=True)
SCENES = st.sampled_from(["", "INT. HUT - NIGHT", "EXT. 灯台の中、嵐の夜、そして誰も眠らない長い廊下 - DAWN"])
CLIPS = st.lists(
    st.builds(
        clip, NAMES, SCENES, model=st.sampled_from(["o3-4k", "v3-pro-image"]), usd=AMOUNTS, takes=st.integers(1, 99)
    ),
    min_size=1,
    max_size=6,
)


@settings(deadline=None, max_examples=60)
@given(CLIPS, st.integers(1, 200))
def test_no_amount_or_address_is_ever_cut(clips: list[Clip], width: int) -> None:
    lines = render_plan_text(plan(*clips), width=width, palette=PLAIN).splitlines()
    words = [word for line in lines for word in line.split()]
    for one in clips:
        assert dollars(one.cost_usd) in words
        assert dollars(one.retake_usd) in words
        assert any(line.lstrip().startswith(one.id[:10]) for line in lines)
    assert dollars(plan(*clips).film_usd) in words
    assert URL in words
    assert all(line == line.rstrip() for line in lines)


@pytest.mark.parametrize("width", [80, 120])
def test_a_usual_plan_keeps_to_the_width(width: int) -> None:
    clips = [clip(f"shot-{at}", "INT. 灯台の中 - NIGHT", takes=at) for at in range(1, 9)]
    lines = render_plan_text(plan(*clips), width=width, palette=PLAIN).splitlines()
    assert max(columns(line) for line in lines if URL not in line) <= width


@pytest.mark.parametrize("width", [60, 80, 120])
def test_wide_letters_leave_the_columns_where_they_are(width: int) -> None:
    scene = "INT. 灯台の中、嵐の夜、そして誰も眠らない長い廊下の突き当たりにある小さな部屋 - NIGHT"
    text = render_plan_text(plan(clip("a", scene), clip("b" * 80, scene), clip("c")), width=width, palette=PLAIN)
    rows = [line for line in text.splitlines() if " new " in line]
    assert len({columns(line.partition(" new ")[0]) for line in rows}) == 1
    assert len({columns(line) for line in rows}) == 1


def test_a_long_name_is_folded_and_nothing_of_it_is_lost() -> None:
    name = "the-" + "very-" * 20 + "end"
    text = render_plan_text(plan(clip(name)), width=80, palette=PLAIN)
    table = text.partition("\n\n")[2].partition("\n\n")[0].splitlines()[1:]
    assert "".join(line[: table[0].index("  new")].strip() for line in table) == name


def test_colour_adds_styles_and_nothing_else() -> None:
    one = plan(clip("a", "INT. HUT"), clip("b"))
    coloured = render_plan_text(one, width=100, palette=COLOURED)
    assert "\x1b[1m" in coloured
    bare = re.sub(r"\x1b\[[0-9;]*m", "", coloured)
    assert [line.rstrip() for line in bare.splitlines()] == render_plan_text(one, width=100, palette=PLAIN).splitlines()


@given(st.lists(st.one_of(st.none(), AMOUNTS), max_size=8))
def test_amounts_of_a_column_have_one_width_and_one_point(amounts: list[Decimal | None]) -> None:
    words = on_the_point(amounts)
    assert len({len(word) for word in words}) <= 1
    assert len({word.index(".") for word in words if word.strip()}) <= 1
    assert [word.strip() for word in words] == ["" if amount is None else dollars(amount) for amount in amounts]


def test_a_scene_is_the_sum_of_its_clips_and_the_last_total_is_the_film() -> None:
    one = plan(clip("a", "ONE", takes=2), clip("b", "ONE", usd=Decimal("0.336")), clip("c"), clip("d", "ONE"))
    rows = one.rows
    assert [(row.name, row.cost_usd) for row in rows if row.clip is None] == [
        ("ONE", Decimal("4.536")),
        ("ONE", Decimal("2.10")),
    ]
    assert rows[-1].total_usd == one.film_usd == Decimal("8.736")


HOSTILE = [
    "<script>alert(1)</script>",
    "a | b |",
    "**bold** _x_ `code`",
    "[link](https://evil.example)",
    "![x](https://evil.example/x.png)",
    "https://evil.example www.evil.example",
    "@someone #12",
    "<!-- x -->",
    "&lt;b&gt; &amp;",
    "\\| \\",
    "~~gone~~ ==x==",
    "$x^2$ ^sup^",
    "1. one",
    "- [ ] task",
    "> quote",
    "# heading",
    "\x1b[31mred\x1b[0m \u202e",
    "a\nb\r\nc",
    '" onmouseover="x',
]


def shown(text: str) -> str:
    """Return text as a report shows it: what is unseen as its escape."""
    return visible(text)


@pytest.mark.parametrize("words", HOSTILE)
def test_nothing_in_a_film_acts_as_markup_on_a_page(words: str) -> None:
    page = render_plan_html(plan(clip("a", words), film=words, file=words))
    found: list[tuple[str, dict[str, str | None]]] = []
    texts: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.append((tag, dict(attrs)))

        def handle_data(self, data: str) -> None:
            texts.append(data)

        def handle_comment(self, data: str) -> None:
            raise AssertionError(data)

    reader = Reader(convert_charrefs=True)
    reader.feed(page)
    assert [tag for tag, _ in found] == re.findall(r"<([a-z]\w*)", render_plan_html(plan(clip("a", "x"), film="x")))
    assert {name for _, attributes in found for name in attributes} <= {"lang", "charset", "name", "content", "class"}
    assert texts.count(shown(words)) == 4


@pytest.mark.parametrize("words", HOSTILE)
def test_nothing_in_a_film_acts_as_markup_in_a_review(words: str) -> None:
    text = render_plan_markdown(plan(clip("a", words), film=words))
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    tokens = parser.parse(text)
    plain = parser.parse(render_plan_markdown(plan(clip("a", "x"), film="x")))
    assert [token.type for token in tokens] == [token.type for token in plain]
    kinds = {child.type for token in tokens for child in token.children or ()}
    assert kinds <= {"text", "text_special", "strong_open", "strong_close"}
    content = ["".join(child.content for child in token.children or ()) for token in tokens if token.type == "inline"]
    assert not any(re.search(r"@\w|#\d", line) for line in content), "the host would make a link of it"
    told = [line.replace("\u200b", "") for line in content]
    assert told[0] == shown(words).strip()
    assert shown(words).strip() in told[1:]
    assert not re.search(r"(?i)www\.|[a-z]+://", text), "the host would make a link of it"


def test_a_review_names_the_models_where_there_are_several() -> None:
    one = render_plan_markdown(plan(clip("a")))
    two = render_plan_markdown(plan(clip("a", "HUT"), clip("b", "HUT", model="o3-pro")))
    assert "| Clip | State | Seconds | Takes | Cost | One more | Total |\n" in one
    assert "| Clip | State | Model | Seconds | Takes | Cost | One more | Total |\n" in two
    assert "| b | new | o3\\-pro | 5 | 1 | \\$2.10 | \\$2.10 | \\$4.20 |\n" in two
    assert {line.replace("\\|", "").count("|") for line in two.splitlines() if line.startswith("|")} == {9}


def test_a_page_asks_nobody_for_anything() -> None:
    page = render_plan_html(plan(clip("a")))
    assert not re.search(r"<(script|link|img|iframe|object)|src=|href=|url\(|@import", page)
    assert page.startswith("<!doctype html>\n")
    assert page.count("<tr>") == 2
