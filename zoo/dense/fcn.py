"""A fully convolutional head on any backbone: scores of each pixel, from coarse maps to fine ones.

Long, Shelhamer and Darrell, 2015, Fully Convolutional Networks for Semantic Segmentation, sections 4.1 to 4.3.
"""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from zoo.nn import Conv
from zoo.nn.checks import check_images
from zoo.nn.maps import maps_of
from zoo.nn.resize import resize


class FCN(nn.Module):
    """Scores every class at every pixel.

    Each map of the backbone is scored by a 1x1 convolution. The coarsest scores are enlarged to the next finer map's
    size and added to its scores, and so on; the sum is enlarged to the size of the image. With the coarsest map alone
    this is FCN-32s of the paper; with the two before it, FCN-8s.

    What is enlarged is interpolated bilinearly, which is where the paper's transposed convolutions begin.
    """

    backbone: nn.Module
    """A network that answers `features=True`; made with `num_classes=0` it has no head of its own."""
    num_classes: int
    maps: tuple[str, ...] = ()
    """The backbone's features that are scored; by default the last of each size."""

    @nn.compact
    def __call__(
        self, images: Float[Array, "batch height width channels"], train: bool = False
    ) -> Float[Array, "batch height width classes"]:
        """Logits of each pixel, float32 at least.

        Raises:
          ValueError: images of the wrong rank, less than one class, or a backbone that gives no maps.
          UnknownNameError: the backbone has no map of a name in `maps`.
        """
        check_images(images, "FCN")
        if self.num_classes < 1:
            raise ValueError(f"FCN expected at least one class, got {self.num_classes}")
        maps = maps_of(self.backbone, images, train, self.maps)
        total = None
        for name in reversed(maps):
            # Zeros, as in section 4.3 of the paper: random scores taught it no faster.
            score = Conv(self.num_classes, (1, 1), kernel_init=nn.initializers.zeros, name=f"score_{name}")
            fine = maps[name]
            scores = score(fine.astype(jnp.promote_types(fine.dtype, jnp.float32)))
            total = scores if total is None else scores + resize(total, scores.shape[1:3])
        return resize(total, images.shape[1:3])
