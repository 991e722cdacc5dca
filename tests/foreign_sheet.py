"""A model sheet of an imagined house, unlike the provider's own wherever the format allows, and helpers to read it."""

from __future__ import annotations

from kling_dsl import resources
from kling_dsl.profiles import Profile
from kling_dsl.sheets import load_sheet

FOREIGN = """
format = 1
name = "lumen-film"
title = "Lumen Film 2"
endpoint = "lumen-labs/film/v2/reference-to-video"

[sources.page]
title = "Lumen's page"
url = "https://lumen.example/film"
date = "2026-10-01"

[fields.prompt]
type = "string"
role = "prompt"
required = true
max_characters = 4000
source = "page"

[fields.reference_images]
type = "list"
role = "images"
max_items = 9
source = "page"
[fields.reference_images.items]
type = "string"
media = "image"
source = "page"

[fields.reference_videos]
type = "list"
role = "videos"
max_items = 3
source = "page"
[fields.reference_videos.items]
type = "string"
media = "video"
source = "page"

[fields.seconds]
type = "integer"
role = "duration"
send = "always"
default = 6
min = 2
max = 30
source = "page"

[fields.resolution]
type = "string"
attribute = "resolution"
send = "always"
default = "720p"
values = ["480p", "720p", "1080p"]
source = "page"

[fields.ratio]
type = "string"
role = "aspect"
send = "always"
default = "21:9"
values = ["21:9", "16:9"]
source = "page"

[[rules]]
kind = "at-most"
slug = "too-many-references"
counts = { reference_images = 1, reference_videos = 2 }
noun = "references"
max = 12
confidence = "certain"
source = "page"
because = "a video counts as two"

[[rules]]
kind = "total-seconds"
slug = "video-seconds"
of = "reference_videos"
max = 15.5
confidence = "high"
source = "page"
because = "the videos may not be longer together"

[[prices]]
usd_per_second = 0.0625
when = { resolution = "480p" }
confidence = "certain"
source = "page"

[[prices]]
usd_per_second = 0.14
when = { resolution = "720p" }
confidence = "certain"
source = "page"

[[prices]]
usd_per_second = 0.30
confidence = "certain"
source = "page"

[billing]
seconds = ["output", "reference_videos"]
minimum_seconds = 4

[prompt]
image = "[Image {n}]"
video = "[Video {n}]"
order = ["look", "camera", "action"]
source = "page"

[media.image]
kinds = ["jpeg", "png"]
max_bytes = 30000000
min_width = 240
min_height = 240
min_aspect = 0.4
max_aspect = 2.5
source = "page"

[media.video]
kinds = ["mp4"]
max_bytes = 50000000
min_width = 480
min_height = 480
max_width = 1920
max_height = 1920
min_seconds = 2
max_seconds = 15.5
min_frames_per_second = 12
max_frames_per_second = 60
source = "page"

[output]
container = "mp4"
frames_per_second = 23.976
confidence = "high"
source = "page"
sizes = { "21:9" = [1680, 720], "16:9" = [1280, 720] }
"""

FILE = "models/lumen-film.toml"


def load(text: str) -> Profile:
    """Read a sheet that has no mistakes."""
    profile, diagnostics = load_sheet(text, file=FILE)
    assert profile is not None, [diagnostic.message for diagnostic in diagnostics]
    return profile


def replaced(old: str, new: str, text: str = FOREIGN) -> str:
    """Return a sheet with one place changed, which must be there."""
    assert old in text
    return text.replace(old, new, 1)


def builtin_text(name: str) -> str:
    """Return the text of a sheet that ships with the program."""
    return resources.specs_path("models", f"{name}.toml").read_text(encoding="utf-8")
