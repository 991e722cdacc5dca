"""Compiles a film in one YAML file: Jinja2 renders it, PyYAML reads it, jsonschema validates the requests."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import jinja2
import jsonschema
import yaml

ENDPOINT = "fal-ai/kling-video/o3/4k/reference-to-video"
SCHEMA = Path(__file__).with_name("request.schema.json")
NAME = re.compile(r"@(\w+)")


def main(film_path: str, reader: str) -> None:
    """Print the requests of the film; `reader` is `safe` for PyYAML as documented, `c` for its C loader."""
    path = Path(film_path)
    text = jinja2.Environment(undefined=jinja2.StrictUndefined).from_string(path.read_text(encoding="utf-8")).render()
    film = yaml.load(text, Loader=yaml.CSafeLoader) if reader == "c" else yaml.safe_load(text)
    cast = {name: element(path.parent, media) for name, media in film["cast"].items()}
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))
    requests = [
        request(film, scene, take, cast, validator=validator) for scene in film["scenes"] for take in scene["takes"]
    ]
    total = {
        "seconds": sum(request["seconds"] for request in requests),
        "cost_usd": str(sum((Decimal(request["cost_usd"]) for request in requests), Decimal(0))),
    }
    sys.stdout.write(json.dumps({"film": film["title"], "requests": requests, "total": total}, ensure_ascii=False))


def request(
    film: dict[str, Any],
    scene: dict[str, Any],
    take: dict[str, Any],
    cast: dict[str, Any],
    *,
    validator: jsonschema.Draft202012Validator,
) -> dict[str, Any]:
    """Return one request with its names bound to elements; raise ValidationError or ValueError if it is refused."""
    bound: dict[str, str] = {}

    def tag(match: re.Match[str]) -> str:
        return bound.setdefault(match[1], f"@Element{len(bound) + 1}")

    arguments: dict[str, Any] = {}
    if "shots" in take:
        arguments["multi_prompt"] = [
            {"prompt": NAME.sub(tag, shot["prompt"]), "duration": str(shot["duration"])} for shot in take["shots"]
        ]
        seconds = sum(shot["duration"] for shot in take["shots"])
    else:
        arguments["prompt"] = NAME.sub(tag, take["prompt"])
        seconds = take["duration"]
    unknown = bound.keys() - cast.keys()
    if unknown:
        raise ValueError(f"{take['id']}: nobody is called {sorted(unknown)}")
    arguments["elements"] = [cast[name] for name in bound]
    arguments["generate_audio"] = film["generate_audio"]
    arguments["duration"] = str(seconds)
    arguments["shot_type"] = "customize"
    arguments["aspect_ratio"] = film["aspect_ratio"]
    validator.validate(arguments)
    return {
        "id": take["id"],
        "scene": scene["heading"],
        "endpoint": ENDPOINT,
        "arguments": arguments,
        "references": bound,
        "seconds": seconds,
        "cost_usd": str(seconds * Decimal(film["usd_per_second"])),
    }


def element(folder: Path, media: dict[str, Any]) -> dict[str, Any]:
    """Return what the endpoint takes for one name of the cast."""
    return {
        "frontal_image_url": asset(folder / media["front"]),
        "reference_image_urls": [asset(folder / path) for path in media["angles"]],
    }


def asset(path: Path) -> str:
    """Return the stand-in address of a local picture."""
    return f"asset:{hashlib.sha256(path.read_bytes()).hexdigest()}/{path.name}"


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
