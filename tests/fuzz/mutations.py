"""Makes new inputs from old ones: bytes and lines changed at random, words of the target's own language put in."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

LARGEST = 16 * 1024
"""The most bytes of an input; what needs more than that to go wrong is for the tests of large input."""

ODD = (
    *(b"\0", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\r", b"\r\n", b"\n\n", b"\t", b"\x1b[31m", b"\x9b"),
    *("\u202e".encode(), "\u2028".encode(), "é".encode(), "e\u0301".encode(), "海".encode(), "😀".encode()),
    *(b"0", b"-1", b"1e999", b"99999999999999999999", b"0.1", b"NaN", b"null", b"true", b'"', b"'", b"\\", b"[", b"{"),
    *(b"\\ud800", b"%s", b"../", b"/etc/passwd", b"\0\0\0\x01", b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff"),
)
"""What readers of any kind trip over."""

MOST_STEPS = 6
MOST_REPEATS = 400


def mutate(data: bytes, dice: random.Random, *, words: Sequence[bytes], others: Sequence[bytes]) -> bytes:
    """Return another input, some steps away; the same dice give the same one.

    `words` are pieces of the target's language, `others` are inputs to take pieces from.
    """
    for _ in range(dice.randint(1, MOST_STEPS)):
        data = dice.choice(_STEPS)(data, dice, words, others)[:LARGEST]
    return data


_Step = Callable[[bytes, random.Random, Sequence[bytes], Sequence[bytes]], bytes]


def _place(data: bytes, dice: random.Random) -> int:
    return dice.randint(0, len(data))


def _range(data: bytes, dice: random.Random) -> tuple[int, int]:
    start = _place(data, dice)
    # Short ranges more often than long ones: a change that leaves most of an input whole gets furthest.
    length = min(len(data) - start, int(dice.expovariate(1 / 12)) + 1)
    return start, start + length


def _change_byte(data: bytes, dice: random.Random, _words: Sequence[bytes], _others: Sequence[bytes]) -> bytes:
    if not data:
        return bytes([dice.randrange(256)])
    at = dice.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << dice.randrange(8)]) + data[at + 1 :]


def _put_word(data: bytes, dice: random.Random, words: Sequence[bytes], _others: Sequence[bytes]) -> bytes:
    start, end = _range(data, dice)
    word = dice.choice(words) if words and dice.random() < 0.7 else dice.choice(ODD)
    return data[:start] + word + data[start if dice.random() < 0.5 else end :]


def _take_out(data: bytes, dice: random.Random, _words: Sequence[bytes], _others: Sequence[bytes]) -> bytes:
    start, end = _range(data, dice)
    return data[:start] + data[end:]


def _repeat(data: bytes, dice: random.Random, words: Sequence[bytes], _others: Sequence[bytes]) -> bytes:
    """Repeat a piece, sometimes very often: what is slow for its length shows only so."""
    start, end = _range(data, dice)
    piece = data[start:end] if dice.random() < 0.6 else dice.choice((*words, *ODD, b" "))
    times = dice.choice((1, 2, 7, 40, MOST_REPEATS, MOST_REPEATS * 10 // max(1, len(piece))))
    return data[:end] + piece * times + data[end:]


def _number(data: bytes, dice: random.Random, _words: Sequence[bytes], _others: Sequence[bytes]) -> bytes:
    """Write a number of another size over four bytes, as headers have them."""
    at = _place(data, dice)
    value = dice.choice((0, 1, 2, 8, 0xFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, len(data), dice.getrandbits(32)))
    size = dice.choice((1, 2, 4, 8))
    written = (value & (1 << 8 * size) - 1).to_bytes(size, dice.choice(("big", "little")))
    return data[:at] + written + data[at + size :]


def _swap_lines(data: bytes, dice: random.Random, _words: Sequence[bytes], _others: Sequence[bytes]) -> bytes:
    lines = data.split(b"\n")
    one, other = dice.randrange(len(lines)), dice.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    return b"\n".join(lines)


def _drop_line(data: bytes, dice: random.Random, _words: Sequence[bytes], _others: Sequence[bytes]) -> bytes:
    lines = data.split(b"\n")
    del lines[dice.randrange(len(lines))]
    return b"\n".join(lines)


def _double_line(data: bytes, dice: random.Random, _words: Sequence[bytes], _others: Sequence[bytes]) -> bytes:
    lines = data.split(b"\n")
    lines.insert(dice.randint(0, len(lines)), dice.choice(lines))
    return b"\n".join(lines)


def _join_other(data: bytes, dice: random.Random, _words: Sequence[bytes], others: Sequence[bytes]) -> bytes:
    other = dice.choice(others) if others else data
    if dice.random() < 0.5:
        lines, theirs = data.split(b"\n"), other.split(b"\n")
        at, start = dice.randint(0, len(lines)), dice.randrange(len(theirs))
        return b"\n".join([*lines[:at], *theirs[start : start + dice.randint(1, 6)], *lines[at:]])
    return data[: _place(data, dice)] + other[_place(other, dice) :]


_STEPS: tuple[_Step, ...] = (
    *(_change_byte, _change_byte, _put_word, _put_word, _put_word, _take_out, _take_out, _repeat, _number),
    *(_swap_lines, _drop_line, _double_line, _join_other, _join_other),
)
