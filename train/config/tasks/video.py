"""A class or a number for a video. Lecture rows L49-L54."""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Literal

from train.config.task import Task

Sees = Literal["clip", "frame", "flow", "frame_and_flow"]


@dataclasses.dataclass(frozen=True)
class VideoClassification(Task):
    """Softmax cross entropy of each clip; at evaluation the probabilities of a video's clips are averaged."""

    kind: ClassVar[str] = "video_classification"

    sees: Sees = "clip"
    """What the network is given: clip, all frames, as 3D networks are; frame, one of them, as spatial streams are,
    another each time in training; flow, a stack of the flow between the frames, as temporal streams are (needs
    --data.flow); frame_and_flow, both, as two-stream networks are."""
    mean_flow: bool = False
    """Subtract from each flow field its mean, so that a camera that moves counts less."""
    label_smoothing: float = 0.0
    """Share of the target spread evenly over all classes, in [0, 1)."""

    def ranges(self) -> dict[str, bool]:
        """See `Config`."""
        return {"label_smoothing": 0 <= self.label_smoothing < 1}


@dataclasses.dataclass(frozen=True)
class VideoRegression(Task):
    """Squared error of one number a video; at evaluation the predictions of its clips are averaged."""

    kind: ClassVar[str] = "video_regression"
    most: ClassVar[Mapping[str, int]] = MappingProxyType({"dims": 2**16})

    sees: Sees = "clip"
    """What the network is given: clip, frame, flow or frame_and_flow, as in video_classification."""
    mean_flow: bool = False
    """Subtract from each flow field its mean, so that a camera that moves counts less."""
    dims: int = 0
    """Outputs of the network, of which one more linear layer makes the number; 0: the network gives it itself."""
    standardise: bool = True
    """Whether (value - mean) / deviation is learned, or the value in its own unit."""

    def ranges(self) -> dict[str, bool]:
        """See `Config`."""
        return {"dims": self.dims == 0 or self.dims >= 2}
