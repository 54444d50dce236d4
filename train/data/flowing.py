"""Clips with the optical flow between their frames, computed once and kept on disk. Lecture rows L49, L50.

Simonyan and Zisserman, 2014, Two-Stream Convolutional Networks for Action Recognition in Videos, section 3: a temporal
network sees L flow fields in a row, 2L channels. The flow is TV-L1, of its published authors and of most since.
"""

import contextlib
import hashlib
import io
import itertools
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import UInt8
from PIL import Image

from train.config import DataError, RecipeError
from train.data.decode import opened
from train.data.fields import Field, Kind
from train.data.flow_bytes import STILL_BYTE, to_bytes
from train.data.sampled import CLIP, READABLE
from train.data.source import Example, Source, Wrapped
from zoo.dense.tv_l1 import tv_l1

FLOWS = "flows"
"""Of the field."""
SETTINGS = {"attachment": 15.0, "tightness": 0.3, "num_warp": 5, "num_iter": 10}
"""Of `tv_l1`; they are a part of what the cache is asked with."""
_VERSION = 1
_WAY = f"TV-L1 {_VERSION} {SETTINGS}".encode()


def default_cache() -> Path:
    """The folder lecture-vision-zoo/flow in `XDG_CACHE_HOME`, by default ~/.cache."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "lecture-vision-zoo" / "flow"


class Flowing(Wrapped):
    """The clips of another source, with the flow from each frame to the next of its clip: the field `flows`.

    Where an example has several clips, one after the other, there is none from one clip to the next. Each pair of
    frames is computed once, by whichever process comes first, and read from the cache from then on.

    Args:
      source: with clips.
      clips: of an example.
      cache: the folder of the cache; None: see `default_cache`.

    Raises:
      RecipeError: clips have one frame, and nothing moves.
    """

    def __init__(self, source: Source, clips: int = 1, cache: str | Path | None = None) -> None:
        frames, height, width, _ = source.spec[CLIP].shape
        if frames // clips < 2:
            raise RecipeError(f"data.flow: expected clips of two frames or more, got data.frames {frames // clips}")
        shape = (frames - clips, height, width, 2)
        super().__init__(source, {**source.spec, FLOWS: Field(Kind.FLOWS, shape, "uint8")})
        self._clips, self._cache = clips, FlowCache(default_cache() if cache is None else Path(cache).expanduser())

    def change(self, example: Example, row: int) -> Example:
        """The example with its flow."""
        clip = np.asarray(example[CLIP])
        parts = clip.reshape(self._clips, -1, *clip.shape[1:])
        if not example.get(READABLE, True):
            height, width = clip.shape[1:3]
            return {**example, FLOWS: np.full((len(clip) - self._clips, height, width, 2), STILL_BYTE, np.uint8)}
        return {**example, FLOWS: np.concatenate([self._cache.flows(part) for part in parts])}

    def peek(self, row: int, field: str) -> Any:
        """One field of an example; flow is computed for its own alone."""
        return self[row][field] if field == FLOWS else self.source.peek(row, field)

    def reading(self, names: Sequence[str]) -> Source:
        """Without flow, which takes long, unless it is among the names."""
        return self if FLOWS in names else self.source.reading(names)


class FlowCache:
    """Flow of pairs of frames, on disk: a file a pair, found by the bytes of both and the settings of the method.

    Files appear whole or not at all, so that several processes may share a folder; one that is damaged is computed
    again. To empty the cache, remove the folder.

    Args:
      folder: where it is; made when something is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def flows(self, clip: UInt8[np.ndarray, "time height width channels"]) -> UInt8[np.ndarray, "time-1 h w 2"]:
        """The flow from each frame of a clip to the next, as `train.data.flow_bytes` has it."""
        files = [self._file(*pair) for pair in itertools.pairwise(clip)]
        found = [_read(file, clip.shape[1:3]) for file in files]
        missing = [place for place, flow in enumerate(found) if flow is None]
        for place, flow in zip(missing, _computed(clip, missing), strict=True):
            found[place] = flow
            self._write(files[place], flow)
        return np.stack(found)

    def _file(self, first: np.ndarray, second: np.ndarray) -> Path:
        digest = hashlib.sha256(_WAY + repr(first.shape).encode())
        for frame in (first, second):
            digest.update(np.ascontiguousarray(frame))
        name = digest.hexdigest()
        return self.folder / name[:2] / f"{name[2:34]}.png"

    def _write(self, file: Path, flow: UInt8[np.ndarray, "h w 2"]) -> None:
        stream = io.BytesIO()
        Image.fromarray(np.concatenate([flow[..., 0], flow[..., 1]])).save(stream, "PNG", compress_level=3)
        part = file.with_name(f".{file.name}.{os.getpid()}-{threading.get_ident()}.part")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            part.write_bytes(stream.getvalue())
            part.replace(file)
        except OSError as error:
            raise DataError(f"{file}: expected a folder for computed flow that can be written: {error.strerror}; name "
                            "another with --data.flow-cache") from error  # fmt: skip


def _read(file: Path, size: tuple[int, int]) -> UInt8[np.ndarray, "h w 2"] | None:
    """What was kept; None where it is not there, or damaged."""
    try:
        with opened(file, file) as image:
            both = np.asarray(image)
    except (DataError, OSError):
        return None
    return np.stack(np.split(both, 2), axis=-1) if both.shape == (2 * size[0], size[1]) else None


def _computed(
    clip: UInt8[np.ndarray, "time h w channels"], places: Sequence[int]
) -> Iterator[UInt8[np.ndarray, "h w 2"]]:
    """The flow from some frames to the next: all of a clip as one batch, of fewer each alone, so that there are two
    sizes to compile."""
    chunks = [places] if len(places) == len(clip) - 1 else [[place] for place in places]
    with _on_the_processor():
        for chunk in filter(len, chunks):
            first = np.asarray(chunk)
            yield from to_bytes(np.asarray(tv_l1(clip[first], clip[first + 1], **SETTINGS)))


@contextlib.contextmanager
def _on_the_processor() -> Iterator[None]:
    """Computes beside the accelerator, which trains meanwhile."""
    try:
        processor = jax.local_devices(backend="cpu")[0]
    except RuntimeError:  # there is none to be had
        yield
        return
    with jax.default_device(processor):
        yield
