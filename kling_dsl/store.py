"""The clips that were paid for, kept by the digest of their content, each with a record of where it comes from."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import itertools
import os
import re
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Literal

import msgspec

from kling_dsl.durable import sync_file, sync_folder, write_new, write_whole

SUFFIX = ".mp4"
RECORD_SUFFIX = ".json"

MAX_NUMBERED = 10_000
"""How many files of one name are kept beside each other before something must be wrong."""

How = Literal["there already", "hard link", "symbolic link", "copy"]


class Store:
    """Clips under `folder`, as `<first two>/<sha256>.mp4` with their record `<sha256>.json` beside them.

    A clip that is in place is complete, on the disk, and read-only, since its other names share its content. Folders
    are made when something is put into them, for this user alone. A digest that is none raises ValueError, as lock
    and ledger hold no such. A full disk, a read-only folder or a failing disk is an OSError that passes through.
    """

    def __init__(self, folder: Path) -> None:
        """Look at the store in `folder`, which need not be there yet."""
        self.folder = folder

    def path(self, sha256: str) -> Path:
        """Return where the clip with this digest is, or would be."""
        return self._place(sha256, SUFFIX)

    def has(self, sha256: str) -> bool:
        """Say whether a clip is in its place: a regular file that is not empty. `check` reads it as well."""
        return _is_clip(self.path(sha256))

    def check(self, sha256: str) -> str:
        """Return what is wrong with a clip, in words that follow its name; empty when its content has its digest."""
        path = self.path(sha256)
        if not _is_clip(path):
            return _what_is_there(path)
        found = _digest_of(path)
        return "" if found == sha256 else f"altered: its content has the digest {found[:12]}"

    def digests(self) -> Iterator[str]:
        """Yield the digest of every clip that is here, in order."""
        for place in sorted(self.folder.glob(f"[0-9a-f][0-9a-f]/*{SUFFIX}")):
            if _DIGEST.fullmatch(place.stem) and place.parent.name == place.stem[:2] and _is_clip(place):
                yield place.stem

    def provenance(self, sha256: str) -> bytes:
        """Return the record of a clip; empty when there is none."""
        try:
            return self._place(sha256, RECORD_SUFFIX).read_bytes()
        except FileNotFoundError:
            return b""

    def find_request(self, request_id: str) -> str:
        """Return the digest of the clip that a request gave, by the `request_id` of its record; empty for none.

        This is for the crash between putting a clip into place and writing that down: it reads every record.
        """
        places = sorted(self.folder.glob(f"[0-9a-f][0-9a-f]/*{RECORD_SUFFIX}")) if request_id else ()
        for place in places:
            digest = place.name.partition(".")[0]
            if _DIGEST.fullmatch(digest) and self.has(digest) and _request_of(place.read_bytes()) == request_id:
                return digest
        return ""

    def part(self, fingerprint: str, take: int) -> Path:
        """Return where the download of a take is written; the folder is there then, the file may be, from before."""
        folder = self._folder("incoming")
        return folder / f"{_checked(fingerprint)}-{take}.part"

    def keep(self, part: Path, provenance: bytes | Callable[[str], bytes]) -> str:
        """Move a complete download into its place and return its digest; `provenance` is its record, or makes it.

        Whenever this is cut off, the part or the clip is there, whole. With a clip that is there already the part
        is dropped; a record of another request is kept beside the first. What stands in the place of a clip and is
        not that clip goes to quarantine. Raises ValueError for an empty part.
        """
        digest = _digest_of(part)
        if digest == _NOTHING:
            raise ValueError(f"{part} is empty, and no clip")
        place = self._folder(digest[:2]) / f"{digest}{SUFFIX}"
        if os.path.lexists(place) and self.check(digest):
            self._put_aside(place, f"{digest[:12]}-altered", f"it stood in the place of {digest}")
        sync_file(part)
        self._record(digest, provenance(digest) if callable(provenance) else provenance)
        if os.path.lexists(place):
            part.unlink()
            return digest
        os.replace(part, place)
        sync_folder(place.parent)
        # A program that writes through another name of the clip would change what was paid for.
        place.chmod(0o444)
        return digest

    def quarantine(self, part: Path, reason: str, provenance: bytes) -> Path:
        """Move a download that is no good clip aside and return where it is; nothing there is ever replaced.

        Beside it lie the reason as text, and its record.
        """
        return self._put_aside(part, part.stem, reason, record=provenance)

    def _put_aside(self, path: Path, stem: str, reason: str, *, record: bytes = b"") -> Path:
        folder = self._folder("quarantine")
        suffix = SUFFIX if _looks_like_clip(path) else ".bin"
        for number in range(1, MAX_NUMBERED):
            name = f"{stem}-{number}"
            place = folder / f"{name}{suffix}"
            if os.path.lexists(place):
                continue
            said = folder / f"{name}.txt"
            try:
                # Whoever makes this file has the number, so that nobody else moves anything to it.
                write_new(said, reason.encode("utf-8", "backslashreplace") + b"\n")
            except FileExistsError:
                continue
            try:
                if record:
                    write_whole(folder / f"{name}{RECORD_SUFFIX}", record)
                os.rename(path, place)
            except BaseException:
                said.unlink(missing_ok=True)
                raise
            sync_folder(folder)
            return place
        raise FileExistsError(errno.EEXIST, "too many files of one name in quarantine", str(folder / stem))

    def _record(self, digest: str, content: bytes) -> None:
        """Write the record of a clip; that of another request, which gave the same bytes, stays beside it."""
        request = _request_of(content)
        for number in range(1, MAX_NUMBERED):
            place = self._place(digest, f".{number}{RECORD_SUFFIX}" if number > 1 else RECORD_SUFFIX)
            try:
                there = place.read_bytes()
            except FileNotFoundError:
                write_whole(place, content)
                return
            if _request_of(there) == request and there:
                return

    def _place(self, sha256: str, suffix: str) -> Path:
        return self.folder / _checked(sha256)[:2] / f"{sha256}{suffix}"

    def _folder(self, name: str) -> Path:
        """Return a folder of the store, made durably when it is not there."""
        folder = self.folder / name
        if not folder.is_dir():
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.mkdir(mode=0o700, exist_ok=True)
            sync_folder(self.folder)
        return folder


class Linked(msgspec.Struct, frozen=True):
    """One readable name of a clip: where it is and how it was made.

    `instead_of` is the file that has the name proper and is not ours, None when there is no such.
    """

    path: Path
    how: How
    instead_of: Path | None = None


def link_out(out: Path, links: Mapping[str, Path]) -> dict[str, Linked]:
    """Give clips of a store readable names in the folder `out`, and return what was done for each name.

    `links` maps names without suffix, such as a clip's id, to files of a store. A hard link is made, else a symbolic
    one, else a copy. What such a name led to before is replaced in one step when it is a clip of the same store; any
    other file stays as it is, and the clip gets a name beside it, `door.kling.mp4`. Raises ValueError for a name that
    is no file's, FileNotFoundError for a clip that is not there, and OSError.
    """
    for name in links:
        if not name or name in (".", "..") or "/" in name or "\0" in name or os.sep in name:
            raise ValueError(f"{name!r} is no name of a file")
    if out.is_symlink():
        # It may lead anywhere, and may have come with a stranger's change.
        raise NotADirectoryError(errno.ENOTDIR, "is a symbolic link; clips are shown in a folder", str(out))
    out.mkdir(parents=True, exist_ok=True)
    ours: dict[Path, _Ours] = {}
    done: dict[str, Linked] = {}
    for name, clip in links.items():
        store = clip.parent.parent
        done[name] = _link(out, name, clip, ours.setdefault(store, _Ours(Store(store))))
    return done


class _Ours:
    """Tells files that came from a store from those of others; the store is read once, when first asked."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._root = os.path.realpath(store.folder)
        self._clips: dict[tuple[int, int], str] | None = None
        self._sizes: set[int] = set()

    def digest_at(self, place: Path) -> str:
        """Return the digest of the clip that a file leads to or is a copy of; empty for a file of somebody else."""
        status = place.lstat()
        if stat.S_ISLNK(status.st_mode):
            # The clip itself may be gone; where the link leads is enough.
            lead = Path(os.path.realpath(place))
            inside = str(lead).startswith(self._root + os.sep) and _DIGEST.fullmatch(lead.stem)
            return lead.stem if inside else ""
        if not stat.S_ISREG(status.st_mode):
            return ""
        if self._clips is None:
            self._clips = {}
            for digest in self._store.digests():
                clip = self._store.path(digest).stat()
                self._clips[clip.st_dev, clip.st_ino] = digest
                self._sizes.add(clip.st_size)
        linked = self._clips.get((status.st_dev, status.st_ino))
        if linked is not None or status.st_size not in self._sizes:
            return linked or ""
        copied = _digest_of(place)
        return copied if self._store.has(copied) else ""


