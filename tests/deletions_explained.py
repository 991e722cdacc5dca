"""Why some deletions are noticed by no test: a reason, and the statements that it is about, by file."""

from __future__ import annotations

EXPLAINED: dict[str, dict[str, tuple[str, ...]]] = {}
"""A statement is named by how it begins. What is here is looked at again whenever the table is made."""
