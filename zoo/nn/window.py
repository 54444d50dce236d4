"""Windows that slide: integers, pairs and padding in one normal form, shared by convolution and pooling."""

import functools
from collections.abc import Sequence

from jax import lax

Padding = str | int | Sequence[int | tuple[int, int]]
"""Zeros around the image: "SAME", "VALID", one integer, one per axis, or (before, after) per axis."""

bound = functools.cache(functools.partial)
"""`functools.partial`, but the same object for the same arguments, so that JAX's caches of traces find it."""


def per_axis(value: int | Sequence[int], axes: int, what: str) -> tuple[int, ...]:
    """One positive integer for each axis, from one integer for all or a sequence of them.

    Raises:
      ValueError: the sequence has another length, or an entry is below 1.

    >>> per_axis(2, 3, "strides")
    (2, 2, 2)
    """
    values = (value,) * axes if isinstance(value, int) else tuple(value)
    if len(values) != axes or any(v < 1 for v in values):
        raise ValueError(f"{what}: expected one positive integer, or {axes} of them, got {value!r}")
    return values


def explicit_padding(
    padding: Padding, sizes: Sequence[int], window: Sequence[int], strides: Sequence[int]
) -> tuple[tuple[int, int], ...]:
    """Padding as (before, after) for each axis.

    An integer pads both sides alike, as torch does. "SAME" at a stride of 2 pads an even image only after
    it, which shifts the grid by a pixel against torch's: give integers where weights come from there.

    Args:
      padding: see `Padding`.
      sizes: the image's extent along each axis.
      window: the window's extent along each axis, dilation included.
      strides: the step along each axis.

    Raises:
      ValueError: a name other than SAME and VALID, a wrong length, or a negative amount.

    >>> explicit_padding("SAME", (8, 8), (3, 3), (2, 2))
    ((0, 1), (0, 1))
    >>> explicit_padding(1, (8, 8), (3, 3), (2, 2))
    ((1, 1), (1, 1))
    """
    if isinstance(padding, str):
        if padding not in ("SAME", "VALID"):
            raise ValueError(f"padding: expected SAME, VALID or integers, got {padding!r}")
        return tuple((int(lo), int(hi)) for lo, hi in lax.padtype_to_pads(sizes, window, strides, padding))
    entries = (padding,) * len(window) if isinstance(padding, int) else tuple(padding)
    pairs = tuple((p, p) if isinstance(p, int) else tuple(p) for p in entries)
    if len(pairs) != len(window) or any(len(p) != 2 or min(p) < 0 for p in pairs):
        raise ValueError(
            f"padding: expected one integer, or {len(window)} integers or (before, after) pairs, none "
            f"negative, got {padding!r}"
        )
    return pairs


def output_sizes(
    sizes: Sequence[int],
    window: Sequence[int],
    strides: Sequence[int],
    padding: Sequence[tuple[int, int]],
    what: str,
) -> tuple[int, ...]:
    """How many places a window of extent `window` takes along each axis.

    Raises:
      ValueError: the window does not fit into the padded image even once.

    >>> output_sizes((32, 32), (3, 3), (2, 2), ((1, 1), (1, 1)), "convolution")
    (16, 16)
    """
    padded = [size + lo + hi for size, (lo, hi) in zip(sizes, padding, strict=True)]
    if any(size < extent for size, extent in zip(padded, window, strict=True)):
        raise ValueError(
            f"{what}: a window of {tuple(window)} does not fit into an image of {tuple(sizes)} "
            f"padded by {tuple(padding)}"
        )
    return tuple((size - extent) // step + 1 for size, extent, step in zip(padded, window, strides, strict=True))
