"""Parts of a source: some of its classes, or more examples of one class than of another. Lecture rows L92, L94."""

from collections.abc import Sequence

import numpy as np

from train.data.errors import DataError
from train.data.source import Arrays, Source, Subset, generator
from zoo.names import unknown


class OfClasses(Source):
    """The examples of some classes, numbered in the order in which these are named.

    Raises:
      UnknownNameError: there is no such class; the message names the nearest.
      DataError: the source has no classes, or a class is named twice.
    """

    def __init__(self, source: Source, class_names: Sequence[str]) -> None:
        if not source.class_names:
            raise DataError(f"data.classes: {source.name} has no classes")
        if len(set(class_names)) < len(class_names):
            raise DataError(f"data.classes: expected each class once, got {', '.join(class_names)}")
        for name in class_names:
            if name not in source.class_names:
                raise unknown("class", name, source.class_names)
        self.name, self.class_names = source.name, tuple(class_names)
        self.image_shape, self.target_unit = source.image_shape, source.target_unit
        number = {source.class_names.index(name): i for i, name in enumerate(class_names)}
        labels = labels_of(source)
        self._labels = np.array([number.get(int(label), -1) for label in labels], np.int32)
        self._rows = np.flatnonzero(self._labels >= 0)
        self._labels = self._labels[self._rows]
        self._source = source

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, row: int) -> Arrays:
        return {**self._source[int(self._rows[row])], "label": self._labels[row]}

    def label(self, row: int) -> int:
        """The label of one example."""
        return int(self._labels[row])

    def read(self, rows: Sequence[int]) -> Arrays:
        """The examples of some rows, stacked."""
        rows = np.asarray(rows)
        return {**self._source.read(self._rows[rows]), "label": self._labels[rows]}


def labels_of(source: Source) -> np.ndarray:
    """Every label, without decoding images where the source can."""
    return np.array([source.label(row) for row in range(len(source))], np.int32)


def imbalanced_subset(source: Source, fewest: int, most: int, seed: int = 0) -> Source:
    """Some examples of each class: `fewest` of the first, `most` of the last, and evenly more in between.

    Mettes et al., 2019, section 4.1: of the 100 classes of CIFAR-100 2, 4, ..., 200 examples. Which ones depends on
    the seed alone.

    Raises:
      DataError: the source has no classes, or a class has too few examples.
    """
    if not source.class_names:
        raise DataError(f"data.per_class: {source.name} has no classes")
    wanted = np.linspace(fewest, most, len(source.class_names)).round().astype(int)
    labels, chosen = labels_of(source), []
    for label, count in enumerate(wanted):
        rows = np.flatnonzero(labels == label)
        if len(rows) < count:
            name = source.class_names[label]
            raise DataError(f"data.per_class: expected {count} examples of {name}, {source.name} has {len(rows)}")
        chosen.append(generator(seed, label).permutation(rows)[:count])
    return Subset(source, np.sort(np.concatenate(chosen)))
