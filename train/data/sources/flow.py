"""Pairs of frames with files of their flow: folders of triples, Flying Chairs, MPI-Sintel and KITTI.

Dosovitskiy et al., 2015, FlowNet (Flying Chairs); Butler et al., 2012, A Naturalistic Open Source Movie for Optical
Flow Evaluation (Sintel); Menze and Geiger, 2015, Object Scene Flow for Autonomous Vehicles (KITTI).
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Int

from train.config import DataError
from train.data.decode import opened, rgb
from train.data.fields import NO_FACTS, Field, Kind
from train.data.flow_files import flow_size, read_flow
from train.data.select import held_out_count
from train.data.source import Example, Source, Subset
from train.data.sources.folder import SUFFIXES
from train.data.sources.objects import held_out_rows, pixels_of

PASSES = ("clean", "final", "albedo")
"""Sintel's frames: the first of these folders that is there."""
KITTI_FRAMES, KITTI_FLOWS, KITTI_VISIBLE = ("image_2", "colored_0", "image_0"), "flow_occ", "flow_noc"
_ENDINGS = (("_1", "_2", ""), ("_img1", "_img2", "_flow"), ("_1", "_2", "_flow"))
"""Of the names of a triple: first frame, second frame, flow."""


class Pair(NamedTuple):
    """The files of an example."""

    first: Path
    second: Path
    flow: Path
    occluded: Path | None = None
    """An image that is not 0 where the second frame does not show a pixel, or a flow that is known elsewhere alone."""
    invalid: Path | None = None
    """An image that is not 0 where the flow means nothing."""


class FlowSource(Source):
    """Pairs of frames with the flow from the first to the second, nan where it is unknown.

    Args:
      name: for messages.
      pairs: the files.
      any_size: whether pairs may differ in size.

    Raises:
      DataError: there are none, a flow cannot be read, or sizes differ and must not.
    """

    def __init__(self, name: str, pairs: list[Pair], any_size: bool) -> None:
        self.name, self.facts, self.pairs = name, NO_FACTS, pairs
        if not pairs:
            raise DataError(f"{name}: expected pairs of frames with their flow, found none")
        self._sizes = np.array([flow_size(pair.flow) for pair in pairs], np.int64)
        if not any_size and (other := np.flatnonzero(np.any(self._sizes != self._sizes[0], axis=1))).size:
            (height, width), (h, w) = self._sizes[0], self._sizes[other[0]]
            raise DataError(
                f"{pairs[other[0]].flow}: expected {height}x{width} pixels (height x width) as {pairs[0].flow} has,"
                f" found {h}x{w}; cut windows of one size with --data.crop PIXELS"
            )
        height, width = (None, None) if any_size else (int(side) for side in self._sizes[0])
        image = Field(Kind.IMAGE, (height, width, 3), "uint8")
        self.spec = {"image": image, "second": image, "flow": Field(Kind.FLOW, (height, width, 2), "float32")}
        if all(pair.occluded for pair in pairs):
            self.spec["occluded"] = Field(Kind.LABEL_MAP, (height, width), "int32")

    @property
    def sizes(self) -> Int[np.ndarray, "pairs 2"]:
        """Height and width of each pair, as its flow has them."""
        return self._sizes

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, row: int) -> Example:
        return {name: self.peek(row, name) for name in self.spec}

    def peek(self, row: int, field: str) -> Any:
        """One field of an example; no other file is read."""
        pair, (height, width) = self.pairs[row], (int(side) for side in self._sizes[row])
        match field:
            case "image" | "second":
                return pixels_of(pair.first if field == "image" else pair.second, height, width)
            case "flow":
                flow = read_flow(pair.flow)
                if pair.invalid is not None:
                    flow[_marked(pair.invalid, height, width)] = np.nan
                return flow
        if pair.occluded.parent.name == KITTI_VISIBLE:
            unseen = np.isnan(read_flow(pair.occluded)).any(axis=-1)
        else:
            unseen = _marked(pair.occluded, height, width)
        return unseen.astype(np.int32)


def flow(path: str, split: Literal["train", "test"], any_size: bool = False, held_out: int = 0) -> Source:
    """The pairs of one split, see `flow_splits`."""
    return flow_splits(path, any_size, held_out)[split]


