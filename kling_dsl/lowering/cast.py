"""Declares the references of a film and of its imports, and finds the one a name means."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import cached_property
from typing import cast as typed

import msgspec

from kling_dsl import ir, nodes, spelling
from kling_dsl.diagnostics import Diagnostic, Note, error, rewrite, warning
from kling_dsl.lowering.values import Report, read_names, read_picture, spot
from kling_dsl.patterns import Rare
from kling_dsl.slips import NOTE
from kling_dsl.vocabulary import DEFINITION_KEYS, MAX_NAME_CHARACTERS

_LETTERS = re.compile(rf"\w{{0,{MAX_NAME_CHARACTERS}}}")
_TAG = re.compile(r"(?:Element|Image|Video|Voice)[0-9]+\Z", re.IGNORECASE)
_MENTION = Rare(r"(?<!\w)@(?=\w)")


class Cast(msgspec.Struct, frozen=True, eq=False, dict=True):
    """Every declared reference by its name (NFC); the CHARACTERs, and what cannot speak, by their name in capitals."""

    names: dict[str, ir.Reference]
    capitals: dict[str, ir.Reference]
    mute: dict[str, ir.Reference]

    @cached_property
    def spelt_names(self) -> spelling.Names:
        """Every name, to find those that a misspelt mention may mean."""
        return spelling.Names(self.names)

    @cached_property
    def spelt_capitals(self) -> spelling.Names:
        """The CHARACTERs' names in capitals, to find those that a misspelt speaker may mean."""
        return spelling.Names(self.capitals)

    def find(self, run: str) -> tuple[ir.Reference, int] | None:
        """Return the reference that a run of name characters begins with, and how many characters its name takes.

        The longest declared name wins; a name ends at the run's end or, in a script without letter case, anywhere.
        """
        reference = self.names.get(run)
        if reference is not None:
            return reference, len(run)
        for end in range(len(run), 0, -1):
            reference = self.names.get(unicodedata.normalize("NFC", run[:end]))
            if reference is not None and (end == len(run) or _may_end(run, end)):
                return reference, end
        return None


def name_run(text: str, start: int) -> str:
    """Return the characters from `start` on that a name may be made of: letters, digits, _ and marks on letters."""
    end = _LETTERS.match(text, start).end()  # type: ignore[union-attr]
    last = min(len(text), start + MAX_NAME_CHARACTERS)
    while end < last and text[end] > "\x7f" and _is_mark(text[end]):
        end = _LETTERS.match(text, end + 1).end()  # type: ignore[union-attr]
    return text[start : min(end, last)]


def declare_cast(placed: Iterable[tuple[str, int, nodes.Definition]]) -> tuple[Cast, tuple[Diagnostic, ...]]:
    """Declare definitions, each given with its file and the line of its block; names are unique in a film."""
    names: dict[str, ir.Reference] = {}
    found: list[Diagnostic] = []
    for file, line, node in placed:
        local: list[Diagnostic] = []
        reference = _declare(node, local.append, file=file, line=line)
        found += (diagnostic.moved(file, line) for diagnostic in local)
        if (earlier := names.get(reference.name)) is not None:
            found.append(
                error(
                    "duplicate-name",
                    f'the name "{reference.name}" is declared twice',
                    reference.span,
                    notes=(Note("it was declared here first", earlier.span),),
                    hint="rename one of them: a prompt could not say which it means",
                )
            )
            continue
        names[reference.name] = reference
    capitals: dict[str, ir.Reference] = {}
    mute: dict[str, ir.Reference] = {}
    for reference in names.values():
        if reference.kind == "CHARACTER":
            capitals[reference.name.upper()] = reference
        else:
            mute.setdefault(reference.name.upper(), reference)
    return Cast(names, capitals, mute), tuple(found)


def _is_mark(char: str) -> bool:
    return unicodedata.category(char).startswith("M")


def _may_end(run: str, end: int) -> bool:
    following = run[end]
    return following.isalpha() and following.lower() == following.upper()


