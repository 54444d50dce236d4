"""Attention as one kernel of cuDNN, which keeps no product of a query and a key in memory.

Dao et al., 2022, FlashAttention: Fast and Memory-Efficient Exact Attention with IO-Awareness. Lecture row L48.

`jax.nn.dot_product_attention(implementation="cudnn")` raises where cuDNN cannot, some of it only when gradients are
taken; `cudnn_applies` knows before. What it gives has no forward mode and no second derivatives.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.backend import get_backend
from jaxtyping import Array, Float

Attention = Callable[[Array, Array, Array], Array]

CAPABILITIES = ((8, 0), (10, 0))
"""Compute capabilities from the first (Ampere) to below the second (Blackwell).

Older GPUs have no kernel. On Blackwell the backward pass repeats its bits only from cuDNN 9.18.1 on, with capability 12
in no version; on the others XLA asks for the kernel that does where `--xla_gpu_deterministic_ops` is set.
"""

CHANNELS = 8, 128
"""Channels of a head are a multiple of the first, and at most the second; Hopper alone would take 256."""


def cudnn_applies(
    shape: Sequence[Any], dtype: Any, has_bias: bool = False, capability: tuple[int, int] | None = None
) -> bool:
    """Whether cuDNN can compute attention and its gradients.

    A bias, also one of -inf that hides keys, is left to XLA: its gradient wants an even number of tokens (a window of
    Swin has 49) and in jax a batch of one.

    Args:
      shape: of the queries, keys and values, (..., tokens, heads, channels); symbolic sizes are for exports.
      dtype: of all three.
      has_bias: whether something is added to the products.
      capability: the GPU's compute capability; None without one that speaks CUDA.

    >>> cudnn_applies((128, 197, 12, 64), "bfloat16", capability=(9, 0))
    True
    >>> cudnn_applies((128, 197, 12, 64), "bfloat16", capability=(7, 5))
    False
    """
    if capability is None or has_bias or not all(isinstance(size, int) and size > 0 for size in shape):
        return False
    first, end = CAPABILITIES
    multiple, most = CHANNELS
    is_narrow = jnp.dtype(dtype) in (jnp.bfloat16, jnp.float16)
    return first <= capability < end and is_narrow and shape[-1] % multiple == 0 and shape[-1] <= most


def capability() -> tuple[int, int] | None:
    """The compute capability of this process's first GPU; None where jax's default platform is not CUDA."""
    if "cuda" not in get_backend().platform_version:
        return None
    found = re.fullmatch(r"(\d+)\.(\d+)", str(getattr(jax.local_devices()[0], "compute_capability", "")))
    return (int(found[1]), int(found[2])) if found else None


def attend(
    query: Float[Array, "*batch queries heads channels"],
    key: Float[Array, "*batch keys heads channels"],
    value: Float[Array, "*batch keys heads channels"],
    plain: Attention,
) -> Float[Array, "*batch queries heads channels"]:
    """Attention by cuDNN where the program runs on CUDA, elsewhere what `plain` computes of the same arguments.

    Products are scaled by one over the square root of the channels.
    """
    # A gradient keeps what either branch wants, zeros for the other: the plain one is made to want its arguments alone.
    return lax.platform_dependent(query, key, value, cuda=_fused, default=jax.checkpoint(plain))


def _fused(query: Array, key: Array, value: Array) -> Array:
    """Attention by cuDNN, of an even number of tokens: jax takes no odd one to a backward pass, with or without a bias.

    A token that makes it even is hidden as a key, and as a query its mean is cut off.
    """
    shape, keys = query.shape, key.shape[-3]
    query, key, value = (_even(part.reshape(-1, *part.shape[-3:])) for part in (query, key, value))
    lengths = {}
    if keys % 2:
        none = 0 * query[:, 0, 0, 0].astype(jnp.int32)  # not a constant: `vmap` wants lengths that it maps too
        lengths = {"query_seq_lengths": query.shape[1] + none, "key_value_seq_lengths": keys + none}
    mean = jax.nn.dot_product_attention(query, key, value, implementation="cudnn", **lengths)
    return mean[:, : shape[-3]].reshape(shape)


def _even(x: Array) -> Array:
    return jnp.pad(x, ((0, 0), (0, x.shape[1] % 2), (0, 0), (0, 0)))
