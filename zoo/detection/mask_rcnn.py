"""Mask R-CNN: Faster R-CNN that says too which pixels of a box belong to the object.

He, Gkioxari, Dollár and Girshick, 2017, Mask R-CNN; as in torchvision/models/detection/mask_rcnn.py and roi_heads.py.
Lecture rows L67-L69. E18: what it leads in is instance segmentation, and what it builds on is Faster R-CNN.

What it adds: a small fully convolutional network over larger regions, which has a mask for each class.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

from zoo.detection.box_head import Regions
from zoo.detection.contract import BACKGROUND, Detections, Term, Truth
from zoo.detection.faster_rcnn import FasterRCNN, Maps, View
from zoo.nn import kaiming_fan_out
from zoo.nn.network import Network
from zoo.nn.transposed import ConvTranspose


class MaskHead(Network):
    """3x3 convolutions, a transposed one to twice the size, and a logit for each class and place."""

    num_classes: int = 91
    convs: tuple[int, ...] = (256, 256, 256, 256)
    """Channels of the convolutions."""
    batch_norm: bool = False
    width: int = 0
    """Channels of the transposed convolution; 0 for as many as the last one before it has."""

    @nn.compact
    def __call__(
        self, regions: Float[Array, "n side side channels"], train: bool = False, real: Bool[Array, "n"] | None = None
    ) -> Float[Array, "n twice twice classes"]:
        """Logits, float32 at least.

        Args:
          regions: what is taken of each.
          train: whether it trains.
          real: which regions count in batch statistics; by default all.
        """
        if not (self.width or self.convs):
            raise ValueError("expected mask_width where mask_convs is empty, got 0")
        counts = None if real is None else real[:, None, None]
        x = regions
        for i, width in enumerate(self.convs, start=1):
            conv = self.conv_maker(use_bias=not self.batch_norm, kernel_init=kaiming_fan_out)
            x = conv(width, (3, 3), padding=1, name=f"conv{i}")(x)
            x = nn.relu(self.norm_maker()(name=f"norm{i}")(x, not train, counts) if self.batch_norm else x)
        x = nn.relu(ConvTranspose(self.width or self.convs[-1], 2, 2, **self.types, name="up")(x))
        wide = {"dtype": self.wide, "param_dtype": self.param_dtype, "kernel_init": kaiming_fan_out}
        return self.conv_maker(**wide)(self.num_classes, (1, 1), name="logits")(x)


class MaskRCNN(FasterRCNN):
    """Faster R-CNN with a mask head. `MaskRCNN(backbone)` is torchvision's maskrcnn_resnet50_fpn."""

    mask_region: int = 14
    """Places a side of what is taken of a region for its mask, which has twice as many."""
    mask_convs: tuple[int, ...] = (256, 256, 256, 256)
    mask_norm: bool = False
    mask_width: int = 0
    """Channels of the transposed convolution; 0 for as many as the last one before it has. C4 has none before it."""
    mask_aligned: bool = False
    """Whether masks are learned where their pixels are, as in detectron2: torchvision's lie half a pixel aside, which
    small objects feel. Of digits of 5 to 24 pixels a true mask of 28 x 28 cells, pasted, overlaps itself by 0.76 on
    average, and by 0.93 where it is aligned."""

    def setup(self) -> None:
        """The parts of Faster R-CNN, and the head."""
        super().setup()
        self.mask_head = MaskHead(self.num_classes, self.mask_convs, self.mask_norm, self.mask_width, **self.shared)

    def _masks(
        self, maps: Maps, boxes: Array, labels: Array, view: View, train: bool, real: Array | None = None
    ) -> Array:
        """Logits of the masks of the labels' classes, (batch, regions, side, side)."""
        regions = self._regions(maps, boxes, self.mask_region, view, train, real)
        logits = self.mask_head(regions, train, None if real is None else real.reshape(-1))
        of_class = jnp.take_along_axis(logits, labels.reshape(-1, 1, 1, 1), axis=3)[..., 0]
        return of_class.reshape(*boxes.shape[:2], *of_class.shape[1:])

    def _extended(self, maps: Maps, found: Detections, view: View, train: bool) -> Detections:
        found = super()._extended(maps, found, view, train)
        masks = jax.nn.sigmoid(self._masks(maps, found.boxes, found.labels, view, train))
        return found._replace(masks=jnp.where(found.valid[..., None, None], masks, 0))

    def _extended_losses(self, maps: Maps, regions: Regions, truth: Truth, view: View, train: bool) -> dict[str, Term]:
        """`mask`: cross entropy of each place of the right class's mask, over the regions that show an object."""
        terms = super()._extended_losses(maps, regions, truth, view, train)
        if truth.masks is None:
            raise ValueError("Mask R-CNN learns from masks: expected truth.masks, got none")
        regions = positive_ones(regions, self.deciding.count, self.deciding.positive_share)
        positive = regions.real & (regions.labels > BACKGROUND)
        logits = self._masks(maps, regions.boxes, regions.labels, view, train, positive)
        side = logits.shape[-1]
        boxes = regions.boxes - 0.5 if self.mask_aligned else regions.boxes
        right = jax.vmap(masks_in_boxes, (0, 0, 0, None))(truth.masks, boxes, regions.objects, side)
        wrong = optax.sigmoid_binary_cross_entropy(logits, right)
        weight = positive.sum(dtype=jnp.float32) * side * side
        return terms | {"mask": Term(jnp.sum(wrong, where=positive[..., None, None]), weight)}


