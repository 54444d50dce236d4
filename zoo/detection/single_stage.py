"""What detectors without proposals share: losses over all places, and the choice of the best boxes of all levels.

Lin et al., 2017, Focal Loss for Dense Object Detection (RetinaNet), sections 3 and 4; as
torchvision/models/detection/retinanet.py. Rows L55, L60.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from zoo.detection.boxes import clipped
from zoo.detection.contract import Detections, sizes_of
from zoo.detection.fpn import FeaturePyramid, kaiming_uniform
from zoo.detection.losses import sigmoid_focal
from zoo.detection.nms import batched_nms
from zoo.detection.padding import kept_inside, to_whole_strides, within
from zoo.nn.checks import check_images
from zoo.nn.maps import maps_of
from zoo.nn.network import Network

PRIOR = 0.01
"""The probability of an object that a classifier of places begins with (section 4.1)."""

NOTHING = -1
"""The label of a place for which it is right to deny all classes."""


class Choice(NamedTuple):
    """How detections are chosen."""

    least_score: float
    """Boxes of no higher score are left out."""
    overlap: float
    """Of boxes of one class that overlap more, the best stays."""
    most: int
    """Detections of an image."""
    candidates: int
    """Of a level, before boxes suppress each other."""


def focal_loss(logits: Float[Array, "*n classes"], labels: Int[Array, "*n"]) -> Float[Array, "*n"]:
    """The focal loss of each place, summed over its classes.

    Args:
      logits: one for each class, by itself against the rest.
      labels: the class of each place; of one that is none, such as -1, it is right to deny all classes.

    >>> round(float(focal_loss(jnp.array([0.0]), jnp.array(-1))), 6)  # 0.75 x 0.5^2 x log 2
    0.129965
    """
    right = labels[..., None] == jnp.arange(logits.shape[-1])
    return sigmoid_focal(logits, right.astype(logits.dtype)).sum(axis=-1)


def of_foreground(values: Float[Array, "*n"], foreground: Bool[Array, "*n"]) -> Float[Array, "*n"]:
    """Zero elsewhere, with slopes that are numbers also where the values are none."""
    return jnp.where(foreground, values, 0)


def detections(
    scores: Sequence[Float[Array, "batch n classes"]],
    differences: Sequence[Float[Array, "batch n 4"]],
    references: Sequence[Float[Array, "n 4"]],
    decode: Callable[[Array, Array], Array],
    sizes: Float[Array, "batch 2"],
    choice: Choice,
) -> Detections:
    """The best boxes of all levels, no two of one class that overlap too much.

    Args:
      scores: of each level, of all its anchors and classes, the background first, which is never detected.
      differences: the boxes as the decoder takes them.
      references: the anchors.
      decode: makes boxes of differences and anchors.
      sizes: height and width of each image in pixels; boxes end with it.
      choice: thresholds and numbers.
    """

    def of_image(scores: Sequence[Array], differences: Sequence[Array], size: Array) -> Detections:
        levels = [_best_of_level(*level, decode, choice) for level in zip(scores, differences, references, strict=True)]
        boxes, values, labels = (jnp.concatenate(each) for each in zip(*levels, strict=True))
        return chosen(clipped(boxes, size[0], size[1]), values, labels, choice)

    return jax.vmap(of_image)(tuple(scores), tuple(differences), sizes)


def chosen(
    boxes: Float[Array, "n 4"], scores: Float[Array, "n"], labels: Int[Array, "n"], choice: Choice
) -> Detections:
    """The best boxes of one image, of which no two of one class overlap too much; without the batch axis."""
    kept, valid = batched_nms(boxes, scores, labels, choice.overlap, choice.most, scores > choice.least_score)
    return Detections(
        jnp.where(valid[:, None], boxes[kept], 0),
        jnp.where(valid, scores[kept], 0),
        jnp.where(valid, labels[kept], 0),
        valid,
    )


def _best_of_level(
    scores: Array, differences: Array, references: Array, decode: Callable[[Array, Array], Array], choice: Choice
) -> tuple[Float[Array, "candidates 4"], Float[Array, "candidates"], Int[Array, "candidates"]]:
    """The boxes, scores and labels of the best pairs of an anchor and a class.

    They are of the anchors whose best scores are best: to sort those first, which are far fewer, gives the same.
    """
    scores = scores[:, 1:]
    _, anchors = jax.lax.top_k(scores.max(axis=1), min(choice.candidates, len(scores)))
    pairs = scores[anchors]
    values, best = jax.lax.top_k(pairs.ravel(), min(choice.candidates, pairs.size))
    anchor, label = jnp.divmod(best, pairs.shape[1])
    places = anchors[anchor]
    return decode(differences[places], jnp.asarray(references)[places]), values, label + 1


class CoarserLevels(Network):
    """Two convolutions with stride 2 above a pyramid: RetinaNet's P6 and P7, as torchvision's LastLevelP6P7."""

    width: int = 256
    """Channels of both."""

    @nn.compact
    def __call__(self, coarsest: Float[Array, "batch height width channels"]) -> list[Float[Array, "b h w width"]]:
        """Two more maps, each half as long as the one before."""
        conv = self.conv_maker(strides=2, padding=1, kernel_init=kaiming_uniform)
        p6 = conv(self.width, (3, 3), name="p6")(coarsest)
        return [p6, conv(self.width, (3, 3), name="p7")(nn.relu(p6))]


class OnPyramid(Network):
    """What RetinaNet and FCOS are: a backbone, a pyramid above it with two levels more, and a head that all share.

    A subclass makes `head` in its `setup`, which gives lists of what it says of each level.
    """

    backbone: nn.Module
    """A network that answers `features=True`."""
    num_classes: int = 91
    """Classes, the background among them."""
    maps: tuple[str, ...] = ("stage2", "stage3", "stage4")
    """The backbone's maps that the pyramid is made of."""
    width: int = 256
    """Channels of the pyramid and the towers."""
    coarser_from: str = "pyramid"
    """Where the two levels above the pyramid start: from its own coarsest map, or from the "backbone"'s."""
    frozen_norm: bool = True
    """Whether the backbone keeps its running statistics in training: those of a few images are poor."""
    mask_padding: bool = True
    """Whether what surrounds an image on its canvas is kept out, see `padding.py`. torchvision lets it in."""

    def setup(self) -> None:
        """The pyramid; `backbone` is there already."""
        self.pyramid = FeaturePyramid(self.width, "none", **self.shared)
        self.coarser = CoarserLevels(self.width, **self.shared)

    @property
    def shared(self) -> dict[str, Any]:
        """What its parts declare as it does."""
        return {**self.types, "axis_name": self.axis_name}

    def said(
        self, images: Float[Array, "batch height width 3"], sizes: Float[Array, "batch 2"] | None, train: bool
    ) -> tuple[dict[str, Array], list[Array], tuple[list[Array], ...], Float[Array, "batch 2"] | None, tuple[int, int]]:
        """The maps by name, the levels, what the head says of each; the sizes if the surroundings are kept out, and the
        height and width of the canvas.

        Raises:
          ValueError: images or sizes of the wrong shape, or `coarser_from` is neither "pyramid" nor "backbone".
        """
        check_images(images, type(self).__name__, 32)
        if self.coarser_from not in ("pyramid", "backbone"):
            raise ValueError(f"expected coarser_from to be pyramid or backbone, got {self.coarser_from!r}")
        known = None if sizes is None else sizes_of(images, sizes)
        images, masked = to_whole_strides(within(images, known)), known if self.mask_padding else None
        canvas = images.shape[1:3]
        with kept_inside(masked, canvas):
            named = maps_of(self.backbone, images, train and not self.frozen_norm, self.maps)
            levels = list(self.pyramid(named).values())
            levels += self.coarser(levels[-1] if self.coarser_from == "pyramid" else list(named.values())[-1])
            said = self.head(levels)
        return named | {f"level{i}": x for i, x in enumerate(levels, 1)}, levels, said, masked, canvas


class Tower(Network):
    """3x3 convolutions that all levels share, each with ReLU; if `groups` is not 0 a group normalisation before it."""

    depth: int
    groups: int
    use_bias: bool
    conv: Callable[..., nn.Module]
    """Makes a convolution."""

    @nn.compact
    def __call__(self, maps: Sequence[Float[Array, "batch height width channels"]]) -> list[Array]:
        outputs = list(maps)
        for number in range(1, self.depth + 1):
            conv = self.conv(outputs[0].shape[-1], (3, 3), padding=1, use_bias=self.use_bias, name=f"conv{number}")
            outputs = [conv(x) for x in outputs]
            if self.groups:
                norm = nn.GroupNorm(self.groups, epsilon=1e-5, **self.types, name=f"norm{number}")
                outputs = [norm(x) for x in outputs]
            outputs = [nn.relu(x) for x in outputs]
        return outputs


def per_anchor(x: Float[Array, "batch height width channels"], values: int) -> Float[Array, "batch n values"]:
    """The outputs of each anchor of a map, place by place, float32 at least."""
    wide = jnp.promote_types(x.dtype, jnp.float32)
    return x.reshape(len(x), -1, values).astype(wide)
