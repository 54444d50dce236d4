"""Convolution over a group: every filter is applied in each of its turned and mirrored forms, in one convolution.

Cohen and Welling, 2016, Group Equivariant Convolutional Networks, sections 6 and 7. Lecture row L79.

Where an image moves, what comes out moves with it, exactly: of an image turned by 90 degrees the maps are turned, and
those of each element have the place of the next. That needs windows whose places are turned into each other: a stride
that leaves out a row at one border and none at the other is refused.
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from jaxtyping import Array, Float

from zoo.geometric.groups import Group, check_maps, move_plane, reordered
from zoo.nn import convolution


def lifting_filters(
    kernel: Float[Array, "side side channels features"], group: Group
) -> Float[Array, "side side channels elements features"]:
    """Each filter in all forms: that of g is psi(g^-1 y)."""
    return jnp.stack([move_plane(kernel, element, (0, 1)) for element in group.elements], axis=3)


def group_filters(
    kernel: Float[Array, "side side elements channels features"], group: Group
) -> Float[Array, "side side elements channels elements features"]:
    """Each filter in all forms: that of g is psi(g^-1 y, g^-1 h), h the elements of what comes in."""

    def form(element: Any) -> Array:
        return reordered(move_plane(kernel, element, (0, 1)), group.places_after(element), axis=2)

    return jnp.stack([form(element) for element in group.elements], axis=4)


def lifting_convolution(
    images: Float[Array, "batch height width channels"],
    kernel: Float[Array, "side side channels features"],
    group: Group,
    strides: int = 1,
    padding: int = 0,
) -> Float[Array, "batch rows columns elements features"]:
    """From images to maps on the group: the sum over y of f(y) psi(g^-1 (y - x)), at every place x and element g.

    Args:
      images: functions on the plane.
      kernel: filters on the plane.
      group: in which forms each filter is applied.
      strides: step of the window along both axes.
      padding: zeros on all four sides.

    Raises:
      ValueError: shapes that do not fit, a window that is not square, or a stride that leaves pixels out at one side.

    >>> from zoo.geometric import P4
    >>> lifting_convolution(jnp.ones((1, 8, 8, 3)), jnp.ones((3, 3, 3, 5)), P4).shape
    (1, 6, 6, 4, 5)
    """
    if kernel.ndim != 4:
        raise ValueError(f"expected filters (side, side, channels, features), got shape {kernel.shape}")
    check_places(images.shape[1:3], kernel.shape[:2], strides, padding)
    filters = lifting_filters(kernel, group)
    return _unfolded(convolution(images, _last_joined(filters), strides, padding), group)


def group_convolution(
    maps: Float[Array, "batch height width elements channels"],
    kernel: Float[Array, "side side elements channels features"],
    group: Group,
    strides: int = 1,
    padding: int = 0,
) -> Float[Array, "batch rows columns elements features"]:
    """From maps on the group to maps on it: the sum over y and h of F(y, h) psi(g^-1 (y - x), g^-1 h).

    Args:
      maps: functions on the group.
      kernel: filters on the group.
      group: whose elements are those of the maps.
      strides: step of the window along both axes.
      padding: zeros on all four sides.

    Raises:
      ValueError: see `lifting_convolution`.

    >>> from zoo.geometric import P4
    >>> group_convolution(jnp.ones((1, 8, 8, 4, 2)), jnp.ones((3, 3, 4, 2, 5)), P4).shape
    (1, 6, 6, 4, 5)
    """
    check_maps(maps, group)
    if kernel.ndim != 5 or kernel.shape[2:4] != maps.shape[3:]:
        raise ValueError(
            f"expected filters (side, side, {maps.shape[3]}, {maps.shape[4]}, features), got shape {kernel.shape}"
        )
    check_places(maps.shape[1:3], kernel.shape[:2], strides, padding)
    filters = group_filters(kernel, group)
    joined = filters.reshape(*filters.shape[:2], filters.shape[2] * filters.shape[3], *filters.shape[4:])
    return _unfolded(convolution(folded(maps), _last_joined(joined), strides, padding), group)


def folded(maps: Float[Array, "batch height width elements channels"]) -> Float[Array, "batch height width joined"]:
    """Maps as those of an ordinary network: the channels of the first element, then those of the second, and so on."""
    return maps.reshape(*maps.shape[:3], maps.shape[3] * maps.shape[4])


def _unfolded(maps: Float[Array, "b h w joined"], group: Group) -> Float[Array, "b h w elements channels"]:
    return maps.reshape(*maps.shape[:3], len(group), maps.shape[3] // len(group))


def _last_joined(filters: Float[Array, "s s c elements features"]) -> Float[Array, "s s c joined"]:
    return filters.reshape(*filters.shape[:3], filters.shape[3] * filters.shape[4])


def check_places(sizes: tuple[int, ...], window: tuple[int, ...], strides: int, padding: int) -> None:
    """Refuses windows that would see a turned map at other places than the map.

    Args:
      sizes: height and width, in pixels.
      window: its height and width.
      strides: its step.
      padding: zeros on all sides.

    Raises:
      ValueError: the window is not square, its last place is not as far from the border as its first, or it has no side
        or no step.

    >>> check_places((7, 7), (2, 2), 2, 0)
    Traceback (most recent call last):
    ...
    ValueError: a window of 2 in steps of 2 leaves out 1 of 7 pixels, at one side alone: a turned map is not seen there
    """
    if window[0] != window[1]:
        raise ValueError(f"expected a square window, which can be turned, got {window[0]} x {window[1]}")
    if window[0] < 1 or strides < 1:
        raise ValueError(f"expected a window and steps of one pixel or more, got {window[0]} and {strides}")
    for size in sizes:
        if size + 2 * padding >= window[0] and (left := (size + 2 * padding - window[0]) % strides):
            raise ValueError(
                f"a window of {window[0]} in steps of {strides} leaves out {left} of {size + 2 * padding} pixels, at "
                "one side alone: a turned map is not seen there"
            )


_he_normal = nn.initializers.variance_scaling(2.0, "fan_in", "truncated_normal")
"""For ReLU; what comes in is window x elements x channels."""


class Filters(nn.Module):
    """What both layers have in common. Parameters: `kernel` and `bias`.

    The bias is one a feature, whatever the element: one an element would tell them apart.
    """

    features: int
    """Filters; as many maps for each element of the group."""
    group: Group
    side: int = 3
    """Of the window, in pixels."""
    strides: int = 1
    padding: int = 0
    use_bias: bool = True
    dtype: Any = None
    """Compute type; None takes it from input and parameters."""
    param_dtype: Any = jnp.float32
    kernel_init: Callable[..., Array] = _he_normal

    def _filtered(self, convolve: Callable[..., Array], values: Array) -> Array:
        """The convolution of images or maps with the layer's filters."""
        seen = values.shape[3:]
        _check_channels(self, values, 1 + len(seen))
        kernel = self.param("kernel", self.kernel_init, (self.side, self.side, *seen, self.features), self.param_dtype)
        bias = self.param("bias", nn.initializers.zeros, (self.features,), self.param_dtype) if self.use_bias else None
        values, kernel, bias = promote_dtype(values, kernel, bias, dtype=self.dtype)
        result = convolve(values, kernel, self.group, self.strides, self.padding)
        return result if bias is None else result + bias


