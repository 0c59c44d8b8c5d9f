"""Weights are fetched whole, checked, once at a time, or not at all - and the reason is said in words."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from facebench.backbones import weights
from facebench.backbones.weights import lockfile, registry
from facebench.backbones.weights.fetch import ensure, fetch, import_file
from facebench.backbones.weights.registry import Entry
from facebench.core.errors import WeightsError
from tests.helpers.weights_server import Site, serving

BODY = bytes(range(256)) * 4096  # 1 MiB
QUICK = (0.01, 0.01)
_REAL = registry.entries()
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.delenv("FACEBENCH_OFFLINE", raising=False)
    with serving() as found:
        found.files["net.bin"] = BODY
        yield found


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FACEBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "weights"


def entry(site: Site, **changes: Any) -> Entry:
    fields: dict[str, Any] = {
        "name": "net",
        "about": "a network",
        "backbones": ("net",),
        "file": "net.bin",
        "format": "torch",
        "licence": "MIT",
        "home": "http://localhost/home",
        "urls": (site.url("net.bin"),),
    }
    return Entry(**{**fields, **changes})


def pinned(site: Site, body: bytes = BODY, **changes: Any) -> Entry:
    return entry(site, sha256=hashlib.sha256(body).hexdigest(), fingerprint="this test", **changes)


def leftovers(cache: Path) -> list[str]:
    return sorted(p.name for p in cache.iterdir() if not p.name.endswith(".lock"))


def test_a_file_is_fetched_checked_and_remembered(site: Site, cache: Path) -> None:
    path = fetch(pinned(site))
    assert path == cache / "net.bin"
    assert path.read_bytes() == BODY
    assert leftovers(cache) == ["net.bin", "weights.lock.json"]
    known = json.loads((cache / "weights.lock.json").read_text())["net"]
    assert known["source"] == site.url("net.bin")
    assert known["sha256"] == hashlib.sha256(BODY).hexdigest()


def test_a_good_copy_is_not_fetched_again(site: Site, cache: Path) -> None:
    fetch(pinned(site))
    fetch(pinned(site))
    assert len(site.requests) == 1


def test_a_damaged_copy_is_replaced(site: Site, cache: Path) -> None:
    fetch(pinned(site)).write_bytes(BODY[:-1] + b"x")
    assert fetch(pinned(site)).read_bytes() == BODY


def test_a_broken_download_continues_where_it_stopped(site: Site, cache: Path) -> None:
    site.cut_after = [300_000, 200_000]
    assert fetch(pinned(site), pauses=QUICK).read_bytes() == BODY
    assert [asked for _, asked in site.requests] == [None, "bytes=300000-", "bytes=500000-"]


def test_the_next_process_continues_too(site: Site, cache: Path) -> None:
    site.cut_after = [300_000]
    with pytest.raises(WeightsError, match=r"ended after 300,000 of 1,048,576 bytes"):
        fetch(pinned(site), pauses=())
    assert not (cache / "net.bin").exists(), "half a file must never be used"
    assert fetch(pinned(site), pauses=()).read_bytes() == BODY
    assert site.requests[-1][1] == "bytes=300000-"


def test_a_server_that_cannot_continue_starts_again(site: Site, cache: Path) -> None:
    site.cut_after, site.ranges = [300_000], False
    assert fetch(pinned(site), pauses=QUICK).read_bytes() == BODY


def test_a_whole_part_is_only_checked(site: Site, cache: Path) -> None:
    cache.mkdir(parents=True)
    (cache / "net.bin.part").write_bytes(BODY)
    assert fetch(pinned(site), pauses=()).read_bytes() == BODY


def test_wrong_bytes_at_hand_are_dropped(site: Site, cache: Path) -> None:
    cache.mkdir(parents=True)
    (cache / "net.bin.part").write_bytes(b"x" * 1000)
    assert fetch(pinned(site), pauses=()).read_bytes() == BODY
    assert [asked for _, asked in site.requests] == ["bytes=1000-", None]


def test_two_versions_of_a_file_without_fingerprint_are_never_joined(site: Site, cache: Path) -> None:
    site.cut_after = [300_000]
    with pytest.raises(WeightsError):
        fetch(entry(site), pauses=())
    site.files["net.bin"] = BODY[::-1]
    assert fetch(entry(site), pauses=()).read_bytes() == BODY[::-1]


@pytest.mark.parametrize("marks", [True, False])
def test_a_part_without_fingerprint_continues_only_when_the_server_marks_versions(
    site: Site, cache: Path, marks: bool
) -> None:
    site.cut_after, site.marks = [300_000], marks
    assert fetch(entry(site), pauses=QUICK).read_bytes() == BODY
    assert [asked for _, asked in site.requests] == [None, "bytes=300000-" if marks else None]


def test_passing_errors_are_retried(site: Site, cache: Path) -> None:
    site.statuses = [503, 429]
    assert fetch(pinned(site), pauses=QUICK).read_bytes() == BODY


def test_attempts_end_and_say_why(site: Site, cache: Path) -> None:
    site.statuses = [503] * 9
    with pytest.raises(WeightsError, match=r"HTTP 503 Service Unavailable \(3 attempts\)"):
        fetch(pinned(site), pauses=QUICK)
    assert len(site.requests) == 3


def test_a_mirror_helps(site: Site, cache: Path) -> None:
    both = pinned(site, urls=(site.url("gone.bin"), site.url("net.bin")))
    assert fetch(both, pauses=QUICK).read_bytes() == BODY
    assert [path for path, _ in site.requests] == ["/gone.bin", "/net.bin"], "a 404 is not tried twice"


def test_a_mirror_with_another_file_is_passed_over(site: Site, cache: Path) -> None:
    site.files["other.bin"] = b"another network"
    both = pinned(site, urls=(site.url("other.bin"), site.url("net.bin")))
    assert fetch(both).read_bytes() == BODY


def test_a_wrong_file_is_refused_and_deleted(site: Site, cache: Path) -> None:
    with pytest.raises(WeightsError, match=r"its sha256 is [0-9a-f]{64}, expected [0-9a-f]{64}"):
        fetch(pinned(site, b"the true file"))
    assert leftovers(cache) == []


def test_a_git_blob_id_is_a_fingerprint_too(site: Site, cache: Path) -> None:
    site.files["net.bin"] = b"what is up, doc?"  # the example of the Pro Git book, chapter 10.2
    right = entry(site, git_blob="bd9dbf5aae1a3862dd1526723246b20206e5fc37")
    assert fetch(right).read_bytes() == b"what is up, doc?"
    with pytest.raises(WeightsError, match="git blob id is bd9dbf5a"):
        fetch(entry(site, file="other.bin", git_blob="0" * 40))


@pytest.mark.parametrize("content_type", ["text/html; charset=utf-8", "application/octet-stream"])
def test_a_web_page_is_not_saved_as_weights(site: Site, cache: Path, content_type: str) -> None:
    site.files["net.bin"] = b"<!DOCTYPE html><html><title>Sign in</title></html>"
    site.content_type = content_type
    with pytest.raises(WeightsError, match="web page"):
        fetch(entry(site))
    assert leftovers(cache) == []


def archive(names: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as made:
        for name, body in names.items():
            made.writestr(name, body)
    return stream.getvalue()


@pytest.mark.parametrize("inside", ["net.bin", "pack/net.bin", "../../net.bin"])
def test_one_file_is_taken_out_of_an_archive_and_nothing_else(
    site: Site, cache: Path, tmp_path: Path, inside: str
) -> None:
    site.files["pack.zip"] = archive({inside: BODY, "../evil.bin": b"x", "other.bin": b"y"})
    packed = pinned(site, urls=(site.url("pack.zip"),), member="net.bin")
    assert fetch(packed).read_bytes() == BODY
    assert leftovers(cache) == ["net.bin", "weights.lock.json"]
    assert not list(tmp_path.rglob("evil.bin"))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (archive({"other.bin": b"y"}), "holds 0 files named net.bin"),
        (archive({"a/net.bin": b"x", "b/net.bin": b"y"}), "holds 2 files named net.bin"),
        (archive({"net.bin": os.urandom(5000)})[:4000], "not a whole zip archive"),
        (b"<html>", "web page"),
    ],
)
def test_a_wrong_archive_is_refused(site: Site, cache: Path, body: bytes, message: str) -> None:
    site.files["pack.zip"] = body
    with pytest.raises(WeightsError, match=message):
        fetch(pinned(site, urls=(site.url("pack.zip"),), member="net.bin"))
    assert leftovers(cache) == []


def test_the_first_copy_of_an_unpublished_fingerprint_is_trusted_and_held_to(site: Site, cache: Path) -> None:
    path = fetch(entry(site))
    path.unlink()
    site.files["net.bin"] = BODY + b"changed"
    with pytest.raises(WeightsError, match=r"differs from the copy of 'net' trusted on \d{4}-\d\d-\d\d"):
        fetch(entry(site))
    assert not path.exists()
    site.files["net.bin"] = BODY
    (cache / "net.bin.part").unlink()
    assert fetch(entry(site)).read_bytes() == BODY


def test_a_proxy_of_the_environment_is_used(site: Site, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", site.address)
    through_proxy = pinned(site, urls=("http://weights.example/models/net.bin",))
    assert fetch(through_proxy, pauses=()).read_bytes() == BODY
    assert site.requests == [("http://weights.example/models/net.bin", None)]


def test_a_dead_address_is_named(cache: Path, site: Site) -> None:
    dead = pinned(site, urls=("http://127.0.0.1:9/net.bin",))
    with pytest.raises(WeightsError, match=r"127\.0\.0\.1:9/net\.bin\n.*refused") as error:
        fetch(dead, pauses=QUICK)
    assert f"belongs at {cache / 'net.bin'}" in str(error.value)


def test_offline_says_what_is_missing_the_command_the_address_and_the_place(
    site: Site, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACEBENCH_OFFLINE", "1")
    with pytest.raises(WeightsError) as error:
        fetch(pinned(site))
    text = str(error.value)
    for part in (
        "FACEBENCH_OFFLINE",
        "facebench weights fetch net",
        site.url("net.bin"),
        str(cache / "net.bin"),
    ):
        assert part in text
    assert site.requests == []


def test_offline_uses_what_is_there(site: Site, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetch(pinned(site))
    monkeypatch.setenv("FACEBENCH_OFFLINE", "1")
    assert fetch(pinned(site)).read_bytes() == BODY


@pytest.mark.parametrize("place", ["file/below", "/proc/facebench"])
def test_a_cache_folder_that_cannot_be_written_is_said_in_one_line(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("FACEBENCH_CACHE", str(tmp_path / place))
    with pytest.raises(
        WeightsError, match=r"cache folder .* cannot be written to .*FACEBENCH_CACHE"
    ) as error:
        fetch(pinned(site))
    assert "\n" not in str(error.value)
    with pytest.raises(WeightsError, match="cannot be written to"):
        import_file(entry(site), tmp_path / "file")


LIMITED = """
import resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
from facebench.errors import WeightsError
from facebench.weights.fetch import fetch
from facebench.weights.registry import Entry
try:
    fetch(Entry.model_validate_json(sys.argv[1]), pauses=())
