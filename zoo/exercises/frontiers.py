"""Checks of the exercises on attacks, adversaries, forgetting and what answers rest on. Lecture rows L97 to L99."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from zoo.exercises.mistakes import compare, parts
from zoo.exercises.verdict import Verdict, judged, same


def check_fgsm(function: Callable) -> Verdict:
    """Checks `fgsm(loss, image, epsilon)`: the image after one step of epsilon along the sign of the loss's gradient.

    Pixels stay from 0 to 1.

    >>> import jax
    >>> check_fgsm(lambda loss, image, epsilon: image + epsilon * jax.grad(loss)(image))  # doctest: +ELLIPSIS
    Not yet: the image at (0, 0): ... That is the gradient itself: FGSM takes its sign
    """
    return judged(lambda: _fgsm(function))


def _fgsm(function: Callable) -> str:
    draw = np.random.default_rng(0)
    image, slopes = (draw.uniform(0.2, 0.8, (3, 4)), draw.normal(size=(3, 4)))
    image[0, 1], image[2, 3], slopes[0, 1], slopes[2, 3] = 0.99, 0.01, 2.0, -2.0
    image, slopes, epsilon = image.astype(np.float32), slopes.astype(np.float32), 0.1

    def loss(pixels: jax.Array) -> jax.Array:
        return jnp.sum(slopes * pixels) + 0.01 * jnp.sum(pixels**2)

    gradient = np.asarray(jax.grad(loss)(image))
    step = epsilon * np.sign(gradient)
    compare(
        "the image",
        function(loss, image, epsilon),
        np.clip(image + step, 0, 1),
        ("Some pixels left the range from 0 to 1", image + step),
        ("That makes the loss smaller: the attack goes uphill", np.clip(image - step, 0, 1)),
        ("That makes the loss smaller: the attack goes uphill", image - step),
        ("That is the gradient itself: FGSM takes its sign", image + epsilon * gradient),
        ("That is the gradient itself: FGSM takes its sign", np.clip(image + epsilon * gradient, 0, 1)),
        ("That is the change alone: add the image", step),
    )
    return "twelve pixels, of which two stay in their range"


def check_players(function: Callable) -> Verdict:
    """Checks `players(real, made)`: the mean losses of the discriminator and of the generator, of their logits.

    The generator's is the one that does not saturate: -log D.

    >>> soft = lambda logits: np.log1p(np.exp(logits)).mean()
    >>> check_players(lambda real, made: (soft(-real), soft(-made)))  # doctest: +ELLIPSIS
    Not yet: the discriminator's loss: ... That is the part of real images alone
    """
    return judged(lambda: _players(function))


def _players(function: Callable) -> str:
    real, made = np.array([2.0, 0.5, 3.0, 4.0]), np.array([-1.0, 2.0, 0.5, 1.5])
    of_discriminator, of_generator = parts("players(real, made)", function(real, made), ("of one", "of the other"))
    on_real, on_made = np.log1p(np.exp(-real)).mean(), np.log1p(np.exp(made)).mean()
    not_saturating = np.log1p(np.exp(-made)).mean()
    compare(
        "the discriminator's loss",
        of_discriminator,
        on_real + on_made,
        ("That is the part of real images alone", on_real),
        ("That is the part of made images alone", on_made),
        ("It shall call made images made: -log(1 - D)", on_real + not_saturating),
        ("Both parts with their signs turned", -on_real - on_made),
        ("The mean of the parts: the paper adds them", (on_real + on_made) / 2),
    )
    compare(
        "the generator's loss",
        of_generator,
        not_saturating,
        ("That is log(1 - D), which saturates where the discriminator is sure", -on_made),
        ("That grows where the discriminator is fooled", on_made),
        ("Turn the sign: a loss is made small", -not_saturating),
    )
    far = np.array([-800.0, 800.0])
    losses = parts("players(real, made)", function(far, far), ("of one", "of the other"))
    for player, loss, expected in zip(("discriminator", "generator"), losses, (800.0, 400.0), strict=True):
        same(f"the {player}'s loss of logits of -800 and 800 (log D is no number there: logaddexp is)", loss, expected)
    return "eight logits, and two far from zero"


def check_penalty(function: Callable) -> Verdict:
    """Checks `penalty(weights, before, importance)`: EWC's, half the sum of importance times squared change.

    >>> check_penalty(lambda weights, before, importance: np.sum((weights - before) ** 2) / 2)  # doctest: +ELLIPSIS
    Not yet: the penalty: ... Each weight counts by its importance
    """
    return judged(lambda: _penalty(function))


def _penalty(function: Callable) -> str:
    weights, before = np.array([[1.0, -2.0, 0.5], [0.3, 0.0, 1.0]]), np.array([[0.5, 0.0, 0.6], [-0.7, 0.2, 2.6]])
    importance = np.array([[2.0, 0.1, 4.0], [0.0, 1.0, 0.5]])
    change = weights - before
    right = np.sum(importance * change**2) / 2
    compare(
        "the penalty",
        function(weights, before, importance),
        right,
        ("Half of it: the Fisher information is a second derivative", 2 * right),
        ("Each weight counts by its importance", np.sum(change**2) / 2),
        ("The change is squared", np.sum(importance * change) / 2),
        ("The change is squared, not its size", np.sum(importance * np.abs(change)) / 2),
        ("The importance itself is not squared", np.sum((importance * change) ** 2) / 2),
        ("From where the weights were, not from zero", np.sum(importance * weights**2) / 2),
        ("The sum over all weights, not the mean", right / weights.size),
    )
    same("the penalty of weights that have not moved", function(before, before, importance), 0.0)
    return "six weights"


def check_same_answer(function: Callable) -> Verdict:
    """Checks `same_answer(before, after)`: the share of images whose most probable class an intervention leaves.

    Both are logits (images, classes).

    >>> check_same_answer(lambda before, after: np.mean(before == after))
    Not yet: the share: expected 0.6, got 0. Compare the classes with the largest logits, not the logits
    """
    return judged(lambda: _same_answer(function))


def _same_answer(function: Callable) -> str:
    before = np.array([[3.0, 1, 0], [0, 2, 1], [0, 1, 5], [4, 3, 0], [1, 0, 2]])
    after = np.array([[5.0, 4, 1], [3, 1, 2], [1, 2, 3], [6, 2, 6.5], [0, 1, 4]])
    kept = before.argmax(axis=1) == after.argmax(axis=1)
    compare(
        "the share",
        function(before, after),
        kept.mean(),
        ("That is how many: the share is their mean", float(kept.sum())),
        ("That is the share of answers that change", 1 - kept.mean()),
        ("The largest over the classes, axis 1, not over the images", _along_images(before, after)),
        ("Compare the classes with the largest logits, not the logits", float(np.mean(before == after))),
    )
    same("the share where every logit is doubled and moved", function(before, 2 * before + 7), 1.0)
    return "five images"


def _along_images(before: np.ndarray, after: np.ndarray) -> float:
    return float(np.mean(before.argmax(axis=0) == after.argmax(axis=0)))
