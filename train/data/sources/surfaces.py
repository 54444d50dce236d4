"""Rendered surfaces that need no download: depth, normals, reflectance and shading of each pixel, in closed form.

A pinhole camera stands above a floor and looks at a wall, a plane or the same with a relief, before which balls hang
and lie. A ray meets each of them in closed form, the nearest is seen, and its normal is that of the formula, not of
differences. One lamp, infinitely far and always at the same place, lights matt surfaces (Lambert), and all directions a
little: there are no cast shadows, and no light from one surface on another. Lecture rows L63, L64.

What a person has to judge depth by is there: where things stand on the floor, the size of balls, which are nearly
alike, the slant of patterns, the shading. All is a function of a seed, the split and the scene's number.
"""

import functools
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8

from train.data.fields import Facts, Field, Kind
from train.data.source import Arrays, ArraySource, generator

SIDE = 64
"""Pixels a side of an image."""
FOCAL = 56.0
"""Of the camera, in pixels; its axis meets the middle of the image."""
HEIGHT = 1.2
"""Of the camera above the floor, in metres."""
COUNTS = {"train": 1000, "test": 250}
BALLS = (2, 6)
"""Of a scene, fewest and most."""
RADII = (0.35, 0.5)
"""Of a ball, in metres."""
WALL = (3.5, 6.5)
"""Metres to the wall, straight ahead, and what it is turned by at most in degrees."""
TURN = 30.0
LIGHT = (-0.5, -0.6, -0.62449980)
"""The direction to the lamp, of length one: right, down, away from the viewer. It is above, left, and behind him."""
AMBIENT = 0.25
"""Shading where the lamp does not reach; where it shines straight on a surface shading is one."""
GAMMA = 2.2
"""Images are (reflectance times shading) to the power of one over this, of 255."""
FACTS = Facts(unit="m")
SPEC = {
    "image": Field(Kind.IMAGE, (SIDE, SIDE, 3), "uint8"),
    "depth": Field(Kind.MAP, (SIDE, SIDE, 1), "float32"),
    "normals": Field(Kind.NORMALS, (SIDE, SIDE, 3), "float32"),
    "reflectance": Field(Kind.MAP, (SIDE, SIDE, 3), "float32"),
    "shading": Field(Kind.MAP, (SIDE, SIDE, 1), "float32"),
}
"""Depth is in metres along the camera's axis; reflectance and shading are in linear light, from 0 to 1."""
_SEED = {"train": (11, 0), "test": (11, 1)}
_WAVES = 3  # of a pattern, and of a relief
_LENGTHS = (0.3, 0.8)  # of a pattern's waves, shortest and longest, in metres
_RELIEF = (0.3, 0.9), (0.1, 0.35)  # radians of sight that a wave of a relief takes, and its steepest slope
_SHARPNESS = 4.0  # of the border between a pattern's two colours
_PAINT = (0.15, 0.9)  # darkest and brightest


class Rays(NamedTuple):
    """The direction in which each pixel's middle is seen: right and down, where away from the viewer it is one."""

    right: Float[np.ndarray, "height width"]
    down: Float[np.ndarray, "height width"]

    def at(self, depth: Float[np.ndarray, "height width"]) -> Float[np.ndarray, "height width 3"]:
        """The points at some depths along the axis."""
        return depth[..., None] * np.stack([self.right, self.down, np.ones_like(self.right)], axis=-1)


class Seen(NamedTuple):
    """What the rays meet of one surface."""

    depth: Float[np.ndarray, "height width"]
    """In metres; infinite where they miss it."""
    normals: Float[np.ndarray, "height width 3"]
    """Of length one where it is met."""


def rays(height: int = SIDE, width: int = SIDE, focal: float = FOCAL) -> Rays:
    """Of a pinhole camera whose axis meets the middle of the image.

    >>> float(rays(2, 2, focal=0.5).right[0, 1])
    1.0
    """
    right, down = (np.arange(count) + 0.5 - count / 2 for count in (width, height))
    return Rays(*(each / focal for each in np.meshgrid(right, down)))


