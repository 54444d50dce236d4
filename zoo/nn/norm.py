"""Batch normalisation in one pass over the activations.

Ioffe and Szegedy, 2015, Batch Normalization: Accelerating Deep Network Training. Lecture row L18.
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float


class BatchNorm(nn.Module):
    """Normalises each channel over the batch and space, then scales and shifts it.

    Equals `flax.linen.BatchNorm` with these fields, and is faster: one pass over the activations gives mean
    and mean of squares, a second applies `x * a + b`. Parameters `scale` and `bias`; statistics `mean` and
    `var` in the collection "batch_stats", float32 whatever the compute type.

    The running variance averages the biased batch variance, as flax does; torch averages the unbiased one,
    n / (n - 1) larger. `momentum` is the share of the old value: 0.9 here is 0.1 in torch.
    """

    momentum: float = 0.9
    epsilon: float = 1e-5
    dtype: Any = None
    """Type of the result; None takes it from input and parameters."""
    param_dtype: Any = jnp.float32
    axis_name: str | None = None
    """The `pmap` or `shard_map` axis over which batch statistics are averaged; not needed under `jit`."""
    scale_init: Callable[..., Array] = nn.initializers.ones_init()
    bias_init: Callable[..., Array] = nn.initializers.zeros_init()

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "*batch channels"],
        use_running_average: bool,
        mask: Bool[Array, "*#batch"] | None = None,
    ) -> Float[Array, "*batch channels"]:
        """Normalises `x` by its own statistics, which it adds to the running ones, or by the running ones.

        Args:
          x: activations, channels last.
          use_running_average: True at evaluation. False needs "batch_stats" to be mutable.
          mask: which activations count in the statistics, of `x` without its channels, axes of one broadcast; by
            default all. Where none does, the running statistics stay and are what normalises.
        """
        channels = (x.shape[-1],)
        scale = self.param("scale", self.scale_init, channels, self.param_dtype)
        bias = self.param("bias", self.bias_init, channels, self.param_dtype)
        running_mean = self.variable("batch_stats", "mean", jnp.zeros, channels, jnp.float32)
        running_var = self.variable("batch_stats", "var", jnp.ones, channels, jnp.float32)

        if use_running_average:
            mean, var = running_mean.value, running_var.value
        else:
            axis_name = None if self.is_initializing() else self.axis_name
            mean, var = batch_statistics(x, axis_name, mask)
            if mask is not None:
                any_counts = _total(mask.any().astype(jnp.float32), axis_name) > 0
                mean, var = (
                    jnp.where(any_counts, batch, running.value)
                    for running, batch in ((running_mean, mean), (running_var, var))
                )
            if not self.is_initializing():
                for running, batch in ((running_mean, mean), (running_var, var)):
                    old = running.value
                    running.value = self.momentum * old + (1 - self.momentum) * batch.astype(old.dtype)

        dtype = self.dtype or jnp.result_type(x, scale, bias)
        a = scale * lax.rsqrt(var + self.epsilon)
        b = bias - mean * a
        return (x * a + b).astype(dtype)


def batch_statistics(
    x: Float[Array, "*batch channels"], axis_name: str | None = None, mask: Bool[Array, "*#batch"] | None = None
) -> tuple[Float[Array, " channels"], Float[Array, " channels"]]:
    """Mean and biased variance of each channel, in float32 or better.

    The variance is the mean of squares less the square of the mean, never below zero: its absolute error is
    about 1e-7 of the mean's square, so channels whose mean exceeds their spread a thousandfold lose it.

    Args:
      x: activations, channels last.
      axis_name: a mapped axis over which both are averaged too.
      mask: which activations count, of `x` without its channels, axes of one broadcast; by default all.

    >>> mean, var = batch_statistics(jnp.array([[1.0], [3.0]]))
    >>> float(mean[0]), float(var[0])
    (2.0, 1.0)
    """
    x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    axes = tuple(range(x.ndim - 1))
    if mask is not None:
        counts = jnp.broadcast_to(mask, x.shape[:-1])[..., None]
        count = jnp.maximum(_total(counts.sum(dtype=x.dtype), axis_name), 1)
        sums = (jnp.sum(each, axes, where=counts) for each in (x, jnp.square(x)))
        mean, mean_square = (_total(each, axis_name) / count for each in sums)
        return mean, jnp.maximum(mean_square - jnp.square(mean), 0.0)
    mean, mean_square = x.mean(axes), jnp.square(x).mean(axes)
    if axis_name is not None:
        mean, mean_square = lax.pmean((mean, mean_square), axis_name)
    return mean, jnp.maximum(mean_square - jnp.square(mean), 0.0)


def _total(value: Array, axis_name: str | None) -> Array:
    return value if axis_name is None else lax.psum(value, axis_name)
