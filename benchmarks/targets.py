"""All speed targets in one table, with the machine described: `make bench`.

    python benchmarks/targets.py [--only NAME ...] [--scale 1.0] [--out benchmarks/results/targets.json]
                                 [--page docs/performance.md]

Every row measures facebench and, where one exists, its peer in the same run. Ratios carry over to other machines,
seconds do not. `--scale 0.02` checks within a minute that every measurement runs; its numbers mean nothing. Results of
rows that are not measured again stay in the file.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from torch import Tensor

ROOT = Path(__file__).parents[1]
MARKS = ("<!-- targets -->", "<!-- end of targets -->")
sys.path.insert(0, str(ROOT))

from benchmarks.machine import busy_seconds, machine  # noqa: E402


@dataclass(frozen=True)
class Row:
    """One target.

    Attributes:
        what: what is measured.
        value: the ratio or the seconds.
        unit: "times", "s", "images/s" or "%".
        target: what is asked for; None for a row that explains another one.
        least: whether the value has to be at least the target, or at most.
        detail: seconds of both sides, and what limits the value.
        load: average number of running processes during the measurement; above the number of cores, seconds are
            too long.
    """

    what: str
    value: float
    unit: str
    target: float | None = None
    least: bool = True
    detail: str = ""
    load: float = 0.0

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without a target."""
        if self.target is None:
            return None
        return self.value >= self.target if self.least else self.value <= self.target


def clock(action: Callable[[], object]) -> tuple[float, float]:
    """Return wall time and CPU time of an action in seconds."""
    start, before = time.perf_counter(), busy_seconds()
    action()
    return time.perf_counter() - start, busy_seconds() - before


