"""Where arrays live and how one pure step runs on many devices: `jit` over a mesh, `fsdp`, or `pmap`.

All three run the same `update` (see `train.engine.step`); only what is sharded differs, so each gives the
single-device result up to the order of floating-point sums.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, PyTree

from train.engine.state import TrainState
from train.engine.step import AUGMENTATION, Sums, Update, step_key
from train.tasks.protocol import Batch
from zoo.names import unknown

AXIS = "data"
Augment = Callable[[Array, Batch], Batch]
Fetch = Callable[..., Batch]
Step = Callable[..., tuple[TrainState, Sums]]

_FSDP_SMALLEST = 2**12  # elements; smaller arrays cost more to gather than to keep


class MeshPlacement:
    """Data parallel over all devices; with `shard_parameters`, each device keeps a slice of the large arrays.

    Args:
      shard_parameters: fully sharded data parallelism (Rajbhandari et al., 2020, ZeRO, stage 3): parameters
        and what the optimiser remembers of them are spread over the devices.
      devices: which devices; by default all of all processes.
    """

    axis_name: str | None = None  # the compiler inserts the collectives

    def __init__(self, shard_parameters: bool = False, devices: Sequence[jax.Device] | None = None) -> None:
        devices = jax.devices() if devices is None else devices
        self.mesh = Mesh(np.array(devices), (AXIS,), axis_types=(AxisType.Auto,))
        self.shard_parameters = shard_parameters

    @property
    def replicated(self) -> NamedSharding:
        """The same on every device."""
        return NamedSharding(self.mesh, PartitionSpec())

    @property
    def batched(self) -> NamedSharding:
        """The first axis split over the devices."""
        return self._split(0)

    def state_shardings(self, state: PyTree[Any]) -> PyTree[NamedSharding]:
        """How each array of the state (or of its shapes) is laid out."""

        def sharding(leaf: Any) -> NamedSharding:
            if not self.shard_parameters or math.prod(leaf.shape) < _FSDP_SMALLEST:
                return self.replicated
            divisible = [axis for axis, size in enumerate(leaf.shape) if size % self.mesh.size == 0]
            if not divisible:
                return self.replicated
            return self._split(max(divisible, key=lambda axis: leaf.shape[axis]))

        return jax.tree.map(sharding, state)

    def initialise(self, make_state: Callable[..., TrainState], *arrays: PyTree[np.ndarray]) -> TrainState:
        """Computes the initial state, of `arrays` if any, where it belongs: no device holds more than its share."""
        shardings = self.state_shardings(jax.eval_shape(make_state, *arrays))
        return jax.jit(make_state, out_shardings=shardings)(*arrays)

    def step(self, fetch: Fetch, augment: Augment, update: Update) -> Step:
        """Compiles `step(state, *arrays)`: fetch a batch, augment it, update the state (which is donated)."""
        return jax.jit(self._one(fetch, augment, update), donate_argnums=0)

    def steps(self, fetch: Fetch, augment: Augment, update: Update) -> Step:
        """Compiles `steps(state, *arrays, stepped, count)`: several steps in one dispatch.

        Each step fetches from `arrays` and from its own row of `stepped`, whose leading axis is the longest
        dispatch. Only the first `count` rows are run: one program serves any number of steps. The sums have
        the same leading axis, with zeros for the steps that were not run.
        """
        one = self._one(fetch, augment, update)

        def many(state: TrainState, *arguments: PyTree[Array]) -> tuple[TrainState, Sums]:
            *arrays, stepped, count = arguments
            length = jax.tree.leaves(stepped)[0].shape[0]

            def row(i: Array | int) -> PyTree[Array]:
                return jax.tree.map(lambda x: jax.lax.dynamic_index_in_dim(x, i, keepdims=False), stepped)

            def body(i: Array, carry: tuple[TrainState, Sums]) -> tuple[TrainState, Sums]:
                state, all_sums = carry
                state, sums = one(state, *arrays, row(i))
                return state, jax.tree.map(lambda each, value: each.at[i].set(value), all_sums, sums)

            _, shapes = jax.eval_shape(one, state, *arrays, row(0))
            zeros = jax.tree.map(lambda leaf: jnp.zeros((length, *leaf.shape), leaf.dtype), shapes)
            return jax.lax.fori_loop(0, count, body, (state, zeros))

        return jax.jit(many, donate_argnums=0)

    def _one(self, fetch: Fetch, augment: Augment, update: Update) -> Step:
        def one(state: TrainState, *arrays: PyTree[Array]) -> tuple[TrainState, Sums]:
            batch = jax.lax.with_sharding_constraint(fetch(*arrays), self.batched)
            batch = augment(step_key(state.key, state.step, AUGMENTATION), batch)
            state, sums = update(state, batch)
            return jax.lax.with_sharding_constraint(state, self.state_shardings(state)), sums

        return one

    def evaluate(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Compiles `function(variables, batch)`, whose results every device gets whole."""
        return jax.jit(function, out_shardings=self.replicated)

    def predict(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Compiles `function(variables, batch)`, whose results stay with the examples that they are of."""
        return jax.jit(function, out_shardings=self.batched)

    def replicate(self, tree: PyTree[Any]) -> PyTree[Array]:
        """Puts host arrays, which all processes hold alike, on every device."""
        return jax.device_put(tree, self.replicated)

    def shard(self, batch: PyTree[np.ndarray], axis: int = 0) -> PyTree[Array]:
        """Puts this process's part of a batch, whose examples lie along `axis`, on its devices."""
        return jax.tree.map(lambda x: jax.make_array_from_process_local_data(self._split(axis), x), batch)

    def local(self, predicted: PyTree[Array]) -> PyTree[np.ndarray]:
        """What `predict` gave for this process's part of a batch, on the host."""

        def of_array(array: Array) -> list[Array]:
            shards = {shard.index[0].start or 0: shard.data for shard in array.addressable_shards}
            return [shards[first] for first in sorted(shards)]

        parts = jax.device_get(jax.tree.map(of_array, predicted))  # all copies start before the first is waited for
        return jax.tree.map(lambda _, arrays: np.concatenate(arrays), predicted, parts)

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

    def _split(self, axis: int) -> NamedSharding:
        return NamedSharding(self.mesh, PartitionSpec(*[None] * axis, AXIS))


class PmapPlacement(MeshPlacement):
    """One replica a device, with explicit collectives: every array of the state has a leading device axis.

    Dropout draws from a key a device, so a network with dropout has other (as good) masks than under a mesh.

    Raises:
      ValueError: there are several processes; their state would not be one array.
    """

    axis_name = AXIS

    def __init__(self, devices: Sequence[jax.Device] | None = None) -> None:
        if jax.process_count() > 1:
            raise ValueError(f"placement pmap runs in one process, found {jax.process_count()}: use jit or fsdp")
        super().__init__(devices=devices)

    def initialise(self, make_state: Callable[..., TrainState], *arrays: PyTree[np.ndarray]) -> TrainState:
        """Computes the initial state once, and copies it to every device."""
        return self.from_portable(super().initialise(make_state, *arrays))

    def step(self, fetch: Fetch, augment: Augment, update: Update) -> Step:
        """As `MeshPlacement.step`; the batch is augmented as a whole first, so that it is the same batch."""
        devices = self.mesh.size

        def prepare(key_data: Array, step: Array, *arrays: PyTree[Array]) -> Batch:
            batch = augment(step_key(key_data[0], step[0], AUGMENTATION), fetch(*arrays))
            return jax.tree.map(lambda x: x.reshape(devices, -1, *x.shape[1:]), batch)

        prepare = jax.jit(prepare, out_shardings=self.batched)
        # The sums are the same on every device after their psum: one copy is enough.
        update = jax.pmap(update, AXIS, devices=self.mesh.devices.tolist(), donate_argnums=0, out_axes=(0, None))

        def one(state: TrainState, *arrays: PyTree[Array]) -> tuple[TrainState, Sums]:
            return update(state, prepare(state.key, state.step, *arrays))

        return one

    def steps(self, fetch: Fetch, augment: Augment, update: Update) -> Step:
        """Not there: `pmap` is one dispatch a step.

        Raises:
          ValueError: always.
        """
        raise ValueError("placement pmap runs one step a dispatch: set steps_per_dispatch to 1")

    def to_portable(self, state: TrainState) -> TrainState:
        """The first replica."""
        return self._first_replica(state)

    def from_portable(self, state: TrainState) -> TrainState:
        """A replica a device."""
        return self._replicas(state)

    @functools.cached_property
    def _first_replica(self) -> Callable[[TrainState], TrainState]:
        return jax.jit(lambda tree: jax.tree.map(lambda x: x[0], tree), out_shardings=self.replicated)

    @functools.cached_property
    def _replicas(self) -> Callable[[TrainState], TrainState]:
        def copies(x: Array) -> Array:
            return jnp.broadcast_to(x, (self.mesh.size, *x.shape))

        return jax.jit(lambda tree: jax.tree.map(copies, tree), out_shardings=self.batched)


def make_placement(name: str, devices: Sequence[jax.Device] | None = None) -> MeshPlacement:
    """The placement of a recipe: "jit", "fsdp" or "pmap", over all devices of all processes unless told.

    Raises:
      UnknownNameError: there is no such placement.
    """
    match name:
        case "jit":
            return MeshPlacement(devices=devices)
        case "fsdp":
            return MeshPlacement(shard_parameters=True, devices=devices)
        case "pmap":
            return PmapPlacement(devices)
    raise unknown("placement", name, ("jit", "fsdp", "pmap"))
