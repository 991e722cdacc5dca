"""Words the prompt of a shot: folds its prose, binds its names to the request's references, says its dialogue."""

from __future__ import annotations

import re
import unicodedata

from kling_dsl import ir, nodes, spelling
from kling_dsl.diagnostics import Diagnostic, error, rewrite
from kling_dsl.lowering.cast import Cast, name_run
from kling_dsl.lowering.values import Report
from kling_dsl.patterns import Rare
from kling_dsl.profiles import Profile
from kling_dsl.source import Span

_MARK = Rare(
    r"(?P<at>@@)|(?<!\w)@(?P<name>)|\\(?P<literal>\#|\[\[)|(?P<note>\[\[)|^[ \t]*(?P<bang>!)|(?P<voice><<<\s*voice[^>\n]*>>>)",
    re.MULTILINE,
)
_BY_HAND = Rare(r"(?:Element|Image|Video|Voice)[0-9]+\Z", re.IGNORECASE)
_SENTENCE_ENDS = (".", "!", "?", "…", "。", "！", "？", '."', '!"', '?"', ".”", "!”", "?”")
_TRANSITIONS = frozenset(
    (
        "FADE IN",
        "FADE OUT",
        "FADE TO BLACK",
        "CUT",
        "DISSOLVE",
        "SMASH CUT",
        "MATCH CUT",
        "INTERCUT",
        "WIPE",
        "IRIS OUT",
    )
)


