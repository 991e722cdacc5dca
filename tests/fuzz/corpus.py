"""What each campaign begins with: the small texts beside this file, and what the project's own pages and tests hold."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from fuzz.mutations import LARGEST
from fuzz.targets import small_plan
from kling_dsl.reports import pages
from kling_dsl.resources import specs_path

HERE = Path(__file__).resolve().parent
SEEDS = HERE / "corpus"
FOUND = HERE / "found"


def found_cases() -> dict[str, Path]:
    """Return every input that once broke a promise, by `target/name`; they are run for ever."""
    return _files(FOUND)


def seed_files() -> dict[str, Path]:
    """Return the texts that campaigns begin with, by `target/name`."""
    return _files(SEEDS)


def content_of(path: Path) -> bytes:
    """Return the bytes of a case; a file that ends in `.hex` writes them as digits, for what is no text."""
    return bytes.fromhex(path.read_text(encoding="ascii")) if path.suffix == ".hex" else path.read_bytes()


def write_case(folder: Path, name: str, data: bytes) -> Path:
    """Write an input as a case, as text where it is text that every editor and git leave as it is."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        is_text = data.decode("utf-8").replace("\n", "").isprintable()
    except UnicodeDecodeError:
        is_text = False
    path = folder / (f"{name}.txt" if is_text else f"{name}.hex")
    path.write_bytes(data if is_text else data.hex().encode())
    return path


@cache
def seeds_of(target: str) -> tuple[bytes, ...]:
    """Return what a campaign of a target begins with, always in one order and never empty."""
    files = {**seed_files(), **found_cases()}
    texts = [content_of(path) for name, path in sorted(files.items()) if name.startswith(f"{target}/")]
    texts += {
        "film": _films,
        "template": _films,
        "disk": _films,
        "sheet": _sheets,
        "media": _media,
        "clip": _clips,
    }.get(target, lambda: ())()
    if target == "plan":
        texts.append(small_plan())
    return tuple(dict.fromkeys(text for text in texts if len(text) <= LARGEST)) or (b"",)


def _files(folder: Path) -> dict[str, Path]:
    return {f"{path.parent.name}/{path.name}": path for path in sorted(folder.glob("*/*")) if path.is_file()}


def project_input(files: Mapping[str, str], main: str) -> bytes:
    """Return the files of a project as one input, the film first."""
    others = "".join(f"\n%%% {name}\n{text}" for name, text in files.items() if name != main)
    return (files[main] + others).encode("utf-8", "replace")


def _films() -> Iterator[bytes]:
    for slug in pages.slugs():
        page = pages.page(slug)
        for example in page.examples if page else ():
            yield project_input(example.files, example.main)
    for path in sorted(specs_path("examples").glob("*/*.kling")):
        yield path.read_bytes()


def _sheets() -> Iterator[bytes]:
    for path in sorted(specs_path("models").glob("*.toml")):
        yield path.read_bytes()


def _media() -> Iterator[bytes]:
    from media_samples import make_animation, make_picture

    for kind in ("png", "jpeg", "gif", "webp", "bmp", "avif"):
        yield make_picture(kind, 8, 4)
    for kind in ("png", "jpeg", "webp"):
        yield make_picture(kind, 8, 4, orientation=6)
    yield make_animation("gif", 8, 4)
    yield make_animation("webp", 8, 4)
    yield from _videos("mp4", "webm")


def _clips() -> Iterator[bytes]:
    yield from _videos("mp4", "webm", "mov")


def _videos(*kinds: str) -> Iterator[bytes]:
    from media_samples import make_video

    with tempfile.TemporaryDirectory() as folder:
        for kind in kinds:
            yield make_video(Path(folder) / f"a.{kind}", width=16, height=16, rate=2, rotation=90).read_bytes()


def shuffled(seeds: tuple[bytes, ...], seed: int) -> list[bytes]:
    """Return seeds in an order of their own for each campaign, so that a short one does not always begin alike."""
    order = list(seeds)
    random.Random(seed).shuffle(order)
    return order
