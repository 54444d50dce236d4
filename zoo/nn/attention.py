"""Self-attention: every token becomes a mean of all tokens' values, weighted by how its query fits their keys.

Vaswani et al., 2017, Attention Is All You Need, section 3.2. Lecture row L48.
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from zoo.nn.dense import Dense
from zoo.nn.fused_attention import attend, capability, cudnn_applies
from zoo.nn.initialisers import linear_uniform


def _products(
    query: Float[Array, "*batch queries heads channels"], key: Float[Array, "*batch keys heads channels"]
) -> Float[Array, "*batch heads queries keys"]:
    """The product of every query with every key, in float32 or better."""
    wide = jnp.promote_types(query.dtype, jnp.float32)
    return _wider_products(query, key) if query.dtype != wide else jnp.einsum("...qhc,...khc->...hqk", query, key)


@jax.custom_vjp
def _wider_products(query: Array, key: Array) -> Array:
    """Products in float32 of narrower numbers, whose gradients are products of narrow numbers too.

    Left to itself the gradient of a float32 product is of float32 numbers, which takes twice the memory and, on an
    accelerator, far more time. Sums are in float32 either way. There is no forward mode.
    """
    return jnp.einsum("...qhc,...khc->...hqk", query, key, preferred_element_type=jnp.float32)


def _forward(query: Array, key: Array) -> tuple[Array, tuple[Array, Array]]:
    return _wider_products(query, key), (query, key)


def _backward(saved: tuple[Array, Array], slope: Array) -> tuple[Array, Array]:
    query, key = saved
    slope = slope.astype(query.dtype)
    return jnp.einsum("...hqk,...khc->...qhc", slope, key), jnp.einsum("...hqk,...qhc->...khc", slope, query)


_wider_products.defvjp(_forward, _backward)


def plain_attention(query: Array, key: Array, value: Array, bias: Array | None = None) -> Array:
    """The mean of the values for every query; weights are float32 or better until they meet the values."""
    products = _products(query * query.shape[-1] ** -0.5, key)
    weights = nn.softmax(products if bias is None else products + bias).astype(query.dtype)
    return jnp.einsum("...hqk,...khc->...qhc", weights, value)


class SelfAttention(nn.Module):
    """Scaled dot-product attention in several heads, of tokens to each other.

    Submodules `in_proj`, (channels, 3 channels): queries, keys and values in this order, each head after head; and
    `out_proj`, (channels, channels). As torch.nn.MultiheadAttention; initialised as it is unless told otherwise.
    """

    heads: int
    in_proj_init: Callable[..., Array] = nn.initializers.xavier_uniform()
    out_proj_init: Callable[..., Array] = linear_uniform
    dtype: Any = None
    """Compute type, but for the weights of the mean, which are float32 or better; None takes it from the input."""
    param_dtype: Any = jnp.float32
    fused: bool = False
    """On a GPU, one kernel of cuDNN where `cudnn_applies`: less memory, no second derivatives. See the README."""

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "*batch tokens channels"],
        bias: Float[Array, "*#batch #heads #tokens tokens"] | None = None,
    ) -> Float[Array, "*batch tokens channels"]:
        """Attends.

        Args:
          x: tokens.
          bias: added to the products of queries (last axis but one) and keys (last axis); -inf hides a key.

        Raises:
          ValueError: channels that cannot be cut in equal heads.
        """
        channels = x.shape[-1]
        if channels % self.heads:
            raise ValueError(f"{channels} channels cannot be cut in {self.heads} equal heads")
        types = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        x = Dense(3 * channels, kernel_init=self.in_proj_init, **types, name="in_proj")(x)
        x = x.reshape(*x.shape[:-1], 3, self.heads, channels // self.heads)
        query, key, value = x[..., 0, :, :], x[..., 1, :, :], x[..., 2, :, :]
        if self.fused and cudnn_applies(query.shape, query.dtype, bias is not None, capability()):
            x = attend(query, key, value, plain_attention)
        else:
            x = plain_attention(query, key, value, bias)
        x = x.reshape(*x.shape[:-2], channels)
        return Dense(channels, kernel_init=self.out_proj_init, **types, name="out_proj")(x)
