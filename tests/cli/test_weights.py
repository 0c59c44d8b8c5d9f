"""`facebench weights`, as typed."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner, Result

from facebench.backbones.weights import registry
from facebench.backbones.weights.registry import Entry
from facebench.cli.weights import app
from facebench.core.errors import FacebenchError, InputError, WeightsError
from tests.helpers.weights_server import Site, serving


def checkpoint(value: float, numbers: int) -> bytes:
    stream = io.BytesIO()
    torch.save({"weight": torch.full((numbers,), value)}, stream)
    return stream.getvalue()


BODY = checkpoint(0.0, 1350)
OTHER = checkpoint(1.0, 1350)


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "FACEBENCH_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    with serving() as found:
        found.files |= {"net.bin": BODY, "research.bin": OTHER}
        yield found


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FACEBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "120")
    return tmp_path / "cache" / "weights"


@pytest.fixture
def shelf(site: Site, cache: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Entry]:
    text = f"""
net:
  about: An open network
  backbones: [net]
  file: net.bin
  format: torch
  size: {len(BODY)}
  sha256: {hashlib.sha256(BODY).hexdigest()}
  fingerprint: this test
  licence: MIT
  home: https://example.org
  urls: ["{site.url("net.bin")}"]
research:
  about: A network for research
  backbones: [research]
  file: research.bin
  format: torch
  licence: CC-BY-NC-4.0
  non_commercial: true
  home: https://example.org/research
  urls: ["{site.url("research.bin")}"]
hand:
  about: A network behind a form
  backbones: [hand]
  file: hand.bin
  format: torch
  licence: for registered users, non-commercial
  non_commercial: true
  home: https://example.org/form
  manual: Fill in the form.
"""
    found = registry.parse(text, "test")
    monkeypatch.setattr(registry, "entries", lambda: found)
    return found


def type_in(*words: str) -> Result:
    result = CliRunner().invoke(app, list(words))
    if isinstance(result.exception, FacebenchError):
        raise result.exception
    return result


def test_list_shows_every_file_and_its_state(shelf: dict[str, Entry], cache: Path) -> None:
    cache.mkdir(parents=True)
    (cache / "net.bin").write_bytes(b"short")
    (cache / "research.bin.part").write_bytes(b"x" * 3_000_000)
    text = type_in("list").output
    for part in (
        "An open network",
        f"{len(BODY) / 1e3:.1f} kB",
        "CC-BY-NC-4.0, no",
        "127.0.0.1",
    ):
        assert part in text
    for state in ("wrong size", "incomplete, 3 MB", "missing, manual download"):
        assert state in text
    assert str(cache) in text.replace("\n", "")


def test_the_real_list_holds_every_entry(cache: Path) -> None:
    text = type_in("list").output
    for name in registry.entries():
        assert name in text


def test_fetch_brings_a_file_and_says_where(shelf: dict[str, Entry], cache: Path) -> None:
    assert f"net: {cache / 'net.bin'}" in type_in("fetch", "net").output
    assert "good   net: published fingerprint" in type_in("verify").output
    assert "present" in type_in("list").output


def test_fetch_shows_a_licence_and_stops_without_consent(
    shelf: dict[str, Entry], site: Site, cache: Path
) -> None:
    result = CliRunner().invoke(app, ["fetch", "net", "research"])
    assert "CC-BY-NC-4.0" in result.output
    assert "https://example.org/research" in result.output
    assert isinstance(result.exception, WeightsError)
    assert "--accept-licence" in str(result.exception)
    assert site.requests == []
    type_in("fetch", "net", "research", "--accept-licence")
    assert (cache / "research.bin").read_bytes() == OTHER


def test_fetch_brings_what_it_can_and_explains_the_rest(shelf: dict[str, Entry], cache: Path) -> None:
    with pytest.raises(WeightsError, match=r"Weights are missing: hand\.\n.*Fill in the form\."):
        type_in("fetch", "hand", "net")
    assert (cache / "net.bin").exists()


def test_fetch_needs_to_know_what(shelf: dict[str, Entry]) -> None:
    with pytest.raises(InputError, match="Say what to fetch"):
        type_in("fetch")
    with pytest.raises(InputError, match="Say what to fetch"):
        type_in("fetch", "net", "--suite", "paper")
    with pytest.raises(InputError, match=r"No weights are named 'nett'\. Did you mean net"):
        type_in("fetch", "nett")


def test_fetching_the_compact_suite_needs_no_network(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEBENCH_OFFLINE", "1")
    text = type_in("fetch", "--suite", "compact").output
    assert "sface: " in text
    with pytest.raises(InputError, match="'big' is not a suite"):
        type_in("fetch", "--suite", "big")


def test_verify_names_a_damaged_file_and_exits_with_1(shelf: dict[str, Entry], cache: Path) -> None:
    type_in("fetch", "net")
    (cache / "net.bin").write_bytes(BODY[:-1] + b"x")
    result = type_in("verify")
    assert result.exit_code == 1
    assert "wrong  net:" in result.output
    assert "facebench weights fetch net" in result.output
    with pytest.raises(WeightsError, match="missing: research"):
        type_in("verify", "research")


def test_import_shows_the_licence_and_trusts_the_first_copy(
    shelf: dict[str, Entry], cache: Path, tmp_path: Path
) -> None:
    (tmp_path / "got.bin").write_bytes(BODY)
    text = type_in("import", "hand", str(tmp_path / "got.bin")).output
    assert "Non-commercial use only: for registered users" in text
    assert "trusted from now on" in text
    (tmp_path / "got.bin").write_bytes(OTHER)
    with pytest.raises(WeightsError, match="differs from the copy"):
        type_in("import", "hand", str(tmp_path / "got.bin"))
    assert (cache / "hand.bin").read_bytes() == BODY


def test_import_of_other_weights_needs_a_word_and_is_seen_everywhere(
    shelf: dict[str, Entry], tmp_path: Path
) -> None:
    (tmp_path / "own.bin").write_bytes(OTHER)
    with pytest.raises(WeightsError, match="its sha256 is"):
        type_in("import", "net", str(tmp_path / "own.bin"))
    text = type_in("import", "net", str(tmp_path / "own.bin"), "--unofficial").output
    assert "NOT the official weights: every number made with them says so" in text
    assert "facebench weights fetch net" in text
    assert "not official" in type_in("list").output
    assert "own    net: not the official weights, imported on 20" in type_in("verify").output
    type_in("fetch", "net")
    assert "good   net: published fingerprint" in type_in("verify").output
    assert "not official" not in type_in("list").output


def test_path_prints_folder_and_file(shelf: dict[str, Entry], cache: Path) -> None:
    assert type_in("path").output == f"{cache}\n"
    assert type_in("path", "net").output == f"{cache / 'net.bin'}\n"
