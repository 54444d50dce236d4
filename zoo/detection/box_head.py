"""What is in each region and where exactly: the second stage of Fast and Faster R-CNN.

Girshick, 2015, Fast R-CNN, sections 2.1 to 2.3; as in torchvision/models/detection/faster_rcnn.py (`TwoMLPHead`,
`FastRCNNConvFCHead`, `FastRCNNPredictor`) and roi_heads.py. Lecture rows L57, L59.
"""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int, Key

from zoo.convnets.torch_layers import bias_uniform, dot_of_places
from zoo.detection.box_coder import BoxCoder
from zoo.detection.boxes import at_least, clipped
from zoo.detection.contract import BACKGROUND, Detections, Term, Truth
from zoo.detection.losses import smooth_l1
from zoo.detection.matching import match
from zoo.detection.nms import batched_nms
from zoo.detection.sampling import sample
from zoo.nn import kaiming_fan_out, linear_uniform
from zoo.nn.network import Network

CODER = BoxCoder((10.0, 10.0, 5.0, 5.0))
"""A region's box is a difference from it, in parts of its usual spread."""


@dataclasses.dataclass(frozen=True)
class Deciding:
    """Which regions learn, and which boxes are said. The numbers of torchvision, which are those of detectron2."""

    above: float = 0.5
    """A region is of the class of an object that it overlaps by so much."""
    below: float = 0.5
    """It is background where it overlaps none by so much."""
    count: int = 512
    """Regions of an image that learn."""
    positive_share: float = 0.25
    """Of them, at most, that show an object."""
    beta: float = 1 / 9
    """Below which error of a box the loss is a parabola."""
    least_score: float = 0.05
    overlap: float = 0.5
    """Boxes are dropped whose intersection over union with a better one of their class is above this."""
    smallest: float = 1e-2
    """Pixels a side that a box has at least."""
    most: int = 100
    """Boxes of an image."""
    least_background: float = 0.0
    """Background overlaps some object by at least this."""


class Regions(NamedTuple):
    """Regions that learn, and what of."""

    boxes: Float[Array, "batch regions 4"]
    real: Bool[Array, "batch regions"]
    labels: Int[Array, "batch regions"]
    """0 where there is no object."""
    objects: Int[Array, "batch regions"]
    """The number of the object that each is to find."""


class BoxHead(Network):
    """Convolutions (none as it stands), dense layers, and of these a logit and four differences for each class."""

    num_classes: int = 91
    """With the background."""
    convs: tuple[int, ...] = ()
    """Channels of 3x3 convolutions with batch normalisation."""
    hidden: tuple[int, ...] = (1024, 1024)
    """Features of the dense layers."""
    mean: bool = False
    """Whether the dense layers are given the mean over a region's places, and not all of them."""

    @nn.compact
    def __call__(
        self,
        regions: Float[Array, "n rows columns channels"],
        train: bool = False,
        real: Bool[Array, "n"] | None = None,
    ) -> tuple[Float[Array, "n classes"], Float[Array, "n classes 4"]]:
        """Logits and differences, float32 at least.

        Args:
          regions: what is taken of each.
          train: whether it trains.
          real: which regions count in batch statistics; by default all.
        """
        counts = None if real is None else real[:, None, None]
        x = regions
        for i, width in enumerate(self.convs, start=1):
            x = self.conv_maker(use_bias=False, kernel_init=kaiming_fan_out)(width, (3, 3), padding=1, name=f"conv{i}")(
                x
            )
            x = nn.relu(self.norm_maker()(name=f"norm{i}")(x, not train, counts))
        first = {} if self.mean else {"dot_general": dot_of_places(math.prod(x.shape[1:3]))}
        x = x.mean(axis=(1, 2)) if self.mean else x.reshape(len(x), math.prod(x.shape[1:]))

        def dense(features: int, x: Array, **types: object) -> nn.Dense:
            start = {"kernel_init": linear_uniform, "bias_init": bias_uniform(x.shape[-1])}
            return functools.partial(nn.Dense, features, **start, **types)

        for i, features in enumerate(self.hidden, start=1):
            x = nn.relu(dense(features, x, **self.types, **first)(name=f"dense{i}")(x))
            first = {}
        wide = {"dtype": self.wide, "param_dtype": self.param_dtype, **first}
        logits = dense(self.num_classes, x, **wide)(name="logits")(x)
        deltas = dense(4 * self.num_classes, x, **wide)(name="deltas")(x)
        return logits, deltas.reshape(-1, self.num_classes, 4)


