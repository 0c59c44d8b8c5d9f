"""Tracks of valence and arousal over the frames of clips, of generated images and their targets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from facebench.evaluation.clips import CLIP, FRAME
from facebench.evaluation.per_image import linked_column
from facebench.evaluation.record import Run
from facebench.report.plots import svg
from facebench.report.plots.curves import Plot

MAX_CLIPS = 4
"""Number of clips with a plot."""
_SIZE = (3.7, 2.2)


def track_plots(runs: Sequence[Run], text: dict[str, Any], prefix: str) -> list[Plot]:
    """Draw valence and arousal over time for the first clips, for every affect network."""
    tables = [_frames(run) for run in runs]
    columns = dict.fromkeys(str(column) for table in tables if table is not None for column in table.columns)
    networks = [name.partition(":")[2] for name in columns if name.startswith("valence:")]
    clips = sorted({str(clip) for table in tables if table is not None for clip in table[CLIP]})[:MAX_CLIPS]
    return [
        _plot(tables, (network, clip), text, f"{prefix}-{network}-track{place}")
        for network in networks
        if f"arousal:{network}" in columns
        for place, clip in enumerate(clips)
    ]


def _frames(run: Run) -> pd.DataFrame | None:
    """Return frame, clip, valence and arousal of each generated image, and of its target; None without frames."""
    table = run.per_image
    if table is None or FRAME not in table:
        return None
    generated = table[table["role"] == "generated"].set_index("image")
    label = next((name for name in (CLIP, "source") if name in generated), None)
    frames = pd.DataFrame({FRAME: pd.to_numeric(generated[FRAME], errors="coerce")})
    frames[CLIP] = "clip" if label is None else generated[label].fillna("")
    for column in (str(name) for name in generated.columns if str(name).startswith(("valence:", "arousal:"))):
        frames[column] = generated[column]
        target = linked_column(table, column, "target")
        frames[f"target {column}"] = np.nan if target is None else target
    return frames.dropna(subset=[FRAME]).sort_values(FRAME, kind="stable")


def _plot(
    tables: Sequence[pd.DataFrame | None], shown: tuple[str, str], text: dict[str, Any], name: str
) -> Plot:
    network, clip = shown
    title = text["tracks"].format(backbone=network)
    present: list[int] = []
    with svg.drawing(name, panels=2, size=_SIZE) as (figure, axes):
        for ax, dimension in zip(axes, ("valence", "arousal"), strict=True):
            ax.set_ylim(-1.05, 1.05)
            ax.set_ylabel(text[dimension])
            for index, table in enumerate(tables):
                rows = None if table is None else table[table[CLIP] == clip]
                if rows is None or rows.empty or f"{dimension}:{network}" not in rows:
                    continue
                target, generated = rows[f"target {dimension}:{network}"], rows[f"{dimension}:{network}"]
                ax.plot(rows[FRAME], target.astype(float), color=svg.REFERENCE, linewidth=1.0)
                ax.plot(rows[FRAME], generated.astype(float), color=svg.run_colour(index))
                present.append(index)
        axes[-1].set_xlabel(text["frame"])
    picture = svg.inline(figure, name, title)
    return Plot(title, picture, text["tracks_note"].format(clip=clip), tuple(dict.fromkeys(present)))
