"""A detector whose every cell says whether an object is centred in it, which one, and where it ends.

Redmon, Divvala, Girshick and Farhadi, 2016, You Only Look Once: Unified, Real-Time Object Detection, section 2; with
one box a cell. What differs: whether there is an object, and of which class, is learned by cross entropy and not by
squared error; and the roots of a box's sides are measured in cells, so that they do not depend on the image's size.
"""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.export
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

from zoo.detection.boxes import clipped
from zoo.nn import BatchNorm, Conv, kaiming_fan_out
from zoo.nn.checks import check_images
from zoo.nn.maps import maps_of

BOX_WEIGHT = 5.0
"""Of a box's error in the loss (section 2.2)."""
EMPTY_WEIGHT = 0.5
"""Of cells without an object: there are many more of them (section 2.2)."""


class Cells(NamedTuple):
    """What a detector says of each cell, or what would be right."""

    object: Float[Array, "*batch rows columns"]
    """Logit of whether an object is centred here; of what is right, a bool."""
    box: Float[Array, "*batch rows columns 4"]
    """Its centre, x and y as shares of the cell, and the roots of its width and height in cells."""
    label: Float[Array, "*batch rows columns classes"]
    """Logits of its class; of what is right, the class's number, without the last axis."""


jax.export.register_namedtuple_serialization(Cells, serialized_name="zoo.detection.Cells")


class GridDetector(nn.Module):
    """A backbone, convolutions that halve its coarsest map down to the grid, and one that sees the neighbours."""

    backbone: nn.Module
    """A network that answers `features=True`; made with `num_classes=0` it has no head of its own."""
    num_classes: int
    stride: int = 8
    """Pixels a side of a cell."""
    width: int = 128
    """Channels of the convolutions."""

    @nn.compact
    def __call__(self, images: Float[Array, "batch height width channels"], train: bool = False) -> Cells:
        """What it says of each cell, float32 at least.

        Raises:
          ValueError: sides of the images are no multiple of the stride, or the backbone has no map that can be
            halved down to the grid.
        """
        check_images(images, "GridDetector", self.stride)
        if images.shape[1] % self.stride or images.shape[2] % self.stride:
            raise ValueError(f"expected images of a multiple of {self.stride} pixels, got shape {images.shape}")
        grid = tuple(side // self.stride for side in images.shape[1:3])
        maps = maps_of(self.backbone, images, train)
        fitting = {name: x for name, x in maps.items() if x.shape[1] >= grid[0] and x.shape[2] >= grid[1]}
        if not fitting:
            sizes = ", ".join(f"{name} {x.shape[1]} x {x.shape[2]}" for name, x in maps.items())
            raise ValueError(f"expected a map of at least {grid[0]} x {grid[1]} places, found {sizes}")
        *_, x = fitting.values()

        def layer(x: Array, name: str, strides: int) -> Array:
            types = {"dtype": getattr(self.backbone, "dtype", None)}
            conv = Conv(self.width, (3, 3), strides, 1, use_bias=False, kernel_init=kaiming_fan_out, name=name, **types)
            norm = BatchNorm(axis_name=getattr(self.backbone, "axis_name", None), name=f"{name}_norm", **types)
            return nn.relu(norm(conv(x), not train))

        halvings = 0
        while x.shape[1] > grid[0]:
            halvings += 1
            x = layer(x, f"halve{halvings}", strides=2)
        if x.shape[1:3] != grid:
            raise ValueError(f"halving ends at {x.shape[1]} x {x.shape[2]} places: expected {grid[0]} x {grid[1]}")
        x = layer(x, "context", strides=1)
        x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        x = Conv(5 + self.num_classes, (1, 1), kernel_init=nn.initializers.normal(0.01), name="cells")(x)
        return Cells(x[..., 0], x[..., 1:5], x[..., 5:])


def encode(
    boxes: Float[Array, "objects 4"],
    labels: Int[Array, "objects"],
    real: Bool[Array, "objects"],
    grid: tuple[int, int],
    stride: int,
) -> Cells:
    """What would be right of one image's objects.

    Of objects that are centred in one cell, the first has it: a cell speaks of one object (section 2.4 of the paper).

    Args:
      boxes: left, top, right, bottom in pixels.
      labels: the class of each.
      real: whether an object is there, or fills the array up.
      grid: rows and columns of cells.
      stride: pixels a side of a cell.
    """
    rows, columns = grid
    centres = (boxes[:, :2] + boxes[:, 2:]) / (2 * stride)
    column, row = jnp.clip(jnp.floor(centres), 0, jnp.array([columns - 1, rows - 1])).astype(jnp.int32).T
    inside = (row * columns + column == jnp.arange(rows * columns)[:, None]) & real
    has_object, owner = inside.any(axis=1), jnp.argmax(inside, axis=1)
    shares = centres - jnp.stack([column, row], axis=-1)
    roots = jnp.sqrt((boxes[:, 2:] - boxes[:, :2]).clip(min=0) / stride)
    coded = jnp.concatenate([shares, roots], axis=-1)[owner]
    return Cells(has_object.reshape(grid), coded.reshape(*grid, 4), labels[owner].reshape(grid))


def decode(box: Float[Array, "*batch rows columns 4"], stride: int) -> Float[Array, "*batch rows columns 4"]:
    """The boxes in pixels, as far as they are in the image: the inverse of `encode`."""
    rows, columns = box.shape[-3:-1]
    cells = jnp.stack(jnp.meshgrid(jnp.arange(columns), jnp.arange(rows)), axis=-1)
    centres, sides = box[..., :2] + cells, jnp.square(box[..., 2:].clip(min=0))
    boxes = jnp.concatenate([centres - sides / 2, centres + sides / 2], axis=-1)
    return clipped(stride * boxes, stride * rows, stride * columns)


def scores(cells: Cells) -> tuple[Float[Array, "*batch rows columns"], Int[Array, "*batch rows columns"]]:
    """The probability that there is an object of the likeliest class, and which class that is (equation 1)."""
    labels = jax.nn.softmax(cells.label)
    return jax.nn.sigmoid(cells.object) * labels.max(axis=-1), labels.argmax(axis=-1).astype(jnp.int32)


def losses(said: Cells, right: Cells) -> Float[Array, "*batch"]:
    """The loss of each image, summed over its cells (equation 3)."""
    has_object = right.object
    of_object = optax.sigmoid_binary_cross_entropy(said.object, has_object.astype(said.object.dtype))
    of_box = jnp.square(said.box - right.box).sum(axis=-1)
    of_label = optax.softmax_cross_entropy_with_integer_labels(said.label, right.label)
    where_object = of_object + BOX_WEIGHT * of_box + of_label
    return jnp.where(has_object, where_object, EMPTY_WEIGHT * of_object).sum(axis=(-2, -1))
