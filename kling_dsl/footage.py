"""What a clip's file really is: its pictures are decoded, measured against what was asked for, and the last one taken."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import re
import stat
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import msgspec

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream
    from PIL.Image import Image

MAX_PICTURE_PIXELS = 40_000_000
"""The largest picture that is decoded, a little more than 8K; a header may claim any, and takes the memory for it."""

MAX_PICTURES = 20_000
"""The most pictures that are decoded after a seek; minutes of video without a picture to begin at are no clip."""

MAX_HEADER_BYTES = 32 * 1024 * 1024
MAX_BOXES = 10_000
MAX_SAMPLES = 2_000_000
"""What the boxes around a clip's data may take, and how many samples a table may claim, which takes 24 bytes of memory
each: fifteen seconds have some thousand, in 20 kB."""

LENGTH_TOLERANCE = Fraction(1, 2)
"""How many seconds, besides one picture, a clip may differ from what was asked for."""

ASPECT_TOLERANCE = Fraction(1, 50)
"""By what part the shape of a clip may differ from what was asked for: pixels are whole, and encoders like even ones."""


class Footage(msgspec.Struct, frozen=True):
    """What a clip measures as it is displayed; `seconds` from its first picture to the end of its last."""

    container: str
    width: int
    height: int
    seconds: float
    frames_per_second: float
    has_audio: bool
    bytes: int


class Unusable(msgspec.Struct, frozen=True):
    """Why a file is no clip that can be shown, in words that follow its name."""

    reason: str


class Undecodable(Exception):
    """A clip from which no picture can be taken; the message says why."""


class Expected(msgspec.Struct, frozen=True):
    """What a clip should measure; None is for what nothing is known of.

    `size` is width and height in pixels; with `size_is_sure` another one is refused and not only noted.
    """

    container: str
    seconds: int
    size: tuple[int, int] | None = None
    aspect: Decimal | float | None = None
    audio: bool | None = None
    size_is_sure: bool = False
    frames_per_second: Decimal | float | None = None


class Finding(msgspec.Struct, frozen=True):
    """How a clip differs from what was asked for: what makes it another clip, and what is only worth a note."""

    refused: tuple[str, ...] = ()
    noted: tuple[str, ...] = ()


def measure(path: Path) -> Footage | Unusable:
    """Open a clip and decode its first picture and its last ones; return what it measures, or why it is none.

    One demuxer is named, and it gets this one open file, so that no content can make it reach for another. Memory
    does not grow with the file. Raises OSError when the disk fails, and ImportError without the extra `media`.
    """
    try:
        with _open(path) as video:
            return video.footage(video.first(), video.last())
    except _Damaged as damage:
        return Unusable(str(damage))


def compare(footage: Footage, expected: Expected) -> Finding:
    """Return how a clip differs from what was asked for."""
    refused: list[str] = []
    noted: list[str] = []
    if footage.container != expected.container:
        refused.append(f"it is {footage.container}, and {expected.container} was expected")
    rate = footage.frames_per_second
    if abs(footage.seconds - expected.seconds) > LENGTH_TOLERANCE + (1 / rate if rate > 0 else 0):
        refused.append(f"it is {footage.seconds:.2f} s long, and {expected.seconds} s were asked for")
    size = (footage.width, footage.height)
    if expected.aspect is not None:
        shape, wanted = size[0] / size[1], float(expected.aspect)
        if abs(shape - wanted) > wanted * ASPECT_TOLERANCE:
            refused.append(f"it is {_show(size)}, a shape of {shape:.2f} to 1, and {wanted:.2f} to 1 was asked for")
    if expected.size is not None and size != expected.size:
        (refused if expected.size_is_sure else noted).append(
            f"it is {_show(size)}, and {_show(expected.size)} was expected"
        )
    if expected.audio and not footage.has_audio:
        refused.append("it has no sound, and sound was asked for")
    if expected.audio is False and footage.has_audio:
        noted.append("it has sound, and none was asked for")
    if expected.frames_per_second is not None and round(rate) != round(expected.frames_per_second):
        noted.append(f"it has {rate:.4g} frames a second, and {float(expected.frames_per_second):.4g} were expected")
    return Finding(tuple(refused), tuple(noted))


def last_frame(path: Path, *, most_bytes: int | None = None) -> bytes:
    """Return the picture that is shown last, upright and in full size, as PNG; the same file gives the same bytes.

    With `most_bytes`, a picture that is larger as PNG comes as the best JPEG that is not: a model takes pictures only
    up to some size. Raises `Undecodable`, OSError when the disk fails, and ImportError without the extra `media`.
    """
    try:
        with _open(path) as video:
            picture = video.upright(video.last())
    except _Damaged as damage:
        raise Undecodable(f"no picture can be taken from {path}: it {damage}") from None
    content = _save(picture, "PNG")
    for quality in _JPEG_QUALITIES:
        if most_bytes is None or len(content) <= most_bytes:
            return content
        content = _save(picture, "JPEG", quality=quality, subsampling=0)
    if most_bytes is None or len(content) <= most_bytes:
        return content
    raise Undecodable(f"the last picture of {path} does not fit into {most_bytes} bytes")


class _Damaged(Exception):
    """What is wrong with a file's content, in words that follow its name."""


