"""Classes, values, or both, as directions of the network's output. Lecture rows L80-L95."""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Literal

from train.config.errors import RecipeError
from train.config.task import Task

_TAKES = {
    "separated": {"objective", "seed"},
    "random": {"seed"},
    "one_hot": set(),
    "vectors": {"vectors"},
    "semantic": {"vectors", "objective", "seed"},
}
"""What each kind of prototypes takes of the settings; a file takes nothing."""


@dataclasses.dataclass(frozen=True)
class Prototypes(Task):
    """Where the classes are on the sphere."""

    prototypes: str = "separated"
    """separated, random, one_hot, vectors, semantic (separated in the order of a likeness), or a file of prototypes."""
    objective: Literal["max", "mean"] = "max"
    """What separated prototypes minimise: the largest cosine of all, or the mean of each one's largest."""
    vectors: str | None = None
    """For vectors and semantic: a file of word vectors of the classes' names; for semantic also taxonomy:cifar100."""
    seed: int = 0
    """Of the prototypes, so that runs of other seeds have the same."""

    def ranges(self) -> dict[str, bool]:
        """See `Config`."""
        return {"seed": 0 <= self.seed < 2**32}

    def __post_init__(self) -> None:
        super().__post_init__()
        foreign = {"objective", "vectors", "seed"} - _TAKES.get(self.prototypes, set())
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        unused = [f"task.{name}" for name in sorted(foreign) if getattr(self, name) != defaults[name]]
        if unused:
            listed = ", ".join(unused)
            raise RecipeError(
                f"{self.kind} with {self.prototypes} prototypes has no {listed}: leave out or set the default"
            )


@dataclasses.dataclass(frozen=True)
class SphereClassification(Prototypes):
    """A label an example: the output should point to its class's prototype."""

    kind: ClassVar[str] = "sphere_classification"
    most: ClassVar[Mapping[str, int]] = MappingProxyType({"dims": 2**16})

    dims: int = 0
    """Dimensions of the sphere's space; 0: as many as classes."""

    def ranges(self) -> dict[str, bool]:
        """See `Config`."""
        return {**super().ranges(), "dims": self.dims == 0 or self.dims >= 2}


@dataclasses.dataclass(frozen=True)
class SphereRegression(Task):
    """A number an example: the cosine of the output and the first axis says where between the bounds it is."""

    kind: ClassVar[str] = "sphere_regression"
    most: ClassVar[Mapping[str, int]] = MappingProxyType({"dims": 2**16})

    dims: int = 3
    """Dimensions of the sphere's space."""
    bounds: tuple[float, ...] = ()
    """Lowest and highest value; by default those of the training examples."""

    def ranges(self) -> dict[str, bool]:
        """See `Config`."""
        return {"dims": self.dims >= 2, "bounds": _in_order(self.bounds)}


@dataclasses.dataclass(frozen=True)
class SphereJoint(Prototypes):
    """A label and a number an example, in one space: the first axis is the value's."""

    kind: ClassVar[str] = "sphere_joint"
    most: ClassVar[Mapping[str, int]] = MappingProxyType({"dims": 2**16})

    dims: int = 0
    """Dimensions of the sphere's space; 0: one more than classes."""
    bounds: tuple[float, ...] = ()
    """Lowest and highest value; by default those of the training examples."""

    def ranges(self) -> dict[str, bool]:
        """See `Config`."""
        return {
            **super().ranges(),
            "dims": self.dims == 0 or self.dims >= 3,
            "bounds": _in_order(self.bounds),
        }


def _in_order(bounds: tuple[float, ...]) -> bool:
    return not bounds or (len(bounds) == 2 and bounds[0] < bounds[1])
