"""A few of many examples, chosen while they pass by: what pages keep of a split that they never hold as a whole."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float, Int, UInt8

from train.report.blocks import thumbnail

Kept = Callable[[Int[np.ndarray, " chosen"]], dict[str, np.ndarray]]
"""Gives what `Leading` keeps of those that it chose."""
GOLDEN = (math.sqrt(5) - 1) / 2


class Leading:
    """The examples with the smallest keys, at most `most` of them, in order; of equal keys the earlier row first.

    Which they are does not depend on how the examples were divided into batches or over processes.

    >>> leading = Leading(2)
    >>> values = np.array([7, 8, 9])
    >>> leading.add(np.array([0.5, 0.1, 0.3]), np.arange(3), lambda chosen: {"value": values[chosen]})
    >>> leading.rows.tolist(), leading.values["value"].tolist()
    ([1, 2], [8, 9])
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.keys: Float[np.ndarray, " kept"] = np.zeros(0)
        self.rows: Int[np.ndarray, " kept"] = np.zeros(0, np.int64)
        self.values: dict[str, np.ndarray] = {}
        """What is kept of each, with a leading axis."""

    def __len__(self) -> int:
        return len(self.rows)

    def add(
        self,
        keys: Float[np.ndarray, " n"],
        rows: Int[np.ndarray, " n"],
        values_of: Kept,
    ) -> None:
        """Takes in examples.

        Args:
          keys: what they are ordered by, finite.
          rows: of the source.
          values_of: what to keep of some of them, given by their places; asked for those that lead so far.
        """
        order = np.lexsort((rows, keys))[: self.most]
        if len(self) == self.most > 0:
            key, row = self.keys[-1], self.rows[-1]
            before = (keys[order] < key) | ((keys[order] == key) & (rows[order] < row))
            order = order[before]
        if len(order):
            self._take(keys[order], rows[order], values_of(order))

    def merge(self, other: "Leading") -> None:
        """Takes in the examples that lead elsewhere."""
        if len(other):
            self._take(other.keys, other.rows, other.values)

    def examples(self, by_row: bool = False) -> list[dict[str, Any]]:
        """Each of them, with its "row": in order of the keys, or as they are in the data."""
        order = np.argsort(self.rows) if by_row else range(len(self))
        return [{"row": int(self.rows[i]), **{name: value[i] for name, value in self.values.items()}} for i in order]

    def _take(self, keys: np.ndarray, rows: np.ndarray, values: dict[str, np.ndarray]) -> None:
        keys, rows = np.concatenate([self.keys, keys]), np.concatenate([self.rows, rows])
        if self.values:
            values = {name: np.concatenate([self.values[name], value]) for name, value in values.items()}
        order = np.lexsort((rows, keys))[: self.most]
        self.keys, self.rows = keys[order], rows[order]
        self.values = {name: value[order] for name, value in values.items()}


def spread(rows: Int[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Keys with which `Leading` keeps rows that lie evenly over all, however many there will be.

    They are the fractions of the multiples of the golden ratio. The rows of the smallest have at most three distances
    from one to the next (the three-gap theorem), and keep step with no period of the data, as every tenth row would
    with ten classes in turn.

    >>> np.flatnonzero(spread(np.arange(40)) < 0.2).tolist()
    [0, 5, 10, 13, 18, 26, 31, 34, 39]
    """
    return np.modf(rows * GOLDEN)[0]


def pictured(
    images: UInt8[np.ndarray, "n height width channels"], among: Int[np.ndarray, " m"], **said: np.ndarray
) -> Kept:
    """What `Leading` is to keep of some examples of a batch: "image", as large as it is shown, and what is `said`.

    Args:
      images: of the batch.
      among: the places in the batch that are offered.
      **said: arrays of the whole batch.
    """

    def values_of(chosen: Int[np.ndarray, " chosen"]) -> dict[str, np.ndarray]:
        some = among[chosen]
        reduced = np.stack([thumbnail(image) for image in images[some]])
        return {"image": reduced, **{name: array[some] for name, array in said.items()}}

    return values_of
