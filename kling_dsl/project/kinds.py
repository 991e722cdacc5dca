"""What a file is by its first bytes, whatever its name says."""

from __future__ import annotations

HEAD_BYTES = 1024
"""How many of the first bytes decide the kind: enough for the preamble that may precede `<svg`."""

_PREFIXES = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),
    (b"MM\0+", "tiff"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "jp2"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "jxl"),
    (b"\xff\x0a", "jxl"),
    (b"8BPS\0", "psd"),
    (b"\0\0\1\0", "ico"),
    (b"v/1\x01", "exr"),
    (b"%PDF-", "pdf"),
    (b"PK\3\4", "zip"),
    (b"OggS\0", "ogg"),
    (b"fLaC", "flac"),
    (b"ID3", "mp3"),
    (b"FLV\1", "flv"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "wmv"),
)
_RIFF_FORMS = {b"WEBP": "webp", b"WAVE": "wav", b"AVI ": "avi"}
_BRANDS = {
    b"avif": "avif",
    b"avis": "avif",
    b"heic": "heic",
    b"heix": "heic",
    b"heim": "heic",
    b"heis": "heic",
    b"hevc": "heic",
    b"hevx": "heic",
    b"mif1": "heic",
    b"msf1": "heic",
    b"qt  ": "mov",
    b"M4A ": "m4a",
    b"M4B ": "m4a",
    b"crx ": "cr3",
}
_BARE_QUICKTIME = (b"moov", b"mdat", b"wide", b"pnot")
_BITMAP_HEADERS = (12, 16, 40, 52, 56, 64, 108, 124)


def recognize(head: bytes) -> str:
    """Return the kind of a file from its first `HEAD_BYTES` bytes, or the empty string when it is none we know."""
    for prefix, kind in _PREFIXES:
        if head.startswith(prefix):
            return kind
    if head.startswith(b"RIFF"):
        return _RIFF_FORMS.get(head[8:12], "")
    if head[4:8] == b"ftyp":
        return _recognize_brand(head)
    if head[4:8] in _BARE_QUICKTIME:
        return "mov"
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return "webm" if b"webm" in head[:64] else "mkv"
    if head.startswith(b"BM") and int.from_bytes(head[14:18], "little") in _BITMAP_HEADERS:
        return "bmp"
    return "svg" if _is_svg(head) else ""


def _recognize_brand(head: bytes) -> str:
    """Return the kind of an ISO base media file from its `ftyp` box: the major brand, then the compatible ones."""
    end = min(int.from_bytes(head[:4], "big"), len(head))
    brands = [head[8:12], *(head[start : start + 4] for start in range(16, end - 3, 4))]
    major = _BRANDS.get(brands[0], "")
    if major == "heic" and brands[0] in (b"mif1", b"msf1") and {b"avif", b"avis"} & set(brands):
        return "avif"
    if major:
        return major
    if brands[0][:2] == b"3g":
        return "3gp"
    return "mp4"


def _is_svg(head: bytes) -> bool:
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    return text.startswith(b"<svg") or (text.startswith((b"<?xml", b"<!--", b"<!DOCTYPE svg")) and b"<svg" in text)
