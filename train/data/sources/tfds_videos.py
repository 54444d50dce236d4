"""Videos of TFDS data sets, whose frames are images: read as these are stored, without TensorFlow."""

import contextlib
from collections.abc import Iterator
from typing import Any

from tensorflow_datasets import features as kinds
from tensorflow_datasets.core.features import video_feature


class StoredFrames(kinds.Sequence):
    """What a set declares as `tfds.features.Video`: the bytes of each frame's image."""

    video_shape: tuple[int | None, ...]
    """Frames, height, width and channels; None varies."""

    @classmethod
    def declared(cls, value: Any) -> "StoredFrames":
        """As the features of a data set say; a json dictionary in old ones, else a message."""
        shape = value["shape"] if isinstance(value, dict) else value.shape.dimensions
        found = cls(kinds.Text())
        found.video_shape = tuple(None if side in (None, -1, 0) else int(side) for side in shape)
        return found


@contextlib.contextmanager
def stored_frames() -> Iterator[None]:
    """Data sets that are opened in the block have `StoredFrames` where TFDS would ask for TensorFlow."""
    before = video_feature.Video.__dict__["from_json_content"]
    video_feature.Video.from_json_content = StoredFrames.declared
    try:
        yield
    finally:
        video_feature.Video.from_json_content = before