_JPEG_QUALITIES = (97, 94, 90, 85, 75)
_UNSPECIFIED_COLOURS = 2
_STANDARD_DEFINITION_LINES = 576
_HEAD_BYTES = 64
_DEMUXERS = {"mp4": "mov", "mov": "mov", "webm": "matroska", "mkv": "matroska"}
_LIMITS = {"max_pixels": str(MAX_PICTURE_PIXELS)}
_DEMUXER_OPTIONS = {
    # Opening may decode pictures to learn about a stream, whose claimed size is a stranger's word for memory to take.
    "skip_frame": "all",
    "probesize": str(4 * 1024 * 1024),
    "threads": "1",
}


class _Video:
    """The pictures of an open clip."""

    def __init__(self, file: BinaryIO, container: InputContainer, *, kind: str) -> None:
        self._file = file
        self._container = container
        self._kind = kind
        if not container.streams.video:
            raise _Damaged("holds no video")
        self._stream: VideoStream = container.streams.video[0]
        codec = self._stream.codec_context
        if codec is None:
            raise _Damaged("holds video of a kind that cannot be decoded here")
        codec.options = dict(_LIMITS)
        # Several clips are measured at once, and each further thread takes the memory of some more pictures.
        codec.thread_count = 1

    def first(self) -> VideoFrame:
        """Decode the picture that is shown first."""
        frame: VideoFrame
        for frame in self._container.decode(self._stream):
            return _intact(frame, "first")
        raise _Damaged("holds no picture")

    def last(self) -> VideoFrame:
        """Decode the picture that is shown last, which need not be the last one in the file."""
        self._seek_end()
        last = self._decode_to_end()
        if last is None:
            # The place where decoding should have begun was none.
            self._container.seek(0)
            last = self._decode_to_end()
        if last is None:
            raise _Damaged("holds no picture")
        return _intact(last, "last")

    def _decode_to_end(self) -> VideoFrame | None:
        last: VideoFrame | None = None
        for number, frame in enumerate(self._container.decode(self._stream)):
            if number >= MAX_PICTURES:
                raise _Damaged(f"has more than {MAX_PICTURES} pictures without one to begin at")
            if last is None or last.pts is None or frame.pts is None or frame.pts >= last.pts:
                last = frame
        return last

    def _seek_end(self) -> None:
        """Go to the last picture from which decoding can begin; a file that cannot say which is read all through."""
        import av

        stream = self._stream
        with contextlib.suppress(av.FFmpegError):
            if stream.duration is not None:
                self._container.seek((stream.start_time or 0) + stream.duration, stream=stream)
            else:
                self._container.seek(self._container.duration or 0)

    def footage(self, first: VideoFrame, last: VideoFrame) -> Footage:
        """Return the measures by what was decoded; headers only say the rate and whether there is sound."""
        width, height = self._display_size(last)
        if abs(last.rotation) % 180 == 90:
            width, height = height, width
        rate = self._stream.average_rate or self._stream.guessed_rate or Fraction(0)
        audio = self._container.streams.audio
        return Footage(
            container=self._kind,
            width=width,
            height=height,
            seconds=self._seconds(first, last, rate),
            frames_per_second=float(rate),
            has_audio=any(sound.duration is None or sound.duration > 0 for sound in audio),
            bytes=os.fstat(self._file.fileno()).st_size,
        )

    def upright(self, frame: VideoFrame) -> Image:
        """Return a picture as it is displayed."""
        from PIL.Image import Transpose

        # Players take untagged pictures above standard definition for BT.709; the converter would not.
        untagged = frame.colorspace == _UNSPECIFIED_COLOURS and frame.height > _STANDARD_DEFINITION_LINES
        settings = {"src_colorspace": "ITU709"} if untagged else {}
        image: Image = frame.to_image(**settings)  # type: ignore[no-untyped-call]
        size = self._display_size(frame)
        if image.size != size:
            image = image.resize(size)
        turn = {90: Transpose.ROTATE_90, 180: Transpose.ROTATE_180, 270: Transpose.ROTATE_270}.get(frame.rotation % 360)
        return image if turn is None else image.transpose(turn)

    def _seconds(self, first: VideoFrame, last: VideoFrame, rate: Fraction) -> float:
        base = self._stream.time_base
        if base is None or first.pts is None or last.pts is None:
            raise _Damaged("does not say when its pictures are shown")
        shown = last.duration * base if last.duration else (1 / rate if rate else Fraction(0))
        return float((last.pts - first.pts) * base + shown)

    def _display_size(self, frame: VideoFrame) -> tuple[int, int]:
        """Return width and height of a picture with square pixels, before it is turned."""
        ratio = self._stream.sample_aspect_ratio
        width = max(1, round(frame.width * ratio)) if ratio else frame.width
        if width * frame.height > MAX_PICTURE_PIXELS:
            raise _Damaged("claims pixels of a shape that no picture has")
        return (width, frame.height)


