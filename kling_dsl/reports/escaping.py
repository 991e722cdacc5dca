"""Characters that a terminal or a reader would obey instead of showing, written so that they are seen."""

from __future__ import annotations

import unicodedata

# Cc control, Cf format (bidi overrides, tags, soft hyphen, byte order mark), Cs lone surrogate, Zl and Zp separators.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_JOINERS = frozenset("\u200c\u200d")
_SHORT = {"\t": "\\t", "\n": "\\n", "\r": "\\r"}


def visible(text: str) -> str:
    r"""Return `text` as one safe line: every unseen character, newline and tab as its escape (`\x1b`, `\u202e`, `\n`).

    The joiners that emoji and scripts such as Persian need stay where they follow a character beyond ASCII; a joiner
    after an ASCII letter or at the start joins nothing and is shown.
    """
    if text.isprintable():
        return text
    return "".join(escape(char) if is_unseen(char, before) else char for before, char in _pairs(text))


def visible_lines(text: str) -> str:
    """Return `text` like `visible`, but with its line breaks and tabs kept; a carriage return before one is dropped."""
    text = text.replace("\r\n", "\n")
    return "\n".join("\t".join(visible(part) for part in line.split("\t")) for line in text.split("\n"))


def is_unseen(char: str, before: str) -> bool:
    """Say whether `char` would be obeyed or hidden where it follows `before` (empty at the start of the text)."""
    if unicodedata.category(char) not in _UNSEEN:
        return False
    return not (char in _JOINERS and before > "\x7f" and unicodedata.category(before) not in _UNSEEN)


def escape(char: str) -> str:
    r"""Return the written form of one character: `\t`, `\x1b`, `\u202e`, `\U000e0041`."""
    code = ord(char)
    if char in _SHORT:
        return _SHORT[char]
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def sound(text: str) -> str:
    """Return `text` with each lone surrogate, which UTF-8 cannot carry, replaced by U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if _has_surrogate(text) else text


def safe_json(data: bytes) -> bytes:
    r"""Return JSON with each unseen character of its strings in the `\u` form: the same value, harmless to show."""
    text = data.decode("utf-8")
    if text.isascii() and "\x7f" not in text:
        return data
    escapes = {ord(char): _json_escape(char) for char in set(text) if _is_json_unseen(char)}
    return text.translate(escapes).encode("utf-8") if escapes else data


def _pairs(text: str) -> zip[tuple[str, str]]:
    return zip(["", *text], text, strict=False)


def _has_surrogate(text: str) -> bool:
    return not text.isprintable() and any("\ud800" <= char <= "\udfff" for char in text)


def _is_json_unseen(char: str) -> bool:
    return char > "\x7e" and char not in _JOINERS and unicodedata.category(char) in _UNSEEN


def _json_escape(char: str) -> str:
    units = char.encode("utf-16-be")
    return "".join(f"\\u{units[at] << 8 | units[at + 1]:04x}" for at in range(0, len(units), 2))
