"""FID compared with torch-fidelity and clean-fid: one process, the same images and weights."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import cleanfid.fid
import pytest
import torch
import torch_fidelity
from cleanfid.inception_pytorch import InceptionV3 as CleanFidInception

from facebench.backbones import weights
from facebench.evaluation.pipeline import evaluate
from tests.helpers.golden_networks import GOLDENS
from tests.helpers.paper_weights import own_cache, put_in_place

A, B = (sorted((GOLDENS / "images" / side).glob("*.png")) for side in "ab")


@pytest.fixture
def inception() -> Iterator[Path]:
    """Filled weights of Inception, imported as unofficial weights."""
    with own_cache() as folder:
        put_in_place(("inception",), folder)
        yield weights.resolve("inception").path


def test_torch_fidelity_and_clean_fid_give_the_same_fid_of_the_same_files_and_weights(
    inception: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for side, files in (("a", A), ("b", B)):
        (tmp_path / side).mkdir()
        for file in files[::8]:
            shutil.copy(file, tmp_path / side)
    a, b = str(tmp_path / "a"), str(tmp_path / "b")
    ours = {m: r.value for m, r in evaluate(a, b, metrics=["fid_tf", "fid_clean"]).metrics.items()}
    theirs = torch_fidelity.calculate_metrics(
        input1=a,
        input2=b,
        fid=True,
        cuda=False,
        cache=False,
        batch_size=4,
        verbose=False,
        save_cpu_ram=True,
        feature_extractor_weights_path=str(inception),
    )
    assert ours["fid_tf"] == pytest.approx(theirs["frechet_inception_distance"], rel=1e-3)
    network = clean_fids_network(inception, tmp_path, monkeypatch)
    assert ours["fid_clean"] == pytest.approx(clean_fids_fid(a, b, network), rel=1e-3)


def clean_fids_network(
    inception: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Network of clean-fid with the same weights instead of the file that it downloads for mode "clean"."""
    hub = tmp_path / "hub" / "checkpoints"
    hub.mkdir(parents=True)
    (hub / "pt_inception-2015-12-05-6726825d.pth").symlink_to(inception)
    monkeypatch.setattr(torch.hub, "_hub_dir", str(hub.parent))
    network = CleanFidInception(resize_input=False, normalize_input=False).eval()
    return lambda x: network((x - 128) / 128)[0].flatten(1)


def clean_fids_fid(a: str, b: str, network: Callable[[torch.Tensor], torch.Tensor]) -> float:
    features = [
        cleanfid.fid.get_folder_features(
            folder, network, num_workers=0, device=torch.device("cpu"), mode="clean", verbose=False
        )
        for folder in (a, b)
    ]
    return float(cleanfid.fid.fid_from_feats(*features))
