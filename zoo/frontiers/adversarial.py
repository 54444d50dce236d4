"""Adversarial examples: the change of an image, too small to be seen, that makes a loss as large as it can.

Goodfellow, Shlens and Szegedy, 2015, Explaining and Harnessing Adversarial Examples; Madry et al., 2018, Towards Deep
Learning Models Resistant to Adversarial Attacks. Lecture row L97.

An attack is a function of a loss, `loss(images) -> (batch,)`: whatever a network, its variables and the labels make of
images. Each example is changed by itself, so a loss must not compare the examples of a batch.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Key

from zoo.names import unknown

NORMS = ("linf", "l2")
"""How large a change is: the largest of all its values, or the root of the sum of their squares."""

UNROLLED = 10
"""So many steps are written out one by one: on CPU a gradient of convolutions is slow inside a loop."""

Images = Float[Array, "batch *rest"]
Loss = Callable[[Images], Float[Array, " batch"]]


def fgsm(
    loss: Loss, images: Images, epsilon: float, bounds: tuple[float, float] = (0.0, 1.0), targeted: bool = False
) -> Images:
    """The fast gradient sign method: one step of `epsilon` along the sign of the loss's gradient.

    Args:
      loss: of each example; with `targeted`, towards what the images shall be taken for.
      images: within the bounds.
      epsilon: by how much each value changes, in the units of the images.
      bounds: the least and the largest value an image can have.
      targeted: whether the loss is made smaller, not larger.

    Raises:
      ValueError: epsilon is negative, or the bounds are none.
      TypeError: images of integers.

    >>> loss = lambda x: (x * jnp.array([1.0, -2.0, 0.0])).sum(axis=1)
    >>> fgsm(loss, jnp.array([[0.5, 0.5, 0.5]]), 0.25).tolist()
    [[0.75, 0.25, 0.5]]
    """
    _check(images, epsilon, bounds)
    slopes = jnp.sign(_slopes(loss, images))
    return jnp.clip(images - epsilon * slopes if targeted else images + epsilon * slopes, *bounds)


def pgd(
    loss: Loss,
    images: Images,
    epsilon: float,
    step: float,
    steps: int,
    norm: str = "linf",
    bounds: tuple[float, float] = (0.0, 1.0),
    targeted: bool = False,
    key: Key[Array, ""] | None = None,
) -> Images:
    """Projected gradient: steps uphill, each brought back into the ball of `epsilon` around the image, and its bounds.

    A step is `step` long in the norm: of each value in "linf", of the whole image in "l2".

    Args:
      loss: of each example; with `targeted`, towards what the images shall be taken for.
      images: within the bounds.
      epsilon: how far the images may be changed, in the norm; under `jit` it may be an argument.
      step: how long a step is; 2.5 times epsilon over the number of steps reaches the ball's other side.
      steps: how many.
      norm: one of `NORMS`.
      bounds: the least and the largest value an image can have.
      targeted: whether the loss is made smaller, not larger.
      key: where the first point in the ball is drawn from, uniformly; without it that is the image.

    Raises:
      UnknownNameError: another norm.
      ValueError: epsilon or the step is negative, there is no step, or the bounds are none.
      TypeError: images of integers.

    >>> loss = lambda x: (x * jnp.array([3.0, 4.0])).sum(axis=1)
    >>> found = pgd(loss, jnp.array([[0.5, 0.5]]), 0.25, 0.25, steps=2, norm="l2")
    >>> (100 * found).round().tolist()
    [[65.0, 70.0]]
    """
    _check(images, epsilon, bounds)
    _known(norm)
    if _is_negative(step) or steps < 1:
        raise ValueError(f"pgd expected a step from 0 and at least one of them, got {step} and {steps}")
    direction = -step if targeted else step

    def moved(found: Images, _: None) -> tuple[Images, None]:
        found = found + direction * steepest(_slopes(loss, found), norm)
        return _within(found, images, epsilon, norm, bounds), None

    first = images
    if key is not None:
        first = _within(images + _drawn(key, images, epsilon, norm), images, epsilon, norm, bounds)
    found, _ = lax.scan(moved, first, None, length=steps, unroll=steps if steps <= UNROLLED else 1)
    return found


def steepest(slopes: Images, norm: str) -> Images:
    """The change of norm 1 along which a loss of these slopes grows most: their sign, or their direction.

    Of an example without any slope it is zero.

    Raises:
      UnknownNameError: another norm.

    >>> (10 * steepest(jnp.array([[3.0, -4.0]]), "l2")).round().tolist()
    [[6.0, -8.0]]
    """
    _known(norm)
    if norm == "linf":
        return jnp.sign(slopes)
    # Of a network that is sure slopes are so small that their squares are none: the largest is made 1 first.
    largest = jnp.abs(slopes).max(axis=_all_but_first(slopes), keepdims=True)
    scaled = lax.optimization_barrier(slopes / jnp.where(largest > 0, largest, 1))  # or XLA squares first
    return scaled / jnp.maximum(_length(scaled), 1)


def _slopes(loss: Loss, images: Images) -> Images:
    """Of each example's own loss, as numbers: a network that is attacked learns nothing through its own slopes."""
    return lax.stop_gradient(jax.grad(lambda images: loss(images).sum())(images))


def _within(found: Images, images: Images, epsilon: float, norm: str, bounds: tuple[float, float]) -> Images:
    """The nearest point of the ball, then of the bounds, which leads no farther away from the image."""
    change = found - images
    if norm == "linf":
        change = jnp.clip(change, -epsilon, epsilon)
    else:
        change = change * jnp.minimum(1, epsilon / jnp.maximum(_length(change), jnp.finfo(change.dtype).tiny))
    return jnp.clip(images + change, *bounds)


def _drawn(key: Key[Array, ""], images: Images, epsilon: float, norm: str) -> Images:
    """Changes of norm epsilon or less, all of them alike probable."""
    if norm == "linf":
        return jax.random.uniform(key, images.shape, images.dtype, -epsilon, epsilon)
    of_direction, of_length = jax.random.split(key)
    direction = steepest(jax.random.normal(of_direction, images.shape, images.dtype), norm)
    shape = (len(images), *(1,) * (images.ndim - 1))
    share = jax.random.uniform(of_length, shape, images.dtype) ** (1 / math.prod(images.shape[1:]))
    return epsilon * share * direction


def _length(x: Images) -> Float[Array, "batch ..."]:
    return jnp.sqrt(jnp.square(x).sum(axis=_all_but_first(x), keepdims=True))


def _all_but_first(x: Images) -> tuple[int, ...]:
    return tuple(range(1, x.ndim))


def _check(images: Images, epsilon: float, bounds: tuple[float, float]) -> None:
    if not jnp.issubdtype(images.dtype, jnp.floating):
        raise TypeError(f"expected floating-point images, got {images.dtype}")
    if _is_negative(epsilon) or not bounds[0] < bounds[1]:
        raise ValueError(f"expected an epsilon from 0 and bounds in order, got {epsilon} and {bounds}")


def _is_negative(value: float) -> bool:
    """As far as it is known while a program is traced."""
    return not isinstance(value, jax.core.Tracer) and not value >= 0


def _known(norm: str) -> None:
    if norm not in NORMS:
        raise unknown("norm", norm, NORMS)