def _declare(node: nodes.Definition, report: Report, *, file: str, line: int) -> ir.Reference:
    folder = file.rpartition("/")[0]
    name = unicodedata.normalize("NFC", node.name.value)
    if _TAG.match(name):
        report(
            error(
                "reserved-name",
                f'"{node.name.value}" is a name that the compiler gives out itself',
                node.name.span,
                hint="choose a name of the story, as in `CHARACTER Mira`",
            )
        )
    given: dict[str, nodes.Attribute] = {}
    for attribute in node.attributes:
        _accept(attribute, given, node, report)
    pictures: dict[str, ir.Picture | None] = {
        key: _placed(read_picture(given[key].value, report, key=key, folder=folder), file, line)
        for key in ("front", "video", "image")
        if key in given
    }
    angles = tuple(
        picture
        for part in (read_names(given["angles"].value) if "angles" in given else ())
        if (picture := _placed(read_picture(part, report, key="angles", folder=folder), file, line)) is not None
    )
    _judge_media(node, given, report)
    if "front" in given and "angles" not in given and (front := pictures["front"]) is not None:
        angles = (front,)
        report(
            Diagnostic(
                "single-angle",
                "note",
                f"{node.name.value} has a front and no angles, so the front is sent again as its one angle",
                given["front"].key.span,
                hint="add `angles: left.png, back.png`: the model keeps a figure better from two sides",
            )
        )
    voice = given["voice"].value.value if "voice" in given else ""
    return ir.Reference(
        name=name,
        kind=typed(ir.Kind, node.kind),
        span=node.name.span.moved(file, line),
        description=_describe(node, report),
        front=pictures.get("front"),
        angles=angles,
        video=pictures.get("video"),
        image=pictures.get("image"),
        voice=voice,
    )


def _accept(
    attribute: nodes.Attribute, given: dict[str, nodes.Attribute], node: nodes.Definition, report: Report
) -> None:
    key = attribute.key.value
    if key not in DEFINITION_KEYS:
        near = spelling.nearest(key, DEFINITION_KEYS)
        report(
            error(
                "unknown-attribute",
                f'a {node.kind} has no attribute "{key}"',
                attribute.key.span,
                hint=f"did you mean {near}?" if near else f"it may have {', '.join(DEFINITION_KEYS)}",
                fix=rewrite(attribute.key.span, spelling.certain(key, DEFINITION_KEYS)),
            )
        )
    elif key in given:
        report(
            error(
                "duplicate-attribute",
                f"{key}: is given twice",
                attribute.key.span,
                notes=(Note("first here", given[key].key.span),),
                hint="keep one of the two",
            )
        )
    else:
        given[key] = attribute
        if key == "voice" and not attribute.value.value:
            report(
                error(
                    "bad-value",
                    "voice: names no voice",
                    spot(attribute.value),
                    hint="write the id of a voice made at the provider",
                )
            )


def _judge_media(node: nodes.Definition, given: dict[str, nodes.Attribute], report: Report) -> None:
    name = node.name.value
    if "angles" in given and "front" not in given and "video" not in given:
        report(
            error(
                "element-shape",
                f"{name} has angles and no front",
                given["angles"].key.span,
                hint="add `front:`, the main view",
            )
        )
    forms = [key for key in ("front", "video", "image") if key in given]
    if len(forms) > 1:
        report(
            error(
                "element-shape",
                f"{name} has {' and '.join(f'{form}:' for form in forms)}, and a reference takes one of them",
                given[forms[1]].key.span,
                notes=(Note("the other stands here", given[forms[0]].key.span),),
                hint="front: with angles: makes an element of pictures, video: an element of a video, image: a loose picture",
            )
        )
    if (
        not forms
        and "angles" not in given
        and not any(isinstance(part, nodes.Passage) and part.raw.strip() for part in node.body)
    ):
        report(
            warning(
                "empty-definition",
                f"{name} has neither pictures nor a description, so that only its name is sent",
                node.name.span,
                hint="add `front:`, `image:` or `video:`, or describe it in the lines below",
            )
        )


def _describe(node: nodes.Definition, report: Report) -> str:
    words: list[str] = []
    for part in node.body:
        if not isinstance(part, nodes.Passage):
            continue
        raw = NOTE().sub(lambda note: " " * len(note[0]), part.raw)
        if match := _MENTION().search(raw):
            report(
                error(
                    "reference-in-description",
                    "a description cannot mention another reference",
                    part.span(match.start(), match.end()),
                    hint="write the name without @, or @@ for the character itself",
                )
            )
        words.append(re.sub(r"(?m)^[ \t]*!", "", raw).replace("@@", "@").replace("\\#", "#").replace("\\[[", "[["))
    return " ".join(" ".join(words).split()).rstrip(".")


def _placed(picture: ir.Picture | None, file: str, line: int) -> ir.Picture | None:
    return None if picture is None else msgspec.structs.replace(picture, span=picture.span.moved(file, line))


__all__ = ["Cast", "declare_cast", "name_run"]
