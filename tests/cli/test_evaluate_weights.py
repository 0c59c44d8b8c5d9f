"""`facebench evaluate --suite paper` fetches the weights that it needs after consent, or names what is missing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from facebench import load_run
from facebench.backbones import weights
from facebench.backbones.weights import registry
from facebench.backbones.weights.registry import Entry
from facebench.evaluation.cards import find_card
from facebench.evaluation.protocols import find_protocol
from tests.evaluation.test_estimate_transfer import transfers
from tests.helpers.paper_weights import facebench, own_cache, put_in_place
from tests.helpers.paths import GOLDENS_FOLDER
from tests.helpers.weights_server import Site, serving

FACES = GOLDENS_FOLDER / "images" / "a"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FACEBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "weights"


@pytest.fixture
def shelf(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """The real registry, but everything comes from a server on this machine and is for research only."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "FACEBENCH_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    with serving() as site:
        changed: dict[str, Entry] = {}
        for name, entry in registry.entries().items():
            body = f"no checkpoint, but {name}".encode()
            site.files[entry.file] = body
            changes = {"urls": (site.url(entry.file),), "non_commercial": True, "manual": None}
            fingerprint = {"sha256": hashlib.sha256(body).hexdigest(), "fingerprint": "this test"}
            unchecked = {"git_blob": None, "size": None, "member": None}
            changed[name] = (
                entry if entry.wheel else entry.model_copy(update=changes | fingerprint | unchecked)
            )
        monkeypatch.setattr(registry, "entries", lambda: changed)
        yield site


def test_offline_it_names_every_missing_file_the_command_and_the_place(cache: Path) -> None:
    done = facebench("evaluate", FACES, "--suite", "paper", "--protocol", "edit")
    assert done.code == 2
    first, second, *rest = done.text.splitlines()
    assert first == "error: FACEBENCH_OFFLINE forbids the network."
    assert second.startswith("Weights are missing: ")
    for name in ("arcface-iresnet100", "crfiqa-l", "emonet-8", "deca", "emoca", "alexnet", "lpips-alex"):
        assert name in second
    text = "\n".join(rest)
    assert "Fetch them: facebench weights fetch" in text
    assert "facebench weights import crfiqa-l FILE" in text
    assert str(cache / "emonet_8.pth") in text


def test_nothing_is_fetched_before_a_licence_is_accepted(shelf: Site, cache: Path) -> None:
    done = facebench("evaluate", FACES, "--suite", "paper", "--protocol", "identity")
    assert done.code == 2
    assert "is for non-commercial use only" in done.text
    assert "--accept-licence" in done.text
    assert shelf.requests == []


def test_with_consent_all_weights_of_the_suite_are_fetched_pair_networks_included(
    shelf: Site, cache: Path
) -> None:
    done = facebench("evaluate", FACES, "--suite", "paper", "--protocol", "edit", "--accept-licence")
    needed = {find_card(metric).reads.backbone for metric in find_protocol("edit").suites["paper"]}
    assert weights.suite_ready(needed - {"yunet"}) == []
    assert (cache / "lpips_v0.1_alex.pth").read_bytes() == b"no checkpoint, but lpips-alex"
    assert done.code == 2, "a file that is no checkpoint is refused when the network is built"
    assert "not a PyTorch checkpoint" in done.text


def test_the_compact_suite_never_looks_for_the_network(shelf: Site) -> None:
    facebench("evaluate", FACES.parent / "nowhere", "--suite", "compact")
    assert shelf.requests == []


def test_a_suite_runs_with_the_networks_that_have_weights(faces: Path, tmp_path: Path) -> None:
    with own_cache():
        put_in_place(("emonet-8",), tmp_path)
        folder = transfers(faces, tmp_path / "set", "source")
        words = ("evaluate", folder, "--protocol", "expression-transfer", "--suite", "paper")
        done = facebench(*words, "--out", tmp_path / "run")
        everything = facebench(*words, "--out", tmp_path / "run", "--all")
    assert done.code == 0, done.text
    run = load_run(tmp_path / "run")
    assert run.metrics["valence_error_emonet8"].value == pytest.approx(
        run.metrics["valence_gap_emonet8"].value, abs=1e-6
    )
    missing = run.metrics["valence_error_maxvit"]
    assert missing.value is None
    assert "facebench weights import maxvit-va FILE" in missing.reason
    (affect,) = [choice for choice in run.choices if choice.kind == "affect"]
    assert affect.networks == ["emonet-8-flip"]
    assert "facebench weights fetch emotieff-b0" in done.text
    assert "valence_gap_emonet8" in done.text
    assert "valence_sagr_emonet8" not in done.text
    assert "evaluate --all prints them" in " ".join(done.text.split())
    assert "valence_sagr_emonet8" in everything.text
