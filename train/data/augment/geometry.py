"""Moves of geometry, each drawn once an example and done to every field by its kind: see `APPLY`.

Black, in maps nan, and in stacks of flow no motion comes in from outside: nobody knows what is there. What only moves
pixels takes bytes as well as floats. Coordinates are those of `train.data.fields`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from train.data.augment.moves import At, Batch, Floats, Images, each, of_planes, planes_of, uniform
from train.data.captions import mirrored_words
from train.data.fields import STILL, VISIBLE, Kind, Spec, aligned
from train.data.flow_bytes import STILL_BYTE


class Shift(NamedTuple):
    """A window of the padded example, He et al., 2016, Deep Residual Learning for Image Recognition, section 4.2."""

    top: Int[Array, "batch"]
    left: Int[Array, "batch"]
    pad: int


class Mirror(NamedTuple):
    """Left and right exchanged, or not."""

    mirrored: Bool[Array, "batch"]
    width: Int[Array, "batch"] | None = None
    """Of each image, where it does not fill its canvas: padding stays at the right."""


class Turn(NamedTuple):
    """Turned about the centre, counter-clockwise."""

    degrees: Float[Array, "batch"]


def draw_shift(key: Key[Array, ""], batch: int, pad: int) -> Shift:
    """Windows of the size as before, of examples that are padded with `pad` pixels on each side."""
    return Shift(*jnp.floor(uniform(key, batch, 2) * (2 * pad + 1)).astype(jnp.int32), pad)


def draw_mirror(key: Key[Array, ""], batch: int) -> Mirror:
    """Mirrored with probability one half."""
    (coin,) = uniform(key, batch, 1)
    return Mirror(coin < 0.5)


def draw_turn(key: Key[Array, ""], batch: int, degrees: float) -> Turn:
    """Angles uniform in [-degrees, degrees]."""
    (draw,) = uniform(key, batch, 1)
    return Turn((2 * draw - 1) * degrees)


def crop(images: Images, top: Int[Array, "batch"], left: Int[Array, "batch"], height: int, width: int) -> Images:
    """Cuts from each image the window with this corner, which must lie inside."""

    def cut(image: Array, top: Array, left: Array) -> Array:
        return jax.lax.dynamic_slice(image, (top, left, np.int32(0)), (height, width, image.shape[-1]))

    return jax.vmap(cut)(images, top, left)


def pad_crop(images: Images, drawn: Shift, fill: Any = 0) -> Images:
    """Pads each side, then cuts a window of the original size."""
    _, height, width, _ = images.shape
    beside = (drawn.pad, drawn.pad)
    padded = jnp.pad(images, ((0, 0), beside, beside, (0, 0)), constant_values=fill)
    return crop(padded, drawn.top, drawn.left, height, width)


def flip(images: Images, drawn: Mirror) -> Images:
    """Mirrors left and right."""
    if drawn.width is None:
        return jnp.where(drawn.mirrored[:, None, None, None], images[:, :, ::-1], images)
    column, width = jnp.arange(images.shape[2])[None], drawn.width[:, None]
    taken = jnp.where(drawn.mirrored[:, None] & (column < width), width - 1 - column, column)
    return jnp.take_along_axis(images, taken[:, None, :, None], axis=2, mode="promise_in_bounds")


def rotate(images: Floats, degrees: Float[Array, "batch"]) -> Floats:
    """Turns each image counter-clockwise about its centre, bilinearly; what comes in from outside is black.

    Multiples of 90 degrees are exact: the angle is reduced to a quadrant before its sine is taken.
    """
    # XLA fuses nothing across a condition. Without it, each later use of a pixel computes the rotation anew:
    # with cutout, erasing and mixup behind it a batch of 128 takes 70 ms on a CPU, like this 4.
    return jax.lax.cond(jnp.any(degrees != 0), _rotate, lambda images, _: images, images, degrees)


def _sine_and_cosine(degrees: Float[Array, "batch"]) -> tuple[Float[Array, "batch"], Float[Array, "batch"]]:
    """Exact for multiples of 90 degrees."""
    quadrant = jnp.round(degrees / 90)
    radians = jnp.deg2rad(degrees - 90 * quadrant)
    sine, cosine = jnp.sin(radians), jnp.cos(radians)
    turns = quadrant.astype(jnp.int32) % 4
    return (
        jnp.select([turns == k for k in range(4)], [sine, cosine, -sine, -cosine]),
        jnp.select([turns == k for k in range(4)], [cosine, -sine, -cosine, sine]),
    )


def _taken_from(
    height: int, width: int, degrees: Float[Array, "batch"]
) -> tuple[Float[Array, "batch height width"], Float[Array, "batch height width"]]:
    """Row and column from which each pixel of a turned image comes."""
    sine, cosine = (part[:, None, None] for part in _sine_and_cosine(degrees))
    down = (jnp.arange(height) - (height - 1) / 2)[None, :, None]
    right = (jnp.arange(width) - (width - 1) / 2)[None, None, :]
    y = cosine * down + sine * right + (height - 1) / 2
    x = cosine * right - sine * down + (width - 1) / 2
    return y, x


def _rotate(images: Floats, degrees: Float[Array, "batch"]) -> Floats:
    batch, height, width, channels = images.shape
    y, x = _taken_from(height, width, degrees)
    top, left = jnp.floor(y), jnp.floor(x)
    pixels = images.reshape(batch, height * width, channels)
    total = jnp.zeros(images.shape, jnp.float32)
    for row, row_weight in ((top, 1 - (y - top)), (top + 1, y - top)):
        for column, column_weight in ((left, 1 - (x - left)), (left + 1, x - left)):
            inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            place = jnp.clip(row, 0, height - 1) * width + jnp.clip(column, 0, width - 1)
            place = place.astype(jnp.int32).reshape(batch, height * width, 1)
            pixel = jnp.take_along_axis(pixels, place, axis=1, mode="promise_in_bounds")
            weight = jnp.where(inside, row_weight * column_weight, 0)
            total += weight[..., None] * pixel.reshape(images.shape)
    return total


def rotate_nearest(images: Images, degrees: Float[Array, "batch"], fill: Any = 0) -> Images:
    """Turns each image, every pixel from the nearest one; `fill` comes in from outside."""
    batch, height, width, channels = images.shape
    row, column = (jnp.floor(at + 0.5).astype(jnp.int32) for at in _taken_from(height, width, degrees))
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    place = jnp.where(inside, row * width + column, 0).reshape(batch, -1, 1)
    pixels = jnp.take_along_axis(images.reshape(batch, -1, channels), place, axis=1, mode="promise_in_bounds")
    return jnp.where(inside[..., None], pixels.reshape(images.shape), jnp.asarray(fill, images.dtype))


def _rotate_known(values: Floats, degrees: Float[Array, "batch"]) -> Floats:
    """Turns numbers bilinearly; nan is what would be mixed with something unknown."""
    known = ~jnp.any(jnp.isnan(values), axis=-1, keepdims=True)
    both = jnp.concatenate([jnp.where(known, values, 0), known.astype(values.dtype)], axis=-1)
    both = rotate(both, degrees)
    return jnp.where(both[..., -1:] > 1 - 1e-4, both[..., :-1], jnp.nan)


def _turned(vectors: Float[Array, "batch ... 2"], degrees: Float[Array, "batch"]) -> Float[Array, "batch ... 2"]:
    """x to the right and y down, turned counter-clockwise as seen."""
    sine, cosine = (each(part, vectors.ndim - 1) for part in _sine_and_cosine(degrees))
    x, y = vectors[..., 0], vectors[..., 1]
    return jnp.stack([cosine * x + sine * y, cosine * y - sine * x], axis=-1)


def _points(points: Float[Array, "batch ... 2"], drawn: Shift | Mirror | Turn, at: At) -> Float[Array, "batch ... 2"]:
    """Where points go."""
    x, y = points[..., 0], points[..., 1]
    match drawn:
        case Shift(top, left, pad):
            return jnp.stack([x + pad - each(left, x.ndim), y + pad - each(top, y.ndim)], axis=-1)
        case Mirror(mirrored, width):
            width = at.width if width is None else each(width, x.ndim)
            return jnp.stack([jnp.where(each(mirrored, x.ndim), width - x, x), y], axis=-1)
    centre = jnp.array([at.width / 2, at.height / 2], points.dtype)
    return _turned(points - centre, drawn.degrees) + centre


def _image(value: Array, drawn: Shift | Mirror | Turn, at: At, kind: Kind, fill: Any = 0) -> Array:
    planes = planes_of(value, kind)
    match drawn:
        case Shift():
            moved = pad_crop(planes, drawn, fill)
        case Mirror():
            moved = flip(planes, drawn)
        case Turn(degrees) if kind in (Kind.LABEL_MAP, Kind.MASKS):
            moved = rotate_nearest(planes, degrees, fill)
        case Turn(degrees) if kind in (Kind.IMAGE, Kind.CLIP, Kind.FLOWS):
            moved = rotate(planes, degrees)
        case Turn(degrees):
            moved = _rotate_known(planes, degrees)
    return of_planes(moved, kind, value.shape)


def _label_map(value: Array, drawn: Shift | Mirror | Turn, at: At, kind: Kind) -> Array:
    return _image(value, drawn, at, kind, at.facts.ignore)


def _columns(value: Array, drawn: Shift | Mirror, at: At, kind: Kind) -> Array:
    """As a label map of one row, which moves along the image alone."""
    if isinstance(drawn, Shift):
        drawn = drawn._replace(top=jnp.full_like(drawn.top, drawn.pad))
    return _label_map(value[:, None], drawn, at, Kind.LABEL_MAP)[:, 0]


def _tokens(value: Array, drawn: Mirror, at: At, kind: Kind) -> Array:
    """Left is called right; tokens of which nobody says what they mean stay."""
    if not at.facts.vocabulary:
        return value
    return jnp.where(each(drawn.mirrored, value.ndim), jnp.asarray(mirrored_words(at.facts.vocabulary))[value], value)


def _map(value: Array, drawn: Shift | Mirror | Turn, at: At, kind: Kind) -> Array:
    return _image(value.astype(jnp.float32), drawn, at, kind, jnp.nan)


def _flow(value: Array, drawn: Shift | Mirror | Turn, at: At, kind: Kind) -> Array:
    return _vectors(_map(value, drawn, at, kind), drawn)


def _flows(value: Array, drawn: Shift | Mirror | Turn, at: At, kind: Kind) -> Array:
    """Bytes, or the floats of -1 to 1 that they become."""
    are_bytes = value.dtype == jnp.uint8
    moved = _image(value, drawn, at, kind, STILL_BYTE if are_bytes else 0)
    if isinstance(drawn, Mirror) and are_bytes:
        opposite = jnp.uint8(0) - moved[..., :1]  # 256 less it: bytes count on from 0
        mirrored = each(drawn.mirrored, moved.ndim)
        return jnp.concatenate([jnp.where(mirrored, opposite, moved[..., :1]), moved[..., 1:]], axis=-1)
    return _vectors(moved, drawn)


def _normals(value: Array, drawn: Shift | Mirror | Turn, at: At, kind: Kind) -> Array:
    """Mixed with their neighbours and again of length one; the part away from the viewer stays."""
    moved = _map(value, drawn, at, kind)
    moved = jnp.concatenate([_vectors(moved[..., :2], drawn), moved[..., 2:]], axis=-1)
    if not isinstance(drawn, Turn):
        return moved
    length = jnp.linalg.norm(moved, axis=-1, keepdims=True)
    return moved / jnp.where(length == 0, 1, length)


def _vectors(vectors: Array, drawn: Shift | Mirror | Turn) -> Array:
    match drawn:
        case Mirror(mirrored):
            sign = jnp.where(each(mirrored, vectors.ndim - 1), -1, 1)
            return jnp.stack([sign * vectors[..., 0], vectors[..., 1]], axis=-1)
        case Turn(degrees):
            return _turned(vectors, degrees)
    return vectors


def _boxes(value: Array, drawn: Shift | Mirror | Turn, at: At, kind: Kind) -> Array:
    """The hull of the moved corners, cut off at the border."""
    left, top, right, bottom = jnp.moveaxis(value, -1, 0)
    corners = jnp.stack([left, top, right, top, left, bottom, right, bottom], axis=-1).reshape(*value.shape, 2)
    moved = _points(corners, drawn, at)
    hull = jnp.concatenate([moved.min(axis=-2), moved.max(axis=-2)], axis=-1)
    return jnp.clip(hull, 0, jnp.array([at.width, at.height] * 2, hull.dtype))


def _keypoints(value: Array, drawn: Shift | Mirror | Turn, at: At, kind: Kind) -> Array:
    """Points that leave the image are zero, as those are that were not in it."""
    moved = _points(value[..., :2], drawn, at)
    inside = jnp.all((moved >= 0) & (moved <= jnp.array([at.width, at.height])), axis=-1)
    seen = (value[..., 2] > 0) & inside
    moved = jnp.where(seen[..., None], jnp.concatenate([moved, value[..., 2:]], axis=-1), 0)
    if isinstance(drawn, Mirror) and at.facts.mirror:
        places = np.arange(value.shape[-2])
        for one, other in at.facts.mirror:
            places[[one, other]] = other, one
        moved = jnp.where(each(drawn.mirrored, value.ndim), moved[..., places, :], moved)
    return moved


MOVES = ("pad_crop", "flip", "rotate")
_RULES: dict[Kind, Callable[..., Array]] = {
    Kind.IMAGE: _image,
    Kind.CLIP: _image,
    Kind.LABEL_MAP: _label_map,
    Kind.MAP: _map,
    Kind.FLOW: _flow,
    Kind.FLOWS: _flows,
    Kind.NORMALS: _normals,
    Kind.BOXES: _boxes,
    Kind.KEYPOINTS: _keypoints,
    Kind.MASKS: _image,
}
APPLY: dict[tuple[str, Kind], Callable[..., Array]] = {
    **{(move, kind): rule for move in MOVES for kind, rule in _RULES.items()},
    **{(move, Kind.COLUMNS): _columns for move in ("pad_crop", "flip")},
    ("flip", Kind.TOKENS): _tokens,
}
"""What a move does to a field of each kind; those of `STILL` else stay as they are, and another pair is refused."""


def move(name: str, batch: Batch, drawn: Shift | Mirror | Turn, spec: Spec, at: At) -> Batch:
    """A batch whose fields are all moved alike.

    Objects whose box leaves the image are real no more (NAME_valid), in none of the fields that number them (see
    `aligned`), and zero as all padding is. A box that is not one of a varying number becomes zero in size.
    """
    moved = {
        field: APPLY[name, kind](batch[field], drawn, at, kind)
        for field, (kind, *_) in spec.items()
        if kind not in STILL or (name, kind) in APPLY
    }
    batch = {**batch, **moved}
    padded = [name for name, field in spec.items() if field.most and name in moved]
    for group in aligned(spec):
        valid = batch[f"{group[0]}_valid"]
        for field in group:
            if spec[field].kind == Kind.BOXES:
                extent = batch[field][..., 2:] - batch[field][..., :2]
                valid &= jnp.all(extent > VISIBLE, axis=-1)
        batch |= {f"{field}_valid": valid for field in group}
        padded += [field for field in group if field not in moved]
    for field in padded:
        valid = batch[f"{field}_valid"].reshape(*batch[f"{field}_valid"].shape, *[1] * (batch[field].ndim - 2))
        batch[field] = jnp.where(valid, batch[field], jnp.zeros((), batch[field].dtype))
    return batch
