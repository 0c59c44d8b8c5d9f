"""One record that holds all cells of a study, as `facebench evaluate` leaves it, with known effects."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from facebench import metrics
from facebench.evaluation.record import Run
from tests.helpers.records import make_input, make_result, make_run

FACTORS: dict[str, tuple[str, ...]] = {
    "data": ("FFHQ", "AffectNet"),
    "stage": ("DECA", "EMOCA"),
    "resnet": ("18", "50"),
    "target_extractor": ("DECA", "EMOCA"),
    "source_extractor": ("DECA", "EMOCA"),
}
NETWORK = "emonet-8-flip"
SUFFIX = "emonet8"
EXPRESSIONS = ("happy", "sad", "angry", "neutral")


def arousal_of(tags: Mapping[str, str]) -> float:
    """Arousal error of a cell: AffectNet lowers it by 0.04, more so with EMOCA."""
    affect, emoca = tags["data"] == "AffectNet", tags["stage"] == "EMOCA"
    return 0.30 - 0.04 * affect + 0.01 * emoca - 0.02 * (affect and emoca)


def make_cell_record(
    *,
    people: int = 6,
    targets: int = 8,
    photographs: int = 2,
    factors: Mapping[str, tuple[str, ...]] = FACTORS,
    error: Callable[[Mapping[str, str]], float] = arousal_of,
    seed: int = 0,
    name: str = "lab",
    trainings: int = 1,
    of_training: float = 0.0,
) -> Run:
    """Transfers whose arousal error is that of the cell plus random effects of the person and the target.

    Several trainings are numbered in the column `seed`; each model (data, stage, resnet) has an error of its own with
    the deviation `of_training`, which all cells of the model share.
    """
    rng = np.random.default_rng(seed)
    models = np.random.default_rng([seed, 1])
    of_model: dict[tuple[str, ...], float] = {}
    of_person, of_target = 0.03 * rng.standard_normal(people), 0.04 * rng.standard_normal(targets)
    rows = []
    for cell in itertools.product(*factors.values()):
        tags = dict(zip(factors, cell, strict=True))
        for training, person, target, photo in itertools.product(
            range(trainings), range(people), range(targets), range(photographs)
        ):
            model = (*(tags.get(factor, "") for factor in ("data", "stage", "resnet")), str(training))
            if of_training and model not in of_model:
                of_model[model] = of_training * models.standard_normal()
            distance = (
                error(tags)
                + of_model.get(model, 0.0)
                + of_person[person]
                + of_target[target]
                + 0.01 * rng.standard_normal()
            )
            rows.append(
                {
                    "role": "generated",
                    "image": f"{'-'.join(cell)}/{training}/{person}/{target}/{photo}.png",
                    "source": f"albums/p{person}/{photo}.png",
                    "target": f"targets/obama{target + 1:02d}.png",
                    "identity": f"p{person}",
                    "expression": EXPRESSIONS[target % len(EXPRESSIONS)],
                    **tags,
                    **({"seed": str(training)} if trainings > 1 else {}),
                    f"arousal:{NETWORK}": 0.1 + abs(distance),
                    f"valence:{NETWORK}": 0.1 + abs(0.2 + 0.02 * rng.standard_normal()),
                }
            )
    linked = [
        {"role": role, "image": image, f"arousal:{NETWORK}": 0.1, f"valence:{NETWORK}": 0.1}
        for role in ("source", "target")
        for image in sorted({row[role] for row in rows})
    ]
    table = pd.DataFrame(rows + linked)
    for column in (f"arousal:{NETWORK}", f"valence:{NETWORK}"):
        table[column] = table[column].astype(np.float32)
    return _recorded(name, table)


def _recorded(name: str, table: pd.DataFrame) -> Run:
    """The run of a table, with the values that the table gives."""
    n = int((table["role"] == "generated").sum())
    run = make_run(name, images=n).model_copy(update={"protocol": "expression-transfer", "suite": "paper"})
    home = make_input(name, n).model_copy(update={"kind": "manifest"})
    run.inputs.clear()
    run.inputs.update({"generated": home, "source": home, "target": home})
    generated = table["role"] == "generated"
    for dimension in ("valence", "arousal"):
        made = table.loc[generated, f"{dimension}:{NETWORK}"].to_numpy(np.float64)
        wanted = np.full(n, np.float64(np.float32(0.1)))
        metric = f"{dimension}_error_{SUFFIX}"
        run.metrics[metric] = make_result(metric, float(metrics.affect_agreement(wanted, made).mae), n)
    return run.with_per_image(table)
