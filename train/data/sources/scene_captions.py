"""What is to be said of a scene of digits: captions by rule, which name digits if they are few, and else count them.

A scene of one digit has the captions of `ALONE`, one of two or three those of `FEW`, and one of more those of `MANY`.
Of a few digits the two that are furthest apart are named: the leftmost and the rightmost, or the uppermost and the
lowest where the digits spread further down than across.
"""

import numpy as np
from jaxtyping import Float, Int

from train.data.captions import SPECIAL

NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
ALONE = ("{one}", "there is {one}", "one digit", "there is one digit", "a single {name}")
FEW = (
    "{one} {before} {other}",
    "{other} {after} {one}",
    "there is {one} {before} {other}",
    "{count} digits with {one} {before} {other}",
    "{count} digits with {other} {after} {one}",
)
MANY = (
    "{count} digits",
    "there are {count} digits",
    "a group of {count} digits",
    "a scene of {count} digits",
    "a scene with {count} digits",
)
MOST_NAMED = 3
"""Digits of a scene in which two are named."""
RELATIONS = (("left of", "right of"), ("above", "below"))
"""Across and down: where the first digit is of the second, and the second of the first."""

WORDS = (
    *("a", "above", "an", "are", "below", "digit", "digits", "group", "is", "left"),
    *("of", "right", "scene", "single", "there", "with"),
)
VOCABULARY = (*SPECIAL, *WORDS, *NUMBERS)
CAPTIONS = len(FEW)
"""Of a scene."""
LENGTH = 11
"""Tokens of the longest, from its start to its end."""


def captions_of(labels: Int[np.ndarray, "digits"], boxes: Float[np.ndarray, "digits 4"]) -> list[str]:
    """The captions of a scene.

    Args:
      labels: of the digits.
      boxes: of what is visible of them: left, top, right, bottom, in pixels.

    >>> boxes = np.array([[40, 20, 50, 40], [5, 22, 15, 42], [20, 0, 30, 10]])
    >>> captions_of(np.array([7, 8, 1]), boxes)[3:]
    ['three digits with an eight left of a seven', 'three digits with a seven right of an eight']
    """
    if len(labels) == 1:
        (label,) = labels
        return [caption.format(one=_one(label), name=NUMBERS[label]) for caption in ALONE]
    if len(labels) > MOST_NAMED:
        return [caption.format(count=NUMBERS[len(labels)]) for caption in MANY]
    centres = boxes[:, :2] + boxes[:, 2:]
    axis = int(np.argmax(np.ptp(centres, axis=0)))  # across, where both are equal
    first, last = np.argmin(centres[:, axis]), np.argmax(centres[:, axis])
    before, after = RELATIONS[axis]
    said = {"one": _one(labels[first]), "other": _one(labels[last]), "before": before, "after": after}
    return [caption.format(**said, count=NUMBERS[len(labels)]) for caption in FEW]


def _one(label: int) -> str:
    return f"an {NUMBERS[label]}" if NUMBERS[label] == "eight" else f"a {NUMBERS[label]}"