def fid(scale: float) -> Iterator[Row]:
    """Cold FID of two folders against torch-fidelity and clean-fid."""
    import torch

    from benchmarks.extraction import clean_fid, filled, make_folder, ours, torch_fidelity
    from facebench import backbones
    from facebench.backbones.inception import FidInception
    from facebench.features.engine import fused_cpu
    from facebench.features.store.sqlite import Store

    count = max(16, int(1000 * scale))
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        folders = [work / "generated", work / "reference"]
        for seed, path in enumerate(folders):
            make_folder(path, count, seed)
        state = filled(FidInception())
        torch.save(state, work / "weights.pth")
        plain = FidInception().eval().requires_grad_(False)
        plain.load_state_dict(state)
        tf, clean = backbones.build("inception-tf", state), backbones.build("inception-clean", state)
        batch = torch.rand(16, 3, 299, 299)
        fused_cpu.embed(tf, batch)
        repeats = max(1, count // 32)
        forward, forward_busy = clock(lambda: [fused_cpu.embed(tf, batch) for _ in range(repeats)])
        forward, forward_busy = (seconds * 2 * count / (16 * repeats) for seconds in (forward, forward_busy))
        sides = {
            "fid_tf": (
                lambda: ours(folders, tf, Store(work / "tf")),
                lambda: torch_fidelity(folders, work / "weights.pth", None),
                2.8,
                "torch-fidelity",
            ),
            "fid_clean": (
                lambda: ours(folders, clean, Store(work / "clean")),
                lambda: clean_fid(folders, plain),
                2.7,
                "clean-fid",
            ),
        }
        for name, (mine, theirs, target, peer) in sides.items():
            (wall, busy), (peer_wall, peer_busy) = clock(mine), clock(theirs)
            detail = f"{wall:.1f} s against {peer_wall:.1f} s; CPU time ratio {peer_busy / busy:.2f}"
            yield Row(
                f"{name} cold, {count} + {count} images, against {peer}",
                peer_wall / wall,
                "times",
                target,
                detail=detail,
            )
            share = 100 * forward_busy / busy
            yield Row(
                f"{name}, share of the CPU time in the network", share, "%", 95 if name == "fid_tf" else None
            )


def networks(scale: float) -> Iterator[Row]:
    """Rates of networks as shares of the rate of a product of large matrices, with all threads."""
    import torch

    from benchmarks.extraction import filled
    from facebench import backbones
    from facebench.backbones.inception import FidInception
    from facebench.features.engine import fused_cpu
    from facebench.features.engine.allocator import keep_freed_memory

    keep_freed_memory()
    limit, repeats = product_rate(), max(1, int(50 * scale))
    batches = (
        (backbones.build("inception-tf", filled(FidInception())), torch.rand(8, 3, 299, 299)),
        (backbones.build("sface"), 255 * torch.rand(8, 3, 112, 112)),
        (backbones.build("lite0"), torch.rand(8, 3, 224, 224)),
    )
    for backbone, batch in batches:
        fused_cpu.embed(backbone, batch)
        wall, _ = clock(lambda b=backbone, x=batch: [fused_cpu.embed(b, x) for _ in range(repeats)])
        images = len(batch) * repeats / wall
        rate = images * operations(backbone.network, batch[:1])
        detail = f"{images:.1f} images/s; {rate / 1e9:.0f} of {limit / 1e9:.0f} GFLOP/s"
        yield Row(
            f"{backbone.name}, share of the rate of matrix products", 100 * rate / limit, "%", detail=detail
        )


def operations(network: Callable[[Tensor], object], image: Tensor) -> int:
    """Floating-point operations of all convolutions and matrix products for one image."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network(image)
    return counter.get_total_flops()


def product_rate(side: int = 2048, repeats: int = 20) -> float:
    """Floating-point operations per second of a float32 product of square matrices, the best of several."""
    import torch

    left, right = torch.rand(side, side), torch.rand(side, side)
    return 2 * side**3 / min(clock(lambda: left @ right)[0] for _ in range(repeats))


def resize(scale: float) -> Iterator[Row]:
    """The resize of clean-fid, one thread."""
    import torch
    from cleanfid.resize import build_resizer

    from facebench.backbones.inception import preprocess_clean
    from facebench.features.engine.allocator import keep_freed_memory

    keep_freed_memory()  # as during an evaluation; the peer gains as well
    peer = build_resizer("clean")
    image = np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8)
    repeats = max(3, int(300 * scale))

    def theirs() -> None:
        for _ in range(repeats):
            torch.from_numpy(((peer(image) - 128) / 128).transpose(2, 0, 1).copy())

    def ours() -> None:
        for _ in range(repeats):
            preprocess_clean(image)

    _, busy = clock(ours)
    _, peer_busy = clock(theirs)
    detail = (
        f"{1000 * busy / repeats:.1f} ms against {1000 * peer_busy / repeats:.1f} ms of CPU time per image"
    )
    yield Row(
        "resize and scaling of clean-fid, 256 to 299 pixels", peer_busy / busy, "times", 5.0, detail=detail
    )


def frechet(scale: float) -> Iterator[Row]:
    """Fréchet distance of 2048 features against scipy's sqrtm."""
    from benchmarks.frechet import features, with_sqrtm
    from facebench.metrics import frechet_distance
    from facebench.metrics.moments import Moments

    for n, target in ((5000, 12.0), (50000, 15.0)):
        n = max(2100, int(n * scale))
        generated, reference = features(1, n), features(2, n)
        kept = Moments.of(reference)
        wall, _ = clock(lambda g=generated, r=reference: frechet_distance(g, r))
        wall_kept, _ = clock(lambda g=generated, r=kept: frechet_distance(g, r))
        peer, _ = clock(lambda g=generated, r=reference: with_sqrtm(g, r))
        detail = f"{wall_kept:.2f} s ({wall:.2f} s with both sides from rows) against {peer:.1f} s"
        yield Row(
            f"Fréchet distance, n = {n:,}, covariance of the reference kept",
            peer / wall_kept,
            "times",
            target,
            detail=detail,
        )


def precision_and_recall(scale: float) -> Iterator[Row]:
    """Precision and recall of 10,000 + 10,000 rows of 2048 features against torch-fidelity."""
    import torch
    from torch_fidelity.metric_prc import calculate_precision_recall_full

    from facebench.metrics import precision_recall

    n = max(200, int(10000 * scale))
    rng = np.random.default_rng(0)
    generated = rng.standard_normal((n, 2048), dtype=np.float32)
    reference = (0.98 * rng.standard_normal((n, 2048))).astype(np.float32)
    wall, busy = clock(lambda: precision_recall(generated, reference))
    tensors = torch.from_numpy(generated), torch.from_numpy(reference)
    peer, peer_busy = clock(lambda: calculate_precision_recall_full(*tensors))
    detail = f"{wall:.1f} s against {peer:.1f} s; CPU time ratio {peer_busy / busy:.2f}"
    yield Row(f"precision and recall, {n:,} x {n:,}", peer / wall, "times", 2.0, detail=detail)


def compact(scale: float) -> Iterator[Row]:
    """The compact suite on 200 + 200 images of 128 pixels, and the imports."""
    people = max(3, int(50 * scale))
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        for seed, name in enumerate(("generated", "reference")):
            command(
                "synth",
                str(work / name),
                "--identities",
                str(people),
                "--images",
                "4",
                "--size",
                "128",
                "--seed",
                str(seed),
            )
        call = (
            "evaluate",
            str(work / "generated"),
            "--reference",
            str(work / "reference"),
            "--protocol",
            "quality",
            "--suite",
            "compact",
            "--name",
            "model",
        )
        for what, target in (("cold", 12.0), ("warm", 2.5)):
            wall, busy = clock(lambda w=what: command(*call, "--out", str(work / w), cache=work / "cache"))
            images = 4 * people
            yield Row(
                f"compact quality run, {images} + {images} images, {what}",
                wall,
                "s",
                target,
                False,
                f"{busy:.1f} s of CPU time",
            )
    wall, busy = clock(lambda: python("import facebench.evaluation.pipeline"))
    yield Row("imports of an evaluation", wall, "s", 0.8, False, f"{busy:.1f} s of CPU time")


def boards(scale: float) -> Iterator[Row]:
    """A leaderboard of 200 runs and a report of 2 x 2,000 images."""
    runs, identities = max(3, int(200 * scale)), max(3, int(500 * scale))
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        for seed, name in enumerate(("first", "second", "reference")):
            command(
                "synth",
                str(work / name),
                "--identities",
                str(identities),
                "--images",
                "4",
                "--size",
                "64",
                "--seed",
                str(seed),
            )
        for name in ("first", "second"):
            command(
                "evaluate",
                str(work / name),
                "--reference",
                str(work / "reference"),
                "--metrics",
                "fd_lite0,face_found",
                "--name",
                name,
                "--out",
                str(work / "runs" / name),
                cache=work / "cache",
            )
        record = (work / "runs/first/record.json").read_text(encoding="utf-8")
        for number in range(runs):
            copy = work / "many" / str(number)
            copy.mkdir(parents=True)
            (copy / "record.json").write_text(
                record.replace('"name": "first"', f'"name": "model {number}"'), encoding="utf-8"
            )
        many = [str(path) for path in sorted((work / "many").iterdir())]
        wall, _ = clock(lambda: command("leaderboard", *many, "--html", str(work / "board.html")))
        yield Row(f"leaderboard of {runs} runs", wall, "s", 3.0, False)
        pair = [str(work / "runs" / name) for name in ("first", "second")]
        wall, _ = clock(lambda: command("report", *pair, "--html", str(work / "page")))
        yield Row(f"report of 2 x {4 * identities} images", wall, "s", 20.0, False)


def identity(scale: float) -> Iterator[Row]:
    """Intervals of verification numbers for 45,000 images of 5,000 people."""
    from facebench.metrics import intervals

    people = max(20, int(5000 * scale))
    rng = np.random.default_rng(0)
    names = np.repeat(np.arange(people), 9)
    embeddings = rng.standard_normal((people, 512))[names] + 1.2 * rng.standard_normal((len(names), 512))
    embeddings = (embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)).astype(np.float32)
    wall, _ = clock(lambda: intervals.verification(embeddings, names))
    yield Row(
        f"intervals of verification, {len(names):,} images of {people:,} people", wall, "s", 60.0, False
    )


