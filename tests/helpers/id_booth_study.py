"""Inputs of a small ID-Booth study: rendered people, tiny base models, an untrained recogniser, a benchmark."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
import yaml

from facebench.cli import run_command
from facebench.studies.id_booth.settings import UtilitySettings
from facebench.training.engine import model_file
from facebench.training.recognition.recogniser import NetworkSettings, build_backbone
from tests.helpers.diffusion_bases import FACE_SIDE, base_model

PEOPLE = 3
SETTINGS: dict[str, Any] = {
    "extends": "id-booth-released",
    "preset": "id-booth-small",
    "prior": {"images": 3, "steps": 8},
    "train": {
        "changes": ["steps=2", "checkpoint_every=2", "sample_every=1000", "workers=0", "precision=float32",
                    "detector=mtcnn", "crop=box"],
        "vae_sdxl": None,
    },
    "draw": {"images": 3, "steps": 8, "size_sd": FACE_SIDE, "size_sdxl": FACE_SIDE},
    "evaluate": {"suite": "compact", "detector": "yunet", "align": "arcface112"},
    "utility": {
        "config": "recognition-synthface",
        "seeds": 1,
        "changes": [
            "network.width=4", "network.size=28", "network.embedding=8", "batch_size=4", "workers=0",
            "optimizer.warmup=0", "epochs=1", "checkpoint_every=100",
        ],
    },
}  # fmt: skip


def prepare(folder: Path, kinds: tuple[str, ...] = ("sd", "sdxl")) -> None:
    """Write the inputs into a new folder."""
    (folder / "benchmarks").mkdir(parents=True)
    _run("synth", folder / "people", "--identities", PEOPLE, "--images", 3, "--size", FACE_SIDE, "--seed", 4,
         "--benchmark-bin", folder / "benchmarks" / "lfw.bin", "--benchmark-people", 20)  # fmt: skip
    _run("synth", folder / "others", "--identities", 12, "--images", 1, "--size", FACE_SIDE, "--seed", 9)
    for name in UtilitySettings().benchmarks[1:]:
        shutil.copy(folder / "benchmarks" / "lfw.bin", folder / "benchmarks" / f"{name}.bin")
    for kind in kinds:
        base_model(folder / kind, kind, faces=True)
    sizes = NetworkSettings(name="iresnet18", width=8, size=28, embedding=16).model_dump(mode="json")
    torch.manual_seed(0)
    recogniser = model_file.ModelFile("recognition", build_backbone(sizes).state_dict(), sizes)
    model_file.write(folder / "recogniser.safetensors", recogniser)
    (folder / "study.yaml").write_text(yaml.safe_dump(SETTINGS))


def command(folder: Path, out: Path, *more: object, kinds: tuple[str, ...] = ("sd", "sdxl")) -> list[str]:
    """Return the words of the study of a prepared folder."""
    words = ["study", "id-booth", "--people", folder / "people", "--config", folder / "study.yaml"]
    for kind in kinds:
        words += ["--base", folder / kind / "model"]
    words += ["--reference", f"TFD={folder / 'people'}", "--reference", f"FFHQ={folder / 'others'}"]
    words += ["--recogniser", folder / "recogniser.safetensors", "--benchmarks", folder / "benchmarks"]
    return [str(word) for word in [*words, "--out", out, *more]]


def _run(*words: object) -> None:
    if run_command([str(word) for word in words]):
        raise SystemExit(f"facebench {' '.join(map(str, words))} failed")
