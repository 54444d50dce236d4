"""Pairs of frames that need no download: real digits that move on a moving ground, with exact flow and occlusion.

Each frame is made of layers: a textured ground, and textured digits of scikit-learn's 1797 (see `digits.py`), those of
the test held out from training. A layer is a smooth picture, and has an affine motion of its own; both frames look up
the same picture at their own places, so that the flow is exact to rounding, however little a layer moves. The frames
serve optical flow: Dosovitskiy et al., 2015, FlowNet, section 4.1, which made Flying Chairs so.

All is a function of a seed, the split and the pair's number.
"""

import functools
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from PIL import Image

from train.data.fields import Facts, Field, Kind
from train.data.source import Arrays, ArraySource, generator
from train.data.sources.digits import load_digits, rows_of
from train.data.sources.scenes import textured

SIDE = 64
"""Pixels a side of a frame."""
COUNTS = {"train": 1000, "test": 200}
DIGITS = (2, 5)
"""Of a pair, fewest and most."""
LONGEST = 8.0
"""Of a motion, in pixels."""
SIZES = (20, 40)
"""Pixels a side of a digit, its faded border among them, smallest and largest."""
_SEED = {"train": (7, 0), "test": (7, 1)}
_FINE = 3  # places of a layer's picture to a pixel: between them it is interpolated, and smooth for that
_STROKE = 112.0  # from this brightness of 255 on a place of a digit is part of its stroke
_EDGE = 40.0  # of brightness, in which a stroke's border goes over to what is behind it
_MIDDLE = 70.0  # brightness of the texture, about
_TURN, _GROWTH = 12.0, 0.1  # degrees and share, at most, of a digit; the ground's are a quarter of it

SPEC = {
    "image": Field(Kind.IMAGE, (SIDE, SIDE, 3), "uint8"),
    "second": Field(Kind.IMAGE, (SIDE, SIDE, 3), "uint8"),
    "flow": Field(Kind.FLOW, (SIDE, SIDE, 2), "float32"),
    "occluded": Field(Kind.LABEL_MAP, (SIDE, SIDE), "int32"),
}
"""The flow leads from the first frame to the second, for what is in front in the first; 1 in `occluded` marks what is
behind another layer or outside in the second."""

Points = Float[np.ndarray, "2 places"]
"""x and y, in pixels, counted from the middle of a frame's first pixel."""


def moving(split: Literal["train", "test"], training: int = 0) -> ArraySource:
    """1000 training and 200 test pairs, (64, 64, 3), of two to five digits that move by up to 8 pixels.

    Args:
      split: which of them.
      training: how many training pairs there are instead; the first 1000 are the same, and so is the test.
    """
    count = training if training and split == "train" else COUNTS[split]
    return ArraySource("moving", _composed(split, count), SPEC, Facts())


class Motion(NamedTuple):
    """Where a layer's points go: turned and scaled about its middle, and moved."""

    matrix: Float[np.ndarray, "2 2"]
    middle: Float[np.ndarray, "2 1"]
    shift: Float[np.ndarray, "2 1"]

    def forward(self, points: Points) -> Points:
        """From the first frame to the second."""
        return self.matrix @ (points - self.middle) + (self.middle + self.shift)

    def backward(self, points: Points) -> Points:
        """From the second frame to the first."""
        return np.linalg.inv(self.matrix) @ (points - (self.middle + self.shift)) + self.middle


