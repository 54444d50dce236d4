"""What the named features of a model are: channels and stride of every stage, without computing any."""

import math
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from zoo.catalog import create, describe

LARGER = 64 * 7
"""Images larger by so many pixels have maps larger by so many divided by the stride, whatever the borders do."""


class Feature(NamedTuple):
    """One named feature map."""

    channels: int
    stride: int
    """Pixels of the image from one place of the map to the next."""


def feature_info(model: str | nn.Module, input_shape: tuple[int, ...] | None = None, **overrides: Any) -> dict:
    """Channels and stride of every feature map that `model.apply(..., features=True)` names, in order.

    Args:
      model: a name of `zoo.list_models()`, or an image model.
      input_shape: one example without the batch axis; by default the catalog's, or (224, 224, 3).
      **overrides: as for `zoo.create`, where `model` is a name.

    Raises:
      UnknownNameError: no such model or option.
      ValueError: the model does not take this shape.

    >>> feature_info("cifar_resnet20")["stage2"]
    Feature(channels=32, stride=2)
    """
    module = create(model, **overrides) if isinstance(model, str) else model
    shape = input_shape or (describe(model).input_shape if isinstance(model, str) else (224, 224, 3))
    maps = _maps(module, shape)
    try:
        larger = _maps(module, (shape[0] + LARGER, shape[1] + LARGER, *shape[2:]))
    except ValueError:  # it takes images of some sizes alone
        return {
            name: Feature(channels, 2 ** round(math.log2(shape[0] / places)))
            for name, (places, channels) in maps.items()
        }
    return {
        name: Feature(channels, round(LARGER / (larger[name][0] - places))) for name, (places, channels) in maps.items()
    }


def _maps(module: nn.Module, shape: tuple[int, ...]) -> dict[str, tuple[int, int]]:
    """Rows and channels of every map of an image of this shape."""
    found: dict[str, tuple[int, int]] = {}

    def note(images: Any) -> None:
        named = module.init_with_output(jax.random.key(0), images, features=True)[0]
        found.update((name, (v.shape[1], v.shape[-1])) for name, v in named.items() if v.ndim == len(shape) + 1)

    jax.eval_shape(note, jax.ShapeDtypeStruct((1, *shape), jnp.float32))
    return found
