"""Video Swin transformer: attention within windows of frames, rows and columns, which every second block shifts.

Liu et al., 2022, Video Swin Transformer, as in torchvision/models/video/swin_transformer.py. Lecture row L51.
"""

from collections.abc import Mapping

import flax.linen as nn
from jaxtyping import Array, Float

from zoo.convnets.shifted_windows import padded
from zoo.convnets.swin import SwinTransformer
from zoo.nn.checks import CLIP_AXES, check_images

PATCH = (2, 4, 4)
"""Frames, and pixels of height and width, of a patch."""


class VideoSwin(SwinTransformer):
    """Patches of 2x4x4, four stages of blocks each of half the height and width of the last, and a classifier.

    Swin3D-T as it stands; the fields make the others. Clips of any size: what fills no patch, no window or no pair of
    rows and columns is padded with zeros at the far side; a window has no more places along an axis than the map.
    """

    num_classes: int = 400
    """Outputs; 0 gives the pooled features instead of logits."""
    window: tuple[int, ...] = (8, 7, 7)
    """Patches along time, height and width of a window. Where height or width is smaller, relative positions are those
    of a window's first places in reading order, as in torchvision, so that rows get mixed up."""
    drop_path: float = 0.1
    """The share of clips that skip the last block in training, evenly less for those before; stream "dropout"."""

    @nn.compact
    def __call__(
        self, clips: Float[Array, "batch time height width channels"], train: bool = False, features: bool = False
    ) -> Float[Array, "batch outputs"] | Mapping[str, Float[Array, "batch ..."]]:
        """Logits, float32; with `features` all named features: stem, stage1-4, pre_logits and logits.

        All maps have half as many frames as the clip; the features of stem and stage1 are at a quarter of its height
        and width, the last stage's at 1/32.

        Raises:
          ValueError: clips of the wrong rank or of no size, depths and heads of different numbers of stages, or
            channels that cannot be cut in equal heads.
        """
        check_images(clips, "VideoSwin", 1, CLIP_AXES, "clips")
        return self._classified(padded(clips, PATCH), PATCH, train, features)
