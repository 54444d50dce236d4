"""Parts of a source: some rows of each class, some of its classes, or more of one class than of another.

Lecture rows L92, L94. Nothing here decodes an image where the source can tell labels without.
"""

import warnings
from collections import Counter
from collections.abc import Sequence
from typing import Literal

import numpy as np
from jaxtyping import Int

from train.config import DataError
from train.data.fields import Kind
from train.data.source import Arrays, ArraySource, Example, Rows, Source, Subset, generator
from zoo.names import unknown


def has_classes(source: Source) -> bool:
    """Whether each example has one label, "label", whose classes have names."""
    field = source.spec.get("label")
    return field is not None and (field.kind, field.shape) == (Kind.LABEL, ()) and bool(source.facts.classes)


def labels_of(source: Source) -> Int[np.ndarray, "rows"]:
    """Every label, without decoding images where the source can."""
    return np.array([source.peek(row, "label") for row in range(len(source))], np.int32)


def check_classes(source: Source, split: Literal["train", "test"]) -> None:
    """Refuses classes that a model cannot learn to tell apart.

    Labels are looked at where they are in memory, and training examples need two of them; of other sources the names
    count. A single class of boxes or pixels is fine: there is what belongs to none.

    Raises:
      DataError: two classes have one name, or all examples are of one class.
    """
    names = source.facts.classes
    if len(set(names)) < len(names):
        (name, count), *_ = Counter(names).most_common(1)
        raise DataError(f"{source.name}: expected class names that differ, found {name!r} {count} times")
    if not has_classes(source):
        return
    found = [*range(len(names))]
    if split == "train" and isinstance(source, ArraySource):
        found = np.unique(source.arrays()["label"])
    if len(found) < 2:
        raise DataError(f"{source.name}: expected examples of two classes or more, found {names[found[0]]!r} alone")


class OfClasses(Subset):
    """The examples of some classes, numbered in the order in which these are named.

    Raises:
      UnknownNameError: there is no such class; the message names the nearest.
      DataError: the source has no classes, a class is named twice, or other fields number classes too.
    """

    def __init__(self, source: Source, class_names: Sequence[str]) -> None:
        if not has_classes(source):
            raise DataError(f"data.classes: {source.name} has no classes")
        for name, field in source.spec.items():
            if name != "label" and field.kind in (Kind.LABEL, Kind.LABEL_MAP, Kind.COLUMNS):
                raise DataError(f"data.classes: no rule for field {name!r} ({field.kind})")
        known = source.facts.classes
        if len(set(class_names)) < len(class_names):
            raise DataError(f"data.classes: expected each class once, got {', '.join(class_names)}")
        for name in class_names:
            if name not in known:
                raise unknown("class", name, known)
        number = {known.index(name): i for i, name in enumerate(class_names)}
        labels = np.array([number.get(int(label), -1) for label in labels_of(source)], np.int32)
        rows = np.flatnonzero(labels >= 0)
        super().__init__(source, rows)
        ids = source.facts.ids and tuple(source.facts.ids[known.index(name)] for name in class_names)
        self.facts = source.facts._replace(classes=tuple(class_names), ids=ids)
        self._labels = labels[rows]

    def change(self, example: Example, row: int) -> Example:
        """The example with its new number."""
        return {**example, "label": self._labels[row]}

    def peek(self, row: int, field: str) -> object:
        """One field of an example."""
        return int(self._labels[row]) if field == "label" else self.source.peek(self._place(row), field)

    def read(self, rows: Rows) -> Arrays:
        """The examples of some rows, stacked."""
        rows = np.asarray(rows)
        return {**self.source.read(self.place(rows)), "label": self._labels[rows]}


def imbalanced_subset(source: Source, fewest: int, most: int, seed: int = 0) -> Source:
    """Some examples of each class: `fewest` of the first, `most` of the last, and evenly more in between.

    Mettes et al., 2019, section 4.1: of the 100 classes of CIFAR-100 2, 4, ..., 200 examples. Which ones depends on
    the seed alone.

    Raises:
      DataError: the source has no classes, or a class has too few examples.
    """
    if not has_classes(source):
        raise DataError(f"data.per_class: {source.name} has no classes")
    wanted = np.linspace(fewest, most, len(source.facts.classes)).round().astype(int)
    labels, chosen = labels_of(source), []
    for label, count in enumerate(wanted):
        rows = np.flatnonzero(labels == label)
        if len(rows) < count:
            name = source.facts.classes[label]
            raise DataError(f"data.per_class: expected {count} examples of {name}, {source.name} has {len(rows)}")
        chosen.append(generator(seed, label).permutation(rows)[:count])
    return Subset(source, np.sort(np.concatenate(chosen)))


