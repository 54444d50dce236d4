"""Data: sources of examples, pipelines of batches, augmentation."""

from train.data.augment import Augment, augment, preprocess
from train.data.errors import DataError
from train.data.evaluation import evaluation_batches
from train.data.framing import Framed, Framing
from train.data.loading import Part, load
from train.data.pipeline import make_pipeline
from train.data.pipeline_grain import GrainPipeline
from train.data.pipeline_memory import MemoryPipeline, gather
from train.data.source import ArraySource, Source, Subset, in_memory
from train.data.tfds import prepare

__all__ = [
    "ArraySource",
    "Augment",
    "DataError",
    "Framed",
    "Framing",
    "GrainPipeline",
    "MemoryPipeline",
    "Part",
    "Source",
    "Subset",
    "augment",
    "evaluation_batches",
    "gather",
    "in_memory",
    "load",
    "make_pipeline",
    "prepare",
    "preprocess",
]
