"""Attention between tokens of a clip whose queries, keys and values are pooled first, with relative positions.

Fan et al., 2021, Multiscale Vision Transformers, section 3.1; Li et al., 2022, MViTv2, section 4.1; as in
torchvision/models/video/mvit.py. Lecture row L51.
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from zoo.nn.attention import plain_attention
from zoo.nn.network import ModuleMaker
from zoo.nn.resize import resize

Places = tuple[int, int, int]
"""Tokens of a clip in time, height and width; before them there is a class token, which has no place."""

AXES = ("time", "height", "width")


def pooled(places: Places, strides: Places | None) -> Places:
    """How many tokens a window of 3x3x3 with a border of 1 leaves.

    >>> pooled((8, 7, 7), (1, 2, 2))
    (8, 4, 4)
    """
    return places if strides is None else tuple(-(-size // step) for size, step in zip(places, strides, strict=True))


def pooled_tokens(
    x: Float[Array, "b n d"], places: Places, pool: Callable[[Float[Array, "b t h w d"]], Float[Array, "b t2 h2 w2 d"]]
) -> Float[Array, "b m d"]:
    """Tokens as maps, pooled, as tokens; the class token before them stays as it is.

    Args:
      x: tokens.
      places: of all but the first.
      pool: makes smaller maps of maps.
    """
    maps = pool(x[:, 1:].reshape(x.shape[0], *places, x.shape[-1]))
    return jnp.concatenate([x[:, :1], maps.reshape(x.shape[0], -1, x.shape[-1])], axis=1)


class PoolingAttention(nn.Module):
    """Scaled dot-product attention in several heads, of fewer queries to fewer keys than there are tokens.

    Submodules `in_proj`, which makes queries, keys and values in this order, each head after head; `query_pool`,
    `query_norm` and so on, which all heads share; and `out_proj`. Parameters `positions_time`, `positions_height` and
    `positions_width`, (2 n - 1, channels of a head) each, of n places.
    """

    features: int
    heads: int
    query_strides: Places | None
    key_strides: Places
    norm: ModuleMaker
    dense: ModuleMaker
    conv: ModuleMaker
    relative: bool = False
    """Whether the products of queries and keys depend on what lies between them too."""
    add_query: bool = False
    """Whether each result but the class token's gets its query added."""
    param_dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "b n c"], places: Places) -> Float[Array, "b m features"]:
        """Attends.

        Args:
          x: the class token, and the others row by row, frame by frame.
          places: of the others.

        Raises:
          ValueError: features that cannot be cut in equal heads.
        """
        if self.features % self.heads:
            raise ValueError(f"{self.features} channels cannot be cut in {self.heads} equal heads")
        channels = self.features // self.heads
        x = self.dense(3 * self.features, name="in_proj")(x)
        x = x.reshape(*x.shape[:2], 3, self.heads, channels).transpose(2, 0, 3, 1, 4)
        parts = zip(("query", "key", "value"), x, (self.query_strides, self.key_strides, self.key_strides), strict=True)
        query, key, value = (self._pooled(name, part, places, strides) for name, part, strides in parts)
        bias = None
        if self.relative:
            bias = self._positions(query, pooled(places, self.query_strides), pooled(places, self.key_strides), places)
        x = plain_attention(query, key, value, bias)
        if self.add_query:
            x = x + query.at[:, 0].set(0)
        return self.dense(self.features, name="out_proj")(x.reshape(*x.shape[:2], self.features))

    def _pooled(self, name: str, x: Array, places: Places, strides: Places | None) -> Float[Array, "b m heads d"]:
        """All heads' queries, keys or values (b, heads, n, d), pooled by one depthwise convolution and normalised."""
        if strides is not None:
            channels = x.shape[-1]
            options = {"padding": 1, "feature_group_count": channels, "name": f"{name}_pool"}
            pool = self.conv(channels, (3, 3, 3), strides=strides, **options)
            pooled = pooled_tokens(x.reshape(-1, *x.shape[2:]), places, pool)
            x = self.norm(name=f"{name}_norm")(pooled).reshape(*x.shape[:2], -1, channels)
        return x.transpose(0, 2, 1, 3)

    def _positions(
        self, query: Float[Array, "b m heads d"], queries: Places, keys: Places, places: Places
    ) -> Float[Array, "b heads m k"]:
        """What is added to the products: a query times a vector for how far the key is, along each axis by itself."""
        batch, _, heads, channels = query.shape
        # The tables are for as many places as the larger of height and width has; what a clip has not is interpolated.
        side = max(max(queries[1:]), max(keys[1:]))
        known = dict(zip(AXES, (places[0], side, side), strict=True))
        query = query[:, 1:].reshape(batch, *queries, heads, channels)
        terms = []
        for axis, name in enumerate(AXES):
            table = self._table(f"positions_{name}", 2 * known[name] - 1, channels)
            size = max(queries[axis], keys[axis])
            vectors = _lengthened(table, 2 * size - 1)[distances(queries[axis], keys[axis])].astype(query.dtype)
            product = jnp.einsum(f"bthwnc,{'thw'[axis]}kc->bnthwk", query, vectors)
            terms.append(product.reshape(*product.shape[:-1], *(-1 if i == axis else 1 for i in range(3))))
        total = (terms[0] + terms[1] + terms[2]).reshape(batch, heads, np.prod(queries), np.prod(keys))
        return jnp.pad(total, ((0, 0), (0, 0), (1, 0), (1, 0)))  # a class token is nowhere

    def _table(self, name: str, rows: int, channels: int) -> Float[Array, "rows channels"]:
        """The parameter of this name, of whatever length it has."""
        if self.has_variable("params", name):
            rows = nn.unbox(self.get_variable("params", name)).shape[0]
        return self.param(name, nn.initializers.normal(0.02), (rows, channels), self.param_dtype)


def distances(queries: int, keys: int) -> Int[np.ndarray, "queries keys"]:
    """Which row of a table of 2 max(queries, keys) - 1 belongs to each query and key along one axis.

    Both lie evenly over the same extent; from the last key as seen by the first query to the opposite.

    >>> distances(2, 2).tolist()
    [[1, 0], [2, 1]]
    >>> distances(4, 2).tolist()
    [[2, 0], [3, 1], [4, 2], [5, 3]]
    """
    of_query, of_key = max(keys / queries, 1.0), max(queries / keys, 1.0)
    return (np.arange(queries)[:, None] * of_query - (np.arange(keys) + 1.0 - keys) * of_key).astype(int)


def _lengthened(table: Float[Array, "rows channels"], rows: int) -> Float[Array, "new_rows channels"]:
    """The table with another number of rows, interpolated between the centres of its own."""
    return table if table.shape[0] == rows else resize(table[None, None], (1, rows))[0, 0]
