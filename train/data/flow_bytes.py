"""Stacks of flow as bytes, and as what a network sees. Lecture rows L49, L50.

Simonyan and Zisserman, 2014, Two-Stream Convolutional Networks for Action Recognition in Videos, section 5, store flow
as images of 8 bits, linearly; the authors of its successors cut it off at 20 pixels (Feichtenhofer et al., 2016). Here
128 is no motion, and 1 and 255 are the longest: a mirrored byte is exact, 256 less it.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8

LONGEST = 20.0
"""Pixels at which each component is cut off."""
STILL_BYTE = 128
"""No motion."""
_STEPS = 127


def to_bytes(flow: Float[np.ndarray, "... 2"]) -> UInt8[np.ndarray, "... 2"]:
    """Vectors in pixels, cut off at `LONGEST`, as bytes of 0.157 pixels each.

    >>> to_bytes(np.array([0.0, 20.0, -35.0, 1.0])).tolist()
    [128, 255, 1, 134]
    """
    return (STILL_BYTE + np.rint(np.clip(flow, -LONGEST, LONGEST) * (_STEPS / LONGEST))).astype(np.uint8)


def of_bytes(stored: UInt8[np.ndarray, "... 2"]) -> Float[np.ndarray, "... 2"]:
    """Vectors in pixels again, to 0.08 pixels.

    >>> of_bytes(np.array([128, 255], np.uint8)).tolist()
    [0.0, 20.0]
    """
    return (stored.astype(np.float32) - STILL_BYTE) * np.float32(LONGEST / _STEPS)


def to_motion(stored: UInt8[Array, "batch time height width 2"]) -> Float[Array, "batch time height width 2"]:
    """What a network sees of bytes: -1 to 1, where 1 is `LONGEST`, and no motion is zero.

    Raises:
      ValueError: they are not uint8 of rank 5.
    """
    if stored.dtype != jnp.uint8 or stored.ndim != 5:
        raise ValueError(f"expected uint8 flow (batch, time, height, width, 2), found {stored.dtype} {stored.shape}")
    return (stored.astype(jnp.float32) - STILL_BYTE) * np.float32(1 / _STEPS)
