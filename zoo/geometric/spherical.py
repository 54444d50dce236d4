"""Networks on the sphere: convolution with filters that look alike in all directions, and what no rotation changes.

Esteves, Allen-Blanchette, Makadia and Daniilidis, 2018, Learning SO(3) Equivariant Representations with Spherical CNNs:
filters are zonal, so that a function on the sphere stays one. Cohen, Geiger, Köhler and Welling, 2018, Spherical CNNs,
have filters of any form, and then functions on the group of rotations, which are not here. Lecture row L79.
"""

import math
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from zoo.geometric.spherical_harmonics import bandwidth_of, samples_of, to_coefficients, to_samples
from zoo.nn import linear_uniform
from zoo.nn.checks import check_classes, check_images
from zoo.nn.network import ModuleMaker, Network


def zonal_convolution(
    coefficients: Float[Array, "batch degrees orders channels"], filters: Float[Array, "kept channels features"]
) -> Float[Array, "batch kept kept_orders features"]:
    """The convolution of functions on the sphere with zonal filters: each degree is multiplied by a number.

    The number for degree l is that of Funk and Hecke, 2 pi times the integral over t from -1 to 1 of psi(t) P_l(t),
    where psi(x . y) is the filter: what comes out at x is the integral over y of f(y) psi(x . y). Rotations and it
    may change places, exactly.

    Args:
      coefficients: see `zoo.geometric.spherical_harmonics`.
      filters: a number for each degree that is kept, and each pair of channels.

    Raises:
      ValueError: shapes that do not fit, or filters for degrees that are not there.

    >>> zonal_convolution(jnp.ones((1, 4, 7, 2)), jnp.ones((3, 2, 5))).shape
    (1, 3, 5, 5)
    """
    bandwidth = bandwidth_of(coefficients)
    if filters.ndim != 3 or not 1 <= filters.shape[0] <= bandwidth or filters.shape[1] != coefficients.shape[-1]:
        raise ValueError(
            f"expected filters (degrees, channels, features) of at most {bandwidth} degrees and "
            f"{coefficients.shape[-1]} channels, got shape {filters.shape}"
        )
    return jnp.einsum("blmc,lco->blmo", low_degrees(coefficients, filters.shape[0]), filters)


def low_degrees(
    coefficients: Float[Array, "batch degrees orders channels"], kept: int
) -> Float[Array, "batch kept kept_orders channels"]:
    """The coefficients of the first degrees: the function, less sharp.

    >>> low_degrees(jnp.ones((1, 4, 7, 1)), 2).shape
    (1, 2, 3, 1)
    """
    left_out = coefficients.shape[1] - kept
    return coefficients[:, :kept, left_out : coefficients.shape[2] - left_out]


def power_spectrum(
    coefficients: Float[Array, "batch degrees orders channels"],
) -> Float[Array, "batch degrees channels"]:
    """The sum of squares of each degree's coefficients, which no rotation changes; it forgets how degrees lie to each
    other.

    >>> power_spectrum(2 * jnp.ones((1, 1, 1, 1))).tolist()
    [[[4.0]]]
    """
    bandwidth_of(coefficients)
    return jnp.square(coefficients).sum(axis=2)


