"""Entries of the record for the image sets and networks of a run."""

from __future__ import annotations

from facebench.backbones import Backbone
from facebench.backbones.face_detector import FaceDetector
from facebench.evaluation.domain import SetDomain
from facebench.evaluation.input_sanity import SetProperties
from facebench.evaluation.record import BackboneRecord, InputRecord, RejectedFile
from facebench.features.extraction import Extraction
from facebench.images.image_set import ImageSet


def input_record(
    images: ImageSet, extraction: Extraction, domain: SetDomain | None, properties: SetProperties
) -> InputRecord:
    """Return the entry of one role: path, digest, counts, and rejected files."""
    identities = {item.columns["identity"] for item in extraction.items if item.columns.get("identity")}
    return InputRecord(
        path=str(images.root),
        kind=images.kind,
        digest=extraction.digest,
        images=len(extraction.items),
        faces=sum(face is not None for face in extraction.faces) if extraction.finder is not None else None,
        identities=len(identities) or None,
        domain=domain.domain if domain else None,
        domain_source=domain.source if domain else "",
        framing=properties.framing,
        resolution=properties.resolution,
        sharpness=properties.sharpness,
        jpeg_quality=properties.jpeg_quality,
        grey_share=properties.grey,
        rejected=[
            RejectedFile(name=file.name, reason=file.reason, detail=file.detail, scope=file.scope)
            for file in extraction.rejected
        ],
    )


def backbone_records(extraction: Extraction) -> dict[str, BackboneRecord]:
    """Return the entries of all networks; the face detector is one of them."""
    networks: dict[str, Backbone | FaceDetector] = {**extraction.backbones}
    if extraction.finder is not None:
        networks[extraction.finder.name] = extraction.finder
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
