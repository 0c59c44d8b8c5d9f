"""One file over HTTP: resumed where it stopped, retried with growing pauses, tried at every mirror."""

from __future__ import annotations

import errno
import http.client
import os
import re
import shutil
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from facebench.backbones.weights.lockfile import writable
from facebench.core.version import __version__

Progress = Callable[[int, int | None], None]
"""Called with the bytes at hand and the bytes in total, None while unknown."""

_NETWORK = (urllib.error.URLError, http.client.HTTPException, OSError)
_BLOCK = 1 << 18
_PATIENCE = 30.0  # Seconds without a byte after which a connection counts as broken.
PAUSES = (1.0, 2.0, 4.0, 8.0)  # Seconds before each further attempt at one address.
_PASSING = (408, 425, 429, 500, 502, 503, 504)  # HTTP answers worth another attempt.


class Broken(Exception):
    """This attempt failed; another one may not."""


class Refused(Exception):
    """This address will not give the file."""


def download(
    url: str,
    partial: Path,
    *,
    checked: bool,
    pauses: Sequence[float] = PAUSES,
    progress: Progress | None = None,
) -> None:
    """Fetch a file into `partial`, continuing what is there.

    Args:
        url: its address.
        partial: where the bytes go; stays when the download breaks, for the next attempt.
        checked: whether the whole is compared with a published fingerprint afterwards, so that bytes at hand
            may be continued in any case. Otherwise only if the server confirms that its file has not changed.
        pauses: seconds before each further attempt.
        progress: told about every block.

    Raises:
        Refused: this address does not give the file; says why.
        WeightsError: the file cannot be written.
    """
    for pause in (*pauses, None):
        try:
            _attempt(url, partial, checked, progress)
            return
        except Broken as error:
            if pause is None:
                raise Refused(f"{error} ({len(pauses) + 1} attempts)") from None
            time.sleep(pause)


def _attempt(url: str, partial: Path, checked: bool, progress: Progress | None) -> None:
    with writable(partial.parent):
        start = partial.stat().st_size if partial.exists() else 0
        tag = _tag_of(url, partial)
        if start and not (checked or tag):
            forget(partial)
            start = 0
    try:
        response = urllib.request.build_opener().open(_request(url, start, tag), timeout=_PATIENCE)
    except urllib.error.HTTPError as error:
        _answered(error, partial, start)
        return
    except _NETWORK as error:
        if isinstance(getattr(error, "reason", error), ssl.SSLCertVerificationError):
            raise Refused(f"its certificate is not trusted: {_reason(error)}") from None
        raise Broken(_reason(error)) from None
    with response:
        _receive(response, url, partial, start, progress)


def _request(url: str, start: int, tag: str) -> urllib.request.Request:
    headers = {"User-Agent": f"facebench/{__version__}", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
        if tag:
            headers["If-Range"] = tag
    return urllib.request.Request(url, headers=headers)


def _answered(error: urllib.error.HTTPError, partial: Path, start: int) -> None:
    """What an HTTP error means: nothing left to send, start again, try later, or not here."""
    with error:
        if error.code == 416:
            if _total(error.headers) == start:
                return
            forget(partial)
            raise Broken("the part at hand does not fit the file any more") from None
        text = f"HTTP {error.code} {error.reason}"
        raise (Broken if error.code in _PASSING else Refused)(text) from None


def _receive(response: Any, url: str, partial: Path, start: int, progress: Progress | None) -> None:
    if response.headers.get_content_type() in ("text/html", "application/xhtml+xml"):
        raise Refused("answered with a web page instead of the file (a login, a confirmation or an error)")
    resumed = response.status == 206 and _first(response.headers) == start
    total = _total(response.headers) if resumed else _length(response.headers)
    with writable(partial.parent):
        _refuse_without_space(partial, None if total is None else total - (start if resumed else 0))
        _remember_tag(url, partial, response.headers)
        done = start if resumed else 0
        with partial.open("ab" if resumed else "wb") as stream:
            while block := _read(response):
                stream.write(block)
                done += len(block)
                if progress:
                    progress(done, total)
    if total is not None and done != total:
        raise Broken(f"the connection ended after {done:,} of {total:,} bytes")


def _read(response: Any) -> bytes:
    try:
        return bytes(response.read(_BLOCK))
    except _NETWORK as error:
        raise Broken(_reason(error)) from None


def _reason(error: Exception) -> str:
    inner = getattr(error, "reason", error)
    return str(inner) or type(inner).__name__


def _length(headers: Any) -> int | None:
    text = headers.get("Content-Length", "")
    return int(text) if text.isdigit() else None


def _total(headers: Any) -> int | None:
    match = re.search(r"/(\d+)$", headers.get("Content-Range", ""))
    return int(match[1]) if match else None


def _first(headers: Any) -> int | None:
    match = re.match(r"bytes (\d+)-", headers.get("Content-Range", ""))
    return int(match[1]) if match else None


def _refuse_without_space(partial: Path, needed: int | None) -> None:
    if needed is not None and needed > shutil.disk_usage(partial.parent).free:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


# Beside the partial file lies the address it came from and the server's mark of that version, so that two
# versions are never joined.


def _tag_file(partial: Path) -> Path:
    return partial.with_name(partial.name + ".from")


def _tag_of(url: str, partial: Path) -> str:
    file = _tag_file(partial)
    if not file.is_file():
        return ""
    source, _, tag = file.read_text(encoding="utf-8").partition("\n")
    return tag.strip() if source == url else ""


def _remember_tag(url: str, partial: Path, headers: Any) -> None:
    tag = headers.get("ETag", "")
    if not tag or tag.startswith("W/"):
        tag = headers.get("Last-Modified", "")
    _tag_file(partial).write_text(f"{url}\n{tag}\n", encoding="utf-8")


def forget(partial: Path) -> None:
    """Delete a partial file and the note beside it."""
    partial.unlink(missing_ok=True)
    _tag_file(partial).unlink(missing_ok=True)
