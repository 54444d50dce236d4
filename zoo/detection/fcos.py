"""FCOS: every place of a pyramid says whether it is inside an object, how far its sides are, and how central it is.

Tian, Shen, Chen and He, 2019, FCOS: Fully Convolutional One-Stage Object Detection; numbers as of
torchvision/models/detection/fcos.py. Rows L55, L60.
"""

import math
from collections.abc import Mapping, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int, Key

from zoo.detection.anchors import Anchors
from zoo.detection.box_coder import LinearBoxCoder
from zoo.detection.boxes import area, generalized_iou_of_pairs
from zoo.detection.contract import Detections, Term, Truth, sizes_of
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

CODER = LinearBoxCoder()


class FCOS(OnPyramid):
    """A backbone, a pyramid above it, and two towers of convolutions that all levels share; no anchors.

    `losses` gives the terms "classification", "boxes" and "centerness", for each place that is inside an object.
    """

    groups: int = 32
    """Of the towers' group normalisations."""
    place_sizes: tuple[int, ...] = (8, 16, 32, 64, 128)
    """Pixels a side of a place of each level. An object belongs to the level on which its farthest side is 4 to 8 such
    sizes away; to the first level also nearer ones, to the last one farther ones."""
    radius: float = 1.5
    """How far from an object's centre places stand for it, in sizes of a place."""
    choice: Choice = Choice(0.2, 0.6, 100, 1000)
    """How detections are chosen."""

    def setup(self) -> None:
        """The pyramid, and the head."""
        super().setup()
        self.head = FCOSHead(self.num_classes, self.groups, **self.shared)

    def __call__(
        self,
        images: Float[Array, "batch height width 3"],
        sizes: Float[Array, "batch 2"] | None = None,
        train: bool = False,
        features: bool = False,
    ) -> Detections | Mapping[str, Float[Array, "batch ..."]]:
        """The detections, or with `features` the maps, "logits", "distances" and "centerness".

        Args:
          images: normalised.
          sizes: true height and width of each, in pixels; None: all is real.
          train: whether the backbone's statistics are those of the batch.
          features: whether the maps are wanted.

        Raises:
          ValueError: images of the wrong rank, or not five sizes of places.
        """
        named, (logits, distances, centerness), places, there = self._outputs(images, sizes, train)
        if features:
            joined = {"logits": logits, "distances": distances, "centerness": centerness}
            return named | {name: jnp.concatenate(levels, axis=1) for name, levels in joined.items()}
        scores = [
            jnp.sqrt(jax.nn.sigmoid(of_class) * jax.nn.sigmoid(central)) * real[..., None]
            for of_class, central, real in zip(logits, centerness, there, strict=True)
        ]
        return detections(scores, distances, places, CODER.decode, sizes_of(images, sizes), self.choice)

    def losses(
        self,
        images: Float[Array, "batch height width 3"],
        truth: Truth,
        key: Key[Array, ""] | None = None,
        sizes: Float[Array, "batch 2"] | None = None,
        train: bool = True,
    ) -> dict[str, Term]:
        """The terms of the loss, each a sum over places and the number of those in objects.

        Nothing is drawn, so the key is not used.
        """
        truth = truth.with_room()
        _, outputs, places, there = self._outputs(images, sizes, train)
        logits, distances, centerness = (jnp.concatenate(levels, axis=1) for levels in outputs)
        reach = self._reach(places)
        places = jnp.asarray(np.concatenate(places))
        losses, objects = jax.vmap(lambda *of_image: self._loss(places, reach, *of_image))(
            logits,
            distances,
            centerness[..., 0],
            jnp.concatenate(there, axis=1),
            truth.boxes,
            truth.labels,
            truth.valid,
        )
        weight = objects.sum().astype(logits.dtype)
        return {name: Term(values.sum(), weight) for name, values in losses.items()}

    def _outputs(
        self, images: Array, sizes: Array | None, train: bool
    ) -> tuple[dict[str, Array], tuple[list[Array], ...], list[Array], list[Array]]:
        """The maps by name; of each level what the head says, squares for its places, and which are inside."""
        named, levels, said, masked, canvas = self.said(images, sizes, train)
        squares = Anchors(tuple((size,) for size in self.place_sizes), (1.0,))
        places = squares.of_maps([level.shape[1:3] for level in levels], canvas)
        there = places_inside(masked, levels, canvas)
        return named, said, places, there

    def _reach(self, places: Sequence[Array]) -> Float[np.ndarray, "places 2"]:
        """From and up to which distance of its farthest side an object belongs to each place's level (section 3.2)."""
        bounds = [[4.0 * size, 8.0 * size] for size in self.place_sizes]
        bounds[0][0], bounds[-1][1] = 0.0, np.inf
        return np.repeat(np.array(bounds, np.float32), [len(each) for each in places], axis=0)

    def _loss(
        self,
        places: Array,
        reach: Array,
        logits: Array,
        distances: Array,
        centerness: Array,
        there: Array,
        boxes: Array,
        labels: Array,
        valid: Array,
    ) -> tuple[dict[str, Float[Array, ""]], Int[Array, ""]]:
        """Sums of one image, and how many of its places stand for objects."""
        matched = match_places(places, boxes, valid, reach, self.radius)
        is_object = (matched >= 0) & there
        right = boxes[matched]
        of_box = 1 - generalized_iou_of_pairs(CODER.decode(distances, places), right)
        to_sides = jnp.where(is_object[:, None], CODER.encode(right, places), 1)
        least, most = (
            jnp.stack([function(to_sides[:, 0], to_sides[:, 2]), function(to_sides[:, 1], to_sides[:, 3])])
            for function in (jnp.minimum, jnp.maximum)
        )
        central = jnp.sqrt((least / most).prod(axis=0))  # equation 3
        of_centerness = optax.sigmoid_binary_cross_entropy(centerness, central)
        return {
            "classification": jnp.sum(focal_loss(logits, jnp.where(is_object, labels[matched], NOTHING)), where=there),
            "boxes": of_foreground(of_box, is_object).sum(),
            "centerness": of_foreground(of_centerness, is_object).sum(),
        }, is_object.sum()


