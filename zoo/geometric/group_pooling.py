"""Pooling of maps on a group: over the elements, which no turn changes, and over space, which turns go with.

Cohen and Welling, 2016, Group Equivariant Convolutional Networks, section 6.3. Lecture row L79.
"""

from collections.abc import Callable

from jaxtyping import Array, Float

from zoo.geometric.group_convolution import check_places, folded
from zoo.geometric.largest import largest
from zoo.nn import avg_pool, max_pool


def pool_elements(
    maps: Float[Array, "batch height width elements channels"],
) -> Float[Array, "batch height width channels"]:
    """The largest value over all elements: images again, which turn with the image and know no element.

    >>> import jax.numpy as jnp
    >>> pool_elements(jnp.arange(4.0).reshape(1, 1, 1, 4, 1)).tolist()
    [[[[3.0]]]]
    """
    _check(maps)
    return largest(maps, 3)


def mean_elements(
    maps: Float[Array, "batch height width elements channels"],
) -> Float[Array, "batch height width channels"]:
    """The mean over all elements.

    >>> import jax.numpy as jnp
    >>> mean_elements(jnp.arange(4.0).reshape(1, 1, 1, 4, 1)).tolist()
    [[[[1.5]]]]
    """
    _check(maps)
    return maps.mean(axis=3)


def pool_places(
    maps: Float[Array, "batch height width *elements channels"], window: int, strides: int | None = None
) -> Float[Array, "batch rows columns *elements channels"]:
    """The largest value of each window, of every element apart.

    Args:
      maps: functions on a group, or images.
      window: pixels a side.
      strides: step of the window; None takes its size.

    Raises:
      ValueError: the windows leave out pixels at one side, so that a turned map would be pooled otherwise.

    >>> import jax.numpy as jnp
    >>> pool_places(jnp.ones((1, 8, 8, 4, 2)), 2).shape
    (1, 4, 4, 4, 2)
    """
    return _of_windows(max_pool, maps, window, strides)


def mean_places(
    maps: Float[Array, "batch height width *elements channels"], window: int, strides: int | None = None
) -> Float[Array, "batch rows columns *elements channels"]:
    """The mean of each window, of every element apart; otherwise as `pool_places`.

    Raises:
      ValueError: see `pool_places`.

    >>> import jax.numpy as jnp
    >>> mean_places(jnp.arange(4.0).reshape(1, 2, 2, 1, 1), 2).tolist()
    [[[[[1.5]]]]]
    """
    return _of_windows(avg_pool, maps, window, strides)


def _of_windows(pool: Callable[..., Array], maps: Array, window: int, strides: int | None) -> Array:
    strides = window if strides is None else strides
    check_places(maps.shape[1:3], (window, window), strides, 0)
    if maps.ndim == 4:
        return pool(maps, window, strides)
    _check(maps)
    pooled = pool(folded(maps), window, strides)
    return pooled.reshape(*pooled.shape[:3], *maps.shape[3:])


def _check(maps: Array) -> None:
    if maps.ndim != 5:
        raise ValueError(f"expected maps (batch, height, width, elements, channels), got shape {maps.shape}")
