"""Drawn requests put to the program: as the text of a film, as what its checks read, and as what a server is sent."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from helpers import FILM, MemoryWorld
from request_strategies import Asked, address_of
from sheet_oracle import PROFILES, Sheet, found_at

from kling_dsl import checks, ir
from kling_dsl.calls import shape_of
from kling_dsl.compiler import Compilation, Options, compile_film
from kling_dsl.diagnostics import Diagnostic
from kling_dsl.profiles import Profile
from kling_dsl.sandbox.validation import Judge
from kling_dsl.source import Span
from kling_dsl.world import Media

HERE = Span("", 0, 1, 0, 2)
KINDS = (("elements", "element", "E"), ("images", "image", "I"), ("videos", "video", "V"))
"""The roles of lists of references, the forms of their tags, and how a film here names them."""


def profile_of(sheet: Sheet) -> Profile:
    """Return what the program reads of a sheet."""
    profile = PROFILES.get(sheet.name)
    assert profile is not None
    return profile


def compile_asked(asked: Asked) -> Compilation:
    """Compile the film that asks for a request."""
    world = MemoryWorld({FILM: write_film(asked)}, asked.files)
    return compile_film(FILM, world, Options(), profiles=PROFILES)


def sent_by(compilation: Compilation) -> dict[str, Any]:
    """Return the arguments of a film's one request, whether it has errors or not; nothing when there is none."""
    return compilation.items[0].built.emission.arguments if compilation.items else {}


def slugs_of(found: tuple[Diagnostic, ...] | list[Diagnostic], severity: str) -> list[str]:
    """Return the slugs of the diagnostics of a severity, sorted."""
    return sorted(diagnostic.slug for diagnostic in found if diagnostic.severity == severity)


def find_faults(asked: Asked) -> list[Diagnostic]:
    """Return what the program's checks find wrong with the arguments as they stand, without a film around them."""
    profile = profile_of(asked.sheet)
    request = _read_request(asked)
    rules = checks.RuleBook(profile, _Measured(asked.files))
    found = [*checks.FieldBook(profile).check(request, lambda seconds: None)]
    found += rules.check(request, asked.arguments, shape_of(asked.arguments))
    for binding in request.bindings:
        found += (d for check in checks.REFERENCE_CHECKS for d in check(binding.reference, profile))
    return found


def judge_remotely(asked: Asked) -> tuple[str, ...]:
    """Return what the sandbox answers to the arguments, as if every local file had been uploaded: its mistakes' types."""
    uploads = {f"https://v3.fal.media/files/{at}": media for at, media in enumerate(asked.media.values())}
    places = dict(zip(asked.media, uploads, strict=True))
    body = msgspec.json.decode(msgspec.json.encode(_upload(asked.arguments, places)))
    verdict = Judge(profile_of(asked.sheet), uploads.get).judge(body)
    return tuple(f"{mistake.type}: {mistake.msg}" for mistake in verdict.mistakes)


def write_film(asked: Asked) -> str:
    """Write the film that asks for a request, one construct after another and nothing left to a default."""
    sheet, arguments, roles = asked.sheet, asked.arguments, asked.sheet.roles
    paths = {address_of(path, media): path for path, media in asked.files.items()}
    lines = [f"Model: {sheet.name}", "Headings: off", ""]
    named = list(_declare(asked, paths, lines))
    shots = found_at(arguments, roles.get("shots", "-"))
    inner = {role: roles[role].rpartition(".")[2] for role in ("shot-prompt", "shot-duration") if role in roles}
    told = arguments.get(roles.get("prompt", "-"))
    seconds = arguments[roles["duration"]]
    texts = [told] if told is not None else [shot.get(inner["shot-prompt"], "") for shot in shots]
    lines.append(f"CLIP whole {seconds}s" if told is None else f"SHOT whole {seconds}s")
    lines += _attributes(asked, paths)
    mentioned = "\n".join(_with_names(sheet, text) for text in texts)
    if rest := [name for name in named if not re.search(rf"@{name}\b", mentioned)]:
        lines.append(f"  with: {', '.join(f'@{name}' for name in rest)}")
    if told is not None:
        lines += [_with_names(sheet, told), ""]
    for at, (shot, text) in enumerate(zip(shots if told is None else (), texts, strict=False)):
        lines += ["", f"SHOT s{at} {shot.get(inner['shot-duration'], 1)}s", _with_names(sheet, text)]
    lines += ["", "END CLIP"] if told is None else []
    return "\n".join(lines) + "\n"


class _Measured:
    """The facts of files, as the checks ask for them."""

    def __init__(self, files: dict[str, Media]) -> None:
        self.measured = files


