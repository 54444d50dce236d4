"""Losses that several detectors share.

Girshick, 2015, Fast R-CNN, equation 3; Lin et al., 2017, Focal Loss for Dense Object Detection, equation 5. Lecture
rows L57, L58.
"""

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float


def smooth_l1(error: Float[Array, "*n"], beta: float = 1.0) -> Float[Array, "*n"]:
    """The absolute value less beta / 2, and below beta a parabola: of torch's smooth_l1_loss.

    >>> smooth_l1(jnp.array([0.5, -3.0])).tolist()
    [0.125, 2.5]
    """
    size = jnp.abs(error)
    return jnp.where(size < beta, 0.5 * jnp.square(error) / beta, size - 0.5 * beta)


def sigmoid_focal(
    logits: Float[Array, "*n"], targets: Float[Array, "*n"], alpha: float = 0.25, gamma: float = 2.0
) -> Float[Array, "*n"]:
    """Cross entropy that what is easy hardly counts in: of torchvision/ops/focal_loss.py.

    Args:
      logits: of the positive class.
      targets: 1 or 0.
      alpha: weight of positive examples, and 1 - alpha of negative ones; negative for none.
      gamma: how little easy ones count.

    >>> round(float(sigmoid_focal(jnp.array(0.0), jnp.array(1.0))), 4)
    0.0433
    """
    entropy = optax.sigmoid_binary_cross_entropy(logits, targets)
    sure = jax.nn.sigmoid(logits)
    right = sure * targets + (1 - sure) * (1 - targets)
    loss = entropy * (1 - right) ** gamma
    return loss if alpha < 0 else loss * (alpha * targets + (1 - alpha) * (1 - targets))
