"""Data: sources of examples, pipelines of batches, augmentation.

Read `fields.py` first (what an example is), then `source.py` (where examples come from), `sources/` (those by name),
`select.py` and `framing.py` (what is made of one on the host), `pipeline/` (how examples become batches), and
`augment/` (how batches are varied on the device).
"""

from train.config import DataError
from train.data.augment import augment, preprocess
from train.data.decode import read_image
from train.data.fields import Facts, Field, Kind, Spec
from train.data.framing import framing_of
from train.data.pipeline import make_pipeline
from train.data.pipeline.evaluation import evaluation_batches
from train.data.pipeline.grain import GrainPipeline
from train.data.pipeline.memory import MemoryPipeline, gather
from train.data.source import ArraySource, OfFields, Source, Subset, in_memory
from train.data.sources import load, load_both, load_unframed
from train.data.sources.tfds import prepare

__all__ = [
    "ArraySource",
    "DataError",
    "Facts",
    "Field",
    "GrainPipeline",
    "Kind",
    "MemoryPipeline",
    "OfFields",
    "Source",
    "Spec",
    "Subset",
    "augment",
    "evaluation_batches",
    "framing_of",
    "gather",
    "in_memory",
    "load",
    "load_both",
    "load_unframed",
    "make_pipeline",
    "prepare",
    "preprocess",
    "read_image",
]
