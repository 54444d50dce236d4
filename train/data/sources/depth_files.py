"""Colour images with a depth file each: frames as 7-Scenes has them, or a folder of images beside one of depth.

Shotton et al., 2013, Scene Coordinate Regression Forests for Camera Relocalization in RGB-D Images. Lecture row L63.
"""

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Num

from train.config import DataError
from train.data.decode import opened
from train.data.fields import Facts, Field, Kind, Spec
from train.data.select import held_out_count
from train.data.source import Source, Subset
from train.data.sources.folder import SUFFIXES
from train.data.sources.objects import ObjectSource, check_size_beside, held_out_rows
from zoo.arrays import in_a_line

INTRINSICS, SCALE = "camera-intrinsics.txt", "depth-scale.txt"
"""Files beside the images: the camera's matrix, three rows of three numbers; and how much of a PNG is a metre."""
PER_METRE = 1000.0
"""Of a PNG, where no file says: millimetres."""
UNKNOWN = (0, 65535)
"""Numbers of a PNG that mean no depth."""


class Pair(NamedTuple):
    """An image, and the file of its depth."""

    image: Path
    depth: Path


class Camera(NamedTuple):
    """A pinhole camera, in pixels; the centre of the first pixel is at (0, 0), as such files have it."""

    focal: tuple[float, float]
    centre: tuple[float, float]


class DepthSource(ObjectSource):
    """Images and their depth in metres, nan where nobody knows, and normals where the camera is known.

    Only the headers of the files are read before an example is asked for.

    Args:
      name: for messages.
      pairs: the files.
      per_metre: of the numbers of a PNG; those of a `.npy` are metres.
      camera: by which normals follow from depth; None: there are none.
      any_size: whether images may differ in size.

    Raises:
      DataError: a file cannot be read, the depth has another size than its image, or is too thin for normals.
    """

    def __init__(
        self, name: str, pairs: Sequence[Pair], per_metre: float, camera: Camera | None, any_size: bool
    ) -> None:
        with ThreadPoolExecutor() as pool:
            sizes = np.array(list(pool.map(_size, pairs)), np.int64).reshape(-1, 2)
        if camera is not None and (thin := [pair for pair, size in zip(pairs, sizes, strict=True) if min(size) < 2]):
            raise DataError(f"{thin[0].depth}: expected at least 2 x 2 pixels, of which normals can be computed")
        fields: Spec = {"depth": Field(Kind.MAP, (None, None, 1), "float32")}
        if camera is not None:
            fields = {**fields, "normals": Field(Kind.NORMALS, (None, None, 3), "float32")}
        super().__init__(name, [pair.image for pair in pairs], sizes, fields, Facts(unit="m"), any_size)
        self.depths, self.per_metre, self.camera = [pair.depth for pair in pairs], per_metre, camera

    def __getitem__(self, row: int) -> dict[str, Any]:
        depth = read_depth(self.depths[row], self.per_metre)
        found = {"depth": depth[..., None]}
        if "normals" in self.spec:
            found["normals"] = normals_of(depth, self.camera)
        return {name: found[name] if name in found else self.peek(row, name) for name in self.spec}

    def objects(self, row: int, name: str) -> Any:
        """See `ObjectSource`."""
        depth = read_depth(self.depths[row], self.per_metre)
        return depth[..., None] if name == "depth" else normals_of(depth, self.camera)


def depth_files(path: str, split: Literal["train", "test"], any_size: bool = False, held_out: int = 0) -> Source:
    """The images of one split, see `depth_files_splits`."""
    return depth_files_splits(path, any_size, held_out)[split]


def depth_files_splits(path: str, any_size: bool = False, held_out: int = 0) -> Mapping[str, Source]:
    """The images of a folder, "train" and "test": some are held out, by a fixed seed.

    Args:
      path: has NAME.color.* and NAME.depth.png (7-Scenes); or images/NAME.* and depth/NAME.png or NAME.npy. A PNG has
        16 bits a pixel, of which 0 and 65535 mean that nobody knows; its numbers are millimetres, or by
        `depth-scale.txt` so many a metre. A `.npy` has metres, and what is not positive and finite is unknown. With
        `camera-intrinsics.txt`, the camera's 3 x 3 matrix, examples have normals too.
      any_size: whether images may differ in size.
      held_out: images of the test; 0: a fifth.

    Raises:
      DataError: a folder or a depth file is missing, a file cannot be read, or its size is not the image's.
    """
    root, name = Path(path).expanduser(), f"depth:{path}"
    pairs = _pairs(root)
    camera = _camera(root / INTRINSICS) if (root / INTRINSICS).is_file() else None
    whole = DepthSource(name, pairs, _per_metre(root / SCALE), camera, any_size)
    train, test = held_out_rows(len(whole), held_out_count(len(whole), held_out, name))
    return {"train": Subset(whole, train), "test": Subset(whole, test)}