def _link(out: Path, name: str, clip: Path, ours: _Ours) -> Linked:
    if not _is_clip(clip):
        # A symbolic link could be made all the same, and would lead nowhere.
        raise FileNotFoundError(errno.ENOENT, "is no clip of the store", str(clip))
    proper = out / f"{name}{clip.suffix}"
    # No id has a dot in it, so that none of these is the proper name of another clip.
    others = (
        out / f"{name}.kling{f'-{number}' if number > 1 else ''}{clip.suffix}" for number in range(1, MAX_NUMBERED)
    )
    for place in itertools.chain((proper,), others):
        instead_of = None if place == proper else proper
        if not os.path.lexists(place):
            return Linked(place, _make_link(place, clip), instead_of)
        digest = ours.digest_at(place)
        if digest == clip.stem:
            return Linked(place, "there already", instead_of)
        if digest:
            return Linked(place, _make_link(place, clip), instead_of)
    raise FileExistsError(errno.EEXIST, "too many files of one name", str(proper))


def _make_link(place: Path, clip: Path) -> How:
    """Put a link to the clip, or a copy, into a place in one step."""
    temporary = place.with_name(f".{secrets.token_hex(8)}{clip.suffix}")
    try:
        how = _link_or_copy(temporary, clip)
        os.replace(temporary, place)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return how


