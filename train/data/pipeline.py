"""Which pipeline a training set gets."""

from typing import Literal

import numpy as np

from train.data.framing import Framed
from train.data.pipeline_grain import GrainPipeline
from train.data.pipeline_memory import MemoryPipeline
from train.data.source import Source
from zoo.names import unknown

MEMORY_LIMIT = 2**30
"""Bytes of images up to which "auto" keeps a set on the device."""


def make_pipeline(
    source: Source,
    batch_size: int,
    seed: int,
    kind: Literal["auto", "memory", "grain"] = "auto",
    workers: int = 0,
    process_index: int = 0,
    process_count: int = 1,
) -> MemoryPipeline | GrainPipeline:
    """The training pipeline of a source; "auto" is "memory" up to 1 GiB of images, "grain" above.

    Images that are framed anew each epoch are read anew, by "grain".

    Raises:
      ValueError: "memory" for those, or see the pipelines.
      UnknownNameError: there is no such pipeline.
    """
    framed = isinstance(source, Framed)
    if framed and kind == "memory":
        raise ValueError(f"{source.name}: random windows are cut anew each epoch, expected pipeline grain, got memory")
    if kind == "auto":
        small = len(source) * np.prod(source.image_shape) <= MEMORY_LIMIT
        kind = "memory" if small and not framed else "grain"
    match kind:
        case "memory":
            return MemoryPipeline(source, batch_size, seed, process_index, process_count)
        case "grain":
            return GrainPipeline(source, batch_size, seed, workers, process_index, process_count)
    raise unknown("pipeline", kind, ("auto", "memory", "grain"))
