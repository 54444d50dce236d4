"""What framing does to a field, by its kind: the rules of `train.data.framing`, which draws what is done."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Num, UInt8
from PIL import Image

from train.data.fields import VISIBLE, Facts, Kind
from train.data.flow_bytes import of_bytes, to_bytes


class Crop(NamedTuple):
    """Keep a part of an image, in pixels; it may reach over the right and the bottom border."""

    left: int
    top: int
    right: int
    bottom: int


class Resize(NamedTuple):
    """Make it this large, in pixels."""

    width: int
    height: int


Steps = tuple[Crop | Resize, ...]


class Move(NamedTuple):
    """What happens to all fields of an example."""

    steps: Steps
    width: int
    """Of the example, in pixels."""
    height: int
    facts: Facts

    def affine(self) -> Float[np.ndarray, "2 2"]:
        """Where points go: x and y times the first, plus the second."""
        scale, shift, size = np.ones(2), np.zeros(2), np.array([self.width, self.height])
        for step in self.steps:
            if isinstance(step, Crop):
                shift, size = shift - step[:2], np.array(step[2:]) - step[:2]
            else:
                scale, shift, size = scale * step / size, shift * step / size, np.array(step)
        return np.stack([scale, shift])

    def size(self) -> tuple[int, int]:
        """Width and height afterwards."""
        last = self.steps[-1]
        return (last.right - last.left, last.bottom - last.top) if isinstance(last, Crop) else last


def bilinear(image: Image.Image, steps: Steps) -> np.ndarray:
    """A picture framed by Pillow, antialiased; black comes in from outside."""
    for step in steps:
        image = image.crop(step) if isinstance(step, Crop) else image.resize(step, Image.Resampling.BILINEAR)
    return np.asarray(image)


def _nearest(value: Num[np.ndarray, "... height width"], steps: Steps, fill: int) -> Num[np.ndarray, "... side side"]:
    """Each pixel from the one in which its centre lies; `fill` comes in from outside."""
    for step in steps:
        height, width = value.shape[-2:]
        if isinstance(step, Crop):
            value = value[..., step.top : step.bottom, step.left : step.right]
            beyond = max(step.bottom - height, 0), max(step.right - width, 0)
            around = [(0, 0)] * (value.ndim - 2) + [(0, count) for count in beyond]
            value = np.pad(value, around, constant_values=fill)
        else:
            rows, columns = _nearest_of(height, step.height), _nearest_of(width, step.width)
            value = value[..., rows[:, None], columns]
    return value


def _nearest_of(count: int, wanted: int) -> Int[np.ndarray, "wanted"]:
    """Which of so many pixels in a row Pillow takes."""
    numbers = Image.fromarray(np.arange(count, dtype=np.int32)[None])
    return np.asarray(numbers.resize((wanted, 1), Image.Resampling.NEAREST))[0]


def _image(value: UInt8[np.ndarray, "height width channels"], move: Move) -> UInt8[np.ndarray, "side side 3"]:
    picture = Image.fromarray(value[..., 0] if value.shape[-1] == 1 else value)
    return bilinear(picture.convert("RGB"), move.steps)


def _clip(value: UInt8[np.ndarray, "time height width channels"], move: Move) -> np.ndarray:
    return np.stack([_image(frame, move) for frame in value])


def _label_map(value: Int[np.ndarray, "height width"], move: Move) -> Int[np.ndarray, "side side"]:
    return _nearest(value, move.steps, move.facts.ignore)


def _masks(value: Bool[np.ndarray, "objects height width"], move: Move) -> Bool[np.ndarray, "objects side side"]:
    return _nearest(value, move.steps, 0)


def _map(value: Num[np.ndarray, "height width channels"], move: Move) -> Float[np.ndarray, "side side channels"]:
    """Outside nobody knows: nan."""
    planes = [bilinear(Image.fromarray(plane), move.steps) for plane in np.moveaxis(np.float32(value), -1, 0)]
    known = _nearest(np.ones(value.shape[:2], bool), move.steps, 0)
    return np.where(known[..., None], np.stack(planes, axis=-1), np.float32(np.nan))


def _flow(value: Float[np.ndarray, "height width 2"], move: Move) -> Float[np.ndarray, "side side 2"]:
    """Vectors grow with the image."""
    scale, _ = move.affine()
    return _map(value, move) * np.float32(scale)


def _flows(value: UInt8[np.ndarray, "time height width 2"], move: Move) -> UInt8[np.ndarray, "time side side 2"]:
    """Each as a flow; no motion comes in from outside."""
    return to_bytes(np.nan_to_num(np.stack([_flow(each, move) for each in of_bytes(value)])))


def _normals(value: Float[np.ndarray, "height width 3"], move: Move) -> Float[np.ndarray, "side side 3"]:
    """Mixed with their neighbours and again of length one.

    They are directions in front of the camera, not in the image: a stretched image is one of another lens, and the
    surfaces that it shows are turned as before.
    """
    mixed = _map(value, move)
    length = np.linalg.norm(mixed, axis=-1, keepdims=True)
    return mixed / np.where(length == 0, 1, length)


def _boxes(value: Float[np.ndarray, "objects 4"], move: Move) -> Float[np.ndarray, "objects 4"]:
    """Cut off at the border of the image, before and after."""
    scale, shift = (np.tile(part, 2) for part in move.affine())
    inside = np.clip(value, 0, np.tile([move.width, move.height], 2))
    return np.clip(inside * scale + shift, 0, np.tile(move.size(), 2)).astype(value.dtype)


def there(boxes: Float[np.ndarray, "objects 4"]) -> Bool[np.ndarray, "objects"]:
    """Whether something is left of each."""
    return np.all(boxes[:, 2:] - boxes[:, :2] > VISIBLE, axis=1)


def _keypoints(value: Float[np.ndarray, "... points 3"], move: Move) -> Float[np.ndarray, "... points 3"]:
    """What is not in the image is zero, as what was not before."""
    scale, shift = move.affine()
    at = value[..., :2] * scale + shift
    seen = (value[..., 2] > 0) & np.all((at >= 0) & (at <= move.size()), axis=-1)
    return np.where(seen[..., None], np.concatenate([at, value[..., 2:]], axis=-1), 0).astype(value.dtype)


FRAME: dict[Kind, Callable[[Any, Move], Any]] = {
    Kind.IMAGE: _image,
    Kind.CLIP: _clip,
    Kind.LABEL_MAP: _label_map,
    Kind.MAP: _map,
    Kind.FLOW: _flow,
    Kind.FLOWS: _flows,
    Kind.NORMALS: _normals,
    Kind.BOXES: _boxes,
    Kind.KEYPOINTS: _keypoints,
    Kind.MASKS: _masks,
}
"""What framing does to a field of each kind; those of `STILL` stay as they are, and another kind is refused."""
