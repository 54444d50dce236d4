"""How examples become batches: which pipeline a training set gets; `evaluation.py` is for all others."""

from typing import Literal

from train.data.pipeline.grain import GrainPipeline
from train.data.pipeline.memory import MemoryPipeline
from train.data.source import Source, bytes_of
from zoo.names import unknown

MEMORY_LIMIT = 2**30
"""Bytes of examples up to which "auto" keeps a set on the device."""


def is_small(source: Source, padded: int = 0) -> bool:
    """Whether all examples fit in memory, and on the device: 1 GiB at most, decoded, with those that fill them up."""
    return bytes_of(source) * max(padded, len(source)) <= MEMORY_LIMIT * len(source)


def make_pipeline(
    source: Source,
    batch_size: int,
    seed: int,
    kind: Literal["auto", "memory", "grain"] = "auto",
    workers: int = 0,
    process_index: int = 0,
    process_count: int = 1,
) -> MemoryPipeline | GrainPipeline:
    """The training pipeline of a source; "auto" is "memory" up to 1 GiB, "grain" above.

    Examples that vary from epoch to epoch are read anew, by "grain", and so are those of several sizes.

    Raises:
      ValueError: "memory" for those, or see the pipelines.
      UnknownNameError: there is no such pipeline.
    """
    if source.varies and kind == "memory":
        raise ValueError(f"{source.name}: random windows are cut anew each epoch, expected pipeline grain, got memory")
    if kind == "auto":
        kind = "memory" if is_small(source) and not source.varies and source.buckets is None else "grain"
    match kind:
        case "memory":
            return MemoryPipeline(source, batch_size, seed, process_index, process_count)
        case "grain":
            return GrainPipeline(source, batch_size, seed, workers, process_index, process_count)
    raise unknown("pipeline", kind, ("auto", "memory", "grain"))
