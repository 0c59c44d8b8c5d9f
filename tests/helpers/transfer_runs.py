"""Run folder of an expression transfer with the paper suite and with hostile names."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd

from facebench import metrics
from facebench.evaluation.record import GroupResult, Run
from tests.helpers.records import make_input, make_result, make_run
from tests.helpers.run_folders import HOSTILE, write_images

PERSON = "ann <script>alert(3)</script>"
EXPRESSION = "happy <b>!</b>"
PEOPLE = [PERSON, "bob", "eve"]
EXPRESSIONS = [EXPRESSION, "sad"]
NETWORK = "maxvit-va"


def make_transfer_run(
    folder: Path, name: str, *, share: float = 0.7, hard: str = "bob", seed: int = 0
) -> Run:
    """Twenty-four transfers that cover a share of the gap from source to target; for one person they do not change."""
    n = 24
    root = folder / name
    images = write_images(root, n, seed)
    rng = np.random.default_rng(seed)
    people = [PEOPLE[i % 3] for i in range(n)]
    start, goal = rng.uniform(-0.3, 0.3, (n, 2)), rng.uniform(-0.8, 0.8, (n, 2))
    stays = np.array([person == hard for person in people])[:, None]
    made = start + np.where(stays, 0.0, share) * (goal - start)
    table = pd.concat(
        [
            _rows(root, images, "generated", made).assign(
                source=images,
                target=[f"./{image}" for image in images],
                identity=people,
                expression=[EXPRESSIONS[i // 3 % 2] for i in range(n)],
            ),
            _rows(root, images, "source", start),
            _rows(root, images, "target", goal),
        ],
        ignore_index=True,
    )
    run = make_run(name, images=n).model_copy(update={"protocol": "expression-transfer", "suite": "paper"})
    home = make_input(name, n).model_copy(update={"path": str(root), "kind": "manifest", "identities": 3})
    run.inputs.clear()
    run.inputs.update({"generated": home, "source": home, "target": home})
    for place, dimension in enumerate(("valence", "arousal")):
        columns = [np.float32(side[:, place]).astype(np.float64) for side in (goal, made)]
        answer = metrics.affect_agreement(*columns)
        for kind, field in (("error", answer.mae), ("ccc", answer.ccc)):
            metric = f"{dimension}_{kind}_maxvit"
            run.metrics[metric] = make_result(metric, float(field), n)
    return run.with_per_image(table)


def _rows(root: Path, images: list[str], role: str, places: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "role": role,
            "image": images,
            "sha256": [hashlib.sha256((root / image).read_bytes()).hexdigest() for image in images],
            "face_score": 0.9,
            f"valence:{NETWORK}": places[:, 0].astype(np.float32),
            f"arousal:{NETWORK}": places[:, 1].astype(np.float32),
        }
    )


def with_groups(run: Run) -> Run:
    """The run with a breakdown by person; the second one differs from all."""
    for place, person in enumerate(PEOPLE):
        found = {}
        for metric, result in run.metrics.items():
            content = {**result.model_dump(), "value": 0.1 * (place + 1), "p": 0.001 if place == 1 else 0.9}
            found[metric] = GroupResult(**content, difference=0.1)
        run.groups[f"identity={person}"] = found
    return run


def with_closest(run: Run) -> Run:
    """The run with the closest training face of each generated face, for a named set."""
    assert run.per_image is not None
    table = run.per_image.copy()
    own = table["role"] == "generated"
    names = table.loc[own, "image"].tolist()
    training = _rows(Path(run.inputs["generated"].path), names, "reference:TRAIN", np.zeros((len(names), 2)))
    table.loc[own, "closest:sface@TRAIN"] = names[::-1]
    table.loc[own, "closest_cosine:sface@TRAIN"] = np.linspace(0.9, 0.1, len(names))
    run.inputs["reference:TRAIN"] = run.inputs["generated"]
    run.metrics["leak_threshold_sface@TRAIN"] = make_result("leak_threshold_sface", 0.85)
    return run.with_per_image(pd.concat([table, training], ignore_index=True))


__all__ = ["EXPRESSION", "HOSTILE", "PEOPLE", "PERSON", "make_transfer_run", "with_closest", "with_groups"]
