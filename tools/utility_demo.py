"""Demo of recognition utility without downloads: train on synthetic people, verify others (`make utility-demo`).

All files are in one folder, and the same command continues a stopped run. On one core at 2.8 GHz it takes 15 minutes:
ten for rendering and five for training.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from facebench.training import presets
from facebench.training.engine import model_file
from facebench.training.tasks import registry

CONFIG = "recognition-synthface"


def main() -> None:
    options = _options()
    out: Path = options.out
    faces, run = out / "faces", out / "run"
    if not (out / "test.bin").exists():
        bins = ("--benchmark-bin", out / "validation.bin", "--benchmark-bin", out / "test.bin")
        sizes = ("--identities", options.identities, "--images", options.images, "--seed", 1)
        facebench("synth", faces, *sizes, *bins)
    benchmarks = ("--data", out, "--benchmarks", "validation,test")
    facebench(
        "utility", faces, *benchmarks, "--validation", "validation", "--config", CONFIG,
        "--seeds", options.seeds, "--out", run,
    )  # fmt: skip
    write_untrained(faces, out / "untrained")
    for model in (out / "untrained", run / "seed-0"):
        facebench("verify-benchmark", model, *benchmarks, "--out", model / "verification.json")
    draw(run / "seed-0", out / "untrained" / "verification.json", out / "curve.png")
    print(f"wrote {out / 'curve.png'}")


def facebench(*arguments: object) -> None:
    command = [sys.executable, "-m", "facebench", *map(str, arguments)]
    print("$", *command[2:], flush=True)
    if done := subprocess.run(command, check=False).returncode:
        sys.exit(done)


def write_untrained(faces: Path, out: Path) -> None:
    """Write the untrained network, as a baseline."""
    content = presets.read(CONFIG) | {"data": {"kind": "folder", "path": faces}, "validation": None}
    task = registry.prepare("recognition", content, CONFIG).task
    model_file.write(out / "model.safetensors", task.model(task.network.eval(), {"steps": 0}))


def draw(run: Path, untrained: Path, out: Path) -> None:
    """Draw loss and validation accuracy of a run; the first accuracy is that of the untrained network."""
    with (run / "log.csv").open(newline="", encoding="utf-8") as file:
        rows = [(int(row["step"]), row["name"], float(row["value"])) for row in csv.DictReader(file)]
    loss = [(step, value) for step, name, value in rows if name == "loss"]
    accuracy = [(step, value) for step, name, value in rows if name == "validation_accuracy"]
    begin = json.loads(untrained.read_text(encoding="utf-8"))["benchmarks"]
    first = begin.get("validation", next(iter(begin.values())))["accuracy"]["value"]
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
    mean = 25
    smooth = [
        sum(v for _, v in loss[max(0, i - mean) : i + 1]) / len(loss[max(0, i - mean) : i + 1])
        for i in range(len(loss))
    ]
    left.plot([step for step, _ in loss], [value for _, value in loss], color="0.8", linewidth=0.6)
    left.plot([step for step, _ in loss], smooth, color="C0")
    left.set(xlabel="step", ylabel="CosFace loss")
    points = [(0, first), *accuracy]
    right.plot([step for step, _ in points], [value for _, value in points], "o-", color="C0")
    right.axhline(first, color="0.5", linestyle=":", label="untrained")
    right.set(xlabel="step", ylabel="accuracy on held-out people", ylim=(0.5, 1.0))
    right.legend(loc="lower right")
    right.set_xlim(left.get_xlim())
    figure.savefig(out, dpi=120)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--identities", type=int, default=600)
    parser.add_argument("--images", type=int, default=12)
    parser.add_argument("--seeds", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
