"""One number an example, alone or beside a label, by squared error. Lecture rows L93, L95: the baselines."""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

from train.config.task import Task


@dataclasses.dataclass(frozen=True)
class Regression(Task):
    """Squared error of one number an example."""

    kind: ClassVar[str] = "regression"
    most: ClassVar[Mapping[str, int]] = MappingProxyType({"dims": 2**16})

    dims: int = 0
    """Outputs of the network, of which one more linear layer makes the number; 0: the network gives it itself."""
    standardise: bool = True
    """Whether (value - mean) / deviation is learned, or the value in its own unit."""

    def ranges(self) -> dict[str, bool]:
        """See `Config`."""
        return {"dims": self.dims == 0 or self.dims >= 2}


@dataclasses.dataclass(frozen=True)
class Joint(Task):
    """A label and a number an example: cross entropy and squared error, with equal weights."""

    kind: ClassVar[str] = "joint"

    standardise: bool = True
    """Whether (value - mean) / deviation is learned, or the value in its own unit."""
