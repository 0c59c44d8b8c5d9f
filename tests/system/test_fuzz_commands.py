"""Junk in place of every file or folder of a command: one line, exit code 2, and no output that looks finished."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facebench import cli
from facebench.core.shipped_data import MODELS
from tests.helpers.mutator import within

SECONDS = 30
MODEL = "diffae-64-synthface"


def _random_bytes(path: Path) -> None:
    path.write_bytes(np.random.default_rng(0).bytes(5000))


def _picture(path: Path) -> None:
    Image.new("RGB", (64, 64)).save(path, "PNG")


def _cut_model(path: Path) -> None:
    path.write_bytes((MODELS / f"{MODEL}.safetensors").read_bytes()[:20_000])


def _folder_of_junk(path: Path) -> None:
    path.mkdir()
    for name in ("model.safetensors", "a.png", "manifest.csv", "config.yaml"):
        _random_bytes(path / name)


JUNK: dict[str, Callable[[Path], object]] = {
    "missing": lambda path: None,
    "empty": lambda path: path.write_bytes(b""),
    "random bytes": _random_bytes,
    "picture": _picture,
    "cut model": _cut_model,
    "empty folder": lambda path: path.mkdir(),
    "folder of junk": _folder_of_junk,
    "link to itself": lambda path: path.symlink_to(path.name),
    "not utf-8": lambda path: path.write_bytes("name: café\nimage,source\n".encode("latin-1")),
    "nan": lambda path: path.write_text(
        "name: x\ntrain: ddim\nsteps: .nan\nlearning_rate: .inf\nfactors: {a: [.nan]}\n"
    ),
    "list": lambda path: path.write_text("- 1\n- 2\n"),
    "number": lambda path: path.write_text("5\n"),
    "header only": lambda path: path.write_text("source,target\n"),
    "deep": lambda path: path.write_text("[" * 3000),
}
VALID = {("interpolate", "picture")}
"""Pairs of command and content that are right."""
SUFFIXES = ("", ".safetensors", ".yaml", ".csv", ".png", ".zip", ".npz", ".parquet", ".pth", ".onnx", ".json")

COMMANDS: dict[str, Sequence[str]] = {
    "sample": ("sample", "JUNK", "OUT"),
    "sample latent": ("sample", MODEL, "OUT", "--latent", "JUNK"),
    "reconstruct": ("reconstruct", "JUNK", "OUT"),
    "reconstruct checkpoint": ("reconstruct", "FACES", "OUT", "--checkpoint", "JUNK"),
    "interpolate": ("interpolate", "JUNK", "FACE", "OUT"),
    "edit": ("edit", "JUNK", "OUT", "--attribute", "happy"),
    "edit directions": ("edit", "FACES", "OUT", "--attribute", "happy", "--directions", "JUNK"),
    "edit target": ("edit", "FACES", "OUT", "--attribute", "happy", "--target", "JUNK"),
    "train": ("train", "ddim", "JUNK", "--out", "OUT"),
    "train config": ("train", "ddim", "FACES", "--config", "JUNK", "--out", "OUT"),
    "train out": ("train", "ddim", "FACES", "--out", "JUNK", "nothing=1"),
    "weights import": ("weights", "import", "arcface-iresnet50", "JUNK"),
    "transfer": (
        "transfer", "--checkpoint", "JUNK", "--source", "FACES", "--target", "FACES", "--extractor-source",
        "synthface", "--extractor-target", "synthface", "--out", "OUT",
    ),
    "grid": ("grid", "JUNK", "--out", "OUT"),
    "networks add": ("networks", "add", "JUNK"),
    "networks add-trained": ("networks", "add-trained", "JUNK", "--name", "mine"),
    "stats": ("stats", "JUNK", "--out", "OUT.npz", "--network", "lite0"),
    "study ratings": ("study", "ratings", "JUNK", "OUT.html", "--question", "?"),
    "validate": ("validate", "--against", "JUNK", "--run", "JUNK"),
    "pick": ("pick", "JUNK", "OUT", "--by", "sharpness", "--highest"),
}  # fmt: skip


@pytest.fixture(scope="module")
def face_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faces")
    for number in range(2):
        Image.new("RGB", (64, 64), (90 * number, 80, 70)).save(folder / f"{number}.png")
    return folder


@pytest.mark.parametrize("command", COMMANDS)
def test_junk_is_refused_in_one_line(
    command: str, face_folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    wrong = []
    for number, (kind, make) in enumerate(JUNK.items()):
        if (command, kind) in VALID:
            continue
        folder = tmp_path / str(number)
        folder.mkdir()
        junk = folder / f"junk{SUFFIXES[(number + len(command)) % len(SUFFIXES)]}"
        make(junk)
        places = {"JUNK": junk, "FACES": face_folder, "FACE": face_folder / "0.png", "OUT": folder / "out"}
        words = [str(places.get(word, word)).replace("OUT", f"{folder}/out") for word in COMMANDS[command]]
        capfd.readouterr()
        with within(SECONDS):
            code = cli.run_command(words)
        printed = capfd.readouterr()
        last = printed.err.strip().splitlines()[-1:] or [""]
        refused = code == 2 and not re.search("internal error|Traceback|Usage:", printed.err + printed.out)
        if not refused:
            wrong.append(f"{kind} {junk.name}: code {code}, {last[0][:300]}")
    assert not wrong, "\n".join(wrong)
