"""Measure the compact suite on photographs, and write the tables of docs/real-faces.md.

python tools/measure_real_faces.py LFW STYLEGAN2 [--page docs/real-faces.md]

LFW is a folder with manifest.csv (columns image, identity, expression), STYLEGAN2 a folder of generated faces. Each
table stands in the page between `<!-- NAME -->` and `<!-- /NAME -->`. Images are read where they are; copies that are
changed on purpose lie in a temporary folder.
"""

from __future__ import annotations

import argparse
import io
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

import facebench
from facebench.backbones import build, detector
from facebench.core.tables import Cell, Column, Table
from facebench.evaluation.domain import SAMPLED, domain_of_faces
from facebench.evaluation.expression_names import expression_name
from facebench.evaluation.input_sanity import SetProperties, properties_of, sanity_warnings
from facebench.evaluation.record import MetricResult, Run
from facebench.features.extraction import Extraction, FaceOptions, extract
from facebench.features.store.sqlite import Store
from facebench.images.decoding import decode
from facebench.images.image_set import ImageSet, read
from facebench.metrics import intervals, verification
from facebench.metrics.intervals.shares import share_interval
from facebench.training.data.align_images import Template, align_images
from facebench.training.editing.source_checks import median_misalignment

CLASSES = ("neutral", "happy", "angry", "surprised", "sad")
"""Expressions with five labelled photographs or more."""
NETWORKS = {"faceapi-expression": "face-api (photographs)", "facereader": "FaceReader (rendered faces)"}
IDENTITY = ("eer", "fmr100", "fmr1000", "fdr", "genuine_mean", "impostor_mean")


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lfw", type=Path)
    parser.add_argument("stylegan2", type=Path)
    parser.add_argument("--page", type=Path, default=Path("docs/real-faces.md"))
    given = parser.parse_args()
    page = given.page.read_text(encoding="utf-8")
    for name, table in tables(given.lfw, given.stylegan2):
        print(f"\n{name}\n{table.markdown()}", file=sys.stderr, flush=True)
        page = replaced(page, name, table.markdown())
        given.page.write_text(page, encoding="utf-8")


def replaced(page: str, name: str, table: str) -> str:
    """Return the page with a table between its marks."""
    marks = f"<!-- {name} -->", f"<!-- /{name} -->"
    pattern = re.compile(f"{re.escape(marks[0])}.*?{re.escape(marks[1])}", re.DOTALL)
    if not pattern.search(page):
        raise SystemExit(f"The page has no marks {marks[0]} … {marks[1]}.")
    return pattern.sub(lambda _: f"{marks[0]}\n\n{table}\n{marks[1]}", page)


def tables(lfw: Path, stylegan2: Path) -> Iterable[tuple[str, Table]]:
    """Yield the tables of the page by name."""
    sets = {"LFW": lfw, "StyleGAN2": stylegan2}
    yield "detection", detection(sets)
    yield "identity", identity(lfw)
    yield "expression", expression(lfw)
    yield "domain", domain(sets)
    yield "scale", scale(lfw, stylegan2)
    with tempfile.TemporaryDirectory() as scratch:
        yield "warnings", warnings(sets, Path(scratch))
        yield "alignment", alignment(sets, Path(scratch))


def detection(sets: dict[str, Path]) -> Table:
    """Faces that each detector finds, and how often both choose the same face."""
    columns = [Column("set", "set", numeric=False), Column("n", "images")]
    columns += [
        Column(f"{name}{what}", f"{name}: {what}")
        for name in ("yunet", "mtcnn")
        for what in ("found", "several")
    ]
    columns.append(Column("same", "both choose the same face"))
    rows = []
    for name, folder in sets.items():
        faces = {each: [detector(each).all(image) for image in pixels(folder)] for each in ("yunet", "mtcnn")}
        n = len(faces["yunet"])
        cells = [Cell(name), Cell(str(n))]
        for found in faces.values():
            cells += [
                Cell(str(sum(bool(each) for each in found))),
                Cell(str(sum(len(each) > 1 for each in found))),
            ]
        both = [(a[0].box, b[0].box) for a, b in zip(faces["yunet"], faces["mtcnn"], strict=True) if a and b]
        cells.append(Cell(f"{sum(overlap(*pair) > 0.3 for pair in both)} of {len(both)}"))
        rows.append(cells)
    return Table(columns, rows)


