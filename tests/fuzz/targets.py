"""The doors through which a stranger's bytes come in: what is called with them, and what must hold afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import os
import re
import sys
import tempfile
from collections.abc import Callable, Hashable, Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

from answering import Answering
from helpers import FILM, MemoryWorld

from fuzz.judging import Broken, judge, judge_shown
from kling_dsl.compiler import Compilation, Options, compile_film
from kling_dsl.sheets import Profiles, load_sheet

SEPARATOR = re.compile(r"(?m)^%%% ([^\n]{1,80})\n")
"""A line `%%% name` begins a further file of an input that is a whole project; the film comes first."""

MOST_EXPANDED = 1 << 20
SECRET = "a-secret-outside-of-the-project"
MOST_WORK = 40_000_000


class Target(NamedTuple):
    """A door: `run` is called with bytes and returns what is new of an answer that is unlike others, or raises."""

    name: str
    run: Callable[[bytes], Hashable]
    words: tuple[bytes, ...]
    seconds: float = 2.0
    """The processor time that an input of the largest size may take."""


def files_of(data: bytes) -> dict[str, str]:
    """Return the files of a project that an input writes down; the film has no name of its own."""
    text = data.decode("utf-8", "replace")
    parts = SEPARATOR.split(text)
    return {**dict(zip(parts[1::2], parts[2::2], strict=True)), FILM: parts[0]}


def _compile(files: Mapping[str, str], world: Any = None) -> Compilation:
    from kling_dsl.project.settings import read_settings

    sheets = {path: text for path, text in files.items() if re.fullmatch(r"models/[^/]+\.toml", path)}
    settings, _ = read_settings(files.get("kling.toml", ""), "kling.toml")
    options = Options(lints=settings.lints, words_per_second=settings.speech.words_per_second)
    return compile_film(FILM, world or MemoryWorld(files), options, profiles=Profiles.of(sheets))


def run_film(data: bytes) -> Hashable:
    """Compile a film with its imports, tables, sheets and settings, and show everything that can be shown of it."""
    files = files_of(data)
    compilation = _compile(files)
    found = judge(compilation.diagnostics, files)
    if len(compilation.expanded) > MOST_EXPANDED + len(data):
        raise Broken(f"{len(data)} bytes became {len(compilation.expanded)} characters")
    if compilation.failed:
        return found
    _show(compilation)
    shapes = {(item.built.request.multi, item.built.request.model) for item in compilation.items}
    return (found, len(compilation.items), frozenset(shapes))


def _show(compilation: Compilation) -> None:
    from kling_dsl import exporters
    from kling_dsl.lock import Lock
    from kling_dsl.reports.plan import make_plan
    from kling_dsl.reports.plan_json import render_plan_json
    from kling_dsl.reports.plan_pages import render_plan_html, render_plan_markdown
    from kling_dsl.reports.requests import render_requests
    from kling_dsl.standing import Records, Standings

    calls, title = compilation.calls, compilation.title
    judge_shown(render_requests(calls, film=title, file=compilation.file).decode("utf-8"), "the requests")
    for program in (exporters.curl_program, exporters.python_program, exporters.javascript_program):
        judge_shown(program(calls, film=title), program.__name__)
    standings = Standings(compilation).all(Records(Lock(), lambda _: (), lambda _: False))
    plan = make_plan(compilation, standings, today=date(2027, 1, 1), drafts=())
    judge_shown(render_plan_json(plan).decode("utf-8"), "the plan in JSON")
    judge_shown(render_plan_html(plan), "the plan as a page")
    judge_shown(render_plan_markdown(plan), "the plan in Markdown")
    if plan.film_usd != compilation.total_usd or not plan.film_usd.is_finite() or plan.film_usd < 0:
        raise Broken(f"the plan says {plan.film_usd} and the compilation {compilation.total_usd}")


def run_template(data: bytes) -> Hashable:
    """Expand a template under small limits: what comes out is bounded, and each of its lines has a place."""
    from kling_dsl import templates
    from kling_dsl.source import Span
    from kling_dsl.templates.budget import Limits

    files = files_of(data)
    values = {"city": "Oslo", "n": 3, "price": Decimal("1.50"), "rows": [{"name": "a", "size": 1}, {"name": "b"}]}
    limits = Limits(max_characters=200_000, max_steps=20_000, max_seconds=1.0)
    asked: list[str] = []

    def read(path: str) -> str | None:
        asked.append(path)
        return files.get(path)

    expansion = templates.expand(files[FILM], file=FILM, values=values, read=read, limits=limits)
    for path in asked:
        if path.startswith("/") or ".." in path.split("/") or "\\" in path or "\0" in path:
            raise Broken(f"a template asked for {path!r}")
    found = judge(expansion.diagnostics, files)
    if len(expansion.text) > limits.max_characters:
        raise Broken(f"the text has {len(expansion.text)} characters")
    for number, row in enumerate(expansion.text.split("\n")[:200], 1):
        span, notes = expansion.source_map.locate(Span(FILM, number, 1, number, max(2, len(row))))
        placed = [span, *(note.span for note in notes if note.span is not None)]
        for place in placed:
            if place.file not in files:
                raise Broken(f"line {number} comes from {place.file!r}, which was never read")
    return (found, len(expansion.files), bool(expansion.text))


def run_sheet(data: bytes) -> Hashable:
    """Read a model sheet; one without mistakes is shown, exported, and a film is compiled for it."""
    text = data.decode("utf-8", "replace")
    file = "models/own.toml"
    profile, diagnostics = load_sheet(text, file=file)
    found = judge(diagnostics, {file: text})
    if (profile is None) != bool(diagnostics):
        raise Broken("a sheet has mistakes and a profile, or neither")
    if profile is None:
        return (found, frozenset(re.sub(r"[\d'\"].*", "", d.message)[:60] for d in diagnostics[:3]))
    from kling_dsl.sheets.schema import json_schema

    schema = json_schema(profile)
    _validator(schema)
    film = f"Model: {profile.name}\n\nSHOT door 5s wide\nRain on a storm door.\n"
    texts = {FILM: film, f"models/{profile.name}.toml": text}
    compilation = compile_film(
        FILM, MemoryWorld(texts), Options(), profiles=Profiles.of({f"m/{profile.name}.toml": text})
    )
    return (judge(compilation.diagnostics, texts), compilation.failed)


def _validator(schema: dict[str, Any]) -> None:
    import jsonschema_rs

    jsonschema_rs.Draft202012Validator(schema)


def run_settings(data: bytes) -> Hashable:
    """Read a settings file."""
    from kling_dsl.project.settings import find_unknown_lints, read_settings

    text = data.decode("utf-8", "replace")
    settings, diagnostics = read_settings(text, "kling.toml")
    unknown = find_unknown_lints(settings, ("unused-reference",), text=text, file="kling.toml")
    found = judge((*diagnostics, *unknown), {"kling.toml": text})
    out = settings.paths.out
    if out.startswith("/") or ".." in out.split("/"):
        raise Broken(f"the folder for results is {out!r}")
    for usd in (settings.limits.per_run_usd, settings.limits.per_day_usd, settings.limits.total_usd):
        if usd is not None and not (usd.is_finite() and usd >= 0):
            raise Broken(f"a limit is {usd}")
    return (found, frozenset(re.sub(r"[\d'\"].*", "", d.message)[:60] for d in diagnostics[:3]))


def run_lock(data: bytes) -> Hashable:
    """Read a lock, ask it everything, and explain each of its problems; its order of lines means nothing."""
    from kling_dsl.lock import LockError, parse_lock
    from kling_dsl.reports.lock_lines import explain_line

    try:
        lock = parse_lock(data, where="film.kling.lock")
    except LockError as refused:
        judge_shown(str(refused), "what is wrong with a lock")
        return str(refused)
    lines = data.split(b"\n")
    for problem in lock.problems:
        if not 1 <= problem.line <= len(lines):
            raise Broken(f"a lock of {len(lines)} lines has a problem in line {problem.line}")
        told = explain_line(problem, lock, lines[problem.line - 1])
        judge_shown(told.what + told.todo, "the explanation of a line")
    numbers = [(take.fingerprint, take.take) for take in lock.takes]
    if len(set(numbers)) != len(numbers):
        raise Broken("two takes of a request have one number")
    for fingerprint in {take.fingerprint for take in lock.takes} | {one.fingerprint for one in lock.acceptances}:
        chosen = lock.chosen(fingerprint)
        if chosen is not None and chosen not in lock.of(fingerprint):
            raise Broken("a request's chosen take is none of its takes")
        lock.acceptance(fingerprint)
    turned = parse_lock(b"\n".join(reversed(lines)), where="film.kling.lock")
    if (turned.takes, turned.picks, turned.acceptances) != (lock.takes, lock.picks, lock.acceptances):
        raise Broken("a lock says something else when its lines stand in another order")
    return (frozenset(re.sub(r"[\d'\"].*", "", problem.message) for problem in lock.problems), len(lock.takes) > 0)


@cache
def _small_film() -> tuple[Compilation, tuple[Any, ...]]:
    from kling_dsl.lock import Lock
    from kling_dsl.standing import Records, Standings

    film = "Budget: $20\n\nPROP Lamp\n  image: refs/lamp.png\n\nSHOT door 5s\nA @Lamp.\n\nSHOT sea 4s\n  start: end of door\nSea.\n"
    compilation = _compile({FILM: film})
    assert not compilation.failed
    return compilation, Standings(compilation).all(Records(Lock(), lambda _: (), lambda _: False))


@cache
def small_plan() -> bytes:
    """Return the saved plan of a small film, as a corpus begins with."""
    from kling_dsl.reports.plan import make_plan
    from kling_dsl.reports.plan_json import render_plan_json
    from kling_dsl.reports.saved_plan import basis_of

    compilation, standings = _small_film()
    plan = make_plan(compilation, standings, today=date(2027, 1, 1), drafts=())
    return render_plan_json(plan, basis_of(compilation, standings, options={"model": None, "values": [], "data": []}))


def run_plan(data: bytes) -> Hashable:
    """Read a saved plan, and say what has moved since."""
    from kling_dsl.reports.escaping import visible
    from kling_dsl.reports.saved_plan import NotAPlan, moved, read_saved_plan

    try:
        saved = read_saved_plan(data)
    except NotAPlan as problem:
        judge_shown(visible(str(problem)), "what is wrong with a plan")
        return re.sub(r"[\d'\"`$].*", "", str(problem))[:80]
    told = moved(saved, *_small_film())
    for words in told:
        judge_shown(visible(words), "what has moved")
    return frozenset(words.partition(":")[0] for words in told)


def run_media(data: bytes) -> Hashable:
    """Measure a picture or video from its headers."""
    from kling_dsl.project.media import describe_media

    media = describe_media(io.BytesIO(data), limit=1 << 30)
    if media is None or media.bytes != len(data) or media.sha256 != hashlib.sha256(data).hexdigest():
        raise Broken("the size or the digest is not that of the content")
    if media.width < 0 or media.height < 0 or (media.seconds is not None and not 0 < media.seconds < float("inf")):
        raise Broken(f"a file of {media.width} by {media.height} pixels and {media.seconds} seconds")
    if media.frames_per_second is not None and not 0 < media.frames_per_second < float("inf"):
        raise Broken(f"{media.frames_per_second} frames a second")
    from kling_dsl.reports.escaping import visible

    judge_shown(visible(media.problem), "what is wrong with a file")
    if media.kind and not media.kind.isalnum():
        raise Broken(f"the kind is {media.kind!r}")
    return (media.kind, bool(media.width), media.seconds is None, re.sub(r"\d+", "", media.problem)[:60])


def run_clip(data: bytes) -> Hashable:
    """Decode a paid clip's first and last pictures, as they are before a clip is taken into the store."""
    from kling_dsl.footage import Unusable, measure

    path = _scratch() / "clip.mp4"
    path.write_bytes(data)
    footage = measure(path)
    if isinstance(footage, Unusable):
        return re.sub(r"\d+", "", footage.reason)[:60]
    if footage.bytes != len(data) or footage.width <= 0 or footage.height <= 0 or footage.frames_per_second < 0:
        raise Broken(f"the clip measures {footage}")
    return (footage.container, footage.has_audio)


