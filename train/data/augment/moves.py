"""What all moves share: random numbers that depend on an example's position alone, and fields as planes of pixels."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, Num

from train.data.fields import Facts, Kind

Batch = dict[str, Array]
Images = Num[Array, "batch height width channels"]
Floats = Float[Array, "batch height width channels"]


class At(NamedTuple):
    """Where a batch is moved."""

    height: int
    """Of every example, in pixels."""
    width: int
    facts: Facts


def uniform(key: Key[Array, ""], batch: int, count: int) -> Float[Array, "count batch"]:
    """`count` numbers in [0, 1) for each example; those of an example depend on its position alone.

    The result is the same however the batch is spread over devices.
    """

    def draw(position: Int[Array, ""]) -> Float[Array, "count"]:
        return jax.random.uniform(jax.random.fold_in(key, position), (count,), jnp.float32)

    return jax.vmap(draw, out_axes=1)(jnp.arange(batch))


def planes_of(value: Num[Array, "batch ..."], kind: Kind) -> Images:
    """A field of pixels as an image of many channels: frames and objects are channels, and move alike."""
    match kind:
        case Kind.CLIP | Kind.FLOWS:
            folded = jnp.moveaxis(value, 1, 3)
            return folded.reshape(*folded.shape[:3], -1)
        case Kind.LABEL_MAP:
            return value[..., None]
        case Kind.MASKS:
            return jnp.moveaxis(value, 1, 3)
    return value


def of_planes(planes: Images, kind: Kind, shape: tuple[int, ...]) -> Num[Array, "batch ..."]:
    """The field of this shape again."""
    match kind:
        case Kind.CLIP | Kind.FLOWS:
            batch, time, height, width, channels = shape
            return jnp.moveaxis(planes.reshape(batch, height, width, time, channels), 3, 1)
        case Kind.LABEL_MAP:
            return planes[..., 0]
        case Kind.MASKS:
            return jnp.moveaxis(planes, 3, 1)
    return planes


def each(values: Num[Array, "batch"], ndim: int) -> Num[Array, "batch ..."]:
    """A number an example, ready to meet arrays of so many axes."""
    return values.reshape(-1, *[1] * (ndim - 1))
