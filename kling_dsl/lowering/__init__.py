"""Lowers a parsed film: declares its cast, resolves what is inherited, binds names and words the prompts."""

from kling_dsl.lowering.cascade import DEFAULT_MODEL, NOTHING, Choices, resolve_title, unknown_model
from kling_dsl.lowering.cast import Cast, declare_cast
from kling_dsl.lowering.prose import report_names
from kling_dsl.lowering.requests import Scene, enter_scene, lower_unit
from kling_dsl.lowering.units import Unit, group_units

__all__ = [
    "DEFAULT_MODEL",
    "NOTHING",
    "Cast",
    "Choices",
    "Scene",
    "Unit",
    "declare_cast",
    "enter_scene",
    "group_units",
    "lower_unit",
    "report_names",
    "resolve_title",
    "unknown_model",
]