def balanced_subset(source: Source, limit: int, seed: int = 0) -> Source:
    """`limit` examples of a source: drawn evenly from the classes, at random where there are none.

    Classes that have too few examples give all they have; the rest is drawn from the others. A limit beyond the source
    takes all of it, with a warning.
    The choice depends on `seed` and `limit` alone, and it reads few more labels than it needs.

    Raises:
      DataError: a limit below 1.
    """
    if limit < 1:
        raise DataError(f"limit={limit}: expected 1 or more")
    if limit > len(source):
        warnings.warn(
            f"data.limit: {limit} is more than the {len(source)} examples of {source.name}: all are taken", stacklevel=2
        )
        return source
    order = generator(seed).permutation(len(source))
    if not has_classes(source):
        return Subset(source, np.sort(order[:limit]))
    count = len(source.facts.classes)
    open_places = np.full(count, limit // count)
    open_places[: limit % count] += 1
    chosen, passed = [], []
    for row in order:
        if len(chosen) == limit:
            break
        label = int(source.peek(int(row), "label"))
        (chosen if open_places[label] > 0 else passed).append(row)
        open_places[label] -= 1
    rows = np.array(chosen + passed[: limit - len(chosen)])
    return Subset(source, np.sort(rows))


_STRATIFIED = 100_000
"""Up to so many examples the classes of all are looked at before some are set aside."""


def set_aside(source: Source, share: float, split: Literal["train", "test"]) -> Source:
    """The training examples of a source without the share that is set aside, or these, which stand for the test.

    Each class gives its share; of more than 100,000 examples, and of those without classes, chance alone decides.
    Parts of one film stay together, and what is set aside has what only a test has, such as crowds. Which examples they
    are depends on the source and the share.

    Raises:
      DataError: one of the two would have no examples.
    """
    count = len(source)
    if count < 2:
        raise DataError(f"data.validation: expected several examples, {source.name} has one to learn from")
    aside = round(share * count)
    if not 0 < aside < count:
        raise DataError(
            f"data.validation: expected a share that sets aside 1 to {count - 1} of the {count} examples to learn from "
            f"in {source.name}, got {share}"
        )
    if has_classes(source) and (count <= _STRATIFIED or source.groups is not None):
        kept, rows = stratified_split(labels_of(source), aside, groups=source.groups)
    else:
        order = generator(0).permutation(count)
        kept, rows = np.sort(order[aside:]), np.sort(order[:aside])
    if not len(rows):
        raise DataError(
            f"data.validation: expected two examples or films of a class in {source.name}, found one of each"
        )
    return Subset(source, kept) if split == "train" else Subset(source.as_measured(), rows)


TEST_FRACTION = 0.2
"""Held out where nobody says how many."""


def held_out_count(count: int, asked: int, name: str) -> int:
    """How many of so many examples are the test: as many as asked, of 0 a fifth.

    Args:
      count: of all examples.
      asked: what the recipe says.
      name: of the source, for messages.

    Raises:
      DataError: none would be left to learn from.

    >>> held_out_count(107, 0, "some"), held_out_count(107, 50, "some")
    (21, 50)
    """
    if asked and asked >= count:
        raise DataError(f"data.held_out: expected fewer than the {count} examples of {name}, got {asked}")
    return asked or round(count * TEST_FRACTION)


def no_held_out_count(asked: int, name: str) -> None:
    """Refuses a number of held-out examples of a source that brings a test of its own.

    Raises:
      DataError: one was asked for.
    """
    if asked:
        raise DataError(f"data.held_out: {name} has a test of its own: expected 0, got {asked}")


def stratified_split(
    labels: Int[np.ndarray, "rows"],
    held_out: int,
    seed: int = 0,
    groups: Int[np.ndarray, "rows"] | None = None,
) -> tuple[Int[np.ndarray, "train"], Int[np.ndarray, "test"]]:
    """Splits rows into train and test, ascending, so that each class gives its share of `held_out` rows.

    Shares are rounded by largest remainder, and every class keeps at least one row for training, which scikit-learn's
    split does not promise. Rows of one class and one of the `groups` stay together: of each class whole groups are
    held out, in random order, until there are as many rows as its share, and at least one group is kept.

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
    groups = np.arange(len(labels)) if groups is None else groups
    test = np.concatenate(
        [_some(np.flatnonzero(labels == c), n, groups, random) for c, n in zip(classes, quota, strict=True)]
    )
    is_test = np.zeros(len(labels), bool)
    is_test[test] = True
    return np.flatnonzero(~is_test), np.flatnonzero(is_test)


def _some(
    rows: Int[np.ndarray, "of_class"], wanted: int, groups: Int[np.ndarray, "rows"], random: np.random.Generator
) -> Int[np.ndarray, "held_out"]:
    """As many rows of a class, or some more: whole groups."""
    if len(np.unique(groups[rows])) == len(rows):
        return random.permutation(rows)[:wanted]
    chosen = np.zeros(0, rows.dtype)
    for group in random.permutation(np.unique(groups[rows]))[:-1]:
        if len(chosen) >= wanted:
            break
        chosen = np.append(chosen, rows[groups[rows] == group])
    return chosen
