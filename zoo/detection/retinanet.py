"""RetinaNet: anchors at every place of a pyramid, each classified and moved by itself, with a loss for rare objects.

Lin, Goyal, Girshick, He and Dollár, 2017, Focal Loss for Dense Object Detection; the second version as torchvision's,
with Zhang et al., 2020, Bridging the Gap Between Anchor-based and Anchor-free Detection. Numbers as of
torchvision/models/detection/retinanet.py. Rows L55, L60.
"""

import math
from collections.abc import Mapping, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from zoo.detection.anchors import Anchors
from zoo.detection.box_coder import BoxCoder
from zoo.detection.boxes import generalized_iou_of_pairs
from zoo.detection.contract import Detections, Term, Truth, sizes_of
from zoo.detection.matching import match
from zoo.detection.padding import places_inside
from zoo.detection.single_stage import (
    NOTHING,
    PRIOR,
    Choice,
    OnPyramid,
    Tower,
    detections,
    focal_loss,
    of_foreground,
    per_anchor,
)
from zoo.nn.network import Network

SIZES = tuple(tuple(int(size * 2 ** (step / 3)) for step in range(3)) for size in (32, 64, 128, 256, 512))
"""Of the anchors of each level, in pixels: three to an octave."""
CODER = BoxCoder()


class RetinaNet(OnPyramid):
    """A backbone, a pyramid above it, and two towers of convolutions that all levels share.

    `losses` gives the terms "classification" and "boxes"; each is the mean over the images of what torchvision gives.
    """

    groups: int = 0
    """Of the towers' group normalisations, or none; with them the convolutions have no bias."""
    box_loss: str = "l1"
    """Of the differences ("l1"), or of the generalised overlap ("giou")."""
    anchors: Anchors = Anchors(SIZES)
    """Of the five levels."""
    foreground: float = 0.5
    background: float = 0.4
    """Overlaps from and up to which an anchor stands for an object, or for none."""
    choice: Choice = Choice(0.05, 0.5, 300, 1000)
    """How detections are chosen."""

    def setup(self) -> None:
        """The pyramid, and the head."""
        super().setup()
        self.head = RetinaHead(self.anchors.per_place(0), self.num_classes, self.groups, **self.shared)

    def __call__(
        self,
        images: Float[Array, "batch height width 3"],
        sizes: Float[Array, "batch 2"] | None = None,
        train: bool = False,
        features: bool = False,
    ) -> Detections | Mapping[str, Float[Array, "batch ..."]]:
        """The detections, or with `features` the backbone's and the pyramid's maps, "logits" and "differences".

        Args:
          images: normalised.
          sizes: true height and width of each, in pixels; None: all is real.
          train: whether the backbone's statistics are those of the batch.
          features: whether the maps are wanted.

        Raises:
          ValueError: images of the wrong rank, or not five sizes of anchors.
        """
        named, logits, differences, anchors, there = self._outputs(images, sizes, train)
        if features:
            joined = {"logits": jnp.concatenate(logits, 1), "differences": jnp.concatenate(differences, 1)}
            return named | joined
        scores = [jax.nn.sigmoid(level) * real[..., None] for level, real in zip(logits, there, strict=True)]
        return detections(scores, differences, anchors, CODER.decode, sizes_of(images, sizes), self.choice)

    def losses(
        self,
        images: Float[Array, "batch height width 3"],
        truth: Truth,
        key: Key[Array, ""] | None = None,
        sizes: Float[Array, "batch 2"] | None = None,
        train: bool = True,
    ) -> dict[str, Term]:
        """The terms of the loss, each a sum over images and their number; nothing is drawn, so the key is not used."""
        truth = truth.with_room()
        _, logits, differences, anchors, there = self._outputs(images, sizes, train)
        logits, differences = jnp.concatenate(logits, axis=1), jnp.concatenate(differences, axis=1)
        anchors = jnp.asarray(np.concatenate(anchors))
        losses = jax.vmap(lambda *of_image: self._loss(anchors, *of_image))(
            logits, differences, jnp.concatenate(there, axis=1), truth.boxes, truth.labels, truth.valid
        )
        count = jnp.asarray(len(images), logits.dtype)
        return {name: Term(values.sum(), count) for name, values in losses.items()}

    def _outputs(
        self, images: Array, sizes: Array | None, train: bool
    ) -> tuple[dict[str, Array], list[Array], list[Array], list[Array], list[Array]]:
        """The maps by name; of each level logits, differences, anchors, and which anchors are inside the images."""
        named, levels, said, masked, canvas = self.said(images, sizes, train)
        anchors = self.anchors.of_maps([level.shape[1:3] for level in levels], canvas)
        there = places_inside(masked, levels, canvas, self.anchors.per_place(0))
        return named, *said, anchors, there

    def _loss(
        self, anchors: Array, logits: Array, differences: Array, there: Array, boxes: Array, labels: Array, valid: Array
    ) -> dict[str, Float[Array, ""]]:
        """Of one image, for each anchor that stands for an object."""
        matches = match(anchors, boxes, valid, self.foreground, self.background, low_quality=True)
        is_object, right = matches.positive & there, boxes[matches.objects]
        label = jnp.where(is_object, labels[matches.objects], NOTHING)
        if self.box_loss == "l1":
            of_box = jnp.abs(differences - CODER.encode(right, anchors)).sum(axis=-1)
        elif self.box_loss == "giou":
            of_box = 1 - generalized_iou_of_pairs(CODER.decode(differences, anchors), right)
        else:
            raise ValueError(f"expected a box_loss of l1 or giou, got {self.box_loss!r}")
        objects = jnp.maximum(is_object.sum(), 1)
        of_label = jnp.where((is_object | matches.negative) & there, focal_loss(logits, label), 0)
        return {
            "classification": of_label.sum() / objects,
            "boxes": of_foreground(of_box, is_object).sum() / objects,
        }


class RetinaHead(Network):
    """A tower of four convolutions for the classes and one for the boxes."""

    anchors: int
    num_classes: int
    groups: int = 0

    @nn.compact
    def __call__(self, maps: Sequence[Float[Array, "b h w c"]]) -> tuple[list[Array], list[Array]]:
        """Of each level the logits (batch, n, classes) and the differences (batch, n, 4) of its anchors."""
        conv = self.conv_maker(kernel_init=nn.initializers.normal(0.01))
        bias = nn.initializers.constant(-math.log((1 - PRIOR) / PRIOR))
        tower = {"depth": 4, "groups": self.groups, "use_bias": not self.groups, "conv": conv, **self.types}
        last = conv(self.anchors * self.num_classes, (3, 3), padding=1, bias_init=bias, name="logits")
        logits = [per_anchor(last(x), self.num_classes) for x in Tower(**tower, name="classes")(maps)]
        last = conv(self.anchors * 4, (3, 3), padding=1, name="differences")
        return logits, [per_anchor(last(x), 4) for x in Tower(**tower, name="boxes")(maps)]
