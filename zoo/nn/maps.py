"""The maps of a backbone that a head on top of it reads. Lecture rows on dense prediction and detection."""

import inspect
from collections.abc import Sequence

import flax.linen as nn
from jaxtyping import Array

from zoo.names import unknown

_COPIES = ("pre_logits", "logits")
"""Named features that are another one once more, or no map."""


def maps_of(backbone: nn.Module, images: Array, train: bool, names: Sequence[str] = ()) -> dict[str, Array]:
    """What a backbone computes of images, as maps from fine to coarse; called inside the head's own `__call__`.

    Args:
      backbone: a network that answers `features=True` with its named features.
      images: its input, (batch, height, width, channels).
      train: whether it trains.
      names: which maps; by default the last of each size.

    Raises:
      ValueError: the backbone names no maps.
      UnknownNameError: it has no map of that name.
    """
    kind = type(backbone).__name__
    if "features" not in inspect.signature(type(backbone).__call__).parameters:
        raise ValueError(f"expected a backbone that gives its maps (features=True), got {kind}")
    named = backbone(images, train=train, features=True)
    maps = {name: value for name, value in named.items() if value.ndim == images.ndim and name not in _COPIES}
    if not maps:
        raise ValueError(f"{kind} has no feature maps: it names {', '.join(named)}")
    for name in names:
        if name not in maps:
            raise unknown(f"map of {kind}", name, maps)
    chosen = names or {value.shape[1:-1]: name for name, value in maps.items()}.values()
    return {name: maps[name] for name in sorted(chosen, key=lambda name: -maps[name].shape[1])}
