"""Sources by name: the one table from a recipe's data to its examples.

Read `load`; each source has a file, and `train.data.source` says what one is. A new one is a file, its import and a row
of `SOURCES` here, and its name in the help of `train.config.Data.source`.
"""

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

from train.config import Data, RecipeError
from train.data.fields import Kind
from train.data.flowing import Flowing
from train.data.framing import Framed, framing_of
from train.data.pipeline import is_small
from train.data.proposed import Proposed
from train.data.sampled import CLIP, Sampled
from train.data.sampling import sampling_of
from train.data.select import (
    OfClasses,
    balanced_subset,
    check_classes,
    imbalanced_subset,
    no_held_out_count,
    set_aside,
)
from train.data.source import Source, in_memory
from train.data.sources.clips import clips, clips_splits
from train.data.sources.coco import coco, coco_splits
from train.data.sources.coloured_digits import coloured_digits
from train.data.sources.composed import training_count
from train.data.sources.depth_files import depth_files, depth_files_splits
from train.data.sources.digit_points import points
from train.data.sources.digits import digits, rotated_digits, side_of
from train.data.sources.flow import flow, flow_splits
from train.data.sources.folder import folder, folder_splits
from train.data.sources.graph_file import graph_file
from train.data.sources.karate import karate
from train.data.sources.label_maps import label_maps, label_maps_splits
from train.data.sources.lines import lines
from train.data.sources.masks import masks, masks_splits
from train.data.sources.moving import moving
from train.data.sources.moving_clips import moving_clips
from train.data.sources.npz import npz, npz_splits
from train.data.sources.planetoid import planetoid
from train.data.sources.rotated import Rotated
from train.data.sources.scenes import scenes
from train.data.sources.spherical_digits import spherical_digits
from train.data.sources.superpixels import superpixels
from train.data.sources.surfaces import surfaces
from train.data.sources.tfds import TfdsSource
from train.data.sources.tu import tu, tu_splits
from train.data.sources.voc import voc, voc_splits
from zoo.names import unknown

_ANGLES = {"train": 0, "test": 1}
"""Seeds of the angles by which images are turned."""


class Asked(NamedTuple):
    """What a source is told."""

    split: Literal["train", "test"]
    after: str
    """What the recipe says after the colon; empty where the name has none."""
    data_dir: str | None
    """Where prepared TFDS data sets are."""
    any_size: bool
    """Whether images may have several sizes, for they are framed."""
    held_out: int
    """How many examples are the test where the source does not say which; 0: a fifth."""
    rare_below: int
    """How often a word of captions occurs in training before it has a number of its own."""


def _of_files(asked: Asked) -> tuple[bool, int, int]:
    """What files of captions are read by."""
    return asked.any_size, asked.held_out, asked.rare_below


