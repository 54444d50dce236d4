"""A functional computer-vision model zoo in JAX and Flax.

    import jax, zoo
    model = zoo.create("cifar_resnet20", num_classes=10)
    variables = zoo.init(model, jax.random.key(0), input_shape=(32, 32, 3))
    logits = model.apply(variables, images)

No chapter is imported before one of its models is asked for.
"""

from zoo.catalog import Entry, create, describe, list_models
from zoo.initialise import init
from zoo.names import UnknownNameError

__version__ = "0.1.0"
__all__ = [
    "Entry",
    "UnknownNameError",
    "create",
    "describe",
    "init",
    "list_models",
    "load_weights",
    "save_weights",
]


def __getattr__(name: str):
    if name in (
        "load_weights",
        "save_weights",
    ):  # imported on first use: reading weights is a chapter of its own
        import zoo.weights

        return getattr(zoo.weights, name)
    raise AttributeError(f"module 'zoo' has no attribute {name!r}")
