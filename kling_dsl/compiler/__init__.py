"""The compiler: the whole pass list on one screen, and the session that remembers what did not change."""

from kling_dsl.compiler.result import Compilation, Options, quote_total
from kling_dsl.compiler.session import Session, compile_film

__all__ = ["Compilation", "Options", "Session", "compile_film", "quote_total"]
