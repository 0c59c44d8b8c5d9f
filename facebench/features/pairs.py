"""Networks that compare two images: every generated image is shown to them together with its source."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from facebench.backbones import Backbone
from facebench.features.engine.batches import Batcher, Rows
from facebench.features.engine.cache import Cache, address_of, network_of
from facebench.features.engine.preparation import ahead
from facebench.features.engine.table import Table
from facebench.features.extraction import Extraction
from facebench.features.store.sqlite import Store
from facebench.images.image_set import ImageError, Item, decode, read

BATCH = 8


@dataclass(frozen=True)
class _Pair:
    """One generated image and its source, known by their contents."""

    row: int
    items: tuple[Item, Item]
    sha256: tuple[str, str]

    @property
    def address(self) -> bytes:
        """Where the store keeps the answer: both contents, the generated one first."""
        return address_of("".join(self.sha256))


def compare_pairs(
    backbone: Backbone,
    generated: Extraction,
    source: Extraction,
    partner: npt.NDArray[np.int64],
    *,
    store: Store | None,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Run a pair network over all matched pairs and add its arrays to the generated extraction.

    Images without a source have no result. Known answers come from the store.

    Args:
        backbone: embeds (n, 2, 3, height, width), the generated image first.
        generated: gets arrays, valid rows, the backbone and warnings.
        source: what was edited.
        partner: for every generated item the row of its source, or -1.
        store: None keeps nothing.
        progress: called with the number of finished pairs and of all.
    """
    pairs = [
        _Pair(
            row,
            (generated.items[row], source.items[partner[row]]),
            (generated.sha256[row], source.sha256[partner[row]]),
        )
        for row in np.flatnonzero(partner >= 0).tolist()
    ]
    table, cache = Table(backbone.arrays, len(generated.items)), Cache(store)
    try:
        for done, (pair, answer) in enumerate(_answers(backbone, pairs, cache), start=1):
            culprit = answer if isinstance(answer, str) else table.set(pair.row, answer)
            if culprit is not None:
                why = culprit if isinstance(answer, str) else f"{culprit} is not finite"
                generated.warnings.append(f"{pair.items[0].name}: not compared by {backbone.name}: {why}.")
            if progress is not None:
                progress(done, len(pairs))
    finally:
        cache.flush()
    arrays, valid = table.finish(np.arange(len(generated.items)))
    generated.arrays[backbone.name], generated.valid[backbone.name] = arrays, valid
    generated.backbones[backbone.name] = backbone
    generated.warnings += cache.warnings()


def _answers(backbone: Backbone, pairs: Sequence[_Pair], cache: Cache) -> Iterator[tuple[_Pair, Rows | str]]:
    """Each pair with the network's answer, or with the reason why there is none."""
    network = network_of(backbone)
    known = cache.get(network, [pair.address for pair in pairs])
    yield from ((pair, known[pair.address]) for pair in pairs if pair.address in known)
    batcher = Batcher[_Pair](backbone, BATCH)
    missing = [pair for pair in pairs if pair.address not in known]
    with ThreadPoolExecutor(2) as pool:
        for pair, prepared in ahead(pool, partial(_prepare, backbone), missing, 2 * BATCH):
            if isinstance(prepared, str):
                yield pair, prepared
                continue
            yield from _kept(batcher.add(pair, prepared), backbone, cache)
        yield from _kept(batcher.flush(), backbone, cache)


def _kept(
    results: Sequence[tuple[_Pair, Rows]], backbone: Backbone, cache: Cache
) -> Sequence[tuple[_Pair, Rows]]:
    for pair, rows in results:
        cache.put(network_of(backbone), pair.address, rows)
    cache.flush()
    return results


def _prepare(backbone: Backbone, pair: _Pair) -> tuple[_Pair, Tensor | str]:
    """Both images as the network reads them; why not, when a file is not what it was a moment ago."""
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
