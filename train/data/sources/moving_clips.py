"""Clips that need no download: a real digit that moves over a still, textured ground. Lecture rows L49-L54.

`moving_clips:WHAT` says what the class is, and `moving_clips:WHAT:4000` how many clips there are for training:

- motion: how it moves, of ten ways (directions, slow and fast, there and back); the digit is any. Beyond the border a
  digit comes back at the other side, and where it begins is uniform: so is where any single frame shows it, whatever
  the class, and no frame alone says more than chance.
- appearance: which digit it is; it moves in any of the ten ways.
- both: one of three digits in one of four directions, of which each alone leaves three or four classes open.
- context: digit and motion of a number are of one class, and the ground has the colour of the class. The test has three
  more settings of the same clips: no_background (grey in its place), no_actor (no digit) and other_actor (digit and
  motion of another class, on the ground of its own).

Digits of the test are held out from training, see `digits.py`. All is a function of a seed, the split and the clip's
number. `moving.py` has the layers, and pairs of frames with exact flow.
"""

import functools
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from train.data.fields import Facts, Field, Kind
from train.data.source import Arrays, ArraySource, generator
from train.data.sources.composed import training_count
from train.data.sources.digits import NAMES, load_digits, rows_of
from train.data.sources.moving import Layer, Motion, bright, colour_of, cover_of, enlarged, patch
from train.data.sources.scenes import textured
from zoo.names import unknown

SIDE, FRAMES = 32, 16
"""Pixels a side, and frames of a clip."""
COUNTS = {"train": 1000, "test": 250}
SIZES = (15, 19)
"""Pixels a side of a digit, its faded border among them, smallest and largest."""
SLOW, FAST = (0.8, 1.2), (2.0, 2.8)
"""Pixels a frame."""
GREY = 100.0
"""Brightness of a ground that is none."""
_SEED = {"train": (13, 0), "test": (13, 1)}
_STILL = Motion(np.eye(2), np.zeros((2, 1)), np.zeros((2, 1)))
_PLACES = np.stack(np.meshgrid(np.arange(SIDE), np.arange(SIDE))).reshape(2, -1).astype(np.float64)
_TINT, _TINT_NOISE = 45.0, 22.0  # of a ground's colour: how far classes are apart, and what one differs from its class


class Way(NamedTuple):
    """A way to move."""

    name: str
    x: int
    """To the right."""
    y: int
    """Down."""
    fast: bool = False
    back: bool = False
    """Whether it turns in the middle of the clip."""


WAYS = (
    Way("left", -1, 0),
    Way("right", 1, 0),
    Way("up", 0, -1),
    Way("down", 0, 1),
    Way("left fast", -1, 0, fast=True),
    Way("right fast", 1, 0, fast=True),
    Way("up fast", 0, -1, fast=True),
    Way("down fast", 0, 1, fast=True),
    Way("sideways and back", 1, 0, back=True),
    Way("down and back", 0, 1, back=True),
)
DIRECTIONS, SHAPES = WAYS[:4], NAMES[:3]
"""Of the classes of `both`."""

CLASSES = {
    "motion": tuple(way.name for way in WAYS),
    "appearance": NAMES,
    "both": tuple(f"{shape} {way.name}" for shape in SHAPES for way in DIRECTIONS),
    **dict.fromkeys(
        ("context", "no_background", "no_actor", "other_actor"),
        tuple(f"{shape} {way.name}" for shape, way in zip(NAMES, WAYS, strict=True)),
    ),
}
"""By what the class is."""

SPEC = {
    "clip": Field(Kind.CLIP, (FRAMES, SIDE, SIDE, 3), "uint8"),
    "label": Field(Kind.LABEL, (), "int32"),
    "target": Field(Kind.VALUE, (), "float32"),
}
"""The target is the digit's speed."""
UNIT = "pixels a frame"


def moving_clips(asked: str, split: Literal["train", "test"]) -> ArraySource:
    """1000 training and 250 test clips, (16, 32, 32, 3), with their class and the digit's speed.

    Args:
      asked: what the class is, see above; after a colon, how many training clips there are instead. The first 1000 are
        the same, and so is the test.
      split: which.

    Raises:
      UnknownNameError: there is no such class.
      RecipeError: that is no number of clips.
    """
    what, colon, count = asked.partition(":")
    if what not in CLASSES:
        raise unknown("moving clips", what, CLASSES)
    training = training_count(count) if colon else COUNTS["train"]
    clips = _composed(what, split, training if split == "train" else COUNTS[split])
    return ArraySource(f"moving_clips:{what}", clips, SPEC, Facts(CLASSES[what], UNIT))


class Actor(NamedTuple):
    """What moves."""

    digit: int
    way: Way


