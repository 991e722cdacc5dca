"""The model sheets as files: reading them, finding every mistake in them; their JSON Schemas are in `schema`."""

from __future__ import annotations

from kling_dsl.sheets.loading import load_sheet
from kling_dsl.sheets.registry import Profiles, builtin_names, load_builtin

__all__ = ["Profiles", "builtin_names", "load_builtin", "load_sheet"]
