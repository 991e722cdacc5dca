"""Lines of films, right and wrong, and changes to a film's text that a slip, an editor or a merge makes, by a seed."""

from __future__ import annotations

import random

LINES = (
    "SHOT a 5s wide", "SHOT b 3s", "SHOT Bad", "SHOT c 5.5s", "CLIP g 9s", "CLIP h", "END CLIP", "INT. ROOM - DAY",
    "EXT. SEA", ".SPACE", "CHARACTER Mira", "CHARACTER Zoë", "PROP Lamp", "STYLE Ink", "PLACE 海",
    "import cast.kling", "import other.kling", "Title: x", "Look: @Ink grain", "Budget: $5", "Duration: 4s",
    "Headings: off", "Audio: on", "  front: refs/a.png", "  angles: refs/b.png", "  image: refs/c.png",
    "  video: refs/d.mp4", "  start: end of a", "  end: end of b", "  look: in @Ink", "  with: @Ink, @Mira",
    "  takes: 2", "  model: o3-pro", "  model: v3-pro-text", "  negative: cars", "  aspect: 1:1", "  nonsense: 1",
    "MIRA: Hello.", "MIRA (low): Hello", "  there.", "NOBODY: Hi.", "CUT TO:", "@Mira waits.",
    "@Zoë and @海 and @Nobody.", "Rain falls.", "# comment", "[[note]]", "[[open", "closed]]", "!SHOT prose",
    "\\# hash", "", "", "EXPECT x", "EXPECT shot a uses @Ink", "EXPECT total <= 3", "shot d 5s", "(word:1.3) no text, 8k masterpiece stunning", "Mira without at.",
    "<<<voice_1>>> @Element1", "{{ x }}", "{% for i in range(3) %}", "{% endfor %}", "Param x: 1", "\u00a0Look: x", "\u2003", "\u2028x", "{# remark #}", "a@b.c @@x",
)  # fmt: skip
"""Lines that a film may be made of, right and wrong."""

PIECES = (
    "[[", "]]", "[[x]]", "{{", "}}", "{%", "%}", "{#", "{{ 1 }}", "@", "@@", "@Nobody", "@Mira", "#", "\\", "!", ":", "(",
    "\n", "\n\n", "\r", "\t", " ", "  look: ", "SHOT", "SHOT b 5s\n", "CLIP c\n", "END CLIP\n", "INT. X\n", "EXPECT ",
    "import cast.kling\n", "CHARACTER X\n", "Title: x\n", "MIRA: hi\n", "<<<voice_1>>>", "5.5s", "$", "\x00", "\u202e", "\u00a0", "\u2028", "\x0b", "\x85", "é",
    "\u0301", "\ufeff", "\ud7ff", "\U0010ffff", "x" * 3000,
)  # fmt: skip


def changed(text: str, seed: int) -> str:
    """Return a text with one to four places cut, doubled, swapped, or given something that means something."""
    chance = random.Random(seed)
    for _ in range(chance.randint(1, 4)):
        kind = chance.randrange(6)
        lines = text.split("\n")
        at, other = chance.randrange(len(lines)), chance.randrange(len(lines))
        place = chance.randint(0, len(text))
        if kind == 0:
            del lines[at]
            text = "\n".join(lines)
        elif kind == 1:
            lines.insert(other, lines[at])
            text = "\n".join(lines)
        elif kind == 2:
            lines[at], lines[other] = lines[other], lines[at]
            text = "\n".join(lines)
        elif kind == 3:
            text = text[:place] + text[place + chance.randint(1, 9) :]
        else:
            text = text[:place] + chance.choice(PIECES) + text[place:]
    return text
