"""Compiles a template so that its output keeps its origins and its work is counted."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable
from functools import lru_cache
from types import CodeType
from typing import Any, NoReturn

from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.exceptions import TemplateSyntaxError
from jinja2.parser import Parser

from kling_dsl.templates.budget import Refusal, too_much
from kling_dsl.templates.lexing import SPLIT, Layout
from kling_dsl.templates.sandbox import FORBIDDEN_FILTERS, FilmEnvironment
from kling_dsl.templates.wording import reword_syntax, unknown_filter

MAX_CACHED_CHARACTERS = 1 << 20
"""Longer templates are compiled anew: they are films, read once in a run."""


MAX_PROGRAM_CHARACTERS = 8 << 20
"""The longest program that a template may become: some three times what the longest template needs, because each
include repeats all names that are set around it."""
TOO_DEEP = "the tags or brackets of this template lie too deep in one another"
WORD = re.compile(r"\w+|.", re.DOTALL)


class Compiled:
    """A compiled template: its code, its constant texts by origin, and where each origin stands."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.code: CodeType
        self.texts: list[str] = []
        self.starts = array("Q")
        self.ends = array("Q")
        self.constant = bytearray()
        self.targets: dict[int, tuple[str, ...]] = {}
        self.names: frozenset[str] = frozenset()
        self.layout = Layout(text)

    def add(self, start: int, end: int, text: str | None = None) -> int:
        """Add an origin, constant if it has a text, and return its number."""
        self.starts.append(start)
        self.ends.append(end)
        self.constant.append(text is not None)
        self.texts.append(text or "")
        return len(self.texts) - 1

    def add_tag(self, offset: int) -> int:
        """Add the tag at an offset as an origin and return its number."""
        return self.add(*self.layout.tag_range(offset))


class RefusedTemplate(Exception):
    """A template that cannot be compiled: the refusal, and the offsets of what is wrong."""

    def __init__(self, refusal: Refusal, start: int, end: int) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal
        self.start = start
        self.end = end


def compile_template(text: str) -> Compiled:
    """Return the compiled template; raises `RefusedTemplate`. Each text is compiled once in a process."""
    if len(text) > MAX_CACHED_CHARACTERS:
        return compile_anew(text)
    return compile_and_keep(text)


@lru_cache(maxsize=64)
def compile_and_keep(text: str) -> Compiled:
    """Compile a template of a usual length."""
    return compile_anew(text)


def compile_anew(text: str) -> Compiled:
    """Compile a template; raises `RefusedTemplate`."""
    compiled = Compiled(text)
    environment = FilmEnvironment.for_compiling()
    environment.layout = compiled.layout
    generator = OriginGenerator(environment, compiled)
    try:
        tree = Parser(environment, text).parse()
        compiled.names = frozenset(
            [name.name for name in tree.find_all(nodes.Name) if name.ctx != "load"]
            + [macro.name for macro in tree.find_all(nodes.Macro)]
        )
        generator.visit(tree)
    except Refusal as refusal:
        offset = compiled.layout.last if refusal.offset is None else refusal.offset
        raise refused(refusal, compiled.layout, offset) from None
    except TemplateSyntaxError as error:
        raise reworded(error, compiled.layout) from None
    except (RecursionError, MemoryError, ValueError):
        raise refused(too_much(TOO_DEEP), compiled.layout, compiled.layout.last) from None
    compiled.code = compile_code(generator, compiled)
    return compiled


def compile_code(generator: OriginGenerator, compiled: Compiled) -> CodeType:
    """Compile the generated program; raises `RefusedTemplate`."""
    program: str = generator.stream.getvalue()  # type: ignore[attr-defined]
    try:
        return compile(program, "<film>", "exec")
    except SyntaxError as error:
        line = error.lineno or 1
        offset = next((at for at, first in reversed(generator.debug_info) if first <= line), 0)
        if "repeated" in error.msg or "duplicate" in error.msg:
            refusal = Refusal("template-syntax", "an argument is given twice here")
        else:
            refusal = too_much(TOO_DEEP)
        raise refused(refusal, compiled.layout, offset) from None
    except (RecursionError, MemoryError, ValueError, OverflowError):
        raise refused(too_much(TOO_DEEP), compiled.layout, 0) from None


def refused(refusal: Refusal, layout: Layout, offset: int) -> RefusedTemplate:
    """Place a refusal at the tag that stands at an offset."""
    return RefusedTemplate(refusal, *layout.tag_range(offset))


