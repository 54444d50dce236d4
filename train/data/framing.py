"""Examples of any size to one: a random window in training, the centre at evaluation, or a canvas for whole images.

Szegedy et al., 2015, Going Deeper with Convolutions, section 6 (windows of 8 to 100 % of the area, sides 3:4 to
4:3), drawn as torchvision's RandomResizedCrop does; the resizing is Pillow's, bilinear and antialiased. What happens
is drawn once an example, as a few steps, and done to every field by its kind: see `frame_rules.py`.
"""

import abc
import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int, Num, UInt8
from PIL import Image

from train.config import Data, DataError, RecipeError
from train.data.fields import ORIGINAL_SIZE, PIXELS, SIZE, STILL, Facts, Field, Kind, aligned, size_of, sized
from train.data.frame_rules import FRAME, Crop, Move, Resize, Steps, bilinear, there
from train.data.source import Example, Rows, Source, Wrapped, generator

ASPECT = 4 / 3
"""The longest a random window is: width to height from 3/4 to 4/3."""
_TRIES = 10
_WINDOWS = 1  # what random numbers are drawn for, beside the order of the examples


class Framing(abc.ABC):
    """How an image becomes a square."""

    side: int
    """Pixels a side of the square."""
    section: str
    """Which field of a recipe asks for it."""
    varies: bool
    """Whether training sees another part of an image in each epoch."""
    tells_size: bool = False
    """Whether examples say how large their image is (`SIZE`) and was (`ORIGINAL_SIZE`)."""

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of what comes out; where there are several, of the first."""
        return self.side, self.side

    def bucket(self, width: int, height: int) -> int | None:
        """Which of several sizes an image of this size gets; None where there is one."""
        return None

    @abc.abstractmethod
    def still(self, width: int, height: int) -> Steps:
        """What evaluation does to an image of this size."""

    def drawn(self, width: int, height: int, random: np.random.Generator) -> Steps:
        """What training does to it."""
        return self.still(width, height)

    def picture(self, image: Image.Image) -> UInt8[np.ndarray, "side side channels"]:
        """An image alone, as evaluation sees it."""
        return bilinear(image, self.still(*image.size))


@dataclasses.dataclass(frozen=True)
class Windows(Framing):
    """A random window, resized; at evaluation the central square of the resized image."""

    side: int
    resize: int
    """Pixels of the image's shorter side before the central square is cut; at least `side`."""
    smallest_area: float = 0.08
    """Smallest share of the image's area in a random window."""

    section = "data.crop"
    varies = True

    def still(self, width: int, height: int) -> Steps:
        """The centre of the resized image, rounded as torchvision does, see `zoo.preprocessing.central_square`."""
        shorter = min(width, height)
        size = Resize(self.resize * width // shorter, self.resize * height // shorter)
        left, top = (round((side - self.side) / 2) for side in size)  # halves to even
        return (size, Crop(left, top, left + self.side, top + self.side))

    def drawn(self, width: int, height: int, random: np.random.Generator) -> Steps:
        """A random window, resized."""
        return (random_window(width, height, self.smallest_area, random), Resize(self.side, self.side))


@dataclasses.dataclass(frozen=True)
class Canvas(Framing):
    """The whole image in the upper left corner: as large as fits, or smaller where its shorter side would be too long.

    Ren et al., 2015, Faster R-CNN, section 3.3, has a canvas of 1000 pixels and shorter sides of 600.
    """

    side: int
    shorter: int = 0
    """Pixels of the image's shorter side at most; 0: as many as fit."""

    section = "data.canvas"
    varies = False
    tells_size = True

    def still(self, width: int, height: int) -> Steps:
        """Resized, and padded on the right and at the bottom."""
        longer, shorter = max(width, height), min(width, height)
        limited = self.shorter and self.shorter * longer < self.side * shorter
        to, of = (self.shorter, shorter) if limited else (self.side, longer)
        size = Resize(*(max(1, round(to * side / of)) for side in (width, height)))
        return (size, Crop(0, 0, self.side, self.side))


class TwoCanvases(Canvas):
    """As a canvas, but `side` x `shorter` pixels: wide for images that are, and for square ones, else tall."""

    @property
    def shape(self) -> tuple[int, int]:
        """Of the wide one."""
        return self.shorter, self.side

    def bucket(self, width: int, height: int) -> int:
        """0 for wide, 1 for tall."""
        return int(height > width)

    def still(self, width: int, height: int) -> Steps:
        """Resized as on the square, and padded on the right and at the bottom."""
        size, _ = super().still(width, height)
        right, bottom = self.shape if self.bucket(width, height) else self.shape[::-1]
        return (size, Crop(0, 0, right, bottom))


def framing_of(config: Data, split: Literal["train", "test"]) -> Framing | None:
    """How a recipe frames the images of a split; None where they have one size as they are."""
    if config.canvas:
        return (TwoCanvases if config.two_canvases and split == "train" else Canvas)(config.canvas, config.shorter)
    if not config.crop:
        return None
    if split == "train":
        return Windows(config.crop, config.crop, config.smallest_area)
    side = config.eval_crop or config.crop
    return Windows(side, config.resize or side)


def evaluated(framing: Framing | None, image: Field, size: tuple[int, int], facts: Facts) -> Move:
    """What happens to an image file before the model sees it: its framing, or else resizing to the data's size.

    Args:
      framing: what `framing_of` gives of the run's data, for the test split.
      image: what the images of the data are.
      size: width and height of the file.
      facts: of the data.
    """
    height, width = image.shape[:2]
    return Move(framing.still(*size) if framing else (Resize(width, height),), *size, facts)


def random_window(width: int, height: int, smallest_area: float, random: np.random.Generator) -> Crop:
    """A window whose share of the area is uniform, the logarithm of its aspect too, that lies in the image.

    Ten are tried; then it is the largest central one with an aspect that is allowed.

    Args:
      width: of the image, in pixels.
      height: of the image.
      smallest_area: smallest share of the image's area.
      random: where the numbers come from.
    """
    limit = math.log(ASPECT)
    for _ in range(_TRIES):
        area = width * height * random.uniform(smallest_area, 1)
        aspect = math.exp(random.uniform(-limit, limit))
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            left, top = int(random.integers(width - w + 1)), int(random.integers(height - h + 1))
            return Crop(left, top, left + w, top + h)
    w, h = min(width, round(height * ASPECT)), min(height, round(width * ASPECT))
    left, top = (width - w) // 2, (height - h) // 2
    return Crop(left, top, left + w, top + h)


class Framed(Wrapped):
    """The examples of another source as squares of one size, images as RGB.

    Objects whose box lies outside the square are left out, of all fields that number them (see `aligned`).

    Raises:
      RecipeError: a field is of a kind that cannot be framed so, or none has pixels.
    """

    def __init__(self, source: Source, framing: Framing) -> None:
        for name, field in source.spec.items():
            if field.kind not in FRAME and field.kind not in STILL:
                raise RecipeError(f"{framing.section}: no rule for field {name!r} ({field.kind})")
        shown = [name for name, field in source.spec.items() if size_of(field)]
        if not shown:
            raise RecipeError(f"{framing.section}: expected a field of pixels, found {', '.join(source.spec)}")
        spec = {name: _framed(field, *framing.shape) for name, field in source.spec.items()}
        if framing.tells_size:
            spec |= dict.fromkeys((SIZE, ORIGINAL_SIZE), Field(Kind.PLAIN, (2,), "int32"))
        super().__init__(source, spec)
        self.varies = framing.varies or source.varies
        self._framing, self._shown = framing, shown
        self._groups = aligned(source.spec)
        self._numbered = {name for group in self._groups for name in group}
        self._buckets = self._in_buckets()

    def change(self, example: Example, row: int) -> Example:
        """The example as evaluation sees it."""
        size = self._size(example, row)
        return self._moved(example, Move(self._framing.still(*size), *size, self.facts))

    def variants(self, rows: Rows, seed: int, epoch: int) -> list[Example]:
        """Some examples, each framed as seed, epoch and row decide."""
        found = zip(self.source.variants(rows, seed, epoch), (int(row) for row in rows), strict=True)
        return [self._vary(example, row, generator(seed, epoch, row, _WINDOWS)) for example, row in found]

    @property
    def buckets(self) -> Int[np.ndarray, "rows"] | None:
        """See `Source`."""
        return self._buckets

    def _in_buckets(self) -> Int[np.ndarray, "rows"] | None:
        if self._framing.bucket(1, 1) is None:
            return None
        if (sizes := self.source.sizes) is None:
            raise RecipeError(
                f"data.two_canvases: expected a source that knows the sizes of its images, got {self.name}"
            )
        return np.array([self._framing.bucket(int(width), int(height)) for height, width in sizes], np.int8)

    def reading(self, names: Sequence[str]) -> Source:
        """The same for who reads these fields alone."""
        return Framed(self.source.reading(names), self._framing)

    def peek(self, row: int, field: str) -> Any:
        """One field of an example."""
        own = self._framing.tells_size and field in (SIZE, ORIGINAL_SIZE)
        still = self.spec[field].kind in STILL and field not in self._numbered and not own
        return self.source.peek(row, field) if still else self[row][field]

    def _vary(self, example: Example, row: int, random: np.random.Generator) -> Example:
        size = self._size(example, row)
        return self._moved(example, Move(self._framing.drawn(*size, random), *size, self.facts))

    def _size(self, example: Example, row: int) -> tuple[int, int]:
        """Width and height, of which all fields have to be."""
        spec = self.source.spec
        sizes = {name: size_of(spec[name]._replace(shape=np.shape(example[name]))) for name in self._shown}
        if len(set(sizes.values())) > 1:
            raise DataError(f"{self.name}, row {row}: expected fields of one height and width, found {sizes}")
        height, width = sizes[self._shown[0]]
        return width, height

    def _moved(self, example: Example, move: Move) -> Example:
        """Every field moved, without objects that are not there any more."""
        spec = self.source.spec
        moved = {
            name: value if spec[name].kind in STILL else FRAME[spec[name].kind](value, move)
            for name, value in example.items()
        }
        for group in self._groups:
            kept = np.logical_and.reduce([there(moved[name]) for name in group if spec[name].kind == Kind.BOXES])
            moved |= {name: moved[name][kept] for name in group}
        if self._framing.tells_size:
            moved |= sizes_of(move)
        return moved


def sizes_of(move: Move) -> dict[str, Int[np.ndarray, "2"]]:
    """What an example on a canvas says of its size, after and before."""
    resized = next(step for step in move.steps if isinstance(step, Resize))
    return {
        SIZE: np.array([resized.height, resized.width], np.int32),
        ORIGINAL_SIZE: np.array([move.height, move.width], np.int32),
    }


def _framed(field: Field, height: int, width: int) -> Field:
    """What becomes of a field."""
    field = sized(field, height, width)
    if field.kind in PIXELS:
        return field._replace(shape=(*field.shape[:-1], 3))
    return field._replace(dtype="float32") if field.kind == Kind.MAP else field


def unframed(value: Any, kind: Kind, move: Move) -> Any:
    """What is predicted of a framed image, in the pixels of the image before.

    Boxes are cut off at its border; each pixel of a map is the one in which its centre lay, and `ignore` or nan where
    the model did not see it.

    Args:
      value: of one example.
      kind: one of `UNFRAME`; those of `STILL` need no way back.
      move: what happened to the image. It began with a resizing, so its width and height may be replaced by those of
        the same image reduced.
    """
    return UNFRAME[kind](value, move)


def _boxes_before(value: Float[np.ndarray, "objects 4"], move: Move) -> Float[np.ndarray, "objects 4"]:
    scale, shift = (np.tile(part, 2) for part in move.affine())
    return np.clip((value - shift) / scale, 0, np.tile([move.width, move.height], 2)).astype(value.dtype)


def _keypoints_before(value: Float[np.ndarray, "... points 3"], move: Move) -> Float[np.ndarray, "... points 3"]:
    """What is not in the image is zero."""
    scale, shift = move.affine()
    at = (value[..., :2] - shift) / scale
    seen = (value[..., 2] > 0) & np.all((at >= 0) & (at <= (move.width, move.height)), axis=-1)
    return np.where(seen[..., None], np.concatenate([at, value[..., 2:]], axis=-1), 0).astype(value.dtype)


def _nearest_before(value: Num[np.ndarray, "height width *channels"], move: Move, fill: float) -> np.ndarray:
    scale, shift = move.affine()
    x, y = (
        np.floor((np.arange(count) + 0.5) * scale[axis] + shift[axis]).astype(int)
        for axis, count in enumerate((move.width, move.height))
    )
    height, width = value.shape[:2]
    found = value[y.clip(0, height - 1)[:, None], x.clip(0, width - 1)]
    found[(y < 0) | (y >= height)] = fill
    found[:, (x < 0) | (x >= width)] = fill
    return found


def _flow_before(value: Float[np.ndarray, "side side 2"], move: Move) -> Float[np.ndarray, "height width 2"]:
    """Vectors grow back with the image."""
    scale, _ = move.affine()
    return _nearest_before(value, move, math.nan) / np.float32(scale)


UNFRAME: dict[Kind, Callable[[Any, Move], Any]] = {
    Kind.BOXES: _boxes_before,
    Kind.KEYPOINTS: _keypoints_before,
    Kind.NORMALS: lambda value, move: _nearest_before(value, move, math.nan),
    Kind.LABEL_MAP: lambda value, move: _nearest_before(value, move, move.facts.ignore),
    Kind.MAP: lambda value, move: _nearest_before(value, move, math.nan),
    Kind.FLOW: _flow_before,
}
"""The way back of `FRAME`, for the kinds that a task predicts."""
