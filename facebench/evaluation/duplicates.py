"""Detection of duplicate images by the content of their files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from facebench.core.errors import InputError
from facebench.core.progress import Progress
from facebench.features.extraction import Extraction
from facebench.features.shares import Answer, Networks, map_items
from facebench.images.decoding import ImageError
from facebench.images.image_set import ImageSet, Item, Rejected, read
from facebench.images.names import normal_form, printable

OPTION = "--drop-duplicates"


def duplicate_warnings(extractions: Mapping[str, Extraction]) -> list[str]:
    """Describe duplicate images of the generated set and of the reference sets, with their number and an example.

    Copies count several times. An image of two identities forms impostor pairs of one person. A generated image in
    the reference set makes the generated set appear real.
    """
    contents = {
        role: _Contents(role, extraction.items, extraction.sha256)
        for role, extraction in extractions.items()
        if role == "generated" or role.partition(":")[0] == "reference"
    }
    warnings = [warning for each in contents.values() for warning in each.warnings()]
    for role, each in contents.items():
        if role != "generated":
            warnings += _shared_warnings(contents["generated"], each)
    return warnings


def without_duplicates(sets: Mapping[str, ImageSet], *, keep_copied: bool = False) -> dict[str, ImageSet]:
    """Return the sets without duplicate images.

    Of copies in one set the first is kept. An image of several identities is removed. An image that is both generated
    and in a reference set is removed from the reference set. Removed files have the reason "duplicate".

    Args:
        sets: image sets by role.
        keep_copied: keep reference images that are also generated, for metrics that look for copies.
    """
    contents = {role: _Contents(role, images.items, _hashes(images.items)) for role, images in sets.items()}
    generated, kept = contents["generated"], ("generated", "held_out")
    return {
        role: _without(
            images,
            contents[role].repeated()
            | ({} if keep_copied or role in kept else generated.shared_with(contents[role])),
        )
        for role, images in sets.items()
    }


@dataclass(frozen=True)
class _Contents:
    """Files of one role with the sha256 of their content; an empty text for files that cannot be read."""

    role: str
    items: Sequence[Item]
    sha256: Sequence[str]

    def by_content(self) -> dict[str, list[Item]]:
        """Return the items by content, in order."""
        items: dict[str, list[Item]] = {}
        for item, content in zip(self.items, self.sha256, strict=True):
            if content:
                items.setdefault(content, []).append(item)
        return items

    def repeated(self) -> dict[str, str]:
        """Return the names of the items to leave out, with the reason."""
        reasons: dict[str, str] = {}
        for copies in self.by_content().values():
            first, *others = copies
            if len(_identities(copies)) > 1:
                reasons |= {item.name: "the same picture has several identities" for item in copies}
            else:
                reasons |= {item.name: f"same content as {first.name}" for item in others}
        return reasons

    def shared_with(self, other: _Contents) -> dict[str, str]:
        """Return the names of the items of another role that have the content of an item of this role."""
        own = self.by_content()
        return {
            item.name: f"same content as {own[content][0].name} of the role {self.role}"
            for content, items in other.by_content().items()
            if content in own
            for item in items
        }

    def warnings(self) -> list[str]:
        """Describe copies, and images of several identities."""
        groups = [copies for copies in self.by_content().values() if len(copies) > 1]
        conflicts = [copies for copies in groups if len(_identities(copies)) > 1]
        warnings = []
        if copied := sum(len(copies) - 1 for copies in groups):
            warnings.append(
                f"{self.role}: {copied} of {len(self.items)} images are duplicates, with the same content as another "
                f"image (first: {_pair(groups[0])}); leave them out with {OPTION}"
            )
        if conflicts:
            warnings.append(
                f"{self.role}: {len(conflicts)} pictures have several identities (first: {_pair(conflicts[0])}); "
                f"leave them out with {OPTION}"
            )
        return warnings


def _shared_warnings(generated: _Contents, reference: _Contents) -> list[str]:
    """Describe generated images that are in a reference set."""
    shared = generated.shared_with(reference)
    if not shared:
        return []
    names = {item.name: item for item in reference.items}
    own = generated.by_content()
    contents = dict(zip((item.name for item in reference.items), reference.sha256, strict=True))
    first = next(iter(shared))
    pair = _pair([own[contents[first]][0], names[first]])
    return [
        f"{len(shared)} of {len(reference.items)} images of the role {reference.role} have the same content as a "
        f"generated image (first: {pair}); leave them out of the reference set with {OPTION}"
    ]


def _identities(items: Iterable[Item]) -> set[str]:
    return {normal_form(name) for item in items if (name := item.columns.get("identity"))}


def _pair(items: Sequence[Item]) -> str:
    return f"{items[0].name} and {items[1].name}"


@dataclass(frozen=True)
class _HashFiles:
    """Digests of files, computed in the process that holds them."""

    def run(self, items: Sequence[Item], networks: Networks, progress: Progress) -> Answer:
        """Return the sha256 of every file."""
        return Answer([_hash(item) for item in items])


def _hashes(items: Sequence[Item]) -> list[str]:
    return map_items(_HashFiles(), items, Networks())


def _hash(item: Item) -> str:
    try:
        return hashlib.sha256(read(item)).hexdigest()
    except ImageError:
        return ""  # the extraction reports the file


def _without(images: ImageSet, reasons: Mapping[str, str]) -> ImageSet:
    kept = tuple(item for item in images.items if item.name not in reasons)
    if not kept:
        name, reason = next(iter(reasons.items()))
        raise InputError(
            f"{OPTION} leaves no image of {images.root} (first: {name}, {reason}). Give another set."
        )
    rejected = tuple(Rejected(printable(name), "duplicate", reason) for name, reason in reasons.items())
    return replace(images, items=kept, rejected=images.rejected + rejected)
