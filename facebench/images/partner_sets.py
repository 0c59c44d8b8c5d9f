"""Pair the frames of generated clips with those of another set, such as the driving videos, without a manifest.

Clips are paired by name; one clip on both sides needs no equal name. Frames are paired by number. Where the frame
rates differ and the durations agree, they are paired by time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np

from facebench.core.errors import InputError
from facebench.core.suggest import suggest
from facebench.images.image_set import ImageSet
from facebench.images.listing import SUFFIXES, Item

FRAME, CLIP, TIME = "frame", "clip", "time"
_SAME_RATE = 0.01
"""Relative difference of two frame rates that count as one."""


def with_partners(images: ImageSet, role: str, path: Path) -> ImageSet:
    """Return generated frames with the column of a role, which names their partners in another set.

    Args:
        images: generated frames with the columns `frame` and, for several clips, `clip`.
        role: "source" or "target".
        path: a video, a folder of videos, or another set with the same columns. Sources may also be one picture for
            all frames, or a folder with one picture for each clip, named like it.

    Returns:
        The frames in their order. Its warnings state pairs that are not made by number.

    Raises:
        InputError: the column exists already, a clip has no partner, or frames agree neither in number nor in time.

    Example:
        >>> with_partners(ImageSet.open("generated.mp4"), "target", Path("driver.mp4"))  # doctest: +SKIP
    """
    option = f"--{role}"
    if role in images.columns:
        raise InputError(f"{images.root} has the column '{role}' already. Leave out {option}, or the column.")
    is_picture = path.suffix.lower() in SUFFIXES
    partners = ImageSet.of_paths([path]) if is_picture else ImageSet.open(path)
    if FRAME in partners.columns:
        names, notes = _pair_frames(images, partners, option)
    elif role == "source":
        names, notes = _pair_pictures(images, partners, option), []
    else:
        raise InputError(
            f"{partners.root} has no column 'frame'. {option} needs a video, a folder of videos, or a manifest with "
            "the columns 'clip' and 'frame'."
        )
    items = tuple(
        replace(item, columns={**item.columns, role: name})
        for item, name in zip(images.items, names, strict=True)
    )
    members = {item.name: item.content for item in items if item.content is not None}
    return replace(
        images,
        items=items,
        members=members,
        warnings=images.warnings + tuple(notes),
        partners={**images.partners, role: partners},
    )


@dataclass(frozen=True)
class _Clip:
    """Frames of one clip, in order."""

    name: str
    numbers: tuple[float, ...]
    times: tuple[float, ...]
    """Seconds from the first frame; empty where they are not known."""
    places: tuple[int, ...]
    """Positions of the frames in their set."""

    @property
    def rate(self) -> float:
        """Frames in a second; 0 where it is not known."""
        span = self.times[-1] - self.times[0] if len(self.times) > 1 else 0.0
        return (len(self.times) - 1) / span if span > 0 else 0.0

    @property
    def text(self) -> str:
        """Length in words."""
        rate = self.rate
        if not rate:
            return f"{len(self.numbers)} frames"
        return f"{len(self.numbers)} frames at {rate:.4g} per second ({len(self.numbers) / rate:.2f} s)"


def _pair_frames(images: ImageSet, partners: ImageSet, option: str) -> tuple[list[str], list[str]]:
    """Return the name of the partner of every frame, and notes for the record."""
    own, other = _clips_of(images, option), _clips_of(partners, option)
    names, notes = [""] * len(images), []
    for clip in own.values():
        partner = _partner_of(clip, own, other, images, partners, option)
        places, note = _matched(clip, partner, option)
        for place, found in zip(clip.places, places, strict=True):
            names[place] = partners.items[found].name
        notes += [note] if note else []
    return names, _condensed(notes)


def _partner_of(
    clip: _Clip,
    own: Mapping[str, _Clip],
    other: Mapping[str, _Clip],
    images: ImageSet,
    partners: ImageSet,
    option: str,
) -> _Clip:
    if len(own) == len(other) == 1:
        return next(iter(other.values()))
    if clip.name not in other:
        raise InputError(
            f"The clip '{clip.name}' of {images.root} has no clip of this name in {option} {partners.root}. "
            f"{suggest(clip.name, sorted(other))}"
        )
    return other[clip.name]


def _matched(clip: _Clip, partner: _Clip, option: str) -> tuple[Sequence[int], str]:
    """Return the positions of the partners of all frames of a clip, and a note where they need one."""
    place_of = dict(zip(partner.numbers, partner.places, strict=True))
    rates = (clip.rate, partner.rate)
    differ = all(rates) and abs(rates[0] - rates[1]) > _SAME_RATE * max(rates)
    if clip.numbers == partner.numbers or (not differ and set(clip.numbers) == set(partner.numbers)):
        note = f"frames are paired by number, at {rates[0]:.4g} and {rates[1]:.4g} per second"
        return [place_of[number] for number in clip.numbers], f"{note} ({clip.name})" if differ else ""
    durations = [
        len(each.numbers) / rate if rate else 0.0 for each, rate in ((clip, rates[0]), (partner, rates[1]))
    ]
    if differ and abs(durations[0] - durations[1]) <= 1 / min(rates):
        times = np.array(partner.times)
        nearest = [int(np.argmin(np.abs(times - time))) for time in clip.times]
        note = f"frames are paired by time, at {rates[0]:.4g} and {rates[1]:.4g} per second ({clip.name})"
        return [partner.places[index] for index in nearest], note
    raise InputError(
        f"The clip '{clip.name}' has {clip.text}, that of {option} has {partner.text}. Frames are paired by number, or "
        "by time where only the rates differ; cut both to the same length."
    )


def _clips_of(images: ImageSet, option: str) -> dict[str, _Clip]:
    """Return the clips of a set by name.

    Raises:
        InputError: an image does not belong to a clip, or a frame occurs twice.
    """
    frames: dict[str, list[tuple[float, float, int]]] = defaultdict(list)
    for place, item in enumerate(images.items):
        number = _number(item, FRAME)
        if number is None:
            raise InputError(
                f"{images.root}: {item.name} has no number in the column 'frame', which {option} needs. Give a video, "
                "or a manifest with the columns 'clip' and 'frame'."
            )
        time = _number(item, TIME)
        frames[item.columns.get(CLIP, "")].append((number, float("nan") if time is None else time, place))
    return {name: _clip(name, sorted(rows), images.root) for name, rows in frames.items()}


def _clip(name: str, rows: Sequence[tuple[float, float, int]], root: Path) -> _Clip:
    numbers, times, places = zip(*rows, strict=True)
    if len(set(numbers)) < len(numbers):
        raise InputError(
            f"{root}: a frame of the clip '{name}' occurs twice; name the clips in the column 'clip'."
        )
    known = bool(np.isfinite(times).all()) and all(np.diff(times) > 0)
    return _Clip(name, numbers, tuple(time - times[0] for time in times) if known else (), places)


def _pair_pictures(images: ImageSet, partners: ImageSet, option: str) -> list[str]:
    """Return the picture of every frame: the only one, or the one that is named like the clip."""
    if len(partners) == 1:
        return [partners.items[0].name] * len(images)
    pictures = {PurePosixPath(item.name).stem: item.name for item in partners.items}
    clips = [item.columns.get(CLIP, "") for item in images.items]
    missing = next((clip for clip in clips if clip not in pictures), None)
    if missing is not None:
        raise InputError(
            f"The clip '{missing}' has no picture of this name in {option} {partners.root}. "
            f"{suggest(missing, sorted(pictures))}"
        )
    return [pictures[clip] for clip in clips]


def _condensed(notes: Sequence[str]) -> list[str]:
    """Return the first note and the number of the other ones."""
    more = f" and in {len(notes) - 1} further clips" if len(notes) > 1 else ""
    return [f"{notes[0]}{more}"] if notes else []


def _number(item: Item, column: str) -> float | None:
    try:
        return float(item.columns[column])
    except (KeyError, ValueError):
        return None
