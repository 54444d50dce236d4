"""A small network that says of every anchor whether there is an object, and where: the proposals of Faster R-CNN.

Ren, He, Girshick and Sun, 2015, Faster R-CNN, section 3.1; as in torchvision/models/detection/rpn.py. Lecture row L59.
"""

import dataclasses
from collections.abc import Mapping
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Key

from zoo.detection.anchors import Anchors
from zoo.detection.box_coder import BoxCoder
from zoo.detection.boxes import at_least, clipped
from zoo.detection.contract import Term, Truth
from zoo.detection.losses import smooth_l1
from zoo.detection.matching import match
from zoo.detection.nms import nms
from zoo.detection.padding import places_inside
from zoo.detection.sampling import sample
from zoo.nn.network import Network

CODER = BoxCoder()
"""An anchor's box is a difference from it, with weights of 1."""


@dataclasses.dataclass(frozen=True)
class Proposing:
    """How proposals are chosen, and which anchors learn. The numbers of torchvision, which are those of detectron2."""

    before: tuple[int, int] = (2000, 1000)
    """Anchors of each map that are compared with each other, in training and at evaluation: those of most score."""
    after: tuple[int, int] = (2000, 1000)
    """Proposals of an image, in training and at evaluation."""
    overlap: float = 0.7
    """Proposals are dropped whose intersection over union with a better one is above this."""
    smallest: float = 1e-3
    """Pixels a side that a proposal has at least."""
    least_score: float = 0.0
    above: float = 0.7
    """An anchor learns to find an object that it overlaps by so much."""
    below: float = 0.3
    """It learns that there is none where it overlaps none by so much."""
    count: int = 256
    """Anchors of an image that learn."""
    positive_share: float = 0.5
    """Of them, at most, that find something."""


class Said(NamedTuple):
    """What the network says of the anchors of all maps."""

    logits: Float[Array, "batch anchors"]
    """Whether there is an object."""
    deltas: Float[Array, "batch anchors 4"]
    """Its box, as a difference from the anchor."""
    anchors: Float[Array, "anchors 4"]
    levels: tuple[int, ...]
    """How many anchors each map has."""
    there: Bool[Array, "batch anchors"]
    """Those whose place belongs to the image, and not to what surrounds it on the canvas."""


class RegionProposals(Network):
    """3x3 convolutions that all maps share, then for each anchor of a place a logit and four differences."""

    anchors: Anchors = Anchors()
    depth: int = 1
    """Convolutions."""

    @nn.compact
    def __call__(
        self,
        maps: Mapping[str, Float[Array, "batch _ _ channels"]],
        canvas: tuple[int, int],
        sizes: Float[Array, "batch 2"] | None = None,
    ) -> Said:
        """What it says of the maps, from fine to coarse, float32 at least.

        Args:
          maps: of the pyramid.
          canvas: height and width of the images in pixels.
          sizes: true heights and widths; by default those of the canvas.

        Raises:
          ValueError: another number of maps than of sizes of anchors, or numbers of anchors that differ by map.
        """
        each = {self.anchors.per_place(level) for level in range(len(self.anchors.sizes))}
        if len(each) != 1:
            raise ValueError(f"expected as many anchors a place on every map, got {sorted(each)}")
        (each,) = each
        normal = nn.initializers.normal(0.01)
        width = next(iter(maps.values())).shape[-1]
        convs = [
            self.conv_maker(kernel_init=normal, padding=1)(width, (3, 3), name=f"conv{i}")
            for i in range(1, self.depth + 1)
        ]
        wide = {"dtype": self.wide, "param_dtype": self.param_dtype, "kernel_init": normal}
        logit = self.conv_maker(**wide)(each, (1, 1), name="logits")
        delta = self.conv_maker(**wide)(4 * each, (1, 1), name="deltas")
        logits, deltas, there = [], [], places_inside(sizes, list(maps.values()), canvas, each)
        for x in maps.values():
            for conv in convs:
                x = nn.relu(conv(x))
            logits.append(logit(x).reshape(len(x), -1))
            deltas.append(delta(x).reshape(len(x), -1, 4))
        anchors = self.anchors.of_maps([x.shape[1:3] for x in maps.values()], canvas)
        levels = tuple(map(len, anchors))
        logits, deltas, there = (jnp.concatenate(parts, axis=1) for parts in (logits, deltas, there))
        return Said(logits, deltas, jnp.concatenate(anchors), levels, there)


