"""Requests drawn from a model's sheet: those that it takes, and those that break exactly one of its rules or limits."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import cache
from typing import Any

import msgspec
from hypothesis import assume
from hypothesis import strategies as st
from sheet_oracle import SHEETS, Arguments, Sheet, found_at

from kling_dsl.world import Media

WORDS = ("rain", "snow,", "the", "Zoë", "海", "door.", "a@b.c", "beams", "l'eau", "slow!", "🎬")
_SOME_WORDS = st.lists(st.sampled_from(WORDS), min_size=1, max_size=5)
_FEW_WORDS = st.lists(st.sampled_from(WORDS), max_size=4)
REPAIRS = 60
"""Parts that are taken out of a request, at most, before it keeps the rules: far more than it has."""


class Asked(msgspec.Struct, frozen=True):
    """A request: its arguments in the sheet's order, and the local files that they name, by path."""

    sheet: Sheet
    arguments: Arguments
    files: dict[str, Media]

    @property
    def media(self) -> dict[str, Media]:
        """The local files by the address at which they stand in the arguments."""
        return {address_of(path, media): media for path, media in self.files.items()}

    @property
    def addresses(self) -> frozenset[str]:
        """Every text in the arguments that stands for a file or an address."""
        paths = [
            path for path, field in self.sheet.fields.items() if "media" in field or "media" in field.get("items", {})
        ]
        return frozenset(one for path in paths for one in found_at(self.arguments, path))

    @property
    def faults(self) -> frozenset[object]:
        """What is wrong with the request: slugs of rules that are errors, and limits of fields."""
        broken = self.sheet.broken_rules(self.arguments, self.media) & self.sheet.errors
        return broken | self.sheet.broken_limits(self.arguments)


def address_of(path: str, media: Media) -> str:
    """Return what stands for a local file in arguments."""
    return f"asset:{media.sha256}/{path.rpartition('/')[2]}"


class Fault(msgspec.Struct, frozen=True):
    """One way to be wrong: a rule by its slug, or a limit by its field's path and its key."""

    sheet: Sheet
    target: str | tuple[str, str]

    def __str__(self) -> str:
        return f"{self.sheet}-{self.target if isinstance(self.target, str) else '-'.join(self.target)}"


def faults() -> list[Fault]:
    """Return every way in which a request can be wrong by one rule or one limit of any sheet."""
    found: list[Fault] = []
    for sheet in SHEETS.values():
        found += (Fault(sheet, slug) for slug in sheet.rules)
        found += (Fault(sheet, limit) for limit in sheet.limits)
    return found


@st.composite
def requests(draw: st.DrawFn, sheet: Sheet) -> Asked:
    """Draw a request that breaks no rule and no limit of its sheet."""
    maker = _Maker(draw, sheet)
    maker.fill()
    maker.mend(sheet.errors)
    asked = maker.finish()
    assert not asked.faults, (asked.faults, asked.arguments)
    return asked


@st.composite
def wrong_requests(draw: st.DrawFn, fault: Fault) -> Asked:
    """Draw a request that breaks one rule or one limit of its sheet, and (warnings apart) nothing else."""
    sheet, target = fault.sheet, fault.target
    maker = _Maker(draw, sheet)
    maker.fill(richness=draw(st.sampled_from([0, 0, 1])))
    if isinstance(target, str):
        maker.mend(sheet.errors)
        maker.break_rule(sheet.rules[target])
        maker.mend(sheet.errors - {target})
        asked = maker.finish()
        assume(target in sheet.broken_rules(asked.arguments, asked.media))
        assume(asked.faults <= {target})
    else:
        maker.mend(sheet.errors)
        maker.break_limit(*target)
        maker.mend(sheet.errors)
        asked = maker.finish(too_long=target[0] if target[1] == "max_characters" else None)
        assume(target in asked.faults)
        assume(asked.faults <= _entailed(sheet, target))
    return asked


