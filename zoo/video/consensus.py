"""Several answers made one: of streams, of segments, of windows of a long clip. Lecture row L49.

Simonyan and Zisserman, 2014, Two-Stream Convolutional Networks for Action Recognition in Videos, section 2.
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int


def mean_of_probabilities(
    logits: Float[Array, "*batch answers classes"], weights: Sequence[float] | None = None
) -> Float[Array, "*batch classes"]:
    """Logits whose softmax is the mean of the answers' softmaxes, weighted or not: late fusion by average.

    Args:
      logits: several answers, in the last axis but one.
      weights: of each; they are divided by their sum.

    Raises:
      ValueError: no answers; not one weight an answer, or one that is negative or no number, or none above zero.

    >>> two = jnp.log(jnp.array([[0.9, 0.1], [0.3, 0.7]]))
    >>> [f"{share:.2f}" for share in jnp.exp(mean_of_probabilities(two))]
    ['0.60', '0.40']
    """
    count = logits.shape[-2]
    shares = np.ones(count) if weights is None else np.asarray(weights, float)
    if not count or shares.shape != (count,) or not (shares.min() >= 0 and 0 < shares.sum() < np.inf):
        raise ValueError(f"expected a weight, not negative, for each of {count} answers, got {weights}")
    shares = jnp.asarray(shares / shares.sum(), logits.dtype)[:, None]
    return jax.nn.logsumexp(jax.nn.log_softmax(logits), axis=-2, b=shares)


def window_starts(frames: int, length: int, stride: int) -> Int[np.ndarray, "windows"]:
    """The first frames of windows that begin so many frames apart; the last one ends with the clip.

    Args:
      frames: of the clip.
      length: frames of a window.
      stride: frames from one window's beginning to the next one's.

    Raises:
      ValueError: a clip that is shorter than a window, or a length or stride below 1.

    >>> window_starts(40, 16, 8).tolist()
    [0, 8, 16, 24]
    >>> window_starts(20, 16, 16).tolist()
    [0, 4]
    """
    if length < 1 or stride < 1 or frames < length:
        raise ValueError(
            f"expected a clip of at least one window, of at least one frame each and apart, got {frames} frames, "
            f"windows of {length}, {stride} apart"
        )
    last = frames - length
    return np.minimum(np.arange(-(-last // stride) + 1) * stride, last).astype(np.int32)


def over_windows(
    predict: Callable[[Float[Array, "batch length ..."]], Float[Array, "batch outputs"]],
    clips: Float[Array, "batch time ..."],
    length: int,
    stride: int,
) -> Float[Array, "batch windows outputs"]:
    """What a network says of each window of long clips, one window after the other. Pure.

    `mean_of_probabilities` makes one answer of them.

    Args:
      predict: of a batch of windows; traced once, however many windows there are.
      clips: of any length, frames in the second axis.
      length: frames of a window.
      stride: frames from one window's beginning to the next one's; the last window ends with the clip.

    Raises:
      ValueError: as for `window_starts`.

    >>> clip = jnp.arange(5.0).reshape(1, 5, 1)
    >>> over_windows(lambda windows: windows.sum(1), clip, length=2, stride=2)[0, :, 0].tolist()
    [1.0, 5.0, 7.0]
    """
    starts = window_starts(clips.shape[1], length, stride)
    said = lax.map(lambda start: predict(lax.dynamic_slice_in_dim(clips, start, length, axis=1)), jnp.asarray(starts))
    return jnp.moveaxis(said, 0, 1)
