"""The rooms stay where ARCHITECTURE.md says they are, and what it says is absent is absent."""

from __future__ import annotations

import ast
import shutil
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import grimp
import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "kling_dsl"

OUTSIDE = {
    "PIL": {"footage", "harness.stand_ins", "sandbox.drawing"},
    "aiohttp": {"render"},
    "av": {"footage", "project.videos", "sandbox.encoding"},
    "click": {"cli", "pytest_plugin.shell"},
    "fal_client": {"render"},
    "filelock": {"ledger.leases", "lock"},
    "httpx": {"render"},
    "jinja2": {"templates"},
    "jsonschema_rs": {"sandbox.validation"},
    "lark": {"parser"},
    "platformdirs": {"saved"},
    "pytest": {"pytest_plugin"},
    "rich": {"reports.progress"},
    "stamina": {"render"},
    "starlette": {"sandbox.web"},
    "trustme": {"sandbox.certificate"},
    "uvicorn": {"sandbox.server"},
    "yarl": {"render.network"},
}
"""The doors of each outside package. msgspec, which makes every value, is at home everywhere."""

PUBLISHED = {
    "PIL": "pillow",
    "fal_client": "fal-client",
    "jsonschema_rs": "jsonschema-rs",
}
"""The names of packages that are published under another one than they are imported by."""

PURE = (
    *("blocks", "calls", "checks", "compiler", "costs", "diagnostics", "emitter", "ir", "lowering", "money", "nodes"),
    *("parser", "patterns", "profiles", "slips", "source", "spelling", "statements", "templates", "vocabulary"),
    "world",
)
"""The passes and what they pass on: they open no file and read no clock and no environment."""

IMPURE_MODULES = frozenset(
    (
        *("asyncio", "getpass", "glob", "locale", "multiprocessing", "os", "pathlib", "platform", "random", "secrets"),
        *("shutil", "signal", "subprocess", "tempfile", "threading", "time", "uuid"),
    )
)
IMPURE_NAMES = frozenset(("environ", "getenv", "now", "open", "read_bytes", "read_text", "stat", "today", "utcnow"))
ALLOWED = {
    ("parser", "read_text"): "the grammar, which ships with the program",
    ("compiler.loading", "read_text"): "asks the World",
    ("templates.budget", "time"): "stops a template that runs for ever",
}
"""What of the impure a pure module does, and why it may."""

NETWORK = frozenset(("aiohttp", "fal_client", "ftplib", "http", "httpx", "requests", "smtplib", "socket", "ssl"))

LONG: dict[str, str] = {}
"""Files over 400 lines, each with its reason."""

COINCIDENCES = {0.5, 300, 512}
"""Numbers of the sheets that stand in the code and mean something else there: half a second, a text's length, bytes to look at."""


