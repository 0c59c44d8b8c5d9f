"""Weights are downloaded once, checked and recorded; licences and manual downloads come first."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from facebench.backbones import weights
from facebench.backbones.weights import lockfile
from facebench.backbones.weights.fetch import ensure, fetch, import_file
from facebench.backbones.weights.registry import Entry
from facebench.core.errors import WeightsError
from tests.helpers.weights_files import BODY, OTHER, SMALL, archive, entry, leftovers, pinned
from tests.helpers.weights_server import Site


def test_a_file_is_downloaded_checked_and_recorded(site: Site, cache: Path) -> None:
    path = fetch(pinned(site))
    assert path == cache / "net.bin"
    assert path.read_bytes() == BODY
    assert leftovers(cache) == ["net.bin", "weights.lock.json"]
    known = json.loads((cache / "weights.lock.json").read_text())["net"]
    assert known["source"] == site.url("net.bin")
    assert known["sha256"] == hashlib.sha256(BODY).hexdigest()


def test_a_valid_copy_is_not_downloaded_again(site: Site, cache: Path) -> None:
    fetch(pinned(site))
    fetch(pinned(site))
    assert len(site.requests) == 1


def test_a_damaged_copy_is_replaced(site: Site, cache: Path) -> None:
    fetch(pinned(site)).write_bytes(BODY[:-1] + b"x")
    assert fetch(pinned(site)).read_bytes() == BODY


def test_a_wrong_file_is_refused_and_deleted(site: Site, cache: Path) -> None:
    with pytest.raises(WeightsError, match=r"its sha256 is [0-9a-f]{64}, expected [0-9a-f]{64}"):
        fetch(pinned(site, b"the true file"))
    assert leftovers(cache) == []


def test_a_git_blob_id_is_a_fingerprint(site: Site, cache: Path) -> None:
    site.files["net.bin"] = b"what is up, doc?"  # example of the Pro Git book, chapter 10.2
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


@pytest.mark.parametrize("inside", ["net.bin", "pack/net.bin", "../../net.bin"])
def test_only_the_named_file_is_extracted_from_an_archive(
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
        (archive({"net.bin": os.urandom(5000)})[:4000], "not a complete zip archive"),
        (archive({"net.bin": bytes(9_000_000)}), "unpacks to 9,000,000 bytes, expected 1,000 bytes"),
        (b"<html>", "web page"),
    ],
)
def test_a_wrong_archive_is_refused(site: Site, cache: Path, body: bytes, message: str) -> None:
    site.files["pack.zip"] = body
    with pytest.raises(WeightsError, match=message):
        fetch(pinned(site, urls=(site.url("pack.zip"),), member="net.bin", size=1000))
    assert leftovers(cache) == []


def test_the_first_copy_of_a_file_without_fingerprint_is_pinned(site: Site, cache: Path) -> None:
    path = fetch(entry(site))
    path.unlink()
    site.files["net.bin"] = OTHER
    with pytest.raises(WeightsError, match=r"differs from the copy of 'net' trusted on \d{4}-\d\d-\d\d"):
        fetch(entry(site))
    assert not path.exists()
    site.files["net.bin"] = BODY
    assert fetch(entry(site)).read_bytes() == BODY


def test_offline_error_states_file_command_url_and_path(
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


def test_offline_uses_present_files(site: Site, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetch(pinned(site))
    monkeypatch.setenv("FACEBENCH_OFFLINE", "1")
    assert fetch(pinned(site)).read_bytes() == BODY


@pytest.mark.parametrize("place", ["file/below", "/proc/facebench"])
def test_an_unwritable_cache_folder_is_reported_in_one_line(
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


def test_a_research_licence_is_accepted_before_the_first_download(
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


def test_a_declined_licence_prevents_all_downloads(site: Site, shelf: dict[str, Entry]) -> None:
    with pytest.raises(WeightsError, match="non-commercial"):
        ensure(["net", "research"], accept=lambda one: False)
    assert site.requests == []


def test_manual_downloads_are_reported_before_any_download(site: Site, shelf: dict[str, Entry]) -> None:
    with pytest.raises(WeightsError, match=r"Ask the authors\.\n +Then: facebench weights import hand FILE"):
        ensure(["net", "hand"])
    assert site.requests == []


def test_ensure_offline_lists_all_missing_files(
    shelf: dict[str, Entry], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACEBENCH_OFFLINE", "1")
    with pytest.raises(
        WeightsError, match=r"Weights are missing: net, hand\.\nFetch them: facebench weights fetch net\n"
    ):
        ensure(["hand", "net"])


def test_suite_ready_lists_missing_files(site: Site, shelf: dict[str, Entry]) -> None:
    assert weights.suite_ready(["net", "both"]) == ["net", "research"]
    ensure(["net"])
    assert weights.suite_ready(["net", "both"]) == ["research"]


def test_provenance_states_the_source_of_the_fingerprint(
    site: Site, cache: Path, shelf: dict[str, Entry]
) -> None:
    ensure(["net", "research"], accept=True)
    net, research = weights.provenance(["net", "research"])
    assert (net["verified"], net["fingerprint"]) == (True, "this test")
    assert research["verified"] is False
    assert str(research["fingerprint"]).startswith("trusted on first use, 20")
    assert str(research["fingerprint"]).endswith(site.url("research.bin"))
    assert research["sha256"] == hashlib.sha256(SMALL).hexdigest()
    assert weights.licence_notice(["net", "research"]) == [
        "research: non-commercial use only, CC-BY-NC-4.0 (http://localhost/home)"
    ]


def test_the_error_names_an_unreadable_lock_file(cache: Path, shelf: dict[str, Entry]) -> None:
    cache.mkdir(parents=True)
    (cache / "weights.lock.json").write_text("{")
    with pytest.raises(WeightsError, match=r"lock file .*weights\.lock\.json cannot be read"):
        ensure(["research"], accept=True)
