"""Evaluate a set of generated faces in four steps: plan, extract, estimate, assemble."""

from __future__ import annotations

import inspect
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any

from facebench.backbones import detector
from facebench.core.environment import facebench_version
from facebench.core.progress import Progress, no_progress
from facebench.evaluation.affect_accuracy import agreements, confusions, scale_warnings
from facebench.evaluation.appearance_groups import add_groups, groups_by_appearance, with_appearance
from facebench.evaluation.breakdown import check_column, count_ungrouped, estimate_groups
from facebench.evaluation.cards import DETECTOR
from facebench.evaluation.clips import has_clips
from facebench.evaluation.config import EvaluationConfig
from facebench.evaluation.curves import FeatureMap, feature_map
from facebench.evaluation.domain import SetDomain, domain_warnings, find_domains, mark_domains
from facebench.evaluation.duplicates import duplicate_warnings
from facebench.evaluation.edits import add_edit_columns
from facebench.evaluation.estimate import Estimates, estimate_metrics
from facebench.evaluation.extract_roles import ExtractedRoles, extract_roles
from facebench.evaluation.identity_folders import check_people
from facebench.evaluation.input_records import backbone_records, input_record
from facebench.evaluation.input_sanity import SetProperties, properties_of, refuse_if_strict, sanity_warnings
from facebench.evaluation.inputs import open_sets, split_inputs
from facebench.evaluation.leakage import add_closest
from facebench.evaluation.leave_out import leave_out_table
from facebench.evaluation.per_image import add_pair_terms, per_image_table
from facebench.evaluation.picked import picked_tag
from facebench.evaluation.plan import Plan, make_plan
from facebench.evaluation.real_scale import add_scales
from facebench.evaluation.record import GroupResult, Run
from facebench.evaluation.reference_files import (
    Statistics,
    open_statistics,
    plan_with_statistics,
    statistics_records,
    statistics_warnings,
)
from facebench.evaluation.unmatched import unmatched_warnings
from facebench.evaluation.unofficial_weights import mark_unofficial
from facebench.features.store.sqlite import Store
from facebench.images.image_set import ImageSet
from facebench.images.jpeg_null import ROLE as REENCODED
from facebench.images.sources.memory import UNIT_RANGE, Range


def evaluate(
    generated: Any,
    reference: Any = None,
    *,
    progress: Progress | None = None,
    n: int | None = None,
    columns: Mapping[str, Sequence[Any]] | None = None,
    value_range: Range = UNIT_RANGE,
    **options: Any,
) -> Run:
    """Evaluate generated faces by a protocol and return the run record.

    Args:
        generated: a flat folder, a folder with one sub-folder for each identity, a manifest (CSV or Parquet), or an
            `EvaluationConfig` that holds all options. Archives (ZIP, TAR, NPZ, Parquet), LMDB databases, saved datasets
            and videos are read without unpacking. A list of paths names single files.
            Images in memory: an array (n, h, w, 3), a tensor (n, 3, h, w), an iterable of images or of (image,
            columns), or a callable that returns as many images as it is asked for.
        reference: real faces in the same forms, or an NPZ file of reference statistics (`facebench stats`). Several
            sets are a mapping from name to folder; their metrics have ids such as `fid_clean@FFHQ`. Without a
            reference, metrics that need one have no value.
        progress: callback invoked with the stage, the number of images done, and the total.
        n: number of images of a callable or an iterable.
        columns: columns of images in memory, with one value for each image.
        value_range: range of the values of float images in memory.
        options: further fields of `EvaluationConfig`, such as `protocol="identity"` or `suite="compact"`.

    Returns:
        The record: every number with its interval and n, and the images, networks and options used. No file is
        written; `run.save(folder)` writes the record.

    Raises:
        InputError: an option is wrong, or an input is missing or unusable.
        WeightsError: weights of the selected suite are missing.

    Example:
        >>> import facebench
        >>> run = facebench.evaluate("samples", reference="photographs")  # doctest: +SKIP
        >>> run.metrics["fd_lite0"].value  # doctest: +SKIP
        1.87
    """
    if isinstance(generated, EvaluationConfig):
        return run_evaluation(generated, progress or no_progress)
    EvaluationConfig.build(generated="", **options)  # before images are made
    given = split_inputs(generated, reference, n=n, columns=columns, value_range=value_range)
    config = EvaluationConfig.build(**given.paths, **options)
    return run_evaluation(config, progress or no_progress, given.sets)


