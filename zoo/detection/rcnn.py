"""R-CNN: each proposal is cut out, warped to one size, and classified by a network as an image of its own.

Girshick, Donahue, Darrell and Malik, 2014, Rich Feature Hierarchies for Accurate Object Detection and Semantic
Segmentation, sections 2 and 3 and appendices A to C. Lecture rows L55, L56.

What differs from the paper: its three trainings, of the network, of the support vector machines and of the boxes, are
one loss with two terms here; so hard negatives are those of a batch.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from zoo.detection.box_head import Deciding, Regions, box_losses, decided, learning_regions
from zoo.detection.boxes import area, iou
from zoo.detection.contract import Detections, Term, Truth, sizes_of
from zoo.detection.fast_rcnn import check_proposals
from zoo.detection.padding import within
from zoo.detection.warp import warped, with_context
from zoo.nn.initialisers import linear_uniform
from zoo.nn.network import Network

CLASSIFIERS = ("svm", "softmax")
EXACT = 0.99
"""Overlap from which a region is an object itself: only those are positive for a support vector machine."""


class RCNN(Network):
    """A classifier of warped regions, and above its features a linear score and four differences for each class."""

    backbone: nn.Module
    """A network made with `num_classes=0`, which gives a vector an image: AlexNet in the paper."""
    num_classes: int = 21
    """With the background, which is class 0."""
    side: int = 224
    """Pixels a side of a warped region."""
    context: int = 16
    """Of them, around the box on each side (appendix A)."""
    classifier: str = "svm"
    """"svm" for a linear support vector machine a class, "softmax" for one layer over all of them (appendix B)."""
    hard_negatives: int = 64
    """Negative regions of a batch (under `pmap` of each device's part) that count for each class: the most wrong."""
    box_batch_size_per_image: int = 64
    box_positive_fraction: float = 0.25
    box_score_thresh: float = 0.05
    box_nms_thresh: float = 0.3
    box_detections_per_img: int = 100

    def setup(self) -> None:
        """The linear layers; `backbone` is there already."""
        wide = {"dtype": self.wide, "param_dtype": self.param_dtype, "kernel_init": linear_uniform}
        self.logits = nn.Dense(self.num_classes, **wide)
        self.deltas = nn.Dense(4 * self.num_classes, **wide)

    @property
    def deciding(self) -> Deciding:
        """Which regions learn, and which boxes are said."""
        return Deciding(
            count=self.box_batch_size_per_image,
            positive_share=self.box_positive_fraction,
            beta=1.0,
            least_score=self.box_score_thresh,
            overlap=self.box_nms_thresh,
            most=self.box_detections_per_img,
        )

    def __call__(
        self,
        images: Float[Array, "batch height width channels"],
        proposals: Float[Array, "batch n 4"],
        sizes: Float[Array, "batch 2"] | None = None,
        train: bool = False,
        features: bool = False,
    ) -> Detections | dict[str, Float[Array, "batch ..."]]:
        """What is in the proposals; with `features` the warped regions and their vectors.

        A support vector machine's score is squeezed between 0 and 1, which keeps the order.

        Args:
          images: normalised, padded on the right and at the bottom.
          proposals: left, top, right, bottom in pixels; boxes without an area are none.
          sizes: true heights and widths in pixels; by default those of the canvas.
          train: whether it trains.
          features: give what the linear layers see.

        Raises:
          ValueError: images, proposals or sizes of the wrong shape, or another kind of classifier.
        """
        regions, vectors, logits, deltas = self._said(images, proposals, sizes, train)
        if features:
            return {"regions": regions, "vectors": vectors}
        scores = jax.nn.softmax if self.classifier == "softmax" else jax.nn.sigmoid
        valid = area(proposals) > 0
        return decided(logits, deltas, proposals, valid, sizes_of(images, sizes), self.deciding, scores)

    def losses(
        self,
        images: Float[Array, "batch height width channels"],
        proposals: Float[Array, "batch n 4"],
        truth: Truth,
        key: Key[Array, ""],
        sizes: Float[Array, "batch 2"] | None = None,
        train: bool = True,
    ) -> dict[str, Term]:
        """The terms `class`, hinge loss or cross entropy, and `box`.

        Raises:
          ValueError: as for `__call__`.
        """
        check_proposals(images, proposals)
        regions = learning_regions(proposals, area(proposals) > 0, truth, key, self.deciding)
        _, _, logits, deltas = self._said(images, regions.boxes, sizes, train)
        terms = box_losses(logits, deltas, regions, truth, self.deciding)
        return terms if self.classifier == "softmax" else terms | {"class": self._hinge(logits, regions, truth)}

    def _said(self, images: Array, boxes: Array, sizes: Array | None, train: bool) -> tuple[Array, Array, Array, Array]:
        """Warped regions, their vectors, logits (batch, n, classes) and differences (batch, n, classes, 4)."""
        check_proposals(images, boxes)
        if self.classifier not in CLASSIFIERS:
            raise ValueError(f"expected a classifier of {', '.join(CLASSIFIERS)}, got {self.classifier!r}")
        images = within(images, None if sizes is None else sizes_of(images, sizes))
        regions = warped(images, with_context(boxes, self.side, self.context), self.side)
        batch, count = boxes.shape[:2]
        vectors = self.backbone(regions.reshape(batch * count, *regions.shape[2:]), train=train)
        vectors = vectors.astype(self.wide).reshape(batch, count, -1)
        return regions, vectors, self.logits(vectors), self.deltas(vectors).reshape(batch, count, -1, 4)

    def _hinge(self, logits: Array, regions: Regions, truth: Truth) -> Term:
        """Of each class against all else: objects themselves are positive, what overlaps none by 0.3 is negative."""
        classes = jnp.arange(self.num_classes)
        of_class = (truth.labels[..., None] == classes) & truth.valid[..., None]  # (batch, objects, classes)
        overlaps = jax.lax.stop_gradient(iou(regions.boxes, truth.boxes))
        most = jnp.max(overlaps[..., None], axis=2, initial=0.0, where=of_class[:, None])  # (batch, regions, classes)
        counts = regions.real[..., None] & (classes > 0)
        positive, negative = counts & (most >= EXACT), counts & (most < 0.3)
        wrong = jax.nn.relu(1 - jnp.where(positive, logits, -logits))
        easy = jnp.where(negative, wrong, -1.0).reshape(-1, self.num_classes).T
        hardest, _ = jax.lax.top_k(easy, min(self.hard_negatives, easy.shape[1]))
        is_hard = hardest >= 0
        total = jnp.sum(wrong, where=positive) + jnp.sum(hardest, where=is_hard)
        return Term(total, (positive.sum() + is_hard.sum()).astype(total.dtype))
