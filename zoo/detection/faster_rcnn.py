"""Faster R-CNN: one network proposes regions and says what is in them, from one map or a pyramid of them.

Ren, He, Girshick and Sun, 2015, Faster R-CNN: Towards Real-Time Object Detection with Region Proposal Networks; Lin et
al., 2017, Feature Pyramid Networks; as in torchvision/models/detection/faster_rcnn.py. Lecture row L59.

What it adds to Fast R-CNN: proposals of its own (`rpn.py`), which share the maps.
"""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
from jaxtyping import Array, Bool, Float, Key

from zoo.detection.anchors import Anchors
from zoo.detection.box_head import BoxHead, Deciding, Regions, box_losses, decided, learning_regions
from zoo.detection.contract import Detections, Term, Truth, sizes_of
from zoo.detection.fpn import FeaturePyramid
from zoo.detection.padding import kept_inside, to_whole_strides, within
from zoo.detection.regions import maps_below, pooled, through_stages
from zoo.detection.rpn import Proposing, RegionProposals, Said, proposal_losses, propose
from zoo.nn.checks import check_images
from zoo.nn.network import Network

Maps = dict[str, Float[Array, "batch _ _ channels"]]


class View(NamedTuple):
    """How images lie on their canvas."""

    canvas: tuple[int, int]
    """Height and width in pixels."""
    sizes: Float[Array, "batch 2"] | None
    """True heights and widths in pixels; None where the images fill it."""

    def inside(self, masks: bool) -> Float[Array, "batch 2"] | None:
        """The sizes, where what surrounds the images is to be kept out."""
        return self.sizes if masks else None


