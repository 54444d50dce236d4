"""Lines of digits that need no download: several real digits in a row, and which of them each column belongs to.

Digits of scikit-learn's 1797 (see `digits.py`), those of the test held out from training, with gaps between them. The
lines serve a class at every step (lecture row L71): what is read is as long as what is written. All is a function of a
seed and the split.
"""

from typing import Literal

import numpy as np
from jaxtyping import Int, UInt8

from train.data.fields import Facts, Field, Kind
from train.data.source import ArraySource, generator
from train.data.sources.digits import NAMES, load_digits, rows_of

HEIGHT, WIDTH = 8, 48
"""Pixels of a line."""
COUNTS = {"train": 2000, "test": 400}
DIGITS = (2, 5)
"""Of a line, fewest and most."""
GAP = len(NAMES)
"""The class of the columns between digits."""
_SEED = {"train": (11, 0), "test": (11, 1)}

SPEC = {
    "image": Field(Kind.IMAGE, (HEIGHT, WIDTH, 1), "uint8"),
    "tags": Field(Kind.COLUMNS, (WIDTH,), "int32"),
}


def lines(split: Literal["train", "test"]) -> ArraySource:
    """2000 training and 400 test lines, (8, 48, 1), of two to five digits; "tags" has a class for each column.

    The eleventh class is the gap. Columns of a digit are the eight that its image has, empty ones at its sides too.
    """
    images, labels = load_digits()
    rows, random = rows_of(labels, split), generator(*_SEED[split])
    drawn = [line(random, images, labels, rows) for _ in range(COUNTS[split])]
    arrays = {"image": np.stack([image for image, _ in drawn]), "tags": np.stack([tags for _, tags in drawn])}
    return ArraySource("lines", arrays, SPEC, Facts((*NAMES, "gap")))


def line(
    random: np.random.Generator,
    images: UInt8[np.ndarray, "n height side"],
    labels: Int[np.ndarray, " n"],
    rows: Int[np.ndarray, " some"],
) -> tuple[UInt8[np.ndarray, "height width 1"], Int[np.ndarray, " width"]]:
    """One line, and the class of each of its columns.

    Args:
      random: decides all.
      images: digits.
      labels: theirs.
      rows: which of them may be drawn.
    """
    side = images.shape[-1]
    chosen = random.choice(rows, size=random.integers(DIGITS[0], DIGITS[1] + 1))
    free = WIDTH - side * len(chosen)
    cuts = np.sort(random.integers(0, free + 1, size=len(chosen)))  # the gaps before each digit, added up
    picture, tags = np.zeros((HEIGHT, WIDTH, 1), np.uint8), np.full(WIDTH, GAP, np.int32)
    for number, (row, before) in enumerate(zip(chosen, cuts, strict=True)):
        columns = slice(before + side * number, before + side * (number + 1))
        picture[:, columns, 0], tags[columns] = images[row], labels[row]
    return picture, tags
