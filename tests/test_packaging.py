"""What is published is whole: the wheel runs away from the checkout, the source archive makes that wheel, the lock pins it all."""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import kling_dsl

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")

SHIPPED = ("diagnostics", "models", "programs", "sandbox", "starter")
"""The folders of `specs/` that the program reads."""


def call(*words: str | Path, folder: Path, code: int = 0) -> str:
    done = subprocess.run(
        [str(word) for word in words], cwd=folder, capture_output=True, encoding="utf-8", check=False, timeout=110
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def build_wheel(source: Path, folder: Path) -> Path:
    """Build a wheel as pip does, by the backend that the project names, which this environment has."""
    assert PROJECT["build-system"]["build-backend"] == "hatchling.build"
    call(sys.executable, "-c", f"import hatchling.build; hatchling.build.build_wheel({str(folder)!r})", folder=source)
    [wheel] = folder.glob("*.whl")
    return wheel


def members(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if not name.endswith("/")}


def files_under(*folders: str) -> set[str]:
    return {
        path.relative_to(ROOT).as_posix()
        for folder in folders
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and not {"__pycache__", ".venv"} & set(path.parts) and path.suffix != ".pyc"
    }


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sdist")
    call(sys.executable, "-m", "hatchling", "build", "--target", "sdist", "--directory", folder, folder=ROOT)
    [archive] = folder.glob("*.tar.gz")
    return archive


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of programs of an environment that has the wheel, and this one's packages beside it."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    options = ("--quiet", "--no-deps", "--no-index", "--no-compile", "--disable-pip-version-check")
    call(sys.executable, "-m", "pip", "--python", python, "install", *options, wheel, folder=folder)
    own = Path(call(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", folder=folder).strip())
    # A path named in a .pth is searched, but the .pth files in it, such as that of the checkout, are not read.
    (own / "others.pth").write_text(f"{sysconfig.get_path('purelib')}\n", encoding="utf-8")
    return folder / "bin"


def test_the_wheel_holds_the_program_and_what_it_reads(wheel: Path) -> None:
    expected = files_under("kling_dsl")
    expected |= {f"kling_dsl/{name}" for name in files_under("grammar", *(f"specs/{name}" for name in SHIPPED))}
    held = members(wheel)
    assert {name for name in held if ".dist-info/" not in name} == expected
    assert "kling_dsl/py.typed" in held
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in held)


def test_every_folder_of_specs_is_shipped_or_kept_back_on_purpose() -> None:
    folders = {path.name for path in (ROOT / "specs").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders == {*SHIPPED, "examples", "language"}


def test_the_version_stands_in_one_place(wheel: Path) -> None:
    assert wheel.name.split("-")[1] == kling_dsl.__version__
    assert PROJECT["project"]["dynamic"] == ["version"]


def test_the_source_archive_makes_the_same_wheel(sdist: Path, wheel: Path, tmp_path: Path) -> None:
    with tarfile.open(sdist) as archive:
        for member in archive.getmembers():
            path = tmp_path / member.name
            path.parent.mkdir(parents=True, exist_ok=True)
            content = archive.extractfile(member)
            assert content is not None, f"{member.name} is no plain file"
            path.write_bytes(content.read())
    [source] = tmp_path.iterdir()
    (tmp_path / "wheel").mkdir()
    with zipfile.ZipFile(wheel) as one, zipfile.ZipFile(build_wheel(source, tmp_path / "wheel")) as other:
        assert {name: one.read(name) for name in one.namelist()} == {
            name: other.read(name) for name in other.namelist()
        }


def test_the_source_archive_holds_what_a_developer_needs(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        held = {member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()}
    pages = {
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "LICENSE",
        "Makefile",
        "requirements.lock",
    }
    assert files_under("kling_dsl", "grammar", "specs", "tests", "benchmarks") | pages | {".ci/run"} <= held
    assert not [name for name in held if ".venv" in name or name.endswith(".pyc")]


def test_the_wheel_runs_away_from_the_checkout(installed: Path, tmp_path: Path) -> None:
    home = call(installed / "python", "-c", "import kling_dsl; print(kling_dsl.__file__)", folder=tmp_path).strip()
    assert Path(home).is_relative_to(installed.parent)
    assert kling_dsl.__version__ in call(installed / "kling", "--version", folder=tmp_path)
    call(installed / "kling", "init", "film", folder=tmp_path)
    assert "no mistakes" in call(installed / "kling", "check", "film.kling", folder=tmp_path / "film")
    assert "price" in call(installed / "kling", "plan", "film.kling", folder=tmp_path / "film")


def test_the_wheel_brings_sheets_pages_and_programs(installed: Path, tmp_path: Path) -> None:
    listed = call(installed / "kling", "models", folder=tmp_path)
    assert [path.stem for path in (ROOT / "specs" / "models").glob("*.toml") if path.stem not in listed] == []
    assert "unknown-reference" in call(installed / "kling", "explain", "unknown-reference", folder=tmp_path)
    call(installed / "kling", "init", ".", folder=tmp_path)
    for form in ("curl", "python", "javascript"):
        assert "Night Ferry" in call(installed / "kling", "compile", "film.kling", "--format", form, folder=tmp_path)


def pins() -> dict[str, list[tuple[Requirement, int]]]:
    """Return the pins of the lock by package, with how many digests each has."""
    found: dict[str, list[tuple[Requirement, int]]] = {}
    for block in re.split(r"\n(?=\S)", LOCK.strip()):
        if not block.startswith("#"):
            line, *digests = re.split(r"\s*\\\n\s*", block)
            assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", digest) for digest in digests), line
            pin = Requirement(line)
            found.setdefault(canonicalize_name(pin.name), []).append((pin, len(digests)))
    return found


def test_the_lock_pins_every_release_by_its_digests() -> None:
    for name, choices in pins().items():
        for pin, digests in choices:
            assert re.fullmatch(r"==[^*,]+", str(pin.specifier)), name
            assert digests > 0, name
    # A package with machine code has a wheel for each system and Python, not only for the one the lock was made on.
    for name in ("msgspec", "markupsafe", "av", "pillow", "coverage"):
        assert all(digests >= 8 for _, digests in pins()[name]), name


def test_the_lock_satisfies_the_project() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    wanted = [
        *PROJECT["project"]["dependencies"],
        *extras["media"],
        *extras["schema"],
        *PROJECT["dependency-groups"]["dev"],
    ]
    for requirement in map(Requirement, [*wanted, *PROJECT["build-system"]["requires"]]):
        for pin, _ in pins()[canonicalize_name(requirement.name)]:
            version = str(pin.specifier).removeprefix("==")
            assert requirement.specifier.contains(version), f"{requirement}: run `make lock`"


def test_the_lock_names_no_address_and_no_folder() -> None:
    assert not re.search(r"://|--index|--extra|--find|file:| @ |/", LOCK.partition("\n")[2])


def test_the_extra_all_is_the_sum_of_the_others() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    [everything] = extras["all"]
    assert Requirement(everything).extras == set(extras) - {"all"}
