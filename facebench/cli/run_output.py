"""Folder of a new run record: it replaces no record of another model, and lies in no folder of images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from facebench.core.errors import InputError
from facebench.evaluation.run_folders import RUNS

if TYPE_CHECKING:
    from facebench.evaluation.config import EvaluationConfig
    from facebench.evaluation.record import Run


def check_output(out: Path | None, settings: EvaluationConfig, *, overwrite: bool) -> None:
    """Check where the record will be written, before anything is computed.

    Args:
        out: the folder; None for the default, a new folder below `runs`.
        settings: options of the evaluation.
        overwrite: whether the record of another evaluation may be replaced.

    Raises:
        InputError: the folder holds images, lies in a folder of images, or holds the record of another evaluation.
    """
    target = RUNS if out is None else out
    for folder in (settings.generated, *settings.references.values()):
        if _inside(target, folder):
            raise InputError(
                f"The record would be written into the images: {target} is in {folder}. Choose another --out."
            )
    if out is not None and _holds_images(out):
        raise InputError(f"{out} holds images; records are not written there. Choose another --out.")
    if out is not None and not overwrite:
        _check_record(out, settings)


def _inside(target: Path, images: Path) -> bool:
    """Return whether the target is, or lies in, a folder of images; the folder of a manifest file may hold runs."""
    from facebench.images.manifest import SUFFIXES

    if not images.is_dir():
        return False
    has_manifest = any((images / f"manifest{suffix}").is_file() for suffix in SUFFIXES)
    if not has_manifest and not any(map(_holds_images, (images, *images.iterdir()))):
        return False
    target, images = target.resolve(), images.resolve()
    return target == images or images in target.parents


def _holds_images(folder: Path) -> bool:
    from facebench.images.listing import SUFFIXES, has_suffix

    try:
        return any(has_suffix(file.name, SUFFIXES) for file in folder.iterdir())
    except OSError:  # no such folder, or a file: the record is refused when it is written
        return False


def _check_record(out: Path, settings: EvaluationConfig) -> None:
    """Refuse to replace a record unless it is of the same model, protocol and images."""
    from facebench.evaluation.record_reading import load_run
    from facebench.evaluation.run_folders import RECORD

    if not (out / RECORD).is_file():
        return
    remedy = "Choose another --out, or replace it with --overwrite."
    try:
        run = load_run(out / RECORD)
    except InputError:
        raise InputError(f"{out} holds a record that cannot be read. {remedy}") from None
    images, generated = Path(run.inputs["generated"].path), settings.generated.resolve()
    same_images = images.resolve() in (generated, *([generated.parent] if generated.is_file() else []))
    if run.config is not None and generated.is_file():
        same_manifest = run.config.generated.name == generated.name
        same_images = same_images and (same_manifest or _lists_images_of(run, generated))
    if not same_images or (run.name, run.protocol) != (settings.model_name, settings.protocol):
        raise InputError(
            f"{out} holds the record of another evaluation: {run.name}, protocol {run.protocol}, of {images}. {remedy}"
        )


def _lists_images_of(run: Run, manifest: Path) -> bool:
    """Whether a manifest lists the images of a run, as an export of the same table in another format does."""
    from facebench.images.image_set import ImageSet

    if run.per_image is None:
        return False
    rows = run.per_image[run.per_image["role"] == "generated"]
    return {item.name for item in ImageSet.open(manifest).items} == set(rows["image"])
