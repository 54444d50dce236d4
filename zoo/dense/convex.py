"""Flow enlarged by weights that a network learns, which keeps its edges: RAFT's convex upsampling. Lecture row L62.

Teed and Deng, 2020, RAFT: Recurrent All-Pairs Field Transforms for Optical Flow, section 3.3.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def convex(
    maps: Float[Array, "batch rows columns channels"], weights: Float[Array, "batch rows columns weights"], factor: int
) -> Float[Array, "batch height width channels"]:
    """Maps of `factor` times the size, each value a mean of the 3 x 3 places around it, weighted by softmax.

    Beyond the borders there are zeros. Teed and Deng, 2020, appendix B.

    Args:
      maps: channels last.
      weights: by neighbour in reading order, then by row and column within a place: 9 x factor x factor logits.
      factor: pixels a side of a place.

    >>> convex(jnp.ones((1, 3, 3, 1)), jnp.zeros((1, 3, 3, 36)), 2)[0, 2:4, 2:4, 0].round(5).tolist()
    [[1.0, 1.0], [1.0, 1.0]]
    """
    batch, rows, columns, channels = maps.shape
    shares = jax.nn.softmax(weights.reshape(batch, rows, columns, 9, factor, factor), axis=3)
    around = jnp.pad(maps, ((0, 0), (1, 1), (1, 1), (0, 0)))
    total = jnp.zeros((batch, rows, columns, factor, factor, channels), maps.dtype)
    for neighbour in range(9):
        row, column = divmod(neighbour, 3)
        near = around[:, row : row + rows, column : column + columns, None, None, :]
        total = total + shares[:, :, :, neighbour, :, :, None] * near
    return total.transpose(0, 1, 3, 2, 4, 5).reshape(batch, rows * factor, columns * factor, channels)