def _declare(asked: Asked, paths: dict[str, str], lines: list[str]) -> list[str]:
    """Write the definitions that the request needs, and return the names of those that it sends as pictures."""
    roles = asked.sheet.roles
    named: list[str] = []
    for role, _, letter in KINDS:
        items = found_at(asked.arguments, roles.get(role, "-"))
        for at, item in enumerate(items, 1):
            named.append(f"{letter}{at}")
            lines.append(f"PROP {letter}{at}")
            if role != "elements":
                lines += [f"  {'image' if role == 'images' else 'video'}: {paths.get(item, item)}", ""]
                continue
            for part, key in (("front", "front"), ("angles", "angles"), ("video", "video"), ("voice", "voice")):
                if given := found_at(item, roles.get(f"element-{part}", "-").rpartition(".")[2]):
                    lines.append(f"  {key}: {', '.join(paths.get(one, one) for one in given)}")
            lines.append("")
    for at, voice in enumerate(found_at(asked.arguments, roles.get("voices", "-")), 1):
        lines += [f"CHARACTER S{at}", f"  voice: {voice}", ""]
    return named


def _attributes(asked: Asked, paths: dict[str, str]) -> list[str]:
    words = {"start-frame": "start", "end-frame": "end", "audio": "audio", "aspect": "aspect", "shot-type": "type"}
    lines = []
    for name, field in asked.sheet.raw["fields"].items():
        key = words.get(field.get("role", "")) or field.get("attribute")
        if key and name in asked.arguments:
            value = asked.arguments[name]
            shown = {True: "on", False: "off"}[value] if isinstance(value, bool) else paths.get(value, value)
            lines.append(f"  {key}: {shown}")
    return lines


def _with_names(sheet: Sheet, text: str) -> str:
    """Return a prompt with the names of a film in the place of its tags, and its spoken words on lines of their own."""
    forms = sheet.raw["prompt"]
    for _, form, letter in KINDS:
        if form in forms:
            before, after = forms[form].split("{n}")
            text = re.sub(rf"{re.escape(before)}(\d+){re.escape(after)}", rf"@{letter}\1", text)
    return re.sub(r' (S\d+) <<<voice_\d+>>> says: "(\w+)"', r"\n\1: \2", text)


def _read_request(asked: Asked) -> ir.Request:
    """Return the request that a film would have been lowered to."""
    arguments, roles = asked.arguments, asked.sheet.roles
    places = {f"asset:{media.sha256}": path for path, media in asked.files.items()}

    def given(role: str) -> Any:
        return arguments.get(roles.get(role, "-"))

    def picture(address: str) -> ir.Picture:
        path = places.get(address.partition("/")[0])
        return ir.File(path, HERE) if path else ir.Address(address, HERE)

    multi = given("shots") is not None
    inner = {role: roles.get(role, "-").rpartition(".")[2] for role in roles}
    shots = tuple(
        ir.Shot(f"s{at}", int(shot.get(inner["shot-duration"], 1)), shot.get(inner["shot-prompt"], ""), HERE)
        for at, shot in enumerate(given("shots") or ())
    )
    bindings: list[ir.Binding] = []
    for at, item in enumerate(given("elements") or ()):
        parts = {
            part: [picture(one) for one in found_at(item, inner.get(f"element-{part}", "-"))]
            for part in ("front", "angles", "video")
        }
        reference = ir.Reference(
            f"E{at}",
            "PROP",
            HERE,
            front=next(iter(parts["front"]), None),
            angles=tuple(parts["angles"]),
            video=next(iter(parts["video"]), None),
            voice=item.get(inner.get("element-voice", "-"), ""),
        )
        bindings.append(ir.Binding(reference, "", "elements", HERE))
    for at, one in enumerate(given("images") or ()):
        loose = ir.Reference(f"I{at}", "PROP", HERE, image=picture(one))
        bindings.append(ir.Binding(loose, "", "images", HERE))
    for at, one in enumerate(given("videos") or ()):
        loose = ir.Reference(f"V{at}", "PROP", HERE, video=picture(one))
        bindings.append(ir.Binding(loose, "", "videos", HERE))
    return ir.Request(
        id="whole",
        scene="",
        model=asked.sheet.name,
        multi=multi,
        shots=shots if multi else (ir.Shot("whole", int(given("duration")), given("prompt") or "", HERE),),
        bindings=tuple(bindings),
        span=HERE,
        audio=given("audio"),
        aspect=given("aspect"),
        shot_type=given("shot-type"),
        takes=1,
        start=picture(given("start-frame")) if given("start-frame") else None,
        end=picture(given("end-frame")) if given("end-frame") else None,
        voices=tuple(given("voices") or ()),
        extra={
            name: arguments[name]
            for name, field in asked.sheet.raw["fields"].items()
            if "attribute" in field and name in arguments
        },
    )


def _upload(value: Any, places: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: _upload(part, places) for name, part in value.items()}
    if isinstance(value, list):
        return [_upload(part, places) for part in value]
    return places.get(value, value) if isinstance(value, str) else value
