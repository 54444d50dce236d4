"""Scenes of digits that need no download: real digits scattered, scaled and overlapped on a textured background.

Each digit is one of scikit-learn's 1797 (see `digits.py`), those of test scenes held out from training scenes. A scene
has an image, and of each digit its class, the mask of what is visible, that mask's box (as COCO has it), and two
keypoints; a label map; and captions (`scene_captions.py`). They serve whatever looks for objects: segmentation,
detection, keypoints.

All is a function of a seed, the split and the scene's number, in whole numbers and Pillow's resizing.
"""

import functools
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from PIL import Image

from train.data.captions import encoded, field_of, numbered, words_of
from train.data.fields import Facts, Field, Kind
from train.data.source import Arrays, ArraySource, generator
from train.data.sources.digits import NAMES, load_digits, rows_of
from train.data.sources.scene_captions import CAPTIONS, LENGTH, VOCABULARY, captions_of

SIDE = 64
"""Pixels a side of a scene."""
MOST = 8
"""Digits of a scene; at least one."""
COUNTS = {"train": 1000, "test": 250}
BACKGROUND = len(NAMES)
"""The label of pixels that belong to no digit: those that do have the digit's own number."""
SIZES = (15, 34)
"""Pixels a side of a digit, the faded border among them, smallest and largest."""
_SEED = {"train": (2, 0), "test": (2, 1)}
_STROKE = 112  # from this brightness of 255 on a pixel of an enlarged digit is part of its stroke
_TRIES = 12  # to find a place for a digit that leaves enough to see of those below it
_TEXTURE = 8 * SIDE  # pixels a side
_PATCHES = 24  # of colour, a side of the texture
_OCTAVES = ((56, 3), (128, 2), (_TEXTURE, 1))  # pixels a side of the noise, and its share
_VALUES = np.arange(256, dtype=np.int32)[:, None]
_LIGHT = 255 - np.clip(2 * _VALUES, 0, 160)  # what a digit leaves of that behind it: the border of a stroke darkens it
_INK = np.clip((_VALUES - _STROKE + 40) * 255 // 80, 0, 255)

SPEC = {
    "image": Field(Kind.IMAGE, (SIDE, SIDE, 3), "uint8"),
    "boxes": Field(Kind.BOXES, (None, 4), "float32", (MOST,)),
    "classes": Field(Kind.LABEL, (None,), "int32", (MOST,)),
    "masks": Field(Kind.MASKS, (None, SIDE, SIDE), "bool", (MOST,)),
    "keypoints": Field(Kind.KEYPOINTS, (None, 2, 3), "float32", (MOST,)),
    "label_map": Field(Kind.LABEL_MAP, (SIDE, SIDE), "int32"),
    "captions": field_of(CAPTIONS, LENGTH),
}
"""Keypoints are the leftmost and the rightmost point of a digit's stroke; one that another digit covers is not seen."""
FACTS = Facts(classes=NAMES, mirror=((0, 1),), background=BACKGROUND, vocabulary=VOCABULARY)


def scenes(split: Literal["train", "test"], training: int = 0) -> ArraySource:
    """1000 training and 250 test scenes, (64, 64, 3), of one to eight digits each.

    Args:
      split: which of them.
      training: how many training scenes there are instead. The first 1000 of them are the same, and so is the test;
        more scenes have no more digits to choose from.
    """
    count = training if training and split == "train" else COUNTS[split]
    return ArraySource("scenes", _composed(split, count), SPEC, FACTS)


class Digit(NamedTuple):
    """A digit in its place."""

    label: int
    left: int
    top: int
    brightness: UInt8[np.ndarray, "side side"]

    @property
    def place(self) -> tuple[slice, slice]:
        """Rows and columns."""
        side = len(self.brightness)
        return slice(self.top, self.top + side), slice(self.left, self.left + side)

    @property
    def stroke(self) -> Bool[np.ndarray, "side side"]:
        """Which pixels it covers."""
        return self.brightness >= _STROKE


@functools.cache
def _composed(split: Literal["train", "test"], count: int) -> Arrays:
    grey, labels = load_digits()
    rows = rows_of(labels, split)
    framed = np.pad(grey[rows], ((0, 0), (1, 1), (1, 1)))  # strokes at the border fade out instead of breaking off
    texture, numbers = textured(generator(*_SEED[split])), numbered(VOCABULARY)
    arrays: Arrays = {}
    for name, field in SPEC.items():
        arrays[name] = np.zeros((count, *field.padded), field.dtype)
        if field.most:
            arrays[f"{name}_valid"] = np.zeros((count, *field.most), bool)
    for scene in range(count):
        random = generator(*_SEED[split], 1 + scene)
        digits, front = scattered(random, framed, labels[rows])
        arrays["image"][scene] = painted(random, digits, texture)
        arrays["label_map"][scene] = np.append([digit.label for digit in digits], BACKGROUND)[front]
        for number, digit in enumerate(digits):
            mask = front == number
            arrays["masks"][scene, number] = mask
            arrays["boxes"][scene, number] = box_of(mask)
            arrays["classes"][scene, number] = digit.label
            arrays["keypoints"][scene, number] = keypoints_of(digit, mask)
        captions = captions_of(arrays["classes"][scene, : len(digits)], arrays["boxes"][scene, : len(digits)])
        arrays["captions"][scene] = encoded([words_of(caption) for caption in captions], numbers, LENGTH)
        for name, field in SPEC.items():
            if field.most:
                arrays[f"{name}_valid"][scene, : CAPTIONS if name == "captions" else len(digits)] = True
    for array in arrays.values():
        array.flags.writeable = False  # all who load the scenes share them
    return arrays


def scattered(
    random: np.random.Generator, images: UInt8[np.ndarray, "n side side"], labels: Int[np.ndarray, "n"]
) -> tuple[list[Digit], Int[np.ndarray, "height width"]]:
    """Digits from back to front, and which of them is in front at each pixel, their number being none.

    Of each at least a half is visible: one for which there is no such place is left out.
    """
    digits: list[Digit] = []
    front = np.full((SIDE, SIDE), MOST)
    spare = np.zeros(MOST + 1, int)  # pixels of each digit that may still be covered
    spare[MOST] = SIDE * SIDE
    for _ in range(int(random.integers(1, MOST + 1))):
        row, size = int(random.integers(len(images))), int(random.integers(SIZES[0], SIZES[1] + 1))
        brightness = np.asarray(Image.fromarray(images[row]).resize((size, size), Image.Resampling.BICUBIC))
        for left, top in random.integers(SIDE - size + 1, size=(_TRIES, 2)).tolist():
            digit = Digit(int(labels[row]), left, top, brightness)
            stroke = digit.stroke
            covered = np.bincount(front[digit.place][stroke], minlength=MOST + 1)
            if np.all(covered <= spare):
                spare -= covered
                spare[len(digits)] = np.count_nonzero(stroke) // 2
                front[digit.place][stroke] = len(digits)
                digits.append(digit)
                break
    return digits, np.minimum(front, len(digits))


def painted(
    random: np.random.Generator, digits: list[Digit], texture: UInt8[np.ndarray, "long long 3"]
) -> UInt8[np.ndarray, "height width 3"]:
    """The digits in bright colours, each with a dark edge, on a part of the texture in another tone."""
    left, top = random.integers(len(texture) - SIDE + 1, size=2)
    tone = random.integers(-30, 31, 3, np.int32)
    canvas = np.clip(texture[top : top + SIDE, left : left + SIDE] + tone, 0, 140)
    for digit in digits:
        colour = random.integers(150, 256, 3, np.int32)
        colour[random.integers(3)] = random.integers(90, 256)  # seldom grey
        behind = canvas[digit.place] * _LIGHT[digit.brightness] // 255
        canvas[digit.place] = behind + (colour - behind) * _INK[digit.brightness] // 255
    return canvas.astype(np.uint8)


def textured(random: np.random.Generator) -> UInt8[np.ndarray, "long long 3"]:
    """Grey noise of several sizes on patches of colour, from which backgrounds are cut."""
    size = (_TEXTURE, _TEXTURE)

    def noise(*shape: int) -> Int[np.ndarray, "long long ..."]:
        pixels = Image.fromarray(random.integers(0, 256, shape, np.uint8))
        return np.asarray(pixels.resize(size, Image.Resampling.BICUBIC), np.int32)

    grey = sum(share * noise(side, side) for side, share in _OCTAVES) // sum(share for _, share in _OCTAVES)
    return np.clip(noise(_PATCHES, _PATCHES, 3) * 90 // 255 + 20 + grey[..., None] - 128, 0, 140).astype(np.uint8)


def box_of(mask: Bool[np.ndarray, "height width"]) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of a mask."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


def keypoints_of(digit: Digit, mask: Bool[np.ndarray, "height width"]) -> Float[np.ndarray, "2 3"]:
    """The leftmost and the rightmost point of the digit, zero where the mask does not show it."""
    points = np.zeros((2, 3), np.float32)
    columns = np.flatnonzero(digit.stroke.any(axis=0))
    for point, column in zip(points, (columns[0], columns[-1]), strict=True):
        rows = np.flatnonzero(digit.stroke[:, column])
        x, y = digit.left + column, digit.top + rows[len(rows) // 2]
        if mask[y, x]:
            point[:] = x + 0.5, y + 0.5, 1
    return points
