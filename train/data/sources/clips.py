"""Folders of videos: root/CLASS/**/clip.mp4, or folders of frames; root/train/CLASS and root/test/CLASS (or val).

Soomro, Zamir and Shah, 2012, UCF101: videos named v_CLASS_gNN_cMM are parts of one film where NN is the same, and
are held out together, unless lists say what the test is: see `split_lists.py`, and `kinetics_lists.py`.
"""

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Int

from train.config import DataError
from train.data.fields import Facts, Field, Kind
from train.data.recordings import FolderRecording, VideoRecording
from train.data.sampled import CLIP
from train.data.select import no_held_out_count
from train.data.source import Example, Source
from train.data.sources.folder import SUFFIXES as IMAGES
from train.data.sources.folder import Labelled, divided, images_in, listed, splits_of_classes
from train.data.sources.kinetics_lists import SUFFIX as KINETICS
from train.data.sources.kinetics_lists import Known, kinetics_lists
from train.data.sources.split_lists import parted, split_lists
from train.data.video_file import SUFFIXES

_VIDEOS = SUFFIXES | {".gif"}
_PART_OF_FILM = re.compile(r"_g(\d+)_c\d+$")


class ClipSource(Labelled):
    """Videos that lie in files or folders of frames, as recordings: nothing is decoded before frames are asked for.

    Args:
      name: for messages.
      files: video files, and folders of frames.
      labels: of each.
      class_names: what they mean.
      any_size: whether videos may differ in size; else their headers are read, and those that can be have to agree.

    Raises:
      DataError: two that can be read differ in size, and must not.
    """

    def __init__(
        self, name: str, files: list[Path], labels: list[int], class_names: tuple[str, ...], any_size: bool
    ) -> None:
        self.name, self.facts, self.files = name, Facts(class_names), files
        self.labels = np.array(labels, np.int32)
        height, width = (None, None) if any_size else self._one_size()
        clip = Field(Kind.CLIP, (None, height, width, 3), "uint8")
        self.spec = {CLIP: clip, "label": Field(Kind.LABEL, (), "int32")}

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, row: int) -> Example:
        return {name: self.peek(row, name) for name in self.spec}

    @property
    def groups(self) -> Int[np.ndarray, "rows"] | None:
        """The film that each video is a part of, where their names say so."""
        return _films(self.files)

    def peek(self, row: int, field: str) -> Any:
        """One field of an example; its label is known from its folder."""
        return self.labels[row] if field == "label" else recording_of(self.files[row])

    def _one_size(self) -> tuple[int | None, int | None]:
        with ThreadPoolExecutor() as pool:
            sizes = list(pool.map(_size, self.files))
        known = [(file, size) for file, size in zip(self.files, sizes, strict=True) if size is not None]
        for file, size in known:
            if size != known[0][1]:
                (height, width), (h, w) = known[0][1], size
                raise DataError(
                    f"{file}: expected {height}x{width} pixels (height x width) as {known[0][0]} has, found {h}x{w};"
                    " cut windows of one size with --data.crop PIXELS"
                )
        return known[0][1] if known else (None, None)


def recording_of(path: Path) -> FolderRecording | VideoRecording:
    """A video file, or the frames of a folder.

    Raises:
      DataError: the folder has none.
    """
    return FolderRecording(_frames_in(path)) if path.is_dir() else VideoRecording(path)


def _size(path: Path) -> tuple[int, int] | None:
    """Height and width; of a broken video none, which is left out later."""
    try:
        return recording_of(path).size()
    except DataError:
        return None


def _frames_in(path: Path) -> tuple[Path, ...]:
    """The frames of a folder: frame_2 comes before frame_10."""
    return tuple(sorted(images_in(path), key=lambda file: _natural(file.name)))


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def clips(path: str, split: Literal["train", "test"], any_size: bool = False, held_out: int = 0) -> Source:
    """The videos of one split, see `clips_splits`."""
    return clips_splits(path, any_size, held_out)[split]