def synthface(scale: float) -> Iterator[Row]:
    """Rendered faces at 128 pixels on two processes."""
    count = max(8, int(400 * scale))
    one = (
        "from facebench.synthface import FaceModel\n"
        "m = FaceModel()\n"
        f"for i in range({count}): m.render(m.sample(1, seed=0, images=8, start=i), 128)"
    )
    import_time, _ = clock(
        lambda: python(
            "from facebench.synthface import FaceModel; m = FaceModel(); m.render(m.sample(1, seed=0), 128)"
        )
    )

    def both() -> None:
        processes = [subprocess.Popen([sys.executable, "-c", one], env=environment()) for _ in range(2)]
        if any(process.wait() for process in processes):
            raise SystemExit("rendering failed; the traceback is above")

    wall, _ = clock(both)
    yield Row(
        "synthface at 128 pixels, two processes", 2 * count / max(wall - import_time, 1e-3), "images/s", 200.0
    )


def cluster(scale: float) -> Iterator[Row]:
    """A Ray cluster of two workers on this machine against the local engine, twice each in the order ABBA."""
    count = max(4, int(2500 * scale))
    seconds = {"local": 0.0, "ray": 0.0}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        command("synth", str(work / "faces"), "--identities", str(count), "--images", "4", "--size", "64")
        call = ("evaluate", str(work / "faces"), "--metrics", "face_found,vendi_lite0", "--suite", "compact")
        for turn, engine in enumerate(("local", "ray", "ray", "local")):
            rest = ("--engine", engine, "--out", str(work / f"run{turn}"))
            wall, _ = clock(lambda r=rest, t=turn: command(*call, *r, cache=work / f"cache{t}"))
            seconds[engine] += wall / 2
    local, ray = seconds["local"], seconds["ray"]
    yield Row(
        f"Ray on one machine, {4 * count:,} images, more time than the local engine",
        100 * (ray / local - 1),
        "%",
        10.0,
        False,
        f"{ray:.1f} s against {local:.1f} s, means of two runs",
    )


