"""One training step and one evaluation step, for every model and task, as pure functions."""

from collections.abc import Callable, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Int, Key, PyTree, UInt32

from train.optim import has_moved
from train.state import TrainState
from train.tasks.protocol import Batch, Sums, Task
from train.transfer import kept_statistics, stopped

Update = Callable[[TrainState, Batch], tuple[TrainState, Sums]]

AUGMENTATION, DROPOUT = 0, 1
"""What a step draws random numbers for."""


def step_key(key_data: UInt32[Array, "..."], step: Int[Array, ""], purpose: int) -> Key[Array, ""]:
    """The random key of one step for one purpose, `AUGMENTATION` or `DROPOUT`."""
    return jax.random.fold_in(jax.random.fold_in(jax.random.wrap_key_data(key_data), step), purpose)


def make_update(
    model: nn.Module,
    task: Task,
    optimizer: optax.GradientTransformation,
    *,
    ema: float | None = None,
    skip_nonfinite: bool = False,
    axis_name: str | None = None,
    freeze: Sequence[str] = (),
) -> Update:
    """The pure function `update(state, batch) -> (state, sums)` of an augmented batch.

    Args:
      model: a Flax module, called as `model(*task.inputs(batch), train=True)`.
      task: its loss and metrics.
      optimizer: from `train.optim`.
      ema: decay of the moving average, for each time that the parameters move; the state must have one.
      skip_nonfinite: leave the state as it was, but for the step count, when the loss or a gradient is
        not finite. The sums hold "finite" either way.
      axis_name: the `pmap` axis, over which gradients are averaged and sums added.
      freeze: patterns of the parameters that stay as they are, which the optimiser knows too.
    """

    def update(state: TrainState, batch: Batch) -> tuple[TrainState, Sums]:
        dropout_key = step_key(state.key, state.step, DROPOUT)
        if axis_name is not None:
            dropout_key = jax.random.fold_in(dropout_key, jax.lax.axis_index(axis_name))

        def loss_of(params: PyTree[Array]) -> tuple[Array, tuple]:
            with kept_statistics(freeze):
                outputs, model_state = model.apply(
                    {"params": stopped(params, freeze), **state.model_state},
                    *task.inputs(batch),
                    train=True,
                    rngs={"dropout": dropout_key},
                    mutable=list(state.model_state),
                )
            loss, logged = task.loss(outputs, batch)
            return loss, (outputs, model_state, logged)

        (loss, aux), grads = jax.value_and_grad(loss_of, has_aux=True)(state.params)
        outputs, model_state, logged = aux
        sums = {**task.metrics(outputs, batch), **logged}
        sums["loss"] = loss * sums["count"]  # what was minimised: smoothed, mixed
        if axis_name is not None:
            grads = jax.lax.pmean(grads, axis_name)
            sums = jax.lax.psum(sums, axis_name)
        norm = optax.tree.norm(grads)
        finite = jnp.isfinite(sums["loss"]) & jnp.isfinite(norm)

        updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
        new = state.replace(
            params=optax.apply_updates(state.params, updates), model_state=model_state, opt_state=opt_state
        )
        if ema is not None:
            average = optax.incremental_update(new.variables(), state.ema, 1 - ema)
            new = new.replace(ema=_select(has_moved(opt_state), average, state.ema))
        if skip_nonfinite:
            new = _select(finite, new, state)
            sums = {name: jnp.where(finite, value, 0) for name, value in sums.items()}
        sums["finite"] = finite.astype(jnp.float32)
        return new.replace(step=state.step + 1), sums

    return update


def make_evaluate(model: nn.Module, task: Task) -> Callable[[PyTree[Array], Batch], tuple[Sums, PyTree[Array]]]:
    """The pure function `evaluate(variables, batch) -> (sums, predictions)`."""

    def evaluate(variables: PyTree[Array], batch: Batch) -> tuple[Sums, PyTree[Array]]:
        outputs = model.apply(variables, *task.inputs(batch), train=False)
        return task.metrics(outputs, batch), task.predict(outputs)

    return evaluate


def _select(condition: Bool[Array, ""] | bool, new: PyTree[Array], old: PyTree[Array]) -> PyTree[Array]:
    if condition is True:  # known while tracing
        return new
    return jax.tree.map(lambda after, before: jnp.where(condition, after, before), new, old)
