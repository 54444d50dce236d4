"""A model as a program that needs neither this package nor Flax: traced, lowered, and written to bytes.

exported = zoo.export_model(model, variables, (32, 32, 3))
Path("model.jax").write_bytes(exported.serialize())
logits = jax.export.deserialize(Path("model.jax").read_bytes()).call(variables, images)
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
from jax import export
from jaxtyping import PyTree

from zoo.catalog.inputs import Example, as_inputs

PLATFORMS = ("cpu", "cuda", "tpu")
"""What an exported program runs on, each in the form that is fast there."""


def export_model(
    model: nn.Module,
    variables: PyTree[Any],
    *inputs: Example | Sequence[Example],
    batch: int | None = None,
    platforms: Sequence[str] = PLATFORMS,
    **call_options: Any,
) -> export.Exported:
    """The program of (variables, *inputs) that `model.apply` is at evaluation, for batches of any size.

    Kernels of cuDNN are not part of it (`fused`): jax promises no format for their calls.

    Args:
      model: the network.
      variables: its parameters and statistics, or their shapes and types; they do not become part of the program.
      *inputs: of one example without the batch axis, as for `zoo.init`.
      batch: the only size that the program is to serve; without one it serves all.
      platforms: where it is to run.
      **call_options: further arguments of the model's `__call__`, such as `features=True`.

    Raises:
      ValueError: no inputs, or the model does not take them.

    >>> import zoo
    >>> model = zoo.create("mlp", hidden=(4,))
    >>> shapes = jax.eval_shape(lambda: zoo.init(model, jax.random.key(0), (8, 8, 1)))
    >>> export_model(model, shapes, (8, 8, 1)).out_avals[0].str_short()
    'float32[batch,10]'
    """
    (size,) = export.symbolic_shape("batch") if batch is None else (batch,)
    examples = [jax.ShapeDtypeStruct((size, *one.shape), one.dtype) for one in as_inputs(*inputs)]
    model = _portable(model)
    program = jax.jit(lambda variables, *batch: model.apply(variables, *batch, **call_options))
    return export.export(program, platforms=tuple(platforms))(variables, *examples)


def _portable(model: nn.Module) -> nn.Module:
    """The model without calls of cuDNN, in it and in the models that are its parts."""
    parts = {field.name: getattr(model, field.name) for field in dataclasses.fields(model) if field.name != "parent"}
    changes = {name: _portable_part(part) for name, part in parts.items()}
    changes = {name: part for name, part in changes.items() if part is not parts[name]}
    if parts.get("fused"):
        changes["fused"] = False
    return model.clone(**changes) if changes else model


def _portable_part(part: Any) -> Any:
    """The same of a field's value: a model, some of them, or anything else."""
    if isinstance(part, nn.Module):
        return _portable(part)
    if isinstance(part, tuple | list):
        changed = [_portable_part(one) for one in part]
        return type(part)(changed) if any(a is not b for a, b in zip(changed, part, strict=True)) else part
    return part
