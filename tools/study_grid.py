"""Numbers of docs/studies/expression-transfer-grid.md: bounds, effects, groups, stage 2, and the figure.

    facebench grid studies/expression-transfer-synthface.yaml --out runs/grid
    python tools/study_grid.py --grid runs/grid

The renderer and the rendered buffers give bounds for the transfers of the grid. One model is trained further on the
album of one person, and on the album of another person as a control. Finished parts are reused.
"""

from __future__ import annotations

import argparse
import csv
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from study import shown

import facebench
from facebench.compare.difference import difference
from facebench.evaluation.record import Run
from facebench.evaluation.record_reading import load_run
from facebench.images.image_set import ImageSet
from facebench.studies.factorial.effects import Effect, Study, factorial
from facebench.studies.factorial.failures import failure_tables, read_breakdowns
from facebench.studies.grid import Grid, read_grid
from facebench.synthface.dataset import write as write_faces
from facebench.training.engine import loop
from facebench.training.engine.image_grid import to_images
from facebench.training.presets import read
from facebench.training.rig.buffers import write_buffers
from facebench.training.rig.buffers.flame_codes import Codes
from facebench.training.rig.buffers.images import ImageArray
from facebench.training.rig.buffers.results import Found
from facebench.training.rig.buffers.synthetic import Exact, SynthfaceSpace
from facebench.training.rig.transfer import read_pairs, transfer
from facebench.training.tasks import registry

YARDSTICKS = ("valence_gap_reader", "arousal_gap_reader", "identity_start_sface")
METRICS = (
    "valence_error_reader", "arousal_error_reader", "valence_truth_error_reader", "arousal_truth_error_reader",
    "expression_agreement_reader", "identity_similarity_sface", "face_quality_sface", "face_found",
)  # fmt: skip
ALBUM, MORE, EACH = 20, 16, 3
"""Training images of the person; further images of the person; transfers to each of these."""
PERSON, STRANGER = 7, 8
"""Seeds of the person of stage 2 and of the person of the control."""
SIDE, GAP, HEAD = 64, 4, 34


def main() -> None:
    options = _options()
    study, out = Finished(read_grid(options.file), options.grid), options.out
    painted = {name: study.painted(how, out / name.replace(" ", "-")) for name, how in PAINTERS.items()}
    print(yardsticks(study.effects, painted))
    print(effects(study.effects))
    print(groups(study.effects, sorted(options.grid.glob("by-*"))))
    models = {
        "before": options.grid / "models" / options.model,
        "own album": study.personal(options.model, out, PERSON, options.changes),
        "other album": study.personal(options.model, out, STRANGER, options.changes),
    }
    print(stage_2(study.worn(models, out)))
    study.draw(options.rows, out / "expression-transfer-grid.png")


def render(space: SynthfaceSpace, codes: Codes, size: int) -> ImageArray:
    """Render the photo of the codes."""
    return space.photo(codes, size)


def render_buffers(space: SynthfaceSpace, codes: Codes, size: int) -> ImageArray:
    """Render the input of the models: the rendered face on a black background."""
    rendered = space.draw(codes, size).conditions[:3]
    return to_images(torch.from_numpy(rendered)[None] * 2 - 1)[0]


Painter = Callable[[SynthfaceSpace, Codes, int], ImageArray]
PAINTERS = {"the renderer": render, "the rendered buffer": render_buffers}


