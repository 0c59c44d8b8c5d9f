"""Evaluate a set of generated faces: images → features → metrics → run record."""

from __future__ import annotations

import functools
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import numpy.typing as npt

from facebench.backbones import Backbone, build
from facebench.backbones.face_detection import Face, FaceFinder
from facebench.core.environment import choose_device, describe, facebench_version
from facebench.core.errors import InputError
from facebench.evaluation.breakdown import measure_groups, refuse_useless_column, without_group
from facebench.evaluation.curves import feature_map
from facebench.evaluation.estimate import measure
from facebench.evaluation.inputs import LINKED, Reference, open_sets
from facebench.evaluation.leakage import add_closest
from facebench.evaluation.per_image import per_image_table
from facebench.evaluation.per_image_terms import add_terms
from facebench.evaluation.plan import DETECTOR, Plan, make_plan
from facebench.evaluation.record import BackboneRecord, InputRecord, RejectedFile, Run
from facebench.evaluation.role_features import Roles, links
from facebench.evaluation.unofficial_weights import mark_unofficial
from facebench.features.engine.cluster import Cluster, open_cluster
from facebench.features.extraction import Extraction, extract
from facebench.features.pairs import compare_pairs
from facebench.features.store.sqlite import Store
from facebench.images import jpeg_null
from facebench.images.image_set import ImageSet

Progress = Callable[[str, int, int], None]


