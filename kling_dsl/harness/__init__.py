"""Runs the EXPECT lines of films and of their test files."""

from __future__ import annotations

from kling_dsl.harness.films import Ask, Bench, Outcome, find_scripts
from kling_dsl.harness.judging import Verdict

__all__ = ["Ask", "Bench", "Outcome", "Verdict", "find_scripts"]
