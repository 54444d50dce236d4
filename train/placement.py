"""Where arrays live and how one pure step runs on many devices: `jit` over a mesh, `fsdp`, or `pmap`.

All three run the same `update` (see `train.step`); only what is sharded differs, so each gives the
single-device result up to the order of floating-point sums.
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, PyTree

from train.state import TrainState
from train.step import Update, step_key
from train.tasks.protocol import Batch, Sums
from zoo.names import unknown

AXIS = "data"
Augment = Callable[[Array, Batch], Batch]
Fetch = Callable[..., Batch]
Step = Callable[..., tuple[TrainState, Sums]]

_FSDP_SMALLEST = 2**12  # elements; smaller arrays cost more to gather than to keep


class MeshPlacement:
    """Data parallel over all devices; with `shard_parameters`, each device keeps a slice of the large arrays."""

    axis_name = None  # the compiler inserts the collectives

    def __init__(self, shard_parameters: bool = False) -> None:
        self.mesh = Mesh(np.array(jax.devices()), (AXIS,), axis_types=(AxisType.Auto,))
        self.shard_parameters = shard_parameters

    @property
    def replicated(self) -> NamedSharding:
        """The same on every device."""
        return NamedSharding(self.mesh, PartitionSpec())

    @property
    def batched(self) -> NamedSharding:
        """The first axis split over the devices."""
        return NamedSharding(self.mesh, PartitionSpec(AXIS))

    def state_shardings(self, state: PyTree[Any]) -> PyTree[NamedSharding]:
        """How each array of the state (or of its shapes) is laid out."""

        def sharding(leaf: Any) -> NamedSharding:
            devices = self.mesh.size
            if not self.shard_parameters or np.prod(leaf.shape) < _FSDP_SMALLEST:
                return self.replicated
            divisible = [axis for axis, size in enumerate(leaf.shape) if size % devices == 0]
            if not divisible:
                return self.replicated
            largest = max(divisible, key=lambda axis: leaf.shape[axis])
            return NamedSharding(self.mesh, PartitionSpec(*[None] * largest, AXIS))

        return jax.tree.map(sharding, state)

    def initialise(self, make_state: Callable[[], TrainState]) -> TrainState:
        """Computes the initial state where it belongs: no device ever holds more than its share."""
        shardings = self.state_shardings(jax.eval_shape(make_state))
        return jax.jit(make_state, out_shardings=shardings)()

    def step(self, fetch: Fetch, augment: Augment, update: Update, scan: bool = False) -> Step:
        """Compiles `step(state, *arrays)`: fetch a batch, augment it, update the state (which is donated).

        With `scan`, the last of the arrays has a leading axis of several steps, run in one dispatch.
        """

        def one(state: TrainState, *arrays: PyTree[Array]) -> tuple[TrainState, Sums]:
            batch = jax.lax.with_sharding_constraint(fetch(*arrays), self.batched)
            batch = augment(step_key(state.key, state.step, 0), batch)
            state, sums = update(state, batch)
            return jax.lax.with_sharding_constraint(state, self.state_shardings(state)), sums

        def many(state: TrainState, *arrays: PyTree[Array]) -> tuple[TrainState, Sums]:
            *constant, stepped = arrays
            return jax.lax.scan(lambda state, x: one(state, *constant, x), state, stepped)

        return jax.jit(many if scan else one, donate_argnums=0)

    def evaluate(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Compiles `function(variables, batch)`."""
        return jax.jit(function, out_shardings=self.replicated)

    def replicate(self, tree: PyTree[np.ndarray]) -> PyTree[Array]:
        """Puts host arrays on every device."""
        return jax.device_put(tree, self.replicated)

    def shard(self, batch: PyTree[np.ndarray]) -> PyTree[Array]:
        """Puts this process's part of a batch on its devices."""
        return jax.tree.map(lambda x: jax.make_array_from_process_local_data(self.batched, x), batch)

    def shard_global(self, batch: PyTree[np.ndarray]) -> PyTree[Array]:
        """Splits a batch that every process holds whole over all devices."""
        return jax.tree.map(
            lambda x: jax.make_array_from_callback(x.shape, self.batched, lambda index: x[index]), batch
        )

    def abstract(self, make_state: Callable[[], TrainState]) -> TrainState:
        """Shapes, types and shardings of the state as a checkpoint holds it."""
        shapes = jax.eval_shape(make_state)
        return jax.tree.map(
            lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
            shapes,
            self.state_shardings(shapes),
        )

    def to_portable(self, state: TrainState) -> TrainState:
        """The state as a checkpoint holds it: one copy of each array, whatever the placement."""
        return state

    def from_portable(self, state: TrainState) -> TrainState:
        """The inverse of `to_portable`."""
        return state


class PmapPlacement(MeshPlacement):
    """One replica a device, with explicit collectives: every array of the state has a leading device axis."""

    axis_name = AXIS

    def initialise(self, make_state: Callable[[], TrainState]) -> TrainState:
        """Computes the initial state once, and copies it to every device."""
        return self.from_portable(super().initialise(make_state))

    def step(self, fetch: Fetch, augment: Augment, update: Update, scan: bool = False) -> Step:
        """As `MeshPlacement.step`; the batch is augmented as a whole first, so that it is the same batch."""
        if scan:
            raise ValueError("placement pmap runs one step a dispatch: set steps_per_dispatch to 1")
        devices = self.mesh.size

        def prepare(key_data: Array, step: Array, *arrays: PyTree[Array]) -> Batch:
            batch = augment(step_key(key_data[0], step[0], 0), fetch(*arrays))
            return jax.tree.map(lambda x: x.reshape(devices, -1, *x.shape[1:]), batch)

        prepare = jax.jit(prepare, out_shardings=self.batched)
        update = jax.pmap(update, axis_name=AXIS, donate_argnums=0)

        def one(state: TrainState, *arrays: PyTree[Array]) -> tuple[TrainState, Sums]:
            state, sums = update(state, prepare(state.key, state.step, *arrays))
            return state, jax.tree.map(lambda x: x[0], sums)

        return one

    def to_portable(self, state: TrainState) -> TrainState:
        """The first replica."""
        return jax.tree.map(lambda x: x[0], state)

    def from_portable(self, state: TrainState) -> TrainState:
        """A replica a device."""
        devices = self.mesh.size
        return jax.jit(
            lambda tree: jax.tree.map(lambda x: jax.numpy.broadcast_to(x, (devices, *x.shape)), tree),
            out_shardings=self.batched,
        )(state)


def make_placement(name: str) -> MeshPlacement:
    """The placement of a recipe: "jit", "fsdp" or "pmap", over all devices of all processes.

    Raises:
      UnknownNameError: there is no such placement.
    """
    match name:
        case "jit":
            return MeshPlacement()
        case "fsdp":
            return MeshPlacement(shard_parameters=True)
        case "pmap":
            return PmapPlacement()
    raise unknown("placement", name, ("jit", "fsdp", "pmap"))