@dataclass(frozen=True)
class Finished:
    """A grid file, and the finished folder of `facebench grid`."""

    grid: Grid
    folder: Path

    @cached_property
    def effects(self) -> Study:
        """Effects over all cells, with levels in the order of the grid file."""
        runs = [load_run(path) for path in (self.folder / "runs").iterdir()]
        order = {name: [str(level) for level in levels] for name, levels in self.grid.factors.items()}
        runs.sort(key=lambda run: [levels.index(run.tags[name]) for name, levels in order.items()])
        return factorial(runs, self.grid.compare)

    @property
    def people(self) -> Path:
        """Set of the sources and targets."""
        return self.folder / "sets" / self.grid.transfer.source

    @property
    def size(self) -> int:
        """Side of the images in pixels."""
        return self.grid.buffers.size

    @property
    def folders(self) -> list[Path]:
        """Folders of the transfers of every model with exact parameters on both sides."""
        models = dict.fromkeys(run.name.partition("-to-")[0] for run in self.effects.runs)
        return [self.folder / "transfers" / f"{model}-to-synthface-from-synthface" for model in models]

    def painted(self, how: Painter, out: Path) -> Run:
        """Make and evaluate the transfers of the grid without a model, from known parameters."""
        if not (out / "record.json").is_file():
            shutil.rmtree(out, ignore_errors=True)
            shutil.copytree(self.folders[0], out / "transfers")
            people, exact = ImageSet.open(self.people), Exact()
            for number, pair in enumerate(read_pairs(self.folder / "pairs.csv", people, people)):
                onto, of = exact.read(people, [pair.source, pair.target], self.size)
                assert isinstance(onto, Found)
                assert isinstance(of, Found)
                codes = exact.space.transferred(onto.codes, of.codes, "expression")
                path = out / "transfers" / "images" / f"{number:05d}.png"
                Image.fromarray(how(exact.space, codes, self.size)).save(path)
        return judge(out / "transfers", out, (*METRICS, *YARDSTICKS))

    def personal(self, model: str, out: Path, seed: int, changes: Sequence[str]) -> Path:
        """Train a model further on the album of one synthetic person, and return its folder."""
        album = out / f"album-{seed}"
        if not (album / "model" / "model.safetensors").is_file():
            _write_person(album / "faces", ALBUM, seed)
            write_buffers(album / "faces", album / "buffers", source="synthface", size=self.size, album=True)
            start = self.folder / "models" / model
            wanted = read("rig-64-personal", [f"data={album / 'buffers'}", f"init_from={start}", *changes])
            prepared = registry.prepare("rig", wanted, "rig-64-personal")
            loop.fit(prepared.task, prepared.settings, album / "model", device="cpu")
        return album / "model"

    def worn(self, models: Mapping[str, Path], out: Path) -> dict[str, Run]:
        """Transfer the expressions of the grid's people to new images of the person, with every model."""
        _write_person(out / "more", ALBUM + MORE, PERSON)
        _write_pairs(out / "pairs.csv", ImageSet.open(out / "more"), ImageSet.open(self.people))
        runs = {}
        for name, model in models.items():
            folder = out / "worn" / name.replace(" ", "-").replace("'", "")
            transfer(
                model, out / "more", self.people, folder / "transfers", pairs=out / "pairs.csv",
                extractor_source="synthface", extractor_target="synthface", steps=self.grid.transfer.steps,
            )  # fmt: skip
            runs[name] = judge(folder / "transfers", folder, METRICS)
        return runs

    def draw(self, rows: Sequence[int], path: Path) -> None:
        """Draw source, target, and the output of every model, with exact parameters on both sides."""
        heads = ["source", "target", *(_short(folder.name.partition("-to-")[0]) for folder in self.folders)]
        sheet = Image.new("RGB", (len(heads) * (SIDE + GAP) + GAP, HEAD + len(rows) * (SIDE + GAP)), "white")
        pen = ImageDraw.Draw(sheet)
        for column, head in enumerate(heads):
            pen.multiline_text((column * (SIDE + GAP) + GAP, 0), head, fill="black", spacing=0)
        for place, number in enumerate(rows):
            for column, image in enumerate(_images(self.folders, number)):
                at = (column * (SIDE + GAP) + GAP, HEAD + place * (SIDE + GAP))
                sheet.paste(Image.open(image).resize((SIDE, SIDE), Image.Resampling.NEAREST), at)
        sheet.quantize(256).save(path, optimize=True)


def judge(transfers: Path, out: Path, metrics: Sequence[str]) -> Run:
    """Evaluate transfers, or read the record of a finished evaluation."""
    if not (out / "record.json").is_file():
        run = facebench.evaluate(
            transfers / "manifest.csv",
            protocol="expression-transfer",
            suite="compact",
            metrics=metrics,
            name=out.name,
            max_rejected=1.0,
        )
        run.save(out)
    return load_run(out)


def yardsticks(study: Study, painted: Mapping[str, Run]) -> str:
    """Format the mean over the cells, the bounds, and all cells."""
    lines = _head("", *METRICS)
    lines.append(_row("all cells, mean", *(mean(study, metric) for metric in METRICS)))
    lines += [_row(name, *(shown(run, metric) for metric in METRICS)) for name, run in painted.items()]
    lines += ["", *(f"{name}: {shown(next(iter(painted.values())), name)}" for name in YARDSTICKS), ""]
    lines += _head(*study.levels, *study.metrics)
    for run in study.runs:
        lines.append(
            _row(*study.cell(run), *(f"{run.metrics[metric].value:.3f}" for metric in study.metrics))
        )
    return "\n".join([*lines, ""])


