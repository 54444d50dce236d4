"""Evaluation batches: every example exactly once, in order, the last batch padded and masked."""

from collections.abc import Iterator

import numpy as np

from train.data.source import Arrays, Source


def evaluation_batches(source: Source, batch_size: int) -> Iterator[Arrays]:
    """Batches of one size; "mask" is False where the last example is repeated to fill the last batch.

    >>> from train.data import load
    >>> [int(batch["mask"].sum()) for batch in evaluation_batches(load("digits", "test"), 128)]
    [128, 128, 104]
    """
    if batch_size < 1:
        raise ValueError(f"batch_size={batch_size}: expected at least 1")
    for first in range(0, len(source), batch_size):
        places = np.arange(first, first + batch_size)
        rows = np.minimum(places, len(source) - 1).astype(np.int32)
        yield {**source.read(rows), "index": rows, "mask": places < len(source)}
