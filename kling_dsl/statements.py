"""Makes the statement of an EXPECT line from its words, and says what is wrong with the words themselves."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from kling_dsl import nodes, spelling
from kling_dsl.diagnostics import Diagnostic, error, rewrite
from kling_dsl.patterns import Rare
from kling_dsl.slips import NOTE, Report
from kling_dsl.source import Span

WORD_PREFIX = "W_"
"""What the names of the grammar's terminals begin with that stand for one word: `W_TOTAL` for `total`."""

MEANT = {
    "all": "every",
    "any": "some",
    "are": "=",
    "at": "<=",
    "below": "<",
    "budget": "total",
    "contains": "uses",
    "cost": "total",
    "costs": "total",
    "duration": "seconds",
    "each": "every",
    "equals": "=",
    "equal": "=",
    "from": "between",
    "is": "=",
    "length": "seconds",
    "less": "<",
    "more": ">",
    "none": "no",
    "over": ">",
    "price": "total",
    "shows": "uses",
    "speaks": "says",
    "to": "and",
    "under": "<",
    "using": "with",
}
"""Words that a writer may try, with the word of the language for each; an offer, and never read as that word."""

_NAMED = {
    "NAME": "a name",
    "QUOTED": 'words in quotes, as in "You came back"',
    "SIGN": "=, <, <=, > or >=",
    "VALUE": "a number",
    "$END": "the end of the line",
}
_SIGNS = {"==": "=", "=<": "<=", "=>": ">=", "≤": "<=", "≥": ">="}
_UNITS = {"total": "$", "seconds": "s"}
_READ = {
    "$": Rare(r"\$([0-9]{1,9}(?:\.[0-9]{1,2})?)\Z"),
    "s": Rare(r"([0-9]{1,9})s\Z"),
    "": Rare(r"([0-9]{1,9})\Z"),
}
_PLAIN = Rare(r"\$?([0-9]{1,9}(?:\.[0-9]{1,2})?)[ \t]*([A-Za-z$]*)\Z")
_TAKES = {"$": "dollars, as in $12.50", "s": "whole seconds, as in 40s", "": "a whole number without a unit, as in 3"}
_OTHER_SPELLING = {
    "$": ("", "$", "usd", "dollar", "dollars"),
    "s": ("", "s", "sec", "secs", "second", "seconds"),
    "": ("x", "clip", "clips", "shot", "shots", "scene", "scenes", "take", "takes"),
}
"""What may stand after a number that plainly means the unit."""
_QUOTES = {'"': '"', "“": "”"}


class Leaf(NamedTuple):
    """A word as the grammar found it: which terminal it is, and where it begins among the words."""

    kind: str
    text: str
    start: int


class Branch(NamedTuple):
    """What a rule of the grammar found."""

    rule: str
    parts: tuple[Branch | Leaf, ...]


def bare_words(words: nodes.Passage) -> str:
    """Return the words of an EXPECT with each note as blanks, so that every other word keeps its place."""
    text = words.raw
    if "[[" in text:
        text = NOTE().sub(lambda note: " " * len(note[0]), text)
    return text.replace("\n", " ").replace("\t", " ")


def report_misfit(words: nodes.Passage, at: int, expected: Collection[str], report: Report) -> None:
    """Report the word at a place that fits none of the terminals that may stand there; `at` the end, a missing one."""
    text = bare_words(words)
    choices = sorted(
        name.removeprefix(WORD_PREFIX).lower() if name.startswith(WORD_PREFIX) else _NAMED.get(name, name.lower())
        for name in expected
    )
    known = [name.removeprefix(WORD_PREFIX).lower() for name in expected if name.startswith(WORD_PREFIX)]
    told = f"here may stand: {', '.join(choices)}"
    if not text[at:].strip():
        last = len(text.rstrip())
        before = text[:last].rpartition(" ")[2]
        report(
            error(
                "expect-word",
                f'this EXPECT ends too early, after "{before}"',
                words.span(max(0, last - len(before)), last),
                hint=told,
            )
        )
        return
    word = text[at:].split()[0]
    span = words.span(at, at + len(word))
    if word == "#" or (word.startswith("#") and "$END" in expected):
        report(
            error(
                "expect-word",
                "a comment stands on a line of its own",
                span,
                hint="move it above the EXPECT, or make it a note: [[ … ]]",
            )
        )
        return
    if tuple(expected) == ("$END",):
        report(
            error("expect-word", f'nothing may follow here, and "{word}" does', span, hint="write another EXPECT line")
        )
        return
    meant = MEANT.get(word.lower())
    offered = {*known, *("=", "<", "<=", ">", ">=") * ("SIGN" in expected)}
    near = meant if meant in offered else spelling.nearest(word, known)
    report(
        error(
            "expect-word",
            f'an EXPECT does not take "{word}" here',
            span,
            hint=f"did you mean {near}?" if near else told,
            fix=rewrite(span, spelling.certain(word, known)),
        )
    )