def _entailed(sheet: Sheet, target: tuple[str, str]) -> frozenset[object]:
    """Return a limit with what nobody can keep who breaks it: a shot that is too long makes a clip that is."""
    path, key = target
    more: set[object] = {target}
    duration = sheet.roles["duration"]
    if path == sheet.roles.get("shot-duration"):
        more |= {limit for limit in sheet.limits if limit[0] == duration and limit[1] in (key, "values")}
    if key == "min_items" and sheet.fields[path]["min_items"] == 1:
        # An empty list is not given, and a rule may ask for it.
        more |= {slug for slug, rule in sheet.rules.items() if path in (*rule.get("of", ()), *rule.get("needs", ()))}
    if key == "required":
        more |= {slug for slug, rule in sheet.rules.items() if path in rule.get("of", ())}
    return frozenset(more)


@st.composite
def requests_with_media(draw: st.DrawFn, sheet: Sheet, kind: str) -> tuple[Asked, str]:
    """Draw a request that gives a file of the project of a kind (`image` or `video`), and the path of that file."""
    maker = _Maker(draw, sheet)
    maker.fill(richness=0)
    name = f"refs/one.{kind}"
    facts = maker.facts(kind, name)
    holders = [
        path
        for path, field in sheet.fields.items()
        if kind in (field.get("media"), field.get("items", {}).get("media"))
    ]
    path = maker.pick(*[path for path in holders if sheet.roles.get("end-frame") != path])
    maker.give(path)
    outer, _, inner = path.partition(".")
    holder = maker.arguments[outer][-1] if inner else maker.arguments
    given = holder[inner or outer]
    if isinstance(given, list):
        given[-1] = address_of(name, facts)
    else:
        holder[inner or outer] = address_of(name, facts)
    maker.files[name] = facts
    maker.mend(sheet.errors)
    asked = maker.finish()
    assume(not asked.faults and address_of(name, facts) in asked.addresses)
    return asked, name


