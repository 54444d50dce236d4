"""A functional computer-vision model zoo in JAX and Flax.

    import jax, zoo
    model = zoo.create("cifar_resnet20", num_classes=10)
    variables = zoo.init(model, jax.random.key(0), input_shape=(32, 32, 3))
    logits = model.apply(variables, images)

No chapter is imported before one of its models is asked for.
"""

from zoo.catalog import Entry, Input, Ref, create, describe, list_models
from zoo.initialise import init
from zoo.names import UnknownNameError

__version__ = "0.1.0"
__all__ = [
    "Entry",
    "Input",
    "Ref",
    "UnknownNameError",
    "create",
    "describe",
    "export_model",
    "feature_info",
    "init",
    "list_models",
    "load_weights",
    "preprocess",
    "pretrained",
    "save_weights",
]

_ON_FIRST_USE = {
    "export_model": "zoo.export",
    "feature_info": "zoo.features",
    "load_weights": "zoo.weights",
    "save_weights": "zoo.weights",
    "preprocess": "zoo.preprocessing",
    "pretrained": "zoo.preprocessing",
}
"""What is imported only when somebody asks: chapters of their own."""


def __getattr__(name: str):
    if name in _ON_FIRST_USE:
        import importlib

        return getattr(importlib.import_module(_ON_FIRST_USE[name]), name)
    raise AttributeError(f"module 'zoo' has no attribute {name!r}")
