"""Non-maximum suppression with static shapes: of boxes that overlap, the best one stays.

Felzenszwalb et al., 2010, Object Detection with Discriminatively Trained Part-Based Models, section 6.2; Bodla et al.,
2017, Soft-NMS: Improving Object Detection With One Line of Code. Row L60.

What stays is what torchvision's kernel keeps, to the last bit: of equal scores the first box comes first, and an
overlap at the threshold suppresses nothing. Three forms give the same answer. Which is used depends on the sizes:
`_by_best` takes the best box as often as boxes are asked for, and `_of_all` decides about all boxes at once, on CPU row
by row and elsewhere in fewer and larger steps.
"""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from zoo.detection.boxes import iou

MOST_AT_ONCE = 8192
"""Boxes of which `_of_all` compares each with each: a mask of 64 MiB."""

DECAYS: dict[str, Callable[[Array, float, float], Array]] = {
    "gaussian": lambda overlap, threshold, sigma: jnp.exp(-jnp.square(overlap) / sigma),
    "linear": lambda overlap, threshold, sigma: jnp.where(overlap > _below(threshold), 1 - overlap, 1),
}
"""By what a score is multiplied, of the overlap with a better box: section 3 of Bodla et al."""


def nms(
    boxes: Float[Array, "n 4"],
    scores: Float[Array, "n"],
    iou_threshold: float,
    max_outputs: int,
    valid: Bool[Array, "n"] | None = None,
) -> tuple[Int[Array, "max_outputs"], Bool[Array, "max_outputs"]]:
    """Takes the best box, drops those that overlap with it, takes the best of the rest, and so on.

    Args:
      boxes: left, top, right, bottom, in pixels.
      scores: higher is better; of equal ones the first is taken.
      iou_threshold: boxes are dropped whose intersection over union with a taken one is above it.
      max_outputs: how many boxes are taken.
      valid: which boxes there are; by default all. What is not a number, box or score, is never taken.

    Returns:
      The numbers of the boxes that stay, the best first, and which of them are real: there may be fewer. What is not
      real has the number 0.

    Raises:
      ValueError: shapes that do not fit, or no number of outputs.

    >>> boxes = jnp.array([[0.0, 0.0, 4.0, 4.0], [0.0, 0.0, 4.0, 5.0], [8.0, 8.0, 9.0, 9.0]])
    >>> kept, valid = nms(boxes, jnp.array([0.8, 0.9, 0.7]), iou_threshold=0.5, max_outputs=3)
    >>> kept[valid].tolist()
    [1, 2]
    """
    return batched_nms(boxes, scores, None, iou_threshold, max_outputs, valid)


def batched_nms(
    boxes: Float[Array, "n 4"],
    scores: Float[Array, "n"],
    labels: Int[Array, "n"] | None,
    iou_threshold: float,
    max_outputs: int,
    valid: Bool[Array, "n"] | None = None,
) -> tuple[Int[Array, "max_outputs"], Bool[Array, "max_outputs"]]:
    """`nms` in which boxes (in pixels) of different labels leave each other alone: classes, or levels of a pyramid.

    The result is ranked over all labels. Coordinates are compared as they are, as in torchvision's
    `_batched_nms_vanilla`.

    >>> boxes = jnp.array([[0.0, 0.0, 4.0, 4.0], [0.0, 0.0, 4.0, 5.0], [0.0, 0.0, 4.0, 4.0]])
    >>> kept, valid = batched_nms(boxes, jnp.array([0.8, 0.9, 0.7]), jnp.array([1, 1, 2]), 0.5, max_outputs=3)
    >>> kept[valid].tolist()
    [1, 2]
    """
    boxes, scores, labels, valid = _checked(boxes, scores, labels, max_outputs, valid)
    if not len(scores):
        return jnp.zeros(max_outputs, jnp.int32), jnp.zeros(max_outputs, bool)
    function = _by_best if 8 * max_outputs <= len(scores) or len(scores) > MOST_AT_ONCE else _of_all
    return function(boxes, scores, labels, valid, _below(iou_threshold), max_outputs)


