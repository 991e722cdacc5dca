"""Why some deletions are noticed by no test: a reason, and the statements that it is about, by file."""

from __future__ import annotations

EXPLAINED: dict[str, dict[str, tuple[str, ...]]] = {
    "It spares time only: the longer way finds the same.": {
        # A name as it is declared is found at once, and the search for the longest one ends with it too.
        "cast.py": ("return reference, len(run)",),
        "prose.py": (
            # Nearly every passage has no marks but names.
            'return " ".join((self._plain_mentions(passage, offset)',
            # Once a note was not closed no later one is: without this, many of them take the square of the text.
            "closed = False",
            # Most mentions repeat a name, which needs no search and no place.
            "if (binding := self.bound.get(run)) is not None:",
            "return binding.tag, len(run)",
        ),
        # Nothing is lent to most shots.
        "requests.py": ("return shots",),
    },
    "A mistake that is found again in the same place is told once whatever is done here.": {
        # The look of a CLIP is read for each of its shots.
        "requests.py": ("look_offset = None",),
    },
    "Another rule says the same: only of a failed take is it told whether it may be billed, and the file refuses others.": {
        "transitions.py": ('state == "failed"',),
    },
}
"""A statement is named by how it begins. What is here is looked at again whenever the table is made."""
