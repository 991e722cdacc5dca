"""Films drawn from the language, and the layouts in which one film can be written.

A film is drawn as a tree of constructs that has no errors on its model. `Layout` writes it down: with seed 0 plainly,
with any other seed wrapped, commented, reordered and renamed in ways that must not change what is sent.
"""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Sequence
from typing import Any

import msgspec
from helpers import FILM
from hypothesis import strategies as st

CAST_FILE = "shared/cast.kling"
WORDS = (
    "rain", "falls", "on", "the", "sea,", "slowly;", "l'eau", "naïve", "海", "door.", "Fog?", "a@b.c", "@@home", "\\#7",
    "\\[[x", "{", "(low)", "“so”", "3.5", "No", "-", "NIGHT", "🎬", "½",
)  # fmt: skip
COMMENTS = (
    "# quiet", "#", "  # SHOT x 5s", "# MIRA: no", "# @Nobody", "\t# [[ open", "# ]]", "#  look: red", "# END CLIP",
    "# INT. ROOM", "# é海",
)  # fmt: skip
NOTES = (
    "[[cut here]]",
    "[[two\nlines]]",
    "[[@Nobody, colder]]",
    "[[a: b]]",
    "[[one\n\ntwo]]",
    "[[\n# no comment\n]]",
    "[[]]",
)
IDS = ("door", "sea", "a", "b-2", "reply", "watch", "s0", "long-id-of-a-shot")
HEADINGS = ("INT. LIGHTHOUSE - NIGHT", "EXT. SEA", ".THE MOON", "I/E. CAR - DAWN", "EST. HARBOUR", "INT./EXT. PORCH")

Words = tuple[str, ...]
"""Words of prose; one that begins with @ and a letter mentions a name."""


class Entry(msgspec.Struct, frozen=True):
    """A definition: what it is, its media by attribute, its description in words."""

    kind: str
    name: str
    media: dict[str, tuple[str, ...]] = {}
    description: str = ""


class Line(msgspec.Struct, frozen=True):
    """A spoken line."""

    speaker: str
    manner: str
    words: Words


class Shot(msgspec.Struct, frozen=True):
    """A shot: its paragraphs are made of words and spoken lines."""

    id: str
    seconds: int
    camera: Words
    paragraphs: tuple[tuple[Words | Line, ...], ...]
    attributes: dict[str, str] = {}


class Clip(msgspec.Struct, frozen=True):
    """A group of shots."""

    id: str
    is_stated: bool
    shots: tuple[Shot, ...]
    attributes: dict[str, str] = {}

    @property
    def seconds(self) -> int:
        """The length of the whole clip."""
        return sum(shot.seconds for shot in self.shots)


class Scene(msgspec.Struct, frozen=True):
    """A scene: its heading is empty before the first."""

    heading: str
    attributes: dict[str, str]
    units: tuple[Shot | Clip, ...]


class Film(msgspec.Struct, frozen=True):
    """A film that compiles without an error."""

    title: dict[str, str]
    cast: tuple[Entry, ...]
    scenes: tuple[Scene, ...]

    @property
    def units(self) -> tuple[Shot | Clip, ...]:
        """Every shot alone and every clip, in order."""
        return tuple(unit for scene in self.scenes for unit in scene.units)


CAST = (
    Entry("CHARACTER", "Mira", {"front": ("refs/mira/front.png",), "angles": ("refs/mira/l.png", "refs/mira/r.png")}),
    Entry("CHARACTER", "Zoë", {"front": ("refs/zoe.png",)}, "She is tall.\n\nAnd old."),
    Entry("PROP", "Walk", {"video": ("refs/walk.mp4",)}),
    Entry("STYLE", "Ink", {"image": ("refs/ink.png",)}, "Ink on paper."),
    Entry("PLACE", "海岸", {}, "a grey \\[[old]] shore"),
    Entry("CHARACTER", "Nurse", {}, "A woman of forty in a blue coat."),
)
NAMES = tuple(entry.name for entry in CAST)

