"""The catalog: one table of every model in the zoo, a row a model, and the functions that read it."""

import dataclasses
import fnmatch
import importlib
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any

import flax.linen as nn

from zoo.names import unknown

HE_2016 = "He et al., 2016, Deep Residual Learning for Image Recognition"
HE_2016_IDENTITY = "He et al., 2016, Identity Mappings in Deep Residual Networks"
LECUN_1998 = "LeCun et al., 1998, Gradient-Based Learning Applied to Document Recognition"
RUMELHART_1986 = "Rumelhart et al., 1986, Learning Representations by Back-Propagating Errors"


@dataclasses.dataclass(frozen=True)
class Entry:
    """One row of the catalog: how a model is built, and what is known about it."""

    name: str
    """The name that `zoo.create` takes."""
    builder: str
    """Where the Flax module class is, as "package.module:Class"; imported when the model is created."""
    task: str
    """What the model predicts: "classification"."""
    input_shape: tuple[int, ...]
    """The shape of one example, without the batch axis, that the paper used."""
    paper: str
    """Authors, year, title."""
    lecture: str
    """The rows of the lecture's checklist that the model serves."""
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """The fields of the builder that make this variant."""
    weights: str | None = None
    """The table of `zoo.weights` that renames other libraries' parameters, where there is one."""


def _cifar_resnets() -> list[Entry]:
    def row(name: str, paper: str, lecture: str, **options: Any) -> Entry:
        builder = "zoo.convnets.cifar_resnet:CifarResNet"
        return Entry(name, builder, "classification", (32, 32, 3), paper, lecture, options, "cifar_resnet")

    basic = (20, 32, 44, 56, 110)
    bottleneck = {"bottleneck": True, "shortcut": "B"}
    preactivation = {"unit": "full_preactivation"}
    return [
        row("cifar_resnet8", HE_2016, "L40", depth=8),
        *(row(f"cifar_resnet{depth}", HE_2016, "L39-L41", depth=depth) for depth in basic),
        *(row(f"cifar_resnet{depth}", HE_2016_IDENTITY, "L43", depth=depth, **bottleneck) for depth in (164, 1001)),
        row("cifar_resnet1202", HE_2016, "L40", depth=1202),
        *(row(f"cifar_plain{depth}", HE_2016, "L39", depth=depth, shortcut="none") for depth in basic),
        row("cifar_preact_resnet110", HE_2016_IDENTITY, "L41, L43", depth=110, **preactivation),
        *(
            row(f"cifar_preact_resnet{depth}", HE_2016_IDENTITY, "L41, L43", depth=depth, **bottleneck, **preactivation)
            for depth in (164, 1001)
        ),
    ]


def _table(entries: Iterable[Entry]) -> Mapping[str, Entry]:
    """The entries by name, which nothing can change.

    Raises:
      ValueError: two entries have one name.
    """
    table: dict[str, Entry] = {}
    for entry in entries:
        if entry.name in table:
            raise ValueError(f"two models are named {entry.name!r}: {table[entry.name].builder} and {entry.builder}")
        table[entry.name] = entry
    return types.MappingProxyType(table)


CATALOG = _table(
    (
        Entry("mlp", "zoo.perceptrons.mlp:MLP", "classification", (28, 28, 1), RUMELHART_1986, "L5, L6"),
        Entry("lenet5", "zoo.convnets.lenet:LeNet5", "classification", (28, 28, 1), LECUN_1998, "L37"),
        *_cifar_resnets(),
    )
)


def list_models(pattern: str = "*", task: str | None = None) -> list[str]:
    """The names in the catalog that match a shell pattern, in the catalog's order.

    Args:
      pattern: a shell pattern, such as "*resnet*".
      task: only models of this task.

    Raises:
      UnknownNameError: no model has this task.

    >>> list_models("lenet*")
    ['lenet5']
    """
    tasks = {entry.task for entry in CATALOG.values()}
    if task is not None and task not in tasks:
        raise unknown("task", task, tasks)
    return [
        entry.name
        for entry in CATALOG.values()
        if fnmatch.fnmatchcase(entry.name, pattern) and task in (None, entry.task)
    ]


def describe(name: str) -> Entry:
    """The catalog's row for a model.

    Raises:
      UnknownNameError: there is no such model; the message names the nearest.

    >>> describe("lenet5").input_shape
    (28, 28, 1)
    """
    try:
        return CATALOG[name]
    except KeyError:
        raise unknown("model", name, CATALOG) from None


def create(name: str, **overrides: Any) -> nn.Module:
    """Builds a model: a Flax Linen module, which holds no parameters (see `zoo.init`).

    Args:
      name: a name of `zoo.list_models()`.
      **overrides: fields of the module to set, such as `num_classes=100` or `dtype=jnp.bfloat16`.

    Raises:
      UnknownNameError: no such model, or the model has no such field; the message names the nearest.
      TypeError: a field that is a plain number, string or flag was given something else.

    >>> create("lenet5", num_classes=26).num_classes
    26
    """
    entry = describe(name)
    module_name, _, attribute = entry.builder.partition(":")
    builder = getattr(importlib.import_module(module_name), attribute)
    hints = typing.get_type_hints(builder)
    fields = {field.name for field in dataclasses.fields(builder)} - {"parent", "name"}
    for option, value in overrides.items():
        if option not in fields:
            raise unknown(f"option of {name}", option, fields)
        _check_type(f"option {option} of {name}", value, hints[option])
    return builder(**{**entry.options, **overrides})


def _check_type(what: str, value: Any, expected: Any) -> None:
    """Refuses, for example, the string "20" where an int is expected; composite types are left to the module."""
    if expected not in (int, float, str, bool):
        return
    accepted = (int, float) if expected is float else expected
    if not isinstance(value, accepted) or (expected is not bool and isinstance(value, bool)):
        raise TypeError(f"{what}: expected {expected.__name__}, got {type(value).__name__} {value!r}")
