"""Imported files and files copied by hand are checked before they are pinned."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from facebench.backbones import weights
from facebench.backbones.weights import lockfile, registry
from facebench.backbones.weights.fetch import fetch, import_file
from facebench.backbones.weights.registry import Entry
from facebench.core.errors import WeightsError
from tests.helpers.weights_files import BODY, OTHER, SMALL, archive, entry, leftovers, pinned
from tests.helpers.weights_server import Site

_REAL = registry.entries()


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"error": "quota exceeded"}', "a JSON document.*quota exceeded"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a Git LFS pointer"),
        (b"<?xml version='1.0'?><Error>AccessDenied</Error>", "a web page"),
        (b"\x89PNG\r\n", "a PNG image"),
        (BODY[:1000], "truncated, damaged or not a PyTorch checkpoint"),
        (b"", "it is empty"),
    ],
)
def test_files_that_are_not_weights_are_neither_kept_nor_pinned(
    site: Site, cache: Path, tmp_path: Path, body: bytes, kind: str
) -> None:
    site.files["net.bin"] = body
    with pytest.raises(WeightsError, match=kind):
        fetch(entry(site), pauses=())
    (tmp_path / "saved.bin").write_bytes(body)
    with pytest.raises(WeightsError, match=rf"saved\.bin .*{kind}"):
        import_file(entry(site), tmp_path / "saved.bin")
    assert leftovers(cache) == []


def test_import_checks_and_copies(site: Site, cache: Path, tmp_path: Path) -> None:
    mine = tmp_path / "download (1).bin"
    mine.write_bytes(BODY)
    assert import_file(pinned(site), mine).read_bytes() == BODY
    assert mine.exists()
    mine.write_bytes(b"another network")
    with pytest.raises(WeightsError, match=r"download \(1\)\.bin is not the file 'net'"):
        import_file(pinned(site), mine)
    assert (cache / "net.bin").read_bytes() == BODY
    with pytest.raises(WeightsError, match=r"The file .* does not exist"):
        import_file(pinned(site), tmp_path / "nowhere.bin")


def test_other_weights_than_the_published_ones_need_the_option_unofficial(
    cache: Path, shelf: dict[str, Entry], tmp_path: Path
) -> None:
    (tmp_path / "own.bin").write_bytes(SMALL)
    with pytest.raises(WeightsError, match="is not the file 'net': its sha256 is"):
        import_file(shelf["net"], tmp_path / "own.bin")
    import_file(shelf["net"], tmp_path / "own.bin", unofficial=True)
    file = weights.resolve("net")
    assert (file.verified, file.unofficial, file.licence) == (False, True, "unknown")
    assert file.fingerprint.startswith("not the official weights, imported on 20")
    assert file.fingerprint.endswith("own.bin")
    assert weights.provenance(["net"])[0]["unofficial"] is True
    assert weights.suite_ready(["net"]) == ["net"]
    (cache / "net.bin").write_bytes(b"and changed afterwards")
    with pytest.raises(WeightsError, match="is not the file 'net'"):
        weights.resolve("net")


def test_the_official_file_replaces_unofficial_weights(
    site: Site, cache: Path, shelf: dict[str, Entry], tmp_path: Path
) -> None:
    (tmp_path / "own.bin").write_bytes(SMALL)
    for name in ("net", "research"):
        import_file(shelf[name], tmp_path / "own.bin", unofficial=True)
        fetch(shelf[name])
        file = weights.resolve(name)
        assert not file.unofficial
        assert file.fingerprint
    assert weights.resolve("net").verified
    assert weights.suite_ready(["net", "research"]) == []


def test_the_official_file_is_not_imported_as_unofficial(
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


def test_import_accepts_the_published_archive(site: Site, cache: Path, tmp_path: Path) -> None:
    (tmp_path / "pack.zip").write_bytes(archive({"pack/net.bin": BODY}))
    packed = pinned(site, member="net.bin")
    assert import_file(packed, tmp_path / "pack.zip").read_bytes() == BODY
    (tmp_path / "pack.zip").write_bytes(archive({"pack/other.bin": BODY}))
    with pytest.raises(WeightsError, match="not the archive of 'net'"):
        import_file(packed, tmp_path / "pack.zip")


def test_a_file_copied_by_hand_is_pinned_at_first_use(cache: Path, shelf: dict[str, Entry]) -> None:
    cache.mkdir(parents=True)
    (cache / "hand.bin").write_bytes(SMALL)
    assert weights.resolve("hand").verified is False
    (cache / "hand.bin").write_bytes(OTHER)
    with pytest.raises(WeightsError, match="differs from the copy"):
        weights.resolve("hand")


def test_import_needs_weights_of_the_right_network(cache: Path, tmp_path: Path) -> None:
    crfiqa = _REAL["crfiqa-l"]
    (tmp_path / "other.pth").write_bytes(SMALL)
    for unofficial in (False, True):
        with pytest.raises(WeightsError, match=r"other\.pth .*lack 'conv1\.weight'"):
            import_file(crfiqa, tmp_path / "other.pth", unofficial=unofficial)
    assert not (cache / crfiqa.file).exists()
    assert lockfile.known(cache, crfiqa).sha256 is None


def test_a_wrong_file_copied_by_hand_is_not_pinned(cache: Path) -> None:
    cache.mkdir(parents=True)
    (cache / _REAL["crfiqa-s"].file).write_bytes(SMALL)
    with pytest.raises(WeightsError, match=r"32572backbone\.pth does not hold the weights 'crfiqa-s'"):
        weights.resolve("crfiqa-s")
    assert lockfile.known(cache, _REAL["crfiqa-s"]).sha256 is None


@pytest.mark.parametrize(
    ("name", "body", "problem"),
    [
        ("flame", pickle.dumps({"v": [1, 2]})[:-3], "cannot be read as a pickle of arrays"),
        ("flame-texture", archive({"mean.txt": b"1"}), "contains other files than arrays"),
    ],
)
def test_a_file_of_arrays_is_checked_without_being_executed(
    cache: Path, tmp_path: Path, name: str, body: bytes, problem: str
) -> None:
    (tmp_path / "file").write_bytes(body)
    with pytest.raises(WeightsError, match=problem):
        import_file(_REAL[name], tmp_path / "file")