def floor(seen_by: Rays, height: float = HEIGHT) -> Seen:
    """A level plane below the camera."""
    down = np.where(seen_by.down > 0, seen_by.down, 1)
    depth = np.where(seen_by.down > 0, height / down, np.inf)
    return Seen(depth, np.broadcast_to([0.0, -1.0, 0.0], (*depth.shape, 3)))


def ball(seen_by: Rays, centre: Float[np.ndarray, "3"], radius: float) -> Seen:
    """The front of a sphere that lies wholly before the camera."""
    along = seen_by.at(np.ones_like(seen_by.right))
    squared, across = np.sum(along**2, axis=-1), along @ centre
    root = across**2 - squared * (centre @ centre - radius**2)  # of t in |t ray - centre| = radius, t being the depth
    hit = root > 0
    depth = np.where(hit, (across - np.sqrt(np.where(hit, root, 0))) / squared, np.inf)
    points = seen_by.at(np.where(hit, depth, 0))
    return Seen(depth, (points - centre) / radius)


class Wave(NamedTuple):
    """A wave of a relief: `height * sin(right * x + down * y + phase)`."""

    height: float
    right: float
    down: float
    phase: float


def wall(seen_by: Rays, distance: float, turn: float, relief: tuple[Wave, ...] = ()) -> Seen:
    """An upright plane, whose depth a relief changes by a factor, the exponential of its waves: a height field.

    Along a ray (x, y, 1) the depth z is a function of x and y; with g, the gradient of its logarithm, the normal is in
    the direction of (g_x, g_y, -1 - x g_x - y g_y), the product across of the derivatives of z (x, y, 1).

    Args:
      seen_by: the rays; none is parallel to the plane.
      distance: metres straight ahead.
      turn: degrees about the upright; above zero what is right of the axis is further away.
      relief: over x and y of the rays.
    """
    x, y = seen_by
    slope = np.tan(np.deg2rad(turn))
    log_depth, right, down = np.log(distance / (1 - slope * x)), slope / (1 - slope * x), np.zeros_like(y)
    for wave in relief:
        at = wave.right * x + wave.down * y + wave.phase
        log_depth += wave.height * np.sin(at)
        right += wave.height * wave.right * np.cos(at)
        down += wave.height * wave.down * np.cos(at)
    normals = np.stack([right, down, -1 - x * right - y * down], axis=-1)
    return Seen(np.exp(log_depth), normals / np.linalg.norm(normals, axis=-1, keepdims=True))


def nearest(surfaces: list[Seen]) -> tuple[Seen, Int[np.ndarray, "height width"]]:
    """What is seen of several surfaces, and the number of that which is in front."""
    depths = np.stack([surface.depth for surface in surfaces])
    front = np.argmin(depths, axis=0)
    normals = np.stack([surface.normals for surface in surfaces])
    return Seen(
        np.take_along_axis(depths, front[None], axis=0)[0],
        np.take_along_axis(normals, front[None, ..., None], axis=0)[0],
    ), front


def shaded(normals: Float[np.ndarray, "height width 3"]) -> Float[np.ndarray, "height width"]:
    """How bright the light makes a white surface: `AMBIENT`, and the lamp by the cosine of its angle.

    >>> shaded(np.array([[LIGHT]])).round(6).item(), shaded(-np.array([[LIGHT]])).item()
    (1.0, 0.25)
    """
    return AMBIENT + (1 - AMBIENT) * np.maximum(normals @ np.array(LIGHT), 0)


def photographed(
    reflectance: Float[np.ndarray, "height width 3"], shading: Float[np.ndarray, "height width 1"]
) -> UInt8[np.ndarray, "height width 3"]:
    """The image of surfaces of this paint in this light."""
    return np.rint(255 * (reflectance * shading) ** (1 / GAMMA)).astype(np.uint8)


