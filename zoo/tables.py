"""The catalog as tables for a person: rich at the command line, Markdown in `zoo/MODELS.md`."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax

from zoo.catalog import CATALOG, Input, create, describe, list_models
from zoo.catalog.inputs import Example, as_inputs, batch_of
from zoo.flops import count_flops
from zoo.names import unknown

MARKDOWN_BEGINS = """# Models

Every model of the catalog, with its parameters for the catalog's number of classes, and the inputs of one example.
Written by `python -m zoo markdown > zoo/MODELS.md`.

| model | parameters | input | lecture | paper |
|---|--:|---|---|---|"""


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


def summarise(name: str, *inputs: Example | Sequence[Example], **overrides: Any) -> Summary:
    """Shapes, parameters and FLOPs of a model, without computing any of it.

    Args:
      name: a name in the catalog.
      *inputs: of one example without the batch axis, as for `zoo.init`; by default the catalog's.
      **overrides: as for `zoo.create`.

    Raises:
      UnknownNameError: no such model or option.
      ValueError: the model does not take these inputs.

    >>> summarise("lenet5").parameters
    61706
    """
    model = create(name, **overrides)
    batch = batch_of(as_inputs(*inputs) if inputs else describe(name).inputs)
    variables = jax.eval_shape(model.init, jax.random.key(0), *batch)
    order: list[str] = []  # pytrees sort their keys; the model's own order reads from input to output

    def named_features(variables: Any, *batch: Any) -> Any:
        features = model.apply(variables, *batch, features=True)
        order.extend(features)
        return features

    features = jax.eval_shape(named_features, variables, *batch)
    params = variables["params"]
    return Summary(
        stages={stage: features[stage].shape[1:] for stage in order},
        stage_parameters={key: _count(tree) for key, tree in params.items()},
        parameters=_count(params),
        bytes=sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(variables)),
        flops=count_flops(model, variables, *batch),
    )


def count_parameters(name: str) -> int:
    """How many trained numbers a model has, for the catalog's inputs and number of classes."""
    batch = batch_of(describe(name).inputs)
    return _count(jax.eval_shape(create(name).init, jax.random.key(0), *batch)["params"])


def catalog_markdown() -> str:
    """The catalog as `zoo/MODELS.md`."""
    return "\n".join([MARKDOWN_BEGINS, *(markdown_row(name, count_parameters(name)) for name in CATALOG)])


def markdown_row(name: str, parameters: int) -> str:
    """A model's row there."""
    entry = CATALOG[name]
    shapes = ", ".join("x".join(map(str, one.shape)) for one in entry.inputs)
    return f"| `{name}` | {parameters:,} | {shapes} | {entry.lecture} | {entry.paper} |"


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
        table.add_row(name, entry.task, _shapes(entry.inputs), entry.lecture, entry.paper)
    Console().print(table)


def print_description(name: str) -> None:
    """Prints all that the catalog says of a model."""
    from rich.console import Console
    from rich.table import Table

    table = Table(show_header=False, title=name)
    for field in dataclasses.fields(entry := describe(name)):
        value = getattr(entry, field.name)
        table.add_row(field.name, ", ".join(map(str, value)) if isinstance(value, tuple) else str(value))
    Console().print(table)


def print_summary(name: str, input_shape: tuple[int, ...]) -> None:
    """Prints a model's stages, parameters, FLOPs and bytes, for one example with a first input of this shape."""
    from rich.console import Console
    from rich.table import Table

    first, *others = describe(name).inputs
    inputs = (dataclasses.replace(first, shape=input_shape or first.shape), *others)
    summary = summarise(name, *inputs)
    table = Table("stage", "output", "parameters", title=f"{name}, one {_shapes(inputs)} example")
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


def _shapes(inputs: Sequence[Input]) -> str:
    return ", ".join(_shape(one.shape) for one in inputs)


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _count(tree: Any) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(tree))