def effects(study: Study) -> str:
    """Format main effects and clear interactions."""
    lines = _head("effect", *study.metrics)
    for factor, levels in study.levels.items():
        found = [_main(study, metric, factor) for metric in study.metrics]
        lines.append(_row(f"{factor}: {levels[-1]} − {levels[0]}", *map(_told, found)))
    for metric in study.metrics:
        both = [effect for effect in study.effects[metric] if len(effect.factors) == 2 and effect.clear]
        lines += [f"{metric}: {' × '.join(effect.factors)} {_told(effect)}" for effect in both]
    return "\n".join([*lines, ""])


def groups(study: Study, breakdowns: Sequence[Path]) -> str:
    """Format the mean of every group over the models."""
    table = failure_tables(study, read_breakdowns(study, breakdowns))[0]
    lines = _head(*(column.title for column in table.columns))
    lines += [_row(*(cell.text for cell in row)) for row in table.rows]
    return "\n".join([*lines, ""])


def stage_2(runs: Mapping[str, Run]) -> str:
    """Format the metrics of the three models on new images of the person, and paired changes by each album."""
    (before, *_), names = runs.values(), list(runs)
    lines = _head("", *names, *(f"change by {name}" for name in names[1:]), "own album − other album")
    for metric in METRICS:
        changes = [(runs[name], before) for name in names[1:]] + [(runs[names[1]], runs[names[2]])]
        cells = [shown(run, metric) for run in runs.values()]
        for run, baseline in changes:
            found = difference(metric, run, baseline)
            cells.append(
                "–" if found is None else f"{found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"
            )
        lines.append(_row(metric, *cells))
    return "\n".join([*lines, ""])


def mean(study: Study, metric: str) -> str:
    """Format the mean of a metric over the cells."""
    if metric not in study.metrics:
        return "–"
    return f"{np.mean([run.metrics[metric].value or 0.0 for run in study.runs]):.3f}"


def _images(folders: Sequence[Path], number: int) -> Iterator[Path]:
    with (folders[0] / "manifest.csv").open(newline="", encoding="utf-8") as file:
        row = list(csv.DictReader(file))[number]
    yield from (folders[0] / row["source"], folders[0] / row["target"])
    yield from (folder / row["image"] for folder in folders)


def _write_person(folder: Path, images: int, seed: int) -> None:
    if not (folder / "manifest.csv").is_file():
        shutil.rmtree(folder, ignore_errors=True)
        write_faces(folder, identities=1, images=images, size=64, seed=seed)


def _write_pairs(path: Path, person: ImageSet, others: ImageSet) -> None:
    """Pair every new image of the person with images of other people and another expression."""
    new = sorted(person.items, key=lambda item: item.name)[ALBUM:]
    rng = np.random.default_rng(0)
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("source", "target"))
        for item in new:
            shows = item.columns["expression"]
            fitting = [other.name for other in others.items if other.columns["expression"] != shows]
            table.writerows((item.name, name) for name in rng.choice(fitting, EACH, replace=False))


def _main(study: Study, metric: str, factor: str) -> Effect:
    return next(effect for effect in study.effects[metric] if effect.factors == (factor,))


def _told(effect: Effect) -> str:
    if effect.value is None or effect.low is None or effect.high is None or effect.p is None:
        return "–"
    text = f"{effect.value:+.3f} [{effect.low:+.3f}, {effect.high:+.3f}] p {effect.p:.3f}"
    return f"**{text}**" if effect.clear else text


def _short(model: str) -> str:
    short_names = {"neutral-heavy": "neutral", "expression-heavy": "express.", "synthface": "exact"}
    for name, short in short_names.items():
        model = model.replace(name, short)
    return model.replace("-", "\n")


def _head(*names: str) -> list[str]:
    return [_row(*names), "|" + "---|" * len(names)]


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--file", type=Path, default=Path("studies/expression-transfer-synthface.yaml"))
    parser.add_argument("--grid", type=Path, default=Path("runs/grid"), help="folder of the finished grid")
    parser.add_argument("--out", type=Path, default=Path("runs/study-grid"))
    parser.add_argument(
        "--model", default="expression-heavy-synthface-18", help="model that is trained further"
    )
    parser.add_argument(
        "--rows", type=int, nargs="+", default=[0, 7, 14, 21, 28, 35], help="pairs of the figure"
    )
    parser.add_argument(
        "--changes", nargs="*", default=[], help="changed settings of rig-64-personal, such as steps=100"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