def _link_or_copy(place: Path, clip: Path) -> How:
    # Many a file system has no links of one kind or the other, or none across its border.
    with contextlib.suppress(OSError):
        os.link(clip, place)
        return "hard link"
    with contextlib.suppress(OSError):
        os.symlink(os.path.relpath(os.path.realpath(clip), os.path.realpath(place.parent)), place)
        return "symbolic link"
    shutil.copyfile(clip, place)
    return "copy"


class _Record(msgspec.Struct, frozen=True):
    """What the store itself reads of a clip's record."""

    request_id: str = ""


_RECORD_DECODER = msgspec.json.Decoder(_Record)
_DIGEST = re.compile(r"[0-9a-f]{64}")
_NOTHING = hashlib.sha256(b"").hexdigest()
_HEAD_BYTES = 8


def _checked(digest: str) -> str:
    """Return a digest that may stand in a path; whatever is none may lead anywhere."""
    if not _DIGEST.fullmatch(digest):
        raise ValueError(f"{digest[:80]!r} is no SHA-256 digest")
    return digest


def _request_of(record: bytes) -> str:
    try:
        return _RECORD_DECODER.decode(record).request_id
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""


def _is_clip(path: Path) -> bool:
    try:
        status = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return stat.S_ISREG(status.st_mode) and status.st_size > 0


def _what_is_there(path: Path) -> str:
    """Return why a path is no clip."""
    if not os.path.lexists(path):
        return "missing"
    if path.is_symlink():
        return "altered: a symbolic link stands in its place"
    return "altered: it is empty" if path.is_file() else "altered: no regular file stands in its place"


def _digest_of(path: Path) -> str:
    """Return the SHA-256 of a regular file; nothing that a link leads to is read."""
    flags = os.O_RDONLY
    for flag in ("O_NONBLOCK", "O_NOFOLLOW", "O_CLOEXEC", "O_NOCTTY", "O_BINARY"):
        flags |= getattr(os, flag, 0)
    with open(path, "rb", opener=lambda name, _: os.open(name, flags)) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "is no regular file", str(path))
        return hashlib.file_digest(file, "sha256").hexdigest()


def _looks_like_clip(path: Path) -> bool:
    """Say whether a regular file begins as an MP4 does, so that it may be called one."""
    if not _is_clip(path):
        return False
    with path.open("rb") as file:
        return file.read(_HEAD_BYTES).endswith(b"ftyp")
