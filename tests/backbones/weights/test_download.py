"""Downloads are resumed, retried, limited in size and time, and follow permitted redirects only."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest

from facebench.backbones.weights.download import Refused
from facebench.backbones.weights.fetch import fetch
from facebench.backbones.weights.http_client import PermittedRedirects
from facebench.core.errors import WeightsError
from tests.helpers.weights_files import BODY, OTHER, entry, leftovers, pinned
from tests.helpers.weights_server import Site

QUICK = (0.01, 0.01)


def test_an_interrupted_download_is_resumed(site: Site, cache: Path) -> None:
    site.cut_after = [300_000, 200_000]
    assert fetch(pinned(site), pauses=QUICK).read_bytes() == BODY
    assert [asked for _, asked in site.requests] == [None, "bytes=300000-", "bytes=500000-"]


def test_the_next_process_resumes_a_download(site: Site, cache: Path) -> None:
    site.cut_after = [300_000]
    with pytest.raises(WeightsError, match=rf"ended after 300,000 of {len(BODY):,} bytes"):
        fetch(pinned(site), pauses=())
    assert not (cache / "net.bin").exists(), "half a file must never be used"
    assert fetch(pinned(site), pauses=()).read_bytes() == BODY
    assert site.requests[-1][1] == "bytes=300000-"


def test_a_server_without_ranges_starts_again(site: Site, cache: Path) -> None:
    site.cut_after, site.ranges = [300_000], False
    assert fetch(pinned(site), pauses=QUICK).read_bytes() == BODY


def test_a_complete_partial_file_is_only_checked(site: Site, cache: Path) -> None:
    cache.mkdir(parents=True)
    (cache / "net.bin.part").write_bytes(BODY)
    assert fetch(pinned(site), pauses=()).read_bytes() == BODY


def test_a_wrong_partial_file_is_dropped(site: Site, cache: Path) -> None:
    cache.mkdir(parents=True)
    (cache / "net.bin.part").write_bytes(b"x" * 1000)
    assert fetch(pinned(site), pauses=()).read_bytes() == BODY
    assert [asked for _, asked in site.requests] == ["bytes=1000-", None]


def test_parts_of_two_versions_are_never_joined(site: Site, cache: Path) -> None:
    site.cut_after = [300_000]
    with pytest.raises(WeightsError):
        fetch(entry(site), pauses=())
    site.files["net.bin"] = OTHER
    assert fetch(entry(site), pauses=()).read_bytes() == OTHER


@pytest.mark.parametrize("marks", [True, False])
def test_a_part_without_fingerprint_is_resumed_only_with_an_etag(
    site: Site, cache: Path, marks: bool
) -> None:
    site.cut_after, site.marks = [300_000], marks
    assert fetch(entry(site), pauses=QUICK).read_bytes() == BODY
    assert [asked for _, asked in site.requests] == [None, "bytes=300000-" if marks else None]


def test_temporary_errors_are_retried(site: Site, cache: Path) -> None:
    site.statuses = [503, 429]
    assert fetch(pinned(site), pauses=QUICK).read_bytes() == BODY


def test_the_number_of_attempts_is_limited(site: Site, cache: Path) -> None:
    site.statuses = [503] * 9
    with pytest.raises(WeightsError, match=r"HTTP 503 Service Unavailable \(3 attempts\)"):
        fetch(pinned(site), pauses=QUICK)
    assert len(site.requests) == 3


def test_a_mirror_is_tried_after_the_official_url(site: Site, cache: Path) -> None:
    both = pinned(site, urls=(site.url("gone.bin"), site.url("net.bin")))
    assert fetch(both, pauses=QUICK).read_bytes() == BODY
    assert [path for path, _ in site.requests] == ["/gone.bin", "/net.bin"], "a 404 is not tried twice"


def test_a_url_with_another_file_is_skipped(site: Site, cache: Path) -> None:
    site.files["other.bin"] = b"another network"
    both = pinned(site, urls=(site.url("other.bin"), site.url("net.bin")))
    assert fetch(both).read_bytes() == BODY


def test_a_redirect_on_the_same_host_is_followed(site: Site, cache: Path) -> None:
    site.redirects["old.bin"] = site.url("net.bin")
    assert fetch(entry(site, urls=(site.url("old.bin"),))).read_bytes() == BODY


def test_a_redirect_to_another_host_needs_a_fingerprint(site: Site, mirror: Site, cache: Path) -> None:
    site.redirects["net.bin"] = mirror.url("net.bin")
    with pytest.raises(WeightsError, match="redirects to another host"):
        fetch(entry(site), pauses=QUICK)
    assert mirror.requests == []
    assert fetch(pinned(site)).read_bytes() == BODY


@pytest.mark.parametrize("target", ["http://example.org/net.bin", "ftp://example.org/net.bin"])
def test_a_redirect_never_leaves_https(target: str) -> None:
    request = urllib.request.Request("https://example.org/net.bin")
    with pytest.raises(Refused, match="redirects from https to"):
        PermittedRedirects(pinned=True).redirect_request(request, None, 302, "", {}, target)


def test_a_file_that_is_announced_larger_than_the_registry_states_is_refused(site: Site, cache: Path) -> None:
    with pytest.raises(WeightsError, match=rf"announces {len(BODY):,} bytes, at most 1,000 are expected"):
        fetch(pinned(site, size=1000), pauses=QUICK)
    assert site.requests == [("/net.bin", None)]
    assert leftovers(cache) == []


@pytest.mark.parametrize("announced", [-1, 1000])
def test_a_server_that_sends_more_than_the_registry_states_is_cut_off(
    site: Site, cache: Path, announced: int
) -> None:
    site.endless, site.announced = True, announced
    with pytest.raises(WeightsError, match=r"more than the expected 500,000 bytes|its sha256 is"):
        fetch(pinned(site, size=500_000), pauses=QUICK)
    assert leftovers(cache) == []


def test_a_file_of_unknown_size_has_a_size_limit(
    site: Site, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("facebench.backbones.weights.archive.LARGEST", 3_000_000)
    site.endless, site.announced = True, -1
    with pytest.raises(WeightsError, match="more than the expected 3,000,000 bytes"):
        fetch(entry(site), pauses=QUICK)
    assert leftovers(cache) == []


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("facebench.backbones.weights.download.GRACE", 0.5)
    monkeypatch.setattr("facebench.backbones.weights.download.SLOWEST", 1e6)


@pytest.mark.usefixtures("impatient")
def test_a_server_that_sends_byte_by_byte_is_cut_off_and_the_part_is_kept(site: Site, cache: Path) -> None:
    site.drip = 0.02
    with pytest.raises(WeightsError, match=r"bytes in \d seconds are too slow"):
        fetch(pinned(site), pauses=())
    assert 0 < (cache / "net.bin.part").stat().st_size < 1000
    site.drip = 0.0
    assert fetch(pinned(site), pauses=()).read_bytes() == BODY


@pytest.mark.usefixtures("impatient")
def test_a_server_that_never_ends_its_headers_is_cut_off(site: Site, cache: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=endless_headers, args=(listener,), daemon=True).start()
        slow = f"http://127.0.0.1:{listener.getsockname()[1]}/net.bin"
        with pytest.raises(WeightsError, match=r"0 bytes in \d seconds are too slow"):
            fetch(pinned(site, urls=(slow,)), pauses=())


def endless_headers(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    with contextlib.suppress(OSError):
        while True:
            connection.sendall(b"x")
            time.sleep(0.02)


def test_a_proxy_of_the_environment_is_used(site: Site, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", site.address)
    through_proxy = pinned(site, urls=("http://weights.example/models/net.bin",))
    assert fetch(through_proxy, pauses=()).read_bytes() == BODY
    assert site.requests == [("http://weights.example/models/net.bin", None)]


def test_the_error_names_an_unreachable_url(cache: Path, site: Site) -> None:
    dead = pinned(site, urls=("http://127.0.0.1:9/net.bin",))
    with pytest.raises(WeightsError, match=r"127\.0\.0\.1:9/net\.bin\n.*refused") as error:
        fetch(dead, pauses=QUICK)
    assert f"belongs at {cache / 'net.bin'}" in str(error.value)


LIMITED = """
import resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
from facebench.core.errors import WeightsError
from facebench.backbones.weights.download import Refused
from facebench.backbones.weights.fetch import fetch
from facebench.backbones.weights.registry import Entry
try:
    fetch(Entry.model_validate_json(sys.argv[1]), pauses=())
