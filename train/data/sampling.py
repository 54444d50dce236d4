"""Which frames of a video a clip has: in a row, spread evenly, or one of each segment; by number or by time.

Wang et al., 2016, Temporal Segment Networks, section 3.1 (segments); Carreira and Zisserman, 2017, Quo Vadis, Action
Recognition?, section 3 (frames in a row, at one rate). Lecture rows L49-L51.
"""

import dataclasses
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from train.config import Data, DataError

DEFAULT_FRAMES = 16
"""Of a clip, where the recipe does not say."""
_ROUNDING = 1e-6  # of a frame

Times = Float[np.ndarray, "frames"]
"""When each frame of a video appears, in seconds."""


class TooShortError(DataError):
    """A video has fewer frames than a clip needs."""


@dataclasses.dataclass(frozen=True)
class Sampling:
    """How clips are taken from a video of any length.

    >>> Sampling(4).still(np.arange(10) / 25).tolist()
    [3, 4, 5, 6]
    >>> Sampling(4, "segments").still(np.arange(10) / 25).tolist()
    [1, 3, 6, 8]
    """

    frames: int
    """Of a clip."""
    how: Literal["dense", "uniform", "segments"] = "dense"
    """dense: frames in a row, from anywhere in training; uniform: from the middle of parts of equal length, over the
    whole video; segments: the same, but from anywhere in its part in training."""
    stride: int = 1
    """Of dense frames: from one to the next."""
    rate: float = 0.0
    """Frames a second that the video is looked at with, whatever it has; 0: those that it has."""
    clips: int = 1
    """Of a video, at evaluation: dense ones spread evenly from its beginning to its end, others a little apart."""

    @property
    def draws(self) -> bool:
        """Whether training takes other frames in each epoch."""
        return self.how != "uniform"

    @property
    def least(self) -> int:
        """Frames that a video has to have, at this rate."""
        return (self.frames - 1) * self.stride + 1 if self.how == "dense" else self.frames

    def still(self, times: Times) -> Int[np.ndarray, "clips*frames"]:
        """The frames that evaluation sees, clip after clip.

        Raises:
          TooShortError: the video is too short.
        """
        shown = self._shown(times)
        if self.how == "dense":
            spare = len(shown) - self.least
            starts = np.linspace(0, spare, self.clips) if self.clips > 1 else np.array([spare / 2])
            places = np.floor(starts + _ROUNDING).astype(int)[:, None] + self._steps()
        else:
            inside = (np.arange(self.clips)[:, None] + 0.5) / self.clips
            places = self._parts(len(shown), inside)
        return shown[places.ravel()]

    def windows(self, times: Times) -> Int[np.ndarray, "windows frames"]:
        """The clips of the whole video: dense ones follow each other, and the last ends with it; others are one.

        Raises:
          TooShortError: the video is too short.

        >>> Sampling(3).windows(np.arange(7) / 25).tolist()
        [[0, 1, 2], [3, 4, 5], [4, 5, 6]]
        """
        if self.how != "dense":
            return dataclasses.replace(self, clips=1).still(times)[None]
        shown = self._shown(times)
        last = len(shown) - self.least
        starts = np.unique(np.minimum(np.arange(0, last + self.least, self.least), last))
        return shown[starts[:, None] + self._steps()]

    def drawn(self, times: Times, random: np.random.Generator) -> Int[np.ndarray, "frames"]:
        """The frames that training sees this time.

        Raises:
          TooShortError: the video is too short.
        """
        shown = self._shown(times)
        match self.how:
            case "dense":
                return shown[int(random.integers(len(shown) - self.least + 1)) + self._steps()]
            case "segments":
                return shown[self._parts(len(shown), random.random(self.frames))]
        return shown[self._parts(len(shown), np.full(self.frames, 0.5))]

    def _steps(self) -> Int[np.ndarray, "frames"]:
        return np.arange(self.frames) * self.stride

    def _parts(self, count: int, inside: Float[np.ndarray, "..."]) -> Int[np.ndarray, "... frames"]:
        """A frame of each part, where `inside` it, from 0 to 1."""
        return np.floor((np.arange(self.frames) + inside) * count / self.frames + _ROUNDING).astype(int)

    def _shown(self, times: Times) -> Int[np.ndarray, "shown"]:
        """The number of the frame that is seen at each moment in which the video is looked at."""
        shown = np.arange(len(times))
        if self.rate and len(times):
            since = times - times[0]
            last = float(np.median(np.diff(since))) if len(times) > 1 else 1 / self.rate  # is seen as long as others
            moments = np.arange(max(int((since[-1] + last) * self.rate + _ROUNDING), 1)) / self.rate
            shown = np.searchsorted(since, moments + _ROUNDING / self.rate, side="right") - 1
        if len(shown) < self.least:
            at = f" at {self.rate:g} a second" if self.rate else ""
            apart = f", {self.stride} apart" if self.how == "dense" and self.stride > 1 else ""
            raise TooShortError(
                f"expected at least {self.least} frames{at} for a clip of {self.frames}{apart}, found {len(shown)}"
            )
        return shown


def sampling_of(config: Data, split: Literal["train", "test"], has: int | None = None) -> Sampling:
    """How a recipe takes clips from the videos of a split; the test has several of a video.

    Args:
      config: the data of a recipe.
      split: which.
      has: frames of every video, where they have as many: by default all of them are a clip.
    """
    frames = config.frames or has or DEFAULT_FRAMES
    clips = config.clips if split == "test" else 1
    return Sampling(frames, config.sampling, config.stride, config.rate, clips)
