"""Evaluation batches: every example exactly once, in order, the last batch padded and masked."""

import functools
from collections.abc import Iterator

import numpy as np

from train.data.pipeline.grain import read_ahead
from train.data.source import Arrays, Source


def evaluation_batches(
    source: Source, batch_size: int, workers: int = 0, process_index: int = 0, process_count: int = 1
) -> Iterator[Arrays]:
    """Batches of one size; "mask" is False where the last example is repeated to fill the last batch.

    Of several processes each reads its rows of every batch alone: the parts in order are the batch of one process.

    Args:
      source: the examples.
      batch_size: of every batch, over all processes.
      workers: worker processes that read ahead; 0 reads when a batch is asked for.
      process_index: which process this is.
      process_count: how many there are.

    Raises:
      ValueError: a batch is empty, or the processes cannot share one evenly.

    >>> from train.data import load
    >>> from train.config import Data
    >>> [int(batch["mask"].sum()) for batch in evaluation_batches(load(Data("digits"), "test"), 128)]
    [128, 128, 104]
    """
    if batch_size < 1:
        raise ValueError(f"batch_size={batch_size}: expected at least 1")
    if batch_size % process_count:
        raise ValueError(f"batch_size={batch_size}: expected a multiple of the {process_count} processes")
    local = batch_size // process_count
    read = functools.partial(_batch, source, local)
    firsts = range(process_index * local, process_index * local + len(source), batch_size)
    if not workers:
        yield from map(read, firsts)
        return
    import grain

    ahead = read_ahead(grain.MapDataset.source(firsts).map(read), workers)
    try:
        yield from ahead
    finally:
        ahead.close()


def _batch(source: Source, size: int, first: int) -> Arrays:
    places = np.arange(first, first + size)
    rows = np.minimum(places, len(source) - 1).astype(np.int32)
    return {**source.read(rows), "index": rows, "mask": places < len(source)}
