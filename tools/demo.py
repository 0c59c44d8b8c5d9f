"""Demo on rendered faces: a reference set, a good and a degraded "model", edits, tables, a CSV file and pages."""

from __future__ import annotations

import csv
import shlex
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image

from facebench.training.engine.image_grid import grid

SET = "--identities 20 --images 5 --size 128"
EDITED = "--identities 8 --images 1 --size 128 --seed 3"
EXPRESSIONS = ("happy", "angry")
COLUMNS = 8


def main() -> None:
    folder = Path(sys.argv[1])
    started = time.perf_counter()
    make(folder / "reference", f"synth {folder}/reference {SET} --seed 1")
    make(folder / "good", f"synth {folder}/good {SET} --seed 2")
    make(folder / "degraded", f"degrade {folder}/good {folder}/degraded --kind blur --strength 0.5")
    for model in ("good", "degraded"):
        facebench(
            f"evaluate {folder}/{model} --reference {folder}/reference --suite compact "
            f"--out {folder}/runs/{model}-quality"
        )
        facebench(
            f"evaluate {folder}/{model} --protocol identity --suite compact --out {folder}/runs/{model}-identity"
        )
    quality = f"{folder}/runs/good-quality {folder}/runs/degraded-quality"
    identity = f"{folder}/runs/good-identity {folder}/runs/degraded-identity"
    results = folder / "results"
    facebench(
        f"leaderboard {quality} {identity} --csv {results}/leaderboard.csv --html {results}/leaderboard.html"
    )
    facebench(f"report {quality} --html {results}/report")
    edits = edit(folder)
    draw_edits(edits, results / "edits.png")
    edit_benchmark(folder, results / "edit-benchmark")
    print(f"\nDone in {time.perf_counter() - started:.0f} s. Open in a browser:")
    pages = ("leaderboard.html", "report/index.html", "edits.png", "edit-benchmark/index.html")
    for page in (results / name for name in pages):
        print(f"  {page.resolve()}")


def edit(folder: Path) -> list[Path]:
    """Edit neutral faces with the shipped autoencoder, and compare the edits with the rendered truth."""
    for expression in ("neutral", *EXPRESSIONS):
        rendered = folder / f"rendered-{expression}"
        make(rendered, f"synth {rendered} {EDITED} --expressions {expression}")
        make(folder / expression, f"align {rendered} {folder}/{expression} --size 64")
    edits = []
    for expression in EXPRESSIONS:
        out = folder / f"edited-{expression}"
        make(
            out,
            f"edit {folder}/neutral {out} --attribute {expression} --target {folder}/{expression} "
            "--strength 0.8 --encode-steps 20 --render-steps 20",
        )
        facebench(
            f"evaluate {out} --protocol expression-transfer --suite compact --name {expression} "
            f"--out {folder}/runs/edited-{expression}"
        )
        edits.append(out)
    return edits


def edit_benchmark(folder: Path, page: Path) -> None:
    """Edit neutral faces at three strengths, and measure how well the strength controls the expression."""
    out, run = folder / "edited-strengths", folder / "runs/edit-benchmark"
    make(
        out,
        f"edit {folder}/neutral {out} --attribute happy --strength 0.3 --strength 0.6 --strength 0.9 "
        "--encode-steps 20 --render-steps 20",
    )
    facebench(f"evaluate {out} --protocol edit-benchmark --suite compact --name happy --out {run}")
    facebench(f"report {run} --html {page}")


def draw_edits(edits: list[Path], path: Path) -> None:
    """Draw rows of faces: sources, reconstructions, and for each expression the edits and the rendered truth."""
    tables = [
        list(csv.DictReader((out / "manifest.csv").open(newline="", encoding="utf-8"))) for out in edits
    ]
    rows = [[edits[0] / row[name] for row in tables[0]] for name in ("source", "reconstruction")]
    rows += [
        [out / row[name] for row in table]
        for out, table in zip(edits, tables, strict=True)
        for name in ("image", "target")
    ]
    pictures = [np.asarray(Image.open(file).convert("RGB")) for row in rows for file in row[:COLUMNS]]
    sheet = Image.fromarray(grid(np.stack(pictures), COLUMNS))
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.resize((2 * sheet.width, 2 * sheet.height), Image.Resampling.LANCZOS).save(path)


def make(out: Path, command: str) -> None:
    """Write a set of images unless it exists."""
    if (out / "manifest.csv").exists():
        print(f"{out} exists")
    else:
        facebench(command)


def facebench(command: str) -> None:
    """Print one command and run it in a subprocess."""
    print(f"\n$ facebench {command}", flush=True)
    subprocess.run([sys.executable, "-m", "facebench", *shlex.split(command)], check=True)


if __name__ == "__main__":
    main()
