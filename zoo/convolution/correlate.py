"""Cross-correlation and convolution of signals and images, by one filter or by a full-depth filter bank.

Szeliski, 2022, Computer Vision: Algorithms and Applications, section 3.2. Lecture rows L20-L33,
errata E1 and E2.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Real

from zoo.convolution.borders import Border, pad

_LAYOUTS = {1: ("WNC", "WIO", "WNC"), 2: ("HWNC", "HWIO", "HWNC")}
_IMAGES = {1: "(N,) or (N, C)", 2: "(H, W) or (H, W, C)", 3: "(N, C)", 4: "(H, W, C)"}
"""The images that fit a kernel, by the kernel's number of axes."""


def cross_correlate(
    image: Real[ArrayLike, "*space_and_channels"],
    kernel: Real[ArrayLike, "*window_and_channels"],
    border: Border = "zero",
) -> Float[Array, "*space_and_filters"]:
    """Lays the kernel over every place of the image and sums the products: the operation of a ConvNet.

    `G[x, y] = sum over i, j of H[i, j] F[x + i, y + j]`, where `i` and `j` count from the kernel's centre.
    (E1: the slide has `H[x + i, y + i] F[x + i, y + i]`, which moves the kernel along and never uses `j`.)

    | kernel         | image                 | result                                                 |
    |----------------|-----------------------|--------------------------------------------------------|
    | `(K,)`         | `(N,)`, `(N, C)`      | of the image's rank: applied to each channel by itself |
    | `(K, L)`       | `(H, W)`, `(H, W, C)` | the same                                               |
    | `(K, C, D)`    | `(N, C)`              | `(N, D)`: D filters, local in space and full in depth  |
    | `(K, L, C, D)` | `(H, W, C)`           | `(H, W, D)`                                            |

    The centre of a kernel of K values is its value `K // 2`, also where K is even, as in `scipy.ndimage`
    (`scipy.signal`'s mode "same" takes `(K - 1) // 2`). For many images, use `jax.vmap`. The products are
    summed in full precision on every platform; whole numbers are computed as floats.

    Args:
      image: a signal or an image, with or without channels.
      kernel: one filter, or a bank of full-depth filters.
      border: what stands beyond the edges, one of `BORDERS` (see `pad`); "valid" keeps the places where the
        kernel fits, so the result is smaller by K - 1; with the others it has the size of the image.

    Raises:
      UnknownNameError: there is no such border.
      ValueError: ranks or channels do not match, an axis is empty, or a "valid" kernel exceeds the image.
      TypeError: the numbers are complex.

    >>> cross_correlate([0, 0, 1, 0, 0], [1, 2, 3]).tolist()
    [0.0, 3.0, 2.0, 1.0, 0.0]
    """
    image, kernel = _operands(image, kernel)
    return _slide(image, kernel, border, [size // 2 for size in _window(kernel)])


def convolve(
    image: Real[ArrayLike, "*space_and_channels"],
    kernel: Real[ArrayLike, "*window_and_channels"],
    border: Border = "zero",
) -> Float[Array, "*space_and_filters"]:
    """The same with the kernel flipped along each axis of space, so that an impulse gives the kernel back.

    `G[x, y] = sum over i, j of H[i, j] F[x - i, y - j]`. All else is as for `cross_correlate`: shapes,
    borders, the centre (`K // 2`, counted before the flip), errors. A bank's channels are not flipped.

    >>> convolve([0, 0, 1, 0, 0], [1, 2, 3]).tolist()
    [0.0, 1.0, 2.0, 3.0, 0.0]
    """
    image, kernel = _operands(image, kernel)
    window = _window(kernel)
    flipped = jnp.flip(kernel, range(len(window)))
    return _slide(image, flipped, border, [size - 1 - size // 2 for size in window])


def _window(kernel: Real[Array, "*window_and_channels"]) -> tuple[int, ...]:
    """The kernel's extent in space: its leading axis or two."""
    return kernel.shape[: 1 if kernel.ndim in (1, 3) else 2]


def _operands(image: ArrayLike, kernel: ArrayLike) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """Both as arrays of one floating type, after a check that they fit."""
    image, kernel = jnp.asarray(image), jnp.asarray(kernel)
    if kernel.ndim not in _IMAGES:
        raise ValueError(f"kernel: expected (K,), (K, L), (K, C, D) or (K, L, C, D), got shape {kernel.shape}")
    axes = len(_window(kernel))
    is_bank = kernel.ndim > 2
    if image.ndim not in ((axes + 1,) if is_bank else (axes, axes + 1)):
        hint = ""
        if kernel.ndim == image.ndim == 3:
            hint = "; a single full-depth filter of an image is a bank of one: kernel[..., None]"
        raise ValueError(
            f"image: expected {_IMAGES[kernel.ndim]} for a kernel of shape {kernel.shape}, "
            f"got shape {image.shape}{hint}"
        )
    if is_bank and image.shape[-1] != kernel.shape[-2]:
        raise ValueError(
            f"kernel: expected filters of depth {image.shape[-1]} for an image of shape {image.shape}, "
            f"got depth {kernel.shape[-2]} in shape {kernel.shape}"
        )
    if 0 in image.shape or 0 in kernel.shape:
        raise ValueError(f"expected no empty axis, got an image of {image.shape} and a kernel of {kernel.shape}")
    dtype = jnp.result_type(image, kernel, float)
    if jnp.issubdtype(dtype, jnp.complexfloating):
        raise TypeError(f"expected real numbers, got an image of {image.dtype} and a kernel of {kernel.dtype}")
    return image.astype(dtype), kernel.astype(dtype)


def _slide(
    image: Float[Array, "..."], kernel: Float[Array, "..."], border: Border, centre: Sequence[int]
) -> Float[Array, "..."]:
    """Sums of products at every place; `centre` is the kernel's value that lies on the place itself."""
    window = _window(kernel)
    axes = len(window)
    if border == "valid" and any(size < side for size, side in zip(image.shape, window, strict=False)):
        raise ValueError(
            f'kernel: expected one that fits in the image of shape {image.shape} for border "valid", got {kernel.shape}'
        )
    image = pad(image, [(at, side - 1 - at) for at, side in zip(centre, window, strict=True)], border)
    if kernel.ndim > 2:
        return _sums(image[..., None, :], kernel)[..., 0, :]
    # Applied to each channel: the channels become examples of one channel each. (A convolution in groups
    # says the same, and is many times slower on CPU.)
    examples = image.reshape(*image.shape[:axes], -1, 1)
    sums = _sums(examples, kernel[..., None, None])
    return sums.reshape(*sums.shape[:axes], *image.shape[axes:])


def _sums(
    examples: Float[Array, "*space examples channels"], bank: Float[Array, "*window channels filters"]
) -> Float[Array, "*places examples filters"]:
    return jax.lax.conv_general_dilated(
        examples,
        bank,
        window_strides=(1,) * (bank.ndim - 2),
        padding="VALID",
        dimension_numbers=_LAYOUTS[bank.ndim - 2],
        precision=jax.lax.Precision.HIGHEST,  # GPU and TPU would otherwise round the products to 11 or 8 bits
    )
