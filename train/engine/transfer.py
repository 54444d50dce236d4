"""Transfer: starting from trained variables, with parameters that stay as they are and layers that move less.

Yosinski, Clune, Bengio and Lipson, 2014, How Transferable Are Features in Deep Neural Networks? (frozen and
fine-tuned layers); Clark et al., 2020, ELECTRA (learning rates that fall from layer to layer). Lecture row L38.
"""

import fnmatch
import functools
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import optax
from flax.traverse_util import flatten_dict
from jaxtyping import Array, PyTree

import zoo
from train.config import Recipe, RecipeError, model_options
from zoo.nn import BatchNorm
from zoo.weights import part_of
from zoo.weights.source import locate


def weights_file(recipe: Recipe) -> Path:
    """The file that holds the weights of a recipe that names some; see `zoo.load_weights` for what it may name.

    Raises:
      FileNotFoundError: there is none.
      ValueError, TypeError, ImportError, OSError: the model has no such part, or the file cannot be fetched.
    """
    entry = zoo.describe(recipe.model.name)
    if recipe.weights_into and not Path(recipe.weights).is_file():  # whose name is a published one's, of the part
        model = zoo.create(recipe.model.name, **model_options(recipe.model))
        entry = zoo.catalog.entry_of(part_of(model, recipe.weights_into))
    path = locate(entry, recipe.weights)
    if not path.is_file():
        raise FileNotFoundError(f"expected a file of weights, found {'a folder' if path.exists() else 'none'}: {path}")
    return path


def check_origin(recipe: Recipe, card: Mapping[str, Any]) -> None:
    """Refuses weights other than those that the run of this `recipe.json` began with.

    Raises:
      RecipeError: the file cannot be had, or has changed.
    """
    if recipe.weights is None:
        return
    try:
        found = digest(weights_file(recipe))
    except (ValueError, TypeError, ImportError, OSError) as error:
        raise RecipeError(f"weights: {error}") from error
    known = card.get("weights", {}).get("sha256")
    if known != found:
        raise RecipeError(
            f"weights: {recipe.weights} is not what the run began with: expected sha256 {known}, got {found}"
        )


