"""Keypoint R-CNN: Faster R-CNN that says too where the points of an object are, each as a place on a map of its own.

He, Gkioxari, Dollár and Girshick, 2017, Mask R-CNN, section 5; as in torchvision/models/detection/keypoint_rcnn.py and
roi_heads.py. Lecture row L70.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

from zoo.detection.box_head import Regions
from zoo.detection.contract import BACKGROUND, Detections, Term, Truth
from zoo.detection.faster_rcnn import FasterRCNN, Maps, View
from zoo.detection.mask_rcnn import positive_ones
from zoo.nn import kaiming_fan_out
from zoo.nn.network import Network
from zoo.nn.transposed import ConvTranspose

_SHARPNESS = -0.75
"""Of torch's bicubic interpolation."""


class KeypointHead(Network):
    """3x3 convolutions, a transposed one to twice the size with a map for each point, and twice the size once more."""

    points: int = 17
    convs: tuple[int, ...] = 8 * (512,)
    """Channels of the convolutions."""

    @nn.compact
    def __call__(
        self, regions: Float[Array, "n side side channels"], train: bool = False
    ) -> Float[Array, "n larger larger points"]:
        """Logits of each place, float32 at least; four times as many places a side."""
        x = regions
        for i, width in enumerate(self.convs, start=1):
            x = nn.relu(self.conv_maker(kernel_init=kaiming_fan_out)(width, (3, 3), padding=1, name=f"conv{i}")(x))
        wide = {"dtype": self.wide, "param_dtype": self.param_dtype}
        x = ConvTranspose(self.points, 4, 2, padding=1, **wide, name="logits")(x)
        shape = (len(x), 2 * x.shape[1], 2 * x.shape[2], self.points)
        return jax.image.resize(x, shape, "linear", antialias=False)


class KeypointRCNN(FasterRCNN):
    """Faster R-CNN with a keypoint head. `KeypointRCNN(backbone)` is torchvision's keypointrcnn_resnet50_fpn."""

    num_classes: int = 2
    points: int = 17
    """Of an object; COCO's persons have 17."""
    keypoint_region: int = 14
    """Places a side of what is taken of a region for its points."""
    keypoint_convs: tuple[int, ...] = 8 * (512,)

    def setup(self) -> None:
        """The parts of Faster R-CNN, and the head."""
        super().setup()
        self.keypoint_head = KeypointHead(self.points, self.keypoint_convs, **self.shared)

    def _heatmaps(self, maps: Maps, boxes: Array, view: View, train: bool, real: Array | None = None) -> Array:
        """Logits, (batch, regions, side, side, points)."""
        regions = self._regions(maps, boxes, self.keypoint_region, view, train, real)
        logits = self.keypoint_head(regions, train)
        return logits.reshape(*boxes.shape[:2], *logits.shape[1:])

    def _extended(self, maps: Maps, found: Detections, view: View, train: bool) -> Detections:
        found = super()._extended(maps, found, view, train)
        heatmaps = self._heatmaps(maps, found.boxes, view, train)
        points = jax.vmap(lambda maps, boxes: keypoints_of(maps, boxes, view.canvas))(heatmaps, found.boxes)
        return found._replace(keypoints=jnp.where(found.valid[..., None, None], points, 0))

    def _extended_losses(self, maps: Maps, regions: Regions, truth: Truth, view: View, train: bool) -> dict[str, Term]:
        """`keypoint`: cross entropy of the place of each point that is seen and lies in its region."""
        terms = super()._extended_losses(maps, regions, truth, view, train)
        if truth.keypoints is None:
            raise ValueError("Keypoint R-CNN learns from keypoints: expected truth.keypoints, got none")
        regions = positive_ones(regions, self.deciding.count, self.deciding.positive_share)
        positive = regions.real & (regions.labels > BACKGROUND)
        heatmaps = self._heatmaps(maps, regions.boxes, view, train, positive)
        logits = heatmaps.reshape(*heatmaps.shape[:2], -1, self.points)
        if not truth.boxes.shape[1]:
            return terms | {"keypoint": Term(0 * logits.sum(), jnp.zeros(()))}
        points = jnp.take_along_axis(truth.keypoints, regions.objects[..., None, None], axis=1)
        places, seen = places_of(points, regions.boxes, heatmaps.shape[2])
        counts = seen & positive[..., None]
        wrong = optax.softmax_cross_entropy_with_integer_labels(jnp.swapaxes(logits, 2, 3), places)
        return terms | {"keypoint": Term(jnp.sum(wrong, where=counts), counts.sum(dtype=jnp.float32))}


