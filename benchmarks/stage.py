"""Where measurements happen: a folder of films, and the commands that are measured in it."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
from processes import BenchmarkError, Command, Run, run

HERE = Path(__file__).resolve().parent
PEERS = HERE / "peers"


class Peer(msgspec.Struct, frozen=True):
    """A way to compile the same film without us: `words` follow the Python of the peers."""

    title: str
    words: tuple[str, ...]


class Milliseconds(msgspec.Struct, frozen=True):
    """Times of repeated checks in milliseconds."""

    median: float
    least: float
    most: float


class Rechecks(msgspec.Struct, frozen=True):
    """What `recheck.py` prints: the lines of its film, the milliseconds of the first check, and each kind of edit."""

    lines: int
    first: float
    kinds: dict[str, Milliseconds]


YAML = Peer("YAML + Jinja2 + jsonschema", (str(PEERS / "yaml_film.py"), "film.yaml.j2", "safe"))
YAML_C = Peer("the same with PyYAML's C loader", (str(PEERS / "yaml_film.py"), "film.yaml.j2", "c"))
JSONNET = Peer("Jsonnet (rjsonnet)", (str(PEERS / "jsonnet_film.py"), "film.jsonnet", "collected"))
JSONNET_UNCOLLECTED = Peer(
    "the same without its garbage collector", (str(PEERS / "jsonnet_film.py"), "film.jsonnet", "uncollected")
)
PYDANTIC = Peer("Python + pydantic", ("film.py",))
PEERS_OF_COMPILE = (YAML, YAML_C, JSONNET, JSONNET_UNCOLLECTED, PYDANTIC)


class Stage:
    """A temporary folder with films and caches, for one call of the benchmarks."""

    def __init__(self, folder: Path, peers_python: Path) -> None:
        self.folder = folder
        self.peers_python = peers_python
        self._numbers = itertools.count(1)

    def film(self, shots: int) -> Path:
        """Return the folder that holds the film of `shots` shots in every notation."""
        folder = self.folder / f"film-{shots}"
        if not folder.exists():
            # The film is made by another process, because its memory would count as that of every later child.
            self.call("films.py", str(folder), "--shots", str(shots))
        return folder

    def kling(self, *words: str, cache: Path) -> Command:
        """Return a call of our command with its user cache in `cache`."""
        script = Path(sys.executable).with_name("kling")
        if not script.exists():
            raise BenchmarkError(f"{script} is missing: install the project into this environment first")
        variables = {"XDG_CACHE_HOME": str(cache), "HOME": str(cache)}
        return Command((sys.executable, str(script), *words), variables)

    def peer(self, peer: Peer) -> Command:
        """Return the call of a peer."""
        return Command((str(self.peers_python), *peer.words), {"PYTHONPATH": str(PEERS)})

    def black(self, path: Path, *, cache: Path) -> Command:
        """Return a call of `black --check` with its cache in `cache`."""
        script = self.peers_python.with_name("black")
        return Command((str(self.peers_python), str(script), "--check", str(path)), {"BLACK_CACHE_DIR": str(cache)})

    def empty_cache(self) -> Path:
        """Return a new, empty cache folder."""
        cache = self.folder / f"cache-{next(self._numbers)}"
        cache.mkdir()
        return cache

    def copied_cache(self, cache: Path) -> Path:
        """Return a new cache folder that holds what `cache` holds."""
        copy = self.folder / f"cache-{next(self._numbers)}"
        shutil.copytree(cache, copy)
        return copy

    def run(self, command: Command, shots: int, *, output: str = "output") -> Run:
        """Run the command in the folder of a film; its standard output stays beside the films as `<output>.json`."""
        return run(command, folder=self.film(shots), output=self.folder / f"{output}.json")

    def agree(self, ours: str, theirs: str, *, shots: int) -> None:
        """Raise BenchmarkError unless both outputs are the same requests and come to what the film comes to."""
        totals = self.film(shots) / "totals.json"
        outputs = (str(self.folder / f"{name}.json") for name in (ours, theirs))
        self.call("compare.py", *outputs, "--totals", str(totals))

    def recheck(self, lines: int, edits: int) -> Rechecks:
        """Return what re-checking an edited film in one process measured."""
        found = self.call("recheck.py", "--lines", str(lines), "--edits", str(edits))
        return msgspec.json.decode(found, type=Rechecks)

    def call(self, script: str, *words: str) -> str:
        """Return what a script of this folder prints; raise BenchmarkError when it fails."""
        done = subprocess.run((sys.executable, str(HERE / script), *words), capture_output=True, text=True, check=False)
        if done.returncode:
            raise BenchmarkError(f"{script} ended with {done.returncode}\n{done.stderr[-2000:]}")
        return done.stdout