class FasterRCNN(Network):
    """A backbone, a pyramid of its maps, proposals, and a head over what RoIAlign takes of each.

    Fields that choose numbers and thresholds have torchvision's names; a pair is for training and for evaluation.
    `FasterRCNN(backbone)` is torchvision's fasterrcnn_resnet50_fpn where the backbone is ResNet-50. With one map of
    VGG-16, no pyramid and RoIPool it is the paper's, `fasterrcnn_vgg16`; with one map of ResNet-50, whose last stage
    is the head, it is `fasterrcnn_resnet50_c4`.
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
    mask_padding: bool = True
    """Whether what surrounds an image on its canvas is kept out, see `padding.py`. torchvision lets it in."""
    width: int = 256
    """Channels of the pyramid; 0 for none, as in the first paper: the backbone's maps are used as they are."""
    extra: str = "pool"
    """What the pyramid adds, see `zoo.detection.fpn`."""
    pyramid_norm: bool = False
    """Whether the pyramid has batch normalisations."""
    anchor_sizes: tuple[tuple[float, ...], ...] = ((32,), (64,), (128,), (256,), (512,))
    """Of each map of the pyramid the roots of its anchors' areas, in pixels."""
    aspect_ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    """Of the anchors, height to width."""
    rpn_depth: int = 1
    """Convolutions of the network that proposes."""
    rpn_pre_nms_top_n: tuple[int, int] = (2000, 1000)
    """Anchors of each map that are compared with each other, in training and at evaluation: those of most score."""
    rpn_post_nms_top_n: tuple[int, int] = (2000, 1000)
    """Proposals of an image, in training and at evaluation."""
    rpn_nms_thresh: float = 0.7
    """Proposals are dropped whose intersection over union with a better one is above this."""
    rpn_score_thresh: float = 0.0
    rpn_fg_iou_thresh: float = 0.7
    """An anchor learns to find an object that it overlaps by so much."""
    rpn_bg_iou_thresh: float = 0.3
    """It learns that there is none where it overlaps none by so much."""
    rpn_batch_size_per_image: int = 256
    """Anchors of an image that learn."""
    rpn_positive_fraction: float = 0.5
    """Of them, at most, that find something."""
    box_fg_iou_thresh: float = 0.5
    """A region is of the class of an object that it overlaps by so much."""
    box_bg_iou_thresh: float = 0.5
    """It is background where it overlaps none by so much."""
    box_batch_size_per_image: int = 512
    """Regions of an image that learn."""
    box_positive_fraction: float = 0.25
    """Of them, at most, that show an object."""
    box_score_thresh: float = 0.05
    box_nms_thresh: float = 0.5
    """Boxes are dropped whose intersection over union with a better one of their class is above this."""
    box_detections_per_img: int = 100
    region: int = 7
    """Places a side of what is taken of a region."""
    region_stages: tuple[str, ...] = ()
    """Last stages of the backbone that run on each region and not on the image: ("stage4",) for C4, see `regions.py`.
    The head then begins with the mean over what they leave of a region."""
    sampling_ratio: int = 2
    """RoIAlign's samples a side of a bin."""
    pooling: str = "align"
    """"align" is RoIAlign, "pool" RoIPool, which rounds: what Mask R-CNN's table compares (L69)."""
    convs: tuple[int, ...] = ()
    """Channels of the head's convolutions."""
    hidden: tuple[int, ...] = (1024, 1024)
    """Features of the head's dense layers."""

    def setup(self) -> None:
        """The parts; `backbone` is one already."""
        if self.width:
            self.pyramid = FeaturePyramid(self.width, self.extra, self.pyramid_norm, **self.shared)
        self.rpn = RegionProposals(Anchors(self.anchor_sizes, self.aspect_ratios), self.rpn_depth, **self.shared)
        self.box_head = BoxHead(self.num_classes, self.convs, self.hidden, mean=bool(self.region_stages), **self.shared)

    @property
    def proposing(self) -> Proposing:
        """How proposals are chosen."""
        return Proposing(
            before=self.rpn_pre_nms_top_n,
            after=self.rpn_post_nms_top_n,
            overlap=self.rpn_nms_thresh,
            least_score=self.rpn_score_thresh,
            above=self.rpn_fg_iou_thresh,
            below=self.rpn_bg_iou_thresh,
            count=self.rpn_batch_size_per_image,
            positive_share=self.rpn_positive_fraction,
        )

    @property
    def deciding(self) -> Deciding:
        """Which regions learn, and which boxes are said."""
        return Deciding(
            above=self.box_fg_iou_thresh,
            below=self.box_bg_iou_thresh,
            count=self.box_batch_size_per_image,
            positive_share=self.box_positive_fraction,
            least_score=self.box_score_thresh,
            overlap=self.box_nms_thresh,
            most=self.box_detections_per_img,
        )

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
        images, view, sizes = self._seen(images, sizes)
        maps, said = self._proposed(images, view, train)
        proposals, valid = propose(said, sizes, self.proposing)
        logits, deltas = self._decide(maps, proposals, view, train)
        found = decided(logits, deltas, proposals, valid, sizes, self.deciding)
        found = self._extended(maps, found, view, train)
        return maps if features else found

    def proposals(
        self, images: Float[Array, "batch height width channels"], sizes: Float[Array, "batch 2"] | None = None
    ) -> tuple[Float[Array, "batch proposals 4"], Bool[Array, "batch proposals"]]:
        """The first stage alone: boxes in pixels where objects could be, the likeliest first, and which are real.

        Args:
          images: as for `__call__`.
          sizes: as for `__call__`.

        Raises:
          ValueError: images or sizes of the wrong shape.
        """
        check_images(images, type(self).__name__, 1)
        images, view, sizes = self._seen(images, sizes)
        _, said = self._proposed(images, view, train=False)
        return propose(said, sizes, self.proposing)

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
        images, view, sizes = self._seen(images, sizes)
        maps, said = self._proposed(images, view, train)
        for_anchors, for_regions = jax.random.split(key)
        terms = proposal_losses(said, truth, for_anchors, self.proposing)
        proposals, valid = propose(said, sizes, self.proposing, train=True)
        regions = learning_regions(proposals, valid, truth, for_regions, self.deciding)
        logits, deltas = self._decide(maps, regions.boxes, view, train, regions.real)
        terms |= box_losses(logits, deltas, regions, truth, self.deciding)
        return terms | self._extended_losses(maps, regions, truth, view, train)

    def _seen(self, images: Array, sizes: Array | None) -> tuple[Array, View, Array]:
        """The images on a canvas of whole strides, how they lie there, and their true heights and widths."""
        true = sizes_of(images, sizes)
        known = None if sizes is None else true
        images = to_whole_strides(within(images, known))
        return images, View(images.shape[1:3], known), true

    def _proposed(self, images: Array, view: View, train: bool) -> tuple[Maps, Said]:
        """The maps of the pyramid, and what is said of their anchors; of images on a canvas, of them alone."""
        masked = view.inside(self.mask_padding)
        with kept_inside(masked, view.canvas):
            maps = maps_below(self.backbone, images, self._norms(train), self.maps, self.region_stages)
            maps = self.pyramid(maps, train) if self.width else maps
            return maps, self.rpn(maps, view.canvas, masked)

    def _decide(
        self, maps: Maps, boxes: Array, view: View, train: bool, real: Array | None = None
    ) -> tuple[Array, Array]:
        """Logits and differences of the regions, (batch, regions, ...)."""
        regions = self._regions(maps, boxes, self.region, view, train, real)
        said = self.box_head(regions, train, None if real is None else real.reshape(-1))
        return tuple(each.reshape(*boxes.shape[:2], *each.shape[1:]) for each in said)

    def _regions(
        self, maps: Maps, boxes: Array, side: int, view: View, train: bool, real: Array | None = None
    ) -> Float[Array, "n _ _ _"]:
        """What the heads see of the regions, one after the other: side x side places, or what stages make of them."""
        levels = [x for name, x in maps.items() if name in self.maps]
        sizes = view.inside(self.mask_padding)
        taken = pooled(levels, boxes, side, view.canvas[0], self.pooling, self.sampling_ratio, sizes)
        taken = taken.reshape(-1, *taken.shape[2:])
        real = None if real is None else real.reshape(-1)
        return through_stages(self.backbone, self.region_stages, taken, self._norms(train), real)

    def _norms(self, train: bool) -> bool:
        """Whether the backbone's normalisations take the statistics of what they see."""
        return train and not self.frozen_norm

    def _extended(self, maps: Maps, found: Detections, view: View, train: bool) -> Detections:
        """What a later generation says of the boxes beside."""
        return found

    def _extended_losses(self, maps: Maps, regions: Regions, truth: Truth, view: View, train: bool) -> dict[str, Term]:
        """Its terms."""
        return {}