except WeightsError as error:
    print(error)
"""


def run(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True)


def test_a_full_disk_is_said_and_the_download_continues_later(site: Site, cache: Path) -> None:
    wanted = pinned(site)
    said, _ = run(LIMITED, wanted.model_dump_json()).communicate(timeout=60)
    assert said.startswith("No space left for weights in")
    assert (cache / "net.bin.part").stat().st_size == 200_000
    assert fetch(wanted).read_bytes() == BODY
    assert site.requests[-1][1] == "bytes=200000-"


def test_a_file_larger_than_the_free_space_is_not_begun(site: Site, cache: Path) -> None:
    class Endless(bytes):
        def __len__(self) -> int:
            return 1 << 60

    site.files["net.bin"] = Endless(b"x")
    with pytest.raises(WeightsError, match="No space left"):
        fetch(entry(site), pauses=())
    assert not (cache / "net.bin.part").exists()


FETCH = """
import sys
from facebench.weights.fetch import fetch
from facebench.weights.registry import Entry
print(fetch(Entry.model_validate_json(sys.argv[1])).stat().st_size)
"""


def test_two_processes_fetch_one_file_once(site: Site, cache: Path) -> None:
    site.pause = 1.5  # long enough for the second process to arrive while the first is fetching
    both = [run(FETCH, entry(site).model_dump_json()) for _ in range(2)]
    assert [one.communicate(timeout=60)[0].strip() for one in both] == [str(len(BODY))] * 2
    assert len(site.requests) == 1
    assert leftovers(cache) == ["net.bin", "weights.lock.json"]


def test_import_checks_and_copies(site: Site, cache: Path, tmp_path: Path) -> None:
    mine = tmp_path / "download (1).bin"
    mine.write_bytes(BODY)
    assert import_file(pinned(site), mine).read_bytes() == BODY
    assert mine.exists()
    mine.write_bytes(b"another network")
    with pytest.raises(WeightsError, match=r"download \(1\)\.bin is not the file 'net'"):
        import_file(pinned(site), mine)
    assert (cache / "net.bin").read_bytes() == BODY
    with pytest.raises(WeightsError, match="There is no file"):
        import_file(pinned(site), tmp_path / "nowhere.bin")


def test_other_weights_than_the_published_ones_are_only_taken_knowingly(
    cache: Path, shelf: dict[str, Entry], tmp_path: Path
) -> None:
    (tmp_path / "own.bin").write_bytes(b"trained again")
    with pytest.raises(WeightsError, match="is not the file 'net': its sha256 is"):
        import_file(shelf["net"], tmp_path / "own.bin")
    import_file(shelf["net"], tmp_path / "own.bin", unofficial=True)
    found = weights.resolve("net")
    assert (found.verified, found.unofficial, found.licence) == (False, True, "unknown")
    assert found.fingerprint.startswith("not the official weights, imported on 20")
    assert found.fingerprint.endswith("own.bin")
    assert weights.provenance(["net"])[0]["unofficial"] is True
    assert weights.suite_ready(["net"]) == ["net"]
    (cache / "net.bin").write_bytes(b"and changed afterwards")
    with pytest.raises(WeightsError, match="is not the file 'net'"):
        weights.resolve("net")


def test_the_official_file_takes_its_place_again(
    site: Site, cache: Path, shelf: dict[str, Entry], tmp_path: Path
) -> None:
    (tmp_path / "own.bin").write_bytes(b"trained again")
    for name in ("net", "research"):
        import_file(shelf[name], tmp_path / "own.bin", unofficial=True)
        fetch(shelf[name])
        found = weights.resolve(name)
        assert not found.unofficial
        assert found.fingerprint
    assert weights.resolve("net").verified
    assert weights.suite_ready(["net", "research"]) == []


def test_the_official_file_is_never_marked_as_another(
    cache: Path, shelf: dict[str, Entry], tmp_path: Path
) -> None:
    (tmp_path / "got.bin").write_bytes(BODY)
    with pytest.raises(WeightsError, match="is the official file of 'net': import it without --unofficial"):
        import_file(shelf["net"], tmp_path / "got.bin", unofficial=True)
    (tmp_path / "page.bin").write_bytes(b"<html>sign in</html>")
    with pytest.raises(WeightsError, match="web page"):
        import_file(shelf["net"], tmp_path / "page.bin", unofficial=True)
    with pytest.raises(WeightsError, match="comes with an installed package"):
        import_file(_REAL["sface"], tmp_path / "got.bin", unofficial=True)
    assert not (cache / "net.bin").exists()


def test_import_takes_the_published_archive_as_well(site: Site, cache: Path, tmp_path: Path) -> None:
    (tmp_path / "pack.zip").write_bytes(archive({"pack/net.bin": BODY}))
    packed = pinned(site, member="net.bin")
    assert import_file(packed, tmp_path / "pack.zip").read_bytes() == BODY
    (tmp_path / "pack.zip").write_bytes(archive({"pack/other.bin": BODY}))
    with pytest.raises(WeightsError, match="not the archive of 'net'"):
        import_file(packed, tmp_path / "pack.zip")


def test_progress_counts_bytes_to_the_end(site: Site, cache: Path) -> None:
    seen: list[tuple[str, int, int | None]] = []
    fetch(pinned(site), progress=lambda *report: seen.append(report))
    assert seen[-1] == ("net", len(BODY), len(BODY))
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)


@pytest.fixture
def shelf(site: Site, cache: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Entry]:
    """A registry with an open file, one for research only and one that only a person can get."""
    site.files["research.bin"] = b"research weights"
    found = {
        "net": pinned(site),
        "research": entry(
            site,
            name="research",
            backbones=("research", "both"),
            file="research.bin",
            urls=(site.url("research.bin"),),
            licence="CC-BY-NC-4.0",
            non_commercial=True,
        ),
        "hand": entry(
            site, name="hand", backbones=("hand",), file="hand.bin", urls=(), manual="Ask the authors."
        ),
    }
    monkeypatch.setattr(registry, "entries", lambda: found)
    return found


def test_a_licence_for_research_only_is_accepted_before_the_first_fetch(
    site: Site, cache: Path, shelf: dict[str, Entry]
) -> None:
    with pytest.raises(WeightsError, match=r"non-commercial use only: CC-BY-NC-4\.0.*--accept-licence"):
        ensure(["research"])
    assert site.requests == []
    asked: list[str] = []
    assert ensure(["both"], accept=lambda one: asked.append(one.name) is None) == [cache / "research.bin"]
    assert asked == ["research"]
    (cache / "research.bin").unlink()
    ensure(["research"])
    assert lockfile.known(cache, shelf["research"]).licence_accepted == "CC-BY-NC-4.0"


def test_a_licence_that_was_declined_fetches_nothing(site: Site, shelf: dict[str, Entry]) -> None:
    with pytest.raises(WeightsError, match="non-commercial"):
        ensure(["net", "research"], accept=lambda one: False)
    assert site.requests == []


def test_what_only_a_person_can_get_is_said_before_anything_is_fetched(
    site: Site, shelf: dict[str, Entry]
) -> None:
    with pytest.raises(WeightsError, match=r"Ask the authors\.\n +Then: facebench weights import hand FILE"):
        ensure(["net", "hand"])
    assert site.requests == []


def test_ensure_offline_names_everything_missing(
    shelf: dict[str, Entry], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACEBENCH_OFFLINE", "1")
    with pytest.raises(
        WeightsError, match=r"Weights are missing: net, hand\.\nFetch them: facebench weights fetch net\n"
    ):
        ensure(["hand", "net"])


def test_suite_ready_names_what_is_missing(site: Site, shelf: dict[str, Entry]) -> None:
    assert weights.suite_ready(["net", "both"]) == ["net", "research"]
    ensure(["net"])
    assert weights.suite_ready(["net", "both"]) == ["research"]


def test_the_record_quotes_where_trust_comes_from(site: Site, cache: Path, shelf: dict[str, Entry]) -> None:
    ensure(["net", "research"], accept=True)
    net, research = weights.provenance(["net", "research"])
    assert (net["verified"], net["fingerprint"]) == (True, "this test")
    assert research["verified"] is False
    assert str(research["fingerprint"]).startswith("trusted on first use, 20")
    assert str(research["fingerprint"]).endswith(site.url("research.bin"))
    assert research["sha256"] == hashlib.sha256(b"research weights").hexdigest()
    assert weights.licence_notice(["net", "research"]) == [
        "research: non-commercial use only, CC-BY-NC-4.0 (http://localhost/home)"
    ]


def test_a_file_put_in_place_by_hand_is_trusted_once_and_held_to(
    cache: Path, shelf: dict[str, Entry]
) -> None:
    cache.mkdir(parents=True)
    (cache / "hand.bin").write_bytes(b"from the authors")
    assert weights.resolve("hand").verified is False
    (cache / "hand.bin").write_bytes(b"from somebody else")
    with pytest.raises(WeightsError, match="differs from the copy"):
        weights.resolve("hand")


def test_a_broken_lock_file_is_named(cache: Path, shelf: dict[str, Entry]) -> None:
    cache.mkdir(parents=True)
    (cache / "weights.lock.json").write_text("{")
    with pytest.raises(WeightsError, match=r"lock file .*weights\.lock\.json cannot be read"):
        ensure(["research"], accept=True)
