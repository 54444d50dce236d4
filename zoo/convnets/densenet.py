"""DenseNet: every layer sees the features of all layers before it in its block.

Huang, Liu, van der Maaten and Weinberger, 2017, Densely Connected Convolutional Networks; initialised as in
torchvision/models/densenet.py. Lecture rows L47, L48.
"""

from collections.abc import Mapping

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from zoo.convnets.classifier import classify
from zoo.convnets.residual_units import ConvNorm, ConvSpec
from zoo.nn import avg_pool, linear_uniform, max_pool
from zoo.nn.checks import check_images
from zoo.nn.network import ModuleMaker, Network

kaiming_fan_in = nn.initializers.variance_scaling(2.0, "fan_in", "normal")


class DenseNet(Network):
    """A stem, blocks of densely connected layers, between them transitions to half the resolution, a classifier.

    DenseNet-121 as it stands; the fields make the others, those for 32 x 32 images too. The depth counts every
    convolution, two a layer or one without `bottleneck`, and the classifier. With `remat` what the backward pass keeps
    is linear in the depth, not quadratic.
    """

    num_classes: int = 1000
    """Outputs; 0 gives the pooled features instead of logits."""
    stage_sizes: tuple[int, ...] = (6, 12, 24, 16)
    """Layers of each dense block."""
    growth_rate: int = 32
    """Channels that each layer adds, the paper's k."""
    stem_width: int = 64
    """Channels before the first block."""
    bottleneck: bool = True
    """Whether a 1x1 convolution to 4k channels stands before each 3x3 convolution: the paper's "B"."""
    compression: float = 0.5
    """The share of channels that a transition keeps, rounded down: the paper's θ, below 1 for its "C"."""
    small_images: bool = False
    """Whether the stem is a 3x3 convolution at full resolution, not a 7x7 one at half and pooling."""
    dropout: float = 0.0
    """The share of activations dropped in training after each convolution of a dense layer."""

    @nn.compact
    def __call__(
        self, images: Float[Array, "batch height width channels"], train: bool = False, features: bool = False
    ) -> Float[Array, "batch outputs"] | Mapping[str, Float[Array, "batch ..."]]:
        """Logits, float32; with `features` all named features: stem, stage1, ..., pre_logits and logits.

        A stage's feature is the output of its dense block. The stem is before pooling at half resolution, the
        last stage at 1/32; with `small_images` they are at full resolution and at a quarter.

        Raises:
          ValueError: images of the wrong rank or too small.
        """
        smallest = 2 ** (len(self.stage_sizes) - 1)
        check_images(images, "DenseNet", smallest if self.small_images else 4 * smallest - 3)
        conv = self.conv_maker(use_bias=False, kernel_init=kaiming_fan_in)
        norm = self.norm_maker()

        spec = ConvSpec(self.stem_width, 3) if self.small_images else ConvSpec(self.stem_width, 7, 2)
        order = () if self.small_images else ("norm", "relu")
        named = {"stem": (x := ConvNorm(spec, order, conv, norm, name="stem")(images, train))}
        if not self.small_images:
            x = max_pool(x, 3, 2, padding=1)
        for i, layers in enumerate(self.stage_sizes, start=1):
            if i > 1:
                x = Transition(int(self.compression * x.shape[-1]), conv, norm, name=f"transition{i - 1}")(x, train)
            block = DenseBlock(
                layers, self.growth_rate, conv, norm, self.bottleneck, self.dropout, self.remat, name=f"stage{i}"
            )
            named[f"stage{i}"] = x = block(x, train)
        x = nn.relu(norm(name="final_norm")(x, not train))
        x = classify(named, x, self.num_classes, linear_uniform, **self.types)
        return named if features else x


class DenseBlock(nn.Module):
    """Layers at one resolution, each of which appends `growth_rate` channels. Submodules `layer1`, `layer2`, ..."""

    layers: int
    growth_rate: int
    conv: ModuleMaker
    """Makes a convolution: `zoo.nn.Conv` with types and initialiser set, without bias."""
    norm: ModuleMaker
    """Makes a normalisation that is called with (x, use_running_average)."""
    bottleneck: bool = True
    dropout: float = 0.0
    remat: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], train: bool) -> Float[Array, "b h w d"]:
        layer_class = nn.remat(DenseLayer, static_argnums=(2,)) if self.remat else DenseLayer
        parts = [x]
        for i in range(1, self.layers + 1):
            layer = layer_class(self.growth_rate, self.conv, self.norm, self.bottleneck, self.dropout, name=f"layer{i}")
            parts.append(layer(tuple(parts), train))
        return jnp.concatenate(parts, axis=-1)


class DenseLayer(nn.Module):
    """Norm, ReLU and 3x3 convolution; before them, with `bottleneck`, the same with a 1x1 convolution to 4k channels.

    It takes all features before it one by one: so what `remat` keeps of a block are these, not their growing
    concatenations. Submodules `norm1`, `conv1`, and `norm2`, `conv2`.
    """

    growth_rate: int
    conv: ModuleMaker
    norm: ModuleMaker
    bottleneck: bool
    dropout: float

    @nn.compact
    def __call__(self, parts: tuple[Float[Array, "b h w _"], ...], train: bool) -> Float[Array, "b h w growth_rate"]:
        x = jnp.concatenate(parts, axis=-1)
        convolutions = ((self.growth_rate, 3),)
        if self.bottleneck:
            convolutions = ((4 * self.growth_rate, 1), *convolutions)
        for i, (features, size) in enumerate(convolutions, start=1):
            x = nn.relu(self.norm(name=f"norm{i}")(x, not train))
            x = self.conv(features, (size, size), padding=size // 2, name=f"conv{i}")(x)
            x = nn.Dropout(self.dropout)(x, deterministic=not train)
        return x


class Transition(nn.Module):
    """Norm, ReLU, 1x1 convolution and the mean over 2x2. Submodules `norm` and `conv`."""

    features: int
    conv: ModuleMaker
    norm: ModuleMaker

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], train: bool) -> Float[Array, "b h2 w2 features"]:
        x = nn.relu(self.norm(name="norm")(x, not train))
        # The mean and a 1x1 convolution commute: this order costs a quarter.
        return self.conv(self.features, (1, 1), name="conv")(avg_pool(x, 2))