def match_places(
    places: Float[Array, "places 4"],
    boxes: Float[Array, "objects 4"],
    valid: Bool[Array, "objects"],
    reach: Float[Array, "places 2"],
    radius: float,
) -> Int[Array, "places"]:
    """The object that each place stands for, or `NOTHING`: of several the smallest (section 3.1).

    Args:
      places: squares, centred where the place is.
      boxes: the objects.
      valid: which of them there are.
      reach: from and up to which distance the farthest of an object's sides may be.
      radius: how far the object's centre may be, in sides of the square.
    """
    centres, sides = (places[:, :2] + places[:, 2:]) / 2, places[:, 2] - places[:, 0]
    from_centre = jnp.abs(centres[:, None] - (boxes[:, :2] + boxes[:, 2:]) / 2).max(axis=-1)
    to_sides = jnp.concatenate([centres[:, None] - boxes[:, :2], boxes[:, 2:] - centres[:, None]], axis=-1)
    farthest = to_sides.max(axis=-1)
    fits = (from_centre < radius * sides[:, None]) & (to_sides.min(axis=-1) > 0) & valid
    fits &= (farthest > reach[:, :1]) & (farthest < reach[:, 1:])
    size = jnp.where(fits, area(boxes), jnp.inf)
    return jnp.where(fits.any(axis=1), jnp.argmin(size, axis=1), NOTHING).astype(jnp.int32)


class FCOSHead(Network):
    """A tower of four convolutions for the classes, and one for the sides and how central a place is."""

    num_classes: int
    groups: int

    @nn.compact
    def __call__(self, maps: Sequence[Float[Array, "b h w c"]]) -> tuple[list[Array], list[Array], list[Array]]:
        """Of each level logits (batch, n, classes), distances (batch, n, 4) and centerness (batch, n, 1)."""
        conv = self.conv_maker(kernel_init=nn.initializers.normal(0.01))
        bias = nn.initializers.constant(-math.log((1 - PRIOR) / PRIOR))
        tower = {"depth": 4, "groups": self.groups, "use_bias": True, "conv": conv, **self.types}
        of_class = conv(self.num_classes, (3, 3), padding=1, bias_init=bias, name="logits")
        logits = [per_anchor(of_class(x), self.num_classes) for x in Tower(**tower, name="classes")(maps)]
        maps = Tower(**tower, name="boxes")(maps)
        sides = conv(4, (3, 3), padding=1, name="distances")
        central = conv(1, (3, 3), padding=1, name="centerness")
        return logits, [per_anchor(nn.relu(sides(x)), 4) for x in maps], [per_anchor(central(x), 1) for x in maps]