SOURCES: dict[str, Callable[[Asked], Source]] = {
    "digits": lambda asked: digits(asked.split),
    "digits:SIDE": lambda asked: digits(asked.split, side_of(asked.after)),
    "rotated_digits": lambda asked: rotated_digits(asked.split),
    "coloured_digits:GROUND": lambda asked: coloured_digits(asked.after, asked.split),
    "scenes": lambda asked: scenes(asked.split),
    "scenes:COUNT": lambda asked: scenes(asked.split, training_count(asked.after)),
    "moving": lambda asked: moving(asked.split),
    "moving:COUNT": lambda asked: moving(asked.split, training_count(asked.after)),
    "surfaces": lambda asked: surfaces(asked.split),
    "surfaces:COUNT": lambda asked: surfaces(asked.split, training_count(asked.after)),
    "moving_clips:WHAT": lambda asked: moving_clips(asked.after, asked.split),
    "points": lambda asked: points(asked.split),
    "spherical_digits": lambda asked: spherical_digits(asked.split),
    "spherical_digits:HOW": lambda asked: spherical_digits(asked.split, asked.after),
    "lines": lambda asked: lines(asked.split),
    "karate": lambda asked: karate(),
    "superpixels": lambda asked: superpixels(asked.split),
    "planetoid:PATH": lambda asked: planetoid(asked.after, asked.data_dir),
    "graph:FILE": lambda asked: graph_file(asked.after),
    "tu:PATH": lambda asked: tu(asked.after, asked.split, asked.held_out),
    "tfds:NAME": lambda asked: TfdsSource(asked.after, asked.split, asked.data_dir, asked.any_size),
    "folder:PATH": lambda asked: folder(asked.after, asked.split, asked.any_size, asked.held_out),
    "npz:PATH": lambda asked: npz(asked.after, asked.split, asked.held_out),
    "coco:FILE": lambda asked: coco(asked.after, asked.split, *_of_files(asked)),
    "voc:PATH": lambda asked: voc(asked.after, asked.split, asked.any_size),
    "masks:PATH": lambda asked: masks(asked.after, asked.split, asked.any_size, asked.held_out),
    "label_maps:PATH": lambda asked: label_maps(asked.after, asked.split, asked.any_size, asked.held_out),
    "flow:PATH": lambda asked: flow(asked.after, asked.split, asked.any_size, asked.held_out),
    "depth:PATH": lambda asked: depth_files(asked.after, asked.split, asked.any_size, asked.held_out),
    "clips:PATH": lambda asked: clips(asked.after, asked.split, asked.any_size, asked.held_out),
}
"""By name; where that has a colon, something must follow it."""

BOTH: dict[str, Callable[[Asked], Mapping[str, Source]]] = {
    "folder:PATH": lambda asked: folder_splits(asked.after, asked.any_size, asked.held_out),
    "npz:PATH": lambda asked: npz_splits(asked.after, asked.held_out),
    "coco:FILE": lambda asked: coco_splits(asked.after, *_of_files(asked)),
    "voc:PATH": lambda asked: voc_splits(asked.after, asked.any_size),
    "masks:PATH": lambda asked: masks_splits(asked.after, asked.any_size, asked.held_out),
    "label_maps:PATH": lambda asked: label_maps_splits(asked.after, asked.any_size, asked.held_out),
    "flow:PATH": lambda asked: flow_splits(asked.after, asked.any_size, asked.held_out),
    "depth:PATH": lambda asked: depth_files_splits(asked.after, asked.any_size, asked.held_out),
    "clips:PATH": lambda asked: clips_splits(asked.after, asked.any_size, asked.held_out),
    "tu:PATH": lambda asked: tu_splits(asked.after, asked.held_out),
    "graph:FILE": lambda asked: dict.fromkeys(("train", "test"), graph_file(asked.after)),
    "planetoid:PATH": lambda asked: dict.fromkeys(("train", "test"), planetoid(asked.after, asked.data_dir)),
}
"""Those of `SOURCES` whose splits lie in one place, which is read once for both."""

DIVIDED = frozenset(
    {
        *("folder:PATH", "npz:PATH", "coco:FILE", "masks:PATH", "label_maps:PATH", "flow:PATH", "depth:PATH"),
        *("clips:PATH", "tu:PATH"),
    }
)
"""Those that may bring no test of their own."""


def load(config: Data, split: Literal["train", "test"]) -> Source:
    """The examples of a recipe's training or test split.

    A limit and unequal classes are for training: the test split is always whole, so that results compare. With
    `validation` it is a part of the training examples instead.

    Raises:
      UnknownNameError: no such source, with the nearest names.
      DataError: the data cannot be used; the message says where, what was expected and what came.
      RecipeError: a field cannot be framed, turned and so on as the recipe says.

    >>> source = load(Data("digits", limit=100), "train")
    >>> len(source), source.spec["image"].shape, source.facts.classes[:3]
    (100, (8, 8, 1), ('0', '1', '2'))
    """
    _check_split(split)
    framing = framing_of(config, split)
    return _framed(config, split, _part(config, split, lambda which: _named(config, which, framing is not None)))


