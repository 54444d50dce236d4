"""A functional computer-vision model zoo in JAX and Flax.

    import jax, zoo
    model = zoo.create("cifar_resnet20", num_classes=10)
    variables = zoo.init(model, jax.random.key(0), input_shape=(32, 32, 3))
    logits = model.apply(variables, images)

Nothing is imported before somebody asks for it: neither jax, nor a chapter before one of its models is created.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # for editors; nothing of it is imported when the program runs
    from zoo.catalog import Entry, Input, Ref, create, describe, list_models
    from zoo.export import export_model
    from zoo.features import feature_info
    from zoo.initialise import init
    from zoo.names import UnknownNameError
    from zoo.preprocessing import preprocess, pretrained
    from zoo.weights import load_weights, save_weights

__version__ = "0.1.0"

_PUBLIC = {
    "Entry": "zoo.catalog",
    "Input": "zoo.catalog",
    "Ref": "zoo.catalog",
    "create": "zoo.catalog",
    "describe": "zoo.catalog",
    "list_models": "zoo.catalog",
    "init": "zoo.initialise",
    "export_model": "zoo.export",
    "feature_info": "zoo.features",
    "load_weights": "zoo.weights",
    "save_weights": "zoo.weights",
    "preprocess": "zoo.preprocessing",
    "pretrained": "zoo.preprocessing",
    "UnknownNameError": "zoo.names",
}
"""The public names, and where each is."""

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


def __getattr__(name: str):
    if name in _PUBLIC:
        import importlib

        found = getattr(importlib.import_module(_PUBLIC[name]), name)
        globals()[name] = found  # from now on as if it had been imported
        return found
    raise AttributeError(f"module 'zoo' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*_PUBLIC, "__version__"]