except WeightsError as error:
    print(error)
"""


def run(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True)


def test_a_full_disk_is_reported_and_the_download_is_resumed_later(site: Site, cache: Path) -> None:
    wanted = pinned(site)
    said, _ = run(LIMITED, wanted.model_dump_json()).communicate(timeout=60)
    assert said.startswith("No space left for weights in")
    assert (cache / "net.bin.part").stat().st_size == 200_000
    assert fetch(wanted).read_bytes() == BODY
    assert site.requests[-1][1] == "bytes=200000-"


FETCH = """
import sys
from facebench.backbones.weights.download import Refused
from facebench.backbones.weights.fetch import fetch
from facebench.backbones.weights.registry import Entry
print(fetch(Entry.model_validate_json(sys.argv[1])).stat().st_size)
"""


def test_two_processes_download_a_file_once(site: Site, cache: Path) -> None:
    site.pause = 1.5  # long enough for the second process to arrive while the first is fetching
    both = [run(FETCH, entry(site).model_dump_json()) for _ in range(2)]
    assert [one.communicate(timeout=60)[0].strip() for one in both] == [str(len(BODY))] * 2
    assert len(site.requests) == 1
    assert leftovers(cache) == ["net.bin", "weights.lock.json"]


def test_a_file_larger_than_the_free_space_is_not_started(
    site: Site, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1 << 20, 1 << 20, 1000))
    with pytest.raises(WeightsError, match="No space left"):
        fetch(entry(site), pauses=())
    assert not (cache / "net.bin.part").exists()


def test_progress_counts_bytes_to_the_end(site: Site, cache: Path) -> None:
    seen: list[tuple[str, int, int | None]] = []
    fetch(pinned(site), progress=lambda *report: seen.append(report))
    assert seen[-1] == ("net", len(BODY), len(BODY))
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)
