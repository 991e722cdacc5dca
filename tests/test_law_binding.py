"""Laws of binding: each tag names what its writer meant, tags are counted from 1 in order of use, and the cap counts them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from film_strategies import CAST, Clip, Film, Layout, Line, Scene, Shot, Words, films
from helpers import FILM, PROFILES, MemoryWorld, picture
from hypothesis import given, note
from hypothesis import strategies as st
from laws import examples, seeded_examples
from request_strategies import address_of
from sheet_oracle import PROFILES as ALL
from sheet_oracle import SHEETS, Sheet

from kling_dsl.compiler import Compilation, Options, compile_film

ENTRIES = {entry.name: entry for entry in CAST}
CAPPED = [
    (sheet, rule)
    for sheet in SHEETS.values()
    for rule in sheet.rules.values()
    if rule["kind"] == "at-most" and not rule.get("given") and "." not in "".join(rule["counts"])
]
"""Every sheet that limits all references together, with the rule."""


def names_used(unit: Shot | Clip, scene: Scene, film: Film) -> Iterator[str]:
    """Yield the names that a unit uses in the order of its words, repeats and all, from the film as it was drawn."""
    stated = {**{key.lower(): value for key, value in film.title.items()}, **scene.attributes, **unit.attributes}
    look = stated.get("look", "")
    for shot in unit.shots if isinstance(unit, Clip) else (unit,):
        yield from mentioned(shot.camera)
        for paragraph in shot.paragraphs:
            for part in paragraph:
                yield from [part.speaker] if isinstance(part, Line) else mentioned(part)
        yield from re.findall(r"@(\w+)", look)
    yield from re.findall(r"@(\w+)", stated.get("with", ""))


def mentioned(words: Words) -> list[str]:
    """Return the names among some words."""
    return [word[1:] for word in words if word[0] == "@" and word[1] != "@"]


def bound(names: Iterator[str]) -> dict[str, str]:
    """Return the tag of each name that is sent as an element or a picture."""
    tags: dict[str, str] = {}
    counts = {"Element": 0, "Image": 0}
    for name in names:
        media = ENTRIES[name].media
        if name in tags or not media:
            continue
        place = "Image" if "image" in media else "Element"
        counts[place] += 1
        tags[name] = f"@{place}{counts[place]}"
    return tags


def what_is_sent(name: str) -> Any:
    """Return what stands for a name in the arguments of an O3 model."""
    found: dict[str, Any] = {}
    fields = {"front": "frontal_image_url", "angles": "reference_image_urls", "video": "video_url"}
    media = dict(ENTRIES[name].media)
    if "image" in media:
        return address_of(media["image"][0], picture(media["image"][0]))
    media.setdefault("angles", media.get("front", ()))
    for key, field in fields.items():
        if paths := media.get(key):
            facts = [MemoryWorld({}).media(path) for path in paths]
            addresses = [address_of(path, one) for path, one in zip(paths, facts, strict=True)]  # type: ignore[arg-type]
            found[field] = addresses if key == "angles" else addresses[0]
    return found


@seeded_examples(20)
@given(films(), st.sampled_from([0, 0, 7, 8, 9]))
def test_every_tag_names_what_its_writer_meant_in_order_of_first_use(film: Film, seed: int) -> None:
    layout = Layout(seed)
    texts = layout.write(film)
    note(texts[FILM])
    calls = {call.id: call for call in _compile(texts).calls}
    for scene in film.scenes:
        for unit in scene.units:
            call = calls[layout.ids[unit.id]]
            tags = bound(names_used(unit, scene, film))
            assert list(call.references.items()) == [(layout.names[name], tag) for name, tag in tags.items()]
            for field, place in (("elements", "Element"), ("image_urls", "Image")):
                names = [name for name, tag in tags.items() if place in tag]
                assert call.arguments.get(field, []) == [what_is_sent(name) for name in names]
                _check_tags(call.arguments, place, len(names))


def _check_tags(arguments: dict[str, Any], place: str, count: int) -> None:
    """Check that the tags of a kind in the prompts exist, and begin to be used in the order of their numbers."""
    prompts = [arguments["prompt"]] if "prompt" in arguments else [shot["prompt"] for shot in arguments["multi_prompt"]]
    seen: dict[int, None] = {}
    for prompt in prompts:
        seen |= dict.fromkeys(int(number) for number in re.findall(rf"@{place}(\d+)", prompt))
    assert list(seen) == list(range(1, len(seen) + 1))
    assert len(seen) <= count


@pytest.mark.parametrize(("sheet", "rule"), CAPPED, ids=lambda value: str(value) if isinstance(value, Sheet) else "")
def test_the_cap_counts_what_is_sent_and_not_what_is_named(sheet: Sheet, rule: dict[str, Any]) -> None:
    """Names that no shot of the request uses, and names that are used again, count nothing."""
    places = {sheet.fields[path]["role"]: path for path in rule["counts"]}

    @examples(8)
    @given(st.data())
    def law(data: st.DataObject) -> None:
        names, text = [], f"Model: {sheet.name}\nHeadings: off\n\n"
        weight = 0
        for role, path in places.items():
            most = rule["max"] // rule["counts"][path] + 2
            declared = data.draw(st.integers(0, most))
            used = data.draw(st.integers(0, min(declared, sheet.fields[path].get("max_items", most))))
            for at in range(declared):
                key = {"elements": "front", "images": "image", "videos": "video"}[role]
                name = f"{role.capitalize()}{at}"
                text += f"PROP {name}\n  {key}: refs/{name}.{'mp4' if key == 'video' else 'png'}\n\n"
                names += [f"@{name}"] * data.draw(st.integers(1, 2)) if at < used else []
            weight += used * rule["counts"][path]
        words = " ".join(["rain", *data.draw(st.permutations(names))])
        compilation = _compile({FILM: f"{text}SHOT a 5s\n{words}\n"})
        found = [d.slug for d in compilation.diagnostics if d.severity == "error" and d.slug == rule["slug"]]
        assert found == [rule["slug"]] * (weight > rule["max"])

    law()


def _compile(texts: dict[str, str]) -> Compilation:
    profiles = ALL if "wide-film" in texts[FILM] or "lumen-film" in texts[FILM] else PROFILES
    return compile_film(FILM, MemoryWorld(texts), Options(), profiles=profiles)
