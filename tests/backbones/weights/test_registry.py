"""The registry lists files, licences and fingerprints of all networks."""

from __future__ import annotations

import pytest

from facebench import backbones
from facebench.backbones.weights import registry
from facebench.core.errors import InputError, WeightsError

ENTRY = """
net:
  about: a network
  file: net.bin
  format: torch
  licence: MIT
  home: https://example.org
  urls: [https://example.org/net.bin]
"""


NO_BACKBONE = (
    "yunet",
    "mtcnn",
    "flame",
    "flame-texture",
    "diffae-64-synthface",
    "directions-64-synthface",
    "ffhq256-autoenc",
    "ffhq256-autoenc-cls",
)
"""Entries for detection, rendering and editing, which no metric uses."""


def test_every_backbone_has_weights_in_the_registry() -> None:
    for name in backbones.names():
        assert bool(registry.needed_by(name)) != (name in registry.WITHOUT_WEIGHTS), name


def test_every_entry_serves_a_backbone_that_exists() -> None:
    for entry in registry.entries().values():
        assert set(entry.backbones) <= set(backbones.names()), entry.name
        assert entry.backbones or entry.name in NO_BACKBONE, entry.name


def test_cache_files_do_not_collide() -> None:
    files = [entry.file for entry in registry.entries().values()]
    assert len(files) == len(set(files))


def test_an_entry_with_the_name_of_a_backbone_belongs_to_it() -> None:
    for entry in registry.entries().values():
        if entry.name in backbones.names():
            assert entry.name in entry.backbones


def test_urls_use_https_and_pin_a_commit() -> None:
    for entry in registry.entries().values():
        for url in entry.urls:
            assert url.startswith("https://"), url
            assert "/main/" not in url, url
            assert "/master/" not in url, url


def test_fingerprints_agree_with_the_digits_in_official_urls() -> None:
    def sha256(name: str) -> str:
        return registry.entry(name).sha256 or ""

    assert f"/{sha256('clip')}/" in registry.entry("clip").urls[0]
    for name in ("inception", "vgg16", "alexnet", "lite0"):
        assert f"-{sha256(name)[:8]}.pth" in registry.entry(name).file


def test_licences_that_exclude_commercial_use_are_marked() -> None:
    for entry in registry.entries().values():
        stated = "NC" in entry.licence or "non-commercial" in entry.licence
        assert entry.non_commercial == stated, entry.name


def test_the_error_for_an_unknown_name_suggests_close_names() -> None:
    with pytest.raises(InputError, match="Did you mean emonet-8"):
        registry.entry("emonet8")
    with pytest.raises(InputError, match="names are known"):
        registry.select(["zzz"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("licence: MIT", ""), r"here\.yaml: net: licence: Field required\."),
        (
            ("licence: MIT", "license: MIT"),
            "licence: Field required; license: Extra inputs are not permitted",
        ),
        (("format: torch", "format: pickle"), "net: format: Input should be 'torch'"),
        (("file: net.bin", "file: ../net.bin"), "net: file: String should match"),
        (("urls: [https://example.org/net.bin]", ""), "needs urls or manual instructions"),
        (("licence: MIT", "licence: MIT\n  sha256: 12ab"), "net: sha256"),
        (("licence: MIT", f"licence: MIT\n  sha256: {'ab' * 32}"), "needs its source in 'fingerprint'"),
    ],
)
def test_the_error_for_an_invalid_registry_names_entry_and_key(change: tuple[str, str], message: str) -> None:
    assert registry.parse(ENTRY, "here.yaml")["net"].licence == "MIT"
    with pytest.raises(WeightsError, match=message):
        registry.parse(ENTRY.replace(*change), "here.yaml")