def report_nothing(report: Report) -> None:
    """Report an EXPECT without a word."""
    report(
        error(
            "expect-word",
            "this EXPECT states nothing",
            Span("", 0, 1, 0, len("EXPECT") + 1),
            hint="write what should hold, as in `EXPECT total <= $30`",
        )
    )


def build_statement(tree: Branch, words: nodes.Passage, report: Report) -> nodes.Statement | None:
    """Return what the words state; None when a part of them was reported."""
    found: list[Diagnostic] = []
    statement = _Builder(words, found.append).build(tree)
    for diagnostic in found:
        report(diagnostic)
    return None if found else statement


class _Builder:
    """Builds the parts of one statement, each at its place."""

    def __init__(self, words: nodes.Passage, report: Report) -> None:
        self.words = words
        self.report = report

    def build(self, tree: Branch) -> nodes.Statement | None:
        if tree.rule == "golden":
            return nodes.Golden()
        branches = {part.rule: part for part in tree.parts if isinstance(part, Branch)}
        leaves = [part for part in tree.parts if isinstance(part, Leaf)]
        place = self._place(branches.get("place") or branches.get("place_of_clips"))
        if tree.rule == "claim":
            predicate = self._predicate(next(b for rule, b in branches.items() if not rule.startswith("place")))
            return None if predicate is None else nodes.Claim(self._subject(leaves, place, tree), predicate)
        noun: Any = _word(leaves[0])
        limit = self._limit(branches["limit"], noun)
        if limit is None:
            return None
        if noun == "total":
            draft = branches.get("draft")
            return nodes.Total(place, self._name(draft.parts[-1]) if draft else None, limit)
        return nodes.Count(noun, place, limit)

    def _subject(self, leaves: Sequence[Leaf], place: nodes.Place | None, tree: Branch) -> nodes.Subject:
        named = leaves[-1].kind == "NAME"
        unit: Any = _word(leaves[0] if named else leaves[1])
        quantifier: Any = "the" if named else _word(leaves[0])
        inner = [
            *leaves,
            *(
                leaf
                for part in tree.parts
                if isinstance(part, Branch) and part.rule.startswith("place")
                for leaf in part.parts
                if isinstance(leaf, Leaf)
            ),
        ]
        last = inner[-1]
        span = self.words.span(leaves[0].start, last.start + len(last.text.rstrip()))
        return nodes.Subject(quantifier, unit, self._name(leaves[-1]) if named else None, place, span)

    def _place(self, branch: Branch | None) -> nodes.Place | None:
        if branch is None:
            return None
        _, kind, name = branch.parts
        word = self._name(name)
        where: Any = _word(kind)
        if where == "scene" and not _SCENE().match(word.value):
            numbered = any(char.isdigit() for char in word.value)
            self.report(
                error(
                    "expect-word",
                    f'"{word.value}" is no number of a scene',
                    word.span,
                    hint=f"write scene #{word.value.strip('#')}# for the number that stands in its heading"
                    if numbered
                    else "write its place in the film, as in `scene 2`, or its number as in `scene #12A#`",
                )
            )
        return nodes.Place(where, word)

    def _limit(self, branch: Branch, noun: str) -> nodes.Limit | None:
        first, *rest = (part for part in branch.parts if isinstance(part, Leaf))
        values = [self._value(leaf, noun) for leaf in rest if leaf.kind == "VALUE"]
        sign: Any = first.text.strip() if first.kind == "SIGN" else "between"
        span = self.words.span(first.start, rest[-1].start + len(rest[-1].text.rstrip()))
        if first.kind == "SIGN" and sign not in ("=", "<", "<=", ">", ">="):
            right = _SIGNS.get(sign)
            at = self._span(first)
            self.report(
                error(
                    "expect-word",
                    f"an EXPECT does not take {sign}",
                    at,
                    hint=f"write {right}" if right else "it takes =, <, <=, >, >= and between",
                    fix=rewrite(at, right),
                )
            )
            return None
        if any(value is None for value in values):
            return None
        low, high = values[0], values[1] if len(values) > 1 else None
        assert low is not None, "a value that cannot be read was reported"
        if high is not None and high < low:
            self.report(
                error(
                    "expect-range",
                    f"no number lies between {rest[0].text.strip()} and {rest[-1].text.strip()}: the first is the larger one",
                    span,
                    hint="write the smaller one first",
                )
            )
            return None
        return nodes.Limit(sign, low, span, high)

    def _value(self, leaf: Leaf, noun: str) -> Decimal | None:
        """Read a number with the unit that its noun needs; anything else is reported."""
        unit = _UNITS.get(noun, "")
        written = leaf.text.strip()
        if match := _READ[unit]().match(written):
            return Decimal(match[1])
        span = self._span(leaf)
        right = None
        if match := _PLAIN().match(written):
            number, after = match[1], match[2].lower()
            whole = "." not in number
            dollar = written.startswith("$")
            if after in _OTHER_SPELLING[unit] and (whole or unit == "$") and dollar <= (unit == "$"):
                right = {"$": f"${number}", "s": f"{number}s", "": number}[unit]
        self.report(
            error(
                "expect-unit",
                f'{noun} takes {_TAKES[unit]}, not "{written}"',
                span,
                hint=f"write {right}" if right else f"write {_TAKES[unit].partition(', as in ')[2]}, say",
                fix=rewrite(span, right),
            )
        )
        return None

    def _predicate(self, branch: Branch) -> nodes.Predicate | None:
        leaves = [part for part in branch.parts if isinstance(part, Leaf)]
        if branch.rule == "uses":
            return self._uses(leaves)
        if branch.rule == "lasts":
            seconds = self._value(leaves[-1], "seconds")
            than: Any = _word(leaves[0])
            return None if seconds is None else nodes.Lasts(than, int(seconds), self._over(leaves))
        if branch.rule == "says":
            where: Any = _word(leaves[0])
            quoted = self._quoted(leaves[-1])
            return None if quoted is None else nodes.Says(where, quoted)
        return nodes.HasAudio(self._over(leaves))

    def _uses(self, leaves: Sequence[Leaf]) -> nodes.Predicate | None:
        word = self._name(leaves[-1])
        if len(leaves) == 3:
            return nodes.UsesModel(word)
        if word.value.startswith("@") and len(word.value) > 1:
            return nodes.UsesReference(nodes.Word(word.value[1:], word.span))
        plain = word.value.isidentifier()
        self.report(
            error(
                "expect-word",
                f'"{word.value}" is no reference: its name is written with an @',
                word.span,
                hint=f"write @{word.value}" if plain else "write it as in `uses @Mira`, or `uses model o3-4k`",
                fix=rewrite(word.span, f"@{word.value}" if plain else None),
            )
        )
        return None

    def _quoted(self, leaf: Leaf) -> nodes.Word | None:
        text = leaf.text.rstrip()
        span = self._span(leaf)
        close = _QUOTES.get(text[:1])
        end = text.find(close, 1) if close else -1
        inner = " ".join(text[1:end].split()) if end > 0 else ""
        if end == len(text) - 1 and inner:
            return nodes.Word(inner, span)
        if close is None:
            message, hint, fix = "words are written between quotes", f'write "{" ".join(text.split())}"', None
            if '"' not in text:
                fix = rewrite(span, f'"{text}"')
        elif end < 0:
            message, hint, fix = "these words are never closed", f"end them with {close}", None
        elif end < len(text) - 1:
            rest = text[end + 1 :]
            start = leaf.start + end + 1 + len(rest) - len(rest.lstrip())
            span = self.words.span(start, leaf.start + len(text))
            message, hint, fix = "nothing may follow the words in quotes", "write another EXPECT line", None
        else:
            message, hint, fix = "there are no words between these quotes", "write what should be found", None
        self.report(error("expect-word", message, span, hint=hint, fix=fix))
        return None

    def _name(self, part: Branch | Leaf) -> nodes.Word:
        assert isinstance(part, Leaf), "the grammar has a word here"
        return nodes.Word(part.text.strip(), self._span(part))

    def _span(self, leaf: Leaf) -> Span:
        return self.words.span(leaf.start, leaf.start + len(leaf.text.rstrip()))

    def _over(self, leaves: Sequence[Leaf]) -> Span:
        return self.words.span(leaves[0].start, leaves[-1].start + len(leaves[-1].text.rstrip()))


_SCENE = Rare(r"(?:[0-9]{1,6}|#[\w.-]+#)\Z")


def _word(part: Branch | Leaf) -> str:
    assert isinstance(part, Leaf), "the grammar has a word here"
    return part.kind.removeprefix(WORD_PREFIX).lower()
