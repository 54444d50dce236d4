"""Optical flow: where each pixel of an image is in the next one."""

import dataclasses
import math
from typing import ClassVar, Literal

from train.config.task import Task


@dataclasses.dataclass(frozen=True)
class Flow(Task):
    """The end-point error of a network that is given two images."""

    kind: ClassVar[str] = "flow"

    loss: Literal["auto", "multi_scale", "sequence", "photometric"] = "auto"
    """What is learned: multi_scale errors of flows from coarse to fine (FlowNet, PWC-Net), those of a sequence of
    whole ones (RAFT), auto: whichever the model gives; photometric: no true flow, but that the second image looks like
    the first where the flow leads."""
    weights: tuple[float, ...] = ()
    """Of multi_scale, from coarse to fine; none: FlowNet's for its five, else twice that of the next finer one."""
    gamma: float = 0.8
    """Of a sequence: what each flow's error counts of the next one's."""
    compare: Literal["census", "charbonnier"] = "census"
    """Of the photometric loss: brightness beside that of neighbours, or colours as they are."""
    smoothness: float = 1.0
    """Of the photometric loss: what a flow that changes where the image does not counts beside it."""

    def ranges(self) -> dict[str, bool]:
        """See `Config`."""
        return {
            "weights": all(0 <= weight < math.inf for weight in self.weights)
            and (not self.weights or sum(self.weights) > 0),
            "gamma": 0 < self.gamma <= 1,
            "smoothness": 0 <= self.smoothness < math.inf,
        }