def places_of(
    points: Float[Array, "*n points 3"], boxes: Float[Array, "*n 4"], side: int
) -> tuple[Int[Array, "*n points"], Bool[Array, "*n points"]]:
    """Which of side x side cells of its box each point lies in, row by row, and whether it does and is seen.

    Args:
      points: x and y in pixels, and whether they are seen.
      boxes: left, top, right, bottom in pixels.
      side: cells a side.
    """
    start, end = boxes[..., None, :2], boxes[..., None, 2:]
    length = jnp.where(end > start, end - start, 1)
    cells = jnp.floor((points[..., :2] - start) * (side / length))
    cells = jnp.where(points[..., :2] == end, side - 1, cells)  # the far border is part of the last cell
    seen = ((cells >= 0) & (cells < side)).all(axis=-1) & (points[..., 2] > 0)
    cells = jnp.where(seen[..., None], cells, 0).astype(jnp.int32)
    return cells[..., 1] * side + cells[..., 0], seen


def keypoints_of(
    heatmaps: Float[Array, "n side side points"], boxes: Float[Array, "n 4"], canvas: tuple[int, int]
) -> Float[Array, "n points 3"]:
    """The best place of each map, enlarged (bicubic) to the pixels of its box: x, y, and the logit there.

    As torchvision's `heatmaps_to_keypoints`, with room for boxes as large as the canvas.

    Args:
      heatmaps: logits.
      boxes: left, top, right, bottom in pixels.
      canvas: height and width in pixels.
    """
    height, width = canvas

    def of_box(pair: tuple[Array, Array]) -> Array:
        heatmap, box = pair
        sides = jnp.maximum(box[2:] - box[:2], 1.0)
        pixels = jnp.ceil(sides)
        rows = _bicubic(pixels[1], height, heatmap.shape[0])
        columns = _bicubic(pixels[0], width, heatmap.shape[1])
        exact = jax.lax.Precision.HIGHEST
        large = jnp.einsum("hi,ijp,wj->phw", rows, heatmap, columns, precision=exact)
        inside = (jnp.arange(height)[:, None] < pixels[1]) & (jnp.arange(width) < pixels[0])
        large = jnp.where(inside, large, -jnp.inf).reshape(len(large), -1)
        best = large.argmax(axis=1)
        places = jnp.stack([best % width, best // width], axis=-1)
        at = (places + 0.5) * (sides / pixels) + box[:2]
        return jnp.concatenate([at, jnp.max(large, axis=1, keepdims=True)], axis=-1)

    return jax.lax.map(of_box, (heatmaps, boxes))


def _bicubic(pixels: Array, most: int, count: int) -> Float[Array, "most count"]:
    """How much each of `count` places counts in each of so many pixels, in the first `pixels` of `most` rows."""
    at = (jnp.arange(most) + 0.5) * (count / pixels) - 0.5
    first = jnp.floor(at)
    taps = jnp.arange(-1, 3)
    far = jnp.abs((at - first)[:, None] - taps)
    near = ((_SHARPNESS + 2) * far - (_SHARPNESS + 3)) * far * far + 1
    outer = ((_SHARPNESS * far - 5 * _SHARPNESS) * far + 8 * _SHARPNESS) * far - 4 * _SHARPNESS
    weights = jnp.where(far <= 1, near, outer)
    places = jnp.clip(first[:, None] + taps, 0, count - 1)
    return (weights[..., None] * (places[..., None] == jnp.arange(count))).sum(axis=1)