class Layer(NamedTuple):
    """A picture in the first frame, and how it moves. Pictures have `_FINE` places to a pixel."""

    texture: UInt8[np.ndarray, "rows columns 3"]
    tone: Float[np.ndarray, "3"]
    """What is added to the texture's red, green and blue."""
    contrast: float
    """What the texture is multiplied with before."""
    cover: Float[np.ndarray, "rows columns"] | None
    """How much of what is behind it the layer hides, from 0 to 1; None: all, everywhere."""
    corner: Float[np.ndarray, "2 1"]
    """Of the picture in the first frame: x and y of its first place, in pixels."""
    motion: Motion

    def covers(self, points: Points) -> Float[np.ndarray, "places"]:
        """How much it hides at some points of the first frame; beyond its border nothing."""
        covered = np.zeros(points.shape[1])
        inside, places = self._inside(points)
        covered[inside] = 1 if self.cover is None else _between(self.cover, places)
        return covered

    def paint(self, frame: Float[np.ndarray, "places 3"], points: Points) -> Bool[np.ndarray, "places"]:
        """Paints over a frame whose pixels are these points of the first one; says where it is in front."""
        inside, places = self._inside(points)
        if self.cover is None:
            seen, cover = inside, 1.0
        else:
            cover = _between(self.cover, places)
            some = cover > 0
            seen, places, cover = inside[some], places[:, some], cover[some][:, None]
        colour = np.clip(self.contrast * _between(self.texture, places) + self.tone, 0, 255)
        frame[seen] += cover * (colour - frame[seen])
        front = np.zeros(points.shape[1], bool)
        front[seen] = np.broadcast_to(cover, (len(seen), 1))[:, 0] >= 0.5
        return front

    def _inside(self, points: Points) -> tuple[Int[np.ndarray, "inside"], Points]:
        """Which points are on the picture, and where there."""
        rows, columns = self.texture.shape[:2]
        x, y = places = (points - self.corner) * _FINE
        inside = np.flatnonzero((x >= 0) & (x < columns - 1) & (y >= 0) & (y < rows - 1))
        return inside, places[:, inside]


def _between(picture: np.ndarray, places: Points) -> Float[np.ndarray, "places *channels"]:
    """A picture between its pixels, bilinearly."""
    before = places.astype(int)  # none is negative
    (columns, rows), (x, y) = before, places - before
    if picture.ndim == 3:
        x, y = x[:, None], y[:, None]
    upper, lower = ((1 - x) * picture[row, columns] + x * picture[row, columns + 1] for row in (rows, rows + 1))
    return (1 - y) * upper + y * lower


@functools.cache
def _composed(split: Literal["train", "test"], count: int) -> Arrays:
    grey, labels = load_digits()
    framed = np.pad(grey[rows_of(labels, split)], ((0, 0), (1, 1), (1, 1)))  # strokes at the border fade out
    texture = enlarged(textured(generator(*_SEED[split])))
    pairs = [pair(generator(*_SEED[split], 1 + number), framed, texture) for number in range(count)]
    arrays = {name: np.stack([each[name] for each in pairs]) for name in SPEC}
    for array in arrays.values():
        array.flags.writeable = False  # all who load the pairs share them
    return arrays


def pair(
    random: np.random.Generator, digits: UInt8[np.ndarray, "n side side"], texture: UInt8[np.ndarray, "fine fine 3"]
) -> Arrays:
    """Two frames, their flow, and what is occluded; of an enlarged texture."""
    layers = [_ground(random, texture)]
    for _ in range(int(random.integers(DIGITS[0], DIGITS[1] + 1))):
        layers.append(_digit(random, digits[random.integers(len(digits))], texture))
    frames, front = np.zeros((2, SIDE * SIDE, 3)), np.zeros(SIDE * SIDE, int)
    for number, layer in enumerate(layers):
        front[layer.paint(frames[0], _PLACES)] = number
        layer.paint(frames[1], layer.motion.backward(_PLACES))
    goes = np.zeros_like(_PLACES)
    for number, layer in enumerate(layers):
        here = front == number
        goes[:, here] = layer.motion.forward(_PLACES[:, here])
    occluded = np.any((goes < 0) | (goes > SIDE - 1), axis=0)
    for number, layer in enumerate(layers[1:], start=1):
        occluded |= (front < number) & (layer.covers(layer.motion.backward(goes)) >= 0.5)
    first, second = np.rint(frames).astype(np.uint8).reshape(2, SIDE, SIDE, 3)
    flow = (goes - _PLACES).T.astype(np.float32).reshape(SIDE, SIDE, 2)
    return {"image": first, "second": second, "flow": flow, "occluded": occluded.astype(np.int32).reshape(SIDE, SIDE)}


