"""The catalog: one table of every model in the zoo, a row a model (a file a chapter), and what reads it."""

import dataclasses
import fnmatch
import importlib
import inspect
import sys
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import flax.linen as nn

from zoo.catalog import (
    captioning,
    convnets,
    detection,
    equivariant,
    flow,
    flow_pyramids,
    gans,
    graphs,
    perceptrons,
    segmentation,
    sequences,
    single_stage,
    surfaces,
    torchvision_dense,
    video,
)
from zoo.catalog.entry import Entry, Ref
from zoo.catalog.inputs import Input
from zoo.names import unknown

__all__ = ["CATALOG", "Entry", "Input", "Ref", "create", "describe", "entry_of", "list_models"]


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
        *perceptrons.ENTRIES,
        *convnets.ENTRIES,
        *detection.ENTRIES,
        *single_stage.ENTRIES,
        *segmentation.ENTRIES,
        *torchvision_dense.ENTRIES,
        *surfaces.ENTRIES,
        *flow.ENTRIES,
        *flow_pyramids.ENTRIES,
        *sequences.ENTRIES,
        *video.ENTRIES,
        *captioning.ENTRIES,
        *equivariant.ENTRIES,
        *graphs.ENTRIES,
        *gans.ENTRIES,
    )
)
"""Every model's row, by name."""


_HOW_IT_COMPUTES = {"dtype", "param_dtype", "axis_name", "remat"}
"""Fields of every network, of which no row speaks."""


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
      **overrides: options of its builder to set, such as `num_classes=100` or `dtype=jnp.bfloat16`. Where the model is
        made of others, such as `backbone`, any module, a `Ref` to a model of the catalog, or such a model's name, which
        stands for it without a head: Ref(name, num_classes=0). Types, `remat` and `axis_name` are of these parts too,
        but for a module, which is taken as it is.

    Raises:
      UnknownNameError: no such model, or it has no such option; the message names the nearest.
      TypeError: an option that is a plain number, string or flag was given something else.

    >>> create("lenet5", num_classes=26).num_classes
    26
    """
    entry = describe(name)
    builder = _builder(entry)
    known = _options(builder)
    hints = typing.get_type_hints(builder) if overrides else {}
    for option, value in overrides.items():
        if option not in known:
            raise unknown(f"option of {name}", option, known)
        _check_type(f"option {option} of {name}", value, hints.get(option))
    parts = {option: _named(value) for option, value in overrides.items() if hints.get(option) is nn.Module}
    computing = {option: value for option, value in overrides.items() if option in _HOW_IT_COMPUTES}
    options = {**entry.options, **overrides, **parts}
    return builder(**{option: _built(value, computing) for option, value in options.items()})


def _builder(entry: Entry) -> Callable[..., nn.Module]:
    """The class or function that a row names."""
    module_name, _, attribute = entry.builder.partition(":")
    return getattr(importlib.import_module(module_name), attribute)


def _options(builder: Callable[..., nn.Module]) -> set[str]:
    """What may be set: a class's fields, or a function's parameters, of which `**shared` stands for what all have."""
    parameters = inspect.signature(builder).parameters.values()
    named = {each.name for each in parameters if each.kind is not inspect.Parameter.VAR_KEYWORD}
    shared = _HOW_IT_COMPUTES if len(named) < len(parameters) else set()
    return (named | shared) - {"parent", "name"}


def _named(value: Any) -> Any:
    """What makes maps for another model, where that goes by its name alone."""
    if not isinstance(value, str):
        return value
    maps = {"maps_only": True} if "maps_only" in _options(_builder(describe(value))) else {}
    return Ref(value, num_classes=0, **maps)


def _built(value: Any, computing: Mapping[str, Any]) -> Any:
    """An option's value, which is a module where the row or the caller refers to one: it computes as the whole does."""
    if not isinstance(value, Ref):
        return value
    known = _options(_builder(describe(value.name)))
    shared = {option: given for option, given in computing.items() if option in known}
    return create(value.name, **{**shared, **value.options})


def _check_type(what: str, value: Any, expected: Any) -> None:
    """Refuses, for example, the string "20" where an int is expected; composite types are left to the module."""
    if expected not in (int, float, str, bool):
        return
    accepted = (int, float) if expected is float else expected
    if not isinstance(value, accepted) or (expected is not bool and isinstance(value, bool)):
        raise TypeError(f"{what}: expected {expected.__name__}, got {type(value).__name__} {value!r}")


_NOT_THE_ARCHITECTURE = {"num_classes", "dropout", "drop_path", "epsilon", "momentum"}
"""Options of rows that a user changes without making another model."""


def entry_of(model: nn.Module) -> Entry:
    """The row that describes a module: of its class, with its architecture.

    Of a variant that has no row it is one of its class that goes by the class's name, and so has no published
    weights.

    Raises:
      ValueError: no row has this class.

    >>> entry_of(create("cifar_resnet56", num_classes=100)).name
    'cifar_resnet56'
    """
    rows = _rows_of(type(model))
    if not rows:
        raise ValueError(f"expected a model of the catalog, got a module of {_path(type(model))}")
    for row in rows:
        if _alike(model, create(row.name)):
            return row
    return dataclasses.replace(rows[0], name=type(model).__name__)


def _path(kind: type) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"


def _rows_of(kind: type) -> list[Entry]:
    """The rows that build modules of this class."""
    return [entry for entry in CATALOG.values() if entry.builder == _path(kind) or _makes(entry, kind)]


def _makes(entry: Entry, kind: type) -> bool:
    """Whether the row names a function that gives modules of this class; what nobody imported has given none."""
    module_name, _, attribute = entry.builder.partition(":")
    builder = getattr(sys.modules.get(module_name), attribute, None)
    return inspect.isfunction(builder) and type(create(entry.name)) is kind


def _alike(model: Any, other: Any) -> bool:
    """Whether two modules are of one architecture, so that weights of one fit the other; other values are equal."""
    if not isinstance(model, nn.Module) or type(model) is not type(other):
        return model == other
    rows = _rows_of(type(model))
    if not rows:
        return model == other
    fields = {field.name for field in dataclasses.fields(model) if field.init} - {"parent", "name"}
    if all(inspect.isclass(_builder(row)) for row in rows):  # then a row names every field that makes a variant
        fields &= {option for row in rows for option in row.options}
    fields -= _NOT_THE_ARCHITECTURE | _HOW_IT_COMPUTES
    return all(_alike(getattr(model, field), getattr(other, field)) for field in fields)
