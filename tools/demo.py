"""The whole way on rendered faces: a reference set, a good and a degraded "model", tables, a CSV and a page."""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from pathlib import Path

IDENTITIES, IMAGES, SIZE = 40, 5, 128


def main() -> None:
    folder = Path(sys.argv[1])
    started = time.perf_counter()
    shape = ["--identities", str(IDENTITIES), "--images", str(IMAGES), "--size", str(SIZE)]
    make(folder / "reference", "synth", *shape, "--seed", "1")
    make(folder / "good", "synth", *shape, "--seed", "2")
    make(
        folder / "degraded",
        "degrade",
        folder / "good",
        "--kind",
        "blur",
        "--strength",
        "0.5",
        before_out=True,
    )
    runs = []
    for protocol in ("quality", "identity"):
        for model in ("good", "degraded"):
            out = folder / "runs" / f"{model}-{protocol}"
            against = ["--reference", folder / "reference"] if protocol == "quality" else []
            facebench(
                "evaluate",
                folder / model,
                *against,
                "--protocol",
                protocol,
                "--suite",
                "compact",
                "--out",
                out,
            )
            runs.append(out)
    results = folder / "results"
    facebench(
        "leaderboard", *runs, "--csv", results / "leaderboard.csv", "--html", results / "leaderboard.html"
    )
    print(f"\nDone in {time.perf_counter() - started:.0f} s. Open {(results / 'leaderboard.html').resolve()}")


def make(out: Path, *command: object, before_out: bool = False) -> None:
    """Write a set of images once."""
    if (out / "manifest.csv").exists():
        print(f"{out} is there already")
        return
    name, *rest = command
    facebench(name, *([rest[0], out, *rest[1:]] if before_out else [out, *rest]))


def facebench(*arguments: object) -> None:
    """Run one command as a user would, and show it."""
    command = ["facebench", *map(str, arguments)]
    print(f"\n$ {shlex.join(command)}", flush=True)
    subprocess.run([sys.executable, "-m", *command], check=True)


if __name__ == "__main__":
    main()
