"""Images with a mask file each, whose pixels hold the number of their object: the layout of Penn-Fudan.

Wang, Shi, Song and Shen, 2007, Object Detection Combining Recognition and Segmentation.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int

from train.config import DataError
from train.data.decode import opened
from train.data.fields import Facts, Kind, Spec
from train.data.select import held_out_count
from train.data.source import Source, Subset
from train.data.sources.folder import SUFFIXES
from train.data.sources.objects import ObjectSource, held_out_rows, of_objects

LAYOUTS = (("PNGImages", "PedMasks", "pedestrian"), ("images", "masks", "object"))
"""Folders of images and of masks, and what the objects are."""


class MaskSource(ObjectSource):
    """Images with the masks of objects, their boxes (around them, in whole pixels) and their one class.

    Each mask file is read when the source is made, for the boxes, and again when its example is asked for.

    Args:
      name: for messages.
      images: the image files.
      masks: the mask file of each: 0 where there is no object, else the object's number.
      label: what the objects are.
      any_size: whether images may differ in size.
    """

    def __init__(self, name: str, images: list[Path], masks: list[Path], label: str, any_size: bool) -> None:
        with ThreadPoolExecutor() as pool:
            looked = list(pool.map(_size_and_boxes, masks))
        most = max((len(boxes) for _, boxes in looked), default=0)
        fields: Spec = {
            "boxes": of_objects(Kind.BOXES, (4,), "float32", most),
            "classes": of_objects(Kind.LABEL, (), "int32", most),
            "masks": of_objects(Kind.MASKS, (None, None), "bool", most),
        }
        sizes = np.array([size for size, _ in looked], np.int64).reshape(-1, 2)
        super().__init__(name, images, sizes, fields, Facts((label,)), any_size)
        self.masks = masks
        self._boxes = [boxes for _, boxes in looked]

    def objects(self, row: int, name: str) -> Any:
        """See `ObjectSource`."""
        if name == "boxes":
            return self._boxes[row]
        if name == "classes":
            return np.zeros(len(self._boxes[row]), np.int32)
        pixels = read_numbers(self.masks[row])
        return pixels == np.unique(pixels[pixels != 0])[:, None, None]


def masks(path: str, split: Literal["train", "test"], any_size: bool = False, held_out: int = 0) -> Source:
    """The images of one split, see `masks_splits`."""
    return masks_splits(path, any_size, held_out)[split]


def masks_splits(path: str, any_size: bool = False, held_out: int = 0) -> Mapping[str, Source]:
    """The images of a folder, "train" and "test": some are held out, by a fixed seed.

    Args:
      path: has PNGImages/NAME.png and PedMasks/NAME_mask.png (pedestrians), or images/NAME.* and masks/NAME.png
        (objects); an image whose mask is 0 everywhere has no object.
      any_size: whether images may differ in size.
      held_out: images of the test; 0: a fifth.

    Raises:
      DataError: a folder or a mask is missing, or a file cannot be read.
    """
    root = Path(path).expanduser()
    found = [each for each in LAYOUTS if (root / each[0]).is_dir() and (root / each[1]).is_dir()]
    if not found:
        wanted = " or ".join(f"{images}/ and {numbers}/" for images, numbers, _ in LAYOUTS)
        raise DataError(f"{root}: expected {wanted}, found {'neither' if root.is_dir() else 'no such folder'}")
    images, numbers, label = found[0]
    files = sorted(file for file in (root / images).iterdir() if file.suffix.lower() in SUFFIXES)
    of = [_mask_of(file, root / numbers) for file in files]
    name = f"masks:{path}"
    whole = MaskSource(name, files, of, label, any_size)
    train, test = held_out_rows(len(whole), held_out_count(len(whole), held_out, name))
    return {"train": Subset(whole, train), "test": Subset(whole, test)}


def read_numbers(file: Path) -> Int[np.ndarray, "height width"]:
    """The number of the object at each pixel.

    Raises:
      DataError: the file is no image of one number a pixel.
    """
    with opened(file, file) as image:
        pixels = np.asarray(image)
    if pixels.ndim != 2:
        raise DataError(f"{file}: expected one number a pixel (grey or palette), found shape {pixels.shape}")
    return pixels.astype(np.int32)


def boxes_of(
    pixels: Int[np.ndarray, "height width"], numbers: Int[np.ndarray, "objects"]
) -> Float[np.ndarray, "objects 4"]:
    """Left, top, right and bottom of each object.

    >>> boxes_of(np.array([[0, 7, 7], [0, 0, 7]]), np.array([7])).tolist()
    [[1.0, 0.0, 3.0, 2.0]]
    """
    boxes = np.zeros((len(numbers), 4), np.float32)
    for box, number in zip(boxes, numbers, strict=True):
        rows, columns = np.nonzero(pixels == number)
        box[:] = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    return boxes


def _mask_of(image: Path, folder: Path) -> Path:
    for name in (f"{image.stem}_mask.png", f"{image.stem}.png"):
        if (folder / name).is_file():
            return folder / name
    raise DataError(f"{image}: expected its mask as {folder / image.stem}_mask.png or {image.stem}.png, found neither")


def _size_and_boxes(file: Path) -> tuple[tuple[int, int], Float[np.ndarray, "objects 4"]]:
    pixels = read_numbers(file)
    return pixels.shape, boxes_of(pixels, np.unique(pixels[pixels != 0]))