_PLACES = np.stack(np.meshgrid(np.arange(SIDE), np.arange(SIDE))).reshape(2, -1).astype(np.float64)
"""Of each pixel's middle."""


def _ground(random: np.random.Generator, texture: UInt8[np.ndarray, "fine fine 3"]) -> Layer:
    """A part of the texture, so large that no motion shows its border."""
    margin = int(2 * LONGEST)
    picture, tone = patch(random, texture, SIDE + 2 * margin), random.uniform(-20, 50, 3)
    motion = _motion(random, np.full((2, 1), SIDE / 2), SIDE / 2, 0.25)
    return Layer(picture, tone, 1.0, None, np.full((2, 1), -float(margin)), motion)


def _digit(
    random: np.random.Generator, brightness: UInt8[np.ndarray, "side side"], texture: UInt8[np.ndarray, "fine fine 3"]
) -> Layer:
    """A digit of any size, anywhere, with a motion of its own."""
    size = int(random.integers(SIZES[0], SIZES[1] + 1))
    cover, colour = cover_of(brightness, size), colour_of(random)
    corner = random.uniform(-size / 4, SIDE - 3 * size / 4, (2, 1))
    motion = _motion(random, corner + size / 2, size / 2, 1.0)
    return bright(patch(random, texture, size), colour, cover, corner, motion)


def cover_of(brightness: UInt8[np.ndarray, "side side"], size: int) -> Float[np.ndarray, "rows columns"]:
    """How much a digit of so many pixels a side hides of what is behind it."""
    large = Image.fromarray(brightness).resize((_FINE * size, _FINE * size), Image.Resampling.BICUBIC)
    return np.clip((np.asarray(large, np.float64) - _STROKE) / _EDGE + 0.5, 0, 1)


def colour_of(random: np.random.Generator) -> Float[np.ndarray, "3"]:
    """A bright colour, seldom grey."""
    colour = random.uniform(130, 255, 3)
    colour[random.integers(3)] = random.uniform(60, 255)
    return colour


def bright(
    texture: UInt8[np.ndarray, "rows columns 3"],
    colour: Float[np.ndarray, "3"],
    cover: Float[np.ndarray, "rows columns"],
    corner: Float[np.ndarray, "2 1"],
    motion: Motion,
) -> Layer:
    """A layer in a bright colour, mixed with the texture so that each part of its strokes looks different."""
    return Layer(texture, colour - 1.5 * _MIDDLE, 1.5, cover, corner, motion)


def _motion(random: np.random.Generator, middle: Float[np.ndarray, "2 1"], radius: float, share: float) -> Motion:
    """A motion of which no point of a square about the middle goes further than `LONGEST`.

    Its length is uniform up to there: a direction alone, drawn too long and cut, would have most layers move fast.
    """
    turn = np.deg2rad(share * random.uniform(-_TURN, _TURN))
    growth = 1 + share * random.uniform(-_GROWTH, _GROWTH)
    cosine, sine = growth * np.cos(turn), growth * np.sin(turn)
    matrix = np.array([[cosine, sine], [-sine, cosine]])
    corners = radius * np.array([[-1, -1, 1, 1], [-1, 1, -1, 1]])
    left = LONGEST - np.linalg.norm(matrix @ corners - corners, axis=0).max()
    length, direction = left * random.uniform(), random.uniform(0, 2 * np.pi)
    return Motion(matrix, middle, length * np.array([[np.cos(direction)], [np.sin(direction)]]))


def patch(
    random: np.random.Generator, texture: UInt8[np.ndarray, "fine fine 3"], side: int
) -> UInt8[np.ndarray, "rows columns 3"]:
    """A part of the texture of so many pixels a side."""
    left, top = random.integers(len(texture) - _FINE * side + 1, size=2)
    return texture[top : top + _FINE * side, left : left + _FINE * side]


def enlarged(pixels: UInt8[np.ndarray, "side side 3"]) -> UInt8[np.ndarray, "fine fine 3"]:
    """`_FINE` places to a pixel, between which a picture is smooth."""
    side = _FINE * len(pixels)
    return np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC))
