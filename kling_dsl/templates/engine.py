"""Runs one expansion: loads the templates, collects their output and turns every failure into a diagnostic."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

from jinja2.environment import Template, TemplateModule
from jinja2.exceptions import SecurityError, TemplateNotFound, TemplateRuntimeError, UndefinedError
from jinja2.runtime import str_join

from kling_dsl.diagnostics import Diagnostic, Note, error
from kling_dsl.source import Span
from kling_dsl.templates.budget import Limits, Refusal, too_much
from kling_dsl.templates.codegen import Compiled, RefusedTemplate, compile_template
from kling_dsl.templates.sandbox import METHODS, PROPERTIES, FilmEnvironment, UnknownName
from kling_dsl.templates.source_map import MAX_NOTES, Source, SourceMap, round_notes
from kling_dsl.templates.tracing import Trace
from kling_dsl.templates.wording import (
    in_writers_words,
    shorten_line,
    undefined_name,
    undefined_part,
    unknown_filter,
)


class MissingFile(TemplateNotFound):
    """A file that a template names and that is not there."""


class Engine:
    """One expansion of one film."""

    def __init__(
        self, file: str, values: Mapping[str, object], read: Callable[[str], str | None], limits: Limits
    ) -> None:
        self.file = file
        # A set has no order that is the same in every run.
        self.values = {
            name: sorted(value) if isinstance(value, (set, frozenset)) else value for name, value in values.items()
        }
        self.read = read
        self.trace = Trace(limits)
        self.environment = FilmEnvironment(self.trace)
        self.environment.load = self.load
        self.templates: dict[str, Template] = {}
        self.files: list[str] = []

    def run(self, text: str) -> tuple[SourceMap | None, tuple[Diagnostic, ...]]:
        """Return the output's map, or None and the diagnostic that says why there is none."""
        try:
            template = self.prepare(self.file, text)
            context = template.new_context(dict(self.values))
            return self.trace.collect(template.root_render_func(context)), ()  # type: ignore[arg-type]
        except Exception as failure:  # noqa: BLE001 -- a template may raise anything, and each is a diagnostic
            return None, (self.diagnose(failure),)

    def load(self, name: str, parent: str) -> Template:
        """Return another file as a template; raises `Refusal` and `MissingFile`."""
        self.trace.step()
        path = posixpath.normpath(posixpath.join(posixpath.dirname(parent), name))
        if not name or name.startswith("/") or "\\" in name or "\0" in name or path.split("/")[0] == "..":
            raise Refusal("template-forbidden", f"{shorten_line(name)!r} is no file inside the project", word=name)
        if path not in self.templates:
            text = self.read(path)
            if text is None:
                raise MissingFile(path)
            if path not in self.files:
                self.files.append(path)
            self.templates[path] = self.prepare(path, text)
        return self.templates[path]

    def prepare(self, file: str, text: str) -> Template:
        """Return a text as a template that is ready to run; raises `Refusal`."""
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        try:
            compiled = compile_template(text)
        except RefusedTemplate as failure:
            facts = failure.refusal
            source = Source(file, text, [], [], [], {})
            span = word_span(source, failure.start, failure.end, facts.word)
            raise Refusal(facts.slug, facts.message, hint=facts.hint, span=span) from None
        return self.instantiate(file, compiled)

    def instantiate(self, file: str, compiled: Compiled) -> Template:
        """Return a template of this expansion that runs the compiled code."""
        trace = self.trace
        source = Source(file, compiled.text, compiled.starts, compiled.ends, compiled.constant, compiled.targets)
        namespace: dict[str, Any] = {
            "environment": self.environment,
            "__file__": file,
            "kling_file": file,
            "kling_source": source,
            "kling_compiled": compiled,
            "kling_base": trace.add_source(source),
            "kling_texts": compiled.texts,
            "kling_trace": trace,
            "kling_emit": trace.emit,
            "kling_step": trace.step,
            "kling_light": trace.light,
            "kling_sift": trace.sift,
            "kling_enter_round": trace.enter_round,
            "kling_leave_round": trace.leave_round,
            "kling_enter_file": trace.enter_file,
            "kling_leave_file": trace.leave_file,
        }
        exec(compiled.code, namespace)  # noqa: S102 -- what Jinja compiled in its sandbox, as Jinja itself runs it
        # The program imports Jinja's own function of this name first; ours bounds what it joins.
        namespace[str_join.__name__] = trace.join
        return Template.from_module_dict(self.environment, namespace, self.environment.globals)

    def diagnose(self, failure: Exception) -> Diagnostic:
        """Return the diagnostic of whatever ended the expansion."""
        frames = template_frames(failure.__traceback__)
        facts = self.explain(failure, frames)
        notes = self.notes(frames, facts)
        if facts.span is not None:
            span = facts.span
        elif facts.origin is not None:
            source, origin = self.trace.place(facts.origin)
            span = source.tag_span(origin)
        elif frames:
            span = frame_span(frames[-1], facts.word)
        else:
            span = Span(self.file, 1, 1, 1, 1)
        return error(facts.slug, facts.message, span, hint=facts.hint, notes=notes)

    def notes(self, frames: list[tuple[dict[str, Any], int]], facts: Refusal) -> tuple[Note, ...]:
        """Say in which rounds the failure happened, and through which macros it was reached."""
        failing = {frame_span(frame, "") for frame in frames[-1:] if facts.span is None}
        rounds = round_notes(self.trace.round, self.trace.sources, self.trace.bases)
        notes = [note for note in rounds if note.span not in failing or note.message.startswith("in round")]
        said = failing | {note.span for note in notes}
        for frame in reversed(frames[:-1]):
            span = frame_span(frame, "")
            if span not in said and len(notes) < 2 * MAX_NOTES:
                said.add(span)
                notes.append(Note(f"reached through the tag in line {span.line} of {span.file}", span))
        return tuple(notes)

    def explain(self, failure: Exception, frames: list[tuple[dict[str, Any], int]]) -> Refusal:
        """Return the facts of a failure in the writer's words."""
        message = str(failure)
        if isinstance(failure, Refusal):
            return failure
        if isinstance(failure, UnknownName):
            return self.explain_unknown(failure, frames)
        if isinstance(failure, MissingFile):
            return Refusal(
                "template-missing",
                f"there is no file {shorten_line(message)}",
                hint="a file is named from the folder of the file that includes it",
                word=posixpath.basename(message),
            )
        if isinstance(failure, SecurityError):
            return Refusal("template-forbidden", shorten_line(message))
        if isinstance(failure, (RecursionError, MemoryError)):
            return too_much("this goes too deep", hint="look for a file that includes or extends itself")
        if isinstance(failure, UndefinedError):
            return Refusal("template-undefined", shorten_line(message))
        unknown = re.match(r"No (filter|test) named '([^']*)'", message)
        if unknown and isinstance(failure, TemplateRuntimeError):
            names = self.environment.filters if unknown[1] == "filter" else self.environment.tests
            return unknown_filter(unknown[1], unknown[2], names)
        return Refusal("template-error", in_writers_words(failure))

    def explain_unknown(self, failure: UnknownName, frames: list[tuple[dict[str, Any], int]]) -> Refusal:
        """Return the facts of a name that is not there."""
        if failure.hinted:
            return Refusal("template-undefined", shorten_line(str(failure)), word=str(failure.name or ""))
        owner = failure.owner
        if type(owner).__name__ == "_MissingType":
            known = {*self.values, *self.environment.globals, "loop", "self"}
            for namespace, _ in frames:
                known |= namespace["kling_compiled"].names
            return undefined_name(failure.name, known - {failure.name})
        names: set[str] = set()
        if isinstance(owner, dict):
            names = {key for key in owner if isinstance(key, str)}
        else:
            names.update(*(METHODS.get(kind, ()) for kind in type(owner).__mro__))
            names.update(*(PROPERTIES.get(kind, ()) for kind in type(owner).__mro__))
            if isinstance(owner, TemplateModule):
                names = {name for name in owner.__dict__ if not name.startswith("_")}
        return undefined_part(failure.name, owner, names)


def template_frames(traceback: TracebackType | None) -> list[tuple[dict[str, Any], int]]:
    """Return (program, offset in its text) of the templates that were running, from the outermost inwards."""
    frames = []
    while traceback is not None:
        namespace = traceback.tb_frame.f_globals
        if "kling_source" in namespace and "__jinja_template__" in namespace:
            offset = namespace["__jinja_template__"].get_corresponding_lineno(traceback.tb_lineno)
            frames.append((namespace, offset))
        traceback = traceback.tb_next
    return frames


def frame_span(frame: tuple[dict[str, Any], int], word: str) -> Span:
    """Return the span of the tag that a template was running, or of a word in it."""
    namespace, offset = frame
    compiled: Compiled = namespace["kling_compiled"]
    source: Source = namespace["kling_source"]
    return word_span(source, *compiled.layout.tag_range(offset), word)


def word_span(source: Source, start: int, end: int, word: str) -> Span:
    """Return the span of a word in `text[start:end]`, or of all of that where the word is not in it."""
    if word:
        found = re.compile(rf"(?<!\w){re.escape(word)}(?!\w)").search(source.text, start, end)
        if found:
            return source.span(found.start(), found.end())
    return source.span(start, end)
