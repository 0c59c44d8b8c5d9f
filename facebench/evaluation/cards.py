"""Metric cards: definition, function and features of each metric, and the limits of its use.

The card of a metric is in `metrics/NAME.yaml`, where NAME is the longest file name that its id begins with:
`eer_sface_real` is in `eer.yaml`, and `fid_clean` in `fid.yaml`.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from facebench.backbones.domains import Domain, domain_of
from facebench.backbones.own_networks import own_networks
from facebench.backbones.text_networks import IMAGES, TEXT_NETWORKS
from facebench.core.errors import InputError
from facebench.core.shipped_data import data_folder
from facebench.core.suggest import suggest
from facebench.evaluation.yaml_files import AddedNetwork, load_folder
from facebench.metrics.registry import Sample, metric_function

Need = Literal[
    "reference", "held_out", "identities", "source", "target", "reconstruction", "reencoded", "truth"
]
IntervalMethod = Literal["jackknife", "bootstrap_images", "bootstrap_identities", "none"]
Damage = Literal[
    "blur",
    "jpeg",
    "noise",
    "occlusion",
    "darkness",
    "identity_drift",
    "expression_strength",
    "mode_collapse",
    "copying",
]
Response = Literal["worse", "better", "rises", "falls", "stays"]
OverFrames = Literal[
    "ccc", "pearson", "drift", "consistency", "missing", "jitter", "head_motion", "head_motion_score"
]
"""Number of a clip, from its frames."""

DETECTOR = "yunet"
"""Stands for the face detector of the run in metric cards, whichever `EvaluationConfig.detector` selects.

It has arrays like a backbone, but the extraction runs it once for all face networks."""
_REQUIRED_NEEDS: dict[Sample, set[Need]] = {
    "set": set(),
    "two_sets": {"reference"},
    "pairs_of_images": {"source", "target", "reconstruction", "reencoded", "truth"},
    "verification": {"identities"},
    "leakage": {"reference"},
    "membership": {"held_out"},
    "retrieval": {"identities"},
    "edits": {"source"},
    "edit_series": {"source"},
    "edit_trade_off": {"source"},
    "verified_edits": {"source"},
}
"""Roles that each kind of sample requires; one of them is enough."""


class Reads(BaseModel):
    """Input of a metric: one array of one backbone, or several arrays concatenated."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    backbone: str
    array: str | tuple[str, ...]
    normalise: bool = False
    """Whether every row is divided by its L2 norm."""


