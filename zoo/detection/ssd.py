"""SSD: default boxes on maps of several sizes, each classified and moved by one convolution.

Liu et al., 2016, SSD: Single Shot MultiBox Detector; numbers as of torchvision/models/detection/ssd.py. Row L55.

What it has not, beside RetinaNet: a pyramid that brings coarse maps to fine ones, towers, and a focal loss; easy places
are left out instead (hard negatives).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Key

from zoo.convnets.vgg import VGGStage
from zoo.detection.box_coder import BoxCoder
from zoo.detection.boxes import clipped, iou
from zoo.detection.contract import Detections, Term, Truth, sizes_of
from zoo.detection.default_boxes import DefaultBoxes
from zoo.detection.losses import smooth_l1
from zoo.detection.matching import match
from zoo.detection.padding import within
from zoo.detection.single_stage import Choice, chosen, of_foreground, per_anchor
from zoo.nn import kaiming_fan_out, max_pool
from zoo.nn.checks import check_images
from zoo.nn.maps import maps_of
from zoo.nn.network import Network

CODER = BoxCoder((10.0, 10.0, 5.0, 5.0))
MAPS = tuple(f"map{number}" for number in range(1, 7))
xavier = nn.initializers.xavier_uniform()


class SSD(Network):
    """A network of six maps, and two convolutions on each of them.

    `losses` gives the terms "classification" and "boxes", for each default box that stands for an object.
    """

    backbone: nn.Module
    """A network that answers `features=True`."""
    num_classes: int = 91
    """Classes, the background among them."""
    maps: tuple[str, ...] = MAPS
    """The backbone's maps that boxes stand on."""
    boxes: DefaultBoxes = DefaultBoxes(steps=(8, 16, 32, 64, 100, 300))
    foreground: float = 0.5
    """From which overlap on a default box stands for an object."""
    negatives: float = 3.0
    """How many of the boxes that stand for none count, for each that does: the ones with the largest losses."""
    choice: Choice = Choice(0.01, 0.45, 200, 400)
    """How detections are chosen; the candidates are of each class."""

    def setup(self) -> None:
        """The parts; `backbone` is there already."""
        per_place = tuple(self.boxes.per_place(level) for level in range(len(self.maps)))
        self.head = SSDHead(per_place, self.num_classes, **self.types)

    def __call__(
        self,
        images: Float[Array, "batch height width 3"],
        sizes: Float[Array, "batch 2"] | None = None,
        train: bool = False,
        features: bool = False,
    ) -> Detections | Mapping[str, Float[Array, "batch ..."]]:
        """The detections, or with `features` the maps, "logits" and "differences".

        Args:
          images: normalised.
          sizes: true height and width of each, in pixels; None: all is real.
          train: whether the backbone's statistics are those of the batch.
          features: whether the maps are wanted.

        Raises:
          ValueError: images of the wrong rank or size.
        """
        named, logits, differences, references, sizes = self._outputs(images, sizes, train)
        if features:
            return named | {"logits": logits, "differences": differences}
        return jax.vmap(lambda *of_image: self._detections(references, *of_image))(
            jax.nn.softmax(logits), differences, sizes
        )

    def losses(
        self,
        images: Float[Array, "batch height width 3"],
        truth: Truth,
        key: Key[Array, ""] | None = None,
        sizes: Float[Array, "batch 2"] | None = None,
        train: bool = True,
    ) -> dict[str, Term]:
        """The terms of the loss, each a sum and the number of boxes that stand for objects, one at least.

        Nothing is drawn, so the key is not used.
        """
        truth = truth.with_room()
        _, logits, differences, references, _ = self._outputs(images, sizes, train)
        losses, objects = jax.vmap(lambda *of_image: self._loss(references, *of_image))(
            logits, differences, truth.boxes, truth.labels, truth.valid
        )
        weight = objects.sum().astype(logits.dtype)
        return {name: Term(values.sum(), weight) for name, values in losses.items()}

    def _outputs(
        self, images: Array, sizes: Array | None, train: bool
    ) -> tuple[dict[str, Array], Array, Array, Array, Array]:
        """The maps by name; logits, differences and default boxes of all of them; the sizes of the images."""
        check_images(images, "SSD")
        sizes = sizes_of(images, sizes)
        named = maps_of(self.backbone, within(images, sizes), train, self.maps)
        logits, differences = self.head(list(named.values()), train)
        references = self.boxes.of_maps([x.shape[1:3] for x in named.values()], images.shape[1:3])
        return named, logits, differences, jnp.asarray(np.concatenate(references)), sizes

    def _detections(self, references: Array, scores: Array, differences: Array, size: Array) -> Detections:
        """Of one image: the best of each class, then the best of those that do not overlap."""
        count = min(self.choice.candidates, len(scores))
        values, places = jax.lax.top_k(scores[:, 1:].T, count)  # (classes - 1, count)
        boxes = clipped(CODER.decode(differences, references), size[0], size[1])
        labels = jnp.repeat(jnp.arange(1, self.num_classes), count)
        return chosen(boxes[places.ravel()], values.ravel(), labels, self.choice)

    def _loss(
        self, references: Array, logits: Array, differences: Array, boxes: Array, labels: Array, valid: Array
    ) -> tuple[dict[str, Float[Array, ""]], Array]:
        """Sums of one image, and how many of its default boxes stand for objects."""
        matches = match(references, boxes, valid, self.foreground, self.foreground)
        # Each object also has the box that overlaps most with it; of several objects with one such box, the last.
        best = jnp.argmax(iou(boxes, references), axis=1)
        numbers = jnp.where(valid, jnp.arange(len(boxes)), -1)
        forced = jnp.full(len(references), -1).at[best].max(numbers)
        is_object, owner = matches.positive | (forced >= 0), jnp.where(forced >= 0, forced, matches.objects)
        error = smooth_l1(differences - CODER.encode(boxes[owner], references)).sum(axis=-1)
        label = jnp.where(is_object, labels[owner], 0)
        of_label = optax.softmax_cross_entropy_with_integer_labels(logits, label)
        hardest = jnp.sort(jnp.where(is_object, -jnp.inf, of_label), descending=True)
        counts = (jnp.arange(len(hardest)) < self.negatives * is_object.sum()) & (hardest > -jnp.inf)
        return {
            "classification": of_foreground(of_label, is_object).sum() + of_foreground(hardest, counts).sum(),
            "boxes": of_foreground(error, is_object).sum(),
        }, is_object.sum()


