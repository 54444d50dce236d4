"""What a source is: examples by row number, with a spec that says what is in them; and what wraps a source."""

import abc
import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from train.config import DataError
from train.data.fields import NO_FACTS, Facts, Field, Kind, Spec

Example = dict[str, Any]
"""The fields of one example, of whatever size they have."""
Arrays = dict[str, np.ndarray]
"""The fields of several examples, each with a leading axis, padded to one size; with NAME_valid for padded fields."""
Rows = Sequence[int] | Int[np.ndarray, "batch"]
"""Numbers of examples in a source, from zero on."""

_CHUNK = 1000  # examples that `arrays` reads at a time


class Source(abc.ABC):
    """Random access to examples.

    A source can be pickled, so that worker processes can read it.
    """

    name: str
    """What it was loaded as, for messages and reports."""
    spec: Spec
    """The fields of an example."""
    facts: Facts
    """What they mean."""
    varies: bool = False
    """Whether the examples of one row differ from epoch to epoch, see `varied`."""

    @property
    def sizes(self) -> Int[np.ndarray, "rows 2"] | None:
        """Height and width of each image, of sources that know them without opening it."""
        return None

    @property
    def buckets(self) -> Int[np.ndarray, "rows"] | None:
        """Where examples have several sizes: which of them each has; a batch is of one."""
        return None

    @property
    def groups(self) -> Int[np.ndarray, "rows"] | None:
        """Which rows of a class are parts of one thing, such as a film, and are held out together; None: none are."""
        return None

    def as_measured(self) -> "Source":
        """The same examples with what nobody learns from, such as crowds, of sources that leave it out in training."""
        return self

    @abc.abstractmethod
    def __len__(self) -> int:
        """The number of examples."""

    @abc.abstractmethod
    def __getitem__(self, row: int) -> Example:
        """One example."""

    def peek(self, row: int, field: str) -> Any:
        """One field of an example; sources that can tell without decoding the rest do."""
        return self[row][field]

    def examples(self, rows: Rows) -> list[Example]:
        """Some examples, one after the other; sources that fetch several at once override it."""
        return [self[int(row)] for row in rows]

    def read(self, rows: Rows) -> Arrays:
        """The examples of some rows, stacked."""
        return stacked(self.examples(rows), self.spec)

    def variants(self, rows: Rows, seed: int, epoch: int) -> list[Example]:
        """Some examples as a run of this seed sees them in this epoch."""
        return self.examples(rows)

    def varied(self, rows: Rows, seed: int, epoch: int) -> Arrays:
        """The same, stacked."""
        return stacked(self.variants(rows, seed, epoch), self.spec) if self.varies else self.read(rows)

    def reading(self, names: Sequence[str]) -> "Source":
        """The same for who reads these fields alone: without others that take long, of sources that have such."""
        return self

    def arrays(self) -> Arrays:
        """All examples, stacked: reads and decodes the whole source each time."""
        chunks = [range(first, min(first + _CHUNK, len(self))) for first in range(0, len(self), _CHUNK)]
        parts = [self.read(chunk) for chunk in chunks]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def stacked(examples: Sequence[Example], spec: Spec) -> Arrays:
    """Examples as one, each field with a leading axis.

    Raises:
      DataError: an example has more of something than its field's `most`.
    """
    arrays: Arrays = {}
    for name, field in spec.items():
        values = [np.asarray(example[name], field.dtype) for example in examples]
        if field.most:
            arrays[name], arrays[f"{name}_valid"] = _padded(name, values, field)
        else:
            arrays[name] = np.stack(values)
    return arrays


def _padded(name: str, values: list[np.ndarray], field: Field) -> tuple[np.ndarray, Bool[np.ndarray, "batch most"]]:
    (most,) = field.most
    padded = np.zeros((len(values), most, *values[0].shape[1:]), field.dtype)
    valid = np.zeros((len(values), most), bool)
    for row, value in enumerate(values):
        if len(value) > most:
            raise DataError(f"{name}: expected at most {most} in an example, found {len(value)}")
        padded[row, : len(value)] = value
        valid[row, : len(value)] = True
    return padded, valid


class ArraySource(Source):
    """A source whose examples are in memory, of one size or padded to one.

    Args:
      name: for messages.
      arrays: each field with a leading axis of examples; NAME_valid beside a field that is padded.
      spec: what they are; by default that of images with labels (integers) and targets (numbers).
      facts: what they mean.

    >>> source = ArraySource("two", {"image": np.zeros((2, 8, 8, 1), np.uint8), "label": np.arange(2)})
    >>> len(source), source.spec["image"].shape, int(source[1]["label"])
    (2, (8, 8, 1), 1)
    """

    def __init__(self, name: str, arrays: Arrays, spec: Spec | None = None, facts: Facts = NO_FACTS) -> None:
        self.name = name
        self.spec = spec_of(arrays) if spec is None else spec
        self.facts = facts
        self._arrays = arrays

    def __len__(self) -> int:
        return len(next(iter(self._arrays.values())))

    def __getitem__(self, row: int) -> Example:
        return {name: self.peek(row, name) for name in self.spec}

    def peek(self, row: int, field: str) -> Any:
        """One field of an example, without its padding."""
        value = self._arrays[field][row]
        return value[self._arrays[f"{field}_valid"][row]] if self.spec[field].most else value

    def read(self, rows: Rows) -> Arrays:
        """The examples of some rows, stacked."""
        return {name: array[np.asarray(rows)] for name, array in self._arrays.items()}

    def arrays(self) -> Arrays:
        """All examples: the arrays themselves."""
        return self._arrays


