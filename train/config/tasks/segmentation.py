"""A class for every pixel."""

import dataclasses
import math
from typing import ClassVar, Literal

from train.config.task import Task


@dataclasses.dataclass(frozen=True)
class Segmentation(Task):
    """Softmax cross entropy of each pixel, or another loss; by a network for segmentation, or by a head on any."""

    kind: ClassVar[str] = "segmentation"

    maps: tuple[str, ...] = ()
    """Names of the model's maps that the fully convolutional head scores, such as stage3; none: the last of each size.
    A network that itself predicts pixels, such as unet_same, has no such head."""
    loss: Literal["cross_entropy", "hard_cross_entropy", "focal", "dice", "squared"] = "cross_entropy"
    """hard_cross_entropy learns from each image's hard pixels alone (OHEM); squared is the slide's (E19)."""
    class_weights: tuple[float, ...] = ()
    """What a pixel of each class weighs in the cross entropy; by default one."""
    balanced: bool = False
    """Weigh classes by their median frequency over their own, as SegNet does."""
    auxiliary: float = 0.5
    """The weight of the loss of an auxiliary head, of networks that have one."""
    scales: tuple[float, ...] = ()
    """Factors by which images are resized at evaluation, where the probabilities of all sizes are averaged; none: 1."""
    flips: bool = False
    """See images mirrored too at evaluation, and average."""
    window: int = 0
    """Pixels a side of the windows in which evaluation sees an image, one after the other; 0: whole."""
    overlap: int = 0
    """Pixels that neighbouring windows have in common, at least."""
    trimap: int = 0
    """Measure the mean IoU of the pixels at most so many pixels from another true class, too; 0: not."""

    def ranges(self) -> dict[str, bool]:
        """See `Config`."""
        return {
            "maps": len(set(self.maps)) == len(self.maps) and all(self.maps),
            "class_weights": not self.class_weights
            or (min(self.class_weights) >= 0 < max(self.class_weights) and self.loss == "cross_entropy"),
            "balanced": not self.balanced or (self.loss == "cross_entropy" and not self.class_weights),
            "auxiliary": 0 <= self.auxiliary < math.inf,
            "scales": all(0 < scale < math.inf for scale in self.scales),
            "window": self.window >= 0,
            "overlap": 0 <= self.overlap < max(self.window, 1),
            "trimap": self.trimap >= 0,
        }
