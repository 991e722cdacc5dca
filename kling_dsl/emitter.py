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


class Emitter:
    """Emits the requests of one model; `digests` gives the SHA-256 of every local media file by its path."""

    def __init__(self, profile: Profile, digests: Digests) -> None:
        self.profile = profile
        self._digests = digests
        self._paths: dict[str, tuple[ir.Reference, tuple[str, ...]]] = {}
        self._assets: dict[str, Asset] = {}
        self._elements: dict[str, tuple[ir.Reference, Arguments, msgspec.Raw]] = {}
        self._writers = tuple((name, self._writer(name, field)) for name, field in profile.fields.items())
        bound: tuple[tuple[str, Callable[[ir.Binding], tuple[Any, Any]]], ...] = (
            ("elements", self._element_of),
            ("images", self._image_of),
            ("videos", self._video_of),
        )
        self._bound_fields = tuple(
            (profile.roles[place], place, write) for place, write in bound if place in profile.roles
        )
        nested = {role: path.rpartition(".")[2] for role, path in profile.roles.items()}
        self._names = nested
        self._shot_length = (
            _length_writer(profile.paths[profile.roles["shot-duration"]]) if "shot-duration" in profile.roles else str
        )

    def emit(self, request: ir.Request) -> Emission:
        """Return what the request sends, in the order of the sheet's fields; what is not given is left out."""
        arguments: Arguments = {}
        for name, write in self._writers:
            value = write(request)
            if value is not None:
                arguments[name] = value
        after = tuple(frame.id for frame in (request.start, request.end) if isinstance(frame, ir.LastFrame))
        paths = dict.fromkeys(path for binding in request.bindings for path in self._paths_of(binding.reference))
        paths = (
            dict.fromkeys(frame.path for frame in (request.start, request.end) if isinstance(frame, ir.File)) | paths
        )
        if not paths:
            return Emission(arguments, arguments, (), after)
        digested = dict(arguments)
        for name, place, write_both in self._bound_fields:
            if name in digested:
                digested[name] = [write_both(binding)[1] for binding in request.bindings if binding.place == place]
        for role, frame in (("start-frame", request.start), ("end-frame", request.end)):
            if isinstance(frame, ir.File) and self.profile.roles.get(role) in digested:
                digested[self.profile.roles[role]] = self._address(frame)[1]
        return Emission(arguments, digested, tuple([self._asset(path) for path in paths]), after)

    def _paths_of(self, reference: ir.Reference) -> tuple[str, ...]:
        known = self._paths.get(reference.name)
        if known is None or known[0] is not reference:
            known = (reference, tuple(medium.path for medium in reference.media if isinstance(medium, ir.File)))
            self._paths[reference.name] = known
        return known[1]

    def _asset(self, path: str) -> Asset:
        asset = self._assets.get(path)
        if asset is None:
            asset = self._assets[path] = Asset(self._digests.get(path, ""), path)
        return asset

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
            "elements": lambda request: self._bound(request, "elements", self._element_of),
            "images": lambda request: self._bound(request, "images", self._image_of),
            "videos": lambda request: self._bound(request, "videos", self._video_of),
            "voices": lambda request: list(request.voices) or None,
            None: lambda request: request.extra.get(name, default),
        }
        return writers[field.role]

    def _shots(self, request: ir.Request) -> list[Arguments]:
        prompt, seconds = self._names["shot-prompt"], self._names.get("shot-duration")
        if seconds is None:
            return [{prompt: shot.prompt} for shot in request.shots]
        return [{prompt: shot.prompt, seconds: self._shot_length(shot.seconds)} for shot in request.shots]

    def _bound(
        self, request: ir.Request, place: str, write: Callable[[ir.Binding], tuple[Any, Any]]
    ) -> list[Any] | None:
        return [write(binding)[0] for binding in request.bindings if binding.place == place] or None

    def _element_of(self, binding: ir.Binding) -> tuple[Arguments, msgspec.Raw]:
        reference = binding.reference
        known = self._elements.get(reference.name)
        if known is not None and known[0] is reference:
            return known[1], known[2]
        names = self._names
        sent: list[Arguments] = []
        for which in (0, 1):
            element: Arguments = {}
            if reference.front is not None and "element-front" in names:
                element[names["element-front"]] = self._address(reference.front)[which]
            if reference.angles and "element-angles" in names:
                element[names["element-angles"]] = [self._address(angle)[which] for angle in reference.angles]
            if reference.video is not None and "element-video" in names:
                element[names["element-video"]] = self._address(reference.video)[which]
            if reference.voice and "element-voice" in names:
                element[names["element-voice"]] = reference.voice
            sent.append(element)
        # Encoded once: a reference that many requests send is the same in each of their fingerprints.
        digested = msgspec.Raw(_canonical.encode(sent[1]))
        self._elements[reference.name] = (reference, sent[0], digested)
        return sent[0], digested

    def _image_of(self, binding: ir.Binding) -> tuple[str, str]:
        picture = binding.reference.image or binding.reference.front
        assert picture is not None, "only a reference with a picture is bound as one"
        return self._address(picture)

    def _video_of(self, binding: ir.Binding) -> tuple[str, str]:
        assert binding.reference.video is not None, "only a reference with a video is bound as one"
        return self._address(binding.reference.video)

    def _address(self, frame: ir.Frame) -> tuple[str, str]:
        if isinstance(frame, ir.Address):
            return frame.url, frame.url
        if isinstance(frame, ir.LastFrame):
            return f"frame:{frame.id}/end", f"frame:{frame.id}/end"
        asset = self._asset(frame.path)
        return asset.address, f"asset:{asset.sha256}"


def fingerprint(endpoint: str, digested: Arguments) -> str:
    """Return the SHA-256 of the canonical JSON of an endpoint and its arguments, in hexadecimal."""
    return hashlib.sha256(_canonical.encode({"endpoint": endpoint, "arguments": digested})).hexdigest()


def chained(digested: Arguments, fingerprints: Mapping[str, str]) -> Arguments:
    """Return the arguments with each frame of another clip named by that clip's fingerprint, since ids may change."""
    return {
        name: f"frame:{fingerprints.get(value[6:-4], '')}/end"
        if isinstance(value, str) and value.startswith("frame:")
        else value
        for name, value in digested.items()
    }


def _length_writer(field: Field) -> Callable[[int], str | int]:
    return str if field.type == "string" else int