class SphericalCNN(Network):
    """Zonal convolutions with ReLU between them, and a classifier on what no rotation changes.

    Images are samples on the sphere, 2b x 2b pixels from the north pole down, see `zoo.geometric.spherical_harmonics`.
    ReLU makes sharper functions than the grid knows, so that rotations are exact but for that; the finer the grid on
    which it is taken, the less there is.

    >>> import jax
    >>> image = jax.ShapeDtypeStruct((2, 16, 16, 1), "float32")
    >>> model = SphericalCNN(10, bandwidths=(8, 4), widths=(3, 5))
    >>> jax.eval_shape(lambda image: model.init_with_output(jax.random.key(0), image)[0], image).shape
    (2, 10)
    """

    num_classes: int = 10
    """Outputs; 0 gives what no rotation changes instead of logits."""
    bandwidths: tuple[int, ...] = (10, 8, 6)
    """How many degrees each layer keeps, no more than the one before."""
    widths: tuple[int, ...] = (16, 32, 32)
    """Channels of each layer."""
    oversampling: int = 2
    """How many times as fine as the layer's degrees ask for the grid is on which ReLU is taken."""

    @nn.compact
    def __call__(
        self, images: Float[Array, "batch rows columns channels"], train: bool = False, features: bool = False
    ) -> Float[Array, "batch outputs"] | Mapping[str, Float[Array, "batch ..."]]:
        """Logits, float32; with `features` all named features: stage1, stage2, ..., pre_logits and logits.

        Features of stages are samples on the grid that their degrees ask for.

        Raises:
          ValueError: images of another rank than samples, or coarser than the first layer's degrees; or options that do
            not fit each other.
        """
        check_images(images, "SphericalCNN", 2)
        check_classes(self.num_classes)
        self._check(images)
        layer, norm, named = self.rematerialised(SphereLayer), self.norm_maker(), {}
        x = to_coefficients(images.astype(self.dtype), self.bandwidths[0])
        for number, (bandwidth, width) in enumerate(zip(self.bandwidths, self.widths, strict=True), 1):
            name = f"stage{number}"
            x = layer(width, bandwidth, self.oversampling, norm, **self.types, name=name)(x, train)
            named[name] = to_samples(x)
        named["pre_logits"] = x = invariants(x.astype(self.wide))
        if self.num_classes:
            types = {"dtype": self.wide, "param_dtype": self.param_dtype}
            named["logits"] = x = nn.Dense(self.num_classes, kernel_init=linear_uniform, **types, name="head")(x)
        return named if features else x

    def _check(self, images: Array) -> None:
        kept, samples, stage = self.bandwidths, samples_of(images), self.variables.get("params", {}).get("stage1")
        if stage is not None and images.shape[-1] != (expected := nn.unbox(stage["filters"]).shape[1]):
            raise ValueError(f"SphericalCNN expected {expected} channels, got images of shape {images.shape}")
        if not kept or len(kept) != len(self.widths) or list(kept) != sorted(kept, reverse=True) or kept[-1] < 1:
            raise ValueError(f"expected a width for each of falling bandwidths, got {self.widths} for {kept}")
        if kept[0] > samples:
            raise ValueError(
                f"SphericalCNN of {kept[0]} degrees expected images of at least {2 * kept[0]} pixels a side, "
                f"got {2 * samples}"
            )
        if self.oversampling < 1:
            raise ValueError(f"expected oversampling by 1 or more, got {self.oversampling}")


class SphereLayer(nn.Module):
    """A zonal convolution, batch normalisation and ReLU, from coefficients to coefficients. `filters` and `norm`.

    In training the normalisation's statistics are over samples, which are denser at the poles; at evaluation they are
    numbers, which no rotation changes.
    """

    width: int
    bandwidth: int
    oversampling: int
    norm: ModuleMaker
    dtype: Any
    param_dtype: Any

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch degrees orders channels"], train: bool
    ) -> Float[Array, "batch degrees2 orders2 width"]:
        channels = x.shape[-1]
        spread = nn.initializers.normal(math.sqrt(2 / channels))
        filters = self.param("filters", spread, (self.bandwidth, channels, self.width), self.param_dtype)
        x = zonal_convolution(x, filters.astype(self.dtype))
        values = to_samples(x, self.oversampling * self.bandwidth)
        return to_coefficients(nn.relu(self.norm(name="norm")(values, not train)), self.bandwidth)


def invariants(coefficients: Float[Array, "batch degrees orders channels"]) -> Float[Array, "batch numbers"]:
    """What no rotation changes, about of the size of the function: its mean, and the root of each degree's mean power.

    >>> invariants(jnp.ones((1, 3, 5, 2))).shape
    (1, 6)
    """
    power = power_spectrum(coefficients)
    degrees = np.arange(1, power.shape[1])
    # The slope of a root at zero is infinite: there is something under it.
    roots = jnp.sqrt(power[:, 1:] / (2 * degrees + 1)[:, None] + 1e-6)
    mean = coefficients[:, :1, coefficients.shape[2] // 2]
    return jnp.concatenate([mean, roots], axis=1).reshape(-1, power.shape[1] * power.shape[2])
