"""The compiler: the whole pass list on one screen, and the session that remembers what did not change."""

from kling_dsl.compiler.quotes import Quote, quote_drafts
from kling_dsl.compiler.result import Compilation, Options
from kling_dsl.compiler.session import Session, compile_film

__all__ = ["Compilation", "Options", "Quote", "Session", "compile_film", "quote_drafts"]
