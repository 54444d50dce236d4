"""Checks of the exercises on pretrained networks: their images, a new head, learning rates by layer. Row L38."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict

import zoo
from zoo.exercises.mistakes import compare, is_same
from zoo.exercises.verdict import Verdict, Wrong, judged, same
from zoo.preprocessing import transform


def check_prepare(prepare: Callable) -> Verdict:
    """Checks `prepare(pixels, crop, mean, std)`: the central square of uint8 pixels, in [0, 1], normalised.

    >>> check_prepare(lambda pixels, crop, mean, std: (pixels / 255 - mean) / std)
    Not yet: image of 12x16 pixels: expected shape (8, 8, 3), got (12, 16, 3). The central square is missing
    """
    return judged(lambda: _prepare(prepare))


def _prepare(prepare: Callable) -> str:
    random = np.random.default_rng(0)
    published = zoo.pretrained("resnet18").preprocessing
    mean, std = np.array(published.mean, np.float32), np.array(published.std, np.float32)
    for height, width, crop in ((12, 16, 8), (21, 20, 20), (10, 10, 10)):
        pixels = random.integers(0, 256, (height, width, 3)).astype(np.uint8)
        how = dataclasses.replace(published, resize=min(height, width), crop=crop)  # no side changes
        right = transform(how, pixels)
        unit = right * std + mean
        got = prepare(pixels, crop, mean, std)
        try:
            same(f"image of {height}x{width} pixels", got, right, 1e-4)
        except Wrong as wrong:
            corner = (pixels[:crop, :crop].astype(np.float32) / 255 - mean) / std
            if np.shape(got) == pixels.shape:
                why = "The central square is missing"
            elif np.shape(got) == (3, crop, crop):
                why = "Channels come last here; torch has them first"
            else:
                reasons = [
                    ((255 * unit - mean) / std, "Divide by 255 first: mean and std are of images in [0, 1]"),
                    (unit, "Mean and standard deviation are missing"),
                    (255 * unit, "Nothing was scaled yet"),
                    (unit / std - mean, "Subtract the mean before dividing"),
                    ((unit - std) / mean, "Mean and standard deviation are exchanged"),
                    (corner, "That is the upper left corner, not the centre"),
                ]
                why = next((why for value, why in reasons if is_same(got, value, 1e-4)), "")
            raise Wrong(f"{wrong}. {why}" if why else str(wrong)) from None
    return "the network sees what it saw when it was trained"


def check_new_head(new_head: Callable) -> Verdict:
    """Checks `new_head(variables, classes, key)`: the same variables with a new last layer for so many classes.

    >>> check_new_head(lambda variables, classes, key: variables)
    Not yet: head/kernel: expected shape (64, 3), got (64, 10)
    """
    return judged(lambda: _new_head(new_head))


def _new_head(new_head: Callable) -> str:
    model = zoo.create("cifar_resnet8")
    shapes = jax.eval_shape(lambda: zoo.init(model, jax.random.key(0), (8, 8, 3)))
    random = np.random.default_rng(0)
    variables = jax.tree.map(lambda leaf: jnp.asarray(random.normal(size=leaf.shape), leaf.dtype), shapes)
    before = flatten_dict(variables, sep="/")
    kernels = []
    for classes, seed in ((3, 0), (25, 0), (3, 1)):
        given = jax.tree.map(lambda leaf: leaf, variables)  # dictionaries of their own
        got = new_head(given, classes, jax.random.key(seed))
        if got is None or got is Ellipsis:
            raise Wrong("nothing came back yet")
        if not isinstance(got, Mapping) or set(got) != set(variables):
            found = ", ".join(map(str, got)) if isinstance(got, Mapping) else type(got).__name__
            raise Wrong(f"expected a dictionary with {' and '.join(variables)}, got {found}")
        if flatten_dict(given, sep="/").keys() != before.keys() or not _alike(flatten_dict(given, sep="/"), before):
            raise Wrong("expected the given variables untouched, got them changed: copy the dictionaries on the way")
        found = flatten_dict(got, sep="/")
        if missing := sorted(before.keys() - found.keys()):
            raise Wrong(f"{missing[0]}: expected as it was, got nothing")
        if more := sorted(found.keys() - before.keys()):
            raise Wrong(f"{more[0]}: expected the names of before, got a new one")
        head = {name for name in before if name.startswith("params/head/")}
        for name in sorted(before.keys() - head):
            same(name, found[name], before[name], 0)
        kernel, bias = found["params/head/kernel"], found["params/head/bias"]
        inputs = before["params/head/kernel"].shape[0]
        _shaped("head/kernel", kernel, (inputs, classes))
        same("head/bias", bias, np.zeros(classes), 0)
        if not np.abs(np.asarray(kernel)).max() > 0:
            raise Wrong("head/kernel: expected random numbers, got zeros")
        if np.std(np.asarray(kernel)) > 1:
            raise Wrong(
                f"head/kernel: expected small numbers, got a standard deviation of {np.std(np.asarray(kernel)):.2g}; "
                f"with {inputs} inputs 1/sqrt({inputs}) = {inputs**-0.5:.2g} keeps logits near one"
            )
        kernels.append(np.asarray(kernel))
    if np.array_equal(kernels[0], kernels[2]):
        raise Wrong("head/kernel: expected other numbers from another key, got the same")
    return "all but the last layer is what the network knew"


def check_learning_rates(learning_rates: Callable) -> Verdict:
    """Checks `learning_rates(layers, peak, decay)`: that of each layer, from the input to the head.

    >>> check_learning_rates(lambda layers, peak, decay: [peak * decay**layer for layer in range(layers)])
    Not yet: rates of 4 layers at (0,): expected 0.125, got 1. The head learns fastest: it comes last
    """
    return judged(lambda: _learning_rates(learning_rates))


def _learning_rates(learning_rates: Callable) -> str:
    for layers, peak, decay in ((4, 1.0, 0.5), (6, 1e-3, 0.8), (3, 0.1, 1.0), (1, 0.3, 0.5)):
        rates = [peak]
        while len(rates) < layers:
            rates.insert(0, rates[0] * decay)
        got = learning_rates(layers, peak, decay)
        compare(
            f"rates of {layers} layers",
            got,
            rates,
            ("The head learns fastest: it comes last", rates[::-1]),
            ("The head has the peak itself", [rate * decay for rate in rates]),
            ("The decay is the factor itself", [peak * (1 - decay) ** i for i in reversed(range(layers))]),
            tolerance=1e-6 * peak,
        )
    return "what is near the pixels is general, and hardly moves"


def _alike(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return all(one[name].shape == other[name].shape and np.array_equal(one[name], other[name]) for name in other)


def _shaped(name: str, got: Any, shape: tuple[int, ...]) -> None:
    if np.shape(got) != shape:
        raise Wrong(f"{name}: expected shape {shape}, got {np.shape(got)}")
