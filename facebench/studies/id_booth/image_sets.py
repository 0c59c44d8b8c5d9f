"""Image sets of the evaluation: finished people only, of one folder or of several."""

from __future__ import annotations

import csv
import hashlib
import io
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from facebench.core.files import atomic_write_text
from facebench.images.image_set import ImageSet
from facebench.studies.id_booth.people import Person
from facebench.training.data import prompt_manifest

MANIFEST = "manifest.csv"


def write_generated_set(folder: Path, prompts: Path, people: Sequence[Person]) -> None:
    """Write the manifest of generated images; images of people who are not finished are left out.

    Commands that run at the same time may lose each other's rows of the manifest, so it is written again.

    Args:
        folder: folder with one sub-folder for each person.
        prompts: folder of the prompts, one file for each person.
        people: the finished people.
    """
    (folder / prompt_manifest.NAME).unlink(missing_ok=True)
    for person in people:
        texts = (prompts / f"{person.name}.txt").read_text(encoding="utf-8").splitlines()
        names = [f"{number:04d}.png" for number in range(len(texts))]
        prompt_manifest.add(folder, person.name, dict(zip(names, map(str.strip, texts), strict=True)))


def write_joined_set(folder: Path, parts: Mapping[str, Path], people: Sequence[Person]) -> None:
    """Write a set of the images of some people in one or several sets, as links to them.

    Args:
        folder: folder of the new set.
        parts: sets with identities, by the name of their link.
        people: the people that are kept.
    """
    kept = {person.name for person in people}
    rows = []
    for part, root in parts.items():
        images = ImageSet.open(root)
        _link(folder / part, images.root)
        rows += [
            (f"{part}/{item.name}", name)
            for item, name in zip(images.items, images.column("identity"), strict=True)
            if name is not None and name in kept
        ]
    _write(folder / MANIFEST, rows)


HALVES = ("first", "second")
"""Folders of the two halves of a real set."""


def write_halves(folder: Path, root: Path) -> bool:
    """Split a real set into two sets without a common image, as links to its images.

    The images of each person are dealt alternately, so both halves show the same people. People with one image are left
    out, unless everybody has one image; then the set is split without identities.

    Args:
        folder: folder of the two new sets, named as in HALVES.
        root: the real set.

    Returns:
        Whether the set can be split: it is a folder, and both halves have images.
    """
    images = ImageSet.open(root) if root.exists() else None
    if images is None or not images.root.is_dir():
        return False
    people: dict[str, list[str]] = defaultdict(list)
    for item, name in zip(images.items, images.column("identity"), strict=True):
        people[name or ""].append(item.name)
    if max(map(len, people.values()), default=0) < 2:
        people = {"": [item.name for item in images.items]}
    rows = {
        half: [
            (f"real/{image}", name)
            for name, own in people.items()
            if len(own) > 1
            for image in own[number::2]
        ]
        for number, half in enumerate(HALVES)
    }
    if not all(rows.values()):
        return False
    for half, own in rows.items():
        _link(folder / half / "real", images.root)
        _write(folder / half / MANIFEST, own)
    return True


def version(root: Path) -> str:
    """Digest of the names, sizes and times of the files of a set; empty for a set that does not exist."""
    if not root.exists():
        return ""
    items = ImageSet.open(root).items
    stats = [(item.name, item.path.stat()) for item in items]
    lines = [f"{name} {stat.st_size} {stat.st_mtime_ns}" for name, stat in stats]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def has_people(root: Path, people: Sequence[Person]) -> bool:
    """Whether a set of photographs shows one of the people."""
    names = set(ImageSet.open(root).column("identity"))
    return any(person.name in names for person in people)


def _link(link: Path, target: Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    if link.is_symlink() and link.resolve() != target.resolve():
        link.unlink()
    if not link.is_symlink():
        link.symlink_to(target.absolute(), target_is_directory=True)


def _write(path: Path, rows: Iterable[tuple[str, str]]) -> None:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows([("image", "identity"), *rows])
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.is_file() or path.read_text(encoding="utf-8") != buffer.getvalue():
        atomic_write_text(path, buffer.getvalue())