def reworded(error: TemplateSyntaxError, layout: Layout) -> RefusedTemplate:
    """Word a syntax error as a writer would, and place it."""
    message = error.message or ""
    if "end of template" in message and (unclosed := layout.unclosed()) is not None:
        name, tag = unclosed
        refusal = Refusal("template-syntax", f"this {{% {name} %}} is never closed", hint=f"write {{% end{name} %}}")
        return RefusedTemplate(refusal, layout.starts[tag], layout.ends[tag])
    start = min(error.lineno, len(layout.text))
    word = WORD.match(layout.text, start)
    return RefusedTemplate(reword_syntax(message), start, word.end() if word else start)


class RuntimeName(str):
    """The name of the template that runs, which the generated program looks up when it runs."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "kling_file"


class OriginGenerator(CodeGenerator):
    """Generates the program of a template: what it yields are `Piece`s, and every block counts its steps."""

    def __init__(self, environment: FilmEnvironment, compiled: Compiled) -> None:
        # Nothing is computed while compiling: an expression that never ends must meet its budget first.
        super().__init__(environment, RuntimeName("film"), None, optimized=False)
        self.compiled = compiled
        self.size = 0
        self.loops: dict[int, tuple[nodes.For, str]] = {}
        self.sifting: set[int] = set()
        self.wrapped: list[bool] = []

    def fail(self, msg: str, lineno: int) -> NoReturn:
        """Refuse the template for the tag at an offset."""
        raise TemplateSyntaxError(msg, lineno)

    def write(self, x: str) -> None:
        """Write some of the program; raises `Refusal` when it grows too long."""
        self.size += len(x)
        if self.size > MAX_PROGRAM_CHARACTERS:
            raise too_much("this template sets too many names and includes too many files", hint=SPLIT)
        super().write(x)

    def position(self, node: nodes.Node) -> str:
        """Name the line of a node."""
        return f"line {self.compiled.text.count(chr(10), 0, node.lineno) + 1}"

    def origin(self, node: nodes.Node) -> str:
        """Return the expression that gives the origin of a node's tag."""
        return f"kling_base + {self.compiled.add_tag(node.lineno)}"

    # Output

    def visit_Output(self, node: nodes.Output, frame: Frame) -> None:
        """Write the pieces of some output one after another."""
        if frame.require_output_check:
            if self.has_known_extends:
                return
            self.writeline("if parent_template is None:")
            self.indent()
        for child in node.nodes:
            if isinstance(child, nodes.TemplateData):
                start = child.lineno
                number = self.compiled.add(start, start + len(child.data), child.data)
                piece = f"(kling_texts[{number}], kling_base + {number}, kling_trace.round)"
                self.write_piece(frame, child, piece)
            else:
                self.start_write(frame, child)
                self.visit(child, frame)
                self.end_write(frame)
        if frame.require_output_check:
            self.outdent()

    def write_piece(self, frame: Frame, node: nodes.Node, piece: str) -> None:
        """Write a piece that is ready."""
        if frame.buffer is None:
            self.writeline(f"yield {piece}", node)
        else:
            self.writeline(f"{frame.buffer}.append({piece})", node)

    def start_write(self, frame: Frame, node: nodes.Node | None = None) -> None:
        """Begin to write the value of a node as a piece; without a node, a piece that another part made."""
        super().start_write(frame, node)
        self.wrapped.append(node is not None)
        if node is not None:
            self.write(f"kling_emit({self.origin(node)}, ")

    def end_write(self, frame: Frame) -> None:
        """End what `start_write` began."""
        if self.wrapped.pop():
            self.write(")")
        super().end_write(frame)

    # Loops and blocks

    def visit_For(self, node: nodes.For, frame: Frame) -> None:
        """Write a loop that counts its rounds, and the items that it leaves out."""
        self.sifting.add(id(node.test))
        counter = "" if node.recursive else self.temporary_identifier()
        self.loops[id(node.body)] = (node, counter)
        if counter:
            self.writeline(f"{counter} = 0", node)
        super().visit_For(node, frame)

    def visit(self, node: nodes.Node, *args: Any, **kwargs: Any) -> Any:
        """Write a node; that which chooses the items of a loop is counted."""
        if id(node) not in self.sifting:
            return super().visit(node, *args, **kwargs)
        self.write("kling_sift() or (")
        super().visit(node, *args, **kwargs)
        self.write(")")
        return None

    def blockvisit(self, nodes: Iterable[nodes.Node], frame: Frame) -> None:
        """Write the statements of a block, and what running them costs."""
        body = list(nodes)
        steps = sum(len(getattr(node, "nodes", ())) or 1 for node in body)
        loop = self.loops.get(id(nodes))
        if loop is None:
            if steps:
                self.writeline(f"kling_step({steps})", body[0])
            super().blockvisit(body, frame)
            return
        node, counter = loop
        number = counter or f"{frame.symbols.ref('loop')}.index"
        if counter:
            self.writeline(f"{counter} += 1")
        tag = self.compiled.add_tag(node.lineno)
        self.compiled.targets[tag] = target_names(node.target)
        self.newline(node)
        self.write(f"kling_enter_round(kling_base + {tag}, {number}, ")
        self.visit(node.target, frame)
        self.write(f", {steps + 1})")
        super().blockvisit(body, frame)
        self.writeline("kling_leave_round()")

    def visit_With(self, node: nodes.With, frame: Frame) -> None:
        """Write a block with names of its own, its values placed at its tag."""
        self.writeline("pass", node)
        super().visit_With(node, frame)

    def visit_ScopedEvalContextModifier(self, node: nodes.ScopedEvalContextModifier, frame: Frame) -> None:
        """Refuse the one tag that only web pages need."""
        raise placed("template-forbidden", "the tag autoescape is for web pages: a film has nothing to escape", node)

    # Other files

    def visit_Include(self, node: nodes.Include, frame: Frame) -> None:
        """Write an include that its pieces remember."""
        self.writeline(f"kling_enter_file({self.origin(node)})", node)
        super().visit_Include(node, frame)
        self.writeline("kling_leave_file()")

    def visit_Import(self, node: nodes.Import, frame: Frame) -> None:
        """Write an import that errors in the file can name."""
        self.writeline(f"kling_enter_file({self.origin(node)})", node)
        super().visit_Import(node, frame)
        self.writeline("kling_leave_file()")

    def visit_FromImport(self, node: nodes.FromImport, frame: Frame) -> None:
        """Write an import of names that errors in the file can name."""
        self.writeline(f"kling_enter_file({self.origin(node)})", node)
        super().visit_FromImport(node, frame)
        self.writeline("kling_leave_file()")

    # Expressions

    def visit_Dict(self, node: nodes.Dict, frame: Frame) -> None:
        """Write a mapping; its keys are charged for, because they are hashed."""
        self.write("{")
        for item in node.items:
            self.write("kling_light(")
            self.visit(item.key, frame)
            self.write("): ")
            self.visit(item.value, frame)
            self.write(", ")
        self.write("}")

    def visit_Compare(self, node: nodes.Compare, frame: Frame) -> None:
        """Write a comparison of values that are charged for."""
        self.write("(kling_light(")
        self.visit(node.expr, frame)
        self.write(")")
        for operand in node.ops:
            self.visit(operand, frame)
        self.write(")")

    def visit_Operand(self, node: nodes.Operand, frame: Frame) -> None:
        """Write one further value of a comparison."""
        self.write(f" {COMPARISONS[node.op]} kling_light(")
        self.visit(node.expr, frame)
        self.write(")")

    def visit_Getitem(self, node: nodes.Getitem, frame: Frame) -> None:
        """Write a look-up, or a part of a list or text."""
        if not isinstance(node.arg, nodes.Slice):
            super().visit_Getitem(node, frame)
            return
        self.write("environment.cut(")
        self.visit(node.node, frame)
        for bound in (node.arg.start, node.arg.stop, node.arg.step):
            self.write(", ")
            if bound is None:
                self.write("None")
            else:
                self.visit(bound, frame)
        self.write(")")

    def visit_Filter(self, node: nodes.Filter, frame: Frame) -> None:
        """Write a filter that exists."""
        if node.name in FORBIDDEN_FILTERS:
            raise placed("template-forbidden", FORBIDDEN_FILTERS[node.name], node, word=node.name)
        if node.name not in self.environment.filters:
            raise at_node(unknown_filter("filter", node.name, self.environment.filters), node)
        super().visit_Filter(node, frame)

    def visit_Test(self, node: nodes.Test, frame: Frame) -> None:
        """Write a test that exists."""
        if node.name not in self.environment.tests:
            raise at_node(unknown_filter("test", node.name, self.environment.tests), node)
        super().visit_Test(node, frame)


COMPARISONS = {
    "eq": "==",
    "ne": "!=",
    "gt": ">",
    "gteq": ">=",
    "lt": "<",
    "lteq": "<=",
    "in": "in",
    "notin": "not in",
}


def placed(slug: str, message: str, node: nodes.Node, *, word: str = "") -> Refusal:
    """Build a refusal of a node."""
    return at_node(Refusal(slug, message, word=word), node)


def at_node(refusal: Refusal, node: nodes.Node) -> Refusal:
    """Place a refusal at a node, by its offset."""
    refusal.offset = node.lineno
    return refusal


def target_names(target: nodes.Node) -> tuple[str, ...]:
    """Return the names that a loop sets, in the order of its values; one name for all where they lie deeper."""
    if isinstance(target, nodes.Name):
        return (target.name,)
    names = [item.name for item in getattr(target, "items", ()) if isinstance(item, nodes.Name)]
    if len(names) == len(getattr(target, "items", ())):
        return tuple(names)
    return ("its values",)
