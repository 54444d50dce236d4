"""Initial variables of a model, computed under one `jit`."""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray, PyTree


def init(model: nn.Module, key: PRNGKeyArray, input_shape: tuple[int, ...], **call_options: Any) -> PyTree[Array]:
    """The model's initial variables: `{"params": ..., "batch_stats": ...}`.

    The forward pass is traced and then discarded by the compiler, so the cost is that of drawing the
    numbers, most of it for compiling: with `jax.random.key(seed, impl="rbg")` a quarter of the time. Another
    key for the same model and shape compiles nothing. For shapes alone, `jax.eval_shape(lambda: zoo.init(...))`
    computes nothing.

    Args:
      model: a Flax module, such as `zoo.create` returns.
      key: a typed random key, such as `jax.random.key(seed)`.
      input_shape: the shape of one example without the batch axis, such as (32, 32, 3).
      **call_options: further arguments of the model's `__call__`, such as `train=True`.

    Raises:
      ValueError: the shape is empty or has an axis that is not positive.

    >>> import zoo
    >>> variables = zoo.init(zoo.create("lenet5"), jax.random.key(0), (28, 28, 1))
    >>> sorted(variables)
    ['params']
    """
    if not input_shape or any(size < 1 for size in input_shape):
        raise ValueError(f"input_shape: expected positive sizes of one example, got {input_shape}")
    return _initial(model, key, tuple(input_shape), tuple(sorted(call_options.items())))


@functools.partial(jax.jit, static_argnums=(0, 2, 3))
def _initial(
    model: nn.Module, key: PRNGKeyArray, input_shape: tuple[int, ...], call_options: tuple[tuple[str, Any], ...]
) -> PyTree[Array]:
    return model.init(key, jnp.zeros((1, *input_shape)), **dict(call_options))
