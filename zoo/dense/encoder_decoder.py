"""One network for what is measured at each pixel: depth, normals, reflectance, shading, each alone or all at once.

Eigen and Fergus, 2015, Predicting Depth, Surface Normals and Semantic Labels with a Common Multi-Scale Convolutional
Architecture: one network for several outputs; the path back to the image's size with the encoder's maps beside it as in
Ronneberger et al., 2015, U-Net. Lecture rows L63, L64.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from zoo.convnets.conv_norm import ConvNormActivation
from zoo.dense.normals import unit
from zoo.nn.checks import check_images
from zoo.nn.maps import maps_of
from zoo.nn.network import Network
from zoo.nn.resize import resize

MAPS = {"depth": 1, "normals": 3, "reflectance": 3, "shading": 1}
"""What can be predicted, and how many numbers a pixel it has."""

_LOG_METRES = 8.0
"""Depths are from exp(-8) to exp(8) metres, 0.3 mm to 3 km."""


class EncoderDecoder(Network):
    """Predicts maps of the image's size from the maps of a backbone, of which each is joined on the way back.

    Submodules `backbone`; `decode1` and so on from the finest map to the coarsest; `full`, of the image itself, so that
    edges are as sharp as it; `join`; and for each output NAME `NAME_hidden` and `NAME`.
    """

    backbone: nn.Module
    """A network that answers `features=True`; made with `num_classes=0` it has no head of its own."""
    predicts: tuple[str, ...] = tuple(MAPS)
    """Names of `MAPS`."""
    width: int = 64
    """Channels of the decoder at the image's size; at half of it twice as many, and below four times."""

    @nn.compact
    def __call__(
        self, images: Float[Array, "batch height width channels"], train: bool = False, features: bool = False
    ) -> dict[str, Float[Array, "batch _ _ _"]]:
        """The maps by name, float32 at least.

        "depth" is positive, in metres; "normals" have length one, in the axes of `zoo.dense.normals`; "reflectance" is
        between 0 and 1, and "shading" positive, both in linear light.

        With `features` before them the backbone's maps that are read, by its names, and those of the decoder from the
        coarsest on: ..., decode2, decode1, full, join.

        Raises:
          ValueError: an output that is none, images of the wrong rank or too small for the backbone, or one without
            maps.
        """
        check_images(images, "EncoderDecoder")
        if not self.predicts or len(set(self.predicts)) < len(self.predicts) or not {*self.predicts} <= MAPS.keys():
            raise ValueError(f"predicts: expected some of {', '.join(MAPS)}, each once, got {self.predicts}")
        makers = {"conv": self.conv_maker(use_bias=False), "norm": self.norm_maker()}
        layer = self.rematerialised(ConvNormActivation)
        maps = maps_of(self.backbone, images, train)
        named, x = dict(maps), None
        for level, fine in reversed(list(enumerate(maps.values(), start=1))):
            if x is not None:
                fine = jnp.concatenate([fine, resize(x, fine.shape[1:3]).astype(fine.dtype)], axis=-1)
            x = layer(min(2**level, 4) * self.width, 3, **makers, name=f"decode{level}")(fine, train)
            named[f"decode{level}"] = x
        named["full"] = full = layer(self.width // 2, 3, **makers, name="full")(images.astype(x.dtype), train)
        x = jnp.concatenate([full, resize(x, images.shape[1:3]).astype(x.dtype)], axis=-1)
        named["join"] = x = layer(self.width, 3, **makers, name="join")(x, train)
        outputs = {
            name: self._output(name, layer(self.width, 3, **makers, name=f"{name}_hidden")(x, train))
            for name in self.predicts
        }
        return named | outputs if features else outputs

    def _output(self, name: str, x: Array) -> Array:
        """A 1x1 convolution, and what makes of its numbers a depth, a direction, a share or a brightness."""
        bias = nn.initializers.zeros
        if name == "normals":  # begin with walls that face the camera

            def bias(key: Array, shape: tuple[int, ...], dtype: np.dtype) -> Array:
                return jnp.array([0, 0, -1], dtype)

        # The last layers are cheap, and want more digits than bfloat16 has.
        head = self.conv_maker(dtype=self.wide, bias_init=bias, kernel_init=nn.initializers.normal(0.01))
        x = head(MAPS[name], (1, 1), name=name)(x.astype(self.wide))
        match name:
            case "depth":
                return jnp.exp(jnp.clip(x, -_LOG_METRES, _LOG_METRES))
            case "normals":
                return unit(x)
            case "reflectance":
                return nn.sigmoid(x)
        return jax.nn.softplus(x)