class Binder:
    """Gives the names that one request uses their tags, in order of first use, and words its prompts."""

    here: Span
    """Where a name counts as used that stands in a heading or a look of another block: the shot that is worded."""
    used: dict[str, None]
    """The names that this shot uses, or that it is lent; set anew for each."""

    def __init__(self, cast: Cast, profile: Profile, report: Report) -> None:
        self.cast = cast
        self.profile = profile
        self.report = report
        self.bound: dict[str, ir.Binding] = {}
        self.described: set[str] = set()
        self.voices: dict[str, str] = {}
        self._counts = {"elements": 0, "images": 0, "videos": 0}

    def prompt(
        self,
        shot: nodes.Shot,
        *,
        heading: nodes.Passage | None,
        look: nodes.Passage | None,
        offset: int,
        look_offset: int | None,
    ) -> tuple[str, tuple[ir.Speech, ...]]:
        """Return the whole prompt of a shot and its spoken lines; `offset` is the line of the shot in its request.

        A shot with neither camera words nor action is an error, and its prompt is empty.
        The heading stands elsewhere, and so does a look without an offset: their mistakes are reported there.
        """
        forms = self.profile.prompt
        speeches: list[ir.Speech] = []
        parts: list[str] = []
        said = False
        for part in forms.order:
            if part == "heading" and heading is not None:
                parts.append(sentence(forms.heading, "heading", self.text(heading, None)))
            elif part == "camera" and shot.camera is not None:
                camera = self.text(shot.camera, offset)
                said = said or bool(camera)
                parts.append(sentence(forms.camera, "camera", camera))
            elif part == "look" and look is not None:
                parts.append(sentence(forms.look, "look", self.text(look, look_offset)))
            elif part == "action":
                action = self._action(shot.body, offset, speeches)
                said = said or bool(action)
                parts.append(action)
        if not said:
            self.report(
                error(
                    "empty-shot",
                    f'the shot "{shot.id.value}" says nothing to the model',
                    _down(shot.id.span, offset),
                    hint="describe what is seen in the lines below it",
                )
            )
            return "", tuple(speeches)
        return " ".join([part for part in parts if part]), tuple(speeches)

    def text(self, passage: nodes.Passage, offset: int | None) -> str:
        """Fold a passage and bind its names; with an `offset` its mistakes are reported, that many lines down."""
        raw = passage.raw
        if not ("\\" in raw or "!" in raw or "[[" in raw or "<<<" in raw or "@@" in raw):
            return " ".join((self._plain_mentions(passage, offset) if "@" in raw else raw).split())
        closed = True
        parts: list[str] = []
        position = 0
        match = _MARK().search(raw)
        while match:
            start, end = match.span()
            parts.append(raw[position:start])
            group = match.lastgroup
            if group == "name":
                word, taken = self._mention(passage, start, offset)
                parts.append(word)
                end = start + 1 + taken
            elif group == "note":
                # Once a note was not closed, no later one is; looking again for each would take the square of the text.
                close = raw.find("]]", end) if closed else -1
                if close < 0:
                    closed = False
                    parts.append(match[0])
                else:
                    parts[-1] = parts[-1].rstrip()
                    end = close + 2
            elif group == "at":
                parts.append("@")
            elif group == "literal":
                parts.append(match[group])
            elif group == "bang":
                if passage.column > 1 and start == 0:
                    parts.append(match[0])
            else:
                parts.append(match[0])
                self._say(offset, _by_hand(match[0], passage.span(start, end)))
            position = end
            match = _MARK().search(raw, end)
        parts.append(raw[position:])
        return " ".join("".join(parts).split())

    def _plain_mentions(self, passage: nodes.Passage, offset: int | None) -> str:
        """Bind the names of a passage that has no other marks, which is nearly every one."""
        raw = passage.raw
        parts: list[str] = []
        position = 0
        start = raw.find("@")
        while start >= 0:
            if start == 0 or not (raw[start - 1].isalnum() or raw[start - 1] == "_"):
                word, taken = self._mention(passage, start, offset)
                parts.append(raw[position:start])
                parts.append(word)
                position = start + 1 + taken
            start = raw.find("@", start + 1)
        parts.append(raw[position:])
        return "".join(parts)

    def mention(self, reference: ir.Reference, span: Span) -> str:
        """Bind a reference and return what stands for it in the prompt."""
        name = reference.name
        self.used[name] = None
        binding = self.bound.get(name)
        if binding is not None:
            return binding.tag
        place = self._place(reference)
        if place is None:
            if reference.description and name not in self.described and not reference.media:
                self.described.add(name)
                return self.profile.prompt.described.format(name=name, description=reference.description)
            shown = reference.front or reference.video or reference.image
            if shown is not None and name not in self.described:
                self.described.add(name)
                self.report(_unsupported(reference, self.profile, span))
            return name
        self._counts[place] += 1
        forms = self.profile.prompt
        form = {"elements": forms.element, "images": forms.image, "videos": forms.video}[place]
        binding = ir.Binding(reference, form.format(n=self._counts[place]), place, span)  # type: ignore[arg-type]
        self.bound[name] = binding
        return binding.tag

    def _place(self, reference: ir.Reference) -> str | None:
        roles = self.profile.roles
        if reference.front is not None and "element-front" in roles:
            return "elements"
        if reference.video is not None:
            if "element-video" in roles:
                return "elements"
            return "videos" if "videos" in roles else None
        if (reference.image is not None or reference.front is not None) and "images" in roles:
            return "images"
        return None

    def _mention(self, passage: nodes.Passage, start: int, offset: int | None) -> tuple[str, int]:
        """Return what stands for the mention whose @ is at `start`, and how many characters its name takes."""
        run = name_run(passage.raw, start + 1)
        # Most mentions repeat a name: this spares them the search and the place.
        if (binding := self.bound.get(run)) is not None:
            self.used[run] = None
            return binding.tag, len(run)
        found = self.cast.find(run)
        if found is None:
            self._say(offset, unknown_reference(run, passage.span(start, start + 1 + len(run)), self.cast))
            return f"@{run}", len(run)
        reference, taken = found
        span = self.here if offset is None else _down(passage.span(start, start + 1 + taken), offset)
        return self.mention(reference, span), taken

    def _action(self, body: nodes.Body, offset: int, speeches: list[ir.Speech]) -> str:
        paragraphs: list[str] = []
        parts: list[str] = []
        for part in body:
            if type(part) is nodes.Passage:
                if words := self.text(part, offset):
                    parts.append(words)
            elif type(part) is nodes.Dialogue:
                parts.append(self._speak(part, offset, speeches))
            elif parts:
                paragraphs.append(" ".join(parts))
                parts = []
        if parts:
            paragraphs.append(" ".join(parts))
        return "\n\n".join(paragraphs)

    def _speak(self, line: nodes.Dialogue, offset: int, speeches: list[ir.Speech]) -> str:
        words = self._plain(line.words, offset)
        manner = (
            self._plain(nodes.Passage(line.manner.value, line.manner.line, line.manner.column), offset)
            if line.manner
            else ""
        )
        reference = self.cast.capitals.get(unicodedata.normalize("NFC", line.name.value).upper())
        if reference is None:
            self._say(offset, _unknown_speaker(line, self.cast))
            return f"{line.name.value}: {words}"
        span = _down(line.name.span, offset)
        if not words:
            self._say(
                offset,
                error(
                    "empty-dialogue",
                    f"{line.name.value} says nothing",
                    line.name.span,
                    hint="write the words after the colon",
                ),
            )
        speaker = self.mention(reference, span)
        if reference.voice and "voices" in self.profile.roles:
            voice = self.voices.setdefault(reference.voice, self.profile.prompt.voice.format(n=len(self.voices) + 1))
            speaker = f"{speaker} {voice}"
        speeches.append(ir.Speech(reference.name, words, span))
        forms = self.profile.prompt
        if manner:
            return forms.dialogue_with_manner.format(speaker=speaker, manner=manner, words=words)
        return forms.dialogue.format(speaker=speaker, words=words)

    def _plain(self, passage: nodes.Passage, offset: int) -> str:
        """Fold words that are spoken: a name in them is said, so it is no reference."""
        parts: list[str] = []
        raw = passage.raw
        position = 0
        closed = True
        match = _MARK().search(raw)
        while match:
            start, end = match.span()
            parts.append(raw[position:start])
            if match.lastgroup == "name":
                name = name_run(raw, end)
                end += len(name)
                self._say(offset, _reference_in_dialogue(name, passage.span(start, end)))
                parts.append(name)
            elif match.lastgroup == "note":
                close = raw.find("]]", end) if closed else -1
                if close < 0:
                    closed = False
                    parts.append(match[0])
                else:
                    parts[-1] = parts[-1].rstrip()
                    end = close + 2
            elif match.lastgroup == "voice":
                self._say(offset, _by_hand(match[0], passage.span(start, end)))
            else:
                parts.append({"at": "@", "literal": match["literal"]}.get(match.lastgroup or "", match[0]) or "")
            position = end
            match = _MARK().search(raw, end)
        parts.append(raw[position:])
        return " ".join("".join(parts).split())

    def _say(self, offset: int | None, diagnostic: Diagnostic) -> None:
        if offset is not None:
            self.report(diagnostic if offset == 0 else diagnostic.moved("", offset))


