"""An order of examples in which each batch is of one bucket, known from the seed and the step alone."""

import functools

import numpy as np
from jaxtyping import Int

from train.data.source import generator


@functools.lru_cache(maxsize=4)
def order_in_buckets(seed: int, epoch: int, buckets: bytes, batch_size: int) -> Int[np.ndarray, "steps batch"]:
    """The rows of an epoch's batches: as many as of examples without buckets, in random order, each of one bucket.

    Each bucket has the batches that its random order fills, and perhaps one more of the rows left over, filled with the
    first rows of the same order: the more are left over, the more often. So that the number of batches stays, full ones
    are left out instead; in the long run every row is seen about as often.

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
    full = [number for number, order in enumerate(orders) for _ in range(len(order) // batch_size)]
    left = [len(order) % batch_size / batch_size for order in orders]
    lucky = [number for number, share in enumerate(left) if random.random() < share]
    others = [number for number, share in enumerate(left) if share and number not in lucky]
    chosen = [*lucky, *random.permutation(full), *random.permutation(others)][: len(bucket) // batch_size]
    steps = np.bincount(np.array(chosen, int), minlength=len(orders))
    batches = [np.resize(order, (count, batch_size)) for order, count in zip(orders, steps, strict=True) if count]
    return random.permutation(np.concatenate(batches)).astype(np.int32)