def evaluate(
    generated: str | Path,
    reference: Reference | None = None,
    *,
    protocol: str = "quality",
    suite: str = "auto",
    metrics: Sequence[str] | None = None,
    device: str = "auto",
    engine: str = "local",
    address: str | None = None,
    name: str | None = None,
    seed: int = 0,
    max_rejected: float = 0.02,
    by: str | None = None,
    tags: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> Run:
    """Measure generated faces by a protocol and return the run record.

    Args:
        generated: a flat folder, a folder with one sub-folder per identity, or a manifest (CSV or Parquet).
        reference: real faces to compare with, in the same forms; metrics that need it have no value without it.
            Several sets are given as a mapping from name to folder; the metrics then carry the name: `fid_clean@FFHQ`.
        protocol: name of a protocol (`facebench protocols`).
        suite: "paper" (networks of the literature), "compact" (networks that come with the installation), or
            "auto": paper when all its weights are at hand, else compact, and the record says which.
        metrics: ids of the metrics to compute instead of the protocol's.
        device: "auto", "cpu", "cuda" or "mps".
        engine: "local", or "ray" to spread decoding and networks over a Ray cluster; the record is the same.
        address: of a running Ray cluster, "auto" to find the one of this machine; by default one is begun here.
        name: of the model in tables; the folder's name by default.
        seed: of every resampling.
        max_rejected: largest share of unusable files, of each role.
        by: a column of the generated set (identity, expression, ...): every metric also for each of its values.
        tags: of the model, such as {"base": "SD-XL", "prompt": "Complex"}; tables are laid out and factors are told
            apart by them.
        progress: called with the stage, what is done, and the total.

    Returns:
        The record: every number with its interval and n, and what it was computed from. Nothing is written:
        `run.save(folder)` does that.

    Raises:
        InputError: an input is missing or unusable, or too many files are.
        WeightsError: a suite was asked for by name and its weights are missing.

    Example:
        >>> import facebench
        >>> run = facebench.evaluate("samples", reference="photographs")  # doctest: +SKIP
        >>> run.metrics["fd_lite0"].value  # doctest: +SKIP
        1.87
    """
    started = time.perf_counter()
    plan = make_plan(protocol, suite, metrics)
    sets = open_sets(plan, Path(generated), reference)
    if by is not None:
        refuse_useless_column(sets["generated"], by)
    chosen = choose_device(device) if engine == "local" else "cpu"
    networks = {name: build(name, device=chosen) for name in plan.backbones()}
    with ExitStack() as opened:
        cluster = opened.enter_context(open_cluster(engine, list(networks.values()), device, address))
        if plan.needs(jpeg_null.ROLE):
            scratch = Path(opened.enter_context(tempfile.TemporaryDirectory()))
            sets[jpeg_null.ROLE] = jpeg_null.reencode(sets["generated"], scratch, seed)
        extractions = _extract(plan, sets, networks, cluster, max_rejected, progress or _silent)
    environment = describe(chosen) | ({"device": cluster.device_name} if cluster else {})
    extracted = time.perf_counter()
    pairs: dict[str, npt.NDArray[np.int64]] = {
        role: links(sets["generated"], role, extractions["generated"], extractions[role])
        for role in LINKED
        if role in extractions
    }
    if jpeg_null.ROLE in extractions:
        both = extractions["generated"].items, extractions[jpeg_null.ROLE].items
        pairs[jpeg_null.ROLE] = jpeg_null.same_names(*both)
    for network in plan.pair_networks():
        if "source" in extractions:
            compare_pairs(
                build(network, device=chosen),
                extractions["generated"],
                extractions["source"],
                pairs["source"],
                store=Store(),
                progress=functools.partial(progress or _silent, "pairs"),
            )
    roles = Roles(extractions, pairs)
    measured = measure(plan.cards, roles, seed=seed, progress=progress or _silent)
    groups = (
        measure_groups(plan.cards, roles, by, measured.results, seed=seed, progress=progress or _silent)
        if by is not None
        else {}
    )
    placed = feature_map(plan.cards, roles, seed)
    finished = time.perf_counter()
    given = {role: found for role, found in extractions.items() if role != jpeg_null.ROLE}
    run = Run(
        facebench=facebench_version(),
        created=datetime.now(timezone.utc),
        name=name or _model_name(Path(generated)),
        tags=dict(tags or {}),
        protocol=plan.protocol.id,
        suite=plan.suite,
        inputs={role: _input_record(sets[role], extraction) for role, extraction in given.items()},
        backbones=_backbone_records(extractions["generated"]),
        environment=environment,
        seed=seed,
        metrics=measured.results,
        groups=groups,
        timings={"features": round(extracted - started, 3), "metrics": round(finished - extracted, 3)},
        warnings=plan.warnings + _warnings(roles, by),
    )
    curves = measured.curves | {"map": placed.describe() if placed else None}
    mark_unofficial(run)
    table = add_terms(per_image_table(given, placed), plan.cards, roles)
    table = add_closest(table, plan.cards, roles)
    return run.with_per_image(table).with_curves(curves)


def _warnings(roles: Roles, by: str | None) -> list[str]:
    told = (warning for extraction in roles.extractions.values() for warning in extraction.warnings)
    warnings = list(dict.fromkeys(told))  # a store that fails, fails for every role
    if by is not None and (left := without_group(roles, by)):
        warnings.append(f"{left} images have no value in the column '{by}' and are in no group")
    return warnings


def _extract(
    plan: Plan,
    sets: dict[str, ImageSet],
    networks: Mapping[str, Backbone],
    cluster: Cluster | None,
    max_rejected: float,
    progress: Progress,
) -> dict[str, Extraction]:
    """Run every network over the roles that need it; sources first, because edits share their face boxes."""
    finder = FaceFinder()
    store = Store()
    extractions: dict[str, Extraction] = {}
    order = {"generated": 1, jpeg_null.ROLE: 2}
    for role in sorted(sets, key=lambda role: order.get(role, 0)):
        extractions[role] = extract(
            sets[role],
            [networks[name] for name in plan.backbones(role)],
            store=store,
            finder=finder,
            face_source=_given_faces(role, sets["generated"], extractions),
            find_faces=role == "generated" and plan.needs_detector,
            progress=functools.partial(progress, role),
            cluster=cluster,
        )
        _refuse_too_many(role, sets[role], extractions[role], max_rejected)
    return {role: extractions[role] for role in sets}


def _given_faces(
    role: str, generated: ImageSet, extractions: dict[str, Extraction]
) -> dict[str, Face] | None:
    """Faces whose boxes are used instead of the image's own.

    Box crops of an edit are cut where they were cut in its source, and those of a re-encoded image where they were
    cut in the image.
    """
    if role == jpeg_null.ROLE:
        items, faces = extractions["generated"].items, extractions["generated"].faces
        own = {item.name: face for item, face in zip(items, faces, strict=True) if face is not None}
        return own | (_source_faces(generated, extractions) or {})
    return _source_faces(generated, extractions) if role == "generated" else None


def _source_faces(generated: ImageSet, extractions: dict[str, Extraction]) -> dict[str, Face] | None:
    if "source" not in extractions:
        return None
    linked, places = generated.linked("source")
    source = extractions["source"]
    found = {
        item.name: face for item, face in zip(source.items, source.faces, strict=True) if face is not None
    }
    pairs = zip(generated.items, places, strict=True)
    return {
        item.name: found[linked.items[place].name]
        for item, place in pairs
        if place is not None and linked.items[place].name in found
    }


def _refuse_too_many(role: str, images: ImageSet, extraction: Extraction, limit: float) -> None:
    rejected = [file for file in extraction.rejected if file.scope == "all" and file.counts]
    total = len(extraction.items) + len(rejected)
    if not extraction.items:
        first = f" The first: {rejected[0].name}: {rejected[0].reason}." if rejected else ""
        raise InputError(f"None of the {total} files of {images.root} ({role}) can be used.{first}")
    if len(rejected) > limit * total:
        listed = "; ".join(f"{file.name}: {file.reason}" for file in rejected[:5])
        raise InputError(
            f"{len(rejected)} of the {total} files of {images.root} ({role}) cannot be used, more than "
            f"--max-rejected {limit:g} allows: {listed}{' …' if len(rejected) > 5 else ''}"
        )


def _input_record(images: ImageSet, extraction: Extraction) -> InputRecord:
    identities = {item.columns["identity"] for item in extraction.items if item.columns.get("identity")}
    return InputRecord(
        path=str(images.root),
        kind=images.kind,
        digest=extraction.digest,
        images=len(extraction.items),
        faces=sum(face is not None for face in extraction.faces) if extraction.finder is not None else None,
        identities=len(identities) or None,
        rejected=[
            RejectedFile(name=f.name, reason=f.reason, detail=f.detail, scope=f.scope)
            for f in extraction.rejected
        ],
    )


def _backbone_records(extraction: Extraction) -> dict[str, BackboneRecord]:
    """What gave the features; the face detector counts as one of them."""
    networks: dict[str, Backbone | FaceFinder] = {**extraction.backbones}
    if extraction.finder is not None:
        networks[DETECTOR] = extraction.finder
    return {
        name: BackboneRecord(
            weights=network.weights.name,
            sha256=network.weights.sha256,
            licence=network.weights.licence,
            verified=network.weights.verified,
            fingerprint=network.weights.fingerprint,
            unofficial=network.weights.unofficial,
            preprocessing=network.preprocessing,
        )
        for name, network in networks.items()
    }


def _model_name(generated: Path) -> str:
    resolved = generated.resolve()
    return resolved.parent.name if resolved.is_file() else resolved.name


def _silent(stage: str, done: int, total: int) -> None:
    """Progress for nobody."""
