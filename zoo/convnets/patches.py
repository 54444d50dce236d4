"""Patches that do not overlap, each made one vector: where ConvNeXt and the transformers begin.

Dosovitskiy et al., 2021, An Image is Worth 16x16 Words. Lecture row L48.
"""

import flax.linen as nn
from jaxtyping import Array, Float

from zoo.nn.network import ModuleMaker


class PatchEmbedding(nn.Module):
    """A convolution whose stride is its window, then a normalisation if there is one. Submodules `conv`, `norm`.

    Rows and columns that fill no patch are left out.
    """

    features: int
    size: int
    """Pixels a side of a patch."""
    conv: ModuleMaker
    """Makes a convolution: `zoo.nn.Conv` with types and initialiser set."""
    norm: ModuleMaker | None = None
    """Makes a normalisation over channels."""

    @nn.compact
    def __call__(self, images: Float[Array, "b h w c"]) -> Float[Array, "b h2 w2 features"]:
        x = self.conv(self.features, (self.size, self.size), strides=self.size, padding=0, name="conv")(images)
        return x if self.norm is None else self.norm(name="norm")(x)
