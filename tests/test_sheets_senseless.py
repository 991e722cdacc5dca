"""Sheets of the right shape that make no sense: one change, and exactly the mistakes that it is, in words and place."""

from __future__ import annotations

import pytest
from foreign_sheet import FILE, FOREIGN, WIDE, builtin_text, replaced

from kling_dsl.sheets import load_sheet

O3 = builtin_text("o3-4k")


def told(text: str) -> list[str]:
    """Return the mistakes of a sheet, each behind the number of its line and the words that it points at."""
    profile, diagnostics = load_sheet(text, file=FILE)
    assert profile is None
    lines = text.split("\n")
    found = []
    for each in diagnostics:
        words = each.message.removeprefix(f"model sheet {FILE}: ")
        shown = lines[each.span.line - 1][each.span.column - 1 : each.span.end_column - 1]
        found.append(f"{shown}: {words}" + (f" | {each.hint}" if each.hint else ""))
    return found


WRONG: list[tuple[str, str, str, str, list[str]]] = [
    (
        "a name that no request carries",
        FOREIGN,
        "[fields.ratio]",
        '[fields."film ratio"]',
        ['fields."film ratio": fields."film ratio" is no name that a request can carry'],
    ),
    (
        "an attribute of two fields",
        FOREIGN,
        'min = 2\nmax = 30\nsource = "page"',
        'min = 2\nmax = 30\nsource = "page"\n[fields.more]\ntype = "string"\nattribute = "resolution"\nsource = "page"',
        ['attribute: fields.resolution.attribute is "resolution", which more has already'],
    ),
    (
        "nothing that tells the film",
        FOREIGN,
        'role = "prompt"',
        'attribute = "words"',
        [": fields give no field the role prompt or shots, so that a film could not be told"],
    ),
    (
        "elements without a picture or a video",
        WIDE,
        'role = "element-front"',
        'role = "element-angles"',
        [
            "role: fields.figures.items.fields.face.role is element-angles, which needs the type list, not string",
            'role: fields.figures.items.fields.sides.role is "element-angles", which face has already',
            "fields.figures: fields.figures has the role elements, but no field inside it is an element-front or element-video",
        ],
    ),
    (
        "a value longer than the field takes",
        FOREIGN,
        'values = ["480p", "720p", "1080p"]',
        'values = ["480p", "720p", "1080p"]\nmax_characters = 4',
        ['values: fields.resolution.values[2] is "1080p", which type or limits of the field refuse'],
    ),
    (
        "a duration that is no number",
        WIDE,
        'values = ["4", "8", "12", "16"]',
        'values = ["4", "8", "soon", "16"]\nmin = 2',
        ['values: fields.length.values[2] is "soon", which type or limits of the field refuse'],
    ),
    (
        "a duration below the least",
        WIDE,
        'values = ["4", "8", "12", "16"]',
        'values = ["4", "8", "12", "16"]\nmin = 5',
        ['values: fields.length.values[0] is "4", which type or limits of the field refuse'],
    ),
    (
        "lengths beyond a day",
        FOREIGN,
        "min = 2\nmax = 30",
        "min = 2\nmax = 90000",
        ["role: fields.seconds.role is duration, which needs min and max, or values, in whole seconds"],
    ),
    (
        "items of what is no list",
        FOREIGN,
        '[fields.seconds]\ntype = "integer"',
        '[fields.seconds]\ntype = "integer"\nitems = { type = "string", source = "page" }',
        ["items: fields.seconds.items stands at a field of type integer; only a list has items"],
    ),
    (
        "an object without fields",
        FOREIGN,
        '[fields.reference_images.items]\ntype = "string"\nmedia = "image"',
        '[fields.reference_images.items]\ntype = "object"',
        [
            "fields.reference_images.items: fields.reference_images.items is an object, but lacks `fields`",
            "role: fields.reference_images.role is images, which needs items of type string, not object",
            'role: fields.reference_images.role is images, which needs media = "image"',
        ],
    ),
    (
        "fields of what is no object",
        FOREIGN,
        '[fields.seconds]\ntype = "integer"',
        '[fields.seconds]\ntype = "integer"\nfields = { x = { type = "string", attribute = "x", source = "page" } }',
        [
            "fields: fields.seconds.fields stands at a field of type integer; only an object has fields",
            "fields: fields.seconds.fields.x.attribute can name only a single value at the top of the request",
        ],
    ),
    (
        "items that are required",
        FOREIGN,
        '[fields.reference_images.items]\ntype = "string"',
        '[fields.reference_images.items]\ntype = "string"\nrequired = true',
        [
            "fields.reference_images.items: fields.reference_images.items has a role, an attribute or `required`, which belong to the list"
        ],
    ),
    (
        "characters of a list",
        FOREIGN,
        "max_items = 9",
        "max_items = 9\nmax_characters = 3",
        ["max_characters: fields.reference_images.max_characters stands at a field of type list; it bounds a string"],
    ),
    (
        "items of a number",
        FOREIGN,
        "min = 2\nmax = 30",
        "min = 2\nmax = 30\nmin_items = 1",
        ["min_items: fields.seconds.min_items stands at a field of type integer; it bounds a list"],
    ),
    (
        "no items at most",
        FOREIGN,
        "max_items = 9",
        "max_items = 0",
        ["max_items: fields.reference_images.max_items is 0, so that nothing could be sent"],
    ),
    (
        "less than no items",
        FOREIGN,
        "max_items = 9",
        "max_items = 9\nmin_items = -1",
        ["min_items: fields.reference_images.min_items is -1, so that nothing could be sent"],
    ),
    (
        "more items at least than at most",
        FOREIGN,
        "max_items = 9",
        "max_items = 9\nmin_items = 10",
        ["min_items: fields.reference_images.min_items is 10, above max_items, which is 9"],
    ),
    (
        "no characters at most",
        FOREIGN,
        "max_characters = 4000",
        "max_characters = 0",
        ["max_characters: fields.prompt.max_characters is 0, so that nothing could be sent"],
    ),
    (
        "doubts about no value",
        FOREIGN,
        'values = ["21:9", "16:9"]',
        'values = ["21:9", "16:9"]\ndoubtful = { "1:1" = "seen nowhere" }',
        ['doubtful: fields.ratio.doubtful."1:1" is no value of the field'],
    ),
    (
        "always sent and never known",
        FOREIGN,
        'attribute = "resolution"\nsend = "always"\ndefault = "720p"',
        'attribute = "resolution"\nsend = "always"',
        ["send: fields.resolution.send is always, but the field lacks a default to send when a film says nothing"],
    ),
    (
        "a role and an attribute",
        FOREIGN,
        'role = "aspect"',
        'role = "aspect"\nattribute = "ratio"',
        ["attribute: fields.ratio.attribute stands beside the role aspect; a field has one of the two"],
    ),
    (
        "an attribute of a list",
        FOREIGN,
        'max_items = 3\nsource = "page"',
        'max_items = 3\nsource = "page"\n[fields.marks]\ntype = "list"\nattribute = "marks"\nsource = "page"\n[fields.marks.items]\ntype = "string"\nsource = "page"',
        ["attribute: fields.marks.attribute can name only a single value at the top of the request"],
    ),
    (
        "an attribute inside a list",
        WIDE,
        'role = "element-voice"',
        'attribute = "tone"',
        [
            "attribute: fields.figures.items.fields.tone.attribute can name only a single value at the top of the request"
        ],
    ),
    (
        "a role of the request inside a list",
        WIDE,
        'role = "element-voice"',
        'role = "shot-type"\nvalues = ["near", "far"]',
        ["role: fields.figures.items.fields.tone.role is shot-type, which stands at the top of the request"],
    ),
    (
        "a part of an element outside of one",
        WIDE,
        '[fields.grain]\ntype = "integer"\nattribute = "grain"\nmin = 1\nmax = 9',
        '[fields.grain]\ntype = "string"\nrole = "element-video"\nmedia = "video"',
        [
            "role: fields.grain.role is element-video, which stands inside the field with the role elements",
            ": media.video is missing, but grain takes videos",
        ],
    ),
    (
        "an aspect without values",
        WIDE,
        '[fields.shape]\ntype = "string"\nrole = "aspect"\nvalues = ["16:9", "4:3"]',
        '[fields.shape]\ntype = "string"\nrole = "aspect"',
        ["role: fields.shape.role is aspect, which needs values"],
    ),
    (
        "a part of a prompt twice",
        FOREIGN,
        '"look", "camera", "action"',
        '"look", "action", "look"',
        ["order: prompt.order names a part twice"],
    ),
    (
        "a language in full",
        O3,
        'languages = ["',
        'languages = ["german", "',
        ['languages: speech.languages[0] is "german", but a language is two letters such as en'],
    ),
    (
        "a pace below zero",
        O3,
        "words_per_second = ",
        "words_per_second = -",
        ["words_per_second: speech.words_per_second is -2.4, but must be above 0"],
    ),
    ("no kinds of pictures", FOREIGN, 'kinds = ["jpeg", "png"]', "kinds = []", ["kinds: media.image.kinds is empty"]),
    (
        "a kind twice",
        FOREIGN,
        'kinds = ["jpeg", "png"]',
        'kinds = ["jpeg", "PNG", "jpeg"]',
        [
            'kinds: media.image.kinds has "PNG" twice, or not as small letters and digits',
            'kinds: media.image.kinds has "jpeg" twice, or not as small letters and digits',
        ],
    ),
    (
        "no frames in a second",
        FOREIGN,
        "frames_per_second = 23.976",
        "frames_per_second = 0",
        ["frames_per_second: output.frames_per_second is 0, but must be above 0"],
    ),
    (
        "no aspect",
        FOREIGN,
        '"21:9" = [1680, 720], ',
        '"21:9" = [1680, 720], wide = [3, 1], ',
        [
            "sizes: output.sizes.wide is no aspect such as 16:9",
            "sizes: output.sizes.wide is no value that ratio accepts",
        ],
    ),
    (
        "no height",
        FOREIGN,
        '"21:9" = [1680, 720], ',
        '"21:9" = [1680, 0], ',
        ['sizes: output.sizes."21:9" is 1680 x 0, but a size must be above 0'],
    ),
    (
        "no sizes",
        FOREIGN,
        'sizes = { "21:9" = [1680, 720], "16:9" = [1280, 720] }',
        "sizes = {}",
        [
            "sizes: output.sizes is empty",
            "sizes: output.sizes lacks 21:9, which ratio accepts",
            "sizes: output.sizes lacks 16:9, which ratio accepts",
        ],
    ),
    (
        "nothing that is billed",
        FOREIGN,
        'seconds = ["output", "reference_videos"]',
        "seconds = []",
        ["seconds: billing.seconds is empty, so that nothing would be billed"],
    ),
    (
        "a length billed twice",
        FOREIGN,
        'seconds = ["output", "reference_videos"]',
        'seconds = ["output", "output"]',
        ["seconds: billing.seconds[1] names output a second time"],
    ),
    ("a form without words", O3, "[prompt]", '[prompt]\nheading = ""', ["heading: prompt.heading is empty"]),
    (
        "no reason for a rule",
        FOREIGN,
        'because = "a video counts as two"',
        'because = " "',
        ["because: rules[0].because is empty"],
    ),
    (
        "a rule of no field",
        FOREIGN,
        'of = "reference_videos"',
        'of = "reference_video"',
        ['of: rules[1].of is "reference_video", which is no field | did you mean reference_videos?'],
    ),
    ("a choice of nothing", WIDE, 'of = ["text", "scenes"]', "of = []", ["of: rules[0].of is empty"]),
    (
        "a choice of one",
        WIDE,
        'of = ["text", "scenes"]',
        'of = ["text"]',
        ["of: rules[0].of names fewer than two fields, so that there is nothing to choose"],
    ),
    (
        "a choice of one twice",
        WIDE,
        'of = ["text", "scenes"]',
        'of = ["text", "scenes", "text"]',
        ["of: rules[0].of[2] names text a second time"],
    ),
    (
        "a field that needs itself",
        WIDE,
        'needs = ["first", "grain"]',
        'needs = ["last", "grain"]',
        ["needs: rules[3].needs names last itself"],
    ),
    (
        "a field that excludes itself",
        WIDE,
        'others = ["figures", "strict"]',
        'others = ["figures", "first"]',
        ["others: rules[2].others names first itself"],
    ),
    (
        "ignored with nothing",
        FOREIGN,
        'kind = "total-seconds"\nslug = "video-seconds"\nof = "reference_videos"\nmax = 15.5',
        'kind = "ignored-with"\nslug = "x"\nseverity = "warning"\nfield = "ratio"\ngiven = []',
        ["given: rules[1].given must name other fields than the ignored one"],
    ),
    (
        "ignored with itself",
        FOREIGN,
        'kind = "total-seconds"\nslug = "video-seconds"\nof = "reference_videos"\nmax = 15.5',
        'kind = "ignored-with"\nslug = "x"\nseverity = "warning"\nfield = "ratio"\ngiven = ["ratio"]',
        ["given: rules[1].given must name other fields than the ignored one"],
    ),
    ("none at most", FOREIGN, "max = 12", "max = 0", ["max: rules[0].max is 0, but must be above 0"]),
    ("no noun", FOREIGN, 'noun = "references"', 'noun = ""', ["noun: rules[0].noun is empty"]),
    (
        "seconds at least above those at most",
        FOREIGN,
        "max = 15.5",
        "min = 16\nmax = 15.5",
        ["min: rules[1].min is 16, above max, which is 15.5"],
    ),
    ("seconds below zero", FOREIGN, "max = 15.5", "min = -1\nmax = 15.5", ["rules: rules[1] has a length below 0"]),
    (
        "a price without its point",
        FOREIGN,
        "usd_per_second = 0.14",
        "usd_per_second = 1400",
        ["usd_per_second: prices[1].usd_per_second is 1400, above 1000 dollars a second"],
    ),
    (
        "a price by what lies in a list",
        WIDE,
        'when = { length = "16" }',
        'when = { "scenes.length" = 8 }',
        ['when: prices[1].when."scenes.length" lies inside a list; a price can ask for its presence with `given`'],
    ),
    (
        "a price by what may not be sent",
        WIDE,
        'when = { length = "16" }',
        'when = { text = "16" }',
        [
            'when: prices[1].when.text needs send = "always" at the field, or else the provider\'s default would set the price'
        ],
    ),
    (
        "a price by no field",
        WIDE,
        'given = ["figures.tone", "sound"]',
        'given = ["figures.tune", "sound"]',
        ['given: prices[0].given[0] is "figures.tune", which is no field | did you mean figures.tone?'],
    ),
    (
        "a key with a line break",
        FOREIGN,
        '"21:9" = [1680, 720], ',
        '"21:9" = [1680, 720], "1\\n:1" = [3, 1], ',
        ["sizes: output.sizes has a key with a control character or a line break"],
    ),
    (
        "a truth for a number",
        FOREIGN,
        "max_items = 9",
        "max_items = true",
        ["max_items: fields.reference_images.max_items is true, but must be a whole number"],
    ),
]