class LiftingConv(Filters):
    """`lifting_convolution` as a layer, with a `kernel` (side, side, channels, features)."""

    @nn.compact
    def __call__(
        self, images: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch rows columns elements features"]:
        """Filters images.

        Raises:
          ValueError: see `lifting_convolution`; or the images have other channels than the layer was made for.
        """
        return self._filtered(lifting_convolution, images)


class GroupConv(Filters):
    """`group_convolution` as a layer, with a `kernel` (side, side, elements, channels, features)."""

    @nn.compact
    def __call__(
        self, maps: Float[Array, "batch height width elements channels"]
    ) -> Float[Array, "batch rows columns elements features"]:
        """Filters maps on the group.

        Raises:
          ValueError: see `group_convolution`; or the maps have other channels than the layer was made for.
        """
        check_maps(maps, self.group)
        return self._filtered(group_convolution, maps)


def _check_channels(layer: nn.Module, values: Array, axis: int) -> None:
    """Refuses other channels than those that the layer was made for; flax would speak of the initialiser."""
    if layer.has_variable("params", "kernel"):
        expected = nn.unbox(layer.get_variable("params", "kernel")).shape[axis]
        if values.shape[-1] != expected:
            what = "images" if axis == 2 else "maps"
            raise ValueError(f"{layer.name} expected {expected} channels, got {what} of shape {values.shape}")
