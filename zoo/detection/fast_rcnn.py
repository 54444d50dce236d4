"""Fast R-CNN: the whole image goes through the network once, and each region is pooled from its last map.

Girshick, 2015, Fast R-CNN, sections 2 and 4; the reference is rbgirshick/fast-rcnn. Lecture rows L57, L58.

What it changes of R-CNN: one map for all regions instead of a network run for each, RoIPool, and one loss of classes
and boxes that trains everything at once. Proposals still come from elsewhere, such as `proposals.selective_search`.
"""

import flax.linen as nn
from jaxtyping import Array, Float, Key

from zoo.detection.box_head import BoxHead, Deciding, box_losses, decided, learning_regions
from zoo.detection.boxes import area
from zoo.detection.contract import Detections, Term, Truth, sizes_of
from zoo.detection.padding import kept_inside, within
from zoo.detection.regions import pooled
from zoo.nn.checks import check_images
from zoo.nn.maps import maps_of
from zoo.nn.network import Network


class FastRCNN(Network):
    """A backbone, RoIPool of its map at each proposal, and a head of two dense layers.

    `FastRCNN(backbone)` is the paper's network where the backbone is VGG-16 (`maps_only=True`), whose own dense layers
    the head's may start from: they take the same numbers in the same order.
    """

    backbone: nn.Module
    """A network that answers `features=True`."""
    num_classes: int = 21
    """With the background, which is class 0."""
    map: str = "stage5"
    """That of the backbone from which regions are pooled."""
    frozen_norm: bool = True
    """Whether the backbone's batch normalisations keep their statistics in training."""
    region: int = 7
    """Places a side of what is taken of a region."""
    pooling: str = "pool"
    """"pool" is RoIPool, "align" the later RoIAlign."""
    hidden: tuple[int, ...] = (4096, 4096)
    """Features of the dense layers."""
    box_fg_iou_thresh: float = 0.5
    box_bg_iou_thresh: float = 0.5
    box_bg_least_iou: float = 0.1
    """Background overlaps some object by so much: what is far from all would be too easy (section 2.3)."""
    box_batch_size_per_image: int = 64
    box_positive_fraction: float = 0.25
    box_score_thresh: float = 0.05
    box_nms_thresh: float = 0.3
    box_detections_per_img: int = 100

    def setup(self) -> None:
        """The head; `backbone` is there already."""
        types = {**self.types, "axis_name": self.axis_name}
        self.box_head = BoxHead(self.num_classes, (), self.hidden, **types)

    @property
    def deciding(self) -> Deciding:
        """Which regions learn, and which boxes are said."""
        return Deciding(
            self.box_fg_iou_thresh,
            self.box_bg_iou_thresh,
            self.box_batch_size_per_image,
            self.box_positive_fraction,
            beta=1.0,
            least_score=self.box_score_thresh,
            overlap=self.box_nms_thresh,
            most=self.box_detections_per_img,
            least_background=self.box_bg_least_iou,
        )

    def __call__(
        self,
        images: Float[Array, "batch height width channels"],
        proposals: Float[Array, "batch n 4"],
        sizes: Float[Array, "batch 2"] | None = None,
        train: bool = False,
        features: bool = False,
    ) -> Detections | dict[str, Float[Array, "batch ..."]]:
        """What is in the proposals; with `features` the map.

        Args:
          images: normalised, padded on the right and at the bottom.
          proposals: left, top, right, bottom in pixels; boxes without an area are none.
          sizes: true heights and widths in pixels; by default those of the canvas.
          train: whether it trains.
          features: give the map alone.

        Raises:
          ValueError: images, proposals or sizes of the wrong shape, or another kind of pooling.
          UnknownNameError: the backbone has no map of this name.
        """
        check_proposals(images, proposals)
        x = self._map(images, sizes, train)
        logits, deltas = self._decide(x, proposals, images.shape[1], sizes, train)
        if features:
            return {self.map: x}
        return decided(logits, deltas, proposals, area(proposals) > 0, sizes_of(images, sizes), self.deciding)

    def losses(
        self,
        images: Float[Array, "batch height width channels"],
        proposals: Float[Array, "batch n 4"],
        truth: Truth,
        key: Key[Array, ""],
        sizes: Float[Array, "batch 2"] | None = None,
        train: bool = True,
    ) -> dict[str, Term]:
        """The terms `class` and `box` of the loss: see `box_losses`.

        Raises:
          ValueError: as for `__call__`.
        """
        check_proposals(images, proposals)
        regions = learning_regions(proposals, area(proposals) > 0, truth, key, self.deciding)
        x = self._map(images, sizes, train)
        return box_losses(*self._decide(x, regions.boxes, images.shape[1], sizes, train), regions, truth, self.deciding)

    def _map(self, images: Array, sizes: Array | None, train: bool) -> Array:
        """That of the backbone."""
        known = None if sizes is None else sizes_of(images, sizes)
        with kept_inside(known, images.shape[1:3]):
            images = within(images, known)
            return maps_of(self.backbone, images, train and not self.frozen_norm, (self.map,))[self.map]

    def _decide(self, x: Array, boxes: Array, height: int, sizes: Array | None, train: bool) -> tuple[Array, Array]:
        regions = pooled([x], boxes, self.region, height, self.pooling, sizes=sizes)
        batch, count = boxes.shape[:2]
        said = self.box_head(regions.reshape(batch * count, *regions.shape[2:]), train)
        return tuple(each.reshape(batch, count, *each.shape[1:]) for each in said)


def check_proposals(images: Array, proposals: Array) -> None:
    """Refuses images or proposals of the wrong shape.

    Raises:
      ValueError: says what was expected and what came.
    """
    check_images(images, "a detector of proposals", 1)
    if proposals.ndim != 3 or proposals.shape[0] != len(images) or proposals.shape[2] != 4:
        raise ValueError(f"expected proposals of shape ({len(images)}, n, 4), got {proposals.shape}")