_KINDS = {"image": Kind.IMAGE, "label": Kind.LABEL, "target": Kind.VALUE}


def spec_of(arrays: Arrays) -> Spec:
    """The spec of arrays that are named as usual: image, label, target.

    >>> spec_of({"target": np.zeros(3, np.float32)})["target"]
    Field(kind=<Kind.VALUE: 'value'>, shape=(), dtype='float32', most=())
    """
    return {name: Field(_KINDS[name], array.shape[1:], array.dtype.name) for name, array in arrays.items()}


class Wrapped(Source):
    """Another source with something changed: it forwards everything, and a subclass overrides one method.

    A selection overrides `place`; what changes examples overrides `change`, and says so in `spec` or `facts`.
    """

    def __init__(self, source: Source, spec: Spec | None = None, facts: Facts | None = None) -> None:
        self.source = source
        self.name = source.name
        self.spec = source.spec if spec is None else spec
        self.facts = source.facts if facts is None else facts
        self.varies = source.varies

    @property
    def sizes(self) -> Int[np.ndarray, "rows 2"] | None:
        """Those of the source, unless examples are changed."""
        return None if self._changes or self.source.sizes is None else self.source.sizes[self._places()]

    @property
    def buckets(self) -> Int[np.ndarray, "rows"] | None:
        """Those of the source."""
        return None if self.source.buckets is None else self.source.buckets[self._places()]

    @property
    def groups(self) -> Int[np.ndarray, "rows"] | None:
        """Those of the source."""
        return None if self.source.groups is None else self.source.groups[self._places()]

    def as_measured(self) -> Source:
        """See `Source`."""
        other = copy.copy(self)
        other.source = self.source.as_measured()
        return other

    def place(self, rows: Int[np.ndarray, "batch"]) -> Int[np.ndarray, "batch"]:
        """The rows of the source that some rows of this one are."""
        return rows

    def change(self, example: Example, row: int) -> Example:
        """What becomes of an example; `row` is that of this source."""
        return example

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, row: int) -> Example:
        return self.change(self.source[self._place(row)], row)

    def peek(self, row: int, field: str) -> Any:
        """One field of an example."""
        return self[row][field] if self._changes else self.source.peek(self._place(row), field)

    def examples(self, rows: Rows) -> list[Example]:
        """Some examples."""
        found = self.source.examples(self.place(np.asarray(rows)))
        return [self.change(example, int(row)) for example, row in zip(found, rows, strict=True)]

    def read(self, rows: Rows) -> Arrays:
        """The examples of some rows, stacked."""
        return super().read(rows) if self._changes else self.source.read(self.place(np.asarray(rows)))

    def variants(self, rows: Rows, seed: int, epoch: int) -> list[Example]:
        """Some examples as a run of this seed sees them in this epoch."""
        found = self.source.variants(self.place(np.asarray(rows)), seed, epoch)
        return [self.change(example, int(row)) for example, row in zip(found, rows, strict=True)]

    @property
    def _changes(self) -> bool:
        return type(self).change is not Wrapped.change

    def _places(self) -> Int[np.ndarray, "rows"]:
        return self.place(np.arange(len(self)))

    def _place(self, row: int) -> int:
        return int(self.place(np.asarray(row)))


class OfFields(Wrapped):
    """Some fields of another source; the others are not read where the source can leave them out."""

    def __init__(self, source: Source, names: Sequence[str]) -> None:
        super().__init__(source.reading(names), {name: source.spec[name] for name in names})

    def change(self, example: Example, row: int) -> Example:
        """The example with these fields alone."""
        return {name: example[name] for name in self.spec}

    def peek(self, row: int, field: str) -> Any:
        """One field of an example."""
        return self.source.peek(row, field)

    def read(self, rows: Rows) -> Arrays:
        """The examples of some rows, stacked."""
        return self._kept(self.source.read(rows))

    def arrays(self) -> Arrays:
        """All examples."""
        return self._kept(self.source.arrays())

    def _kept(self, arrays: Arrays) -> Arrays:
        return {name: array for name, array in arrays.items() if name.removesuffix("_valid") in self.spec}


class Subset(Wrapped):
    """Some rows of another source, in the order given."""

    def __init__(self, source: Source, rows: Int[np.ndarray, "rows"]) -> None:
        super().__init__(source)
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def place(self, rows: Int[np.ndarray, "batch"]) -> Int[np.ndarray, "batch"]:
        """The rows of the source."""
        return self._rows[rows]

    def reading(self, names: Sequence[str]) -> Source:
        """The same rows for who reads these fields alone; a subclass, which may need others, stays as it is."""
        return Subset(self.source.reading(names), self._rows) if type(self) is Subset else self


def in_memory(source: Source) -> ArraySource:
    """The same source, decoded once."""
    if isinstance(source, ArraySource):
        return source
    return ArraySource(source.name, source.arrays(), source.spec, source.facts)


def generator(*seeds: int) -> np.random.Generator:
    """A numpy generator whose algorithm is fixed by name, unlike `default_rng`'s."""
    return np.random.Generator(np.random.PCG64(seeds))


def bytes_of(source: Source) -> float:
    """How much memory all examples take, decoded; infinite where sizes vary without a limit."""
    total = 0.0
    for field in source.spec.values():
        sizes = [np.inf if size is None else size for size in field.padded]
        total += float(np.prod(sizes, initial=1.0)) * np.dtype(field.dtype).itemsize
    return total * len(source)
