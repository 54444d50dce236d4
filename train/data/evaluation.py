"""Evaluation batches: every example exactly once, in order, the last batch padded and masked."""

import functools
from collections.abc import Iterator

import numpy as np

from train.data.pipeline_grain import read_ahead
from train.data.source import Arrays, Source


def evaluation_batches(source: Source, batch_size: int, workers: int = 0) -> Iterator[Arrays]:
    """Batches of one size; "mask" is False where the last example is repeated to fill the last batch.

    Args:
      source: the examples.
      batch_size: of every batch.
      workers: processes that read ahead; 0 reads when a batch is asked for.

    >>> from train.data import load
    >>> [int(batch["mask"].sum()) for batch in evaluation_batches(load("digits", "test"), 128)]
    [128, 128, 104]
    """
    if batch_size < 1:
        raise ValueError(f"batch_size={batch_size}: expected at least 1")
    read, firsts = functools.partial(_batch, source, batch_size), range(0, len(source), batch_size)
    if not workers:
        yield from map(read, firsts)
        return
    import grain

    ahead = read_ahead(grain.MapDataset.source(firsts).map(read), workers)
    try:
        yield from ahead
    finally:
        ahead.close()


def _batch(source: Source, batch_size: int, first: int) -> Arrays:
    places = np.arange(first, first + batch_size)
    rows = np.minimum(places, len(source) - 1).astype(np.int32)
    return {**source.read(rows), "index": rows, "mask": places < len(source)}