def propose(
    said: Said, sizes: Float[Array, "batch 2"], how: Proposing, train: bool = False
) -> tuple[Float[Array, "batch proposals 4"], Bool[Array, "batch proposals"]]:
    """The likeliest boxes of each image that do not overlap too much, the best first, and which are real.

    Args:
      said: of all anchors.
      sizes: true heights and widths of the images in pixels: boxes are clipped to them.
      how: numbers and thresholds.
      train: whether the numbers are those of training.
    """
    most = how.after[0 if train else 1]

    def of_image(logits: Array, deltas: Array, there: Array, size: Array) -> tuple[Array, Array]:
        logits = jnp.where(there, logits, -jnp.inf)
        boxes, scores, start = [], [], 0
        for count in said.levels:  # boxes of different maps leave each other alone
            part = slice(start, start := start + count)
            best, chosen = jax.lax.top_k(logits[part], min(how.before[0 if train else 1], count))
            found = clipped(CODER.decode(deltas[part][chosen], said.anchors[part][chosen]), *size)
            probability = jax.nn.sigmoid(best)
            valid = at_least(found, how.smallest) & (probability >= how.least_score) & (best > -jnp.inf)
            kept, real = nms(found, probability, how.overlap, min(most, len(best)), valid)
            boxes.append(found[kept])
            scores.append(jnp.where(real, probability[kept], -1.0))
        boxes, scores = jnp.concatenate(boxes), jnp.concatenate(scores)
        best, chosen = jax.lax.top_k(scores, min(most, len(scores)))
        found = jnp.where((best >= 0)[:, None], boxes[chosen], 0)
        missing = most - len(best)
        return jnp.pad(found, ((0, missing), (0, 0))), jnp.pad(best >= 0, (0, missing))

    return jax.vmap(of_image)(*jax.lax.stop_gradient((said.logits, said.deltas)), said.there, sizes)


def proposal_losses(said: Said, truth: Truth, key: Key[Array, ""], how: Proposing) -> dict[str, Term]:
    """How wrong it is about the anchors that learn: `rpn_object` cross entropy, `rpn_box` smooth L1 (equation 1).

    Args:
      said: of all anchors.
      truth: the objects.
      key: draws the anchors that learn.
      how: numbers and thresholds.
    """

    def of_image(
        key: Array, logits: Array, deltas: Array, there: Array, boxes: Array, valid: Array
    ) -> tuple[Array, Array, Array]:
        found = match(said.anchors, boxes, valid, how.above, how.below, low_quality=True)
        drawn, real = sample(key, found.positive & there, found.negative & there, how.count, how.positive_share)
        positive = found.positive[drawn] & real
        wrong = optax.sigmoid_binary_cross_entropy(logits[drawn], positive.astype(logits.dtype))
        right = CODER.encode(boxes[found.objects[drawn]], said.anchors[drawn]) if len(boxes) else deltas[drawn]
        far = smooth_l1(deltas[drawn] - jax.lax.stop_gradient(right), beta=1 / 9).sum(axis=-1)
        return jnp.sum(wrong, where=real), jnp.sum(far, where=positive), real.sum(dtype=jnp.float32)

    keys = jax.random.split(key, len(said.logits))
    object_total, box_total, count = jax.vmap(of_image)(
        keys, said.logits, said.deltas, said.there, truth.boxes, truth.valid
    )
    return {"rpn_object": Term(object_total.sum(), count.sum()), "rpn_box": Term(box_total.sum(), count.sum())}