def report_names(passage: nodes.Passage, cast: Cast, report: Report) -> None:
    """Report the mentions of a heading or a look that no definition declares."""
    for match in _MARK().finditer(passage.raw):
        if match.lastgroup == "voice":
            report(_by_hand(match[0], passage.span(match.start(), match.end())))
        elif match.lastgroup == "name":
            run = name_run(passage.raw, match.end())
            if cast.find(run) is None:
                report(unknown_reference(run, passage.span(match.start(), match.end() + len(run)), cast))


def sentence(form: str, part: str, text: str) -> str:
    """Word a part of a prompt by its form, without a second full stop where the text ends a sentence already."""
    if not text:
        return ""
    before, _, after = form.partition(f"{{{part}}}")
    if after == "." and text.endswith(_SENTENCE_ENDS):
        return before + text
    return before + text + after


def unknown_reference(name: str, span: Span, cast: Cast) -> Diagnostic:
    """Word the mistake of a mention that no definition declares."""
    if not name:
        return error(
            "unknown-reference",
            "this @ names no reference",
            span,
            hint="write the name straight after it, or @@ for the character itself",
        )
    if _BY_HAND().match(name):
        return _by_hand(f"@{name}", span)
    near = spelling.nearest(name, cast.spelt_names)
    return error(
        "unknown-reference",
        f"no definition declares @{name}",
        span,
        hint=f"did you mean @{near}?"
        if near
        else f"declare it with `CHARACTER {name}`, or write @@ for the character itself",
        fix=rewrite(span, f"@{sure}" if (sure := spelling.certain(name, cast.spelt_names)) else None),
    )


def _by_hand(text: str, span: Span) -> Diagnostic:
    return error(
        "tag-by-hand",
        f"{text} is a name that the compiler gives out for each request",
        span,
        hint="declare a reference and mention it as @Name; it gets its number by itself",
    )


def _unsupported(reference: ir.Reference, profile: Profile, span: Span) -> Diagnostic:
    what = "a video" if reference.video else "an element of pictures" if reference.front else "a loose picture"
    return error(
        "reference-not-accepted",
        f"@{reference.name} is {what}, and {profile.name} takes none",
        span,
        hint="choose another model, or drop its pictures: then its description is sent in words",
    )


def _unknown_speaker(line: nodes.Dialogue, cast: Cast) -> Diagnostic:
    name = line.name.value
    if name in _TRANSITIONS or name.endswith(" TO"):
        return error(
            "transition",
            f"{name}: is a transition, and a cut is made by a new SHOT",
            line.name.span,
            hint="delete the line; begin it with ! to send it as prose",
        )
    near = spelling.nearest(name, cast.spelt_capitals)
    other = cast.mute.get(name)
    if other is not None:
        hint = f"{other.name} is a {other.kind}, and only a CHARACTER speaks; begin the line with ! to send it as prose"
    elif near:
        hint = f"did you mean {near}? Begin the line with ! if it is prose"
    else:
        hint = f"declare it with `CHARACTER {name.title().replace(' ', '_')}`, or begin the line with ! if it is prose"
    return error(
        "unknown-speaker",
        f"no CHARACTER is called {name}",
        line.name.span,
        hint=hint,
        fix=None if other else rewrite(line.name.span, spelling.certain(name, cast.spelt_capitals)),
    )


def _reference_in_dialogue(name: str, span: Span) -> Diagnostic:
    return error(
        "reference-in-dialogue",
        f"a spoken line takes plain words, and {f'@{name}' if name else 'this @'} stands for a reference",
        span,
        hint=f"write {name}" if name else "write @@",
        fix=rewrite(span, name or None),
    )


def _down(span: Span, lines: int) -> Span:
    return span.moved("", lines) if lines else span