def run_evaluation(
    config: EvaluationConfig,
    progress: Progress = no_progress,
    given: Mapping[str, ImageSet] | None = None,
) -> Run:
    """Evaluate as configured: plan, extract, estimate, assemble; `given` holds the image sets in memory by role."""
    clock = _Clock()
    planned = _plan(config, given)
    plan, sets = planned.plan, planned.sets
    extracted = extract_roles(plan, sets, config, progress, planned.statistics)
    if config.by is not None and groups_by_appearance(sets["generated"], config.by):
        extracted = replace(extracted, features=add_groups(extracted.features, config.by))
    measured = _measure(planned, extracted, config)
    if config.strict:
        refuse_if_strict(measured.warnings)
    clock.stop("features")
    estimated = _estimate(plan, extracted, config, progress)
    clock.stop("metrics")
    return _assemble(measured, extracted, estimated, config).model_copy(update={"timings": clock.seconds})


@dataclass(frozen=True)
class _Planned:
    """What is measured: metrics, image sets, their domains, and reference statistics."""

    plan: Plan
    sets: Mapping[str, ImageSet]
    domains: Mapping[str, SetDomain]
    statistics: Statistics


def _plan(config: EvaluationConfig, given: Mapping[str, ImageSet] | None) -> _Planned:
    """Select the metrics and open the image sets; invalid input is reported before any network runs."""
    statistics = open_statistics(config)
    plan = plan_with_statistics(make_plan(config.protocol, config.suite, config.metrics), statistics, config)
    sets = open_sets(plan, config, given)
    picked_tag(sets["generated"])
    if has_clips(sets["generated"]):
        plan = plan.with_clips()
    if config.metrics is None:
        check_people(plan.protocol, sets["generated"])
    if config.by is not None and groups_by_appearance(sets["generated"], config.by):
        plan = with_appearance(plan, config.by)
    elif config.by is not None:
        check_column(sets["generated"], config.by)
    domains = find_domains(sets, config) if plan.needs_faces else {}
    if "generated" in domains:
        plan = plan.for_domain(domains["generated"].domain)
    return _Planned(plan, sets, domains, statistics)


@dataclass(frozen=True)
class _Inputs:
    """What is measured, and the properties of every image set."""

    planned: _Planned
    properties: Mapping[str, SetProperties]
    warnings: list[str]
    """Differences between the sets that distort a comparison."""


def _measure(planned: _Planned, extracted: ExtractedRoles, config: EvaluationConfig) -> _Inputs:
    """Measure the properties of every set and compare the sets, before any metric."""
    extractions = {role: each for role, each in extracted.features.extractions.items() if role != REENCODED}
    finder = detector(config.detector)
    properties = {role: properties_of(each, finder, Store()) for role, each in extractions.items()}
    warnings = sanity_warnings(properties, {role: str(planned.sets[role].root) for role in extractions})
    warnings += domain_warnings(planned.domains) + duplicate_warnings(extracted.features.extractions)
    warnings += statistics_warnings(planned.statistics, config)
    return _Inputs(planned, properties, warnings)


@dataclass(frozen=True)
class _Estimated:
    """Results over all images and by group, and the coordinates of images in the feature map."""

    metrics: Estimates
    groups: dict[str, dict[str, GroupResult]]
    map: FeatureMap | None


