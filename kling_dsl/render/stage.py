"""Where a render keeps its records: the project's own ledger and lock, or those of the sandbox beside them."""

from __future__ import annotations

from pathlib import Path

import msgspec

from kling_dsl.project import Project


class Stage(msgspec.Struct, frozen=True):
    """The folders and files of a render; what is rendered in the sandbox never touches those of real money."""

    name: str
    root: Path
    home: Path
    out: Path
    is_new: bool = False
    """Whether the sandbox began with this run, so that no other run's takes can be in it."""

    @classmethod
    def real(cls, project: Project) -> Stage:
        """Return the stage on which money is spent."""
        return cls("real", project.root, project.root / ".kling", project.root / project.settings.paths.out)

    @classmethod
    def sandbox(cls, project: Project) -> Stage:
        """Return the stage on which nothing is: everything of it lies in folders called `sandbox`."""
        return cls(
            "sandbox",
            project.root,
            project.root / ".kling" / "sandbox",
            project.root / project.settings.paths.out / "sandbox",
        )

    @property
    def spends(self) -> bool:
        """Say whether what is bought here costs money."""
        return self.name == "real"

    @property
    def ledger(self) -> Path:
        """The ledger's database."""
        return self.home / "ledger.db"

    @property
    def store(self) -> Path:
        """The folder of the clips by digest."""
        return self.home / "store"

    @property
    def runs(self) -> Path:
        """The folder of the runs that are under way."""
        return self.home / "runs"

    def lock(self, film: str) -> Path:
        """Return the lock file of a film, which is given by its path from the root."""
        return (self.root if self.spends else self.home) / f"{film}.lock"

    def guard(self, film: str) -> Path:
        """Return the file that processes hold while they write a film's lock."""
        return self.home / "guards" / f"{film.replace('/', '_')}.guard"

    def clip(self, film: str, name: str) -> Path:
        """Return where the chosen take of a clip is shown under a readable name; `name` is its id."""
        return self.out / Path(film).with_suffix("") / f"{name}.mp4"
