"""What excites a unit of a network most: an image that is made for it, and the patches of real images that do.

Works for any image model of the catalog. Erhan, Bengio, Courville and Vincent, 2009, Visualizing Higher-Layer
Features of a Deep Network (activation maximisation); Olah, Mordvintsev and Schubert, 2017, Feature Visualization
(what keeps such images smooth); Zeiler and Fergus, 2014, Visualizing and Understanding Convolutional Networks (top
patches). Lecture row L38.
"""

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from zoo.convnets.looking import Images, Model, Unit, Variables, feature_maps, replacing_relus, response
from zoo.convnets.rewiring import with_activations

_LINEAR = replacing_relus(lambda relu: lambda x: x)

FLAT = 0.01
"""A slope of less than this share of the steepest is flat: there a step is shorter."""

PROBES = 4
"""Random images by which a receptive field is found: of each window a max pooling lets one pixel through."""


def maximise(
    model: Model,
    variables: Variables,
    unit: Unit,
    shape: tuple[int, int, int],
    key: PRNGKeyArray,
    low: Float[Array, "*channels"] | float = 0.0,
    high: Float[Array, "*channels"] | float = 1.0,
    steps: int = 256,
    rate: float = 0.1,
    jitter: int = 2,
    decay: float = 1.0,
) -> Float[Array, "height width channels"]:
    """An image, of values between `low` and `high`, that excites the unit: gradient ascent from noise.

    What keeps it from being noise for ever: the ascent goes along the image's Fourier coefficients, of which a
    frequency f weighs f^-decay, and before each step the image is shifted at random. The bounds hold because pixels
    are a sigmoid of what the coefficients give.

    A unit whose ReLU lets nothing of the noise pass has no gradient, and the image stays noise.

    Not to be called under `jit`: each step is one compiled program, as gradients of convolutions are slow inside
    loops on a CPU.

    Args:
      model: the network.
      variables: its parameters and statistics.
      unit: what the image is to excite; of a map, `over=jnp.mean` fills the image with what excites the channel.
      shape: of the image.
      key: for the noise it begins with, and the shifts.
      low: the value of black, one or one a channel; (0 - mean) / std for images that are normalised so.
      high: the value of white.
      steps: of ascent.
      rate: the length of a step, relative to the root mean square of the gradient; shorter where that is flat.
      jitter: the largest shift, in pixels; what leaves the image on one side comes in on the other.
      decay: 0 treats all frequencies alike.

    Raises:
      UnknownNameError: the model has no such feature.
      ValueError: the feature has no such channel.
    """
    start, *keys = jax.random.split(key, steps + 1)
    image = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
    jax.eval_shape(lambda variables, image: response(model, variables, image, unit), variables, image)  # or it raises
    size, bounds = shape[:2], (jnp.asarray(low, jnp.float32), jnp.asarray(high, jnp.float32))
    waves = 0.1 * jax.random.normal(start, (2, size[0], size[1] // 2 + 1, shape[2]))
    # The channel is an argument of the program: the next one compiles nothing.
    climb = functools.partial(_climb, model, unit.feature, unit.over, size)
    steepest = jnp.zeros(())
    for step_key in keys:
        waves, steepest = climb(unit.channel, variables, waves, bounds, steepest, step_key, rate, jitter, decay)
    return _picture(waves, size, bounds, decay)


class Patch(NamedTuple):
    """A place of a map that excites a channel strongly, and the part of the image that it sees."""

    image: int
    """Index of the image."""
    place: tuple[int, int]
    """Row and column of the map."""
    value: float
    """The activation there."""
    box: tuple[int, int, int, int]
    """The receptive field in pixels: top, left, bottom, right, the last two not included."""


def top_patches(
    model: Model,
    variables: Variables,
    images: Float[np.ndarray, "n height width channels"],
    unit: Unit,
    key: PRNGKeyArray,
    count: int = 9,
    batch: int = 64,
) -> list[Patch]:
    """The `count` images that excite a channel most, each at its strongest place, the strongest first.

    Not to be called under `jit`.

    Raises:
      UnknownNameError: the model has no such feature.
      ValueError: the feature is a vector, or has no such channel.
    """
    values, places = [], []
    for first in range(0, len(images), batch):
        rows = np.minimum(np.arange(first, first + batch), len(images) - 1)  # one shape, one program
        strongest = _strongest(model, unit, variables, images[rows])
        for found, known in zip(strongest, (values, places), strict=True):
            known.append(np.asarray(found)[: len(images) - first])
    values, places = np.concatenate(values), np.concatenate(places)
    best = np.argsort(-values, kind="stable")[:count]
    boxes = receptive_fields(model, variables, images.shape[1:], unit.feature, places[best], key)
    return [
        Patch(int(i), tuple(places[i].tolist()), float(values[i]), tuple(box.tolist()))
        for i, box in zip(best, boxes, strict=True)
    ]


def receptive_fields(
    model: Model,
    variables: Variables,
    image_shape: tuple[int, int, int],
    feature: str,
    places: Int[np.ndarray, "n 2"],
    key: PRNGKeyArray,
) -> Int[np.ndarray, "n 4"]:
    """The pixels that places (row, column) of a map depend on, as boxes: top, left, bottom, right, without the last.

    They are where the gradient of all the place's channels is not zero for some of `PROBES` random images, with ReLUs
    that let everything pass. So what these variables multiply by zero does not count; what the border cuts off
    neither. Gates by the mean of a map, and attention, make it the whole image.

    Raises:
      UnknownNameError: the model has no such feature.
      ValueError: the feature is a vector.
    """
    seen = np.zeros((len(places), *image_shape[:2]), bool)
    for probe in jax.random.split(key, PROBES):
        seen |= np.asarray(_support(model, feature, image_shape, variables, jnp.asarray(places), probe))
    return np.stack([_hull(field) for field in seen])


def _picture(waves: Array, size: tuple[int, int], bounds: tuple[Array, Array], decay: float) -> Array:
    """The image of Fourier coefficients (real and imaginary part, rows, columns, channels)."""
    rows, columns = jnp.fft.fftfreq(size[0])[:, None], jnp.fft.rfftfreq(size[1])[None, :]
    frequency = jnp.maximum(jnp.hypot(rows, columns), 1 / max(size)) * max(size)  # periods a side, 1 at least
    coefficients = jax.lax.complex(*waves) * (frequency**-decay)[..., None]
    pixels = jnp.fft.irfft2(coefficients, size, axes=(0, 1), norm="ortho")
    low, high = bounds
    return low + (high - low) * jax.nn.sigmoid(pixels)


@functools.partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _climb(
    model: Model,
    feature: str,
    over: Callable[..., Array],
    size: tuple[int, int],
    channel: Int[Array, ""],
    variables: Variables,
    waves: Array,
    bounds: tuple[Array, Array],
    steepest: Float[Array, ""],
    key: PRNGKeyArray,
    rate: float,
    jitter: int,
    decay: float,
) -> tuple[Array, Array]:
    """The coefficients after one step, and the steepest slope so far."""
    shift = jax.random.randint(key, (2,), -jitter, jitter + 1)

    def of(waves: Array) -> Array:
        picture = jnp.roll(_picture(waves, size, bounds, decay), shift, axis=(0, 1))
        return response(model, variables, picture[None], Unit(feature, channel, over))[0]

    slope = jax.grad(of)(waves)
    steepness = jnp.sqrt(jnp.mean(slope**2))
    steepest = jnp.maximum(steepest, steepness)
    # Where pixels are black and white enough, the slope is nothing but rounding errors: no step of full length there.
    length = jnp.maximum(jnp.maximum(steepness, FLAT * steepest), jnp.finfo(jnp.float32).tiny)
    return waves + rate * slope / length, steepest


@functools.partial(jax.jit, static_argnums=(0, 1))
def _strongest(model: Model, unit: Unit, variables: Variables, images: Images) -> tuple[Array, Array]:
    """The largest activation of each image, and its row and column."""
    maps = feature_maps(model, variables, images, unit.feature)
    values = response(model, variables, images, unit._replace(over=jnp.max))
    flat = maps[..., unit.channel].reshape(len(maps), math.prod(maps.shape[1:3]))
    return values, jnp.stack(jnp.unravel_index(flat.argmax(axis=1), maps.shape[1:3]), axis=1)


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _support(
    model: Model,
    feature: str,
    image_shape: tuple[int, int, int],
    variables: Variables,
    places: Int[Array, "n 2"],
    key: PRNGKeyArray,
) -> Array:
    """Which pixels of a random image each place depends on, (n, height, width)."""
    image_key, seed_key = jax.random.split(key)
    images = jax.random.normal(image_key, (len(places), *image_shape))
    maps = with_activations(lambda images: feature_maps(model, variables, images, feature), _LINEAR)
    values, pullback = jax.vjp(maps, images)
    # Random weights, as a layer normalisation makes the plain sum over channels a constant.
    weights = jax.random.normal(seed_key, (len(places), values.shape[-1]), values.dtype)
    seeds = jnp.zeros_like(values).at[jnp.arange(len(places)), places[:, 0], places[:, 1]].set(weights)
    return (pullback(seeds)[0] != 0).any(axis=-1)


def _hull(field: np.ndarray) -> tuple[int, int, int, int]:
    """The box around what is true; empty where nothing is."""
    if not field.any():
        return 0, 0, 0, 0
    rows, columns = np.flatnonzero(field.any(axis=1)), np.flatnonzero(field.any(axis=0))
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1