def overlap(first: Sequence[float], second: Sequence[float]) -> float:
    """Intersection over union of two boxes (x, y, width, height)."""
    left, top = max(first[0], second[0]), max(first[1], second[1])
    right, bottom = (min(first[i] + first[i + 2], second[i] + second[i + 2]) for i in (0, 1))
    common = max(0.0, right - left) * max(0.0, bottom - top)
    return common / (first[2] * first[3] + second[2] * second[3] - common)


def identity(lfw: Path) -> Table:
    """Verification of both recognisers on LFW, for both detectors."""
    columns = [Column("network", "recogniser, detector", numeric=False)]
    columns += [Column(name, name) for name in IDENTITY]
    rows = []
    for finder in ("yunet", "mtcnn"):
        ids = [f"{name}_{network}" for network in ("sface", "faceapi") for name in IDENTITY]
        run = facebench.evaluate(lfw, protocol="identity", metrics=ids, detector=finder, domain="photographs")
        for network in ("sface", "faceapi"):
            results = [run.metrics[f"{name}_{network}"] for name in IDENTITY]
            rows.append([Cell(f"{network}, {finder}"), *map(value_cell, results)])
    return Table(columns, rows)


def value_cell(result: MetricResult) -> Cell:
    """Value with its interval."""
    digits = max(3, result.decimals)
    if result.value is None:
        return Cell("–")
    return Cell(f"{result.value:.{digits}f}", small=f"[{result.low:.{digits}f}, {result.high:.{digits}f}]")


def expression(lfw: Path) -> Table:
    """Recalls and the separation of happy from neutral faces, for both expression networks."""
    found = features(lfw, *NETWORKS)
    labels = np.array([expression_name(item.columns.get("expression") or "") for item in found.items])
    people = np.array([item.columns["identity"] for item in found.items])
    columns = [Column("measure", "measure", numeric=False), Column("n", "images")]
    columns += [Column(name, title) for name, title in NETWORKS.items()]
    rows = []
    pair = np.isin(labels, ("happy", "neutral"))
    rows.append(
        measured(
            "AUC of happy against neutral", found, people, pair, lambda name: auc_of(found, labels, name)
        )
    )
    rows.append(
        measured(
            "AUC of valence, happy against neutral",
            found,
            people,
            pair,
            lambda name: lambda index: auc(found.arrays[name]["valence"][index], labels[index]),
        )
    )
    for expression in CLASSES:
        of_class = labels == expression
        rows.append(
            measured(
                f"recall of {expression}",
                found,
                people,
                of_class,
                lambda name: recall_of(found, labels, name),
            )
        )
    known = np.isin(labels, CLASSES)
    rows.append(
        measured("mean of these recalls", found, people, known, lambda name: macro_of(found, labels, name))
    )
    return Table(columns, rows)


Statistic = Callable[[np.ndarray], float]


def measured(
    title: str,
    found: Extraction,
    people: np.ndarray,
    chosen: np.ndarray,
    of_network: Callable[[str], Statistic],
) -> list[Cell]:
    """Return a row: a statistic of the chosen images for each network, with an interval for new people."""
    cells = [Cell(title), Cell(str(int(chosen.sum())))]
    for network in NETWORKS:
        rows = np.flatnonzero(chosen & found.valid[network])
        statistic = of_network(network)

        def number(index: np.ndarray, statistic: Statistic = statistic) -> float:
            return statistic(np.asarray(index, np.int64))

        interval = intervals.estimate(number, rows.astype(float), units=people[rows])
        if title.startswith("recall"):
            interval = share_interval(number(rows), interval, 1.0)
        cells.append(
            Cell(f"{number(rows):.3f}", small=f"[{max(0, interval.low):.3f}, {min(1, interval.high):.3f}]")
        )
    return cells


def auc_of(found: Extraction, labels: np.ndarray, network: str) -> Statistic:
    """AUC of the difference of the logits of happy and neutral."""
    classes = [expression_name(name) for name in found.backbones[network].expressions]
    logits = found.arrays[network]["expression"]
    scores = logits[:, classes.index("happy")] - logits[:, classes.index("neutral")]
    return lambda index: auc(scores[index], labels[index])


def auc(scores: np.ndarray, labels: np.ndarray) -> float:
    """Area under the ROC of happy against neutral; NaN without one of them."""
    happy, neutral = scores[labels == "happy"], scores[labels == "neutral"]
    return verification(happy, neutral).auc if len(happy) and len(neutral) else float("nan")


def recall_of(found: Extraction, labels: np.ndarray, network: str) -> Statistic:
    """Share of images that are read as their label."""
    read_as = predictions(found, network)
    return lambda index: float((read_as[index] == labels[index]).mean()) if len(index) else float("nan")