class Card(BaseModel):
    """One metric: its definition, function and features, and the limits of its use.

    `needs` decides how the function of `facebench.metrics` is called:

    | needs | called with |
    |---|---|
    | nothing | the generated rows |
    | reference | generated rows, reference rows |
    | reference, held_out | generated rows, rows of the training set, rows of images that were not trained on |
    | identities | genuine and impostor scores of all pairs among the generated rows |
    | identities, reference | genuine and impostor scores of all generated × reference pairs |
    | source | generated rows, source rows, matched by the manifest |
    | source, and a pair network is read | one row for each pair |
    | target | generated rows, target rows, matched by the manifest |
    | reconstruction | generated rows, rows of the model's unedited reconstructions |
    | reencoded | generated rows, rows of the same images re-encoded as JPEG |
    | two linked roles | rows of the first role, rows of the second role |
    | truth | generated rows, the manifest column with the name of the array |
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[a-z0-9_]+$")
    title: str
    better: Literal["higher", "lower", "neither"]
    unit: str = ""
    range: tuple[float | None, float | None] = (None, None)
    decimals: int = Field(default=3, ge=0, le=8)
    share: bool = False
    """Whether the value is a share of images, between 0 and the upper end of `range`."""
    compute: str
    params: dict[str, Any] = {}
    field: str | None = None
    reads: Reads
    identity_by: str | None = None
    """Recogniser whose cosine of edit and source the function takes as well; only for metrics of edits."""
    false_match_rate: float | None = Field(default=None, gt=0, lt=1)
    """Rate of the threshold from which an edit and its source count as one person; only for metrics of edits."""
    over_frames: OverFrames | None = None
    """Number of each clip, from its frames (`facebench.evaluation.clips`); the function takes one row for each clip."""
    needs: tuple[Need, ...] = ()
    smallest_n: int = Field(default=2, ge=1)
    reliable_n: int = Field(default=2, ge=1)
    depends_on_n: bool = False
    """Whether the value depends on the number of images; only runs of equal size are then ranked together."""
    interval: IntervalMethod = "none"
    source: str
    about: str
    formula: str = ""
    pitfalls: tuple[str, ...] = ()
    claims: dict[Damage, Response] = {}
    """Response of the value to increasing damage of the generated faces; `facebench validate` tests it."""

    @model_validator(mode="after")
    def _worse_has_a_meaning(self) -> Card:
        if self.better == "neither" and {"worse", "better"} & set(self.claims.values()):
            raise ValueError("claims: a metric without a better direction rises, falls or stays")
        return self

    @model_validator(mode="after")
    def _sizes_are_ordered(self) -> Card:
        if self.reliable_n < self.smallest_n:
            raise ValueError("reliable_n: must not be below smallest_n")
        return self

    @model_validator(mode="after")
    def _needs_match_the_function(self) -> Card:
        required = _REQUIRED_NEEDS[metric_function(self.compute).sample]
        if required and not required & set(self.needs):
            raise ValueError(f"needs: {self.compute} needs {' or '.join(sorted(required))}")
        return self

    @property
    def backbones(self) -> tuple[str, ...]:
        """Networks whose outputs the metric reads."""
        read = IMAGES if self.reads.backbone in TEXT_NETWORKS else self.reads.backbone
        return (read,) if self.identity_by is None else (read, self.identity_by)

    @property
    def domain(self) -> Domain:
        """Kind of face images that the network of the metric reads."""
        return domain_of(self.reads.backbone)

    @property
    def arrow(self) -> str:
        """Direction in which the value improves: ↑, ↓, or empty."""
        return {"higher": "↑", "lower": "↓", "neither": ""}[self.better]


def added_networks() -> tuple[AddedNetwork, ...]:
    """Return the networks of the user, as families of cards need them."""
    return tuple(
        AddedNetwork(
            name=name,
            title=network.spec.title or name,
            source=network.spec.source or "a network added by the user",
            arrays=frozenset(network.arrays),
            threshold=network.spec.threshold,
            rate=network.spec.rate,
        )
        for name, network in own_networks().items()
    )


def load_cards() -> dict[str, Card]:
    """Return all metric cards by id, in the order of their files; with those of networks that the user added.

    Raises:
        InputError: a file is invalid, or an id is used twice.
    """
    return _cards(added_networks())


@cache
def _cards(added: tuple[AddedNetwork, ...]) -> dict[str, Card]:
    return {card.id: card for card in load_folder("metrics", Card, added)}


def find_card(metric: str) -> Card:
    """Return the card of one metric.

    Raises:
        InputError: no metric has this id; the message names close matches.

    Example:
        >>> find_card("fid_clean").better
        'lower'
    """
    cards = load_cards()
    if metric not in cards:
        raise InputError(f"'{metric}' is not a metric. {suggest(metric, cards)}")
    return cards[metric]


def card_file(metric: str) -> Path:
    """Return the YAML file with the card of a metric.

    Raises:
        InputError: the id does not begin with the name of a file.

    Example:
        >>> card_file("eer_sface_real").name
        'eer.yaml'
    """
    return data_folder("metrics") / f"{card_family(metric)}.yaml"


def card_family(metric: str) -> str:
    """Return the family of a metric: the longest name of a card file that its id begins with."""
    names = _names_of_files(data_folder("metrics"))
    families = [name for name in names if metric == name or metric.startswith(f"{name}_")]
    if not families:
        raise InputError(f"No file of metric cards belongs to '{metric}'. {suggest(metric, names)}")
    return max(families, key=len)


@cache
def _names_of_files(folder: Path) -> tuple[str, ...]:
    return tuple(file.stem for file in folder.glob("*.yaml"))


def card_families() -> dict[str, list[Card]]:
    """Return the cards by family, the name of their file."""
    families: dict[str, list[Card]] = {}
    for card in load_cards().values():
        families.setdefault(card_family(card.id), []).append(card)
    return families
