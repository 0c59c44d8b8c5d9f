"""Networks that compare two images, such as LPIPS: each generated image with its source."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from facebench.backbones import Backbone
from facebench.core.progress import Progress, no_progress
from facebench.features.engine.batches import Batcher, Rows
from facebench.features.engine.cache import Cache, address_of, network_of
from facebench.features.engine.preparation import prefetch
from facebench.features.engine.table import FeatureTable
from facebench.features.extraction import Extraction
from facebench.features.store.sqlite import Store
from facebench.images.image_set import ImageError, Item, decode, read

BATCH_SIZE = 8
_PREPARATION_THREADS = 2


@dataclass(frozen=True)
class _Pair:
    """A generated image and its source."""

    row: int
    items: tuple[Item, Item]
    sha256: tuple[str, str]

    @property
    def address(self) -> bytes:
        """Store address: both contents, the generated image first."""
        return address_of("".join(self.sha256))


def compare_pairs(
    backbone: Backbone,
    generated: Extraction,
    source: Extraction,
    partner: npt.NDArray[np.int64],
    *,
    store: Store | None,
    progress: Progress = no_progress,
) -> None:
    """Run a pair network on all matched pairs and add its arrays to the generated extraction.

    Images without a source have no result. Known results come from the store.

    Args:
        backbone: embeds (n, 2, 3, height, width), the generated image first.
        generated: receives arrays, mask of valid rows, backbone and warnings.
        source: extraction of the sources.
        partner: (n,) row of the source of each generated image, or -1.
        store: previous and new results; None disables storage.
        progress: called with "pairs", the number of finished pairs, and the total.
    """
    pairs = [
        _Pair(
            row,
            (generated.items[row], source.items[partner[row]]),
            (generated.sha256[row], source.sha256[partner[row]]),
        )
        for row in np.flatnonzero(partner >= 0).tolist()
    ]
    table, cache = FeatureTable(backbone.arrays, len(generated.items)), Cache(store)
    try:
        for done, (pair, result) in enumerate(_results(backbone, pairs, cache), start=1):
            error = result if isinstance(result, str) else _set_row(table, pair.row, result)
            if error is not None:
                generated.warnings.append(f"{pair.items[0].name}: not compared by {backbone.name}: {error}.")
            progress("pairs", done, len(pairs))
    finally:
        cache.flush()
    arrays, valid = table.finish(np.arange(len(generated.items)))
    generated.arrays[backbone.name], generated.valid[backbone.name] = arrays, valid
    generated.backbones[backbone.name] = backbone
    generated.warnings += cache.warnings()


def _set_row(table: FeatureTable, row: int, values: Rows) -> str | None:
    array = table.set(row, values)
    return None if array is None else f"the array '{array}' is not finite"


def _results(backbone: Backbone, pairs: Sequence[_Pair], cache: Cache) -> Iterator[tuple[_Pair, Rows | str]]:
    """Yield each pair with its result, or with the reason why there is none."""
    network = network_of(backbone)
    known = cache.get(network, [pair.address for pair in pairs])
    yield from ((pair, known[pair.address]) for pair in pairs if pair.address in known)
    batcher = Batcher[_Pair](backbone, BATCH_SIZE)
    missing = [pair for pair in pairs if pair.address not in known]
    with ThreadPoolExecutor(_PREPARATION_THREADS) as pool:
        for pair, prepared in prefetch(pool, partial(_prepare, backbone), missing, 2 * BATCH_SIZE):
            if isinstance(prepared, str):
                yield pair, prepared
                continue
            yield from _stored(batcher.add(pair, prepared), backbone, cache)
        yield from _stored(batcher.flush(), backbone, cache)


def _stored(
    results: Sequence[tuple[_Pair, Rows]], backbone: Backbone, cache: Cache
) -> Sequence[tuple[_Pair, Rows]]:
    """Write results to the store and return them."""
    for pair, rows in results:
        cache.put(network_of(backbone), pair.address, rows)
    cache.flush()
    return results


def _prepare(backbone: Backbone, pair: _Pair) -> tuple[_Pair, Tensor | str]:
    """Return the preprocessed pair, or the reason why a file cannot be used."""
    inputs = []
    for item, sha256 in zip(pair.items, pair.sha256, strict=True):
        try:
            data = read(item)
            if hashlib.sha256(data).hexdigest() != sha256:
                return pair, f"{item.name} changed during the run"
            inputs.append(backbone.preprocess(decode(data, item.name)))
        except ImageError as error:
            return pair, f"{item.name}: {error.detail or error.reason}"
    return pair, torch.stack(inputs)
