"""Speed of a complete evaluation of PNG files, compared with torch-fidelity and clean-fid.

    python benchmarks/extraction.py --images 1000

Two folders of 256x256 PNG files are made from the images in tests/goldens. All tools read the same files and run the
same Inception-v3 with deterministic weights, so nothing is downloaded. They run one after the other. The last table
compares one pass over five networks with five passes.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image as Pillow
from rich.console import Console
from rich.table import Table
from torch import Tensor

from facebench import backbones
from facebench.backbones import Backbone
from facebench.backbones.inception import FidInception
from facebench.backbones.iresnet import IResNet
from facebench.features.extraction import extract
from facebench.features.store.sqlite import Store
from facebench.images.image_set import ImageSet
from facebench.metrics import frechet_distance

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.goldens.fill import fill  # noqa: E402


def make_folder(folder: Path, count: int, seed: int) -> None:
    """Write shifted golden images with noise, whose files are as large as those of photographs."""
    folder.mkdir(parents=True)
    sources = [
        np.array(Pillow.open(p).convert("RGB")) for p in sorted((ROOT / "tests/goldens/images/a").iterdir())
    ]
    rng = np.random.default_rng(seed)
    for number in range(count):
        picture = np.roll(sources[number % len(sources)], rng.integers(256, size=2), axis=(0, 1))
        noisy = picture + rng.normal(0, 3, picture.shape)
        Pillow.fromarray(noisy.round().clip(0, 255).astype(np.uint8)).save(folder / f"{number:05}.png")


def filled(network: torch.nn.Module, seed: int = 1) -> dict[str, Tensor]:
    return fill({name: tuple(value.shape) for name, value in network.state_dict().items()}, seed)  # type: ignore[no-any-return]


def ours(folders: list[Path], backbone: Backbone, store: Store) -> float:
    """Compute FID with facebench."""
    pools = []
    for folder in folders:
        extraction = extract(ImageSet.open(folder), [backbone], store=store)
        pools.append(extraction.arrays[backbone.name]["pool"])
    return float(frechet_distance(*pools))


def torch_fidelity(folders: list[Path], weights: Path, cache: Path | None) -> float:
    from torch_fidelity import calculate_metrics

    named = {}
    if cache is not None:
        named = {"cache_root": str(cache), "input1_cache_name": "first", "input2_cache_name": "second"}
    return calculate_metrics(  # type: ignore[no-any-return]
        input1=str(folders[0]),
        input2=str(folders[1]),
        fid=True,
        cuda=False,
        verbose=False,
        cache=cache is not None,
        feature_extractor_weights_path=str(weights),
        **named,
    )["frechet_inception_distance"]


def clean_fid(folders: list[Path], network: FidInception) -> float:
    from cleanfid import fid

    def features(batch: Tensor) -> Tensor:
        with torch.inference_mode():
            return network((batch - 128) / 128)  # type: ignore[no-any-return]

    return fid.compute_fid(  # type: ignore[no-any-return]
        str(folders[0]),
        str(folders[1]),
        mode="clean",
        device=torch.device("cpu"),
        num_workers=torch.get_num_threads(),
        custom_feat_extractor=features,
        verbose=False,
    )


def processor() -> float:
    """Return the CPU time of this process and its finished children over all threads, in seconds."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def clock(action: Callable[[], float]) -> tuple[float, float, float]:
    """Return wall time and CPU time in seconds, and the result."""
    start, before = time.perf_counter(), processor()
    value = action()
    return time.perf_counter() - start, processor() - before, value


def compare(work: Path, count: int, console: Console) -> None:
    folders = [work / "generated", work / "reference"]
    state = filled(FidInception())
    weights = work / "weights.pth"
    torch.save(state, weights)
    plain = FidInception().eval().requires_grad_(False)
    plain.load_state_dict(state)
    tf, clean = backbones.build("inception-tf", state), backbones.build("inception-clean", state)
    cache = work / "cache"
    runs = {
        "facebench, cold": lambda: ours(folders, tf, Store(work / "store")),
        "facebench, warm": lambda: ours(folders, tf, Store(work / "store")),
        "torch-fidelity, cold": lambda: torch_fidelity(folders, weights, cache),
        "torch-fidelity, warm": lambda: torch_fidelity(folders, weights, cache),
        "facebench clean, cold": lambda: ours(folders, clean, Store(work / "store")),
        "clean-fid, cold": lambda: clean_fid(folders, plain),
    }
    wall: dict[str, float] = {}
    busy: dict[str, float] = {}
    for name, run in runs.items():
        wall[name], busy[name], value = clock(run)
        console.print(
            f"{name:22}{wall[name]:9.2f} s {busy[name]:9.2f} s CPU time "
            f"{2 * count / wall[name]:8.1f} images/s   FID {value:.6g}"
        )
    console.print(f"load average: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    faster = min(("torch-fidelity, cold", "clean-fid, cold"), key=lambda name: wall[name])
    table = Table("comparison", "facebench", f"peer: {faster}", "ratio", "CPU time ratio", "target")
    for what, peer, mine, target in (
        ("FID, cold", faster, "facebench, cold", "≥ 2.4"),
        ("FID, cold, against clean-fid", "clean-fid, cold", "facebench clean, cold", "≥ 2.4"),
        ("FID, warm", "torch-fidelity, warm", "facebench, warm", "≥ 5"),
        ("facebench, cold / warm", "facebench, cold", "facebench, warm", "> 20"),
    ):
        ratios = (f"{seconds[peer] / seconds[mine]:.2f}" for seconds in (wall, busy))
        table.add_row(what, f"{wall[mine]:.2f} s", f"{wall[peer]:.2f} s", *ratios, target)
    console.print(table)


def five_networks(work: Path, console: Console) -> None:
    """Time one pass over five networks, five passes, and the networks alone."""
    images = ImageSet.open(work / "generated")
    networks = [
        backbones.build("inception-tf", filled(FidInception())),
        backbones.build("lite0"),
        backbones.build("sface"),
        backbones.build("arcface-iresnet18", filled(IResNet((2, 2, 2, 2)))),
        backbones.build("arcface-iresnet50", filled(IResNet((3, 4, 14, 3)))),
    ]
    extract(
        ImageSet(images.root, images.kind, images.items[:8]), networks, store=None
    )  # makes the fused copies of the networks
    together = extract(images, networks, store=None).timings
    alone = [extract(images, [network], store=None).timings for network in networks]
    forward = sum(seconds for what, seconds in together.items() if what.startswith("embed"))
    total = sum(timings["total"] for timings in alone)
    table = Table("five networks", "seconds", "ratio", "target")
    table.add_row("one pass", f"{together['total']:.1f}")
    table.add_row(
        "five passes", f"{total:.1f}", f"{together['total'] / total:.2f}", "≤ 0.6 where decoding dominates"
    )
    table.add_row("networks alone", f"{forward:.1f}", f"{together['total'] / forward:.2f}", "≤ 1.15")
    console.print(table)
    console.print({what: round(seconds, 2) for what, seconds in together.items()})


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=1000, help="images in each folder (default: 1000)")
    parser.add_argument("--part", choices=["fid", "five", "all"], default="all")
    given = parser.parse_args()
    console = Console()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        for seed, name in enumerate(("generated", "reference")):
            make_folder(work / name, given.images, seed)
        console.print(f"{given.images} images in each folder, {torch.get_num_threads()} threads")
        if given.part != "five":
            compare(work, given.images, console)
        if given.part != "fid":
            five_networks(work, console)


if __name__ == "__main__":
    main()