def soft_nms(
    boxes: Float[Array, "n 4"],
    scores: Float[Array, "n"],
    max_outputs: int,
    decay: str = "gaussian",
    iou_threshold: float = 0.3,
    sigma: float = 0.5,
    least_score: float = 1e-3,
    labels: Int[Array, "n"] | None = None,
    valid: Bool[Array, "n"] | None = None,
) -> tuple[Int[Array, "max_outputs"], Float[Array, "max_outputs"], Bool[Array, "max_outputs"]]:
    """Takes the best box, lowers the scores of those that overlap with it, takes the best of the rest, and so on.

    Args:
      boxes: left, top, right, bottom, in pixels.
      scores: not negative, higher is better.
      max_outputs: how many boxes are taken.
      decay: "gaussian" multiplies scores by exp(-overlap^2 / sigma), "linear" those above the threshold by 1 - overlap.
      iou_threshold: of the linear decay.
      sigma: of the gaussian decay.
      least_score: boxes of no higher score are never taken.
      labels: boxes of different ones leave each other alone; by default all are alike.
      valid: which boxes there are; by default all.

    Returns:
      The numbers of the boxes, the best first, with the scores that they have then, and which of them are real.

    Raises:
      ValueError: shapes that do not fit, no number of outputs, or another decay.

    >>> boxes = jnp.array([[0.0, 0.0, 4.0, 4.0], [0.0, 0.0, 4.0, 5.0], [8.0, 8.0, 9.0, 9.0]])
    >>> kept, scores, valid = soft_nms(boxes, jnp.array([0.8, 0.9, 0.7]), 3, "linear")
    >>> kept.tolist(), scores.round(2).tolist()
    ([1, 2, 0], [0.8999999761581421, 0.699999988079071, 0.1599999964237213])
    """
    if decay not in DECAYS:
        raise ValueError(f"expected a decay of {', '.join(DECAYS)}, got {decay!r}")
    boxes, scores, labels, valid = _checked(boxes, scores, labels, max_outputs, valid)
    if not len(scores):
        return jnp.zeros(max_outputs, jnp.int32), jnp.zeros(max_outputs, scores.dtype), jnp.zeros(max_outputs, bool)
    places = jnp.arange(len(scores))

    def take(remaining: Array, _: None) -> tuple[Array, tuple[Array, Array, Array]]:
        best = jnp.argmax(remaining)
        score = remaining[best]
        factor = DECAYS[decay](iou(boxes[best][None], boxes)[0], iou_threshold, sigma)
        lowers = (labels == labels[best]) & (remaining > -jnp.inf)  # what is taken stays so: minus infinity times zero
        lowered = jnp.where(lowers, remaining * factor, remaining)
        is_real = score > least_score
        return jnp.where(places == best, -jnp.inf, lowered), (jnp.where(is_real, best, 0), score, is_real)

    initial = jnp.where(valid, scores, -jnp.inf)
    numbers, found, is_real = lax.scan(take, initial, None, length=max_outputs)[1]
    return numbers.astype(jnp.int32), jnp.where(is_real, found, 0), is_real


def _checked(
    boxes: Array, scores: Array, labels: Array | None, max_outputs: int, valid: Array | None
) -> tuple[Array, Array, Array, Array]:
    """The arguments with defaults in place, which boxes are real, and no gradients: numbers of boxes have none."""
    boxes, scores = (lax.stop_gradient(jnp.asarray(each)) for each in (boxes, scores))
    if boxes.ndim != 2 or boxes.shape[1] != 4 or scores.shape != boxes.shape[:1]:
        raise ValueError(f"expected boxes (n, 4) and scores (n), got {boxes.shape} and {scores.shape}")
    if max_outputs < 1:
        raise ValueError(f"expected at least one output, got max_outputs={max_outputs}")
    for name, value in (("labels", labels), ("valid", valid)):
        if value is not None and value.shape != scores.shape:
            raise ValueError(f"expected {name} of shape {scores.shape}, got {value.shape}")
    labels = jnp.zeros(len(scores), jnp.int32) if labels is None else jnp.asarray(labels)
    is_real = jnp.isfinite(boxes).all(axis=1) & (scores > -jnp.inf)
    return boxes, scores, labels, is_real if valid is None else is_real & valid


