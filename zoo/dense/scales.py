"""Images seen in several sizes and mirrored, and what is said of all of them averaged.

As the multi-scale and flipped inference of Chen et al., 2017, Rethinking Atrous Convolution for Semantic Image
Segmentation, section 4.1. Lecture row L61.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from zoo.dense.tiles import Predict
from zoo.nn.resize import resize


def multi_scale(
    predict: Predict, images: Float[Array, "batch height width channels"], scales: Sequence[float], flip: bool
) -> Float[Array, "batch height width classes"]:
    """The logarithm of the mean probability of each class, over sizes of the images and their mirror images. Pure.

    Images are resized bilinearly, not antialiased, and so are the logits on their way back, before the softmax. The
    result stands in for logits: its softmax is the mean of the probabilities.

    Args:
      predict: logits of images, of the same height and width; traced once a scale.
      images: channels last.
      scales: factors of height and width, which are rounded to pixels, one at least.
      flip: whether images mirrored left to right are seen too, in the same batch.

    Raises:
      ValueError: images of the wrong rank, no scale, or one that is not positive.

    >>> logits = multi_scale(lambda images: images * jnp.array([0.0, 1.0]), jnp.ones((1, 2, 2, 1)), (0.5, 1.0), True)
    >>> round(float(jnp.exp(logits[0, 0, 0, 1])), 4)  # sigmoid(1)
    0.7311
    """
    if images.ndim != 4:
        raise ValueError(f"expected images (batch, height, width, channels), got shape {images.shape}")
    if not len(scales) or min(scales) <= 0:
        raise ValueError(f"expected one or more positive scales, got {tuple(scales)}")
    size, total, count = images.shape[1:3], None, 0
    for scale in scales:
        seen = resize(images, tuple(max(1, round(side * scale)) for side in size))
        logits = predict(jnp.concatenate([seen, seen[:, :, ::-1]]) if flip else seen)
        views = jnp.split(logits, 2) if flip else [logits]
        for view in [views[0], *(mirrored[:, :, ::-1] for mirrored in views[1:])]:
            found = jax.nn.log_softmax(resize(view, size).astype(jnp.promote_types(view.dtype, jnp.float32)))
            total, count = found if total is None else jnp.logaddexp(total, found), count + 1
    return total - jnp.log(count)