words = st.lists(st.sampled_from([*WORDS, *(f"@{name}" for name in NAMES)]), min_size=1, max_size=7).map(tuple)
spoken = st.builds(
    Line,
    st.sampled_from(["Mira", "Zoë", "Nurse"]),
    st.sampled_from(["", "", "hoarse", "low, near"]),
    st.lists(st.sampled_from([word for word in WORDS if not word.startswith("@")]), min_size=1, max_size=5).map(tuple),
)
paragraphs = st.lists(
    st.lists(st.one_of(words, words, spoken), min_size=1, max_size=3).map(tuple), min_size=1, max_size=2
).map(tuple)
settings = st.fixed_dictionaries(
    {},
    optional={
        "look": st.sampled_from(["35 mm film", "in the look of @Ink", "cold [[?]] blue"]),
        "audio": st.sampled_from(["on", "off"]),
        "aspect": st.sampled_from(["16:9", "9:16", "1:1"]),
        "takes": st.sampled_from(["1", "2"]),
        "with": st.sampled_from(["@Ink", "@Walk, @Mira"]),
        "model": st.sampled_from(["o3-4k", "o3-pro", "o3-standard"]),
    },
)


@st.composite
def films(draw: st.DrawFn) -> Film:
    """Draw a film that compiles without an error."""
    ids = iter(draw(st.permutations(IDS)))
    title = draw(settings)
    title.pop("with", None)
    title = {key.capitalize(): value for key, value in title.items()}
    if draw(st.booleans()):
        title["Headings"] = draw(st.sampled_from(["on", "off"]))
    scenes: list[Scene] = []
    made: list[str] = []
    for at in range(draw(st.integers(1, 3))):
        heading = "" if at == 0 and draw(st.booleans()) else draw(st.sampled_from(HEADINGS))
        units = [_unit(draw, ids, made) for _ in range(draw(st.integers(1, 2)))]
        scenes.append(Scene(heading, draw(settings) if heading else {}, tuple(units)))
    return Film(title, CAST, tuple(scenes))


def _unit(draw: st.DrawFn, ids: Any, made: list[str]) -> Shot | Clip:
    attributes = draw(settings)
    name = next(ids)
    if draw(st.sampled_from([True, True, False])):
        if draw(st.booleans()):
            frames = ["refs/start.png", "https://example.com/a.png", *(f"end of {other}" for other in made)]
            attributes["start"] = draw(st.sampled_from(frames))
            if draw(st.booleans()):
                attributes["end"] = draw(st.sampled_from(frames))
        if draw(st.booleans()):
            attributes["type"] = "customize"
        made.append(name)
        return Shot(name, draw(st.integers(3, 15)), _camera(draw), draw(paragraphs), attributes)
    count = draw(st.integers(1, 2))
    shots = tuple(Shot(f"{name}-{at}", draw(st.integers(3, 7)), _camera(draw), draw(paragraphs)) for at in range(count))
    made.append(name)
    return Clip(name, draw(st.booleans()), shots, attributes)


def _camera(draw: st.DrawFn) -> Words:
    return draw(st.sampled_from([(), ("wide,", "slow"), ("close", "on", "@Mira"), ("(low)",)]))


