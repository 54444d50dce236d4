"""Weights that others trained: where they are, what images they expect, how accurate they are said to be.

`pretrained.csv` holds one row a file: torchvision's from its weight metadata, with the resize, crop and accuracy
stated there. torchvision's GoogLeNet and Inception v3 rescale their input inside the network (`transform_input`);
here that is part of the normalisation ("symmetric"), which comes to the same.
"""

import csv
import dataclasses
import functools
import re
from collections.abc import Mapping
from importlib import resources

NORMALISATIONS = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "symmetric": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "caffe": ((0.48235, 0.45882, 0.40784), (1 / 255, 1 / 255, 1 / 255)),
    "kinetics": ((0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989)),
    "mvit": ((0.45, 0.45, 0.45), (0.225, 0.225, 0.225)),
}
"""Mean and standard deviation of each channel, for pixels in [0, 1]."""

NOT_METRICS = {
    *("model", "weights", "url", "frame", "resize", "crop", "interpolation", "normalisation", "classes"),
    *("frames", "frame_rate", "clips"),
}
"""The columns of `pretrained.csv` that say what a file is; each other is a metric."""

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """How an image becomes what the weights were evaluated on: resize, central crop, scale, normalise."""

    resize: int | tuple[int, int]
    """The shorter side after resizing, in pixels, or height and width; 0 where the size stays."""
    crop: int
    """Pixels a side of the central square; with "fit" the longer side at most; with "whole" nothing."""
    interpolation: str
    """"bilinear" or "bicubic", antialiased; or "bilinear_plain", which is not, as torchvision's detectors and video
    networks have it."""
    mean: tuple[float, ...]
    std: tuple[float, ...]
    frame: str = "crop"
    """"crop" cuts the central square; "fit" and "whole" keep the whole image and its proportions; "stretch" makes it a
    square; "clip" cuts the central square of each frame of a clip."""
    frames: int = 0
    """Of a clip, as the weights were evaluated; 0 for images."""
    frame_rate: float = 0.0
    """Frames a second of a clip; 0 for images."""
    clips: int = 0
    """Of a video, evenly spread, whose scores were averaged; 0 for images."""


@dataclasses.dataclass(frozen=True)
class Pretrained:
    """One file of trained weights."""

    name: str
    """Such as IMAGENET1K_V1."""
    url: str
    sha256: str
    """The digest's first digits, which stand in the file's name."""
    preprocessing: Preprocessing
    classes: str
    """What `class_names` are of: "cifar10", or the name of a list such as "imagenet" or "voc";
    empty for no classes."""
    metrics: Mapping[str, float]
    """What was reported on the evaluation set, in percent: of a classifier "top1" and "top5", one crop; of a detector
    "box_ap", "mask_ap" and "keypoint_ap", averages over overlaps as COCO has them; of segmentation "miou", the mean
    intersection over union, and "pixel_acc". Of optical flow the end-point error in pixels, such as
    "sintel_train_clean_epe", and "kitti_train_fl_all" and "kitti_test_fl_all" in percent; "kitti_train_epe" is the mean
    of the images' means."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """The name of each output; none where nothing is classified."""
        if not self.classes:
            return ()
        return CIFAR10 if self.classes == "cifar10" else class_list(self.classes)

    @property
    def top1(self) -> float | None:
        """Accuracy in percent, if that was reported."""
        return self.metrics.get("top1")

    @property
    def top5(self) -> float | None:
        """How often the class is among the best five, in percent, if that was reported."""
        return self.metrics.get("top5")


@functools.cache
def class_list(name: str) -> tuple[str, ...]:
    """The classes of a data set, in the order of the outputs, from the file of them that is kept here.

    >>> class_list("imagenet")[:2]
    ('tench', 'goldfish')
    """
    return tuple(_text(f"{name}_classes.txt").splitlines())


@functools.cache
def table() -> Mapping[str, tuple[Pretrained, ...]]:
    """All files by the model's name, in the order of their publication."""
    found: dict[str, list[Pretrained]] = {}
    for row in csv.DictReader(_text("pretrained.csv").splitlines()):
        mean, std = NORMALISATIONS[row["normalisation"]]
        digest = re.search(r"-([0-9a-f]{8,})\.\w+$", row["url"])
        preprocessing = Preprocessing(
            _size(row["resize"]),
            int(row["crop"]),
            row["interpolation"],
            mean,
            std,
            row["frame"],
            int(row["frames"] or 0),
            float(row["frame_rate"] or 0),
            int(row["clips"] or 0),
        )
        found.setdefault(row["model"], []).append(
            Pretrained(
                name=row["weights"],
                url=row["url"],
                sha256=digest[1] if digest else "",
                preprocessing=preprocessing,
                classes=row["classes"],
                metrics={name: float(row[name]) for name in row.keys() - NOT_METRICS if row[name]},
            )
        )
    return {model: tuple(files) for model, files in found.items()}


def _size(text: str) -> int | tuple[int, int]:
    """One side, or height and width with an "x" between them."""
    sides = tuple(map(int, text.split("x")))
    return sides if len(sides) == 2 else sides[0]


def _text(name: str) -> str:
    return resources.files("zoo.catalog").joinpath(name).read_text(encoding="utf-8")
