"""Sources, images and compiled moves that the tests of the data share."""

import functools
from typing import Any

import jax
import numpy as np

from train.data.augment import colour, geometry, mixing
from train.data.fields import Facts, Field, Kind
from train.data.source import Example, Source


class Counting(Source):
    """Row i is an image of i's, labelled i modulo 3; counts how many labels and images are asked for."""

    name = "counting"
    spec = {"image": Field(Kind.IMAGE, (2, 2, 1), "uint8"), "label": Field(Kind.LABEL, (), "int32")}  # noqa: RUF012
    facts = Facts(("a", "b", "c"))

    def __init__(self, count: int) -> None:
        self.count, self.images_read, self.labels_read = count, 0, 0

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, row: int) -> Example:
        self.images_read += 1
        return {"image": np.full((2, 2, 1), row % 256, np.uint8), "label": np.int32(row % 3)}

    def peek(self, row: int, field: str) -> Any:
        if field != "label":
            return self[row][field]
        self.labels_read += 1
        return row % 3


KEY = jax.random.key(0)
IMAGES = np.random.default_rng(0).uniform(0.1, 1, (64, 12, 10, 3)).astype(np.float32)
"""One shape for all tests, so that each move is compiled once. No pixel is black."""

MOVES = {
    "pad_crop": lambda key, x, pad: geometry.pad_crop(x, geometry.draw_shift(key, len(x), pad)),
    "flip": lambda key, x: geometry.flip(x, geometry.draw_mirror(key, len(x))),
    "rotate": lambda key, x, degrees: geometry.rotate(x, geometry.draw_turn(key, len(x), degrees).degrees),
    "cutout": colour.cutout,
    "random_erasing": colour.random_erasing,
    "mixup": mixing.mixup,
    "cutmix": mixing.cutmix,
}


@functools.cache
def compiled(name, *options):
    """A move of images with its options fixed, compiled once for all tests."""
    return jax.jit(lambda key, images: MOVES[name](key, images, *options))
