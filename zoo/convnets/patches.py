"""Patches that do not overlap, each made one vector: where ConvNeXt and the transformers begin.

Dosovitskiy et al., 2021, An Image is Worth 16x16 Words. Lecture row L48.
"""

import flax.linen as nn
from jaxtyping import Array, Float

from zoo.nn.network import ModuleMaker
from zoo.nn.window import per_axis


class PatchEmbedding(nn.Module):
    """A convolution whose stride is its window, then a normalisation if there is one. Submodules `conv`, `norm`.

    What fills no patch is left out.
    """

    features: int
    size: int | tuple[int, ...]
    """Pixels a side of a patch, of all sides or each; of a clip frames, and pixels of height and width."""
    conv: ModuleMaker
    """Makes a convolution: `zoo.nn.Conv` with types and initialiser set."""
    norm: ModuleMaker | None = None
    """Makes a normalisation over channels."""

    @nn.compact
    def __call__(self, images: Float[Array, "b *places c"]) -> Float[Array, "b *patches features"]:
        size = per_axis(self.size, images.ndim - 2, "size")
        x = self.conv(self.features, size, strides=size, padding=0, name="conv")(images)
        return x if self.norm is None else self.norm(name="norm")(x)