@cache
def modules() -> dict[str, ast.Module]:
    """Return every module of the package by its name below `kling_dsl`."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix("__init__").rstrip(".")
        found[name] = ast.parse(path.read_text(encoding="utf-8"))
    return found


@cache
def nodes() -> dict[str, tuple[ast.AST, ...]]:
    """Return every node of every module: to walk them takes most of the time of these tests."""
    return {name: tuple(ast.walk(module)) for name, module in modules().items()}


@cache
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("kling_dsl", include_external_packages=True, cache_dir=None)


def room(module: str) -> str:
    return module.partition(".")[0]


def lint_imports(folder: Path) -> tuple[int, str]:
    words = (sys.executable, "-c", "import importlinter.cli as cli; cli.lint_imports_command()", "--no-cache")
    done = subprocess.run(words, cwd=folder, capture_output=True, encoding="utf-8", check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(PACKAGE, tmp_path / "kling_dsl", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_every_module_stands_on_its_floor() -> None:
    code, report = lint_imports(ROOT)
    assert code == 0, report


@pytest.mark.parametrize(
    ("module", "line", "complaint"),
    [
        ("source", "import kling_dsl.compiler", "kling_dsl.source is not allowed to import kling_dsl.compiler"),
        ("emitter", "import kling_dsl.costs", "kling_dsl.emitter is not allowed to import kling_dsl.costs"),
        ("annex", "", "kling_dsl.annex"),
    ],
    ids=["upwards", "sideways", "without-a-floor"],
)
def test_the_contract_notices_an_import(copy: Path, module: str, line: str, complaint: str) -> None:
    path = copy / "kling_dsl" / f"{module}.py"
    before = path.read_text(encoding="utf-8") if path.exists() else '"""Stands nowhere."""\n'
    path.write_text(f"{before}\n{line}\n", encoding="utf-8")
    code, report = lint_imports(copy)
    assert code == 1
    assert complaint in " ".join(report.split())


def test_each_outside_package_enters_through_one_door() -> None:
    doors: dict[str, set[str]] = {}
    for name in graph().modules - {"kling_dsl"}:
        if name.startswith("kling_dsl.") or name in sys.stdlib_module_names or name in ("msgspec", "_typeshed"):
            continue
        importers = {
            importer.removeprefix("kling_dsl.") for importer in graph().find_modules_that_directly_import(name)
        }
        allowed = OUTSIDE.get(name, set())
        doors[name] = {
            next((door for door in allowed if importer == door or importer.startswith(f"{door}.")), importer)
            for importer in importers
        }
    assert doors == OUTSIDE


def test_each_dependency_is_used() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    core = {line.partition(">")[0] for line in project["dependencies"]}
    # Nothing but pytest loads pytest's plugin.
    used = {PUBLISHED.get(name, name) for name in OUTSIDE if name != "pytest"}
    optional = project["optional-dependencies"]
    extras = {line.partition(">")[0] for line in (*optional["media"], *optional["serve"])}
    assert core == (used - extras) | {"msgspec"}
    # What serves pages that reload themselves comes with the preview.
    assert extras - used == {"watchfiles"}


def test_only_rendering_and_the_sandbox_know_a_network() -> None:
    found = {
        room(importer.removeprefix("kling_dsl."))
        for name in NETWORK & graph().modules
        for importer in graph().find_modules_that_directly_import(name)
    }
    assert found == {"render", "sandbox"}
    # Of urllib only the part that takes an address apart: nothing opens one.
    froms = {node.module for each in nodes().values() for node in each if isinstance(node, ast.ImportFrom)}
    assert {name for name in froms if name and name.startswith("urllib")} <= {"urllib.parse"}


def test_one_place_posts_to_the_provider() -> None:
    posts = {
        name
        for name, each in nodes().items()
        for node in each
        if room(name) == "render"
        and (
            (isinstance(node, ast.Attribute) and node.attr in ("post", "submit", "subscribe", "run_async"))
            or (isinstance(node, ast.Constant) and node.value == "POST")
        )
    }
    assert posts == {"render.spending"}
    spenders = {
        importer.removeprefix("kling_dsl.")
        for importer in graph().find_modules_that_directly_import("kling_dsl.render.spending")
    }
    assert spenders == {"render.takes"}


def test_no_test_can_leave_this_machine() -> None:
    with pytest.raises(PermissionError, match="tests stay on this machine"):
        socket.getaddrinfo("example.com", 443)
    with socket.socket() as plug, pytest.raises(PermissionError, match=r"192\.0\.2\.1"):
        plug.connect(("192.0.2.1", 443))


def impurities(found: Iterable[ast.AST]) -> Iterator[str]:
    for node in found:
        if isinstance(node, ast.Import):
            yield from (room(alias.name) for alias in node.names if room(alias.name) in IMPURE_MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from {room(node.module)} & IMPURE_MODULES
        elif isinstance(node, ast.Attribute) and node.attr in IMPURE_NAMES:
            yield node.attr
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("open", "input"):
            yield node.func.id


def test_passes_open_no_file_and_read_no_clock_and_no_environment() -> None:
    found = {(name, what) for name, each in nodes().items() if room(name) in PURE for what in impurities(each)}
    assert found == set(ALLOWED)


def test_the_search_for_impurities_finds_them() -> None:
    text = "import os\nfrom time import time\nopen('x')\ndate.today()\nPath('x').read_text()\nos.environ['X']"
    assert sorted(impurities(ast.walk(ast.parse(text)))) == ["environ", "open", "os", "read_text", "time", "today"]


def numbers(value: Any) -> Iterator[float]:
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from numbers(each)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield value


def constants(of: type | tuple[type, ...]) -> Iterator[tuple[str, Any]]:
    for name, each in nodes().items():
        for node in each:
            if isinstance(node, ast.Constant) and isinstance(node.value, of) and not isinstance(node.value, bool):
                yield name, node.value


def test_no_limit_and_no_price_of_a_sheet_stands_in_the_code() -> None:
    sheets = [tomllib.loads(path.read_text(encoding="utf-8")) for path in (ROOT / "specs" / "models").glob("*.toml")]
    telling = {number for number in numbers(sheets) if number >= 100 or not float(number).is_integer()}
    assert {2500, 0.42} <= telling
    written = {value for _, value in constants((int, float))}
    assert written & telling == COINCIDENCES & written
    amounts = {str(number) for number in telling if isinstance(number, float)}
    assert {value for _, value in constants(str)} & amounts <= {"0.5"}


def test_no_endpoint_stands_in_the_code() -> None:
    sheets = [tomllib.loads(path.read_text(encoding="utf-8")) for path in (ROOT / "specs" / "models").glob("*.toml")]
    endpoints = {sheet["endpoint"] for sheet in sheets}
    assert len(endpoints) == len(sheets)
    assert [(name, value) for name, value in constants(str) if any(endpoint in value for endpoint in endpoints)] == []


def test_files_and_functions_stay_short() -> None:
    long_files, long_functions = set(), []
    for name, each in nodes().items():
        path = PACKAGE.joinpath(*name.split("."))
        text = (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text(encoding="utf-8")
        if text.count("\n") > 400:
            long_files.add(name)
        for node in each:
            if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno >= 60:
                long_functions.append(f"{name}.{node.name}")
    assert long_files == set(LONG)
    assert long_functions == []


def test_every_module_says_in_one_sentence_what_it_does() -> None:
    for name, module in modules().items():
        first = (ast.get_docstring(module) or "").partition("\n\n")[0]
        assert first.endswith("."), name
        assert len(first) <= 200, name


def test_no_heavy_package_is_imported_with_its_module() -> None:
    heavy = {"av", "difflib", "jinja2", "rich", "tomllib"}
    found = set()
    for name, module in modules().items():
        for node in module.body:
            if isinstance(node, ast.Import):
                found |= {(name, room(alias.name)) for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add((name, room(node.module)))
    # The room of templates is entered only for a film that has one, and the sandbox is one whole.
    allowed = {("templates", "jinja2"), ("sandbox", "av")}
    assert {(room(name), package) for name, package in found if package in heavy} == allowed
