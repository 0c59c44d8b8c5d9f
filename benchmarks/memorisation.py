"""Which copies of training images does each metric find? Copies of seven kinds are planted among rendered faces.

    python benchmarks/memorisation.py

500 training faces and 100 held-out faces of other people, one image each. A generated set holds 60 faces of new
people, or 30 of them and 30 copies of one kind. It prints the table of docs/memorisation.md; two minutes on one core.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image as Pillow
from scipy import ndimage

from facebench.backbones import build, detector
from facebench.backbones.face_alignment import crop
from facebench.metrics import authenticity, copied_share, leakage, membership
from facebench.metrics.arrays import Array
from facebench.synthface import FaceModel
from facebench.synthface.sampling import draw

TRAINING, HELD_OUT, GENERATED, COPIES = 500, 100, 60, 30
SIZE = 112


def jpeg(image: Array) -> Array:
    """JPEG at quality 30."""
    stream = io.BytesIO()
    Pillow.fromarray(image).save(stream, "JPEG", quality=30)
    return np.asarray(Pillow.open(stream))


def blurred(image: Array) -> Array:
    """Gaussian blur of 1.5 pixels."""
    return np.asarray(ndimage.gaussian_filter(image, (1.5, 1.5, 0)))


def brighter(image: Array) -> Array:
    """A quarter brighter."""
    return np.clip(image * 1.25, 0, 255).astype(np.uint8)


def mirrored(image: Array) -> Array:
    """Left and right exchanged."""
    return np.ascontiguousarray(image[:, ::-1])


def shifted(image: Array) -> Array:
    """Five per cent to the right; the border repeats the edge."""
    by = round(0.05 * SIZE)
    return np.concatenate([np.repeat(image[:, :1], by, axis=1), image[:, :-by]], axis=1)


def unchanged(image: Array) -> Array:
    """The training image itself."""
    return image


KINDS: dict[str, Callable[[Array], Array]] = {
    "the same image": unchanged,
    "JPEG, quality 30": jpeg,
    "blur of 1.5 pixels": blurred,
    "a quarter brighter": brighter,
    "shifted by 5 %": shifted,
    "mirrored": mirrored,
}


@dataclass(frozen=True)
class Features:
    """Rows of a set: pixels, EfficientNet-Lite0 and SFace."""

    pixels: Array
    lite0: Array
    sface: Array

    @classmethod
    def of(cls, images: Array) -> Features:
        """Compute all three; every rendered face is found."""
        finder, rows = detector("yunet"), {}
        for name in ("image-thumbnail", "lite0", "sface"):
            backbone = build(name)
            inputs = images
            if backbone.crop != "image":
                inputs = [crop(backbone.crop, image, finder.find(image)) for image in images]
            prepared = torch.stack([backbone.preprocess(image) for image in inputs])
            (array,) = [
                values
                for key, values in backbone.embed(prepared).items()
                if key in ("pixels", "features", "embedding")
            ]
            rows[name] = array
        return cls(rows["image-thumbnail"], rows["lite0"], rows["sface"])

    def joined(self, other: Features, count: int) -> Features:
        """The first `count` rows of this set, and all rows of another."""
        names = ("pixels", "lite0", "sface")
        return Features(*(np.concatenate([getattr(self, n)[:count], getattr(other, n)]) for n in names))


def row(name: str, generated: Features, training: Features, held_out: Features) -> str:
    """One line of the table."""
    shares = [
        copied_share(generated.pixels, training.pixels).share,
        copied_share(generated.lite0, training.lite0).share,
        1 - authenticity(generated.lite0, training.lite0) / 100,
        leakage(generated.sface, training.sface).share,
    ]
    tests = [
        membership(getattr(generated, part), getattr(training, part), getattr(held_out, part))
        for part in ("pixels", "lite0")
    ]
    cells = [f"{share:.2f}" for share in shares] + [f"{test.auc:.2f} ({test.p:.1g})" for test in tests]
    return f"| {name} | " + " | ".join(cells) + " |"


def main() -> None:
    """Print the table."""
    parameters = draw(2 * (TRAINING + HELD_OUT + GENERATED), seed=0, images=2)
    first = 2 * np.arange(TRAINING + HELD_OUT + GENERATED)
    images = FaceModel().render(parameters.take(first), SIZE)
    parts = np.split(images, [TRAINING, TRAINING + HELD_OUT])
    training, held_out, honest = (Features.of(part) for part in parts)
    print("| planted | pixels | Lite0 | not authentic | leaked | membership, pixels | membership, Lite0 |")
    print("|---|---|---|---|---|---|---|")
    print(row("nothing", honest, training, held_out), flush=True)
    chosen = parts[0][:COPIES]
    for name, change in KINDS.items():
        copies = Features.of(np.stack([change(image) for image in chosen]))
        print(row(name, honest.joined(copies, GENERATED - COPIES), training, held_out), flush=True)
    again = FaceModel().render(parameters.take(first[:COPIES] + 1), SIZE)
    print(
        row(
            "the person, another image",
            honest.joined(Features.of(again), GENERATED - COPIES),
            training,
            held_out,
        )
    )


if __name__ == "__main__":
    main()