BENCHMARKS: dict[str, Callable[[float], Iterator[Row]]] = {
    "fid": fid,
    "networks": networks,
    "resize": resize,
    "frechet": frechet,
    "precision-recall": precision_and_recall,
    "compact": compact,
    "boards": boards,
    "identity": identity,
    "synthface": synthface,
    "ray": cluster,
}


def environment(cache: Path | None = None) -> dict[str, str]:
    """Environment of a subprocess that imports this checkout."""
    given = {**os.environ, "PYTHONPATH": str(ROOT)}
    return given if cache is None else {**given, "FACEBENCH_CACHE": str(cache)}


def command(*arguments: str, cache: Path | None = None) -> None:
    """Run the command line, and stop when it fails."""
    run([sys.executable, "-m", "facebench", *arguments], cache)


def python(code: str) -> None:
    """Run a line of Python in a new process."""
    run([sys.executable, "-c", code], None)


def run(arguments: list[str], cache: Path | None) -> None:
    """Run a process; its output is shown only when it fails."""
    done = subprocess.run(arguments, env=environment(cache), capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments[:6])} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def measured(name: str, scale: float) -> list[Row]:
    """Measure one group, and note how busy the machine was."""
    start, rows = time.time(), list(BENCHMARKS[name](scale))
    load = os.getloadavg()[0 if time.time() - start < 300 else 1]
    return [Row(**{**asdict(row), "load": round(load, 1)}) for row in rows]


def show(rows: list[Row], console: Console) -> None:
    """Print all rows as one table."""
    table = Table(
        title="Speed targets",
        caption="load: running processes; above the number of cores, seconds are too long",
    )
    for column in ("what", "value", "target", "", "detail", "load"):
        table.add_column(column, justify="left" if column in ("what", "detail", "") else "right")
    for row in rows:
        sign = "at least" if row.least else "at most"
        target = "" if row.target is None else f"{sign} {row.target:g}"
        verdict = {True: "met", False: "missed", None: ""}[row.met]
        table.add_row(row.what, f"{row.value:.3g} {row.unit}", target, verdict, row.detail, f"{row.load:g}")
    console.print(table)


def write_page(rows: list[Row], described: dict[str, object], page: Path) -> None:
    """Write the rows as a Markdown table between the marks of a page."""
    lines = [
        f"{described['processor']}, {described['cores']} cores, {described['memory_gib']} GiB, Python "
        f"{described['python']}, torch {described['torch']}. Load is the number of running processes: above the "
        "number of cores, seconds are too long.",
        "",
        "| what | value | target | | detail | load |",
        "|---|---:|---:|---|---|---:|",
    ]
    for row in rows:
        target = "" if row.target is None else f"{'≥' if row.least else '≤'} {row.target:g}"
        verdict = {True: "met", False: "missed", None: ""}[row.met]
        lines.append(
            f"| {row.what} | {row.value:.3g} {row.unit} | {target} | {verdict} | {row.detail} | {row.load:g} |"
        )
    before, _, rest = page.read_text(encoding="utf-8").partition(MARKS[0])
    after = rest.partition(MARKS[1])[2]
    page.write_text("\n".join([before + MARKS[0], *lines, MARKS[1] + after]), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=list(BENCHMARKS), default=list(BENCHMARKS))
    parser.add_argument("--scale", type=float, default=1.0, help="share of the images of every measurement")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/targets.json")
    parser.add_argument("--page", type=Path, help="page whose table of targets is replaced")
    parser.add_argument("--measured", action="store_true", help="measure nothing, show the file")
    given = parser.parse_args()
    results: dict[str, object] = (
        json.loads(given.out.read_text(encoding="utf-8")) if given.out.exists() else {}
    )
    groups = dict(results.get("groups", {}))  # type: ignore[call-overload]
    for name in [] if given.measured else given.only:
        groups[name] = [asdict(row) for row in measured(name, given.scale)]
        given.out.parent.mkdir(parents=True, exist_ok=True)
        results = {"machine": machine(), "scale": given.scale, "groups": groups}
        given.out.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        Console(stderr=True).print(f"measured: {name}")
    rows = [Row(**row) for name in BENCHMARKS for row in groups.get(name, [])]
    show(rows, Console())
    if given.page is not None:
        write_page(rows, dict(results["machine"]), given.page)  # type: ignore[call-overload]


if __name__ == "__main__":
    main()
