"""An order of examples in which each batch is of one bucket, known from the seed and the step alone."""

import functools

import numpy as np
from jaxtyping import Int

from train.data.source import generator


@functools.lru_cache(maxsize=4)
def order_in_buckets(seed: int, epoch: int, buckets: bytes, batch_size: int) -> Int[np.ndarray, "steps batch"]:
    """The rows of an epoch's batches: as many as of examples without buckets, in random order, each of one bucket.

    Of each bucket's random order the batches that fill are taken, and then, of the buckets with the most rows left
    over, as many more as are missing: these are filled with the first rows of the same order, which the epoch so visits
    twice.

    Args:
      seed: of the run.
      epoch: counted from 0.
      buckets: the bucket of each example, int8.
      batch_size: of every batch.

    >>> rows = order_in_buckets(0, 0, np.array([0, 1, 0, 1, 0, 0, 1], np.int8).tobytes(), 2)
    >>> rows.shape, sorted(set(rows.ravel().tolist()) & {1, 3, 6}) != []
    ((3, 2), True)
    """
    bucket = np.frombuffer(buckets, np.int8)
    random = generator(seed, epoch)
    orders = [random.permutation(np.flatnonzero(bucket == number)) for number in np.unique(bucket)]
    steps = [len(order) // batch_size for order in orders]
    left = [len(order) % batch_size for order in orders]
    missing = len(bucket) // batch_size - sum(steps)
    for number in np.argsort(left, kind="stable")[::-1][:missing]:
        steps[number] += 1
    batches = [np.resize(order, (count, batch_size)) for order, count in zip(orders, steps, strict=True) if count]
    return random.permutation(np.concatenate(batches)).astype(np.int32)
