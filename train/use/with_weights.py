"""A model of the catalog with weights alone, published or from a file; and pixels as they want them."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import flax.linen as nn
import numpy as np
from jaxtyping import Array, Float, PyTree

import zoo
from train.config import RunError
from zoo.catalog import Entry
from zoo.catalog.pretrained import Pretrained
from zoo.weights import NewHeadWarning


class WeightsAloneError(RunError):
    """The weights do not fit the model, or nobody says how they want their images, or what their outputs are."""


class WithWeights(NamedTuple):
    """A model with trained variables."""

    title: str
    """What it is called, such as "resnet50 (IMAGENET1K_V1)"."""
    entry: Entry
    model: nn.Module
    variables: PyTree[Array]
    published: Pretrained | None
    """The published weights that these are, or whose images these want; of a model without any None."""
    class_names: tuple[str, ...]
    has_names: bool
    """Whether somebody says what the classes are called; else they are numbered."""


def with_weights(name: str, weights: str | None, task: str, what: str, kind: str = "image") -> WithWeights:
    """A model by name with weights, for as many classes as they are for.

    Args:
      name: of the catalog.
      weights: a file, or published ones; by default the first that were published.
      task: what it has to predict.
      what: the same in words, for the message.
      kind: of its one input, see `zoo.catalog.inputs.Input`.

    Raises:
      UnknownNameError: no such model or weights.
      WeightsAloneError: the weights cannot be had or do not fit, or the model takes something else or has another task.
    """
    entry = zoo.describe(name)
    published = {file.name: file for file in entry.pretrained}
    if weights is None and not published:
        raise WeightsAloneError(f"{name} has no published weights: name a file with --weights")
    kinds = [each.kind for each in entry.inputs]
    if entry.task != task or kinds != [kind]:
        raise WeightsAloneError(f"{name}: expected {what}, got {entry.task} of {', '.join(kinds)}")
    source = next(iter(published)) if weights is None else weights
    try:
        model, variables = _loaded(name, source)
    except (ValueError, ImportError) as error:
        raise WeightsAloneError(f"weights of {name}: {error}") from error
    file = published.get(source) or next(iter(published.values()), None)
    names = tuple(f"class {i}" for i in range(model.num_classes))
    has_names = file is not None and len(names) == len(file.class_names)
    names = file.class_names if has_names else names
    return WithWeights(f"{name} ({Path(source).name})", entry, model, variables, file, names, has_names)


def output_of(classes: Sequence[str], title: str, known: Sequence[str], has_names: bool, where: str) -> tuple[int, ...]:
    """Which output each class of some data is: by its name, or in order where there are as many.

    Args:
      classes: of the data.
      title: of the model.
      known: what its outputs are called.
      has_names: whether somebody says what they are called; else they are numbered.
      where: the data is from, for the message.

    Raises:
      WeightsAloneError: neither can be.
    """
    classes, known = tuple(classes), tuple(known)
    if set(classes) <= set(known) and has_names and classes != known:
        if twice := [name for name in classes if known.count(name) > 1]:
            raise WeightsAloneError(f"{where}: several outputs of {title} are called {twice[0]!r}")
        return tuple(map(known.index, classes))
    if len(classes) == len(known):
        return tuple(range(len(known)))
    raise WeightsAloneError(
        f"{where}: expected names among the classes of {title}, or {len(known)} classes in the order of its "
        f"outputs, found {len(classes)}: {', '.join(classes[:3])}{', ...' if len(classes) > 3 else ''}"
    )


def check_normalisation(channels: int, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
    """Refuses means and deviations that are neither one value nor one a channel.

    Raises:
      WeightsAloneError: there are others.
    """
    for what, values in (("mean", mean), ("std", std)):
        if len(values) not in (0, 1, channels):
            raise WeightsAloneError(f"augment.{what}: expected one value, or one for each of {channels} channels")


def normalised(
    pixels: Float[np.ndarray, "*image"], mean: tuple[float, ...], std: tuple[float, ...]
) -> Float[np.ndarray, "*image"]:
    """Pixels less their mean, by default 0, divided by their deviation, by default 1."""
    return (pixels - np.array(mean or (0,), np.float32)) / np.array(std or (1,), np.float32)


def in_words(mean: tuple[float, ...], std: tuple[float, ...]) -> str:
    """What is done to pixels in [0, 1]."""
    less, divided = (
        ", ".join(f"{value:g}" for value in values) or default for values, default in ((mean, "0"), (std, "1"))
    )
    return f"in [0, 1], less {less}, divided by {divided}"


def _loaded(name: str, source: str) -> tuple[nn.Module, PyTree[Array]]:
    """A model for as many classes as its weights are for, and these.

    Raises:
      ValueError, ImportError, OSError: see `zoo.load_weights`.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error", NewHeadWarning)
        try:
            return zoo.create(name), zoo.load_weights(name, source)
        except NewHeadWarning as found:
            classes = found.classes
    return zoo.create(name, num_classes=classes), zoo.load_weights(name, source, num_classes=classes)
