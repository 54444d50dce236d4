"""Batches of a set that fits on the device: one gather a step, and an order known from the step alone."""

import copy
import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from train.data.source import Source, generator


def gather(arrays: dict[str, Array], rows: Int[Array, "batch"]) -> dict[str, Array]:
    """The batch of some rows, as a pure function: scan it over many steps' rows to save dispatches.

    Arrays (examples, ...) give (batch, ...), with the rows as "index" and a "mask" that is true.
    """
    batch = {name: array.at[rows].get(mode="promise_in_bounds") for name, array in arrays.items()}
    return {**batch, "index": rows, "mask": jnp.ones(rows.shape, bool)}


_gather = jax.jit(gather)


@functools.lru_cache(maxsize=16)
def order(seed: int, epoch: int, count: int) -> Int[np.ndarray, "rows"]:
    """The rows of an epoch, in the order in which a run of this seed visits them."""
    return generator(seed, epoch).permutation(count).astype(np.int32)


def local_batch_size(source: Source, batch_size: int, process_count: int) -> int:
    """The examples of one process's part of a batch.

    Raises:
      ValueError: the source has fewer examples than a batch, or the processes cannot share one evenly.
    """
    if not 1 <= batch_size <= len(source):
        raise ValueError(f"batch_size={batch_size}: expected 1 to {len(source)}, the size of {source.name}")
    if batch_size % process_count:
        raise ValueError(f"batch_size={batch_size}: expected a multiple of the {process_count} processes")
    return batch_size // process_count


class MemoryPipeline:
    """Training batches from arrays that stay on the device.

    Each epoch visits a new permutation, drawn from (seed, epoch) alone; what is left after its last full
    batch is dropped. `batch_size` counts the examples of all processes, and each reads its part.

    Raises:
      ValueError: the source has fewer examples than a batch, or the processes cannot share one evenly.
    """

    def __init__(
        self, source: Source, batch_size: int, seed: int, process_index: int = 0, process_count: int = 1
    ) -> None:
        self._local = local_batch_size(source, batch_size, process_count)
        self.arrays = jax.device_put(source.arrays())
        self.steps_per_epoch = len(source) // batch_size
        self._count, self._batch_size, self._seed = len(source), batch_size, seed
        self._first = process_index * self._local
        self._step = 0

    def indices(self, step: int) -> Int[np.ndarray, "batch"]:
        """The rows of this process's part of a step's batch."""
        epoch, step = divmod(step, self.steps_per_epoch)
        first = step * self._batch_size + self._first
        return order(self._seed, epoch, self._count)[first : first + self._local]

    def reseeded(self, seed: int) -> "MemoryPipeline":
        """The same arrays, in the order of another seed, from the first step."""
        other = copy.copy(self)
        other._seed, other._step = seed, 0
        return other

    def next(self) -> dict[str, Array]:
        """The next batch: arrays (batch, ...) by field."""
        batch = _gather(self.arrays, self.indices(self._step))
        self._step += 1
        return batch

    def state(self) -> dict[str, int]:
        """The position, for a checkpoint."""
        return {"step": self._step}

    def restore(self, state: dict[str, int]) -> None:
        """Goes on from a position that `state` gave."""
        self._step = int(state["step"])

    def close(self) -> None:
        """Nothing to close; the other pipeline has workers."""
