"""Which network a recipe trains."""

import ast
import dataclasses
from typing import Any, ClassVar, Literal

from train.config.base import Config
from train.config.errors import RecipeError


@dataclasses.dataclass(frozen=True)
class Model(Config):
    """Which network."""

    section: ClassVar[str] = "model"

    name: str = "cifar_resnet20"
    """A name of `python -m zoo list`."""
    options: tuple[str, ...] = ()
    """Fields of the model to set, each as name=value: unit=full_preactivation depth=32."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Compute type; parameters and batch statistics stay float32."""
    remat: bool = False
    """Recompute each block's activations in the backward pass: less memory, more time."""


_SET_ELSEWHERE = {
    "num_classes": "the task",
    "dtype": "model.dtype",
    "remat": "model.remat",
    "axis_name": "placement",
}
"""Fields of a model that are not options, and what decides them."""


def model_options(model: Model) -> dict[str, Any]:
    """The model's options as Python values; what is no Python literal is a word.

    Raises:
      RecipeError: an option is no name=value, comes twice, or is decided by another field of the recipe.

    >>> model_options(Model(options=("depth=8", "unit=original")))
    {'depth': 8, 'unit': 'original'}
    """
    options: dict[str, Any] = {}
    for text in model.options:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise RecipeError(f"model.options: expected name=value, got {text!r}")
        if name in options:
            raise RecipeError(f"model.options: {name!r} comes twice")
        if name in _SET_ELSEWHERE:
            raise RecipeError(f"model.options: {name!r} is decided by {_SET_ELSEWHERE[name]}")
        try:
            options[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            options[name] = value  # a plain word, such as unit=original
    return options