@cache
def _scratch() -> Path:
    return Path(tempfile.mkdtemp(prefix="kling-fuzz-"))


KEY = "fuzz-id:fuzz-secret-0123456789"


def run_answer(data: bytes) -> Hashable:
    """Read what a provider answers, good or bad, at a job's result and in the history."""
    import httpx

    from kling_dsl.render import failures, jobs, reconcile
    from kling_dsl.render.account import Account
    from kling_dsl.render.problems import RenderProblem
    from kling_dsl.reports.escaping import visible

    failures.hide(KEY)
    details = failures.read_details(data)
    told = [failures.told_refusal(status, data) for status in (401, 403, 422, 429)]
    for status in (404, 422, 500, 503):
        failed = failures.failed_result(status, data)
        if failed.billed != ("no" if status >= 500 else "maybe"):
            raise Broken(f"a {status} is billed: {failed.billed}")
        told.append(failed.reason)
    text = data.decode("utf-8", "replace")
    told += [failures.failed_job(text, details.kind).reason, details.place, details.words]
    for words in told:
        judge_shown(visible(words), "the provider's words")
        if len(words) > 4 * failures.MAX_WORDS:
            raise Broken(f"the provider's words have {len(words)} characters: {words[:200]!r}")
        if KEY.partition(":")[2] in words:
            raise Broken("the provider's words show the key")
    units = jobs._units(text)
    if units is not None and len(format(units, "f")) > 3 * jobs.MAX_UNIT_DIGITS:
        raise Broken(f"{text[:40]!r} units are billed")
    video = jobs.video_of(data)
    if video is not None:
        Account("Key x:y", "queue.fal.run", "x:y").may_show_key(video.url)
    try:
        history = reconcile._page_of(httpx.Response(200, content=data))
        ordered = sorted(history.items, key=lambda past: past.moment)
        inputs = [reconcile._input(past) for past in ordered if past.moment > datetime(2026, 1, 1, tzinfo=UTC)]
    except RenderProblem as problem:
        judge_shown(visible(str(problem)), "what is wrong with the history")
        inputs = []
    return (details.kind[:20], bool(details.place), video is None, len(inputs))


