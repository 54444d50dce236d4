"""Feeds: how batches reach the step. Small sets stay on the device; large ones arrive batch by batch."""

from typing import Any, Protocol

import jax
import numpy as np
from jaxtyping import PyTree

from train.data import GrainPipeline, MemoryPipeline, gather
from train.placement import Augment, MeshPlacement
from train.state import TrainState
from train.step import Update
from train.tasks.protocol import Sums


class Feed(Protocol):
    """Runs steps on the batches that come next."""

    steps_per_dispatch: int
    """The most steps that one call of `advance` runs."""

    def advance(self, state: TrainState, step: int, count: int) -> tuple[TrainState, Sums, np.ndarray]:
        """Runs `count` steps from `step` on.

        Returns:
          the new state, the metric sums of each step (a leading axis of `count`, or scalars for one
          step), and the examples' rows in the source, (count, batch), for error messages.
        """

    def state(self, step: int) -> dict[str, Any]:
        """What a checkpoint after `step` steps must hold to go on with the same batches."""

    def restore(self, saved: dict[str, Any]) -> None:
        """Goes back to what `state` returned."""

    def close(self) -> None:
        """Stops workers."""


class MemoryFeed:
    """All examples on the device; a step gathers its batch there, and several steps may share one dispatch."""

    def __init__(
        self,
        pipeline: MemoryPipeline,
        placement: MeshPlacement,
        augment: Augment,
        update: Update,
        steps_per_dispatch: int,
    ) -> None:
        self.steps_per_dispatch = steps_per_dispatch
        self._pipeline, self._placement = pipeline, placement
        self._arrays = placement.replicate(pipeline.arrays)
        self._one = placement.step(gather, augment, update)
        self._many = placement.step(gather, augment, update, scan=True) if steps_per_dispatch > 1 else None

    def advance(self, state: TrainState, step: int, count: int) -> tuple[TrainState, Sums, np.ndarray]:
        indices = np.stack([self._pipeline.indices(step + offset) for offset in range(count)])
        if count == 1:
            state, sums = self._one(state, self._arrays, indices[0])
        else:
            state, sums = self._many(state, self._arrays, indices)
        return state, sums, indices

    def state(self, step: int) -> dict[str, Any]:
        return {"pipeline": "memory", "step": step}

    def restore(self, saved: dict[str, Any]) -> None:
        _check_kind(saved, "memory")  # the batches follow from the step alone

    def close(self) -> None:
        self._arrays = None


class GrainFeed:
    """Batches from Grain, each put on the devices as it comes."""

    steps_per_dispatch = 1

    def __init__(self, pipeline: GrainPipeline, placement: MeshPlacement, augment: Augment, update: Update) -> None:
        self._pipeline, self._placement = pipeline, placement
        self._step = placement.step(lambda batch: batch, augment, update)

    def advance(self, state: TrainState, step: int, count: int) -> tuple[TrainState, Sums, np.ndarray]:
        batch = self._pipeline.next()
        state, sums = self._step(state, self._placement.shard(batch))
        return state, sums, batch["index"][None]

    def state(self, step: int) -> dict[str, Any]:
        return {"pipeline": "grain", "grain": self._pipeline.state()}

    def restore(self, saved: dict[str, Any]) -> None:
        _check_kind(saved, "grain")
        self._pipeline.restore(saved["grain"])

    def close(self) -> None:
        self._pipeline.close()


def choose_steps_per_dispatch(requested: int, placement: MeshPlacement, params: PyTree[Any]) -> int:
    """How many steps one dispatch runs, where the recipe leaves it open.

    On CPU a convolution's gradient is up to 40 times slower inside `lax.scan`, so only dense networks
    take several steps a dispatch there; accelerators always gain.
    """
    if requested or placement.axis_name is not None:
        return requested or 1
    dense = all(leaf.ndim <= 2 for leaf in jax.tree.leaves(params))
    if jax.default_backend() == "cpu":
        return 32 if dense else 1
    return 8


def _check_kind(saved: dict[str, Any], kind: str) -> None:
    if saved.get("pipeline") != kind:
        raise ValueError(f"checkpoint of pipeline {saved.get('pipeline')!r}, but this run reads with {kind!r}")
