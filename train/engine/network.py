"""The network that a recipe names, with what its task has on top, how it computes, and what it takes."""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

import zoo
from train import data
from train.config import Recipe, RecipeError, model_options
from train.data.fields import Spec
from train.tasks.protocol import Batch, Task


class Network(NamedTuple):
    """What a run trains."""

    model: nn.Module
    """The catalog's model, in the task's layers if it has any of its own."""
    part: str
    """The field of it that holds the catalog's model; empty where it is that itself."""


def make_network(recipe: Recipe, task: Task, axis_name: str | None = None) -> Network:
    """The recipe's model, with a head that fits the task.

    Args:
      recipe: of the run.
      task: of the run.
      axis_name: the `pmap` axis over which batch norm averages.

    Raises:
      UnknownNameError: no such model or option.
      RecipeError: an option has another type.
    """
    computing: dict[str, Any] = {"dtype": jnp.dtype(recipe.model.dtype)}
    if recipe.model.remat:
        computing["remat"] = True
    try:
        alone = zoo.create(recipe.model.name, **task.model_options(), **computing | model_options(recipe.model))
    except TypeError as error:
        raise RecipeError(f"model.options: {error}") from error
    if axis_name is not None:
        computing["axis_name"] = axis_name
    alone = _computing(alone, computing)
    model = task.wrap(alone)
    return Network(model, next((name for name, value in _parts(model).items() if value is alone), ""))


def model_inputs(recipe: Recipe, task: Task, spec: Spec) -> tuple[jax.ShapeDtypeStruct, ...]:
    """Shapes and types of what the model takes, for a batch of one example."""

    def inputs(batch: Batch) -> tuple[Any, ...]:
        return tuple(each for each in task.inputs(data.preprocess(recipe.augment, spec)(batch)) if each is not None)

    return jax.eval_shape(inputs, one_example(spec))


def one_example(spec: Spec) -> dict[str, jax.ShapeDtypeStruct]:
    """Shapes and types of a batch of one example."""
    batch = {name: jax.ShapeDtypeStruct((1, *field.padded), field.dtype) for name, field in spec.items()}
    valid = {
        f"{name}_valid": jax.ShapeDtypeStruct((1, *field.most), bool) for name, field in spec.items() if field.most
    }
    return {**batch, **valid, "index": jax.ShapeDtypeStruct((1,), "int32"), "mask": jax.ShapeDtypeStruct((1,), bool)}


def _computing(module: nn.Module, options: Mapping[str, Any]) -> nn.Module:
    """The module with these fields, and every module that it is made of, as far as each has them."""
    own = {field.name for field in dataclasses.fields(module)} & options.keys()
    parts = {name: _computing(value, options) for name, value in _parts(module).items()}
    changed = {name: options[name] for name in own if getattr(module, name) != options[name]} | parts
    return module.clone(**changed) if changed else module


def _parts(module: nn.Module) -> dict[str, nn.Module]:
    """The modules among a module's fields."""
    fields = {field.name: getattr(module, field.name) for field in dataclasses.fields(module)}
    return {name: value for name, value in fields.items() if isinstance(value, nn.Module) and name != "parent"}