def load_both(config: Data) -> tuple[Source, Source]:
    """The training and the test split, see `load`; what holds both is read once.

    Raises:
      UnknownNameError, DataError, RecipeError: see `load`.
    """
    row, after = _row(config)
    if row not in BOTH:
        return load(config, "train"), load(config, "test")
    whole = BOTH[row](_asked(config, "train", after, framing_of(config, "train") is not None))
    train, test = (_framed(config, split, _part(config, split, whole.__getitem__)) for split in ("train", "test"))
    return train, test


def load_unframed(config: Data, split: Literal["train", "test"]) -> Source:
    """The same examples with images as they are, of whatever sizes; for who frames them by rules of its own.

    Raises:
      UnknownNameError, DataError: see `load`.
    """
    _check_split(split)
    return _selected(config, split, _part(config, split, lambda which: _named(config, which, any_size=True)))


def _part(config: Data, split: Literal["train", "test"], named: Callable[[Literal["train", "test"]], Source]) -> Source:
    """A source's split; with `validation` both are parts of what there is to learn from."""
    return set_aside(named("train"), config.validation, split) if config.validation else named(split)


def _framed(config: Data, split: Literal["train", "test"], source: Source) -> Source:
    """What a recipe makes of a source's split."""
    framing, source = framing_of(config, split), _selected(config, split, source)
    if config.flow:
        source = Flowing(source, sampling_of(config, split).clips, config.flow_cache)
    source = source if framing is None else Framed(source, framing)
    if config.flow and is_small(source) and not source.varies:
        source = in_memory(source)
    if not config.proposals:
        return source
    source = Proposed(source, config.proposals)
    return in_memory(source) if is_small(source) and not source.varies else source


def _selected(config: Data, split: Literal["train", "test"], source: Source) -> Source:
    """The examples that a recipe asks for, of a source's split; of videos clips."""
    source = _clips(config, split, source)
    check_classes(source, split)
    if (config.classes or config.per_class or config.rotate) and is_small(source):
        source = in_memory(source)  # its labels are asked for more than once
    if config.classes:
        source = OfClasses(source, config.classes)
    if config.per_class and split == "train":
        source = imbalanced_subset(source, *config.per_class)
    if config.limit is not None and split == "train":
        source = balanced_subset(source, config.limit)
    if config.rotate:
        source = in_memory(Rotated(source, *config.rotate, seed=_ANGLES[split]))
    return source


def _clips(config: Data, split: Literal["train", "test"], source: Source) -> Source:
    """The clips that a recipe takes from videos; other sources as they are."""
    field = source.spec.get(CLIP)
    if field is None or field.kind != Kind.CLIP:
        settings = ("frames", "sampling", "stride", "rate", "clips", "flow")
        if given := [name for name in settings if getattr(config, name) != getattr(Data(), name)]:
            raise RecipeError(f"data.{given[0]}: expected a source of videos, got {config.source}")
        return source
    sampling = sampling_of(config, split, field.shape[0])
    if field.shape[0] == sampling.frames and sampling.clips == 1 and not config.rate:  # all of it
        return source
    return Sampled(source, sampling, trains=split == "train", skips=config.broken == "skip")


def _named(config: Data, split: Literal["train", "test"], any_size: bool) -> Source:
    row, after = _row(config)
    return SOURCES[row](_asked(config, split, after, any_size))


def _asked(config: Data, split: Literal["train", "test"], after: str, any_size: bool) -> Asked:
    return Asked(split, after, config.data_dir, any_size, config.held_out, config.rare_below)


def _row(config: Data) -> tuple[str, str]:
    """The name in `SOURCES` that a recipe asks for, and what it says after the colon."""
    name, colon, after = config.source.partition(":")
    for known in SOURCES:
        if known.partition(":")[:2] == (name, colon) and bool(after) == bool(colon):
            if known not in DIVIDED:
                no_held_out_count(config.held_out, known)
            return known, after
    raise unknown("data source", config.source, SOURCES)


def _check_split(split: str) -> None:
    if split not in ("train", "test"):
        raise unknown("split", split, ("train", "test"))