def macro_of(found: Extraction, labels: np.ndarray, network: str) -> Statistic:
    """Mean of the recalls of the classes; NaN when a class is absent."""
    read_as = predictions(found, network)

    def macro(index: np.ndarray) -> float:
        recalls = [
            float((read_as[index][labels[index] == name] == name).mean())
            if (labels[index] == name).any()
            else np.nan
            for name in CLASSES
        ]
        return float(np.mean(recalls))

    return macro


def predictions(found: Extraction, network: str) -> np.ndarray:
    """Names of the most likely expressions."""
    classes = np.array([expression_name(name) for name in found.backbones[network].expressions])
    return classes[np.nan_to_num(found.arrays[network]["expression"]).argmax(axis=1)]


def domain(sets: dict[str, Path]) -> Table:
    """Faces that count as rendered, one by one and as a set."""
    columns = [
        Column("set", "set", numeric=False),
        Column("rendered", "faces that count as rendered"),
        Column("kind", "kind of the set", numeric=False),
    ]
    rows = []
    for name, folder in sets.items():
        found = features(folder, "sface")
        embeddings = found.arrays["sface"]["embedding"][found.valid["sface"]]
        wrong = sum(domain_of_faces(each[None]).domain == "rendered" for each in embeddings)
        places = np.linspace(0, len(embeddings) - 1, min(SAMPLED, len(embeddings))).round().astype(int)
        rows.append(
            [
                Cell(name),
                Cell(f"{wrong} of {len(embeddings)}"),
                Cell(domain_of_faces(embeddings[places]).domain),
            ]
        )
    return Table(columns, rows)


def scale(lfw: Path, stylegan2: Path) -> Table:
    """StyleGAN2 faces, and half of the people of LFW, against LFW; the scale beside each value."""
    metrics = [
        "fd_lite0",
        "kd_lite0",
        "mmd_lite0",
        "precision_lite0",
        "recall_lite0",
        "clipped_coverage_lite0",
    ]
    with tempfile.TemporaryDirectory() as scratch:
        halves = people_halves(lfw, Path(scratch))
        runs = {
            "StyleGAN2 against LFW": facebench.evaluate(stylegan2, lfw, metrics=metrics),
            "half of LFW against the other half": facebench.evaluate(*halves, metrics=metrics),
        }
    columns = [Column("metric", "metric", numeric=False)]
    columns += [Column(f"{name}{what}", f"{name}{what}") for name in runs for what in ("", ": real")]
    rows = []
    for metric in metrics:
        cells = [Cell(metric)]
        for run in runs.values():
            cells += [value_cell(run.metrics[metric]), real_cell(run, metric)]
        rows.append(cells)
    return Table(columns, rows)


def real_cell(run: Run, metric: str) -> Cell:
    """Value for real faces alone, with the numbers of images."""
    result = run.metrics[metric]
    real = result.real
    if real is None:
        return Cell("–")
    counts = " / ".join(str(n) for n in real.n.values())
    return Cell(f"{real.value:.{max(3, result.decimals)}f}{'†' if real.note else ''}", small=f"({counts})")


def people_halves(lfw: Path, scratch: Path) -> tuple[Path, Path]:
    """Copy the images of two halves of the people."""
    return subset(lfw, scratch / "half", count=10**6)


def warnings(sets: dict[str, Path], scratch: Path) -> Table:
    """Warnings about the inputs that fire, and those that do not."""
    plain = {name: subset(folder, scratch / name) for name, folder in sets.items()}
    lfw, other = plain["LFW"]
    pairs: dict[str, tuple[Path, Path]] = {
        "LFW, other people of LFW": (lfw, other),
        "StyleGAN2, LFW": (plain["StyleGAN2"][0], lfw),
    }
    pairs["StyleGAN2, LFW, both aligned (--size 160)"] = (
        aligned(pairs["StyleGAN2, LFW"][0], scratch / "a", 160),
        aligned(lfw, scratch / "b", 160),
    )
    pairs["StyleGAN2, LFW, both aligned and compressed (--size 160 --jpeg 75)"] = (
        aligned(pairs["StyleGAN2, LFW"][0], scratch / "c", 160, 75),
        aligned(lfw, scratch / "d", 160, 75),
    )
    for name, change in CHANGES.items():
        pairs[f"LFW, LFW {name}"] = (lfw, changed(other, scratch / name.replace(" ", "-"), change))
    finder = detector("yunet")
    columns = [
        Column("sets", "generated, reference", numeric=False),
        Column("warnings", "warnings", numeric=False),
    ]
    rows = []
    for name, folders in pairs.items():
        roles = dict(zip(("generated", "reference"), folders, strict=True))
        measured_sets: dict[str, SetProperties] = {
            role: properties_of(extract(ImageSet.open(folder), [], store=None), finder)
            for role, folder in roles.items()
        }
        texts = sanity_warnings(measured_sets, dict.fromkeys(roles, "DIR"))
        rows.append([Cell(name), Cell("; ".join(short(text) for text in texts) or "none")])
    return Table(columns, rows)


