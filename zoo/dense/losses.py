"""Losses of label maps, each as two sums over the pixels that count: a total, and the weight that it is divided by.

Where no pixel counts both are zero, and so is the gradient. Sums add up over batches and devices; their quotient is the
loss. Lecture row L65; erratum E19: the slide has a squared error of each pixel, the paper a softmax cross entropy.
"""

import math

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

from zoo.nn.precision import widened

Logits = Float[Array, "batch height width classes"]
Labels = Int[Array, "batch height width"]
Counted = Bool[Array, "batch height width"]
Sums = tuple[Float[Array, ""], Float[Array, ""]]


def pixel_cross_entropy(logits: Logits, labels: Labels, counted: Counted) -> Float[Array, "batch height width"]:
    """Softmax cross entropy of each pixel, float32 at least; zero where it does not count, whatever its label."""
    labels = jnp.where(counted, labels, 0)
    losses = optax.softmax_cross_entropy_with_integer_labels(widened(logits), labels)
    return jnp.where(counted, losses, 0)


def cross_entropy(
    logits: Logits, labels: Labels, counted: Counted, class_weights: Float[Array, "classes"] | None = None
) -> Sums:
    """Softmax cross entropy, Long et al., 2015, Fully Convolutional Networks, section 4.

    Args:
      logits: of each pixel.
      labels: from 0 on, of the pixels that count.
      counted: which do.
      class_weights: what a pixel of each class weighs, as in torch's `cross_entropy`; by default one.

    >>> total, weight = cross_entropy(jnp.zeros((1, 1, 2, 4)), jnp.array([[[3, 7]]]), jnp.array([[[True, False]]]))
    >>> round(float(total / weight), 4)  # log 4
    1.3863
    """
    losses, weights = pixel_cross_entropy(logits, labels, counted), counted.astype(jnp.float32)
    if class_weights is not None:
        weights *= class_weights.astype(jnp.float32)[jnp.where(counted, labels, 0)]
    return jnp.sum(weights * losses), jnp.sum(weights)


def hard_cross_entropy(
    logits: Logits, labels: Labels, counted: Counted, threshold: float = 0.7, least: float = 1 / 16
) -> Sums:
    """Cross entropy of the hard pixels alone, chosen anew at each step, image by image.

    A pixel is hard whose own class has at most the threshold's probability; where those are fewer than a share of
    the image's pixels that count, the hardest of these are taken until there are as many. Which they are is decided
    without a gradient; so the weight, their number, has none. Online hard example mining:
    Shrivastava, Gupta and Girshick, 2016, section 4, for pixels as Wu, Shen and van den Hengel, 2016, Bridging
    Category-level and Instance-level Semantic Image Segmentation, section 3.

    Args:
      logits: of each pixel.
      labels: from 0 on, of the pixels that count.
      counted: which do.
      threshold: above this probability a pixel is easy, in (0, 1].
      least: the share of an image's pixels that is learned from in any case, in (0, 1].

    Raises:
      ValueError: a threshold or a share outside its range.
    """
    if not 0 < threshold <= 1 or not 0 < least <= 1:
        raise ValueError(f"expected a threshold and a share in (0, 1], got {threshold} and {least}")
    losses = pixel_cross_entropy(logits, labels, counted)
    count = jnp.sum(counted, axis=(1, 2))
    descending = -jnp.sort(-jnp.where(counted, jax.lax.stop_gradient(losses), -jnp.inf).reshape(len(losses), -1))
    last = jnp.clip(jnp.ceil(least * count).astype(jnp.int32) - 1, 0)
    bound = jnp.take_along_axis(descending, last[:, None], axis=1)[:, 0]
    bound = jnp.minimum(bound, -math.log(threshold))[:, None, None]
    hard = counted & (jax.lax.stop_gradient(losses) >= bound)
    return jnp.sum(losses, where=hard), jnp.sum(hard, dtype=jnp.float32)


def focal(logits: Logits, labels: Labels, counted: Counted, gamma: float = 2.0) -> Sums:
    """Cross entropy, times (1 - p)^gamma of a pixel whose class has the probability p.

    Lin et al., 2017, Focal Loss for Dense Object Detection, equation 4, with a softmax over the classes; of two it is
    torchvision's `sigmoid_focal_loss` of their difference without `alpha`.
    """
    losses = pixel_cross_entropy(logits, labels, counted)
    # -expm1 keeps the digits of 1 - exp(-loss) where the loss is small; at 0 a power below one has no gradient.
    missing = jnp.where(losses > 0, -jnp.expm1(-losses), 1)
    return jnp.sum(jnp.where(losses > 0, missing**gamma, 0) * losses), jnp.sum(counted, dtype=jnp.float32)


def dice(logits: Logits, labels: Labels, counted: Counted) -> Sums:
    """One less the soft Dice coefficient 2 sum(p t) / (sum(p) + sum(t)) of each class that an image has.

    p is the softmax, t is one at pixels of the class; the weight is the number of images' classes. Milletari, Navab and
    Ahmadi, 2016, V-Net, section 3, with the plain sums of Sudre et al., 2017, Generalised Dice overlap.
    """
    classes = logits.shape[-1]
    probabilities = jnp.where(counted[..., None], jax.nn.softmax(widened(logits)), 0)
    true = jax.nn.one_hot(jnp.where(counted, labels, classes), classes)  # of what does not count there is none
    has = jnp.sum(true, axis=(1, 2))
    both = jnp.sum(probabilities * true, axis=(1, 2))
    losses = 1 - 2 * both / jnp.where(has > 0, jnp.sum(probabilities, axis=(1, 2)) + has, 1)
    return jnp.sum(losses, where=has > 0), jnp.sum(has > 0, dtype=jnp.float32)


def squared_error(scores: Logits, labels: Labels, counted: Counted) -> Sums:
    """The squared distance of a pixel's scores from one for its class and zero for the others: the slide's loss (E19).

    >>> total, weight = squared_error(jnp.array([[[[0.5, 0.0]]]]), jnp.array([[[0]]]), jnp.array([[[True]]]))
    >>> float(total), float(weight)
    (0.25, 1.0)
    """
    wanted = jax.nn.one_hot(jnp.where(counted, labels, 0), scores.shape[-1])
    errors = jnp.sum(jnp.square(widened(scores) - wanted), axis=-1)
    return jnp.sum(errors, where=counted), jnp.sum(counted, dtype=jnp.float32)
