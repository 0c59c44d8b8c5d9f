"""The extraction step: run every network over the roles that need it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass

from facebench.backbones import Backbone, build, detector
from facebench.backbones.face_detection import Face
from facebench.backbones.face_detector import FaceDetector
from facebench.core.environment import choose_device, describe
from facebench.core.errors import InputError
from facebench.core.progress import Progress
from facebench.evaluation.config import EvaluationConfig
from facebench.evaluation.inputs import LINKED
from facebench.evaluation.plan import Plan
from facebench.evaluation.reference_files import Statistics, check_networks, check_widths
from facebench.evaluation.role_features import Links, RoleFeatures, link_rows
from facebench.features.engine.cluster import Cluster, open_cluster
from facebench.features.extraction import Execution, Extraction, FaceOptions
from facebench.features.shared_extraction import extract_where_held
from facebench.features.shares import shares_of
from facebench.features.store.sqlite import Store
from facebench.images.image_set import ImageSet
from facebench.images.jpeg_null import ROLE as REENCODED
from facebench.images.jpeg_null import match_names, reencode


@dataclass(frozen=True)
class ExtractedRoles:
    """Features of all roles, and the environment in which they were computed."""

    features: RoleFeatures
    environment: dict[str, str]


def extract_roles(
    plan: Plan,
    sets: Mapping[str, ImageSet],
    config: EvaluationConfig,
    progress: Progress,
    statistics: Statistics,
) -> ExtractedRoles:
    """Compute or load the features of every role; reference statistics are checked against the networks.

    Raises:
        InputError: a set has no usable image, or too many unusable files.
    """
    device = choose_device(config.device) if config.engine == "local" else "cpu"
    networks = {name: build(name, device=device) for name in plan.backbones()}
    check_networks(statistics, networks, config)
    sets = dict(sets)
    with ExitStack() as stack:
        backbones = list(networks.values())
        cluster = stack.enter_context(
            open_cluster(config.engine, backbones, config.device, config.address, config.detector)
        )
        if plan.needs(REENCODED):
            sets[REENCODED] = reencode(sets["generated"], config.seed)
        extractions = _Extractor(plan, sets, networks, cluster, progress).run(
            detector(config.detector), config.max_rejected
        )
    check_widths(statistics, extractions["generated"], config)
    links = _links(sets["generated"], extractions)
    for network in plan.pair_networks():
        if "source" in extractions:
            from facebench.features.pairs import compare_pairs

            _check_one_process(network, sets["generated"])
            compare_pairs(
                build(network, device=device),
                extractions["generated"],
                extractions["source"],
                links["source"],
                store=Store(),
                progress=progress,
            )
    _compare_texts(plan, extractions["generated"], device)
    environment = describe(device) | ({"device": cluster.device_name} if cluster else {})
    return ExtractedRoles(RoleFeatures(extractions, links, statistics=statistics), environment)


def _check_one_process(network: str, images: ImageSet) -> None:
    """Raise an error if several processes hold the images that a network compares in pairs."""
    if shares_of(images.items) is not None:
        raise InputError(
            f"{network} compares the pixels of two images, which lie in several processes. Evaluate in one process, or "
            "leave out its metrics."
        )


def _compare_texts(plan: Plan, generated: Extraction, device: str) -> None:
    """Compare the generated images with the texts of their manifest."""
    if not plan.text_networks():
        return
    from facebench.backbones.clip_text import build_text
    from facebench.features.texts import compare_texts

    for name in plan.text_networks():
        compare_texts(build_text(name, device=device), generated)


@dataclass(frozen=True)
class _Extractor:
    """Extraction of several roles with shared networks."""

    plan: Plan
    sets: Mapping[str, ImageSet]
    networks: Mapping[str, Backbone]
    cluster: Cluster | None
    progress: Progress

    def run(self, finder: FaceDetector, max_rejected: float) -> dict[str, Extraction]:
        """Extract every role; sources first, because edits share their face boxes."""
        extractions: dict[str, Extraction] = {}
        order = {"generated": 1, REENCODED: 2}
        for role in sorted(self.sets, key=lambda role: order.get(role, 0)):
            extractions[role] = extract_where_held(
                self.sets[role],
                [self.networks[name] for name in self.plan.backbones(role)],
                faces=FaceOptions(
                    finder,
                    _shared_faces(role, self.sets["generated"], extractions) or {},
                    always_detect=role == "generated" and self.plan.needs_detector,
                ),
                execution=Execution(cluster=self.cluster),
                progress=self.progress,
                stage=role,
            )
            if role != REENCODED:  # its images are those of the generated role
                _check_rejected(role, self.sets[role], extractions[role], max_rejected)
        return {role: extractions[role] for role in self.sets}


def _shared_faces(
    role: str, generated: ImageSet, extractions: Mapping[str, Extraction]
) -> dict[str, Face] | None:
    """Return the faces whose boxes replace the boxes detected in the image.

    Box crops of an edit use the box of its source. Box crops of a re-encoded image use the box of the image.
    """
    if role == REENCODED:
        detected = _detected_faces(extractions["generated"])
        return detected | (_source_faces(generated, extractions) or {})
    return _source_faces(generated, extractions) if role == "generated" else None


def _source_faces(generated: ImageSet, extractions: Mapping[str, Extraction]) -> dict[str, Face] | None:
    """Return the face of the source of every generated image that has one."""
    if "source" not in extractions:
        return None
    sources, places = generated.linked("source")
    face_of = _detected_faces(extractions["source"])
    pairs = zip(generated.items, places, strict=True)
    return {
        item.name: face_of[sources.items[place].name]
        for item, place in pairs
        if place is not None and sources.items[place].name in face_of
    }


def _detected_faces(extraction: Extraction) -> dict[str, Face]:
    pairs = zip(extraction.items, extraction.faces, strict=True)
    return {item.name: face for item, face in pairs if face is not None}


def _links(generated: ImageSet, extractions: Mapping[str, Extraction]) -> dict[str, Links]:
    """Return, by linked role, the row of the partner of every generated image."""
    links = {
        role: link_rows(generated, role, extractions["generated"], extractions[role])
        for role in LINKED
        if role in extractions
    }
    if REENCODED in extractions:
        links[REENCODED] = match_names(extractions["generated"].items, extractions[REENCODED].items)
    return links


def _check_rejected(role: str, images: ImageSet, extraction: Extraction, limit: float) -> None:
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
