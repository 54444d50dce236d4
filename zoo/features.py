"""What the named features of a model are: channels and stride of every stage, without computing any."""

import math
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from zoo.catalog import create, describe


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
    images = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
    found: dict[str, Feature] = {}

    def note(images: Any) -> None:
        named = module.init_with_output(jax.random.key(0), images, features=True)[0]
        for name, values in named.items():
            if values.ndim == len(shape) + 1:
                found[name] = Feature(values.shape[-1], _stride(shape[0], values.shape[1]))

    jax.eval_shape(note, images)
    return found


def _stride(pixels: int, places: int) -> int:
    """A map without padding has fewer places than pixels by stride: 13 of 224 in AlexNet, whose strides make 16."""
    return pixels // places if pixels % places == 0 else 2 ** round(math.log2(pixels / places))
