"""Base models of the study: their kind and their names in the tables, without loading weights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from facebench.core.errors import InputError
from facebench.core.files import safe_file_name
from facebench.core.json_files import read_json
from facebench.training.models.base_mirrors import mirrors_of

KINDS: dict[str, tuple[Literal["sd", "sdxl"], str]] = {
    "StableDiffusionPipeline": ("sd", "SD-2.1"),
    "StableDiffusionXLPipeline": ("sdxl", "SD-XL"),
}
"""Kind and name in the published tables by class of the pipeline."""


@dataclass(frozen=True)
class BaseModel:
    """A base model of the study.

    Attributes:
        path: folder or name in the local hub cache.
        kind: "sd" or "sdxl".
        label: name in the tables.
        problem: why it cannot be used; empty if it can.
    """

    path: str
    kind: Literal["sd", "sdxl"]
    label: str
    problem: str = ""

    @property
    def name(self) -> str:
        """Name of its folders."""
        return safe_file_name(self.label)


def read_bases(paths: Sequence[str]) -> list[BaseModel]:
    """Read the kinds of base models.

    Args:
        paths: folders or names in the local hub cache, also as LABEL=PATH.

    Raises:
        InputError: two base models have the same label.
    """
    bases = [_read(text) for text in paths]
    twice = [label for label, count in Counter(base.label for base in bases).items() if count > 1]
    if twice:
        raise InputError(
            f"Two base models are called '{twice[0]}' in the tables. Give them labels: --base LABEL=PATH."
        )
    return bases


def _read(text: str) -> BaseModel:
    label, equals, path = text.partition("=")
    label, path = (label, path) if equals and "/" not in label else ("", text)
    file = _index_file(path)
    if file is None:
        problem = f"{path} is not on this machine as a diffusers model{mirrors_of(path)}"
        kind: Literal["sd", "sdxl"] = "sdxl" if "xl" in Path(path).name else "sd"
        return BaseModel(path, kind, label or ("SD-XL" if kind == "sdxl" else "SD-2.1"), problem)
    content = read_json(file)
    pipeline = str(content.get("_class_name")) if isinstance(content, dict) else ""
    if pipeline not in KINDS:
        problem = f"{path} is a {pipeline or 'model of an unknown kind'}. Use Stable Diffusion or SDXL."
        return BaseModel(path, "sd", label or Path(path).name, problem)
    kind, name = KINDS[pipeline]
    return BaseModel(str(Path(path).absolute()) if Path(path).is_dir() else path, kind, label or name)


def _index_file(path: str) -> Path | None:
    """Return the model_index.json of a folder, or of a model in the local hub cache."""
    file = Path(path) / "model_index.json"
    if file.is_file():
        return file
    try:
        from huggingface_hub import try_to_load_from_cache

        cached = try_to_load_from_cache(path, "model_index.json")
    except (ImportError, ValueError):
        return None
    return Path(cached) if isinstance(cached, str) else None
