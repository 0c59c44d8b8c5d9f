"""Run extractions on a Ray cluster of two workers, and kill one of them.

Usage: python -m tests.helpers.ray_cluster FOLDER WORK. Prints one JSON object and writes arrays to WORK/*.npz.
"""

from __future__ import annotations

import functools
import json
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import torch

from facebench.features.engine.cluster import Cluster
from facebench.features.extraction import Execution, Extraction, extract
from facebench.features.store.sqlite import Store
from facebench.images.image_set import ImageSet
from tests.helpers.tiny_networks import Tiny, TinyFace

BUILDS = [functools.partial(Tiny, "tiny", 0), functools.partial(TinyFace, "tinyface", 0)]


def keep(extraction: Extraction, out: Path) -> None:
    np.savez(out, **{f"{b}_{a}": v for b, arrays in extraction.arrays.items() for a, v in arrays.items()})
    rejected = [[one.name, one.reason, one.detail, one.scope] for one in extraction.rejected]
    faces = [face and [*face.box, face.score] for face in extraction.faces]
    facts = {"rejected": rejected, "faces": faces, "digest": extraction.digest}
    out.with_suffix(".json").write_text(json.dumps(facts))


def worker_processes(title: str = "ray::Worker") -> list[int]:
    """Return the ids of processes whose title begins with `title`; Ray adds the running method to titles."""
    processes = []
    for folder in Path("/proc").iterdir():
        try:
            name = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if name.startswith(title.encode()):
            processes.append(int(folder.name))
    return processes


def main() -> None:
    folder, work = Path(sys.argv[1]), Path(sys.argv[2])
    torch.set_num_threads(1)
    images = ImageSet.open(folder, identities=False)
    backbones = [build("cpu") for build in BUILDS]
    keep(extract(images, backbones, store=None, execution=Execution(batch_size=2)), work / "local.npz")
    os.environ |= {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_USAGE_STATS_ENABLED": "0"}
    import ray  # reads the variables above, which restrict it to this machine

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    report: dict[str, object] = {}
    with Cluster(backbones, BUILDS, batch_size=2) as cluster:
        seen: set[int] = set()

        def watch(stage: str, done: int, total: int | None) -> None:
            deadline = time.monotonic() + 60
            seen.update(worker_processes())
            # The first worker may finish before the second has started. Rejected files are counted before both start.
            while len(seen) == 1 and time.monotonic() < deadline:
                time.sleep(0.05)
                seen.update(worker_processes())

        execution = Execution(cluster=cluster)
        on_cluster = extract(
            images, backbones, store=Store(work / "store"), execution=execution, progress=watch
        )
        keep(on_cluster, work / "cluster.npz")
        report |= {"workers": len(seen), "device": cluster.device_name, "warnings": on_cluster.warnings}
        killed: list[int] = []

        def kill(stage: str, done: int, total: int | None) -> None:
            if not killed:
                killed.append((worker_processes("ray::Worker.compute") or worker_processes())[0])
                os.kill(killed[0], signal.SIGKILL)

        after_loss = extract(images, backbones, store=None, execution=execution, progress=kill)
        keep(after_loss, work / "lost.npz")
        report |= {"killed": len(killed), "warnings_after_loss": after_loss.warnings}
        warm = extract(images, backbones, store=Store(work / "store"), execution=execution)
        keep(warm, work / "warm.npz")
        report |= {"computed_when_warm": [stage for stage in warm.timings if stage.startswith("embed")]}
    ray.shutdown()
    print(json.dumps(report))


if __name__ == "__main__":
    main()
