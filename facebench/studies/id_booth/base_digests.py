"""Digests of the tensors of the base models of a study, as recorded beside their prior images."""

from __future__ import annotations

from pathlib import Path

from facebench.core.json_files import read_json
from facebench.studies.id_booth.bases import BaseModel
from facebench.training.data.prior_provenance import NAME


def base_digests(out: Path, base: BaseModel) -> dict[str, str]:
    """Return the digests of a base model by network; empty before its prior images are drawn."""
    file = out / "prior" / base.name / NAME
    content = read_json(file) if file.is_file() else {}
    if not isinstance(content, dict):
        return {}
    return {str(network): str(digest) for network, digest in content.items() if network != "base"}