def clips_splits(path: str, any_size: bool = False, held_out: int = 0) -> dict[str, Source]:
    """The videos of a folder, "train" and "test", labelled by their class folder's name in alphabetical order.

    A class folder holds video files (`train.data.video_file.SUFFIXES`, and GIFs), folders of frames, and further
    folders of these. Splits are those of `train.data.sources.folder.folder_splits`; videos that are parts of one film
    by their names, as those of UCF101, are held out together. PATH@LIST has the splits of lists instead, see
    `train.data.sources.split_lists`, and `train.data.sources.kinetics_lists` for Kinetics' csv.

    Args:
      path: the folder, or PATH@LIST.
      any_size: whether videos may differ in size.
      held_out: videos of the test where no folder says which they are; 0: a fifth.

    Raises:
      DataError: a video lies outside a class folder, a class is empty, or known in one split only, or videos differ in
        size and must not; and what is wrong with lists.
    """
    name = f"clips:{path}"
    folder, names = parted(path)

    def source(classes: dict[str, list[Path]]) -> ClipSource:
        files = [file for files in classes.values() for file in files]
        labels = [label for label, files in enumerate(classes.values()) for _ in files]
        return ClipSource(name, files, labels, tuple(classes), any_size)

    if names is None:
        return splits_of_classes(path, name, held_out, _classes, source, _films)
    no_held_out_count(held_out, name)
    known = _known(Path(folder).expanduser(), names)
    of_class: dict[str, list[Path]] = {label: [] for label in known.classes}
    for label, file in (*known.clips["train"], *known.clips["test"]):
        of_class[label].append(file)
    whole, is_of_test = source(of_class), {file for _, file in known.clips["test"]}
    return divided(whole, np.array([file in is_of_test for file in whole.files]))


def _known(root: Path, names: Path) -> Known:
    """What lists say: Kinetics', or those that name a class folder."""
    if names.suffix == KINETICS:
        return kinetics_lists(root, names)
    found = split_lists(root, names)
    classes = tuple(sorted({file.parent.name for file in found["train"]}))
    return Known(classes, {split: [(file.parent.name, file) for file in files] for split, files in found.items()})


def _films(files: Sequence[Path]) -> Int[np.ndarray, "rows"] | None:
    """The film that each video is a part of, by its name; None where one does not say."""
    found = [_PART_OF_FILM.search(file.stem) for file in files]
    return np.array([int(each.group(1)) for each in found]) if all(found) else None


def _classes(root: Path) -> dict[str, list[Path]]:
    """The videos of each class folder, sorted by name."""
    classes = {}
    for path, is_folder in listed(root):
        if is_folder:
            classes[path.name] = _videos(path)
        elif path.suffix.lower() in _VIDEOS:
            raise DataError(f"{path}: expected every video in a class folder {root}/CLASS/, found it outside")
    if not classes:
        raise DataError(f"{root}: expected class folders, found none")
    return classes


def videos_in(folder: Path) -> list[Path]:
    """The video files that lie in a folder itself, by name.

    Raises:
      DataError: it cannot be read.
    """
    return [path for path, is_folder in listed(folder) if not is_folder and path.suffix.lower() in _VIDEOS]


def _videos(top: Path) -> list[Path]:
    """The video files and folders of frames below a class folder."""
    found, waiting = [], [(top, frozenset[Path]())]
    while waiting:
        path, above = waiting.pop()
        here = path.resolve()
        if here in above:
            raise DataError(f"{path}: expected a folder of videos, found a link back to {here}")
        inside = listed(path)
        has_frames = any(each.suffix.lower() in IMAGES for each, is_folder in inside if not is_folder)
        if has_frames and path == top:
            raise DataError(f"{path}: expected videos, and a folder of its own for the frames of each, found images")
        if has_frames:
            found.append(path)
        found += [each for each, is_folder in inside if not is_folder and each.suffix.lower() in _VIDEOS]
        waiting += [(each, above | {here}) for each, is_folder in inside if is_folder]
    if not found:
        raise DataError(f"{top}: expected videos ({' '.join(sorted(_VIDEOS))}) or folders of frames, found none")
    return sorted(found, key=lambda path: path.parts)