def ssd300(
    num_classes: int = 91,
    counts: tuple[int, ...] = (2, 2, 3, 3, 3),
    widths: tuple[int, ...] = (64, 128, 256, 512, 512),
    **shared: Any,
) -> SSD:
    """An SSD above VGG-16, for images of 300 x 300 pixels.

    Args:
      num_classes: with the background.
      counts: of `SSDVGG`.
      widths: of `SSDVGG`.
      **shared: fields of `zoo.nn.network.Network`, of the detector and its backbone.
    """
    return SSD(SSDVGG(counts, widths, **shared), num_classes, **shared)


class SSDHead(Network):
    """For each map one convolution that classifies its boxes, and one that moves them."""

    per_place: tuple[int, ...]
    num_classes: int

    @nn.compact
    def __call__(
        self, maps: Sequence[Array], train: bool = False
    ) -> tuple[Float[Array, "batch n classes"], Float[Array, "batch n 4"]]:
        """Logits and differences of all default boxes of all maps (batch, height, width, channels)."""

        def outputs(values: int, name: str) -> Array:
            pairs = enumerate(zip(maps, self.per_place, strict=True), start=1)
            said = [self.predicted(x, count * values, f"{name}{i}", train) for i, (x, count) in pairs]
            return jnp.concatenate([per_anchor(x, values) for x in said], axis=1)

        return outputs(self.num_classes, "logits"), outputs(4, "differences")

    def predicted(self, x: Array, channels: int, name: str, train: bool) -> Float[Array, "batch h w channels"]:
        """Of one map, as many values in each place."""
        return self.conv_maker(kernel_init=xavier)(channels, (3, 3), padding=1, name=name)(x)


class SSDVGG(Network):
    """VGG-16's convolutions, its dense layers as convolutions, and four pairs of convolutions: map1, ..., map6.

    Figure 2 of the paper. The first map is scaled to a norm of `scale` in each place, which is learned (section 3.1).
    """

    counts: tuple[int, ...] = (2, 2, 3, 3, 3)
    """Convolutions of the five stages."""
    widths: tuple[int, ...] = (64, 128, 256, 512, 512)
    """Channels of the five stages."""
    hidden: int = 1024
    """Channels of what was dense."""
    extra: tuple[tuple[int, int, int], ...] = ((256, 512, 2), (128, 256, 2), (128, 256, 1), (128, 256, 1))
    """Channels of the two convolutions of each pair, and strides of the second."""

    @nn.compact
    def __call__(
        self, images: Float[Array, "batch height width 3"], train: bool = False, features: bool = True
    ) -> Mapping[str, Float[Array, "batch height width channels"]]:
        """The six maps.

        Raises:
          ValueError: images of the wrong rank, or too small for six maps.
        """
        check_images(images, "SSDVGG", 260)
        conv = self.conv_maker(kernel_init=kaiming_fan_out)
        x, named = images, {}
        for i, (count, width) in enumerate(zip(self.counts, self.widths, strict=True), start=1):
            if i > 1:  # the third pooling rounds up
                x = max_pool(x, 2, padding=[(0, side % 2 if i == 4 else 0) for side in x.shape[1:3]])
            x = VGGStage(count, width, conv, None, name=f"stage{i}")(x, train)
            if i == 4:
                scale = self.param("scale", nn.initializers.constant(20.0), (width,), self.param_dtype)
                named["map1"] = (scale * normalised(x.astype(self.wide))).astype(x.dtype)
        conv = self.conv_maker(kernel_init=xavier)
        x = max_pool(x, 3, 1, padding=1)
        x = nn.relu(conv(self.hidden, (3, 3), padding=6, kernel_dilation=6, name="fc6")(x))
        named["map2"] = x = nn.relu(conv(self.hidden, (1, 1), name="fc7")(x))
        for i, (narrow, wide, strides) in enumerate(self.extra, start=8):
            x = nn.relu(conv(narrow, (1, 1), name=f"conv{i}_1")(x))
            padding = 1 if strides > 1 else 0
            x = nn.relu(conv(wide, (3, 3), strides=strides, padding=padding, name=f"conv{i}_2")(x))
            named[f"map{i - 5}"] = x
        return named


def normalised(x: Float[Array, "*n channels"]) -> Float[Array, "*n channels"]:
    """Vectors of length one; zero of what is zero, with slopes that are numbers.

    >>> normalised(jnp.array([[3.0, 4.0], [0.0, 0.0]])).round(1).tolist()
    [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    square = jnp.square(x).sum(axis=-1, keepdims=True)
    return jnp.where(square > 0, x, 0) / jnp.sqrt(jnp.where(square > 0, square, 1))
