"""What a source is: examples by row number, and the tools that every source shares."""

import abc
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int
from PIL import Image

from train.data.errors import DataError

Arrays = dict[str, np.ndarray]

_CHUNK = 1000  # examples that `arrays` reads at a time


class Source(abc.ABC):
    """Random access to examples: "image" (uint8, H W C) with "label" (int32) or "target" (float32).

    A source can be pickled, so that worker processes can read it.
    """

    name: str
    """What it was loaded as, for messages and reports."""
    class_names: tuple[str, ...]
    """The name of each label; empty when the examples have none."""
    image_shape: tuple[int, int, int]
    """Height, width and channels, the same for every example; zeros where sizes differ, as `Framed` allows."""
    target_unit: str = ""
    """What a "target" is measured in, such as degrees; empty when nobody said."""

    @abc.abstractmethod
    def __len__(self) -> int:
        """The number of examples."""

    @abc.abstractmethod
    def __getitem__(self, row: int) -> Arrays:
        """One example."""

    def label(self, row: int) -> int:
        """The label of one example; sources that can tell without decoding the image do."""
        return int(self[row]["label"])

    def pictured(self, row: int) -> tuple[Image.Image, Arrays]:
        """One example's image as Pillow has it, RGB and of whatever size, and what else there is of it."""
        example = dict(self[row])
        pixels = example.pop("image")
        return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).convert("RGB"), example

    def read(self, rows: Sequence[int] | Int[np.ndarray, "batch"]) -> Arrays:
        """The examples of some rows, stacked."""
        return stacked([self[int(row)] for row in rows])

    def arrays(self) -> Arrays:
        """All examples, stacked: reads and decodes the whole source each time."""
        chunks = [range(first, min(first + _CHUNK, len(self))) for first in range(0, len(self), _CHUNK)]
        parts = [self.read(chunk) for chunk in chunks]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def stacked(examples: Sequence[Arrays]) -> Arrays:
    """Examples as one, each array with a leading axis."""
    return {name: np.stack([example[name] for example in examples]) for name in examples[0]}


class ArraySource(Source):
    """A source whose examples are in memory.

    >>> source = ArraySource("two", {"image": np.zeros((2, 8, 8, 1), np.uint8), "label": np.arange(2)}, ("a", "b"))
    >>> len(source), source.image_shape, int(source[1]["label"])
    (2, (8, 8, 1), 1)
    """

    def __init__(self, name: str, arrays: Arrays, class_names: tuple[str, ...] = (), target_unit: str = "") -> None:
        self.name = name
        self.class_names = class_names
        self.target_unit = target_unit
        self.image_shape = arrays["image"].shape[1:]
        self._arrays = arrays

    def __len__(self) -> int:
        return len(self._arrays["image"])

    def __getitem__(self, row: int) -> Arrays:
        return {name: array[row] for name, array in self._arrays.items()}

    def read(self, rows: Sequence[int] | Int[np.ndarray, "batch"]) -> Arrays:
        """The examples of some rows, stacked."""
        return {name: array[np.asarray(rows)] for name, array in self._arrays.items()}

    def arrays(self) -> Arrays:
        """All examples: the arrays themselves."""
        return self._arrays


class Subset(Source):
    """Some rows of another source, in the order given."""

    def __init__(self, source: Source, rows: Int[np.ndarray, "rows"]) -> None:
        self.name = source.name
        self.class_names = source.class_names
        self.target_unit = source.target_unit
        self.image_shape = source.image_shape
        self._source = source
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, row: int) -> Arrays:
        return self._source[int(self._rows[row])]

    def label(self, row: int) -> int:
        """The label of one example."""
        return self._source.label(int(self._rows[row]))

    def pictured(self, row: int) -> tuple[Image.Image, Arrays]:
        """One example's image as Pillow has it, and the rest."""
        return self._source.pictured(int(self._rows[row]))

    def read(self, rows: Sequence[int] | Int[np.ndarray, "batch"]) -> Arrays:
        """The examples of some rows, stacked."""
        return self._source.read(self._rows[np.asarray(rows)])


def in_memory(source: Source) -> ArraySource:
    """The same source, decoded once."""
    if isinstance(source, ArraySource):
        return source
    return ArraySource(source.name, source.arrays(), source.class_names, source.target_unit)


def generator(*seeds: int) -> np.random.Generator:
    """A numpy generator whose algorithm is fixed by name, unlike `default_rng`'s."""
    return np.random.Generator(np.random.PCG64(seeds))


def stratified_split(
    labels: Int[np.ndarray, "rows"], held_out: int, seed: int = 0
) -> tuple[Int[np.ndarray, "train"], Int[np.ndarray, "test"]]:
    """Splits rows into train and test, ascending, so that each class gives its share of `held_out` rows.

    Shares are rounded by largest remainder, and every class keeps at least one row for training.

    >>> stratified_split(np.array([0, 0, 0, 0, 1, 1]), held_out=3)[1].shape
    (3,)
    """
    classes, counts = np.unique(labels, return_counts=True)
    share = counts * held_out / len(labels)
    quota = np.minimum(np.floor(share).astype(int), counts - 1)
    remainder = np.where(quota < counts - 1, share - quota, -1.0)
    quota[np.argsort(-remainder, kind="stable")[: held_out - quota.sum()]] += 1
    quota = np.minimum(quota, counts - 1)
    random = generator(seed)
    test = np.concatenate(
        [random.permutation(np.flatnonzero(labels == c))[:n] for c, n in zip(classes, quota, strict=True)]
    )
    is_test = np.zeros(len(labels), bool)
    is_test[test] = True
    return np.flatnonzero(~is_test), np.flatnonzero(is_test)


def balanced_subset(source: Source, limit: int, seed: int = 0) -> Source:
    """`limit` examples of a source: drawn evenly from the classes, at random where there are none.

    Classes that have too few examples give all they have; the rest is drawn from the others.
    The choice depends on `seed` and `limit` alone, and it reads few more labels than it needs.

    Raises:
      DataError: the source has fewer than `limit` examples.
    """
    if not 1 <= limit <= len(source):
        raise DataError(f"limit={limit}: expected 1 to {len(source)}, the size of {source.name}")
    order = generator(seed).permutation(len(source))
    if not source.class_names:
        return Subset(source, np.sort(order[:limit]))
    count = len(source.class_names)
    open_places = np.full(count, limit // count)
    open_places[: limit % count] += 1
    chosen, passed = [], []
    for row in order:
        if len(chosen) == limit:
            break
        label = source.label(int(row))
        (chosen if open_places[label] > 0 else passed).append(row)
        open_places[label] -= 1
    rows = np.array(chosen + passed[: limit - len(chosen)])
    return Subset(source, np.sort(rows))