def _below(threshold: float) -> float | Array:
    """The largest float32 that is not above a threshold: of the overlaps, which are float32, the same are above both.

    torchvision's kernel compares with the threshold in float64, where 0.2 is less than it is in float32.
    """
    if not isinstance(threshold, float | int):
        return threshold
    rounded = np.float32(threshold)
    return float(np.nextafter(rounded, np.float32(-np.inf)) if float(rounded) > threshold else rounded)


def _by_best(
    boxes: Array, scores: Array, labels: Array, valid: Array, threshold: float | Array, max_outputs: int
) -> tuple[Array, Array]:
    """One step for each output, which compares one box with all: little memory, fast when few are asked for."""
    places = jnp.arange(len(scores))

    def take(remaining: Array, _: None) -> tuple[Array, tuple[Array, Array]]:
        best = jnp.argmax(remaining)
        is_real = remaining[best] > -jnp.inf
        overlapping = (iou(boxes[best][None], boxes)[0] > threshold) & (labels == labels[best])
        return jnp.where(overlapping | (places == best), -jnp.inf, remaining), (jnp.where(is_real, best, 0), is_real)

    numbers, is_real = lax.scan(take, jnp.where(valid, scores, -jnp.inf), None, length=max_outputs)[1]
    return numbers.astype(jnp.int32), is_real


def _of_all(
    boxes: Array, scores: Array, labels: Array, valid: Array, threshold: float | Array, max_outputs: int
) -> tuple[Array, Array]:
    """Compares each box with each, decides about all, and lists the first of what stays."""
    order = jnp.argsort(jnp.where(valid, -scores, jnp.inf), stable=True)
    boxes, labels, valid = boxes[order], labels[order], valid[order]
    overlapping = (iou(boxes, boxes) > threshold) & (labels[:, None] == labels)
    kept = lax.platform_dependent(overlapping, valid, cpu=_row_by_row, default=_until_settled)
    places = jnp.where(kept, jnp.cumsum(kept) - 1, max_outputs)
    numbers = jnp.zeros(max_outputs, jnp.int32).at[places].set(order.astype(jnp.int32), mode="drop")
    return numbers, jnp.arange(max_outputs) < jnp.sum(kept)


def _row_by_row(overlapping: Bool[Array, "n n"], valid: Bool[Array, "n"]) -> Bool[Array, "n"]:
    """Each box, if it still stays when its turn comes, drops what is behind it and overlaps with it."""
    places = jnp.arange(len(valid))

    def decide(i: Array, kept: Array) -> Array:
        return kept & ~(overlapping[i] & kept[i] & (places > i))

    return lax.fori_loop(0, len(valid), decide, valid)


def _until_settled(overlapping: Bool[Array, "n n"], valid: Bool[Array, "n"]) -> Bool[Array, "n"]:
    """What no better box of the last guess overlaps with stays in the next guess, until nothing changes.

    After as many rounds as the longest chain of boxes of which each drops the next, nothing does; by induction over the
    ranks that guess is the only one that agrees with itself.
    """
    better = overlapping & jnp.tri(len(valid), k=-1, dtype=bool)  # the row's box overlaps with the column's better one

    def improve(state: tuple[Array, Array]) -> tuple[Array, Array]:
        kept = state[0]
        return valid & ~(better & kept).any(axis=1), kept

    return lax.while_loop(lambda state: (state[0] != state[1]).any(), improve, improve((valid, valid)))[0]
