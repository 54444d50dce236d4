"""How many floating-point operations a forward pass takes."""

import math
from typing import Any

import flax.linen as nn
import jax
from jaxtyping import Array, PyTree


def count_flops(model: nn.Module, variables: PyTree[Any], *inputs: Array | jax.ShapeDtypeStruct) -> float:
    """The operations of a forward pass, as XLA counts them in the program for a TPU: a multiply-add is two.

    Not in that for a CPU, of whose loops it counts the body once: there grouped convolutions are loops. A network whose
    own loop is a choice, its field `unroll`, is counted written out.

    Args:
      model: the network.
      variables: its parameters and statistics, or their shapes and types.
      *inputs: a batch of each of its inputs, or its shape and type.
    """
    if hasattr(model, "unroll"):
        model = model.copy(unroll=True)
    lowered = jax.jit(model.apply).trace(variables, *inputs).lower(lowering_platforms=("tpu",))
    return float((lowered.cost_analysis() or {}).get("flops", math.nan))
