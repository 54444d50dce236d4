"""Every layout in which another library names a model's parameters: "library/family" -> its rules."""

from collections.abc import Callable, Mapping

import flax.linen as nn

from zoo.names import unknown
from zoo.weights import cifar_resnet
from zoo.weights.rules import Family

FAMILIES: Mapping[str, Family | Callable[[nn.Module], Family]] = {
    "akamaster/cifar_resnet": cifar_resnet.FAMILY,
}
"""The rules, or a function that gives those of a module where names depend on the variant, as VGG's do."""


def family_of(layout: str, model: nn.Module | None) -> Family:
    """The rules of a layout for one module.

    Raises:
      UnknownNameError: there is no such layout.
      ValueError: the layout's names depend on the model, and none was given.
    """
    if layout not in FAMILIES:
        raise unknown("layout of weights", layout, FAMILIES)
    family = FAMILIES[layout]
    if isinstance(family, Family):
        return family
    if model is None:
        raise ValueError(f"names in the layout {layout} depend on the model: expected model=, got none")
    return family(model)
