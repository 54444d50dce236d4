"""Checks of the exercises on convolutional networks: parameters of groups, occlusion, batch normalisation.

Lecture rows L18, L38 and L44.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from zoo.exercises.mistakes import compare
from zoo.exercises.verdict import Verdict, Wrong, judged
from zoo.nn import BatchNorm, Conv


def check_conv_parameters(conv_parameters: Callable) -> Verdict:
    """Checks `conv_parameters(inputs, outputs, window, groups)`: the weights of a convolution without bias.

    >>> check_conv_parameters(lambda inputs, outputs, window, groups: inputs * outputs * window**2)
    Not yet: 128 to 128 channels, 3x3, 32 groups: expected 4608, got 147456. Each filter sees one group's channels only
    """
    return judged(lambda: _conv_parameters(conv_parameters))


def _conv_parameters(conv_parameters: Callable) -> str:
    for inputs, outputs, window, groups in ((3, 64, 7, 1), (256, 64, 1, 1), (128, 128, 3, 32), (24, 48, 5, 4)):
        layer = Conv(outputs, (window, window), feature_group_count=groups, use_bias=False)
        images = jax.ShapeDtypeStruct((1, 8, 8, inputs), jnp.float32)
        right = jax.eval_shape(layer.init, jax.random.key(0), images)["params"]["kernel"].size
        got = conv_parameters(inputs, outputs, window, groups)
        kind = f"{groups} groups" if groups > 1 else "one group"
        reasons = {"That counts a bias for each output; there is none here": right + outputs}
        if groups > 1:
            reasons["Each filter sees one group's channels only"] = right * groups
        if window > 1:
            reasons["The window has two sides"] = right // window
            reasons["Each filter has a whole window for each channel"] = right // window**2
        compare(f"{inputs} to {outputs} channels, {window}x{window}, {kind}", got, right, *reasons.items(), tolerance=0)
    return "groups divide the weights, so at equal cost there may be more channels"


def check_occlusion(occlusion: Callable) -> Verdict:
    """Checks `occlusion(score, image, size, stride, value)`: how far the score falls when each square is covered.

    >>> check_occlusion(lambda score, image, size, stride, value: None)
    Not yet: squares of 2, stride 2: nothing came back yet
    """
    return judged(lambda: _occlusion(occlusion))


def _occlusion(occlusion: Callable) -> str:
    random = np.random.default_rng(0)
    for (height, width), size, stride, value in (((4, 6), 2, 2, 0.0), ((7, 6), 3, 1, 0.5), ((9, 9), 4, 2, 0.2)):
        image = random.uniform(size=(height, width, 2)).astype(np.float32)
        weights = random.normal(size=image.shape).astype(np.float32)
        before = image.copy()

        def score(seen: Array, weights: np.ndarray = weights) -> Array:
            if np.shape(seen) != weights.shape:
                raise Wrong(f"score: expected one image of shape {weights.shape}, got {np.shape(seen)}")
            return (jnp.asarray(seen) * weights).sum()

        # The score is linear, so what a square takes away is the sum of what its pixels gave.
        pixels = (weights * (image - value)).sum(axis=-1)
        windows = np.lib.stride_tricks.sliding_window_view(pixels, (size, size))[::stride, ::stride]
        drops = windows.sum(axis=(2, 3))
        what = f"squares of {size}, stride {stride}"
        got = occlusion(score, image, size, stride, value)
        left = _never_mended(weights, before, size, stride, value)
        whole = (weights * before).sum()
        reasons = {
            "The sign: where the score falls, the map is positive": -drops,
            "That is the score that is left; the map is how far it fell": whole - drops,
            "Each square is covered alone: begin with the whole image again": whole - left,
        }
        compare(what, got, drops, *reasons.items())
        if not np.array_equal(image, before):
            raise Wrong(f"{what}: expected the image untouched, got it covered; copy it first")
    return "a square that the network needs costs the class its score"


def _never_mended(weights: np.ndarray, image: np.ndarray, size: int, stride: int, value: float) -> np.ndarray:
    """The scores of one who covers square after square of one and the same image."""
    seen = image.copy()
    rows, columns = ((side - size) // stride + 1 for side in image.shape[:2])
    scores = np.empty((rows, columns))
    for row in range(rows):
        for column in range(columns):
            seen[row * stride : row * stride + size, column * stride : column * stride + size] = value
            scores[row, column] = (seen * weights).sum()
    return scores


def check_batch_norm(batch_norm: Callable) -> Verdict:
    """Checks `batch_norm(x, scale, bias, mean, var, train)`, which returns the result and the new mean and var.

    >>> check_batch_norm(lambda x, scale, bias, mean, var, train: (x, mean, var)).right
    False
    """
    return judged(lambda: _batch_norm(batch_norm))


def _batch_norm(batch_norm: Callable) -> str:
    random = np.random.default_rng(0)
    x = random.normal(1.0, 2.0, size=(2, 3, 3, 4)).astype(np.float32)
    scale, bias, mean = (random.normal(size=4).astype(np.float32) for _ in range(3))
    var = random.uniform(0.5, 2.0, 4).astype(np.float32)
    variables = {"params": {"scale": scale, "bias": bias}, "batch_stats": {"mean": mean, "var": var}}
    for train in (True, False):
        when = "in training" if train else "at evaluation"
        right, new = BatchNorm().apply(variables, x, not train, mutable=["batch_stats"])
        found = batch_norm(x, scale, bias, mean, var, train)
        if found is None or found is Ellipsis:
            raise Wrong("nothing came back yet")
        if not isinstance(found, tuple | list) or len(found) != 3:
            raise Wrong(f"{when}: expected three things, the result, mean and var, got a {type(found).__name__}")
        got, *running = found
        other = BatchNorm().apply(variables, x, train, mutable=["batch_stats"])[0]
        reasons = {
            f"{when.capitalize()} it takes the {'batch' if train else 'running'} statistics": other,
            "A channel's statistics are over the batch, the height and the width": (x - x.mean(axis=0))
            / np.sqrt(x.var(axis=0) + 1e-5)
            * scale
            + bias,
            "Scale and bias come after it": (np.asarray(right) - bias) / scale,
        }
        compare(f"result {when}", got, right, *reasons.items())
        batch = {"mean": x.mean(axis=(0, 1, 2)), "var": x.var(axis=(0, 1, 2))}
        for name, value in zip(("mean", "var"), running, strict=True):
            old = variables["batch_stats"][name]
            reasons = {
                "In training it moves": old,
                "It keeps nine tenths of what it was": batch[name],
                "It keeps nine tenths of what it was, not one": 0.1 * old + 0.9 * batch[name],
                "At evaluation it stays": 0.9 * old + 0.1 * batch[name],
                "The variance here is the biased one: n, not n - 1": 0.9 * old + 0.1 * x.var(axis=(0, 1, 2), ddof=1),
            }
            compare(f"running {name} {when}", value, new["batch_stats"][name], *reasons.items())
    return "in training an image's result depends on the others of its batch, at evaluation on itself alone"
