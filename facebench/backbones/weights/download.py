"""Download of one file over HTTP: resumed after an interruption, retried with growing pauses, limited in size."""

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
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facebench.backbones.weights.disk import writable
from facebench.backbones.weights.http_client import Deadline, Refused, open_url
from facebench.core.progress import Progress, no_progress
from facebench.core.version import __version__

__all__ = ["PAUSES", "Refused", "Rules", "download", "forget"]

PAUSES = (1.0, 2.0, 4.0, 8.0)
"""Seconds before each further attempt at one URL."""
GRACE = 60.0
"""Seconds that a download may take beside the transfer itself."""
SLOWEST = 16 * 1024.0
"""Smallest accepted average speed, bytes per second."""
_BLOCK = 1 << 18
_NETWORK = (urllib.error.URLError, http.client.HTTPException, OSError, ValueError)
_TEMPORARY = (408, 425, 429, 500, 502, 503, 504)
"""HTTP status codes that justify another attempt."""


class Broken(Exception):
    """This attempt failed; another one may succeed."""


@dataclass(frozen=True)
class Rules:
    """What a download must satisfy."""

    name: str
    """Name for the progress callback."""
    limit: int
    """Largest size in bytes."""
    pinned: bool
    """Whether the complete file is compared with a published fingerprint.

    Then an earlier part is always resumed, and redirects to other hosts are permitted. Otherwise an earlier part
    is resumed only when the server confirms that the file has not changed.
    """


def download(
    url: str,
    partial: Path,
    rules: Rules,
    *,
    pauses: Sequence[float] = PAUSES,
    progress: Progress = no_progress,
) -> None:
    """Download a file into `partial`; bytes that are already there are resumed.

    Args:
        url: URL of the file.
        partial: destination; kept after an interruption, for the next attempt.
        rules: what the download must satisfy.
        pauses: seconds before each further attempt.
        progress: callback invoked with the name of the file, the bytes at hand and the total.

    Raises:
        Refused: the URL does not give the file; says why.
        WeightsError: the file cannot be written.
    """
    with Deadline(GRACE + sum(pauses), SLOWEST) as deadline:
        for pause in (*pauses, None):
            try:
                _Attempt(url, partial, rules, deadline, progress).run()
                return
            except Broken as error:
                deadline.check(str(error))
                if pause is None:
                    raise Refused(f"{error} ({len(pauses) + 1} attempts)") from None
                time.sleep(pause)


@dataclass(frozen=True)
class _Attempt:
    """One request and its transfer."""

    url: str
    partial: Path
    rules: Rules
    deadline: Deadline
    progress: Progress

    def run(self) -> None:
        """Send the request and receive the answer.

        Raises:
            Broken: another attempt may succeed.
            Refused: another attempt would not help.
            WeightsError: the file cannot be written.
        """
        with writable(self.partial.parent):
            start = self.partial.stat().st_size if self.partial.exists() else 0
            version = _version_of(self.url, self.partial)
            if start > self.rules.limit or (start and not (self.rules.pinned or version)):
                forget(self.partial)
                start = 0
        try:
            request = _request(self.url, start, version)
            response = open_url(request, self.deadline, pinned=self.rules.pinned)
        except urllib.error.HTTPError as error:
            self._handle_error(error, start)
            return
        except _NETWORK as error:
            if isinstance(getattr(error, "reason", error), ssl.SSLCertVerificationError):
                raise Refused(f"its certificate is not trusted: {_reason(error)}") from None
            raise Broken(_reason(error)) from None
        with response:
            self._receive(response, start)

    def _handle_error(self, error: urllib.error.HTTPError, start: int) -> None:
        """Handle an HTTP error: complete already, start again, try later, or give up."""
        with error:
            if error.code == 416:
                if _total(error.headers) == start:
                    return
                forget(self.partial)
                raise Broken("the partial file does not fit the file of the server any more") from None
            text = f"HTTP {error.code} {error.reason}"
            raise (Broken if error.code in _TEMPORARY else Refused)(text) from None

    def _receive(self, response: Any, start: int) -> None:
        if response.headers.get_content_type() in ("text/html", "application/xhtml+xml"):
            raise Refused("the answer is a web page, not the file (a login, a confirmation or an error)")
        if not (response.status == 206 and _first(response.headers) == start):
            start = 0
        total = _total(response.headers) if start else _length(response.headers)
        if total is not None and total > self.rules.limit:
            raise Refused(f"the server announces {total:,} bytes, at most {self.rules.limit:,} are expected")
        with writable(self.partial.parent):
            _check_space(self.partial, None if total is None else total - start)
            _store_version(self.url, self.partial, response.headers)
            done = self._write(response, start, total)
        if total is not None and done != total:
            raise Broken(f"the connection ended after {done:,} of {total:,} bytes")

    def _write(self, response: Any, start: int, total: int | None) -> int:
        """Write the body to the partial file and return its size."""
        done = start
        with self.partial.open("ab" if start else "wb") as stream:
            while block := self._read(response):
                done += len(block)
                if done > self.rules.limit:
                    break
                stream.write(block)
                self.progress(self.rules.name, done, total)
        if done > self.rules.limit:
            forget(self.partial)
            raise Refused(f"the server sends more than the expected {self.rules.limit:,} bytes")
        return done

    def _read(self, response: Any) -> bytes:
        """Read the bytes that have arrived."""
        try:
            block = bytes(response.read1(_BLOCK))
        except _NETWORK as error:
            raise Broken(_reason(error)) from None
        self.deadline.check()
        self.deadline.extend(len(block))
        return block


def _request(url: str, start: int, version: str) -> urllib.request.Request:
    headers = {"User-Agent": f"facebench/{__version__}", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
        if version:
            headers["If-Range"] = version
    return urllib.request.Request(url, headers=headers)


def _reason(error: Exception) -> str:
    inner = getattr(error, "reason", error)
    return str(inner) or type(inner).__name__


def _length(headers: Any) -> int | None:
    text = headers.get("Content-Length", "")
    return int(text) if text.isdecimal() else None


def _total(headers: Any) -> int | None:
    match = re.search(r"/(\d{1,18})$", headers.get("Content-Range", ""))
    return int(match[1]) if match else None


def _first(headers: Any) -> int | None:
    match = re.match(r"bytes (\d{1,18})-", headers.get("Content-Range", ""))
    return int(match[1]) if match else None


def _check_space(partial: Path, needed: int | None) -> None:
    if needed is not None and needed > shutil.disk_usage(partial.parent).free:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


# A note beside the partial file holds its URL and the server's version of the file (ETag or Last-Modified), so that
# parts of two versions are never joined.


def _note(partial: Path) -> Path:
    return partial.with_name(partial.name + ".from")


def _version_of(url: str, partial: Path) -> str:
    """Return the noted version of a partial file; "" when it is unknown or comes from another URL."""
    if not _note(partial).is_file():
        return ""
    source, _, version = _note(partial).read_text(encoding="utf-8", errors="replace").partition("\n")
    return version.strip() if source == url else ""


def _store_version(url: str, partial: Path, headers: Any) -> None:
    version = headers.get("ETag", "")
    if not version or version.startswith("W/"):
        version = headers.get("Last-Modified", "")
    _note(partial).write_text(f"{url}\n{version}\n", encoding="utf-8")


def forget(partial: Path) -> None:
    """Delete a partial file and its note."""
    partial.unlink(missing_ok=True)
    _note(partial).unlink(missing_ok=True)