def scene(random: np.random.Generator) -> tuple[Arrays, Int[np.ndarray, "height width"]]:
    """The fields of a scene, and the number of each pixel's surface: 0 the floor, 1 the wall, then balls."""
    seen_by = rays()
    distance, turn = random.uniform(*WALL), random.uniform(-TURN, TURN)
    relief = tuple(_wave(random) for _ in range(_WAVES)) if random.random() < 0.5 else ()
    surfaces = [floor(seen_by), wall(seen_by, distance, turn, relief)]
    for _ in range(int(random.integers(BALLS[0], BALLS[1] + 1))):
        surfaces.append(ball(seen_by, *_place(random)))
    seen, front = nearest(surfaces)
    points, reflectance = seen_by.at(seen.depth), np.zeros((*front.shape, 3))
    for number in range(len(surfaces)):
        here = front == number
        reflectance[here] = _painted(random, points[here])
    reflectance, shading = reflectance.astype(np.float32), shaded(seen.normals)[..., None].astype(np.float32)
    arrays = {
        "image": photographed(reflectance, shading),
        "depth": seen.depth[..., None].astype(np.float32),
        "normals": seen.normals.astype(np.float32),
        "reflectance": reflectance,
        "shading": shading,
    }
    return arrays, front


def _place(random: np.random.Generator) -> tuple[Float[np.ndarray, "3"], float]:
    """A ball in sight: one of two lies on the floor, others hang up to a metre higher."""
    radius, away = random.uniform(*RADII), random.uniform(1.8, WALL[1] - 0.5)
    right = random.uniform(-0.45, 0.45) * away
    above = 0.0 if random.random() < 0.5 else random.uniform(0, 1)
    return np.array([right, HEIGHT - radius - above, away]), radius


def _wave(random: np.random.Generator) -> Wave:
    lengths, slopes = _RELIEF
    number, direction = 2 * np.pi / random.uniform(*lengths), random.uniform(0, np.pi)
    height = random.uniform(*slopes) / number
    return Wave(height, number * np.cos(direction), number * np.sin(direction), random.uniform(0, 2 * np.pi))


def _painted(random: np.random.Generator, points: Float[np.ndarray, "points 3"]) -> Float[np.ndarray, "points 3"]:
    """Two colours in a pattern that fills the space in which the surface is, as wood's does."""
    colours = random.uniform(*_PAINT, (2, 3))
    directions = random.normal(size=(_WAVES, 3))
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    numbers = 2 * np.pi / random.uniform(*_LENGTHS, (_WAVES, 1))
    waves = np.sin(points @ (numbers * directions).T + random.uniform(0, 2 * np.pi, _WAVES))
    share = 0.5 + 0.5 * np.tanh(_SHARPNESS * waves.mean(axis=-1, keepdims=True))
    return colours[0] + share * (colours[1] - colours[0])


@functools.cache
def _rendered(split: Literal["train", "test"], count: int) -> Arrays:
    arrays = {name: np.zeros((count, *field.shape), field.dtype) for name, field in SPEC.items()}
    for number in range(count):
        fields, _ = scene(generator(*_SEED[split], 1 + number))
        for name, array in arrays.items():
            array[number] = fields[name]
    for array in arrays.values():
        array.flags.writeable = False  # all who load the scenes share them
    return arrays


def surfaces(split: Literal["train", "test"], training: int = 0) -> ArraySource:
    """1000 training and 250 test scenes, (64, 64, 3), of a floor, a wall and two to six balls.

    Args:
      split: which of them.
      training: how many training scenes there are instead; the first 1000 are the same, and so is the test.
    """
    count = training if training and split == "train" else COUNTS[split]
    return ArraySource("surfaces", _rendered(split, count), SPEC, FACTS)
