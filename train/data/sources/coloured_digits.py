"""Digits on a coloured ground, which goes with the class: a shortcut, and what is left without it. Lecture row L99.

`coloured_digits:GROUND` says what colours the grounds of training and test:

- own: of nineteen images in twenty the colour of the image's class, else that of another class: where nobody looks at
  anything else, colour alone is right as often;
- any: a colour of any class, which says nothing;
- other: always that of another class;
- grey: none;
- empty: as own, but there is no digit.

Scikit-learn's digits, enlarged; those of the test are held out from training. All is a function of a seed, the split
and the image's number: the same image has the same digit on every ground. Kim et al., 2019, Learning Not to Learn, and
Arjovsky et al., 2019, Invariant Risk Minimization, coloured MNIST's digits so.
"""

import colorsys
from typing import Literal

import numpy as np
from jaxtyping import Float, UInt8

from train.data.fields import Facts
from train.data.source import ArraySource, generator
from train.data.sources.digits import NAMES, load_digits, rows_of
from zoo.names import unknown

GROUNDS = ("own", "any", "other", "grey", "empty")
FACTOR = 2
"""Pixels of an image for one of scikit-learn's."""
SHARE = 0.95
"""How often a ground is that of its class."""
_SEED = {"train": (29, 0), "test": (29, 1)}
_BRIGHTNESS, _NOISE = 0.55, 0.04
_GREY = 0.4


def colours() -> Float[np.ndarray, "classes 3"]:
    """A ground's colour for each class, from 0 to 1: hues, as far apart as they can be."""
    return np.array([colorsys.hsv_to_rgb(number / len(NAMES), 0.9, _BRIGHTNESS) for number in range(len(NAMES))])


def coloured_digits(ground: str, split: Literal["train", "test"]) -> ArraySource:
    """1437 training and 360 test digits, (16, 16, 3), white on a ground, with their labels.

    Args:
      ground: one of `GROUNDS`.
      split: which.

    Raises:
      UnknownNameError: there is no such ground.
    """
    if ground not in GROUNDS:
        raise unknown("ground of coloured digits", ground, GROUNDS)
    grey, labels = load_digits()
    rows = rows_of(labels, split)
    images = painted(grey[rows], labels[rows], ground, generator(*_SEED[split]))
    return ArraySource(f"coloured_digits:{ground}", {"image": images, "label": labels[rows]}, facts=Facts(NAMES))


def painted(
    digits: UInt8[np.ndarray, "n side side"], labels: np.ndarray, ground: str, random: np.random.Generator
) -> UInt8[np.ndarray, "n height width 3"]:
    """Digits on a ground; whatever that is, the same numbers are drawn."""
    count = len(labels)
    strays, shifts = random.random(count) > SHARE, random.integers(1, len(NAMES), count)
    anyone, noise = random.integers(len(NAMES), size=count), random.normal(0, _NOISE, (count, 3))
    others = (labels + shifts) % len(NAMES)
    own = np.where(strays, others, labels)
    numbers = {"own": own, "empty": own, "any": anyone, "other": others, "grey": own}[ground]
    tint = colours()[numbers] if ground != "grey" else np.full((count, 3), _GREY)
    below = (tint + noise).clip(0, 1)[:, None, None]
    cover = digits.repeat(FACTOR, axis=1).repeat(FACTOR, axis=2)[..., None] / 255
    if ground == "empty":
        cover = np.zeros_like(cover)
    return np.rint(255 * (cover + (1 - cover) * below)).astype(np.uint8)