@pytest.mark.parametrize(
    ("sheet", "old", "new", "expected"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG]
)
def test_a_slip_is_told_at_its_key_and_nothing_else_is(sheet: str, old: str, new: str, expected: list[str]) -> None:
    assert told(replaced(old, new, sheet)) == expected


PRICES = FOREIGN[FOREIGN.index("[[prices]]") : FOREIGN.index("[billing]")]


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("prices = []", "prices: prices is empty"),
        ("prices = 5", "prices: prices must be a list in [ ], not 5"),
        ("prices = [5]", "prices: prices[0] must be a table, not 5"),
    ],
)
def test_a_sheet_has_prices(key: str, expected: str) -> None:
    assert told(replaced("format = 1", f"format = 1\n{key}", replaced(PRICES, ""))) == [expected]


def test_a_rule_is_a_table() -> None:
    rules = FOREIGN[FOREIGN.index("[[rules]]") : FOREIGN.index("[[prices]]")]
    text = replaced("format = 1", 'format = 1\nrules = ["at-most"]', replaced(rules, ""))
    assert told(text) == ['rules: rules[0] must be a table, not "at-most"']


def test_a_mistake_in_a_table_of_a_rule_is_told_at_its_key() -> None:
    text = replaced("counts = { reference_images = 1, reference_videos = 2 }\n", "")
    text = replaced(
        '\n[[rules]]\nkind = "total', '\n[rules.counts]\nreference_videos = 0\n\n[[rules]]\nkind = "total', text
    )
    assert told(text) == ["reference_videos: rules[0].counts.reference_videos is 0, but a weight must be above 0"]


def test_prices_by_more_combinations_than_can_be_tried_are_refused() -> None:
    flags = "".join(
        f'[fields.flag{n}]\ntype = "boolean"\nattribute = "flag-{letter}"\nsource = "page"\n'
        for n, letter in enumerate("abcdefghijklmno")
    )
    given = ", ".join(f'"flag{n}"' for n in range(15))
    text = replaced("[fields.seconds]", f"{flags}[fields.seconds]")
    text = replaced('when = { resolution = "480p" }', f"given = [{given}]", text)
    expected = "prices depend on 98304 combinations of fields; at most 20000 can be checked"
    assert told(text) == [f": {expected}"]


def test_lists_in_lists_without_end_are_refused() -> None:
    text = replaced("[fields.seconds]", f"[fields.deep{'.items' * 13}]\n[fields.seconds]")
    assert f": fields.deep{'.items' * 11} is nested too deeply" in told(text)
