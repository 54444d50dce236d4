"""Which examples a recipe trains on, and how they become batches."""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Literal

from train.config.base import Config
from train.config.errors import RecipeError


@dataclasses.dataclass(frozen=True)
class Data(Config):
    """Which examples, and how they become batches."""

    section: ClassVar[str] = "data"
    most: ClassVar[Mapping[str, int]] = MappingProxyType(
        {
            "workers": 128,
            "batch_size": 2**16,
            "eval_batch_size": 2**16,
            "proposals": 2**16,
            "rare_below": 2**31,
            "held_out": 2**31,
            "frames": 2**10,
            "stride": 2**10,
            "clips": 2**8,
            **dict.fromkeys(("crop", "resize", "eval_crop", "canvas", "shorter"), 2**13),
        }
    )

    source: str = "digits"
    """digits, digits:SIDE (enlarged), rotated_digits, spherical_digits, spherical_digits:rotated, points, superpixels,
    coloured_digits:GROUND, lines, karate, planetoid:FOLDER/NAME, graph:FILE, tu:FOLDER/NAME, tfds:NAME, folder:PATH,
    npz:PATH, coco:FILE, voc:PATH, masks:PATH, label_maps:PATH, flow:PATH, depth:PATH, clips:PATH[@LIST], or one of
    scenes, moving, surfaces and moving_clips:WHAT, of which scenes:COUNT gives COUNT training examples."""
    data_dir: str | None = None
    """Where prepared TFDS data sets are, by default TFDS's own folder; and what the PATH of planetoid is relative
    to."""
    held_out: int = 0
    """Examples of the test where the source does not say which they are; 0: a fifth."""
    validation: float = 0.0
    """The share of the training examples that no step sees, and that are evaluated in place of the test: to choose
    between recipes. 0: the test is evaluated. Built-in scenes and clips are set aside whole, though the digits in them
    are those of the others."""
    limit: int | None = None
    """Train on this many examples only, drawn evenly from the classes; on all where there are no more."""
    classes: tuple[str, ...] = ()
    """Keep these classes only, by name, in training and evaluation."""
    per_class: tuple[int, ...] = ()
    """Two numbers: training examples of the first and of the last class, the others evenly in between."""
    rotate: tuple[float, ...] = ()
    """Two angles in degrees, between which each image is turned once; the angle is its target. Needs images of one
    size: not with crop or canvas."""
    pipeline: Literal["auto", "memory", "grain"] = "auto"
    """memory keeps the whole set on the device, grain reads it with workers; auto: memory up to 1 GiB. Unless it is
    grain, a held-out split up to 1 GiB stays on the device too, once it was evaluated."""
    workers: int = 0
    """Worker processes of the grain pipeline; 0 reads in the main process."""
    batch_size: int = 128
    """Training examples a step, over all devices."""
    eval_batch_size: int = 500
    """Evaluation examples a step, over all devices."""
    crop: int = 0
    """Pixels a side of the random windows that training cuts from images of any size; 0: images have one size."""
    smallest_area: float = 0.08
    """Smallest share of an image's area in such a window."""
    resize: int = 0
    """Pixels of an image's shorter side at evaluation; 0: as eval_crop."""
    eval_crop: int = 0
    """Pixels a side of the central square that evaluation cuts then; 0: as crop."""
    canvas: int = 0
    """Pixels a side of the square onto which whole images of any size are resized and padded; 0: none."""
    shorter: int = 0
    """Pixels of an image's shorter side on the canvas at most, such as 800 on one of 1333; 0: as many as fit."""
    two_canvases: bool = False
    """Train on two canvases, canvas x shorter pixels wide or tall, in place of the square: each batch is of images that
    fit on one of them."""
    rare_below: int = 5
    """Words that occur less often in the training captions of `coco:FILE` are all one, unknown word."""
    proposals: int = 0
    """Boxes of selective search that an image has at most, for detectors that are given them; 0: none. Needs the extra
    `detection`."""

    frames: int = 0
    """Frames of a clip, of sources of videos; 0: 16, and of built-in videos all."""
    sampling: Literal["dense", "uniform", "segments"] = "dense"
    """Which frames of a video a clip has: dense ones in a row; uniform: from the whole video, evenly; segments: from
    as many parts of it, in training from anywhere in each."""
    stride: int = 1
    """Of dense frames: from one to the next."""
    rate: float = 0.0
    """Frames a second with which videos are looked at, so that stride and clip are of one duration in all of them; 0:
    each has its own."""
    clips: int = 1
    """Clips of a video at evaluation, whose predictions are averaged."""
    flow: bool = False
    """Compute the optical flow between the frames of a clip (TV-L1), for networks that are given motion."""
    flow_cache: str | None = None
    """The folder in which computed flow is kept; by default lecture-vision-zoo/flow in $XDG_CACHE_HOME or ~/.cache."""
    broken: Literal["skip", "stop"] = "skip"
    """A video that cannot be read or is too short is left out with a warning, or stops the run."""

    def ranges(self) -> dict[str, bool]:
        """See `Config`."""
        side = self.eval_crop or self.crop
        return {
            "batch_size": self.batch_size >= 1,
            "eval_batch_size": self.eval_batch_size >= 1,
            "workers": self.workers >= 0,
            "held_out": self.held_out >= 0,
            "validation": 0 <= self.validation < 1,
            "limit": self.limit is None or self.limit >= 1,
            "classes": len(self.classes) != 1,
            "per_class": not self.per_class
            or (len(self.per_class) == 2 and 1 <= self.per_class[0] <= self.per_class[1]),
            "rotate": not self.rotate
            or (len(self.rotate) == 2 and self.rotate[0] < self.rotate[1] and not self.crop and not self.canvas),
            "crop": self.crop >= 0,
            "smallest_area": 0 < self.smallest_area <= 1,
            "eval_crop": self.eval_crop == 0 or (self.eval_crop > 0 and self.crop > 0),
            "resize": self.resize == 0 or (self.crop > 0 and self.resize >= side),
            "proposals": self.proposals >= 0,
            "rare_below": self.rare_below >= 1,
            "canvas": self.canvas == 0 or (self.canvas > 0 and not self.crop),
            "shorter": self.shorter == 0 or 0 < self.shorter <= self.canvas,
            "frames": self.frames >= 0,
            "stride": self.stride >= 1 and (self.stride == 1 or self.sampling == "dense"),
            "rate": 0 <= self.rate < 10**4,
            "clips": self.clips >= 1,
            "two_canvases": not self.two_canvases or self.shorter > 0,
        }

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
          RecipeError: one is out of its range, or the memory pipeline is asked for windows (`crop`) or two canvases.
        """
        super().__post_init__()
        if self.two_canvases and self.pipeline == "memory":
            raise RecipeError("data.two_canvases: expected data.pipeline auto or grain, got memory, which has one size")
        if self.crop and self.pipeline == "memory":
            raise RecipeError(
                "data.crop cuts windows anew each epoch: expected data.pipeline auto or grain, got memory"
            )
