"""Initial variables of a model, computed under one `jit`."""

import functools
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray, PyTree

from zoo.catalog.inputs import Example, as_inputs


def init(
    model: nn.Module,
    key: PRNGKeyArray,
    *inputs: Example | Sequence[Example],
    input_shape: tuple[int, ...] | None = None,
    **call_options: Any,
) -> PyTree[Array]:
    """The model's initial variables: `{"params": ..., "batch_stats": ...}`.

    The forward pass is traced and then discarded by the compiler, so the cost is that of drawing the
    numbers, most of it for compiling: with `jax.random.key(seed, impl="rbg")` a quarter of the time. Another
    key for the same model and shape compiles nothing. For shapes alone, `jax.eval_shape(lambda: zoo.init(...))`
    computes nothing.

    Args:
      model: a Flax module, such as `zoo.create` returns.
      key: a typed random key, such as `jax.random.key(seed)`.
      *inputs: one for each argument of the model, of one example without the batch axis: a shape such as
        (32, 32, 3), which is of float32; a `jax.ShapeDtypeStruct`; or an `Input`, as in `zoo.describe(name).inputs`.
      input_shape: the same for a model that takes images alone.
      **call_options: further arguments of the model's `__call__`, such as `train=True`.

    Raises:
      ValueError: no input, or one whose shape is empty or has an axis that is not positive.

    >>> import zoo
    >>> variables = zoo.init(zoo.create("lenet5"), jax.random.key(0), (28, 28, 1))
    >>> sorted(variables)
    ['params']
    """
    given = inputs if input_shape is None else (*inputs, input_shape)
    examples = tuple((one.shape, one.dtype) for one in as_inputs(*given))
    return _initial(model, key, examples, tuple(sorted(call_options.items())))


@functools.partial(jax.jit, static_argnums=(0, 2, 3))
def _initial(
    model: nn.Module,
    key: PRNGKeyArray,
    examples: tuple[tuple[tuple[int, ...], str], ...],
    call_options: tuple[tuple[str, Any], ...],
) -> PyTree[Array]:
    batch = (jnp.zeros((1, *shape), dtype) for shape, dtype in examples)
    return model.init(key, *batch, **dict(call_options))
