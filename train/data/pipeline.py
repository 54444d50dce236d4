"""Which pipeline a training set gets."""

from typing import Literal

import numpy as np

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
    """The training pipeline of a source; "auto" is "memory" up to 1 GiB of images, "grain" above."""
    if kind == "auto":
        kind = "memory" if len(source) * np.prod(source.image_shape) <= MEMORY_LIMIT else "grain"
    match kind:
        case "memory":
            return MemoryPipeline(source, batch_size, seed, process_index, process_count)
        case "grain":
            return GrainPipeline(source, batch_size, seed, workers, process_index, process_count)
    raise unknown("pipeline", kind, ("auto", "memory", "grain"))