def _estimate(
    plan: Plan, extracted: ExtractedRoles, config: EvaluationConfig, progress: Progress
) -> _Estimated:
    """Compute every metric, over all images and by group."""
    features, seed = replace(extracted.features, unit=config.unit), config.seed
    metrics = estimate_metrics(plan.cards, features, seed=seed, progress=progress)
    add_scales(metrics.results, plan.cards, features, seed=seed, store=Store())
    groups: dict[str, dict[str, GroupResult]] = {}
    if config.by is not None:
        groups = estimate_groups(
            plan.cards, features, config.by, metrics.results, seed=seed, progress=progress
        )
    return _Estimated(metrics, groups, feature_map(plan.cards, features, seed))


def _assemble(
    measured: _Inputs, extracted: ExtractedRoles, estimated: _Estimated, config: EvaluationConfig
) -> Run:
    """Write the run record with its per-image table and the data of its plots."""
    plan, sets, domains = measured.planned.plan, measured.planned.sets, measured.planned.domains
    features = extracted.features
    inputs = {role: each for role, each in features.extractions.items() if role != REENCODED}
    run = Run(
        facebench=facebench_version(),
        created=datetime.now(timezone.utc),
        name=config.model_name,
        tags=config.tags | picked_tag(sets["generated"]),
        protocol=plan.protocol.id,
        suite=plan.suite,
        config=config,
        inputs={
            role: input_record(sets[role], extraction, domains.get(role), measured.properties[role])
            for role, extraction in inputs.items()
        }
        | statistics_records(measured.planned.statistics, config),
        backbones=backbone_records(features.extractions["generated"]),
        environment=extracted.environment,
        seed=config.seed,
        metrics=plan.with_absent(estimated.metrics.results),
        choices=plan.choices,
        confusions=confusions(plan.cards, features, config.seed),
        network_agreement=agreements(plan.cards, features, config.seed),
        groups=estimated.groups,
        warnings=plan.warnings + _warnings(plan, extracted, config) + measured.warnings,
    )
    for result in run.metrics.values():
        if result.backbone == DETECTOR:
            result.backbone = config.detector
    mark_domains(run)
    mark_unofficial(run)
    table = add_pair_terms(per_image_table(inputs, estimated.map), plan.cards, features)
    table = add_closest(table, plan.cards, features)
    table = add_edit_columns(table, plan.cards, features)
    map_record = estimated.map.describe() if estimated.map else None
    run.with_per_image(table).with_leave_out(leave_out_table(estimated.metrics.leave_out))
    return run.with_curves(estimated.metrics.curves | {"map": map_record})


def _warnings(plan: Plan, extracted: ExtractedRoles, config: EvaluationConfig) -> list[str]:
    extractions = extracted.features.extractions.values()
    # A failure of the store affects every role.
    warnings = list(dict.fromkeys(warning for each in extractions for warning in each.warnings))
    if config.by is not None and (count := count_ungrouped(extracted.features, config.by)):
        warnings.append(f"{count} images have no value in the column '{config.by}' and are in no group")
    return warnings + scale_warnings(extracted.features) + unmatched_warnings(plan.cards, extracted.features)


class _Clock:
    """Duration of each step in seconds."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._started = time.perf_counter()

    def stop(self, step: str) -> None:
        """Record the seconds since the last step."""
        now = time.perf_counter()
        self.seconds[step] = round(now - self._started, 3)
        self._started = now


def _signature() -> inspect.Signature:
    """Return the signature of `evaluate` with every option, for help() and editors."""
    declared = inspect.signature(evaluate)
    positional = [declared.parameters[name] for name in ("generated", "reference")]
    options = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=field.annotation
        )
        for name, field in EvaluationConfig.model_fields.items()
        if name not in ("generated", "reference")
    ]
    own = [declared.parameters[name] for name in ("n", "columns", "value_range", "progress")]
    return declared.replace(parameters=[*positional, *options, *own])


evaluate.__signature__ = _signature()  # type: ignore[attr-defined]