class _Noted:
    """Stands where a ledger does, and notes the one state that a purchase came to."""

    def __init__(self) -> None:
        self.states: list[str] = []

    def reserve(self, *_: Any, **__: Any) -> object:
        self.states.append("intent")
        return object()

    def together(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_, **__: self.states.append(name)


def run_bought(data: bytes) -> Hashable:
    """Read the answer to a purchase: whatever it is, the take never stays an intent, and nobody is told it failed."""
    from kling_dsl.render.account import Account
    from kling_dsl.render.clock import Clock
    from kling_dsl.render.spending import spend

    ledger: Any = _Noted()
    line: Any = Answering(data)
    order: Any = SimpleNamespace(key="k", endpoint="a/b", request=b"{}", clip="c")
    account = Account("Key x:y", "queue.fal.run", "x:y")
    try:
        bought = spend(order, (), ledger=ledger, account=account, line=line, clock=Clock())
        came_to = type(asyncio.run(bought)).__name__
    except Exception as problem:
        raise Broken(f"a purchase raised {type(problem).__name__} in {ledger.states}") from problem
    if ledger.states not in (["intent", "submitted"], ["intent", "uncertain"]):
        raise Broken(f"a take that may be bought went through {ledger.states}")
    return came_to


def run_data(data: bytes) -> Hashable:
    """Read a table; the first line of the input is the ending of its name."""
    from kling_dsl.templates.data import parse_data

    ending, _, text = data.decode("utf-8", "replace").partition("\n")
    path = f"rows.{ending[:10]}"
    value, diagnostics = parse_data(text, path=path)
    found = judge(diagnostics, {path: text})
    if (value is None) != bool(diagnostics) and text.strip() != "null":
        raise Broken(f"a table is {type(value).__name__} with {len(diagnostics)} diagnostics")
    return (
        ending[:6],
        found,
        type(value).__name__,
        frozenset(re.sub(r"[\d'\"].*", "", d.message)[:50] for d in diagnostics[:2]),
    )


def run_pointer(data: bytes) -> Hashable:
    """Read what git gives: a pointer of LFS, and a listing of a tree."""
    from kling_dsl.history.git import _entries
    from kling_dsl.history.world import read_pointer

    media = read_pointer(data, "refs/a.png")
    if media is not None and (len(media.sha256) != 64 or media.bytes < 0):
        raise Broken(f"a pointer says {media}")
    listing = b"100644 blob " + b"0" * 40 + b"\t" + data.replace(b"\0", b"") + b"\0"
    return (media is None, len(_entries(listing, 0)))


def run_disk(data: bytes) -> Hashable:
    """Compile a film from a folder with ways out of it, and see that nothing outside is opened or shown."""
    root = _trap()
    files = {FILM: data.decode("utf-8", "replace")}
    (root / FILM).write_text(files[FILM], encoding="utf-8", newline="")
    from kling_dsl.project import find_project

    with _opened() as opened:
        project = find_project(root / FILM)
        compilation = compile_film(FILM, project.world(), Options(), profiles=Profiles.of(project.sheets()))
    inside = f"{root}{os.sep}"
    strangers = [path for path in opened if path.startswith(str(root.parent)) and not path.startswith(inside)]
    if strangers:
        raise Broken(f"a file outside was opened: {strangers[0]!r}")
    told = (
        compilation.expanded + repr(compilation.diagnostics) + repr([item.built.request for item in compilation.items])
    )
    if SECRET in told:
        raise Broken("what stands in a file outside is shown")
    within = {path: (root / path).read_text(encoding="utf-8") for path in ("cast.kling", "rows.csv")}
    return judge(compilation.diagnostics, {**files, **within})


@cache
def _trap() -> Path:
    """Make a folder in which everything that leads out of it, leads to a secret."""
    root = _scratch() / "trap" / "project"
    root.mkdir(parents=True)
    outside = root.parent
    (outside / "outside.kling").write_text(f"PROP Secret\n{SECRET}\n")
    (outside / "outside.csv").write_text(f"name\n{SECRET}\n")
    (outside / "folder").mkdir()
    (outside / "folder" / "secret.kling").write_text(f"PROP Secret\n{SECRET}\n")
    (root / "kling.toml").write_text("")
    (root / "cast.kling").write_text("PROP Lamp\nA lamp.\n")
    (root / "rows.csv").write_text("name\na\n")
    (root / ".env").write_text(SECRET)
    (root / ".git").mkdir()
    (root / ".git" / "config").write_text(SECRET)
    (root / "link.kling").symlink_to("../outside.kling")
    (root / "link.csv").symlink_to("../outside.csv")
    (root / "links").symlink_to("../folder")
    (root / "home").symlink_to("/")
    return root


_WATCHED: list[list[str]] = []


def _note_open(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and _WATCHED and isinstance(arguments[0], str):
        _WATCHED[-1].append(os.path.realpath(arguments[0]))


@cache
def _watch() -> None:
    # An audit hook stays for the life of the process; it is set once, when the first disk is watched.
    sys.addaudithook(_note_open)


@contextlib.contextmanager
def _opened() -> Iterator[list[str]]:
    _watch()
    opened: list[str] = []
    _WATCHED.append(opened)
    try:
        yield opened
    finally:
        _WATCHED.pop()


def _words(text: str) -> tuple[bytes, ...]:
    return tuple(word.encode() for word in text.split("|"))


_FILM_WORDS = _words(
    "SHOT a 5s wide\n|SHOT b 3s\n|CLIP g 9s\n|END CLIP\n|CHARACTER Mira\n|PROP Lamp\n|STYLE Ink\n|PLACE 海\n|INT. ROOM - DAY\n|"
    ".SPACE\n|import cast.kling\n|import ../x.kling\n|EXPECT total <= $3\n|  front: refs/a.png\n|  angles: refs/b.png, refs/c.png\n|"
    "  image: refs/c.png\n|  video: refs/d.mp4\n|  voice: v1\n|  start: end of a\n|  end: refs/e.png\n|  look: @Ink\n|  with: @Ink, @Mira\n|"
    "  takes: 3\n|  model: o3-pro\n|  negative: cars\n|  aspect: 9:16\n|  type: intelligent\n|Title: x\n|Look: y\n|Model: v3-pro-text\n|"
    "Budget: $5\n|Duration: 4s\n|Takes: 2\n|Headings: off\n|Audio: on\n|Param p: 1\n|Data rows: rows.csv\n|MIRA (low): Hello.\n|MIRA: |"
    "@Mira |@@|@Element1|<<<voice_1>>>|[[|]]|# |!|\\#|\\[[|{{ p }}|{% for r in rows %}|{% endfor %}|{{ r.name }}|{# x #}|5s|5.5s|$|"
    "%%% cast.kling\n|%%% rows.csv\n|%%% kling.toml\n|%%% models/own.toml\n|{% include 'cast.kling' %}|(word:1.3)|CUT TO:|https://x/y.png"
)
_TEMPLATE_WORDS = _words(
    "{{ |}}|{% |%}|{# |#}|for x in rows|endfor|if n|elif|else|endif|set a = |endset|macro m(a, b=1)|endmacro|{{ m(1) }}|include 'a.kling'|"
    "extends 'a.kling'|import 'a.kling' as q|block b|endblock|filter upper|endfilter|call m()|endcall|raw|endraw|with a=1|endwith|loop.index|"
    "loop.cycle('a','b')|range(9)|range(10**6)|rows|city|price|n|self|super()|caller()|namespace()|joiner(',')|cycler(1,2)|dict(a=1)|lipsum()|"
    "|upper|join(',')|sort|groupby('name')|batch(2)|slice(2)|map(attribute='name')|select|reject('odd')|tojson|format(1)|replace('a','b')|"
    " * 999| ** 99| ~ | // | % | - |-%}|{%-|.__class__|['__init__']|[::-1]|is defined|is divisibleby 0|recursive|loop(rows)|not in|"
    "'a'|1e9|[1,2]|{'a': 1}|(1,)|\n# |\n## |line|center(99)|wordwrap(1)|indent|truncate(3)|xmlattr|urlize|random|sum|round|int|float|list"
)
_TOML_WORDS = _words(
    'name = "own"|title = "x"|endpoint = "a/b"|[fields.prompt]|[[rules]]|[[prices]]|[roles]|[output]|[media.image]|type = "string"|= 1|= "x"|'
    '= [1, 2]|= {a = 1}|= true|= 1979-05-27|= 1e999|= nan|= inf|= -0|"""|\'\'\'|max_characters = 5|[lints]|[limits]|per_run_usd = "$5"|'
    '[paths]|[speech]|words_per_second = 2.4|[models]|[render]|concurrency = 3|a.b.c = 1|"a b" = 1|# c|0x1F|1_000|\\u0000|\\U00110000'
)
_JSON_WORDS = _words(
    '"kind":"take"|"kind":"pick"|"kind":"accept"|"at":"2026-01-01T00:00:00Z"|"clip":"door"|"cost_usd":"2.10"|"cost_usd":"1E-9"|"take":1|"take":2|'
    '"seconds":5|"detail":|"loc":["body","prompt"]|"msg":"x"|"type":"content_policy_violation"|"error_type":"request_timeout"|"error":"x"|'
    '"video":{"url":"https://v3.fal.media/x.mp4","file_size":1}|"request_id":"r"|"status_url":"https://queue.fal.run/x"|"items":[|"sent_at":"2026-01-01T00:00:00"|'
    '"sent_at":"2026-01-01T00:00:00Z"|"json_input":"{}"|"next_cursor":"1"|"has_more":true|"saved":|"format":1|"clips":[]|null|1e999|{}|[]|,|:|}|]|'
    '<<<<<<< ours|=======|>>>>>>> theirs|fuzz-secret-0123456789|\\ud83d|\\u001b[31m|csv\n|json\n|jsonl\n|toml\n|"a""b"|a,b,c\n'
)
_BOX_WORDS = (
    *(
        b"\0\0\0\x18ftyp",
        b"isom",
        b"moov",
        b"trak",
        b"tkhd",
        b"mdia",
        b"hdlr",
        b"vide",
        b"meta",
        b"iprp",
        b"ipco",
        b"ipma",
    ),
    *(
        b"ispe",
        b"irot",
        b"pitm",
        b"idat",
        b"mdat",
        b"stsz",
        b"trun",
        b"cmov",
        b"IHDR",
        b"IDAT",
        b"IEND",
        b"eXIf",
        b"RIFF",
    ),
    *(
        b"WEBP",
        b"VP8X",
        b"VP8L",
        b"VP8 ",
        b"ANMF",
        b"EXIF",
        b"\xff\xd8",
        b"\xff\xda",
        b"\xff\xc0\0\x11\x08",
        b"\xff\xe1",
    ),
    *(b"Exif\0\0MM\0*", b"GIF89a", b"!\xf9\x04", b",\0\0\0\0", b"\x1aE\xdf\xa3", b"BM", b"\0\0\0\0", b"\0\0\0\x01"),
)

TARGETS = {
    target.name: target
    for target in (
        Target("film", run_film, _FILM_WORDS, seconds=4.0),
        Target("template", run_template, _TEMPLATE_WORDS, seconds=4.0),
        Target(
            "disk",
            run_disk,
            _words(
                "import |../outside.kling|link.kling|links/secret.kling|/etc/passwd|.env|.git/config|home/etc/passwd\n|"
                "Data rows: |../outside.csv|link.csv|  image: |{% include '|' %}|{% include '../outside.kling' %}|{{ rows }}|SHOT a 5s\n|PROP Lamp\n|"
                "./|x/../../|//|\\|%2e%2e/|~/|file:///|\0|cast.kling|rows.csv"
            ),
            seconds=4.0,
        ),
        Target("sheet", run_sheet, _TOML_WORDS, seconds=4.0),
        Target("settings", run_settings, _TOML_WORDS),
        Target("lock", run_lock, _JSON_WORDS),
        Target("plan", run_plan, _JSON_WORDS),
        Target("data", run_data, (*_JSON_WORDS, *_TOML_WORDS)),
        Target("media", run_media, _BOX_WORDS),
        Target("clip", run_clip, _BOX_WORDS, seconds=8.0),
        Target("answer", run_answer, _JSON_WORDS),
        Target("bought", run_bought, _JSON_WORDS),
        Target("pointer", run_pointer, _words("version https://git-lfs.github.com/spec/v1\n|oid sha256:|size |0|a")),
    )
}
"""Every door by its name."""
