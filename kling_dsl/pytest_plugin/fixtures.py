"""What the fixtures hand to a user's own tests: a project in a folder, a compiled film, a running sandbox."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from kling_dsl.compiler import Compilation
from kling_dsl.harness import Ask, Bench
from kling_dsl.sandbox import Bill, Running, Settings, missing_packages, running
from kling_dsl.sheets import Profiles


class Folder:
    """A project in a temporary folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        # The mark of a root: without it a project above the temporary folder would be found.
        (root / ".git").mkdir(exist_ok=True)

    def write(self, path: str, content: str | bytes) -> Path:
        """Write a file below the root, with the folders above it."""
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
        return place

    def compile(
        self,
        path: str,
        *,
        model: str | None = None,
        values: Mapping[str, str] | None = None,
        data: Mapping[str, str] | None = None,
    ) -> Compilation:
        """Compile a film by its path from the root; `data` maps names to paths from the root."""
        bench = Bench.at(self.root / path, Ask(model, values or {}, data or {}))
        return bench.compile(path).compilation


class SandboxStage:
    """A sandbox that runs until the test ends."""

    def __init__(self, sandbox: Running) -> None:
        self._sandbox = sandbox
        self.url = sandbox.url

    def environment(self) -> dict[str, str]:
        """Return the variables with which unmodified clients of fal come here, and nowhere else."""
        return self._sandbox.environment()

    def bill(self) -> Bill:
        """Return what was counted until now."""
        return self._sandbox.bill()

    def render(self, film: Path, *words: str) -> subprocess.CompletedProcess[str]:
        """Run `kling render` against this sandbox, and return how it ended and what it printed."""
        return subprocess.run(  # noqa: S603 -- this program itself
            (sys.executable, "-m", "kling_dsl", "render", "--sandbox", str(film), *words),
            env={**os.environ, **self.environment()},
            capture_output=True,
            encoding="utf-8",
            check=False,
        )


def make_folder(base: Path) -> Callable[..., Folder]:
    """Return what makes projects below a folder, each in a folder of its own."""
    made: list[Folder] = []

    def make(files: Mapping[str, str | bytes] | None = None) -> Folder:
        folder = Folder(base / f"project-{len(made) + 1}")
        made.append(folder)
        for path, content in (files or {}).items():
            folder.write(path, content)
        return folder

    return make


def make_compile(base: Path) -> Callable[..., Compilation]:
    """Return what compiles a film, given as a text or as the path of a file."""

    def compile_film(
        film: str | os.PathLike[str],
        *,
        model: str | None = None,
        values: Mapping[str, str] | None = None,
        data: Mapping[str, str | os.PathLike[str]] | None = None,
    ) -> Compilation:
        path = Folder(base / "text").write("film.kling", film) if isinstance(film, str) else Path(film)
        project = Bench.at(path).project
        script = project.relative(path)
        if script is None:
            raise ValueError(f"{path} lies outside its project, whose root is {project.root}")
        files: dict[str, str] = {}
        for name, file in (data or {}).items():
            place = project.relative(Path(file))
            if place is None:
                raise ValueError(f"{file} lies outside the project, whose root is {project.root}")
            files[name] = place
        return Bench(project, Ask(model, values or {}, files)).compile(script).compilation

    return compile_film


def serve_sandbox(folder: Path) -> Iterator[SandboxStage]:
    """Yield a sandbox whose jobs take no time and give ready-made clips; without the extras that it needs, the test is skipped by name."""
    if missing_packages():
        import pytest

        pytest.skip(f"the sandbox needs {', '.join(missing_packages())}: pip install 'kling-dsl[serve,media]'")
    settings = Settings(job_seconds=0.0, media="plain")
    with running(settings, folder=folder, profiles=Profiles.of({})) as sandbox:
        yield SandboxStage(sandbox)
