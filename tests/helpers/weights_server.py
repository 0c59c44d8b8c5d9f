"""Web server on 127.0.0.1 with configurable faults."""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Site:
    """Files and faults of the server; each request consumes the first item of every list."""

    files: dict[str, bytes] = field(default_factory=dict)
    statuses: list[int] = field(default_factory=list)
    """HTTP errors of the first requests."""
    cut_after: list[int] = field(default_factory=list)
    """Number of body bytes after which the connection is closed."""
    ranges: bool = True
    """Whether the Range header is supported."""
    marks: bool = True
    """Whether answers have an ETag."""
    content_type: str = "application/octet-stream"
    pause: float = 0.0
    """Seconds before the body is sent."""
    redirects: dict[str, str] = field(default_factory=dict)
    """Name of a file -> URL that the server redirects to."""
    announced: int | None = None
    """Value of Content-Length instead of the size; -1 for none."""
    endless: bool = False
    """Whether the body is repeated until the client closes the connection."""
    drip: float = 0.0
    """Seconds between single bytes of the body."""
    sent: int = 0
    """Number of body bytes sent."""
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    """Path and Range header of every request."""
    address: str = ""

    def url(self, name: str) -> str:
        return f"{self.address}/{name}"


@contextmanager
def serving() -> Iterator[Site]:
    site = Site()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(site))
    site.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(site: Site) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

        def do_GET(self) -> None:
            site.requests.append((self.path, self.headers.get("Range")))
            body = site.files.get(self.path.rsplit("/", 1)[-1])
            if site.statuses:
                return self._fail(site.statuses.pop(0))
            if target := site.redirects.get(self.path.rsplit("/", 1)[-1]):
                return self._redirect(target)
            if body is None:
                return self._fail(404)
            mark = f'"{hashlib.sha256(body).hexdigest()[:16]}"' if site.marks else ""
            start = self._start(mark)
            if start and start >= len(body):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(body)}")
                self.end_headers()
                return None
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            if mark:
                self.send_header("ETag", mark)
            self.send_header("Content-Type", site.content_type)
            if site.announced != -1:
                self.send_header("Content-Length", str(site.announced or len(body) - start))
            self.end_headers()
            time.sleep(site.pause)
            cut = site.cut_after.pop(0) if site.cut_after else len(body)
            self._send(body[start : start + cut])
            return None

        def _send(self, body: bytes) -> None:
            with contextlib.suppress(ConnectionError):
                step = 1 if site.drip else max(len(body), 1)
                while True:
                    for i in range(0, len(body), step):
                        self.wfile.write(body[i : i + step])
                        site.sent += len(body[i : i + step])
                        time.sleep(site.drip)
                    if not site.endless:
                        return

        def _redirect(self, target: str) -> None:
            self.send_response(302)
            self.send_header("Location", target)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def _start(self, mark: str) -> int:
            asked, only_if = self.headers.get("Range"), self.headers.get("If-Range")
            if not (asked and site.ranges) or (only_if and only_if != mark):
                return 0
            return int(asked.removeprefix("bytes=").removesuffix("-"))

        def _fail(self, status: int) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

    return Handler
