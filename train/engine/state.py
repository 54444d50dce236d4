"""The training state: everything that a step reads and writes, as one pytree."""

import hashlib
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Int, PyTree, UInt32


@flax.struct.dataclass
class TrainState:
    """Parameters and all that moves with them. A checkpoint holds exactly this."""

    step: Int[Array, ""]
    """Training steps done."""
    params: PyTree[Array]
    """What the optimiser moves."""
    model_state: dict[str, PyTree[Array]]
    """The model's other collections, such as "batch_stats"; empty for a model without any."""
    opt_state: optax.OptState
    """The optimiser's memory."""
    ema: dict[str, PyTree[Array]] | None
    """Moving average of parameters and batch statistics: {"params": ..., "batch_stats": ...}, or None."""
    key: UInt32[Array, "..."]
    """Data of the random key from which every step derives its own (`jax.random.key_data`)."""

    def variables(self) -> dict[str, PyTree[Array]]:
        """What `model.apply` takes."""
        return {"params": self.params, **self.model_state}


def initial_state(
    variables: dict[str, PyTree[Array]], optimizer: optax.GradientTransformation, seed_key: Array, ema: bool
) -> TrainState:
    """The state before the first step."""
    model_state = {name: collection for name, collection in variables.items() if name != "params"}
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=variables["params"],
        model_state=model_state,
        opt_state=optimizer.init(variables["params"]),
        ema=dict(variables) if ema else None,
        key=jax.random.key_data(seed_key),
    )


def fingerprint(tree: PyTree[Any]) -> str:
    """A sha256 over every array's path, shape, type and bytes: equal only for bit-identical trees.

    >>> fingerprint({"a": jnp.zeros(2)}) == fingerprint({"a": jnp.zeros(2)})
    True
    >>> fingerprint({"a": jnp.zeros(2)}) == fingerprint({"a": -jnp.zeros(2)})
    False
    """
    digest = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(jax.device_get(tree)):
        leaf = np.asarray(leaf)
        digest.update(f"{jax.tree_util.keystr(path)} {leaf.dtype} {leaf.shape}\n".encode())
        digest.update(np.ascontiguousarray(leaf).tobytes())
    return digest.hexdigest()
