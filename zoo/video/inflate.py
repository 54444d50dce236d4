"""Weights of a network of images for one of clips or of flow: kernels spread over time, and over other channels.

In time: Carreira and Zisserman, 2017, Quo Vadis, Action Recognition?, section 2.4. In channels: Wang et al., 2016,
Temporal Segment Networks, section 3.2 ("cross modality pre-training"). Lecture rows L49-L51.
"""

from typing import Any

import jax.numpy as jnp
from flax.traverse_util import flatten_dict, unflatten_dict
from jaxtyping import Array, Float, PyTree


def in_time(
    kernel: Float[Array, "*window channels filters"], times: int
) -> Float[Array, "times *window channels filters"]:
    """The kernel at each of so many times, divided by their number: of frames all alike it sees what it saw of one.

    >>> in_time(jnp.ones((1, 1)), 4)[:, 0, 0].tolist()
    [0.25, 0.25, 0.25, 0.25]
    """
    return jnp.repeat(kernel[None] / times, times, axis=0)


def in_channels(
    kernel: Float[Array, "*window channels filters"], channels: int
) -> Float[Array, "*window new_channels filters"]:
    """The mean over the kernel's input channels, for each of so many: colours become 2L channels of flow.

    >>> in_channels(jnp.array([[1.0], [2.0], [6.0]]), 4)[:, 0].tolist()
    [3.0, 3.0, 3.0, 3.0]
    """
    return jnp.repeat(kernel.mean(-2, keepdims=True), channels, axis=-2)


def inflate(variables: PyTree[Array], like: PyTree[Array], heads: tuple[str, ...] = ("head",)) -> PyTree[Array]:
    """The variables of a network of clips, or of other channels, made of those of a network of images. Pure.

    Both have the same names, as `GoogLeNet` and `I3D` have, or a network and itself made for another number of
    channels. Kernels with one axis more are spread over time, those of other channels over channels.

    Args:
      variables: of the network of images, such as `zoo.load_weights` gives.
      like: of the other one, as `zoo.init` draws them; heads for another number of classes stay as they are here.
      heads: paths of the layers that may be of another number of classes, or that one of the networks may lack.

    Raises:
      ValueError: names or shapes that do not go together; the message has all of them.
    """
    given, wanted = (flatten_dict(tree, sep="/") for tree in (variables, like))
    kept = {path for path in given | wanted if any(_lies_in(path, head) for head in heads)}
    problems = [f"{path}: not in the network of images" for path in sorted(wanted.keys() - given.keys() - kept)]
    problems += [f"{path}: only in the network of images" for path in sorted(given.keys() - wanted.keys() - kept)]
    found: dict[str, Any] = {}
    for path, leaf in wanted.items():
        if path in given:
            found[path] = _fitted(given[path], leaf.shape)
            if found[path] is None and path not in kept:
                problems.append(f"{path}: shape {given[path].shape} does not become {leaf.shape}")
        if found.get(path) is None:
            found[path] = leaf
    if problems:
        raise ValueError("cannot inflate: " + "; ".join(problems))
    return unflatten_dict(found, sep="/")


def _lies_in(path: str, layer: str) -> bool:
    """Whether a variable belongs to a layer: params/head/kernel to head."""
    return path.partition("/")[2].startswith(f"{layer}/")


def _fitted(array: Array, shape: tuple[int, ...]) -> Array | None:
    """The array spread to a shape; None where it cannot be."""
    array = jnp.asarray(array)
    if array.ndim >= 4 and len(shape) >= 4 and array.shape[-2] != shape[-2]:
        array = in_channels(array, shape[-2])
    if array.ndim == 4 and len(shape) == 5:
        array = in_time(array, shape[0])
    return array if array.shape == shape else None
