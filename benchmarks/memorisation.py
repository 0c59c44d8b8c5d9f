"""Which copies of training images does each metric find? Copies of eleven kinds are planted among rendered faces.

    python benchmarks/memorisation.py [--pages docs/memorisation.md docs/ja/memorisation.md]

500 training faces and 100 held-out faces of other people, one image each. A generated set holds 60 faces of new
people, or 30 of them and 30 copies of one kind. The table goes between the marks of the pages; minutes on one core.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image as Pillow
from scipy import ndimage

from facebench.backbones import build, detector
from facebench.backbones.face_alignment import crop
from facebench.core.files import atomic_write_text
from facebench.metrics import authenticity, copied_share, leakage, membership
from facebench.metrics.arrays import Array
from facebench.synthface import FaceModel
from facebench.synthface.sampling import draw

TRAINING, HELD_OUT, GENERATED, COPIES = 500, 100, 60, 30
SIZE = 112
MARKS = "<!-- copies -->", "<!-- /copies -->"
HEADINGS = {
    "en": "| planted | pixels | Lite0 | not authentic | leaked | membership, pixels | membership, Lite0 |",
    "ja": "| 植え込んだ画像 | 画素 | Lite0 | 非真正 | 漏洩 | メンバーシップ（画素） | メンバーシップ（Lite0） |",
}
NOTHING = {"en": "nothing", "ja": "なし"}


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


def warmer(image: Array) -> Array:
    """Red up and blue down by 15 %."""
    return np.clip(image * np.array([1.15, 1.0, 0.85]), 0, 255).astype(np.uint8)


def cropped(image: Array) -> Array:
    """The inner 80 % of each side, enlarged to the full size."""
    edge = round(0.1 * SIZE)
    inner = Pillow.fromarray(image).crop((edge, edge, SIZE - edge, SIZE - edge))
    return np.asarray(inner.resize((SIZE, SIZE), Pillow.Resampling.BICUBIC))


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


@dataclass(frozen=True)
class Kind:
    """One kind of copies: its name in both languages, and how it is made of an image."""

    names: dict[str, str]
    change: Callable[[Array], Array]


KINDS = (
    Kind({"en": "the same image", "ja": "同じ画像"}, unchanged),
    Kind({"en": "JPEG, quality 30", "ja": "JPEG（品質 30）"}, jpeg),
    Kind({"en": "blur of 1.5 pixels", "ja": "1.5 画素のぼかし"}, blurred),
    Kind({"en": "a quarter brighter", "ja": "25 % 明るく"}, brighter),
    Kind({"en": "warmer colours", "ja": "暖色寄りの色"}, warmer),
    Kind({"en": "shifted by 5 %", "ja": "5 % の移動"}, shifted),
    Kind({"en": "cropped to 80 %", "ja": "80 % の切り抜き"}, cropped),
    Kind({"en": "mirrored", "ja": "左右反転"}, mirrored),
)
NEAR = {"en": "rendered again, head turned by 1°", "ja": "頭を 1° 回した再レンダリング"}
SMILING = {"en": "rendered again, smiling", "ja": "笑顔にした再レンダリング"}
PERSON = {"en": "the person, another image", "ja": "同じ人物の別の画像"}


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


@dataclass(frozen=True)
class Sets:
    """Training faces, held-out faces, and faces of new people."""

    training: Features
    held_out: Features
    honest: Features

    def row(self, planted: Features | None) -> str:
        """Cells of one kind: the share of its copies that each metric finds, and the tests of the whole set.

        Without copies the shares are those of the faces of new people, which are false alarms.
        """
        found = self.honest if planted is None else planted
        generated = self.honest if planted is None else self.honest.joined(planted, GENERATED - COPIES)
        shares = [
            copied_share(found.pixels, self.training.pixels).share,
            copied_share(found.lite0, self.training.lite0).share,
            1 - authenticity(found.lite0, self.training.lite0) / 100,
            leakage(found.sface, self.training.sface).share,
        ]
        tests = [
            membership(getattr(generated, part), getattr(self.training, part), getattr(self.held_out, part))
            for part in ("pixels", "lite0")
        ]
        return " | ".join(
            [*(f"{share:.2f}" for share in shares), *(_test(test.auc, test.p) for test in tests)]
        )


def _test(auc: float, p: float) -> str:
    return f"{auc:.3f} (p = {p:.2g})" if p >= 0.001 else f"{auc:.3f} (p < 0.001)"


def measure() -> list[tuple[dict[str, str], str]]:
    """Return the name in both languages and the cells of every row."""
    model = FaceModel()
    parameters = draw(2 * (TRAINING + HELD_OUT + GENERATED), seed=0, images=2)
    first = 2 * np.arange(TRAINING + HELD_OUT + GENERATED)
    images = model.render(parameters.take(first), SIZE)
    parts = np.split(images, [TRAINING, TRAINING + HELD_OUT])
    sets = Sets(*(Features.of(part) for part in parts))
    originals, others = parameters.take(first[:COPIES]), parameters.take(first[:COPIES] + 1)
    turn = np.random.default_rng(0).normal(0, 0.7, originals.pose.shape).astype(np.float32)
    planted = [(kind.names, np.stack([kind.change(image) for image in parts[0][:COPIES]])) for kind in KINDS]
    planted += [
        (NEAR, model.render(originals.replace(pose=originals.pose + turn), SIZE)),
        (SMILING, model.render(originals.replace(psi=others.psi), SIZE)),
        (PERSON, model.render(others, SIZE)),
    ]
    rows = [(NOTHING, sets.row(None))]
    for names, copies in planted:
        rows.append((names, sets.row(Features.of(copies))))
        print(names["en"], rows[-1][1], flush=True)
    return rows


def write(page: Path, table: str) -> None:
    """Replace the table between the marks of a page."""
    before, _, rest = page.read_text(encoding="utf-8").partition(MARKS[0])
    _, _, after = rest.partition(MARKS[1])
    atomic_write_text(page, f"{before}{MARKS[0]}\n{table}\n{MARKS[1]}{after}")


def main() -> None:
    """Print the table, and write it into the pages."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pages", type=Path, nargs="*", default=[])
    pages: list[Path] = parser.parse_args().pages
    rows = measure()
    for language, heading in HEADINGS.items():
        lines = [heading, "|---|---|---|---|---|---|---|"]
        lines += [f"| {names[language]} | {cells} |" for names, cells in rows]
        table = "\n".join(lines)
        print(table)
        for page in pages:
            if (page.parent.name == "ja") == (language == "ja"):
                write(page, table)


if __name__ == "__main__":
    main()
