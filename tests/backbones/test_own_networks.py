"""Networks of installed packages: a real distribution with the entry point group `facebench.networks`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.onnx_files import one_pixel_times

ROOT = Path(__file__).parents[2]
MODULE = """
from pathlib import Path
import torch

FILE = {
    "name": "labnet", "title": "LabNet", "file": str(Path(__file__).parent / "labnet.onnx"),
    "crop": "face112", "size": 112, "licence": "MIT", "source": "LabNet 2026",
    "outputs": {"valence": {"columns": 0}, "arousal": {"columns": 1}},
}

class Bright(torch.nn.Module):
    def forward(self, batch):
        return {"mean": batch.mean(dim=(1, 2, 3))}

def described():
    return {"name": "bright", "crop": "image", "size": 32, "network": Bright,
             "outputs": {"quality": {"output": "mean"}}}

BROKEN = {"name": "broken", "outputs": {"mood": {}}}
"""
USE = """
import json, sys
import numpy as np, torch
from facebench import backbones, evaluate
from facebench.evaluation.protocols import find_protocol

network = backbones.build("labnet")
image = np.random.default_rng(1).integers(0, 256, (112, 112, 3), dtype=np.uint8)
arrays = network.embed(torch.stack([network.preprocess(image)]))
run = evaluate(sys.argv[1], metrics=["quality_bright"])
print(json.dumps({
    "valence": float(arrays["valence"][0]),
    "pixel": (image[30, 70] / 255).tolist(),
    "quality": run.metrics["quality_bright"].value,
    "listed": "valence_ccc_labnet" in find_protocol("expression-transfer").suites["paper"],
    "licence": network.weights.licence,
}))
"""
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def installed(tmp_path: Path) -> Run:
    """Install a distribution into a folder; return a function that runs Python with it."""
    site = tmp_path / "site"
    package = site / "labnets"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(MODULE)
    one_pixel_times(package / "labnet.onnx", np.array([[1, 0], [0, 1], [0, 0]], np.float32), 112)

    def run(entry_points: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        information = site / "labnets-1.0.dist-info"
        information.mkdir(exist_ok=True)
        (information / "METADATA").write_text("Metadata-Version: 2.1\nName: labnets\nVersion: 1.0\n")
        (information / "entry_points.txt").write_text(
            "[facebench.networks]\n" + textwrap.dedent(entry_points)
        )
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(ROOT)]), "COLUMNS": "200"}
        command = [sys.executable, *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    return run


def test_a_package_adds_networks_by_its_entry_points(installed: Run, faces: Path) -> None:
    entries = "labnet = labnets:FILE\nbright = labnets:described\n"
    done = installed(entries, "-c", USE, str(faces / "images" / "id000"))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["valence"] == pytest.approx(found["pixel"][0], abs=1e-6)
    assert 0 < found["quality"] < 1
    assert found["listed"]
    assert found["licence"] == "MIT"
    listed = installed(entries, "-m", "facebench", "networks", "list")
    assert "labnet" in listed.stdout
    assert "bright" in listed.stdout


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("broken = labnets:BROKEN", "entry point broken of facebench.networks: outputs.mood"),
        ("gone = labnets:NOTHING", "entry point gone of facebench.networks fails"),
        ("missing = nolab:FILE", "entry point missing of facebench.networks fails"),
    ],
)
def test_a_broken_entry_point_is_named(installed: Run, entry: str, message: str) -> None:
    done = installed(entry, "-m", "facebench", "networks", "list")
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