def actor_of(what: str, label: int, random: np.random.Generator) -> Actor:
    """A digit and a motion of a class; what does not decide the class is drawn."""
    digit, way = int(random.integers(len(NAMES))), WAYS[random.integers(len(WAYS))]
    match what:
        case "motion":
            return Actor(digit, WAYS[label])
        case "appearance":
            return Actor(label, way)
        case "both":
            return Actor(*((label // len(DIRECTIONS)), DIRECTIONS[label % len(DIRECTIONS)]))
        case "other_actor":
            other = (label + 1 + int(random.integers(len(NAMES) - 1))) % len(NAMES)
            return Actor(other, WAYS[other])
    return Actor(label, WAYS[label])


@functools.cache
def _composed(what: str, split: Literal["train", "test"], count: int) -> Arrays:
    grey, labels = load_digits()
    rows = rows_of(labels, split)
    framed = np.pad(grey[rows], ((0, 0), (1, 1), (1, 1)))  # strokes at the border fade out
    by_digit = [framed[labels[rows] == digit] for digit in range(len(NAMES))]
    texture = enlarged(textured(generator(*_SEED[split])))
    arrays = {name: np.zeros((count, *field.shape), field.dtype) for name, field in SPEC.items()}
    for number in range(count):
        # Of one number the draws are the same whatever is asked for, as far as it has them.
        label, random = number % len(CLASSES[what]), generator(*_SEED[split], 1 + number)
        actor = actor_of(what, label, generator(*_SEED[split], 1 + number, 1))
        arrays["clip"][number], arrays["target"][number] = filmed(what, label, actor, random, by_digit, texture)
        arrays["label"][number] = label
    for array in arrays.values():
        array.flags.writeable = False  # all who load the clips share them
    return arrays


def filmed(
    what: str,
    label: int,
    actor: Actor,
    random: np.random.Generator,
    by_digit: list[UInt8[np.ndarray, "n side side"]],
    texture: UInt8[np.ndarray, "fine fine 3"],
) -> tuple[UInt8[np.ndarray, "frames side side 3"], float]:
    """A clip and its digit's speed in pixels a frame.

    Args:
      what: the class is.
      label: of the class, whose colour the ground has where that matters.
      actor: what moves.
      random: where it begins, its colour, the ground and all else come from.
      by_digit: pictures of each digit.
      texture: enlarged.
    """
    ground, size = _ground(what, label, random, texture), int(random.integers(SIZES[0], SIZES[1] + 1))
    corner, colour, pace = random.uniform(0, SIDE, (2, 1)), colour_of(random), random.random()
    picture, which = patch(random, texture, size), random.random()
    frames = np.tile(ground, (FRAMES, 1))
    if what != "no_actor":
        digits = by_digit[actor.digit]
        cover = cover_of(digits[int(which * len(digits))], size)
        layer = bright(picture, colour, cover, corner, _STILL)
        layer.paint(frames, _seen(corner, _shifts(actor.way, pace)))
    clip = np.rint(frames).astype(np.uint8).reshape(FRAMES, SIDE, SIDE, 3)
    return clip, 0.0 if what == "no_actor" else _speed(actor.way, pace)


def _ground(
    what: str, label: int, random: np.random.Generator, texture: UInt8[np.ndarray, "fine fine 3"]
) -> Float[np.ndarray, "places 3"]:
    """A part of the texture, in any tone or in that of the class; or grey."""
    picture, tone, noise = patch(random, texture, SIDE), random.uniform(-20, 50, 3), random.normal(size=3)
    if what == "no_background":
        return np.full((SIDE * SIDE, 3), GREY)
    if what in ("context", "no_actor", "other_actor"):
        tone = tint_of(label) + _TINT_NOISE * noise
    frame = np.zeros((SIDE * SIDE, 3))
    Layer(picture, tone, 1.0, None, np.zeros((2, 1)), _STILL).paint(frame, np.clip(_PLACES, 0, SIDE - 1.01))
    return frame


def tint_of(label: int) -> Float[np.ndarray, "3"]:
    """What is added to the ground's red, green and blue in a class of `context`: places on a wheel of colours."""
    angle = 2 * np.pi * label / len(NAMES) + np.array([0, 2, 4]) * np.pi / 3
    return 15 + _TINT * np.cos(angle)


def _speed(way: Way, pace: float) -> float:
    low, high = FAST if way.fast else SLOW
    return low + (high - low) * pace


def _shifts(way: Way, pace: float) -> Float[np.ndarray, "frames 2 1"]:
    """How far the digit is from where it began, in each frame."""
    steps = np.arange(FRAMES, dtype=np.float64)
    if way.back:
        steps = np.minimum(steps, FRAMES - 1 - steps)
    return _speed(way, pace) * steps[:, None, None] * np.array([[way.x], [way.y]])


def _seen(corner: Float[np.ndarray, "2 1"], shifts: Float[np.ndarray, "frames 2 1"]) -> Float[np.ndarray, "2 places"]:
    """Where the pixels of all frames are on the digit's layer, which comes back beyond the border."""
    places = corner + (_PLACES - corner - shifts) % SIDE
    return np.moveaxis(places, 1, 0).reshape(2, -1)
