"""Writes the arguments that a request sends, field by field as the model's sheet lists them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec

from kling_dsl import ir
from kling_dsl.calls import Asset
from kling_dsl.profiles import Field, Profile

Arguments = dict[str, Any]
_PLACES = ("elements", "images", "videos")
_FRAMES = ("start-frame", "end-frame")
_canonical = msgspec.json.Encoder(order="sorted")


class Emission(msgspec.Struct, frozen=True, eq=False):
    """What a request sends.

    In `arguments` a file stands as its asset's address; `digested` is the same with local files by their content
    alone, which is what the fingerprint is taken from.
    """

    arguments: Arguments
    digested: Arguments
    assets: tuple[Asset, ...]
    after: tuple[str, ...]


class Digests(Protocol):
    """Where the SHA-256 of a local media file is found by its path."""

    def get(self, path: str, default: str = "") -> str:
        """Return the digest, or the default for a file that cannot be read."""
        ...


class Sent(msgspec.Struct, frozen=True, eq=False):
    """A reference as a request sends it: the value, the same by content, and the files that it uploads."""

    value: Any
    digested: Any
    paths: tuple[str, ...]


class Emitter:
    """Emits the requests of one model; `digests` gives the SHA-256 of every local media file by its path."""

    def __init__(self, profile: Profile, digests: Digests) -> None:
        self.profile = profile
        self._digests = digests
        self._assets: dict[str, Asset] = {}
        self._known: dict[tuple[str, str], tuple[ir.Reference, Sent]] = {}
        self._names = {role: path.rpartition(".")[2] for role, path in profile.roles.items()}
        self._bound_fields = tuple((role, profile.roles[role]) for role in _PLACES if role in profile.roles)
        self._frame_fields = tuple((role, profile.roles[role]) for role in _FRAMES if role in profile.roles)
        self._writers = tuple(
            (name, self._writer(name, field)) for name, field in profile.fields.items() if field.role not in _PLACES
        )
        self._order = tuple(profile.fields)
        shot_length = profile.roles.get("shot-duration")
        self._shot_length = _length_writer(profile.paths[shot_length]) if shot_length else str

    def emit(self, request: ir.Request) -> Emission:
        """Return what the request sends, in the order of the sheet's fields; what is not given is left out."""
        sent: dict[str, list[Sent]] = {}
        paths: dict[str, None] = {}
        for frame in (request.start, request.end):
            if isinstance(frame, ir.File):
                paths[frame.path] = None
        for binding in request.bindings:
            one = self._sent(binding)
            sent.setdefault(binding.place, []).append(one)
            for path in one.paths:
                paths[path] = None
        found: Arguments = {name: value for name, write in self._writers if (value := write(request)) is not None}
        for role, name in self._bound_fields:
            if role in sent:
                found[name] = [one.value for one in sent[role]]
        arguments = {name: found[name] for name in self._order if name in found}
        after = tuple(
            [
                frame.id
                for frame in (request.start, request.end)
                if frame is not None and isinstance(frame, ir.LastFrame)
            ]
        )
        if not paths:
            return Emission(arguments, arguments, (), after)
        digested = dict(arguments)
        for role, name in self._bound_fields:
            if role in sent:
                digested[name] = [one.digested for one in sent[role]]
        for role, name in self._frame_fields:
            frame = request.start if role == "start-frame" else request.end
            if isinstance(frame, ir.File):
                digested[name] = self._address(frame)[1]
        return Emission(arguments, digested, tuple([self._asset(path) for path in paths]), after)

    def lasting(self, arguments: Mapping[str, Any], seconds: int) -> Arguments:
        """Return arguments with another length of the whole clip."""
        path = self.profile.roles["duration"]
        return {**arguments, path: _length_writer(self.profile.paths[path])(seconds)}

    def _writer(self, name: str, field: Field) -> Callable[[ir.Request], Any]:
        default = field.default if field.send == "always" else None
        length = _length_writer(field)
        writers: dict[str | None, Callable[[ir.Request], Any]] = {
            "prompt": lambda request: None if request.multi else request.shots[0].prompt,
            "shots": lambda request: self._shots(request) if request.multi else None,
            "duration": lambda request: length(request.seconds),
            "audio": lambda request: default if request.audio is None else request.audio,
            "aspect": lambda request: default if request.aspect is None else request.aspect,
            "shot-type": lambda request: default if request.shot_type is None else request.shot_type,
            "start-frame": lambda request: None if request.start is None else self._address(request.start)[0],
            "end-frame": lambda request: None if request.end is None else self._address(request.end)[0],
            "voices": lambda request: list(request.voices) or None,
            None: lambda request: request.extra.get(name, default),
        }
        return writers[field.role]

    def _shots(self, request: ir.Request) -> list[Arguments]:
        prompt, seconds = self._names["shot-prompt"], self._names.get("shot-duration")
        if seconds is None:
            return [{prompt: shot.prompt} for shot in request.shots]
        return [{prompt: shot.prompt, seconds: self._shot_length(shot.seconds)} for shot in request.shots]

    def _sent(self, binding: ir.Binding) -> Sent:
        reference = binding.reference
        known = self._known.get((reference.name, binding.place))
        if known is None or known[0] is not reference:
            one = self._element(reference) if binding.place == "elements" else self._loose(binding)
            known = self._known[reference.name, binding.place] = (reference, one)
        return known[1]

    def _element(self, reference: ir.Reference) -> Sent:
        names = self._names
        parts: list[tuple[str, list[ir.Picture], bool]] = []
        if reference.front is not None and "element-front" in names:
            parts.append((names["element-front"], [reference.front], False))
        if reference.angles and "element-angles" in names:
            parts.append((names["element-angles"], list(reference.angles), True))
        if reference.video is not None and "element-video" in names:
            parts.append((names["element-video"], [reference.video], False))
        sent: list[Arguments] = []
        for which in (0, 1):
            element: Arguments = {}
            for name, media, is_list in parts:
                addresses = [self._address(medium)[which] for medium in media]
                element[name] = addresses if is_list else addresses[0]
            if reference.voice and "element-voice" in names:
                element[names["element-voice"]] = reference.voice
            sent.append(element)
        files = tuple(medium.path for _, media, _ in parts for medium in media if isinstance(medium, ir.File))
        # Encoded once: a reference that many requests send is the same in each of their fingerprints.
        return Sent(sent[0], msgspec.Raw(_canonical.encode(sent[1])), files)

    def _loose(self, binding: ir.Binding) -> Sent:
        reference = binding.reference
        medium = reference.video if binding.place == "videos" else reference.image or reference.front
        assert medium is not None, "a reference is bound only where it has something to send"
        value, digested = self._address(medium)
        return Sent(value, digested, (medium.path,) if isinstance(medium, ir.File) else ())

    def _asset(self, path: str) -> Asset:
        asset = self._assets.get(path)
        if asset is None:
            asset = self._assets[path] = Asset(self._digests.get(path, ""), path)
        return asset

    def _address(self, frame: ir.Frame) -> tuple[str, str]:
        if isinstance(frame, ir.Address):
            return frame.url, frame.url
        if isinstance(frame, ir.LastFrame):
            return f"frame:{frame.id}/end", f"frame:{frame.id}/end"
        asset = self._asset(frame.path)
        return asset.address, f"asset:{asset.sha256}"


def fingerprint(endpoint: str, digested: Arguments) -> str:
    """Return the SHA-256 of the canonical JSON of an endpoint and its arguments, in hexadecimal."""
    return hashlib.sha256(canonical_json(endpoint, digested)).hexdigest()


def canonical_json(endpoint: str, digested: Arguments) -> bytes:
    """Return the one way to write an endpoint and its arguments down, whose digest is the fingerprint."""
    return _canonical.encode({"endpoint": endpoint, "arguments": digested})


def chained(digested: Arguments, profile: Profile, fingerprints: Mapping[str, str]) -> Arguments:
    """Return the arguments with each frame of another clip named by that clip's fingerprint, since ids may change."""
    frames = {profile.roles[role] for role in _FRAMES if role in profile.roles}
    return {
        name: f"frame:{fingerprints.get(value[6:-4], '')}/end"
        if name in frames and isinstance(value, str) and value.startswith("frame:")
        else value
        for name, value in digested.items()
    }


def _length_writer(field: Field) -> Callable[[int], str | int]:
    return str if field.type == "string" else int
