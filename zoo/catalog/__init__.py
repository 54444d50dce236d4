"""The catalog: one table of every model in the zoo, a row a model (a file a chapter), and what reads it."""

import dataclasses
import fnmatch
import importlib
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any

import flax.linen as nn

from zoo.catalog import convnets, perceptrons
from zoo.catalog.entry import Entry
from zoo.names import unknown

__all__ = ["CATALOG", "Entry", "create", "describe", "entry_of", "list_models"]


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


CATALOG = _table((*perceptrons.ENTRIES, *convnets.ENTRIES))


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
    builder = f"{type(model).__module__}:{type(model).__qualname__}"
    rows = [entry for entry in CATALOG.values() if entry.builder == builder]
    if not rows:
        raise ValueError(f"expected a model of the catalog, got a module of {builder}")
    fields = {field for row in rows for field in row.options} - _NOT_THE_ARCHITECTURE
    defaults = {field: getattr(type(model), field, None) for field in fields}
    for row in rows:
        if all(getattr(model, field) == row.options.get(field, defaults[field]) for field in fields):
            return row
    return dataclasses.replace(rows[0], name=type(model).__name__)


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
