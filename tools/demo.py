"""The whole way on rendered faces: a reference set, a good and a degraded "model", tables, a CSV and pages."""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from pathlib import Path

SET = "--identities 40 --images 5 --size 128"


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
    print(f"\nDone in {time.perf_counter() - started:.0f} s. Open in a browser:")
    for page in (results / "leaderboard.html", results / "report" / "index.html"):
        print(f"  {page.resolve()}")


def make(out: Path, command: str) -> None:
    """Write a set of images unless it is there already."""
    if (out / "manifest.csv").exists():
        print(f"{out} is there already")
    else:
        facebench(command)


def facebench(command: str) -> None:
    """Run one command as a user would, and show it."""
    print(f"\n$ facebench {command}", flush=True)
    subprocess.run([sys.executable, "-m", "facebench", *shlex.split(command)], check=True)


if __name__ == "__main__":
    main()
