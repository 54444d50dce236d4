"""What networks see of the clips of a batch: all frames, one of them, the flow between them, or a frame and the flow.

Simonyan and Zisserman, 2014, Two-Stream Convolutional Networks for Action Recognition in Videos, section 3.1: stacks of
flow, 2L channels. Lecture rows L49-L51.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from train.config import RecipeError
from train.config import Task as Settings
from train.data.fields import Kind, Spec, describe
from train.data.flowing import FLOWS
from train.data.sampled import CLIP, READABLE
from train.tasks.protocol import Batch


@dataclasses.dataclass(frozen=True)
class Seeing:
    """How a task's network sees clips."""

    frames: int
    """Of one clip; an example has one clip in training, and may have several at evaluation."""
    sees: str
    """A name of `train.config.tasks.video.Sees`."""
    mean_flow: bool
    """Whether each flow field's mean is subtracted."""
    may_break: bool
    """Whether examples say if they are readable."""

    @classmethod
    def of(cls, settings: Any, spec: Spec) -> "Seeing":
        """As a recipe says, of the fields of training examples.

        Raises:
          RecipeError: there are no clips, or no flow where that is to be seen.
        """
        _check(settings, spec)
        return cls(spec[CLIP].shape[0], settings.sees, settings.mean_flow, READABLE in spec)

    @property
    def fields(self) -> tuple[str, ...]:
        """Those of an example that it reads."""
        flow = (FLOWS,) if "flow" in self.sees else ()
        return (CLIP, *flow, *((READABLE,) if self.may_break else ()))

    def clips(self, spec: Spec) -> int:
        """How many clips an example of a source has.

        Raises:
          RecipeError: its frames are no whole number of clips.
        """
        found, rest = divmod(spec[CLIP].shape[0], self.frames)
        if rest or not found:
            raise RecipeError(f"expected clips of {self.frames} frames, found {describe({CLIP: spec[CLIP]})}")
        return found

    def real(self, batch: Batch) -> Bool[Array, "batch"]:
        """Which examples count: those that do not fill the batch up, and could be read."""
        return batch["mask"] & batch[READABLE] if self.may_break else batch["mask"]

    def inputs(self, batch: Batch, key: Key[Array, ""] | None = None) -> tuple[Float[Array, "clips ..."], ...]:
        """The network's arguments, with the clips of all examples along one axis.

        Args:
          batch: float frames, and flow of -1 to 1.
          key: draws the frame that is seen, in training; by default it is the middle one.
        """
        frames = _apart(batch[CLIP], self.frames)
        if self.sees == "clip":
            return (frames,)
        seen = []
        if "frame" in self.sees:
            count = len(frames)
            middle = jnp.full(count, self.frames // 2)
            number = middle if key is None else jax.random.randint(key, (count,), 0, self.frames)
            seen.append(_frame(frames, number))
        if "flow" in self.sees:
            seen.append(self._stack(_apart(batch[FLOWS], self.frames - 1)))
        return tuple(seen)

    def _stack(self, flows: Float[Array, "clips time height width 2"]) -> Float[Array, "clips height width channels"]:
        """x and y of the first field, then those of the next."""
        if self.mean_flow:
            flows = flows - jnp.mean(flows, axis=(2, 3), keepdims=True)
        return jnp.moveaxis(flows, 1, 3).reshape(len(flows), *flows.shape[2:4], -1)


def _apart(value: Float[Array, "batch time ..."], length: int) -> Float[Array, "clips {length} ..."]:
    """Each clip of each example alone."""
    return value.reshape(-1, length, *value.shape[2:])


def _frame(
    clips: Float[Array, "clips time height width channels"], number: Int[Array, "clips"]
) -> Float[Array, "clips height width channels"]:
    """One frame of each clip."""
    return jnp.take_along_axis(clips, number[:, None, None, None, None], axis=1)[:, 0]


def _check(settings: Settings, spec: Spec) -> None:
    if CLIP not in spec or spec[CLIP].kind != Kind.CLIP:
        raise RecipeError(f"{settings.kind} needs examples with clips; found {describe(spec)}")
    if "flow" in settings.sees and FLOWS not in spec:
        raise RecipeError(f"task.sees: {settings.sees} needs examples with flow: expected data.flow, found none")
