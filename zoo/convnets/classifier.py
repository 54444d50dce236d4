"""How most convnets end: the mean over each map, and one dense layer. Lecture row L48."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from zoo.nn import global_avg_pool
from zoo.nn.checks import check_classes


def classify(
    named: dict[str, Array],
    maps: Float[Array, "batch *places channels"],
    num_classes: int,
    kernel_init: nn.initializers.Initializer,
    bias_init: nn.initializers.Initializer = nn.initializers.zeros,
    dtype: Any = jnp.float32,
    param_dtype: Any = jnp.float32,
    dropout: float = 0.0,
    train: bool = False,
) -> Float[Array, "batch outputs"]:
    """Adds the features `pre_logits` and, unless `num_classes` is 0, `logits`, and returns the last.

    Both are cheap, and want more digits than bfloat16 has: they are float32 at least. Called in the compact
    `__call__` of a network, whose submodule `head` it makes.

    Args:
      named: the network's features so far.
      maps: the last of them.
      num_classes: how many logits.
      kernel_init: of the dense layer.
      bias_init: of the dense layer.
      dtype: the network's compute type.
      param_dtype: of the dense layer's parameters.
      dropout: the share of `pre_logits` that the dense layer does not see in training.
      train: whether to drop any.

    Raises:
      ValueError: a negative number of classes.
    """
    check_classes(num_classes)
    wide = jnp.promote_types(dtype, jnp.float32)
    named["pre_logits"] = x = global_avg_pool(maps.astype(wide))
    if num_classes:
        x = nn.Dropout(dropout, deterministic=not train)(x) if dropout else x
        inits = {"kernel_init": kernel_init, "bias_init": bias_init}
        named["logits"] = x = nn.Dense(num_classes, dtype=wide, param_dtype=param_dtype, **inits, name="head")(x)
    return x
