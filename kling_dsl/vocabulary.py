"""The closed sets of words in the language: keywords, keys of the title page, attributes of each construct."""

from __future__ import annotations

TITLE_KEYS = (
    "Title",
    "Author",
    "Model",
    "Aspect",
    "Audio",
    "Duration",
    "Takes",
    "Budget",
    "Look",
    "Headings",
    "Param",
    "Data",
    "Format",
)
TEST_KEYS = ("Film", "Param", "Data")
"""What the title page of a test file may hold."""
TEST_ENDING = ".test.kling"
"""How the name of a test file ends: it holds EXPECT lines about a film, and nothing else."""
DEFINITION_KEYS = ("front", "angles", "video", "voice", "image")
SCENE_KEYS = ("look", "audio", "aspect", "model", "takes", "with")
SHOT_KEYS = (*SCENE_KEYS, "start", "end", "type")
MARGIN_KEYS = frozenset((*DEFINITION_KEYS, *SHOT_KEYS))
KEYWORDS = ("SHOT", "CLIP", "END", "CHARACTER", "PROP", "PLACE", "STYLE", "IMPORT", "EXPECT")
MAX_NAME_CHARACTERS = 100
"""The longest name of a reference and the longest id: composing the marks of a longer one could take minutes, and a
clip's file bears its id."""
