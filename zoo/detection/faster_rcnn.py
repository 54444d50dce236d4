"""Faster R-CNN: one network proposes regions and says what is in them, from one pyramid of maps.

Ren, He, Girshick and Sun, 2015, Faster R-CNN: Towards Real-Time Object Detection with Region Proposal Networks; Lin et
al., 2017, Feature Pyramid Networks; as in torchvision/models/detection/faster_rcnn.py. Lecture rows L58-L60.

What it adds to Fast R-CNN: proposals of its own (`rpn.py`), which share the maps.
"""

import math
from typing import Any

import flax.linen as nn
import jax
from jaxtyping import Array, Float, Key

from zoo.detection.anchors import Anchors
from zoo.detection.box_head import BoxHead, Deciding, Regions, box_losses, decided, learning_regions
from zoo.detection.contract import Detections, Term, Truth, sizes_of
from zoo.detection.fpn import FeaturePyramid
from zoo.detection.roi import roi_align_levels, roi_pool
from zoo.detection.rpn import Proposing, RegionProposals, proposal_losses, propose
from zoo.nn.checks import check_images
from zoo.nn.maps import maps_of
from zoo.nn.network import Network

Maps = dict[str, Float[Array, "batch _ _ channels"]]


class FasterRCNN(Network):
    """A backbone, a pyramid of its maps, proposals, and a head over what RoIAlign takes of each.

    `FasterRCNN(backbone)` is torchvision's fasterrcnn_resnet50_fpn where the backbone is ResNet-50.
    """

    backbone: nn.Module
    """A network that answers `features=True`; made with `num_classes=0` it has no head of its own."""
    num_classes: int = 91
    """With the background, which is class 0."""
    maps: tuple[str, ...] = ("stage1", "stage2", "stage3", "stage4")
    """Those of the backbone that the pyramid is made of, from fine to coarse."""
    frozen_norm: bool = True
    """Whether the backbone's batch normalisations keep their statistics in training: those of small batches are poor.
    Their scales and shifts learn, unless the recipe freezes them."""
    width: int = 256
    """Channels of the pyramid."""
    extra: str = "pool"
    """What the pyramid adds, see `zoo.detection.fpn`."""
    pyramid_norm: bool = False
    anchors: Anchors = Anchors()
    rpn_depth: int = 1
    proposing: Proposing = Proposing()
    region: int = 7
    """Places a side of what is taken of a region."""
    sampling_ratio: int = 2
    """RoIAlign's samples a side of a bin."""
    pooling: str = "align"
    """"align" is RoIAlign, "pool" RoIPool, which rounds: what Mask R-CNN's table compares (L69)."""
    convs: tuple[int, ...] = ()
    """Channels of the head's convolutions."""
    hidden: tuple[int, ...] = (1024, 1024)
    """Features of the head's dense layers."""
    deciding: Deciding = Deciding()

    def setup(self) -> None:
        """The parts; `backbone` is one already."""
        self.pyramid = FeaturePyramid(self.width, self.extra, self.pyramid_norm, **self.shared)
        self.rpn = RegionProposals(self.anchors, self.rpn_depth, **self.shared)
        self.box_head = BoxHead(self.num_classes, self.convs, self.hidden, **self.shared)

    @property
    def shared(self) -> dict[str, Any]:
        """What its parts declare as it does."""
        return {**self.types, "axis_name": self.axis_name}

    def __call__(
        self,
        images: Float[Array, "batch height width channels"],
        sizes: Float[Array, "batch 2"] | None = None,
        train: bool = False,
        features: bool = False,
    ) -> Detections | Maps:
        """What is in the images; with `features` the maps of the pyramid.

        Args:
          images: normalised, padded on the right and at the bottom.
          sizes: true heights and widths in pixels; by default those of the canvas.
          train: whether dropout and batch statistics are those of training.
          features: give the maps alone.

        Raises:
          ValueError: images or sizes of the wrong shape.
          UnknownNameError: the backbone has no map of a name.
        """
        check_images(images, type(self).__name__, 1)
        sizes = sizes_of(images, sizes)
        maps = self._maps(images, train)
        canvas = images.shape[1:3]
        proposals, valid = propose(self.rpn(maps, canvas), sizes, self.proposing)
        logits, deltas = self._decide(maps, proposals, canvas, train)
        found = decided(logits, deltas, proposals, valid, sizes, self.deciding)
        found = self._extended(maps, found, sizes, canvas, train)
        return maps if features else found

    def losses(
        self,
        images: Float[Array, "batch height width channels"],
        truth: Truth,
        key: Key[Array, ""],
        sizes: Float[Array, "batch 2"] | None = None,
        train: bool = True,
    ) -> dict[str, Term]:
        """The terms of the loss, which is the sum of their values: see `proposal_losses` and `box_losses`.

        Args:
          images: as for `__call__`.
          truth: the objects in them.
          key: draws anchors and regions that learn.
          sizes: as for `__call__`.
          train: as for `__call__`.

        Raises:
          ValueError: images or sizes of the wrong shape.
        """
        check_images(images, type(self).__name__, 1)
        sizes = sizes_of(images, sizes)
        maps = self._maps(images, train)
        canvas = images.shape[1:3]
        said = self.rpn(maps, canvas)
        for_anchors, for_regions = jax.random.split(key)
        terms = proposal_losses(said, truth, for_anchors, self.proposing)
        proposals, valid = propose(said, sizes, self.proposing, train=True)
        regions = learning_regions(proposals, valid, truth, for_regions, self.deciding)
        logits, deltas = self._decide(maps, regions.boxes, canvas, train)
        terms |= box_losses(logits, deltas, regions, truth, self.deciding)
        return terms | self._extended_losses(maps, regions, truth, canvas, train)

    def _maps(self, images: Array, train: bool) -> Maps:
        """Of the pyramid."""
        return self.pyramid(maps_of(self.backbone, images, train and not self.frozen_norm, self.maps), train)

    def _decide(self, maps: Maps, boxes: Array, canvas: tuple[int, int], train: bool) -> tuple[Array, Array]:
        """Logits and differences of the regions, (batch, regions, ...)."""
        regions = self._regions(maps, boxes, self.region, canvas)
        batch, count = regions.shape[:2]
        said = self.box_head(regions.reshape(batch * count, *regions.shape[2:]), train)
        return tuple(each.reshape(batch, count, *each.shape[1:]) for each in said)

    def _regions(self, maps: Maps, boxes: Array, side: int, canvas: tuple[int, int]) -> Array:
        """What is taken of each region, of the map that its size wants: (batch, regions, side, side, channels)."""
        pooled = {name: x for name, x in maps.items() if name in self.maps}
        scales = [2.0 ** round(math.log2(x.shape[1] / canvas[0])) for x in pooled.values()]
        if self.pooling == "pool":
            (features, *rest), (scale, *_) = pooled.values(), scales
            if rest:
                raise ValueError(f"RoIPool takes its regions of one map, got {', '.join(pooled)}")
            return roi_pool(features, boxes, side, scale)
        return roi_align_levels(list(pooled.values()), boxes, side, scales, self.sampling_ratio)

    def _extended(
        self, maps: Maps, found: Detections, sizes: Array, canvas: tuple[int, int], train: bool
    ) -> Detections:
        """What a later generation says of the boxes beside."""
        return found

    def _extended_losses(
        self, maps: Maps, regions: Regions, truth: Truth, canvas: tuple[int, int], train: bool
    ) -> dict[str, Term]:
        """Its terms."""
        return {}
