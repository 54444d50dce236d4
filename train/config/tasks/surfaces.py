"""What surfaces are like at every pixel: depth, normals, reflectance, shading."""

import dataclasses
from typing import ClassVar, Literal

from train.config.task import Task


@dataclasses.dataclass(frozen=True)
class Surfaces(Task):
    """Predicts maps of the image's size, one or several at once, by a network such as `surfaces_resnet18`."""

    kind: ClassVar[str] = "surfaces"

    maps: tuple[Literal["depth", "normals", "reflectance", "shading"], ...] = (
        "depth",
        "normals",
        "reflectance",
        "shading",
    )
    """Which maps are learned; the first one's error ranks checkpoints."""
    weights: tuple[float, ...] = ()
    """What the loss of each of these maps is multiplied with; none: one."""

    def ranges(self) -> dict[str, bool]:
        """See `Config`."""
        counts = {0, len(self.maps)}
        return {
            "maps": len(set(self.maps)) == len(self.maps) > 0,
            "weights": len(self.weights) in counts and all(0 < weight < float("inf") for weight in self.weights),
        }
