"""The files of a project at a revision, and on the disk, as the compiler asks for them; nothing is digested twice."""

from __future__ import annotations

import posixpath
import re
from functools import cached_property
from io import BytesIO
from typing import TypeVar

import msgspec

from kling_dsl import __version__, saved
from kling_dsl.history.git import Entry, Repository, Tree, blob_id
from kling_dsl.project.disk import MAX_MEDIA_BYTES, MAX_TEXT_BYTES, DiskWorld, Signature
from kling_dsl.project.media import describe_media
from kling_dsl.project.videos import media_extra_present
from kling_dsl.world import Media, Unreadable

MAX_LINKS = 40
"""The most symbolic links that lead from a path to its file, as on the disk."""

RACY_NANOSECONDS = 2_000_000_000
"""A file that changed a moment ago may change again within the same tick of its clock, so that its facts are not kept."""

_MAX_LINK_BYTES = 4096
_MAX_POINTER_BYTES = 1024
_MAX_WHOLE_BYTES = 64 * 1024 * 1024
"""Larger files of the disk are digested piece by piece, and not held against git's ids."""

_POINTER = re.compile(rb"version https://git-lfs\.github\.com/spec/v1\n(?:[a-z0-9.-]+ [^\n]*\n)*")
_POINTER_DIGEST = re.compile(rb"^oid sha256:([0-9a-f]{64})$", re.MULTILINE)
_POINTER_SIZE = re.compile(rb"^size ([0-9]{1,18})$", re.MULTILINE)
_KINDS = {"jpg": "jpeg", "m4v": "mp4", "tif": "tiff"}

_OUTSIDE = Unreadable("outside", "leads out of the project folder")
_HIDDEN = Unreadable("outside", "is hidden (a name with a dot in front), so that no film may use it")
_MISSING = Unreadable("missing", "does not exist")
_NOT_HERE = Unreadable("unreadable", "is not in this clone, which left out parts of its history; fetch it with git")


Value = TypeVar("Value")


class Known(msgspec.Struct, frozen=True):
    """What is kept of a file on the disk: its facts, and the id that git gives to its content, empty when not asked."""

    media: Media
    blob: str = ""


class WorkingWorld:
    """The project on the disk, whose media facts are kept from run to run by path, size, time and inode.

    A file that is a pointer of Git LFS, because it was not fetched, counts as what it points to.
    """

    def __init__(self, disk: DiskWorld, *, like: str, now_ns: int) -> None:
        """Look at a disk; `like` is any id of its repository, `now_ns` a moment before which no file is read."""
        self._disk = disk
        self._like = like
        self._now_ns = now_ns
        self._known: dict[str, Known | Unreadable] = {}
        self.blobs: dict[str, Media] = {}
        """The facts of git's blobs, for every revision that is looked at beside this disk."""

    def read_text(self, path: str) -> str | Unreadable:
        """Return the text of a file."""
        return self._disk.read_text(path)

    def media(self, path: str) -> Media | Unreadable:
        """Return the facts of a media file."""
        known = self.known(path)
        return known if isinstance(known, Unreadable) else known.media

    def known(self, path: str) -> Known | Unreadable:
        """Return the facts of a media file with its id in git."""
        if path not in self._known:
            self._known[path] = self._find(path)
        return self._known[path]

    def _find(self, path: str) -> Known | Unreadable:
        signature = self._disk.signature(path)
        key = self._key(signature)
        if key and (kept := saved.load("files", key)) is not None and (known := _decoded(kept, Known)) is not None:
            return known
        found = self._measure(path, signature)
        if key and isinstance(found, Known):
            saved.store("files", key, msgspec.json.encode(found))
        return found

    def _key(self, signature: Signature) -> str:
        """Return what the facts are kept under, or nothing for a file of which none may be kept."""
        if signature.size < 0 or not signature.exists or self._now_ns - signature.mtime_ns < RACY_NANOSECONDS:
            return ""
        place = f"{self._disk.root}/{signature.path}"
        stamp = f"{signature.size} {signature.mtime_ns} {signature.inode} {len(self._like)}"
        return saved.key_of(_facts_version(), place, stamp)

    def _measure(self, path: str, signature: Signature) -> Known | Unreadable:
        if signature.size > _MAX_WHOLE_BYTES:
            large = self._disk.media(path)
            return large if isinstance(large, Unreadable) else Known(large)
        content = self._disk.read_media(path)
        if isinstance(content, Unreadable):
            return content
        if self._disk.signature(path) != signature or len(content) != signature.size:
            return Unreadable("unreadable", "changed while it was being read")
        media = read_pointer(content, path) or describe_media(BytesIO(content), limit=MAX_MEDIA_BYTES)
        assert media is not None, "the disk refuses a file that is too large"
        return Known(media, blob_id(content, like=self._like))