def digest(path: Path) -> str:
    """The sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_frozen(path: str, patterns: Sequence[str]) -> bool:
    """Whether a parameter stays as it is: the last pattern that fits decides, and one with ! lets it move.

    >>> is_frozen("stage1/conv/kernel", ("*", "!head/*")), is_frozen("head/kernel", ("*", "!head/*"))
    (True, False)
    """
    frozen = False
    for pattern in patterns:
        if fnmatch.fnmatchcase(path, pattern.removeprefix("!")):
            frozen = not pattern.startswith("!")
    return frozen


def frozen_mask(params: PyTree[Any], patterns: Sequence[str]) -> PyTree[bool]:
    """True for each parameter that the patterns name, such as those that stay as they are; see `is_frozen`."""
    return jax.tree_util.tree_map_with_path(lambda path, _: is_frozen(_name(path), patterns), params)


def check_patterns(params: PyTree[Any], patterns: Sequence[str]) -> None:
    """Refuses patterns that cannot be meant.

    Raises:
      ValueError: one fits no parameter, or together they leave none that moves.
    """
    paths = check_named(params, patterns)
    if patterns and all(is_frozen(path, patterns) for path in paths):
        raise ValueError(f"{' '.join(patterns)} leaves no parameter that moves")


def check_named(params: PyTree[Any], patterns: Sequence[str]) -> list[str]:
    """The paths of all parameters.

    Raises:
      ValueError: a pattern fits none of them.
    """
    paths = [_name(path) for path, _ in jax.tree_util.tree_leaves_with_path(params)]
    for pattern in patterns:
        if not fnmatch.filter(paths, pattern.removeprefix("!")):
            modules = ", ".join(dict.fromkeys(path.partition("/")[0] for path in paths))
            raise ValueError(f"no parameter fits {pattern!r}: they begin with {modules}")
    return paths


def only_moving(optimizer: optax.GradientTransformation, patterns: Sequence[str]) -> optax.GradientTransformation:
    """The optimiser for those parameters that move; it remembers nothing of the others."""

    def labels(params: PyTree[Array]) -> PyTree[str]:
        return jax.tree.map(lambda frozen: "frozen" if frozen else "moving", frozen_mask(params, patterns))

    return optax.multi_transform({"moving": optimizer, "frozen": optax.set_to_zero()}, labels)


def stopped(params: PyTree[Array], patterns: Sequence[str]) -> PyTree[Array]:
    """The parameters, with no gradient to those that stay: nothing is computed for them on the way back."""
    if not patterns:
        return params
    mask = frozen_mask(params, patterns)
    return jax.tree.map(lambda leaf, frozen: jax.lax.stop_gradient(leaf) if frozen else leaf, params, mask)


@contextmanager
def kept_statistics(patterns: Sequence[str]) -> Iterator[None]:
    """Where frozen batch normalisation takes its running statistics, and leaves them as they are, in training too.

    Batch statistics would change what the layers above it see, though no parameter moves.
    """
    if not patterns:
        yield
        return

    def running(call: Any, arguments: Any, options: Any, context: nn.module.InterceptorContext) -> Any:
        if isinstance(context.module, BatchNorm) and context.method_name == "__call__":
            path = "/".join((*context.module.path, "scale"))
            if is_frozen(path, patterns):
                return call(arguments[0] if arguments else options["x"], use_running_average=True)
        return call(*arguments, **options)

    with nn.intercept_methods(running):
        yield


def layers(model: nn.Module, inputs: tuple[Any, ...], part: str = "") -> dict[str, int]:
    """Which layer each parameter belongs to, counted from the input in the order of computation.

    A layer is a block of a stage ("stage2/block3") or, outside of blocks, a top-level module ("stem", "head").
    Parameters of no module, such as a class token, belong to the first layer.

    Args:
      model: whose parameters; nothing is computed.
      inputs: what it takes, arrays or their shapes and types.
      part: the field that holds the network whose blocks count; what the model has beside it is one layer, on top.
    """
    order: list[str] = []

    def note(call: Any, arguments: Any, options: Any, context: nn.module.InterceptorContext) -> Any:
        if context.method_name == "__call__":
            order.append("/".join(context.module.path))
        return call(*arguments, **options)

    with nn.intercept_methods(note):
        variables = jax.eval_shape(model.init, jax.random.key(0), *inputs)
    everything = list(flatten_dict(variables["params"], sep="/"))
    paths = [path for path in everything if path.startswith(f"{part}/" if part else "")]
    first = {path: i for i, path in reversed(list(enumerate(order)))}
    groups: dict[str, int] = {}
    for path in filter(lambda path: "/" in path, paths):
        module, group = path.rpartition("/")[0], _layer(path, part)
        groups[group] = min(groups.get(group, len(order)), first.get(module, len(order)))
    number = {group: i for i, group in enumerate(sorted(groups, key=groups.get))}
    return {path: number.get(_layer(path, part), 0) if path in paths else len(number) for path in everything}


def slower_below(
    optimizer: optax.GradientTransformation, model: nn.Module, inputs: tuple[Any, ...], decay: float, part: str = ""
) -> optax.GradientTransformation:
    """The optimiser with learning rates that fall by the factor `decay` from each layer to the one below it."""

    @functools.cache
    def factors() -> dict[str, float]:
        layer = layers(model, inputs, part)
        top = max(layer.values())
        return {path: decay ** (top - number) for path, number in layer.items()}

    def scale(updates: PyTree[Array], params: PyTree[Array] | None) -> PyTree[Array]:
        return jax.tree_util.tree_map_with_path(lambda path, update: update * factors()[_name(path)], updates)

    return optax.chain(optimizer, optax.stateless(scale))


def _layer(path: str, part: str) -> str:
    parts = path.removeprefix(f"{part}/").split("/")
    return "/".join(parts[:2] if len(parts) > 3 else parts[:1])


def _name(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")
