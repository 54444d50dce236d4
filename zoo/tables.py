"""The catalog as tables for a person: rich at the command line, Markdown in the README."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from zoo.catalog import CATALOG, create, describe, list_models
from zoo.flops import count_flops
from zoo.names import unknown


@dataclasses.dataclass(frozen=True)
class Summary:
    """What a model is made of, for one example."""

    stages: dict[str, tuple[int, ...]]
    """The output shape of every named stage, without the batch axis."""
    stage_parameters: dict[str, int]
    """Trained numbers in each top-level module."""
    parameters: int
    """Trained numbers; batch statistics do not count."""
    bytes: int
    """Memory of parameters and batch statistics."""
    flops: float
    """Floating-point operations of one example's forward pass, see `zoo.flops`."""


def summarise(name: str, input_shape: tuple[int, ...] = (), **overrides: Any) -> Summary:
    """Shapes, parameters and FLOPs of a model, without computing any of it.

    Args:
      name: a name in the catalog.
      input_shape: of one example; by default the catalog's.
      **overrides: as for `zoo.create`.

    Raises:
      UnknownNameError: no such model or option.
      ValueError: the model does not take this shape.

    >>> summarise("lenet5").parameters
    61706
    """
    if any(size < 1 for size in input_shape):
        raise ValueError(f"input_shape: expected positive sizes of one example, got {input_shape}")
    model = create(name, **overrides)
    images = jax.ShapeDtypeStruct((1, *(input_shape or describe(name).input_shape)), jnp.float32)
    variables = jax.eval_shape(model.init, jax.random.key(0), images)
    order: list[str] = []  # pytrees sort their keys; the model's own order reads from input to output

    def named_features(variables: Any, images: Any) -> Any:
        features = model.apply(variables, images, features=True)
        order.extend(features)
        return features

    features = jax.eval_shape(named_features, variables, images)
    params = variables["params"]
    return Summary(
        stages={stage: features[stage].shape[1:] for stage in order},
        stage_parameters={key: _count(tree) for key, tree in params.items()},
        parameters=_count(params),
        bytes=sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(variables)),
        flops=count_flops(model, variables, images),
    )


def count_parameters(name: str) -> int:
    """How many trained numbers a model has, for the catalog's input shape and number of classes."""
    images = jax.ShapeDtypeStruct((1, *describe(name).input_shape), jnp.float32)
    return _count(jax.eval_shape(create(name).init, jax.random.key(0), images)["params"])


def catalog_markdown() -> str:
    """The catalog as the README's table."""
    lines = ["| model | parameters | input | lecture | paper |", "|---|--:|---|---|---|"]
    for entry in CATALOG.values():
        shape = "x".join(map(str, entry.input_shape))
        lines.append(
            f"| `{entry.name}` | {count_parameters(entry.name):,} | {shape} | {entry.lecture} | {entry.paper} |"
        )
    return "\n".join(lines)


def print_list(pattern: str, task: str | None) -> None:
    """Prints the matching rows of the catalog."""
    from rich.console import Console
    from rich.table import Table

    names = list_models(pattern, task)
    if not names:
        raise unknown("model", pattern, CATALOG)
    table = Table("model", "task", "input", "lecture", "paper", title=f"{len(names)} models")
    for name in names:
        entry = describe(name)
        table.add_row(name, entry.task, _shape(entry.input_shape), entry.lecture, entry.paper)
    Console().print(table)


def print_description(name: str) -> None:
    """Prints all that the catalog says of a model."""
    from rich.console import Console
    from rich.table import Table

    table = Table(show_header=False, title=name)
    for field in dataclasses.fields(entry := describe(name)):
        table.add_row(field.name, str(getattr(entry, field.name)))
    Console().print(table)


def print_summary(name: str, input_shape: tuple[int, ...]) -> None:
    """Prints a model's stages, parameters, FLOPs and bytes."""
    from rich.console import Console
    from rich.table import Table

    summary = summarise(name, input_shape)
    shape = _shape(input_shape or describe(name).input_shape)
    table = Table("stage", "output", "parameters", title=f"{name}, one {shape} example")
    table.columns[2].justify = "right"
    others = dict(summary.stage_parameters)
    for stage, output in summary.stages.items():
        own = others.pop(stage, None)
        table.add_row(stage, _shape(output), f"{own:,}" if own is not None else "")
    for module, parameters in others.items():
        table.add_row(module, "", f"{parameters:,}")
    table.add_section()
    table.add_row("total", "", f"{summary.parameters:,}")
    Console().print(table)
    Console().print(f"{summary.flops / 1e6:,.1f} MFLOPs   {summary.bytes / 1e6:,.2f} MB of variables")


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _count(tree: Any) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(tree))
