"""Lets a Python script describe a film with pydantic models and prints its requests."""

from __future__ import annotations

import hashlib
import re
import sys
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field, model_validator

ENDPOINT = "fal-ai/kling-video/o3/4k/reference-to-video"
NAME = re.compile(r"@(\w+)")


class Reference(BaseModel):
    """The pictures of one name of the cast."""

    front: str
    angles: list[str] = Field(min_length=1, max_length=3)


class Shot(BaseModel):
    """One shot, alone or of a clip."""

    id: str
    seconds: int
    camera: str
    action: str


class Clip(BaseModel):
    """Shots that are bought as one request."""

    id: str
    shots: list[Shot] = []


class Scene(BaseModel):
    """A scene of the film."""

    heading: str
    takes: list[Shot | Clip] = []


class Element(BaseModel):
    """An element as the endpoint takes it."""

    frontal_image_url: str
    reference_image_urls: list[str] = Field(min_length=1, max_length=3)


class MultiPrompt(BaseModel):
    """One shot of a multi-shot request."""

    prompt: str = Field(max_length=512)
    duration: Literal["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15"]


class Arguments(BaseModel):
    """The arguments of a request."""

    prompt: Annotated[str, Field(max_length=2500)] | None = None
    multi_prompt: Annotated[list[MultiPrompt], Field(min_length=1, max_length=6)] | None = None
    elements: list[Element] = Field(max_length=7)
    generate_audio: bool
    duration: Literal["3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15"]
    shot_type: Literal["customize", "intelligent"] = "customize"
    aspect_ratio: Literal["16:9", "9:16", "1:1"]

    @model_validator(mode="after")
    def exactly_one_prompt(self) -> Arguments:
        """Refuse both prompts, and neither."""
        if (self.prompt is None) == (self.multi_prompt is None):
            raise ValueError("give exactly one of prompt and multi_prompt")
        return self


class Request(BaseModel):
    """One request with its price."""

    id: str
    scene: str
    endpoint: str = ENDPOINT
    arguments: Arguments
    references: dict[str, str]
    seconds: int
    cost_usd: Decimal


class Total(BaseModel):
    """What the film comes to."""

    seconds: int
    cost_usd: Decimal


class Requests(BaseModel):
    """What is printed."""

    film: str
    requests: list[Request]
    total: Total


class Film(BaseModel):
    """A film as the script fills it."""

    title: str
    usd_per_second: Decimal
    aspect_ratio: Literal["16:9", "9:16", "1:1"] = "16:9"
    cast: dict[str, Reference] = {}
    scenes: list[Scene] = []

    def print_requests(self) -> None:
        """Write the film's requests as JSON."""
        folder = Path(sys.argv[0]).parent
        elements = {name: element(folder, reference) for name, reference in self.cast.items()}
        requests = [self.request(scene, take, elements) for scene in self.scenes for take in scene.takes]
        total = Total(
            seconds=sum(request.seconds for request in requests),
            cost_usd=sum((request.cost_usd for request in requests), Decimal(0)),
        )
        sys.stdout.write(Requests(film=self.title, requests=requests, total=total).model_dump_json(exclude_none=True))

    def request(self, scene: Scene, take: Shot | Clip, elements: dict[str, Element]) -> Request:
        """Return one request with its names bound to elements."""
        bound: dict[str, str] = {}

        def tag(match: re.Match[str]) -> str:
            return bound.setdefault(match[1], f"@Element{len(bound) + 1}")

        def prompt(shot: Shot, opening: str) -> str:
            return NAME.sub(tag, f"{opening}{shot.camera}. {shot.action}")

        one = many = None
        if isinstance(take, Clip):
            # The heading opens the request, so that the later shots do not repeat it.
            many = [
                MultiPrompt(prompt=prompt(shot, "" if number else f"{scene.heading}. "), duration=str(shot.seconds))
                for number, shot in enumerate(take.shots)
            ]
            seconds = sum(shot.seconds for shot in take.shots)
        else:
            one = prompt(take, f"{scene.heading}. ")
            seconds = take.seconds
        return Request(
            id=take.id,
            scene=scene.heading,
            arguments=Arguments(
                prompt=one,
                multi_prompt=many,
                elements=[elements[name] for name in bound],
                generate_audio=True,
                duration=str(seconds),
                aspect_ratio=self.aspect_ratio,
            ),
            references=bound,
            seconds=seconds,
            cost_usd=seconds * self.usd_per_second,
        )


def element(folder: Path, reference: Reference) -> Element:
    """Return what the endpoint takes for one name of the cast."""
    return Element(
        frontal_image_url=asset(folder / reference.front),
        reference_image_urls=[asset(folder / path) for path in reference.angles],
    )


def asset(path: Path) -> str:
    """Return the stand-in address of a local picture."""
    return f"asset:{hashlib.sha256(path.read_bytes()).hexdigest()}/{path.name}"
