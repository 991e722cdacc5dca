"""Model sheets of imagined houses, unlike the provider's own wherever the format allows, and helpers to read them."""

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

WIDE = """
format = 1
name = "wide-film"
title = "Wide Film 1"
endpoint = "wide-house/film/reference-to-video"

[sources.page]
title = "The house's page"
url = "https://wide.example/film"
date = "2026-10-01"

[fields.text]
type = "string"
role = "prompt"
max_characters = 300
source = "page"

[fields.scenes]
type = "list"
role = "shots"
min_items = 2
max_items = 4
source = "page"
[fields.scenes.items]
type = "object"
source = "page"
[fields.scenes.items.fields.text]
type = "string"
role = "shot-prompt"
required = true
max_characters = 200
source = "page"
[fields.scenes.items.fields.length]
type = "integer"
role = "shot-duration"
send = "always"
default = 4
values = [2, 4, 8]
source = "page"

[fields.figures]
type = "list"
role = "elements"
min_items = 2
max_items = 5
source = "page"
[fields.figures.items]
type = "object"
source = "page"
[fields.figures.items.fields.face]
type = "string"
role = "element-front"
media = "image"
required = true
source = "page"
[fields.figures.items.fields.sides]
type = "list"
role = "element-angles"
min_items = 2
max_items = 4
source = "page"
[fields.figures.items.fields.sides.items]
type = "string"
media = "image"
source = "page"
[fields.figures.items.fields.tone]
type = "string"
role = "element-voice"
max_characters = 20
source = "page"

[fields.first]
type = "string"
role = "start-frame"
media = "image"
source = "page"

[fields.last]
type = "string"
role = "end-frame"
media = "image"
source = "page"

[fields.length]
type = "string"
role = "duration"
send = "always"
default = "8"
values = ["4", "8", "12", "16"]
source = "page"

[fields.shape]
type = "string"
role = "aspect"
values = ["16:9", "4:3"]
source = "page"

[fields.sound]
type = "boolean"
role = "audio"
source = "page"

[fields.grain]
type = "integer"
attribute = "grain"
min = 1
max = 9
source = "page"

[fields.speed]
type = "number"
attribute = "speed"
required = true
min = 0.5
max = 2
source = "page"

[fields.stock]
type = "string"
attribute = "stock"
max_characters = 12
source = "page"

[fields.strict]
type = "boolean"
attribute = "strict"
source = "page"

[[rules]]
kind = "exactly-one"
slug = "text-or-scenes"
of = ["text", "scenes"]
confidence = "certain"
source = "page"
because = "one of the two tells the clip"

[[rules]]
kind = "sum-equals"
slug = "scenes-fill-the-length"
of = "scenes.length"
total = "length"
confidence = "certain"
source = "page"
because = "the scenes last as long as the clip"

[[rules]]
kind = "excludes"
slug = "frame-or-figures"
field = "first"
others = ["figures", "strict"]
confidence = "certain"
source = "page"
because = "a first frame shows its own figures"

[[rules]]
kind = "requires"
slug = "last-needs-help"
field = "last"
needs = ["first", "grain"]
confidence = "certain"
source = "page"
because = "a last frame needs something to come from"

[[rules]]
kind = "at-most"
slug = "few-voices"
counts = { "figures.tone" = 2, figures = 1 }
noun = "voices and figures"
max = 6
given = ["sound"]
confidence = "certain"
source = "page"
because = "voices are dear where there is sound"

[[prices]]
usd_per_second = 0.05
given = ["figures.tone", "sound"]
confidence = "certain"
source = "page"

[[prices]]
usd_per_second = 0.033
when = { length = "16" }
confidence = "certain"
source = "page"

[[prices]]
usd_per_second = 0.04
confidence = "certain"
source = "page"

[prompt]
element = "<figure {n}>"
order = ["action", "camera", "heading", "look"]
source = "page"

[media.image]
kinds = ["png"]
max_bytes = 1000000
min_width = 100
min_height = 100
min_aspect = 0.5
max_aspect = 2
source = "page"

[output]
container = "mp4"
frames_per_second = 30
confidence = "high"
source = "page"
sizes = { "16:9" = [1280, 720], "4:3" = [960, 720] }
"""
"""A sheet that states what no other does: closed sets of lengths, least numbers of items, required parts of items."""

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