@contextlib.contextmanager
def _open(path: Path) -> Iterator[_Video]:
    """Open a clip, and turn whatever the demuxer and the decoder say of it into `_Damaged`."""
    import av

    with open(path, "rb", opener=_open_regular) as file:
        kind = _kind_of(file)
        file.seek(0)
        try:
            with av.open(
                file, "r", format=_DEMUXERS[kind], metadata_errors="ignore", options=dict(_DEMUXER_OPTIONS)
            ) as container:
                yield _Video(file, container, kind=kind)
        except _Damaged:
            raise
        except Exception as problem:
            if isinstance(problem, OSError) and not isinstance(problem, av.FFmpegError):
                raise
            # The libraries read bytes that anyone may have written, and have many ways to say they make no sense.
            words = (problem.strerror if isinstance(problem, av.FFmpegError) else "") or type(problem).__name__
            raise _Damaged(f"cannot be decoded: {words}") from problem


def _open_regular(path: str, _: int) -> int:
    flags = os.O_RDONLY
    for flag in ("O_NONBLOCK", "O_NOFOLLOW", "O_CLOEXEC", "O_NOCTTY", "O_BINARY"):
        flags |= getattr(os, flag, 0)
    number = os.open(path, flags)
    if stat.S_ISREG(os.fstat(number).st_mode):
        return number
    os.close(number)
    raise OSError(errno.EINVAL, "is no regular file", path)


def _kind_of(file: BinaryIO) -> str:
    """Return the container by its first bytes, after making sure that an MP4 or MOV is whole and modest."""
    head = file.read(_HEAD_BYTES)
    if not head:
        raise _Damaged("is empty")
    if head.startswith(b"\x1aE\xdf\xa3"):
        return "webm" if b"webm" in head else "mkv"
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide"):
        _check_boxes(file)
        return "mp4" if head[4:8] == b"ftyp" and head[8:12] != b"qt  " else "mov"
    shown = next((name for start, name in _STRANGERS if head.lstrip().lower().startswith(start)), "")
    raise _Damaged(f"is no video{shown}")


_STRANGERS = (
    (b"<", ", but a web page or XML"),
    (b"{", ", but JSON"),
    (b"#extm3u", ", but a playlist"),
    (b"\x89png", ", but a PNG picture"),
    (b"\xff\xd8\xff", ", but a JPEG picture"),
)
_TABLES = re.compile(rb"(?=(cmov).{4}dcom|(?:stsz|stz2).{8}(.{4})|trun.{4}(.{4}))", re.DOTALL)


def _check_boxes(file: BinaryIO) -> None:
    """Refuse a file that is cut off, or whose tables claim more than a clip has, before a demuxer believes them."""
    end = file.seek(0, os.SEEK_END)
    offset, header_bytes, samples = 0, 0, 0
    names: set[bytes] = set()
    for _ in range(MAX_BOXES):
        if offset + 8 > end:
            break
        file.seek(offset)
        name, length = _read_box(file.read(16), left=end - offset)
        if length < 8:
            raise _Damaged(f"has a broken box at byte {offset}")
        if offset + length > end:
            raise _Damaged(f"is cut off: {end} of at least {offset + length} bytes are there")
        names.add(name)
        if name not in (b"mdat", b"free", b"skip"):
            header_bytes += length
            if header_bytes > MAX_HEADER_BYTES:
                raise _Damaged("has a header that is larger than any clip's")
            file.seek(offset)
            samples += _count_samples(file.read(length))
            if samples > MAX_SAMPLES:
                raise _Damaged("has a header that claims more samples than any clip has")
        offset += length
    else:
        raise _Damaged(f"has more than {MAX_BOXES} boxes")
    if b"moov" not in names:
        raise _Damaged("is cut off: its table of contents is not there")


def _read_box(head: bytes, *, left: int) -> tuple[bytes, int]:
    """Return the name of the box that begins so, and its length with its head; one may reach to the end."""
    length = int.from_bytes(head[:4], "big")
    if length == 1:
        length = int.from_bytes(head[8:], "big")
    return head[4:8], length or left


def _count_samples(content: bytes) -> int:
    """Return how many samples the tables claim; they are looked for wherever a demuxer might find them."""
    claimed = 0
    for table in _TABLES.finditer(content):
        if table[1]:
            raise _Damaged("has a compressed header, which no clip needs")
        claimed += int.from_bytes(table[2] or table[3], "big")
    return claimed


def _intact(frame: VideoFrame, which: str) -> VideoFrame:
    if frame.is_corrupt:
        raise _Damaged(f"has a damaged {which} picture")
    return frame


def _save(picture: Image, form: str, **options: int) -> bytes:
    content = io.BytesIO()
    picture.save(content, form, **options)
    return content.getvalue()


def _show(size: tuple[int, int]) -> str:
    return f"{size[0]} × {size[1]}"