class GitWorld:
    """The files of a project at a commit, by path from the project's root, with the refusals of the disk.

    Symbolic links are followed inside the root and never out of it; what lies in a submodule is not looked into, and
    no filter of the repository is run. `beside` is the project on the disk: where it has the same file, or the
    one that a pointer of Git LFS names, its facts are taken from there.
    """

    def __init__(self, repository: Repository, tree: Tree, *, beside: WorkingWorld) -> None:
        self._repository = repository
        self._tree = tree
        self._beside = beside
        self._texts: dict[str, str | Unreadable] = {}
        self._media: dict[str, Media | Unreadable] = {}

    @property
    def paths(self) -> tuple[str, ...]:
        """Every file whose path is UTF-8 and not hidden, in order."""
        found = (path.decode("utf-8", "replace") for path, entry in self._tree.items() if entry.kind != "submodule")
        return tuple(sorted(path for path in found if "\ufffd" not in path and not _is_hidden(path)))

    def has(self, path: str) -> bool:
        """Say whether a path leads to a file."""
        return not isinstance(self._locate(path), Unreadable)

    def read_text(self, path: str) -> str | Unreadable:
        """Return the text of a UTF-8 file, newlines as they stand, without a byte order mark."""
        if path not in self._texts:
            content = self.read_bytes(path, limit=MAX_TEXT_BYTES, noun="text")
            self._texts[path] = content if isinstance(content, Unreadable) else _decode_text(content)
        return self._texts[path]

    def media(self, path: str) -> Media | Unreadable:
        """Return the facts of a media file: its digest from all of its bytes, the rest from its headers."""
        if path not in self._media:
            self._media[path] = self._measure(path)
        return self._media[path]

    def read_bytes(self, path: str, *, limit: int, noun: str) -> bytes | Unreadable:
        """Return the content of a file of at most `limit` bytes; `noun` says what it is to be."""
        found = self._locate(path)
        if isinstance(found, Unreadable):
            return found
        return self._read(found[1].id, limit=limit, noun=noun)

    def _read(self, blob: str, *, limit: int, noun: str) -> bytes | Unreadable:
        size = self._repository.size(blob)
        if size is None:
            return _NOT_HERE
        if size > limit:
            return Unreadable("too-large", f"is larger than the {limit // (1024 * 1024)} MiB that a {noun} may have")
        content = self._repository.read(blob)
        return _NOT_HERE if content is None else content

    def _measure(self, path: str) -> Media | Unreadable:
        found = self._locate(path)
        if isinstance(found, Unreadable):
            return found
        place, entry = found
        media = self._beside.blobs.get(entry.id) or self._measure_blob(place, entry.id)
        if isinstance(media, Media):
            self._beside.blobs[entry.id] = media
        return media

    def _measure_blob(self, place: str, blob: str) -> Media | Unreadable:
        key = saved.key_of(_facts_version(), "blob", blob)
        if (kept := saved.load("files", key)) is not None and (media := _decoded(kept, Media)) is not None:
            return media
        beside = self._beside.known(place)
        if isinstance(beside, Known) and beside.blob == blob:
            return beside.media
        content = self._read(blob, limit=MAX_MEDIA_BYTES, noun="media file")
        if isinstance(content, Unreadable):
            return content
        pointed = read_pointer(content, place)
        if pointed is not None:
            # What is known of it depends on what lies on the disk today, so that it is not kept.
            fetched = isinstance(beside, Known) and beside.media.sha256 == pointed.sha256
            return beside.media if fetched and isinstance(beside, Known) else pointed
        described = describe_media(BytesIO(content), limit=MAX_MEDIA_BYTES)
        assert described is not None, "a blob that is too large is not read"
        saved.store("files", key, msgspec.json.encode(described))
        return described

    def _locate(self, path: str) -> tuple[str, Entry] | Unreadable:
        """Return where a path really leads, symbolic links followed, and what is there, or why it is refused."""
        if "\0" in path:
            return Unreadable("unreadable", "holds a NUL character, which no path can")
        if path.startswith("/"):
            return _OUTSIDE
        try:
            pending = path.encode("utf-8").split(b"/")[::-1]
        except UnicodeEncodeError:
            return _MISSING
        links = 0
        here: list[bytes] = []
        while pending:
            name = pending.pop()
            if name == b"..":
                if not here:
                    return _OUTSIDE
                here.pop()
            if name in (b"", b".", b".."):
                continue
            here.append(name)
            entry = self._tree.get(b"/".join(here))
            if entry is None:
                continue
            if entry.kind == "submodule":
                return Unreadable("unreadable", "lies in a submodule, whose files this repository does not have")
            if entry.kind == "file":
                if pending:
                    return _MISSING
                break
            links += 1
            target = self._target(entry.id)
            if isinstance(target, Unreadable):
                return target
            if links > MAX_LINKS:
                return Unreadable("unreadable", "is a symbolic link that leads back to itself")
            here.pop()
            pending += target.split(b"/")[::-1]
        return self._arrived(b"/".join(here))

    def _target(self, link: str) -> bytes | Unreadable:
        target = self._read(link, limit=_MAX_LINK_BYTES, noun="symbolic link")
        return _OUTSIDE if isinstance(target, bytes) and target.startswith(b"/") else target

    def _arrived(self, place: bytes) -> tuple[str, Entry] | Unreadable:
        try:
            path = place.decode("utf-8")
        except UnicodeDecodeError:
            return _MISSING
        if _is_hidden(path):
            return _HIDDEN
        entry = self._tree.get(place)
        if entry is not None:
            return path, entry
        return Unreadable("directory", "is a folder") if not place or place in self._folders else _MISSING

    @cached_property
    def _folders(self) -> frozenset[bytes]:
        found: set[bytes] = set()
        for path in self._tree:
            folder = posixpath.dirname(path)
            while folder and folder not in found:
                found.add(folder)
                folder = posixpath.dirname(folder)
        return frozenset(found)


def read_pointer(content: bytes, path: str) -> Media | None:
    """Return what a pointer of Git LFS says of its file, whose kind is told by its ending; None for anything else."""
    if len(content) > _MAX_POINTER_BYTES or not _POINTER.fullmatch(content):
        return None
    digest, size = _POINTER_DIGEST.search(content), _POINTER_SIZE.search(content)
    if digest is None or size is None:
        return None
    ending = posixpath.splitext(path)[1][1:].lower()
    return Media(digest[1].decode("ascii"), int(size[1]), _KINDS.get(ending, ending))


def _is_hidden(path: str) -> bool:
    return path.startswith(".") or "/." in path


def _facts_version() -> str:
    return f"{__version__} {media_extra_present()}"


def _decode_text(content: bytes) -> str | Unreadable:
    try:
        return content.removeprefix(b"\xef\xbb\xbf").decode("utf-8")
    except UnicodeDecodeError as problem:
        line = content.count(b"\n", 0, problem.start) + 1
        return Unreadable("not-utf-8", f"is not UTF-8: byte {problem.start}, line {line}")


def _decoded(content: bytes, kind: type[Value]) -> Value | None:
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
