"""HTTP requests for weights: redirect rules and a deadline that also covers slow servers."""

from __future__ import annotations

import contextlib
import functools
import http.client
import socket
import threading
import time
import urllib.request
from typing import Any
from urllib.parse import urlsplit

STALL = 30.0
"""Seconds without a byte after which a connection counts as broken."""


class Refused(Exception):
    """The download from this URL is refused; another attempt would not help."""


class Deadline:
    """Time limit of a download that grows with the received bytes; open connections are cut at its end.

    The socket timeout alone does not end a download from a server that sends one byte every few seconds.
    """

    def __init__(self, grace: float, slowest: float) -> None:
        """Start the clock.

        Args:
            grace: seconds for connections, answers and pauses.
            slowest: smallest accepted average speed in bytes per second.
        """
        self._started = time.monotonic()
        self._grace, self._slowest = grace, slowest
        self._received = 0
        self._connections: list[socket.socket] = []
        self._finished = threading.Event()

    def __enter__(self) -> Deadline:
        threading.Thread(target=self._cut_connections, name="facebench-deadline", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._finished.set()
        for connection in self._connections:
            connection.close()

    @property
    def remaining(self) -> float:
        """Seconds that are left; negative after the end."""
        allowed = self._grace + self._received / self._slowest
        return self._started + allowed - time.monotonic()

    def extend(self, received: int) -> None:
        """Count received bytes."""
        self._received += received

    def watch(self, connection: socket.socket) -> None:
        """Add a connection that is cut at the end."""
        self._connections.append(connection.dup())

    def check(self, cause: str = "") -> None:
        """Raise after the end.

        Args:
            cause: the last network error.

        Raises:
            Refused: the time is over.
        """
        if self.remaining < 0:
            spent = time.monotonic() - self._started
            reason = f" ({cause})" if cause else ""
            raise Refused(
                f"{self._received:,} bytes in {spent:.0f} seconds are too slow{reason}; run the command again to resume"
            )

    def _cut_connections(self) -> None:
        while not self._finished.wait(max(self.remaining, 0.01)):
            if self.remaining < 0:
                for connection in list(self._connections):
                    with contextlib.suppress(OSError):
                        connection.shutdown(socket.SHUT_RDWR)


def open_url(request: urllib.request.Request, deadline: Deadline, *, pinned: bool) -> Any:
    """Send a request and follow permitted redirects; proxies of the environment are used.

    Args:
        request: the request.
        deadline: cuts the connection at its end.
        pinned: whether the content has a published fingerprint, so that redirects to other hosts are permitted.

    Returns:
        The response.

    Raises:
        Refused: the server redirects to a place that is not permitted.
        urllib.error.URLError: the request failed.
    """
    opener = urllib.request.build_opener(PermittedRedirects(pinned), _Http(deadline), _Https(deadline))
    return opener.open(request, timeout=STALL)


class PermittedRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but not from https to http, and to another host only with a fingerprint."""

    def __init__(self, pinned: bool) -> None:
        self._pinned = pinned

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        """Return the request to the new URL.

        Raises:
            Refused: the redirect is not permitted.
        """
        old, new = urlsplit(req.full_url), urlsplit(newurl)
        if new.scheme not in ("http", "https") or (old.scheme == "https" and new.scheme == "http"):
            raise Refused(f"the server redirects from {old.scheme} to {new.scheme}, which is not permitted")
        if not self._pinned and _host(req.full_url) != _host(newurl):
            raise Refused(
                f"the server redirects to another host ({new.hostname}). This is permitted only for files with a "
                "published fingerprint"
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _host(url: str) -> tuple[str | None, int | None]:
    """Return host and port of a URL; None for the default port."""
    parts = urlsplit(url)
    return parts.hostname, None if parts.port in (None, 80, 443) else parts.port


class _Http(urllib.request.HTTPHandler):
    """Opens http connections that the deadline watches."""

    def __init__(self, deadline: Deadline) -> None:
        super().__init__()
        self._deadline = deadline

    def http_open(self, req: urllib.request.Request) -> Any:
        return self.do_open(functools.partial(_watched, http.client.HTTPConnection, self._deadline), req)


class _Https(urllib.request.HTTPSHandler):
    """Opens https connections that the deadline watches."""

    def __init__(self, deadline: Deadline) -> None:
        super().__init__()
        self._deadline = deadline

    def https_open(self, req: urllib.request.Request) -> Any:
        return self.do_open(functools.partial(_watched, http.client.HTTPSConnection, self._deadline), req)


def _watched(
    kind: type[http.client.HTTPConnection], deadline: Deadline, host: str, **options: Any
) -> http.client.HTTPConnection:
    """Create a connection whose socket the deadline watches from before the TLS handshake on."""
    connection = kind(host, **options)

    def connect(*arguments: Any, **settings: Any) -> socket.socket:
        opened = socket.create_connection(*arguments, **settings)
        deadline.watch(opened)
        return opened

    connection._create_connection = connect  # type: ignore[attr-defined]
    return connection
