"""Words for what goes wrong in a template: the writer's, with the nearest name where one was misspelt."""

from __future__ import annotations

import re
from collections.abc import Iterable

from kling_dsl.spelling import nearest
from kling_dsl.templates.budget import Refusal, name_kind
from kling_dsl.templates.source_map import shorten, show

TAGS = (
    "block", "call", "elif", "else", "endblock", "endcall", "endfilter", "endfor", "endif", "endmacro", "endset",
    "endwith", "extends", "filter", "for", "from", "if", "import", "include", "macro", "print", "raw", "set", "with",
)  # fmt: skip
TOKENS = {
    "end of print statement": "}}",
    "end of statement block": "%}",
    "begin of statement block": "{%",
    "begin of print statement": "{{",
    "end of template": "the end of the file",
    "integer": "a number",
    "float": "a number",
    "string": "a text",
    "name": "a name",
}
PHRASES = {
    "end of print statement": "}}",
    "end of statement block": "%}",
    "end of template": "end of the file",
    "Missing end of comment tag": "this {# comment is never closed: #} is missing",
    "Missing end of raw directive": "this {% raw %} is never closed: {% endraw %} is missing",
    "tag name expected": "the name of a tag is missing behind {%",
}
MAX_NAMES_SHOWN = 8
"""How many of the names that exist a message lists."""


def reword_syntax(message: str) -> Refusal:
    """Return the refusal for one of Jinja's syntax errors."""
    unknown = re.match(r"Encountered unknown tag '(.*?)'\.", message)
    if unknown:
        return unknown_tag(unknown[1], message)
    ended = re.match(r"Unexpected end of template\.", message)
    if ended:
        return Refusal("template-syntax", "the file ends inside a tag or before an end tag")
    expected = re.match(r"expected token '(.*)', got '(.*)'$", message, re.DOTALL)
    if expected:
        wanted, got = (TOKENS.get(word, word) for word in expected.groups())
        return Refusal("template-syntax", f"{wanted} is missing before {shorten(got)}")
    lost = re.match(r"unexpected char ('.*'|\".*\") at \d+$", message, re.DOTALL)
    if lost:
        return Refusal("template-syntax", f"a template's tag cannot contain {lost[1]} here")
    for name, shown in PHRASES.items():
        message = message.replace(name, shown)
    return Refusal("template-syntax", shorten_line(message[:1].lower() + message[1:].rstrip(".")))


def unknown_tag(name: str, message: str) -> Refusal:
    """Return the refusal of a tag that does not exist, or stands in the wrong place."""
    waiting = re.search(r"looking for (?:the following tags: )?(.*?)\.", message)
    innermost = re.search(r"needs to be closed is '(\w+)'", message)
    if name in TAGS:
        hint = f"the tag that is open here is {innermost[1]}" if innermost else "no tag is open here"
        if waiting:
            hint += f"; it waits for {waiting[1]}"
        return Refusal("template-syntax", f"the tag {name} does not fit here", hint=hint)
    near = nearest(name, TAGS)
    hint = f"did you mean {near}?" if near else f"the tags are {', '.join(TAGS)}"
    return Refusal("template-syntax", f"there is no tag {shorten(name)!r}", hint=hint)


def unknown_filter(kind: str, name: str, names: Iterable[str]) -> Refusal:
    """Return the refusal of a filter or test that does not exist."""
    near = nearest(name, sorted(names))
    hint = f"did you mean {near}?" if near else ""
    return Refusal("template-undefined", f"there is no {kind} {shorten(name)!r}", hint=hint, word=name)


def undefined_name(name: object, known: Iterable[str]) -> Refusal:
    """Return the refusal of a name that nothing defines."""
    near = nearest(str(name), sorted(known))
    hint = f"did you mean {near}?" if near else ""
    if not hint:
        hint = f'define it on the title page with "Param {name}: …" or with --set {name}=…'
    return Refusal("template-undefined", f"{shorten(str(name))} is not defined", hint=hint, word=str(name))


def undefined_part(name: object, owner: object, names: Iterable[str]) -> Refusal:
    """Return the refusal of a key, column, item or attribute that a value does not have."""
    known = sorted(names)
    if isinstance(name, str):
        near = nearest(name, known)
        listed = ", ".join([*map(shorten, known[:MAX_NAMES_SHOWN]), *(["…"] if len(known) > MAX_NAMES_SHOWN else [])])
        hint = f"did you mean {near}?" if near else (f"it has {listed}" if known else "")
        kind = type(owner).__name__
        shown = name_kind(kind) if kind in _TEMPLATES_OWN else show(owner)
        return Refusal("template-undefined", f"there is no {name!r} in {shown}", hint=hint, word=name)
    size = ""
    if isinstance(owner, (list, tuple, str)):
        size = f", which has {len(owner)} item{'' if len(owner) == 1 else 's'}"
    return Refusal("template-undefined", f"there is no item {show(name)} in {show(owner)}{size}")


def in_writers_words(error: BaseException) -> str:
    """Return the message of a Python error without Python's names."""
    if isinstance(error, ZeroDivisionError):
        return "division by zero"
    if isinstance(error, ArithmeticError):
        return "the result is too large, or no number"
    if isinstance(error, KeyError):
        return f"there is no {show(error.args[0] if error.args else '')}"
    message = str(error) or type(error).__name__
    compared = re.fullmatch(r"'(\S+)' not supported between instances of '(.+)' and '(.+)'", message)
    if compared:
        return f"{compared[1]} does not work between {name_kind(compared[2])} and {name_kind(compared[3])}"
    signed = re.fullmatch(r"bad operand type for unary (\S): '(.+)'", message)
    if signed:
        return f"{signed[1]} does not work before {name_kind(signed[2])}"
    message = re.sub(
        r"'(\w+)' object|non-iterable (\w+) object", lambda found: name_kind(found[1] or found[2]), message
    )
    function = r"\b(?:\w+\.)*<?\w+>?(?:\.\w+)*\(\) "
    message = re.sub(f"{function}(takes|got) ", r"it \1 ", message)
    message = re.sub(
        rf"{function}argument (\d+) must be (\w+), not (\w+)",
        lambda found: f"its argument {found[1]} must be {name_kind(found[2])}, not {name_kind(found[3])}",
        message,
    )
    return shorten_line(re.sub(f"{function}missing ", "it is missing ", message))


_TEMPLATES_OWN = ("Namespace", "TemplateModule", "TemplateReference", "LoopContext", "Macro", "Cycler", "Joiner")
"""Values that a film's writer has never given, so that a kind says more of them than what they hold."""


def shorten_line(message: str) -> str:
    """Return a message in one line, escaped and of a bounded length."""
    line = "".join(character if character.isprintable() else " " for character in message)
    return line if len(line) <= 300 else line[:299] + "…"
