"""Types the commands of a console block, and lays what they print beside what the page shows."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

LEFT_OUT = "…"
"""What stands for any text in a shown line, and alone for any lines."""

_CODE = "; echo $?"

Shell = Callable[[str, Path], tuple[int, str]]
"""Runs a command line in a folder; gives its exit code and what it printed on either stream."""


def type_block(text: str, folder: Path, shell: Shell) -> tuple[str, Path]:
    """Return the block as it would be if it showed what happens, and the folder that `cd` led to.

    A line that begins with `$ ` is a command; `; echo $?` behind it shows its exit code.
    """
    shown = ""
    for part in re.split(r"^(?=\$ )", text, flags=re.MULTILINE):
        if not part.startswith("$ "):
            continue
        line, _, expected = part.partition("\n")
        command = line.removeprefix("$ ")
        shown += f"{line}\n"
        if command.startswith("cd "):
            folder /= command.removeprefix("cd ")
            continue
        code, printed = shell(command.removesuffix(_CODE), folder)
        if printed and not printed.endswith("\n"):
            printed += "\n"
        if command.endswith(_CODE):
            printed += f"{code}\n"
        shown += leave_out(printed, like=expected)
    return shown, folder


def leave_out(printed: str, *, like: str) -> str:
    """Return what was printed as it is shown, when the two agree wherever the page leaves nothing out.

    Otherwise as much of it as is shown: the first lines up to the first that are left out, and the last paragraph.
    """
    if LEFT_OUT not in like:
        return printed
    lines = like.splitlines()
    if re.fullmatch("".join(map(_pattern, lines)), printed):
        return like
    if LEFT_OUT not in lines:
        return printed
    head = printed.splitlines()[: lines.index(LEFT_OUT)]
    return "\n".join([*head, LEFT_OUT, *printed.rpartition("\n\n")[2].splitlines()]) + "\n"


def _pattern(line: str) -> str:
    if line == LEFT_OUT:
        return r"(?:[^\n]*\n)*?"
    return "[^\n]*?".join(map(re.escape, line.split(LEFT_OUT))) + "\n"