def flow_splits(path: str, any_size: bool = False, held_out: int = 0) -> Mapping[str, Source]:
    """The pairs of a folder, "train" and "test": some are held out, by a fixed seed.

    Args:
      path: has one of these, frames in any format:
        - NAME_1.png, NAME_2.png and NAME.flo, or NAME_img1, NAME_img2 and NAME_flow.flo as Flying Chairs;
        - frame_0001.png, frame_0002.png, ... and frame_0001.flo, ...;
        - clean (or final), flow and if there are occlusions and invalid, in each SCENE/frame_0001, as Sintel, or a
          folder `training` that has them;
        - image_2/NAME_10.png and NAME_11.png, flow_occ/NAME_10.png and flow_noc, as KITTI 2015, or `training`.
      any_size: whether pairs may differ in size.
      held_out: pairs of the test; 0: a fifth. Neighbours in a film look alike: a test by scenes is a folder of its own.

    Raises:
      DataError: none of these is there, a frame is missing, or a file cannot be read.
    """
    root = Path(path).expanduser()
    if (root / "training").is_dir():
        root = root / "training"
    if not root.is_dir():
        raise DataError(f"{root}: no such folder")
    whole = FlowSource(f"flow:{path}", list(_pairs(root)), any_size)
    train, test = held_out_rows(len(whole), held_out_count(len(whole), held_out, whole.name))
    return {"train": Subset(whole, train), "test": Subset(whole, test)}


def _pairs(root: Path) -> Iterator[Pair]:
    if (root / KITTI_FLOWS).is_dir():
        return _of_kitti(root)
    if (root / "flow").is_dir():
        return _of_sintel(root)
    return _of_triples(root)


def _of_triples(root: Path) -> Iterator[Pair]:
    frames = {file.stem: file for file in sorted(root.iterdir()) if file.suffix.lower() in SUFFIXES}
    for file in sorted(root.glob("*.flo")):
        found = []
        for first, second, ending in _ENDINGS:
            if file.stem.endswith(ending):
                name = file.stem[: len(file.stem) - len(ending)]
                found.append((name + first, name + second))
        found.append((file.stem, following(file.stem)))
        there = [names for names in found if all(name in frames for name in names)]
        if not there:
            wanted = ", or ".join(f"{first} and {second}" for first, second in found if second)
            raise DataError(f"{file}: expected its frames {wanted}, found neither")
        first, second = there[0]
        yield Pair(frames[first], frames[second], file)


def _of_sintel(root: Path) -> Iterator[Pair]:
    there = [each for each in PASSES if (root / each).is_dir()]
    if not there:
        raise DataError(f"{root}: expected frames in {', '.join(PASSES)} beside flow, found none of them")
    for file in sorted((root / "flow").glob("*/*.flo")):
        scene = Path(file.parent.name)
        first, second = (_frame(root / there[0] / scene, name) for name in (file.stem, following(file.stem)))
        beside = (root / folder / scene / f"{file.stem}.png" for folder in ("occlusions", "invalid"))
        yield Pair(first, second, file, *(each if each.is_file() else None for each in beside))


def _of_kitti(root: Path) -> Iterator[Pair]:
    there = [each for each in KITTI_FRAMES if (root / each).is_dir()]
    if not there:
        raise DataError(f"{root}: expected frames in {', '.join(KITTI_FRAMES)} beside {KITTI_FLOWS}, found none")
    for file in sorted((root / KITTI_FLOWS).glob("*.png")):
        first, second = (_frame(root / there[0], name) for name in (file.stem, following(file.stem)))
        visible = root / KITTI_VISIBLE / file.name
        yield Pair(first, second, file, visible if visible.is_file() else None)


def following(name: str) -> str:
    """The name of the next frame, by the number at its end; "" of a name without one.

    >>> following("frame_0009"), following("000004_10"), following("street")
    ('frame_0010', '000004_11', '')
    """
    if not (found := re.search(r"\d+$", name)):
        return ""
    number = found.group()
    return name[: found.start()] + str(int(number) + 1).zfill(len(number))


def _frame(folder: Path, name: str) -> Path:
    for suffix in SUFFIXES:
        if (folder / f"{name}{suffix}").is_file():
            return folder / f"{name}{suffix}"
    raise DataError(f"{folder}: expected the frame {name or 'that follows'}, as {', '.join(SUFFIXES)}, found none")


def _marked(file: Path, height: int, width: int) -> Bool[np.ndarray, "height width"]:
    with opened(file, file) as image:
        pixels = np.asarray(rgb(image, file)).max(axis=-1)
    if pixels.shape != (height, width):
        raise DataError(f"{file}: expected {height}x{width} pixels as the flow has, found {pixels.shape}")
    return pixels > 0
