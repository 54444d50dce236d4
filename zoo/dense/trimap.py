"""The pixels near the edges of a label map, where coarse predictions go wrong: the trimap.

Krähenbühl and Koltun, 2011, Efficient Inference in Fully Connected CRFs with Gaussian Edge Potentials, section 5;
Chen et al., 2018, DeepLab, section 4.1. Lecture rows L61, L65.
"""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from zoo.nn import max_pool


def trimap(labels: Int[Array, "batch height width"], width: int) -> Bool[Array, "batch height width"]:
    """Which pixels have one of another label at most `width` pixels away, along the rows and along the columns.

    A label that does not count is one as any other: in Pascal VOC it lies along the edges. The padding of a canvas, of
    such a label, has an edge too. The image's border has none.

    Args:
      labels: the true ones, whole numbers below 2^24.
      width: of the band on either side of an edge, in pixels, at least 1.

    Raises:
      ValueError: `width` is below 1.

    >>> trimap(jnp.array([[[0, 0, 0, 1, 1]]]), 1)[0, 0].astype(int).tolist()
    [0, 0, 1, 1, 0]
    """
    if width < 1:
        raise ValueError(f"trimap expected a width of at least 1 pixel, got {width}")
    values = labels[..., None].astype(jnp.float32)  # exact, and what pooling takes
    largest, negated = (max_pool(each, 2 * width + 1, 1, width) for each in (values, -values))
    return (largest != -negated)[..., 0]
