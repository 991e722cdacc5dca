"""Expands a film that is a template, and keeps the way back from every character to where it was written."""

from __future__ import annotations

from kling_dsl.templates.budget import Limits
from kling_dsl.templates.data import parse_data
from kling_dsl.templates.expansion import Expansion, expand, has_marks
from kling_dsl.templates.source_map import SourceMap

__all__ = ["Expansion", "Limits", "SourceMap", "expand", "has_marks", "parse_data"]
