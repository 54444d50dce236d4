"""A segmentation network of the catalog with weights alone, and how an image becomes its input."""

import dataclasses
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import numpy as np
from jaxtyping import Array, Float, PyTree
from PIL import Image

import zoo
from train.tasks.segmentation.task import Segmentation
from train.use.with_weights import WeightsAloneError, check_normalisation, in_words, normalised, with_weights
from zoo.preprocessing import eight_bits, with_shorter_side

BACKGROUNDS = ("__background__", "background")
"""What the class of all else is called, where it is the first."""
NOTHING = -1
"""The label of pixels that the network did not see; it never predicts it."""
LONGEST = 16
"""How many times as long as the shorter the longer side of a picture may be: the shorter is enlarged."""

Input = Float[np.ndarray, "height width channels"]


@dataclasses.dataclass(frozen=True)
class Segmenter:
    """A model with trained variables that says of each pixel what it is, and what its inputs and outputs are."""

    title: str
    """What it is called, such as "fcn_resnet50 (COCO_WITH_VOC_LABELS_V1)"."""
    model: nn.Module
    variables: PyTree[Array]
    class_names: tuple[str, ...]
    prepare: Callable[[Image.Image], Input]
    """What the model takes of an upright picture of any size: all of it, in its proportions."""
    sees: str
    """The same in words."""

    @property
    def task(self) -> Segmentation:
        """What decodes and shows its outputs."""
        background = 0 if self.class_names[0] in BACKGROUNDS else None
        return Segmentation(class_names=self.class_names, background=background, ignore=NOTHING)


def segmenter_of(
    name: str, weights: str | None = None, mean: tuple[float, ...] = (), std: tuple[float, ...] = ()
) -> Segmenter:
    """A segmentation network by name with weights.

    Args:
      name: of the catalog.
      weights: a file, or published ones; by default the first that were published.
      mean: to subtract from images in [0, 1], one value or one a channel; of weights whose model has published ones,
        theirs, unless given.
      std: to divide by after that.

    Raises:
      UnknownNameError: no such model or weights.
      WeightsAloneError: the weights cannot be had or do not fit, or the model does not segment images.
    """
    of = with_weights(name, weights, "segmentation", "a segmentation network of images")
    if of.published is not None and not mean and not std:
        prepare, sees = _not_too_long(zoo.preprocess(name, of.published.name)), f"as for {of.published.name}"
    else:
        side, channels = min(of.entry.input_shape[:2]), of.entry.input_shape[2]
        check_normalisation(channels, mean, std)
        prepare = _not_too_long(lambda picture: _resized(picture, side, channels, mean, std))
        sees = f"whole, the shorter side resized to {side} pixels, {in_words(mean, std)}"
    return Segmenter(of.title, of.model, of.variables, of.class_names, prepare, sees)


def _resized(picture: Image.Image, side: int, channels: int, mean: tuple[float, ...], std: tuple[float, ...]) -> Input:
    """Where nobody says how weights want their images: as large as the catalog's, in [0, 1]."""
    image = with_shorter_side(eight_bits(picture).convert("L" if channels == 1 else "RGB"), side)
    pixels = np.asarray(image, np.uint8).reshape(image.height, image.width, channels)
    return normalised(pixels / np.float32(255), mean, std)


def _not_too_long(prepare: Callable[[Any], Input]) -> Callable[[Image.Image], Input]:
    def checked(picture: Image.Image) -> Input:
        if max(picture.size) > LONGEST * min(picture.size):
            raise WeightsAloneError(
                f"expected a picture at most {LONGEST} times as long as it is wide or high, got {picture.width} x "
                f"{picture.height} pixels"
            )
        return prepare(picture)

    return checked
