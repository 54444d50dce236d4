"""Stochastic depth: in training, residual branches are left out at random, for each image by itself.

Huang et al., 2016, Deep Networks with Stochastic Depth. Lecture row L48.
"""

import flax.linen as nn
from jaxtyping import Array, Float


def drop_path(branch: Float[Array, "batch ..."], rate: float, train: bool) -> Float[Array, "batch ..."]:
    """The branch, in training zero for this share of the images and 1 / (1 - rate) times as large for the others.

    To be called in a compact method; takes the random stream "dropout".
    """
    dropout = nn.Dropout(rate, broadcast_dims=tuple(range(1, branch.ndim)))
    return dropout(branch, deterministic=not train)


def linear_rates(last: float, counts: tuple[int, ...]) -> list[tuple[float, ...]]:
    """Rates that grow evenly over all blocks, from 0 at the first to `last`, for each stage of so many blocks.

    >>> linear_rates(0.4, (2, 3))
    [(0.0, 0.1), (0.2, 0.3, 0.4)]
    """
    blocks = iter(range(sum(counts)))
    steps = max(1, sum(counts) - 1)
    return [tuple(round(last * next(blocks) / steps, 12) for _ in range(count)) for count in counts]