class _Maker:
    """Makes one request: first which fields are given and how many, then the prompts that mention them."""

    def __init__(self, draw: st.DrawFn, sheet: Sheet) -> None:
        self.draw = draw
        self.sheet = sheet
        self.arguments: Arguments = {}
        self.files: dict[str, Media] = {}
        self.number = 0

    def pick(self, *choices: Any) -> Any:
        """Draw one of some values."""
        return choices[self.draw(_places(len(choices)))]

    def fill(self, *, richness: int = 2) -> None:
        """Give fields: those that are always sent, and others as far as `richness` (0 none, 1 few, 2 many) goes."""
        shots = self.sheet.roles.get("shots")
        prompt = self.sheet.roles.get("prompt")
        if shots is not None and (prompt is None or self.draw(st.booleans())):
            self.give_shots(self.pick(*range(max(1, self.sheet.limit("shots", "min_items") or 1), 4)))
        else:
            assert prompt is not None
            self.arguments[prompt] = ""
            self.arguments[self.sheet.roles["duration"]] = self.length("duration")
        for name, field in self.sheet.raw["fields"].items():
            if name in self.arguments or field.get("role") in ("prompt", "shots", "duration"):
                continue
            always = field.get("required") or (field.get("send") == "always" and "default" in field)
            if not always and (richness == 0 or not self.draw(st.booleans())):
                continue
            if field["type"] == "list":
                least, most = field.get("min_items", 1), field.get("max_items", 8)
                count = self.draw(st.integers(least, min(most, least + 3 * richness)))
                self.arguments[name] = [self.item(name) for _ in range(count)]
            else:
                self.arguments[name] = self.value(name)

    def give_shots(self, count: int) -> None:
        """Give some shots, and the whole clip their length."""
        text, length = (self.inner("shot-prompt"), self.inner("shot-duration"))
        lengths = self.pick(*_sums(self.sheet, count))
        whole = self.sheet.fields[self.sheet.roles["shot-duration"]]["type"] == "string"
        shots = [{text: "", length: str(seconds) if whole else seconds} for seconds in lengths]
        self.arguments[self.sheet.roles["shots"]] = shots
        self.arguments[self.sheet.roles["duration"]] = self.as_sent("duration", sum(lengths))

    def inner(self, role: str) -> str:
        """Return the name of the field of a role inside its list."""
        return self.sheet.roles[role].rpartition(".")[2]

    def length(self, role: str) -> Any:
        """Draw a length that the field of a role takes, its ends more often than others."""
        choices = _lengths(self.sheet, role)
        return self.as_sent(role, self.pick(choices[0], choices[-1], *choices))

    def as_sent(self, role: str, seconds: int) -> Any:
        """Return seconds as the field of a role sends them."""
        return str(seconds) if self.sheet.fields[self.sheet.roles[role]]["type"] == "string" else seconds

    def value(self, path: str) -> Any:
        """Draw a value that a single field takes."""
        field = self.sheet.fields[path]
        if "media" in field:
            return self.medium(field["media"], path)
        if "values" in field:
            return self.pick(*field["values"])
        if field["type"] == "boolean":
            return self.draw(st.booleans())
        if field["type"] in ("integer", "number"):
            low, high = field.get("min", Decimal(0)), field.get("max", Decimal(9))
            number = self.pick(low, high, (low + high) / 2)
            return int(number) if field["type"] == "integer" else float(number)
        longest = field.get("max_characters", 40)
        words = " ".join(self.draw(_SOME_WORDS))[:longest].strip()
        return "x" * longest if self.pick(*[False] * 5, True) else words

    def item(self, path: str) -> Any:
        """Draw an item that a list takes."""
        field = self.sheet.fields[path]
        items = field["items"]
        if items["type"] == "object":
            return self.element(path)
        if "media" in items:
            return self.medium(items["media"], path)
        self.number += 1
        return f"voice-{self.number}"

    def element(self, path: str) -> Arguments:
        """Draw an element whose parts keep the rules that speak of one element."""
        names = list(self.sheet.fields[path]["items"]["fields"])
        sets = _element_shapes(self.sheet, path, tuple(names))
        return {name: self.part(f"{path}.{name}") for name in self.pick(*sets)}

    def part(self, path: str) -> Any:
        """Draw a part of an element."""
        field = self.sheet.fields[path]
        if field["type"] != "list":
            return self.value(path)
        count = self.draw(st.integers(field.get("min_items", 1), field.get("max_items", 3)))
        return [self.item(path) for _ in range(count)]

    def medium(self, kind: str, path: str) -> str:
        """Draw a file of the project, or an address where its length is not billed."""
        self.number += 1
        if not (kind == "video" and self.sheet.bills_videos) and self.pick(True, True, True, False):
            ending = "mp4" if kind == "video" else "png"
            name = f"refs/m{self.number}.{ending}"
            facts = self.facts(kind, name)
            self.files[name] = facts
            return address_of(name, facts)
        if kind == "video" and self.sheet.bills_videos:
            name = f"refs/m{self.number}.mp4"
            self.files[name] = self.facts(kind, name)
            return address_of(name, self.files[name])
        return f"https://example.com/{path}/m{self.number}"

    def facts(self, kind: str, name: str) -> Media:
        """Draw what a good file of a kind is, by the sheet's own limits."""
        limits = self.sheet.raw["media"][kind]
        digest = hashlib.sha256(name.encode()).hexdigest()
        size = self.pick(1, limits["max_bytes"])
        if kind == "video":
            width, height = max(limits["min_width"], 720), max(limits["min_height"], 720)
            seconds = float(limits["min_seconds"] + self.pick(0, 1, Decimal("1.5")))
            return Media(
                digest, size, limits["kinds"][0], width, height, seconds, float(limits["max_frames_per_second"])
            )
        short = max(limits["min_width"], limits["min_height"], 320)
        shape = self.pick(Decimal(1), limits["max_aspect"], limits["min_aspect"], Decimal(16) / 9)
        width, height = (int(short * shape), short) if shape >= 1 else (short, int(short / shape))
        return Media(digest, size, self.pick(*limits["kinds"]), width, height)

    def mend(self, slugs: frozenset[str]) -> None:
        """Take parts out of the request until it keeps some rules."""
        for _ in range(REPAIRS):
            found = Asked(self.sheet, self.told(), self.files)
            broken = sorted(self.sheet.broken_rules(found.arguments, found.media) & slugs)
            if not broken or not self._mend(self.sheet.rules[broken[0]]):
                return

    def _mend(self, rule: dict[str, Any]) -> bool:
        kind = rule["kind"]
        if kind == "at-most":
            return self.drop(*rule["counts"], *rule.get("given", ()))
        if kind == "total-seconds":
            return self.drop(rule["of"])
        if kind == "requires":
            return self.drop(rule["field"])
        if kind == "excludes":
            return self.drop(rule["field"], *rule["others"])
        return False

    def drop(self, *paths: str) -> bool:
        """Take out a part at the first of the paths where one can go."""
        for path in paths:
            outer, _, inner = path.partition(".")
            field = self.sheet.fields[outer]
            if outer not in self.arguments or field.get("role") in ("prompt", "shots", "duration"):
                continue
            value = self.arguments[outer]
            if isinstance(value, list):
                holding = [at for at, item in enumerate(value) if not inner or found_at(item, inner)]
                if not holding or (field.get("required") and len(value) == 1):
                    continue
                del value[holding[-1]]
                if len(value) < max(1, field.get("min_items", 1)):
                    del self.arguments[outer]
                return True
            if not field.get("required"):
                del self.arguments[outer]
                return True
        return False

    def give(self, path: str) -> None:
        """See that something is given at a path."""
        outer, _, inner = path.partition(".")
        field = self.sheet.fields[outer]
        if found_at(self.told(), path):
            return
        if field.get("role") == "shots":
            self.give_shots(max(2, field.get("min_items", 1)))
        elif field["type"] == "list":
            items = self.arguments.setdefault(outer, [])
            while len(items) < field.get("min_items", 1):
                items.append(self.item(outer))
            if inner:
                items[-1][inner] = self.part(path)
                items[-1] = _in_order(items[-1], field["items"]["fields"])
        else:
            self.arguments[outer] = self.value(outer) if field.get("role") != "prompt" else ""

    def take(self, path: str) -> None:
        """See that nothing is given at a path."""
        outer, _, inner = path.partition(".")
        if not inner:
            self.arguments.pop(outer, None)
            return
        for item in self.arguments.get(outer, ()):
            item.pop(inner, None)

    def break_rule(self, rule: dict[str, Any]) -> None:
        """Break a rule, whatever becomes of the others."""
        breakers: dict[str, Callable[[dict[str, Any]], None]] = {
            "exactly-one": self._break_choice,
            "at-most": self._break_cap,
            "requires": self._break_need,
            "excludes": self._break_ban,
            "sum-equals": self._break_sum,
            "total-seconds": self._break_seconds,
            "ignored-with": self._break_shape,
        }
        breakers[rule["kind"]](rule)

    def _break_need(self, rule: dict[str, Any]) -> None:
        self.give(rule["field"])
        for path in rule["needs"]:
            self.take(path)

    def _break_ban(self, rule: dict[str, Any]) -> None:
        self.give(rule["field"])
        self.give(self.pick(*rule["others"]))

    def _break_choice(self, rule: dict[str, Any]) -> None:
        outer = rule["of"][0].rpartition(".")[0]
        if outer:
            self.give(outer)
        if self.draw(st.booleans()):
            for path in rule["of"]:
                self.give(path)
            return
        for path in rule["of"]:
            self.take(path)
        if outer and (voice := self.sheet.roles.get("element-voice")):
            self.give(voice)

    def _break_cap(self, rule: dict[str, Any]) -> None:
        if rule.get("given"):
            self.give(self.pick(*rule["given"]))
        lists = [path for path in rule["counts"] if self.sheet.fields[path.partition(".")[0]]["type"] == "list"]
        beyond = self.pick(1, 1, 2)
        for _ in range(REPAIRS):
            told = self.told()
            if sum(len(found_at(told, path)) * each for path, each in rule["counts"].items()) >= rule["max"] + beyond:
                return
            outer, _, inner = self.pick(*lists).partition(".")
            items = self.arguments.setdefault(outer, [])
            items.append(self.item(outer))
            if inner and inner not in items[-1]:
                needed = [shape for shape in _element_shapes(self.sheet, outer) if inner in shape]
                items[-1] = {name: self.part(f"{outer}.{name}") for name in self.pick(*needed)}

    def _break_sum(self, rule: dict[str, Any]) -> None:
        prompt = self.sheet.roles.get("prompt")
        if prompt is not None:
            self.arguments.pop(prompt, None)
        self.give(self.sheet.roles["shots"])
        right = self.arguments[rule["total"]]
        others = [self.as_sent("duration", each) for each in _lengths(self.sheet, "duration")]
        self.arguments[rule["total"]] = self.pick(*[other for other in others if other != right])

    def _break_seconds(self, rule: dict[str, Any]) -> None:
        self.give(rule["of"])
        for name, media in self.files.items():
            if media.seconds is None:
                continue
            longest = float(self.sheet.raw["media"]["video"]["max_seconds"])
            self.files[name] = msgspec.structs.replace(media, seconds=longest)
        if len(self.arguments[rule["of"]]) < 2:
            self.arguments[rule["of"]].append(self.item(rule["of"]))

    def _break_shape(self, rule: dict[str, Any]) -> None:
        self.give(rule["field"])
        width, height = map(int, self.arguments[rule["field"]].split(":"))
        least = max(self.sheet.raw["media"]["image"][key] for key in ("min_width", "min_height"))
        # A third wider than was asked, and inside of every limit on shapes.
        facts = Media(hashlib.sha256(b"other").hexdigest(), 9, "png", 4 * least * width // height, 3 * least)
        self.files["refs/other.png"] = facts
        self.arguments[rule["given"][0]] = address_of("refs/other.png", facts)

    def break_limit(self, path: str, key: str) -> None:
        """Bring a field outside of one of its limits, whatever becomes of the others."""
        if key == "max_characters" and path in (self.sheet.roles.get("prompt"), self.sheet.roles.get("shot-prompt")):
            self.choose(path)
            return
        if path == self.sheet.roles.get("shot-duration"):
            self._break_length(key)
            return
        outer, _, inner = path.partition(".")
        field = self.sheet.fields[path]
        if key == "required":
            self.choose(path) if inner and self.sheet.fields[outer].get("role") == "shots" else self.give(path)
            self.take(path)
            return
        self.give(path)
        value: Any
        if key == "values":
            value = self.outside(path)
        elif key in ("min", "max"):
            step = 1 if field["type"] != "number" else Decimal("0.01")
            number = field[key] + (-step if key == "min" else step)
            value = {"string": str, "integer": int, "number": float}[field["type"]](number)
        elif key == "max_characters":
            value = "x" * (field[key] + 1)
        else:
            count = field[key] + (-1 if key == "min_items" else 1)
            if self.sheet.fields[path].get("role") == "shots":
                if count:
                    self.take(self.sheet.roles["prompt"])
                    self.give_shots(count)
                else:
                    self.arguments[path] = []
                return
            value = [self.item(path) for _ in range(count)]
        if path == self.sheet.roles["duration"]:
            # Shots that last as long would each have to be too long as well, or too short.
            self.choose(self.sheet.roles["prompt"])
        if inner:
            self.arguments[outer][-1][inner] = value
        else:
            self.arguments[outer] = value

    def _break_length(self, key: str) -> None:
        self.choose(self.sheet.roles["shots"])
        shots, name = self.arguments[self.sheet.roles["shots"]], self.inner("shot-duration")
        field = self.sheet.fields[self.sheet.roles["shot-duration"]]
        if key == "values":
            wrong = self.outside(self.sheet.roles["shot-duration"])
        else:
            wrong = field[key] + (-1 if key == "min" else 1)
        totals = [
            (total, rest)
            for total in _lengths(self.sheet, "duration")
            for rest in _sums_to(self.sheet, total - int(wrong), len(shots) - 1)
        ] or [(int(wrong) + sum(int(shot[name]) for shot in shots[1:]), tuple(int(shot[name]) for shot in shots[1:]))]
        total, rest = self.pick(*totals[:20])
        for shot, seconds in zip(shots, (int(wrong), *rest), strict=True):
            shot[name] = self.as_sent("shot-duration", seconds)
        self.arguments[self.sheet.roles["duration"]] = self.as_sent("duration", total)

    def choose(self, path: str) -> None:
        """Tell the request by the prompt or by the shots that hold a path."""
        prompt, shots = self.sheet.roles.get("prompt"), self.sheet.roles.get("shots")
        if path == prompt:
            self.arguments.pop(shots or "", None)
            self.arguments[path] = ""
        elif shots is not None:
            self.arguments.pop(prompt or "", None)
            if shots not in self.arguments:
                self.give_shots(max(2, self.sheet.limit("shots", "min_items") or 1))

    def outside(self, path: str) -> Any:
        """Draw a value that is none of a closed set."""
        field = self.sheet.fields[path]
        values = field["values"]
        if path in (self.sheet.roles["duration"], self.sheet.roles.get("shot-duration")):
            numbers = [int(value) for value in values]
            number = self.pick(*[each for each in range(1, max(numbers) + 2) if each not in numbers])
            return str(number) if field["type"] == "string" else number
        if field["type"] == "integer":
            return max(values) + 1
        if all(":" in str(value) for value in values):
            return "7:3"
        return self.pick("other", str(values[0]).upper() + "x")

    def told(self) -> Arguments:
        """Return the arguments with a word for every prompt that is not worded yet."""
        prompt, shots = self.sheet.roles.get("prompt", ""), self.sheet.roles.get("shots", "")
        told = dict(self.arguments)
        if prompt in told:
            told[prompt] = "x"
        if shots in told:
            name = self.inner("shot-prompt")
            told[shots] = [{**shot, name: "x"} if name in shot else shot for shot in told[shots]]
        return told

    def finish(self, *, too_long: str | None = None) -> Asked:
        """Word the prompts and put the fields into the sheet's order; the prompt at `too_long` is that."""
        prompt, shots = self.sheet.roles.get("prompt"), self.sheet.roles.get("shots")
        tags = list(self.tags())
        speeches = "".join(self.speech(at) for at in range(len(found_at(self.arguments, self.voices))))
        if prompt in self.arguments:
            self.arguments[prompt] = self.words(prompt, tags, too_long, speeches)
        for at, shot in enumerate(self.arguments.get(shots or "", ())):
            path, name = self.sheet.roles["shot-prompt"], self.inner("shot-prompt")
            if name in shot:
                shot[name] = self.words(path, tags, too_long if at == 0 else None, "" if at else speeches)
        return Asked(self.sheet, _in_order(self.arguments, self.sheet.raw["fields"]), self.files)

    @property
    def voices(self) -> str:
        """The path of the list of voices, or a path that leads nowhere."""
        return self.sheet.roles.get("voices", "-")

    def speech(self, at: int) -> str:
        """Return what a voice says, as the film's own form of dialogue words it."""
        voice = self.sheet.raw["prompt"]["voice"].replace("{n}", str(at + 1))
        return f' S{at + 1} {voice} says: "fog"'

    def tags(self) -> Iterator[str]:
        """Yield the tags of references in an order in which each kind is counted up; some are left to `with:`."""
        forms = self.sheet.raw["prompt"]
        counts = {
            form: len(found_at(self.arguments, self.sheet.roles[role]))
            for role, form in (("elements", "element"), ("images", "image"), ("videos", "video"))
            if role in self.sheet.roles and forms.get(form)
        }
        order = [form for form, count in counts.items() for _ in range(self.draw(st.integers(0, count)))]
        said: dict[str, int] = {}
        for form in self.draw(st.permutations(order)):
            said[form] = said.get(form, 0) + 1
            yield forms[form].replace("{n}", str(said[form]))

    def words(self, path: str, tags: list[str], too_long: str | None, ending: str) -> str:
        """Return words that mention as many of the tags as fit, as long as the field takes, and longer where asked."""
        limit = self.sheet.fields[path].get("max_characters", 2000)
        parts = ["rain", *self.draw(_FEW_WORDS)]
        while tags and len(" ".join([*parts, tags[0]])) + len(ending) < limit and (self.pick(True, True, False)):
            parts.append(tags.pop(0))
        text = " ".join(parts)
        wanted = limit + self.pick(1, 7) if too_long == path else limit if self.pick(*[False] * 5, True) else 0
        if wanted > len(text) + len(ending) + 2:
            text += " " + "x" * (wanted - len(text) - len(ending) - 1)
        return text + ending


@cache
def _places(count: int) -> st.SearchStrategy[int]:
    """Return what draws one of so many places; to build and check it takes longer than to draw."""
    return st.sampled_from(range(count))


@cache
def _lengths(sheet: Sheet, role: str) -> list[int]:
    """Return the seconds that the field of a role takes."""
    field = sheet.fields[sheet.roles[role]]
    return [int(value) for value in field["values"]] if "values" in field else [*range(field["min"], field["max"] + 1)]


@cache
def _sums(sheet: Sheet, count: int) -> list[tuple[int, ...]]:
    """Return lengths of so many shots whose sum the whole clip takes, at most some for each sum."""
    return [some for total in _lengths(sheet, "duration") for some in _sums_to(sheet, total, count)]


@cache
def _sums_to(sheet: Sheet, total: int, count: int) -> list[tuple[int, ...]]:
    """Return up to four ways in which so many shots last `total` seconds."""
    choices = _lengths(sheet, "shot-duration")

    def split(left: int, more: int) -> Iterator[tuple[int, ...]]:
        if more == 0:
            yield from [()] if left == 0 else []
            return
        for choice in choices:
            if choices[0] * (more - 1) <= left - choice <= choices[-1] * (more - 1):
                yield from ((choice, *rest) for rest in split(left - choice, more - 1))

    ways = split(total, count)
    return [way for _, way in zip(range(4), ways, strict=False)]


@cache
def _element_shapes(sheet: Sheet, path: str, names: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Return the sets of parts that an element may have by the rules and limits that speak of one element."""
    names = names or tuple(sheet.fields[path]["items"]["fields"])
    required = {name for name in names if sheet.fields[f"{path}.{name}"].get("required")}
    shapes = []
    for mask in range(1, 1 << len(names)):
        shape = tuple(name for at, name in enumerate(names) if mask >> at & 1)
        parts = {name: ["x"] if sheet.fields[f"{path}.{name}"]["type"] == "list" else "x" for name in shape}
        shown = {sheet.roles.get(role, "").rpartition(".")[2] for role in ("element-front", "element-video")}
        broken = sheet.broken_rules({path: [parts]}, {}) & sheet.errors
        scoped = {
            slug for slug in broken if f"'{path}." in str(sheet.rules[slug]) and "counts" not in sheet.rules[slug]
        }
        if required <= set(shape) and not scoped and shown & set(shape) and _has_sides(sheet, shape):
            shapes.append(shape)
    return shapes


def _has_sides(sheet: Sheet, shape: tuple[str, ...]) -> bool:
    """Say whether an element that has a front has angles too, as a film always gives it."""
    front, angles = (sheet.roles.get(role, "").rpartition(".")[2] for role in ("element-front", "element-angles"))
    return front not in shape or not angles or angles in shape


def _in_order(values: Arguments, fields: dict[str, Any]) -> Arguments:
    return {name: values[name] for name in fields if name in values}