def positive_ones(regions: Regions, count: int, positive_share: float) -> Regions:
    """Those that come first, among which are all that show an object: as many as there may be."""
    most = max(1, int(count * positive_share))
    return Regions(*(each[:, :most] for each in regions))


def masks_in_boxes(
    masks: Bool[Array, "objects height width"],
    boxes: Float[Array, "n 4"],
    objects: Int[Array, "n"],
    side: int,
) -> Float[Array, "n side side"]:
    """What of an object's mask lies in each of side x side cells of a box, from 0 to 1.

    RoIAlign of the mask with as many samples as a cell has pixels, as torchvision's `project_masks_on_boxes`; its
    sums over samples are two products with the box's rows and columns.

    Args:
      masks: of the objects of an image.
      boxes: left, top, right, bottom in pixels.
      objects: which object each box is for.
      side: cells a side.
    """
    if not len(masks):
        return jnp.zeros((len(boxes), side, side))
    height, width = masks.shape[1:]

    def of_box(box: Array, number: Array) -> Array:
        rows, columns = _averages(box[1], box[3], height, side), _averages(box[0], box[2], width, side)
        exact = jax.lax.Precision.HIGHEST
        return jnp.einsum("rh,hw,cw->rc", rows, masks[number].astype(rows.dtype), columns, precision=exact)

    return jax.lax.map(lambda pair: of_box(*pair), (boxes, objects), batch_size=min(32, len(boxes)))


def _averages(start: Array, end: Array, size: int, side: int) -> Float[Array, "side size"]:
    """How much each of `size` pixels in a row counts in each cell: the mean of samples between the pixels."""
    length = jnp.maximum(end - start, 1.0)
    most = -(-size // side) + 1
    count = jnp.clip(jnp.ceil(length / side), 1, most)
    samples = jnp.arange(most)
    cells = jnp.arange(side)[:, None]
    at = start + (cells + (samples + 0.5) / count) * length / side  # (side, most)
    counts = (samples < count) & (at >= -1) & (at <= size)
    clipped = jnp.clip(at, 0, size - 1)[..., None]
    weights = jnp.maximum(0.0, 1.0 - jnp.abs(clipped - jnp.arange(size)))
    return (weights * counts[..., None]).sum(axis=1) / count
