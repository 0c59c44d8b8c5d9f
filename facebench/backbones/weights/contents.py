"""Recognition of files that are not weights: web pages, Git LFS pointers, error messages, images."""

from __future__ import annotations

import codecs
from pathlib import Path

from facebench.core.errors import WeightsError

_SAMPLE = 4096
_SIGNATURES = (
    (b"\x89PNG", "it is a PNG image"),
    (b"\xff\xd8\xff", "it is a JPEG image"),
    (b"GIF8", "it is a GIF image"),
    (b"%PDF", "it is a PDF document"),
    (b"\x1f\x8b", "it is a gzip archive; unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "it is a 7z archive; unpack it first"),
    (b"Rar!", "it is a RAR archive; unpack it first"),
)
_PAGE = "it is a web page (a login, a confirmation or an error)"


def not_weights(path: Path) -> str | None:
    """Say what a file is when it is a known kind of file other than weights.

    Downloads by hand often save a login page, an error message or a pointer instead of the weights.

    Returns:
        A clause such as "it is empty", or None when the file may hold weights.

    Raises:
        WeightsError: the file cannot be read.
    """
    try:
        with path.open("rb") as stream:
            start = stream.read(_SAMPLE)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror or error}.") from None
    if not start.strip():
        return "it is empty"
    for signature, description in _SIGNATURES:
        if start.startswith(signature):
            return description
    text = _text(start)
    return None if text is None else _kind_of_text(text)


def refuse_other_files(path: Path) -> None:
    """Refuse a file that is a known kind of file other than weights.

    Raises:
        WeightsError: the file is empty, a web page, a Git LFS pointer, an error message or an image.
    """
    if kind := not_weights(path):
        raise WeightsError(
            f"{path} holds no weights: {kind}. Download it again, with a browser if the site asks for a login."
        )


def _text(start: bytes) -> str | None:
    """Decode the beginning of a text file; None for a binary file."""
    encodings = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
    encoding = encodings.get(start[:2], "utf-8-sig")
    if encoding == "utf-8-sig" and b"\0" in start:
        return None
    return start.decode(encoding, errors="replace").lstrip()


def _kind_of_text(text: str) -> str | None:
    lower = text.lower()
    if lower.startswith(("<!doctype", "<html", "<head", "<body", "<?xml", "<script", "<!--")):
        return _PAGE
    if lower.startswith("version https://git-lfs"):
        return "it is a Git LFS pointer, not the weights themselves"
    if text[:1] in ("{", "[") and text[1:].lstrip()[:1] in ('"', "{", "[", "}", "]"):
        return (
            f"it is a JSON document, probably an error message of the server: {' '.join(text[:80].split())}"
        )
    return None
