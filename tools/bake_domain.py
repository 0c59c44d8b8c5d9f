"""Bake the direction of rendered faces in SFace's embeddings into `facebench/shipped`, and print its error.

python tools/bake_domain.py [FOLDER_OF_PHOTOGRAPHS ...]

The direction is the mean embedding of rendered faces, of unit length. No photograph is used for it; photographs are
only measured, to state the error.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

import numpy as np

from facebench.backbones import build
from facebench.backbones.face_detection import FaceFinder, align
from facebench.core.shipped_data import MODELS
from facebench.evaluation.domain import RENDERED_COSINE
from facebench.images.image_set import ImageSet, decode, read
from facebench.synthface import FaceModel

PEOPLE, SEED = 200, 1


def main() -> None:
    """Render, embed, average, and measure."""
    model = FaceModel()
    rendered = embed(model.render(model.sample(PEOPLE, seed=SEED, images=1), 128))
    direction = rendered.mean(axis=0)
    direction /= np.linalg.norm(direction)
    np.save(MODELS / "rendered-faces.npy", direction.astype(np.float32))
    held_out = [
        embed(model.render(model.sample(60, seed=SEED + size, images=1), size)) @ direction
        for size in (64, 128, 256)
    ]
    missed = np.concatenate(held_out) < RENDERED_COSINE
    print(f"rendered faces of other people taken for photographs: {missed.sum()} of {missed.size}")
    for folder in sys.argv[1:]:
        images = ImageSet.open(folder)
        cosines = embed(decode(read(item), item.name) for item in images.items) @ direction
        wrong = int((cosines >= RENDERED_COSINE).sum())
        print(f"{folder}: {wrong} of {len(cosines)} taken for rendered; largest cosine {cosines.max():.3f}")


def embed(images: Iterable[np.ndarray]) -> np.ndarray:
    """Return SFace's embeddings of the faces that are found, float64 (n, 128)."""
    finder, sface = FaceFinder(), build("sface")
    faces = ((image, finder.find(image)) for image in images)
    rows = [
        sface.embed(sface.preprocess(align(image, face.landmarks))[None])["embedding"][0]
        for image, face in faces
        if face is not None
    ]
    return np.array(rows, np.float64)


if __name__ == "__main__":
    main()
