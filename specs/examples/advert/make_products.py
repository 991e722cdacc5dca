"""Writes the five hundred products of the advert: names as shops have them, with accents, quotes and commas.

Nothing is drawn by lot: the row's number chooses every word, so the file is the same wherever it is made.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

ROWS = 500
COLUMNS = ("sku", "category", "name", "maker", "material", "colour", "price_eur", "hero")

CATEGORIES = {
    "Mug": (("stoneware", "porcelain", "enamelled steel"), 18),
    "Lamp": (("spun brass", "pleated linen", "hand-blown glass"), 120),
    "Chair": (("steamed beech", "oiled oak", "woven paper cord"), 340),
    "Bottle": (("recycled glass", "cork and glass", "brushed steel"), 24),
    "Basket": (("split willow", "seagrass", "peeled chestnut"), 45),
    "Clock": (("walnut", "bent plywood", "painted tin"), 95),
    "Bag": (("waxed canvas", "vegetable-tanned leather", "felted wool"), 160),
    "Kettle": (("cast iron", "enamelled steel", "hammered copper"), 70),
}
"""Each category with its materials and what its cheapest article costs, in euros."""

SERIES = (
    "Ångström",
    "“Hygge”",
    "Señora",
    "Brontë",
    "Łódź",
    'Matin, "petit"',
    "さくら",
    "O'Hara",
    "Žofie",
    "Nº 7",
    "Frau Müller",
    "«Утро»",
    "Tête-à-tête",
    "Çelik",
    "Kőszeg",
    "Rye & Thyme",
    "Þingvellir",
    "美咲",
    "Fado, slow",
    "Ελιά",
    "Bourrée",
)
FORMS = ("small", "tall", 'the "lazy" one', "for two", "round", "travel size", "extra wide", "first edition", "low")
MAKERS = ("Fjörð & Daughters", "Atelier d'Été", "Kowalski, Sohn & Cie", "Tokoname 急須", "Casa Núñez", "The Old Forge")
COLOURS = ("chalk white", "moss green", "rust red", "ink blue", "honey", "smoke grey", "plum")
HERO_EVERY = 41
"""One product in so many gets the long treatment."""


def make_rows() -> list[tuple[str, ...]]:
    """Return the rows in the order of `COLUMNS`."""
    names = tuple(CATEGORIES)
    rows: list[tuple[str, ...]] = []
    for number in range(ROWS):
        category = names[number % len(names)]
        place = number // len(names)
        materials, base = CATEGORIES[category]
        series = SERIES[(place + number % len(names) * 5) % len(SERIES)]
        form = FORMS[(place // len(SERIES) + number * 2) % len(FORMS)]
        cents = (base * 100 + place * 137 + number % 7 * 250) // 10 * 10
        rows.append(
            (
                f"{category.lower()}-{place + 1:03}",
                category,
                f"{series} {category.lower()}, {form}",
                MAKERS[(number * 5 + place) % len(MAKERS)],
                materials[place % len(materials)],
                COLOURS[(place * 3 + number) % len(COLOURS)],
                f"{cents // 100}.{cents % 100:02}",
                "yes" if number % HERO_EVERY == 0 else "no",
            )
        )
    return rows


def render_csv() -> str:
    """Return the file's text, quoted only where a value needs it."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(make_rows())
    return text.getvalue()


if __name__ == "__main__":
    Path(__file__).with_name("products.csv").write_text(render_csv(), "utf-8")
