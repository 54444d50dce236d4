"""What hyperspherical prototypes are compared with: a fixed matrix, angular margins, moving means. Lecture row L89."""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

from train.config.task import Task


@dataclasses.dataclass(frozen=True)
class MaxSeparation(Task):
    """Softmax cross entropy after a fixed matrix, whose rows are the corners of a simplex."""

    kind: ClassVar[str] = "max_separation"


@dataclasses.dataclass(frozen=True)
class Embedding(Task):
    """An embedding of the examples."""

    most: ClassVar[Mapping[str, int]] = MappingProxyType({"dims": 2**16})

    dims: int = 0
    """Dimensions of the embedding; 0: as many as classes."""

    def ranges(self) -> dict[str, bool]:
        """See `Config`."""
        return {"dims": self.dims == 0 or self.dims >= 2}


@dataclasses.dataclass(frozen=True)
class CosFace(Embedding):
    """Softmax cross entropy of scaled cosines, the own class's less a margin."""

    kind: ClassVar[str] = "cosface"


@dataclasses.dataclass(frozen=True)
class ArcFace(Embedding):
    """Softmax cross entropy of scaled cosines, the own class's angle more by a margin."""

    kind: ClassVar[str] = "arcface"


@dataclasses.dataclass(frozen=True)
class SphereFace(Embedding):
    """Softmax cross entropy of cosines, the own class's angle several times as large."""

    kind: ClassVar[str] = "sphereface"


@dataclasses.dataclass(frozen=True)
class ClassMeans(Embedding):
    """Cross entropy of the distances to the means of the classes in a batch; afterwards to their moving means."""

    kind: ClassVar[str] = "class_means"
