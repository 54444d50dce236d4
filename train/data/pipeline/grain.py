"""Batches of a set too large for memory, read by Grain in worker processes; deterministic and resumable."""

import functools
import multiprocessing
import os
import signal
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from jaxtyping import Int

from train.data.pipeline.buckets import order_in_buckets
from train.data.pipeline.memory import local_batch_size
from train.data.source import Arrays, Source

_READ_THREADS = 4
_READ_AHEAD = 4  # batches that each process holds ready


class GrainPipeline:
    """Training batches of numpy arrays, read ahead by threads or, with `workers`, by processes.

    Each epoch visits a new permutation, and what is left after its last full batch is dropped; batches of examples of
    several sizes are of one size each, see `buckets.py`. The order is a
    function of the seed and the step alone: the number of workers does not change it, and a state is one
    number. `batch_size` counts the examples of all processes, and each reads its part. What a source varies is a
    function of seed, epoch and row.

    Workers are spawned: a script that uses them guards its entry with `if __name__ == "__main__":`. They start
    with the first batch and end with `close`, or with this process.

    Raises:
      ValueError: the source has fewer examples than a batch, or the processes cannot share one evenly.
    """

    def __init__(
        self,
        source: Source,
        batch_size: int,
        seed: int,
        workers: int = 0,
        process_index: int = 0,
        process_count: int = 1,
    ) -> None:
        import grain  # it takes a second to import, and only large sets need it

        local = local_batch_size(source, batch_size, process_count)
        self.steps_per_epoch = len(source) // batch_size
        if source.buckets is None:
            order = grain.MapDataset.range(len(source)).shuffle(seed=_shuffle_seed(seed))
            steps = order[: self.steps_per_epoch * batch_size].batch(batch_size).repeat()
        else:
            of = functools.partial(_in_buckets, seed, source.buckets.astype(np.int8).tobytes(), batch_size)
            steps = grain.MapDataset.range(self.steps_per_epoch).repeat().map_with_index(of)
        self._rows = steps.map(functools.partial(_part, process_index * local, local))
        self._batches = self._rows.map_with_index(functools.partial(_read, source, seed, self.steps_per_epoch))
        self._workers = workers
        self._step = 0
        self._iterators: list[Any] = []  # one while it reads
        # A program that ends without `close` closes here: Grain's own clean-up comes too late, and complains.
        weakref.finalize(self, _close, self._iterators)

    def indices(self, step: int) -> Int[np.ndarray, "batch"]:
        """The rows of this process's part of a step's batch."""
        return self._rows[step]

    def next(self) -> Arrays:
        """The next batch.

        Raises:
          DataError: an example cannot be read; also when that happens in a worker.
        """
        if not self._iterators:
            self._iterators.append(self._start())
        batch = next(self._iterators[0])
        self._step += 1
        return batch

    def state(self) -> dict[str, int]:
        """The position, for a checkpoint; it does not depend on the number of workers."""
        return {"step": self._step}

    def restore(self, state: dict[str, int]) -> None:
        """Goes on from a position that `state` gave; what was read ahead is thrown away."""
        self.close()
        self._step = int(state["step"])

    def close(self) -> None:
        """Ends the workers; `next` would start new ones where these stopped."""
        _close(self._iterators)

    def _start(self) -> Any:
        return read_ahead(self._batches[self._step :], self._workers)


def read_ahead(batches: Any, workers: int) -> Iterator[Arrays]:
    """The elements of a `grain.MapDataset` in order, read ahead by threads or, with `workers`, by processes.

    The iterator's `close` ends them.
    """
    import grain
    from absl import flags

    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()  # Grain hands its absl flags on to the workers
    ahead = batches.to_iter_dataset(grain.ReadOptions(num_threads=_READ_THREADS, prefetch_buffer_size=_READ_AHEAD))
    if workers:
        options = grain.MultiprocessingOptions(num_workers=workers, per_worker_buffer_size=_READ_AHEAD)
        ahead = ahead.mp_prefetch(options, worker_init_fn=_begin_worker)
    return iter(ahead)


def _close(iterators: list[Any]) -> None:
    while iterators:
        iterators.pop().close()


def _shuffle_seed(seed: int) -> int:
    # Grain shuffles epoch e with seed + e, so that neighbouring seeds would share all orders but one.
    return int(np.random.SeedSequence(seed).generate_state(1)[0])


def _in_buckets(seed: int, buckets: bytes, batch_size: int, step: int, _: int) -> np.ndarray:
    epoch, step = divmod(step, len(buckets) // batch_size)
    return order_in_buckets(seed, epoch, buckets, batch_size)[step]


def _part(first: int, count: int, rows: np.ndarray) -> np.ndarray:
    return rows[first : first + count].astype(np.int32)


def _read(source: Source, seed: int, steps_per_epoch: int, step: int, rows: np.ndarray) -> Arrays:
    examples = source.varied(rows, seed, epoch=step // steps_per_epoch)
    return {**examples, "index": rows, "mask": np.ones(len(rows), bool)}


def _begin_worker(worker: int, workers: int) -> None:
    # Ctrl-C is the main process's to handle, and a worker must not outlive one that was killed.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    jax.config.update("jax_platforms", "cpu")  # what examples need computed: the accelerator is the main process's
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)
