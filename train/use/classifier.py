"""A classifier, and how an image becomes its input; of the catalog with weights alone, published or from a file.

What `explain` makes of a run is one too.
"""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import flax.linen as nn
import numpy as np
from jaxtyping import Array, Float, PyTree
from PIL import Image

import zoo
from train.data.decode import opened
from train.tasks.classification.task import Classification
from train.use.with_weights import check_normalisation, in_words, normalised, output_of, with_weights
from zoo.catalog import Entry
from zoo.images import upright
from zoo.preprocessing import eight_bits

Input = Float[np.ndarray, "height width channels"]


@dataclasses.dataclass(frozen=True)
class Classifier:
    """A model with trained variables, and what its inputs and outputs are."""

    title: str
    """What it is called, such as "resnet50 (IMAGENET1K_V1)"."""
    model: nn.Module
    variables: PyTree[Array]
    class_names: tuple[str, ...]
    has_names: bool
    """Whether somebody says what the classes are called; else they are numbered."""
    prepare: Callable[[Image.Image], Input]
    """What the model takes of an upright picture of any size."""
    sees: str
    """The same in words."""
    low: Float[np.ndarray, "#channels"]
    """The input's value for black, one or one a channel."""
    high: Float[np.ndarray, "#channels"]
    """The input's value for white."""

    @property
    def task(self) -> Classification:
        """What measures and shows its outputs."""
        return Classification(self.class_names)

    def read(self, path: Path) -> Input:
        """An image file as the model takes it, turned upright as its EXIF orientation says.

        Raises:
          DataError: the file is missing or is no image.
        """
        with opened(path, path) as picture:
            picture = upright(picture)
            picture.load()
        return self.prepare(picture)

    def visible(self, image: Float[Any, "*batch channels"]) -> Float[np.ndarray, "*batch channels"]:
        """An input of the model as a picture in [0, 1]."""
        return np.clip((np.asarray(image, np.float32) - self.low) / (self.high - self.low), 0, 1)

    def output_of(self, classes: Sequence[str], where: str) -> tuple[int, ...]:
        """Which output each class of some data is: by its name, or in order where there are as many.

        Raises:
          WeightsAloneError: neither can be.
        """
        return output_of(classes, self.title, self.class_names, self.has_names, where)


def classifier_of(
    name: str, weights: str | None = None, mean: tuple[float, ...] = (), std: tuple[float, ...] = ()
) -> Classifier:
    """A model by name with weights.

    Args:
      name: of the catalog.
      weights: a file, or published ones; by default the first that were published.
      mean: to subtract from images in [0, 1], one value or one a channel; of weights whose model has published ones,
        theirs, unless given.
      std: to divide by after that.

    Raises:
      UnknownNameError: no such model or weights.
      WeightsAloneError: the weights cannot be had or do not fit, or the model takes no image or does not classify.
    """
    of = with_weights(name, weights, "classification", "a classifier of images")
    if of.published is not None and not mean and not std:
        prepare, how = zoo.preprocess(name, of.published.name), of.published.preprocessing
        mean, std, sees = how.mean, how.std, f"as for {of.published.name}"
    else:
        height, width, channels = of.entry.input_shape
        check_normalisation(channels, mean, std)
        prepare = _resized(of.entry, mean, std)
        sees = f"resized to {height}x{width} pixels, {in_words(mean, std)}"
    low, high = (normalised(np.full(1, value, np.float32), mean, std) for value in (0, 1))
    return Classifier(of.title, of.model, of.variables, of.class_names, of.has_names, prepare, sees, low, high)


def _resized(entry: Entry, mean: tuple[float, ...], std: tuple[float, ...]) -> Callable[[Image.Image], Input]:
    """Where nobody says how weights want their images: resized (bilinear) to the catalog's size, in [0, 1]."""
    height, width, channels = entry.input_shape

    def prepare(picture: Image.Image) -> Input:
        image = eight_bits(picture).convert("L" if channels == 1 else "RGB")
        if image.size != (width, height):
            image = image.resize((width, height), Image.Resampling.BILINEAR)
        pixels = np.asarray(image, np.uint8).reshape(entry.input_shape) / np.float32(255)
        return normalised(pixels, mean, std)

    return prepare
