"""Inputs of the ID-Booth study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from facebench.core.errors import InputError
from facebench.core.suggest import suggest
from facebench.studies.id_booth.bases import BaseModel, read_bases
from facebench.studies.id_booth.people import Person, read_people
from facebench.studies.id_booth.settings import LOSSES, StudySettings


@dataclass(frozen=True)
class Request:
    """Inputs of the study.

    Attributes:
        people: the people.
        root: folder of the people.
        bases: base models.
        losses: losses in the order in which the released script runs its models.
        references: real sets by name.
        settings: all settings.
        recogniser: recogniser of the identity losses.
        benchmarks: folder of verification benchmarks; None leaves out table 3.
    """

    people: list[Person]
    root: Path
    bases: list[BaseModel]
    losses: tuple[str, ...]
    references: Mapping[str, Path]
    settings: StudySettings
    recogniser: Path | None = None
    benchmarks: Path | None = None

    @classmethod
    def read(
        cls,
        people: Path,
        bases: list[str],
        losses: tuple[str, ...],
        references: Mapping[str, Path],
        settings: StudySettings,
        networks: Networks,
    ) -> Request:
        """Check the inputs.

        Raises:
            InputError: a loss is unknown or has no recogniser, or the people or base models are unusable.
        """
        for loss in losses:
            if loss not in LOSSES:
                raise InputError(f"'{loss}' is not a loss. {suggest(loss, LOSSES)}")
        if not losses or not bases or not references:
            raise InputError("The study needs at least one --base, one loss and one --reference NAME=DIR.")
        if networks.recogniser is None and set(losses) - {"dreambooth"}:
            raise InputError(
                "portraitbooth and id-booth need --recogniser: weights of ArcFace iresnet100 (as released), or a model "
                "of `facebench train recognition`."
            )
        return cls(
            read_people(people),
            people.absolute(),
            read_bases(bases),
            losses,
            {name: path.absolute() for name, path in references.items()},
            settings,
            None if networks.recogniser is None else networks.recogniser.absolute(),
            None if networks.benchmarks is None else networks.benchmarks.absolute(),
        )


@dataclass(frozen=True)
class Networks:
    """Files that the study needs besides photographs and base models."""

    recogniser: Path | None = field(default=None)
    benchmarks: Path | None = field(default=None)