def learning_regions(
    proposals: Float[Array, "batch proposals 4"],
    valid: Bool[Array, "batch proposals"],
    truth: Truth,
    key: Key[Array, ""],
    how: Deciding,
) -> Regions:
    """Proposals of each image, and its objects themselves, of which some are drawn: see `Deciding`."""

    def of_image(key: Array, boxes: Array, valid: Array, objects: Array, real: Array, labels: Array) -> Regions:
        boxes, there = jnp.concatenate([boxes, objects]), jnp.concatenate([valid, real])
        found = match(boxes, objects, real, how.above, how.below)
        negative = found.negative & (found.overlaps >= how.least_background)
        drawn, is_real = sample(key, found.positive & there, negative & there, how.count, how.positive_share)
        which = found.objects[drawn]
        label = jnp.where(found.positive[drawn] & is_real, labels[which], BACKGROUND) if len(labels) else 0 * which
        return Regions(jnp.where(is_real[:, None], boxes[drawn], 0), is_real, label, which)

    keys = jax.random.split(key, len(proposals))
    boxes = jax.lax.stop_gradient(proposals)
    return jax.vmap(of_image)(keys, boxes, valid, truth.boxes, truth.valid, truth.labels)


def box_losses(
    logits: Float[Array, "batch regions classes"],
    deltas: Float[Array, "batch regions classes 4"],
    regions: Regions,
    truth: Truth,
    how: Deciding,
) -> dict[str, Term]:
    """How wrong the head is about the regions: `class` cross entropy, `box` smooth L1 of the right class.

    Section 2.3 of the paper; the right class is the label of the region.
    """
    wrong = optax.softmax_cross_entropy_with_integer_labels(logits, regions.labels)
    positive = regions.real & (regions.labels > BACKGROUND)
    said = jnp.take_along_axis(deltas, regions.labels[..., None, None], axis=2)[..., 0, :]
    right = said
    if truth.boxes.shape[1]:
        objects = jnp.take_along_axis(truth.boxes, regions.objects[..., None], axis=1)
        right = jax.lax.stop_gradient(CODER.encode(objects, regions.boxes))
    far = smooth_l1(said - right, how.beta).sum(axis=-1)
    count = regions.real.sum(dtype=jnp.float32)
    return {
        "class": Term(jnp.sum(wrong, where=regions.real), count),
        "box": Term(jnp.sum(far, where=positive), count),
    }


def decided(
    logits: Float[Array, "batch regions classes"],
    deltas: Float[Array, "batch regions classes 4"],
    proposals: Float[Array, "batch regions 4"],
    valid: Bool[Array, "batch regions"],
    sizes: Float[Array, "batch 2"],
    how: Deciding,
    scores_of: Callable[[Array], Array] = jax.nn.softmax,
) -> Detections:
    """The boxes of each image that a head says: a box for each class of a region, the best of those that overlap."""

    def of_image(logits: Array, deltas: Array, proposals: Array, valid: Array, size: Array) -> Detections:
        scores = scores_of(logits)[:, 1:]
        boxes = clipped(CODER.decode(deltas[:, 1:], proposals[:, None]), *size)
        there = valid[:, None] & (scores > how.least_score) & at_least(boxes, how.smallest)
        labels = jnp.broadcast_to(jnp.arange(1, logits.shape[-1]), scores.shape)
        boxes, scores, labels = boxes.reshape(-1, 4), scores.reshape(-1), labels.reshape(-1)
        kept, real = batched_nms(boxes, scores, labels, how.overlap, how.most, there.reshape(-1))
        return Detections(
            jnp.where(real[:, None], boxes[kept], 0),
            jnp.where(real, scores[kept], 0),
            jnp.where(real, labels[kept], BACKGROUND),
            real,
        )

    return jax.vmap(of_image)(logits, deltas, proposals, valid, sizes)