def read_depth(file: Path, per_metre: float = PER_METRE) -> Float[np.ndarray, "height width"]:
    """Depth in metres, nan where it is unknown.

    Raises:
      DataError: the file holds no depth.
    """
    if file.suffix == ".npy":
        values = np.asarray(_array(file), np.float32)
        values = values.reshape(values.shape[:2])
        return np.where(np.isfinite(values) & (values > 0), values, np.float32(np.nan))
    with opened(file, file) as image:
        values = np.asarray(image)
    if values.ndim != 2 or values.dtype.itemsize < 2:
        raise DataError(f"{file}: expected 16 bits a pixel, found {values.dtype} of shape {values.shape}")
    return np.where(np.isin(values, UNKNOWN), np.nan, values / per_metre).astype(np.float32)


def normals_of(depth: Float[np.ndarray, "height width"], camera: Camera) -> Float[np.ndarray, "height width 3"]:
    """The normals of a surface from its depth; nan beside pixels of which none is known.

    The inverse of a plane's depth is linear in the image: with its derivatives w_x and w_y over the rays (x, y, 1) the
    normal is in the direction of (-w_x, -w_y, x w_x + y w_y - w), exactly.

    >>> normals_of(np.full((2, 2), 3.0), Camera((10.0, 10.0), (0.5, 0.5)))[0, 0].tolist()  # a wall
    [0.0, 0.0, -1.0]
    """
    inverse = 1 / depth.astype(np.float64)
    x, y = (
        (np.arange(count) - centre) / focal
        for count, centre, focal in zip(depth.shape[::-1], camera.centre, camera.focal, strict=True)
    )
    down, right = np.gradient(inverse, y, x)
    vectors = np.stack([-right, -down, x * right + y[:, None] * down - inverse], axis=-1)
    vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
    return (vectors + 0.0).astype(np.float32)  # no negative zeros


def _pairs(root: Path) -> list[Pair]:
    """The files of a folder, in order.

    Raises:
      DataError: an image has no depth, or there are none.
    """
    try:
        frames = sorted(file for file in root.glob("*.color.*") if file.suffix.lower() in SUFFIXES)
        if frames:
            return [_pair(file, [root / f"{file.name.split('.color.')[0]}.depth.png"]) for file in frames]
        if (root / "images").is_dir() and (root / "depth").is_dir():
            files = sorted(file for file in (root / "images").iterdir() if file.suffix.lower() in SUFFIXES)
            if files:
                names = [[root / "depth" / f"{file.stem}{suffix}" for suffix in (".png", ".npy")] for file in files]
                return [_pair(file, wanted) for file, wanted in zip(files, names, strict=True)]
    except OSError as error:
        raise DataError(f"{root}: expected a readable folder: {in_a_line(error)}") from error
    found = "neither" if root.is_dir() else "no such folder"
    raise DataError(
        f"{root}: expected NAME.color.png and NAME.depth.png, or images in images/ and depth/, found {found}"
    )


def _pair(image: Path, wanted: list[Path]) -> Pair:
    for file in wanted:
        if file.is_file():
            return Pair(image, file)
    raise DataError(f"{image}: expected its depth as {' or '.join(map(str, wanted))}, found none")


def _camera(file: Path) -> Camera:
    """The camera of a 3 x 3 matrix.

    Raises:
      DataError: it is none.
    """
    matrix = _numbers(file)
    if matrix.shape != (9,) or not (matrix[0] > 0 and matrix[4] > 0 and np.isfinite(matrix).all()):
        raise DataError(f"{file}: expected three rows of three numbers, focal lengths of more than 0 among them")
    fx, _, cx, _, fy, cy, *_ = matrix.tolist()
    return Camera((fx, fy), (cx, cy))


def _per_metre(file: Path) -> float:
    if not file.is_file():
        return PER_METRE
    values = _numbers(file)
    if values.shape != (1,) or not (values[0] > 0 and math.isfinite(values[0])):
        raise DataError(f"{file}: expected a number of more than 0, the depth of a metre")
    return float(values[0])


def _numbers(file: Path) -> Float[np.ndarray, "numbers"]:
    try:
        return np.array(file.read_text("utf-8").split(), np.float64)
    except (OSError, ValueError) as error:
        raise DataError(f"{file}: expected numbers: {in_a_line(error)}") from error


def _array(file: Path) -> Num[np.ndarray, "height width *one"]:
    """The numbers of a `.npy`, of which only the header is read before they are asked for.

    Raises:
      DataError: it is none, or has more than one number a pixel.
    """
    try:
        values = np.load(file, mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{file}: expected an array of numbers: {in_a_line(error)}") from error
    if not isinstance(values, np.ndarray):
        raise DataError(f"{file}: expected one array, found several in one file")
    if values.dtype.kind not in "fiu" or values.ndim not in (2, 3) or values.shape[2:] not in ((), (1,)):
        raise DataError(f"{file}: expected one number a pixel, found {values.dtype} of shape {values.shape}")
    return values


def _size(pair: Pair) -> tuple[int, int]:
    """Height and width of a depth file and its image, by their headers.

    Raises:
      DataError: they differ.
    """
    if pair.depth.suffix == ".npy":
        height, width = _array(pair.depth).shape[:2]
    else:
        with opened(pair.depth, pair.depth) as depth:
            width, height = depth.size
    check_size_beside(pair.depth, height, width, pair.image)
    return height, width