def short(warning: str) -> str:
    """The difference of a warning without its remedy."""
    return warning.split(";")[0].replace(" differs: ", ": ")


CHANGES: dict[str, Callable[[Image.Image], tuple[Image.Image, int]]] = {
    "with a wide margin": lambda image: (margin(image), 75),
    "at half the size": lambda image: (
        image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS),
        75,
    ),
    "compressed (JPEG 40)": lambda image: (image, 40),
    "in grey": lambda image: (image.convert("L").convert("RGB"), 75),
    "sampled down and up by 5": lambda image: (soft(image), 75),
}


def margin(image: Image.Image) -> Image.Image:
    """Return the image within a margin of half its size, at its size."""
    wide = Image.new("RGB", (image.width * 2, image.height * 2))
    wide.paste(image, (image.width // 2, image.height // 2))
    return wide.resize(image.size, Image.Resampling.LANCZOS)


def soft(image: Image.Image) -> Image.Image:
    """Return the image without fine detail."""
    small = image.resize((image.width // 5, image.height // 5), Image.Resampling.LANCZOS)
    return small.resize(image.size, Image.Resampling.BICUBIC)


def changed(folder: Path, out: Path, change: Callable[[Image.Image], tuple[Image.Image, int]]) -> Path:
    """Write changed copies of a folder of images."""
    out.mkdir()
    for path in sorted(folder.iterdir()):
        image, quality = change(Image.open(io.BytesIO(path.read_bytes())).convert("RGB"))
        image.save(out / f"{path.stem}.jpg", quality=quality)
    return out


def subset(folder: Path, out: Path, count: int = 48) -> tuple[Path, Path]:
    """Link up to `count` images of a set into each of two folders, without common people where people are known."""
    images = ImageSet.open(folder)
    people = [item.columns.get("identity", item.name) for item in images.items]
    order = sorted(set(people))
    parts = []
    for part in (0, 1):
        chosen = [
            item for item, person in zip(images.items, people, strict=True) if order.index(person) % 2 == part
        ]
        places = np.linspace(0, len(chosen) - 1, min(count, len(chosen))).round().astype(int)
        target = out.with_name(f"{out.name}-{part}")
        target.mkdir(parents=True)
        for number, place in enumerate(np.unique(places)):
            item = chosen[place]
            (target / f"{number:03d}{item.path.suffix}").write_bytes(read(item))
        parts.append(target)
    return parts[0], parts[1]


def aligned(folder: Path, out: Path, size: int, jpeg: int | None = None) -> Path:
    """Align a folder of images."""
    align_images(folder, out, Template("ffhq", size), jpeg=jpeg)
    return out


def alignment(sets: dict[str, Path], scratch: Path) -> Table:
    """Misalignment of sets before and after `facebench align`."""
    columns = [
        Column("set", "set", numeric=False),
        Column("before", "misalignment"),
        Column("after", "after `facebench align`"),
    ]
    rows = []
    for name, folder in sets.items():
        part, _ = subset(folder, scratch / f"alignment-{name}")
        after = aligned(part, scratch / f"aligned-{name}", 256)
        found = [median_misalignment(ImageSet.open(each)) for each in (part, after)]
        rows.append([Cell(name), *(Cell("–" if each is None else f"{each:.3f}") for each in found)])
    return Table(columns, rows)


def pixels(folder: Path) -> Iterable[np.ndarray]:
    """Decode every image of a set."""
    for item in ImageSet.open(folder).items:
        yield decode(read(item), item.name)


@cache
def features(folder: Path, *networks: str) -> Extraction:
    """Features of a set, from the feature store where it has them."""
    faces = FaceOptions(detector("yunet"))
    return extract(ImageSet.open(folder), [build(name) for name in networks], store=Store(), faces=faces)


if __name__ == "__main__":
    main()