class Layout:
    """Writes a film; `seed` 0 is the plain layout, any other one that must not change what is sent.

    `texts` has every file by its path after `write`, `ids` the name in the film of each of the plan's ids.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.chance = random.Random(seed)
        self.texts: dict[str, str] = {}
        self.ids: dict[str, str] = {}
        self.names: dict[str, str] = {}
        self.params: dict[str, str] = {}
        self.is_template = self.maybe(0.3)

    def maybe(self, likely: float = 0.5) -> bool:
        """Say whether to depart from the plain layout."""
        return self.seed != 0 and self.chance.random() < likely

    def one_of(self, choices: Sequence[str]) -> str:
        """Return any of the choices, the first in the plain layout."""
        return self.chance.choice(choices) if self.seed else choices[0]

    def shuffled(self, items: Sequence[Any]) -> list[Any]:
        """Return items in any order."""
        found = list(items)
        if self.seed:
            self.chance.shuffle(found)
        return found

    def write(self, film: Film) -> dict[str, str]:
        """Return the texts of the film's files."""
        self.rename(film)
        here, elsewhere = self.split(film.cast)
        loose = [self.entry(entry, "") for entry in here]
        parts: list[str] = []
        if elsewhere:
            parts.append(f"import {CAST_FILE}\n")
            self.texts[CAST_FILE] = "".join(self.entry(entry, "../") + self.gap() for entry in elsewhere)
        first = [self.scene(scene, film.title) for scene in film.scenes if not scene.heading]
        rest = [self.scene(scene, film.title) for scene in film.scenes if scene.heading]
        scenes = [*first, *self.shuffled(rest)]
        while loose and self.maybe(0.4):
            scenes.append(loose.pop())
        body = self.gap().join([*self.shuffled([*parts, *loose]), *scenes])
        text = self.gap_before() + self.title(film) + body
        self.texts[FILM] = text
        ending = self.one_of(("\n", "\n", "\r\n", "\r"))
        mark = "\ufeff" if self.maybe(0.2) else ""
        return {path: mark + text.replace("\n", ending) for path, text in self.texts.items()}

    def rename(self, film: Film) -> None:
        """Choose other ids, and other names for those references whose names are not sent."""
        for unit in film.units:
            for name in (
                [unit.id, *(shot.id for shot in unit.shots if isinstance(unit, Clip))]
                if isinstance(unit, Clip)
                else [unit.id]
            ):
                self.ids[name] = f"{name}-x" if self.maybe(0.3) else name
        for entry in film.cast:
            self.names[entry.name] = f"{entry.name}é_2" if entry.media and self.maybe(0.3) else entry.name

    def split(self, cast: tuple[Entry, ...]) -> tuple[list[Entry], list[Entry]]:
        """Return the definitions of the film itself and those of the file that it imports."""
        order = self.shuffled(cast)
        away = {entry.name for entry in order if self.maybe(0.4)}
        return [entry for entry in order if entry.name not in away], [entry for entry in order if entry.name in away]

    def title(self, film: Film) -> str:
        """Return the title page."""
        gap = (": ", ":", ":   ")
        lines = [f"{key}{self.one_of(gap)}{self.renamed(value)}" for key, value in film.title.items()]
        if self.maybe():
            lines += self.chance.sample(["Title: The Lantern", "Author: ada", "Budget: $9999.50", "Format: 1"], 2)
        lines += [f"Param {name}: {value}" for name, value in self.params.items()]
        lines = self.shuffled(lines)
        return "\n".join(lines) + "\n\n" if lines else ""

    def entry(self, entry: Entry, folder: str) -> str:
        """Return a definition whose file lies so that `folder` leads to the root."""
        lines = [f"{entry.kind} {self.name(entry.name)}{self.blanks()}"]
        media = [f"{key}: {', '.join(folder + path for path in paths)}" for key, paths in entry.media.items()]
        lines += self.attributes(media)
        if entry.description and (not entry.media or not self.maybe(0.3)):
            joints = (" ", "\n", "  ", " [[@Nobody]] ", "\n# or\n")
            lines.append("".join(f"{self.one_of(joints)}{word}" for word in entry.description.split(" ")).lstrip())
        return "\n".join(lines) + "\n"

    def scene(self, scene: Scene, title: dict[str, str]) -> str:
        """Return a scene with its shots, in any order where nothing says otherwise."""
        parts: list[str] = []
        settings = dict(scene.attributes)
        pushed: dict[str, str] = {}
        if scene.heading:
            number = f" #{self.chance.randint(1, 99)}A#" if self.maybe(0.3) else ""
            for key in list(settings):
                if self.maybe(0.2):
                    pushed[key] = settings.pop(key)
            lines = [scene.heading + number, *self.attributes(self.stated(settings))]
            parts.append("\n".join(lines) + "\n")
        for unit in self.shuffled(scene.units):
            inherited = {key: value for key, value in settings.items() if self.maybe(0.2)}
            parts.append(self.unit(unit, {**inherited, **pushed}))
        return self.gap().join(parts)

    def unit(self, unit: Shot | Clip, inherited: dict[str, str]) -> str:
        """Return a shot or a clip, with settings of its scene stated at it."""
        attributes = {**inherited, **unit.attributes}
        if isinstance(unit, Shot):
            return self.shot(unit, attributes)
        length = f" {unit.seconds}s" if unit.is_stated != self.maybe() else ""
        lines = [f"CLIP {self.ids[unit.id]}{length}", *self.attributes(self.stated(attributes))]
        shots = [self.shot(shot, {}) for shot in unit.shots]
        return self.gap().join(["\n".join(lines) + "\n", *shots, self.one_of(("END CLIP\n", "END  CLIP \n"))])

    def shot(self, shot: Shot, attributes: dict[str, str]) -> str:
        """Return a shot."""
        gap = self.one_of((" ", "  ", "\t"))
        head = f"SHOT{gap}{self.ids.get(shot.id, shot.id)}{gap}{shot.seconds}s"
        camera = "".join(f"{self.one_of((' ', '  '))}{self.word(word)}" for word in shot.camera)
        lines = [head + camera + self.blanks(), *self.attributes(self.stated(attributes))]
        body = ""
        for at, paragraph in enumerate(shot.paragraphs):
            if at:
                body += self.one_of(("\n", "\n\n", "  \n", "\n# so\n\n", "\t\n#\n"))
            body += self.paragraph(paragraph)
        return "\n".join(lines) + "\n" + body

    def stated(self, attributes: dict[str, str]) -> list[str]:
        """Return attributes as they are written, with the names of this layout."""
        lines = []
        for key, value in attributes.items():
            start, _, id_ = value.rpartition(" ")
            if start == "end of":
                value = f"end of {self.ids[id_]}"
            lines.append(f"{key}: {self.renamed(value)}")
        return lines

    def renamed(self, value: str) -> str:
        """Return a value with the names of this layout."""
        for name in NAMES:
            value = value.replace(f"@{name}", f"@{self.name(name)}")
        return value

    def attributes(self, lines: Sequence[str]) -> list[str]:
        """Return attributes in any order, with comments among them."""
        found: list[str] = []
        for line in self.shuffled(lines):
            key, _, value = line.partition(": ")
            if self.maybe(0.2):
                found.append(self.chance.choice(COMMENTS))
            found.append(
                f"{self.one_of(('  ', ' ', '    ', chr(9)))}{key}{self.one_of((': ', ':', ' :  '))}{value}{self.blanks()}"
            )
        return found

    def paragraph(self, parts: tuple[Words | Line, ...]) -> str:
        """Return prose and spoken lines that follow each other without a blank line."""
        text = ""
        for at, part in enumerate(parts):
            if isinstance(part, Line):
                text += self.line(part)
                continue
            # Under a spoken line only a line at the margin is prose again.
            indents = ("", "  ") if at == 0 or not isinstance(parts[at - 1], Line) else ("",)
            lead = "!" if self.maybe(0.2) else self.one_of(("", "[[so]] ", *indents))
            text += lead + self.word(part[0]) + "".join(self.joint(word) + self.word(word) for word in part[1:])
            text += self.blanks() + "\n"
            if self.maybe(0.2):
                text += self.chance.choice(COMMENTS) + "\n"
        return text

    def line(self, line: Line) -> str:
        """Return a spoken line, which goes on in indented lines."""
        manner = f" ({line.manner})" if line.manner else ""
        text = f"{self.name(line.speaker, composed=False).upper()}{manner}{self.one_of((': ', ':', '  :  '))}"
        joints = (
            " ",
            "  ",
            "\n  ",
            "\n\t",
            "\n# breath\n  ",
            " [[here]] ",
            "\n  [[a\nb]] ",
            "\n  # MIRA: so\n# [[\n   ",
        )
        return (
            text + line.words[0] + "".join(self.one_of(joints) + word for word in line.words[1:]) + self.blanks() + "\n"
        )

    def joint(self, word: str) -> str:
        """Return what may stand between two words of prose, the second being `word`."""
        wraps = (
            " ",
            "\n",
            "  ",
            "\n   ",
            "\t",
            f"\n{self.one_of(COMMENTS)}\n",
            f" {self.one_of(NOTES)} ",
            f"\n{self.one_of(NOTES)} ",
        )
        return self.one_of(wraps)

    def word(self, word: str) -> str:
        """Return a word of prose; in a template, some words are given from outside."""
        if word.startswith("@") and not word.startswith("@@"):
            return f"@{self.name(word[1:])}"
        if self.is_template and word.isalpha() and self.maybe(0.2):
            name = f"p{len(self.params)}"
            self.params[name] = word
            return self.one_of(
                (f"{{{{ {name} }}}}", f"{{{{{name}}}}}{{# given #}}", f"{{% if {name} %}}{word}{{% endif %}}")
            )
        return word

    def name(self, name: str, *, composed: bool = True) -> str:
        """Return a reference's name in this layout, its letters composed or not."""
        name = self.names.get(name, name)
        return unicodedata.normalize("NFD", name) if composed and self.maybe(0.2) else name

    def blanks(self) -> str:
        """Return blanks that end a line."""
        return self.one_of(("", "", "", " ", "\t "))

    def gap(self) -> str:
        """Return what stands between two constructs."""
        return self.one_of(("\n", "\n\n\n", f"\n{self.one_of(COMMENTS)}\n", f"{self.one_of(COMMENTS)}\n\n", " \n\n"))

    def gap_before(self) -> str:
        """Return what may stand before the title page."""
        return self.one_of(("", "", "\n\n", "# first\n", "[[a note]]\n", "  # so\n\n"))


def write_plainly(film: Film) -> dict[str, str]:
    """Return the texts of a film in the plain layout."""
    return Layout(0).write(film)
