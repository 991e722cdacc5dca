"""Programs that a person can run as they are: the calls of a film as Python, shell and JavaScript."""

from __future__ import annotations

from kling_dsl.exporters.curl import curl_program
from kling_dsl.exporters.javascript import javascript_program
from kling_dsl.exporters.python import python_program

__all__ = ["curl_program", "javascript_program", "python_program"]
