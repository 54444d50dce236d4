"""A state as arrays by name, with their types and shapes as text: what a checkpoint's files and seal hold."""

from typing import Any

import jax
import numpy as np
from jaxtyping import Array, PyTree

_DIFFERENCES_SHOWN = 4


def named(state: PyTree[Any]) -> dict[str, Any]:
    """The leaves of a state by their path.

    >>> named({"params": {"output": {"bias": 1, "kernel": 2}}})
    {'params/output/bias': 1, 'params/output/kernel': 2}
    """
    leaves = jax.tree_util.tree_leaves_with_path(state)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}


def nested(arrays: dict[str, Array]) -> dict[str, Any]:
    """The inverse of `named` for nested dictionaries.

    >>> nested({"params/output/bias": 1, "params/output/kernel": 2})
    {'params': {'output': {'bias': 1, 'kernel': 2}}}
    """
    tree: dict[str, Any] = {}
    for name, array in arrays.items():
        *parents, last = name.split("/")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = array
    return tree


def kind_of(array: Any) -> str:
    """Type and shape of an array, or of a `ShapeDtypeStruct`.

    >>> kind_of(np.zeros((3, 4), np.float32))
    'float32[3,4]'
    """
    return f"{np.dtype(array.dtype).name}[{','.join(map(str, array.shape))}]"


def parse_kind(kind: str, sharding: jax.sharding.Sharding) -> jax.ShapeDtypeStruct:
    """The inverse of `kind_of`, for an array that is to be laid out like this."""
    name, _, shape = kind.removesuffix("]").partition("[")
    return jax.ShapeDtypeStruct(tuple(map(int, shape.split(","))) if shape else (), name, sharding=sharding)


def differences(found: dict[str, str], expected: dict[str, str]) -> str:
    """The first few names whose kinds differ, in a line; empty where all are the same.

    >>> differences({"a": "int32[]"}, {"a": "int32[2]", "b": "int32[]"})
    'a: expected int32[2], found int32[]; b: expected int32[], found nothing'
    """
    names = [name for name in {**expected, **found} if found.get(name) != expected.get(name)]
    lines = [
        f"{name}: expected {expected.get(name, 'nothing')}, found {found.get(name, 'nothing')}"
        for name in names[:_DIFFERENCES_SHOWN]
    ]
    return "; ".join(lines) + (f"; and {len(names) - len(lines)} more" if len(names) > len(lines) else "")
