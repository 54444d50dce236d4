"""One training step, one evaluation step and one prediction, for every model and task, as pure functions."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int, Key, PyTree, UInt32

from train.engine.optim import has_moved
from train.engine.state import TrainState
from train.engine.transfer import kept_statistics, stopped
from train.tasks.protocol import Apply, Aux, Batch, Keys, Prediction, Ratio, Task, Totals


class Sums(NamedTuple):
    """What a step leaves for the log, all of it sums over examples and devices."""

    loss: Ratio
    """What was minimised: smoothed, mixed."""
    totals: Totals
    """The task's."""
    finite: Float[Array, ""]
    """1, or 0 where the loss or a gradient was not finite."""


Update = Callable[[TrainState, Batch], tuple[TrainState, Sums]]

AUGMENTATION, DROPOUT, TASK = 0, 1, 2
"""What a step draws random numbers for."""


def step_key(key_data: UInt32[Array, "..."], step: Int[Array, ""], purpose: int) -> Key[Array, ""]:
    """The random key of one step for one purpose, such as `AUGMENTATION`."""
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
    last_step: int | None = None,
) -> Update:
    """The pure function `update(state, batch) -> (state, sums)` of an augmented batch.

    The loss is the sum of the task's totals over the sum of its weights, over all devices: exact whatever each of
    them has of the weight, and of several terms each is. Steps that accumulate are weighted in the same way, see
    `train.engine.optim`; but where the loss has several terms, which one gradient does not tell apart, the steps that
    have any weight count alike.

    Args:
      model: a Flax module, called as `model(*task.inputs(batch), train=True)`.
      task: its loss and totals.
      optimizer: from `train.engine.optim`.
      ema: decay of the moving average, for each time that the parameters move; the state must have one.
      skip_nonfinite: leave the state as it was, but for the step count, when the loss or a gradient is
        not finite. The sums say so either way.
      axis_name: the `pmap` axis, over which gradients and sums are added.
      freeze: patterns of the parameters that stay as they are, which the optimiser knows too.
      last_step: the number of steps after which those that still accumulate are applied; None where each fills.
    """

    optimizer = optax.with_extra_args_support(optimizer)

    def update(state: TrainState, batch: Batch) -> tuple[TrainState, Sums]:
        keys = Keys(*(_key(state, purpose, axis_name) for purpose in (DROPOUT, TASK)))
        apply = _in_training(model, state.model_state, keys.dropout, freeze)

        def loss_of(params: PyTree[Array]) -> tuple[Float[Array, ""], tuple[Ratio, Aux]]:
            ratio, aux = task.loss(apply, params, batch, keys)
            weight = jax.lax.stop_gradient(_everywhere(ratio.weight, axis_name))
            return Ratio(ratio.total, weight).value(), (Ratio(ratio.total, weight), aux)

        (_, (ratio, aux)), grads = jax.value_and_grad(loss_of, has_aux=True)(state.params)
        grads, total, totals = _everywhere((grads, ratio.total, aux.totals), axis_name)
        loss = Ratio(total, ratio.weight)
        finite = jnp.all(jnp.isfinite(total)) & jnp.isfinite(optax.tree.norm(grads))

        last = {} if last_step is None else {"last": state.step + 1 == last_step}
        updates, opt_state = optimizer.update(grads, state.opt_state, state.params, weight=_step_weight(loss), **last)
        new = state.replace(
            params=optax.apply_updates(state.params, updates), model_state=aux.state, opt_state=opt_state
        )
        if ema is not None:
            average = optax.incremental_update(new.variables(), state.ema, 1 - ema)
            new = new.replace(ema=_select(has_moved(opt_state), average, state.ema))
        sums = Sums(loss, totals, finite.astype(jnp.float32))
        if skip_nonfinite:
            new = _select(finite, new, state)
            sums = jax.tree.map(lambda value: jnp.where(finite, value, jnp.zeros_like(value)), sums)
        return new.replace(step=state.step + 1), sums

    return update


def make_evaluate(model: nn.Module, task: Task) -> Callable[[PyTree[Array], Batch], Totals]:
    """The pure function `evaluate(variables, batch) -> totals`."""
    return _as_trained(model, task.evaluate)


def make_predict(model: nn.Module, task: Task) -> Callable[[PyTree[Array], Batch], Prediction]:
    """The pure function `predict(variables, batch) -> prediction`, a program of its own."""
    return _as_trained(model, task.predict)


def _as_trained(model: nn.Module, function: Callable[..., Any]) -> Callable[[PyTree[Array], Batch], Any]:
    """A function of the task for variables that stay as they are; what it draws is the same each time."""

    def of_variables(variables: PyTree[Array], batch: Batch) -> Any:
        others = {name: tree for name, tree in variables.items() if name != "params"}

        def apply(
            params: PyTree[Array], *inputs: Any, state: Any = None, key: Any = None, **options: Any
        ) -> tuple[PyTree[Array], dict[str, PyTree[Array]]]:
            rngs = None if key is None else {"dropout": key}
            return model.apply({"params": params, **(state or others)}, *inputs, train=False, rngs=rngs, **options), {}

        keys = Keys(jax.random.key(DROPOUT), jax.random.key(TASK))
        return function(apply, variables["params"], batch, keys)

    return of_variables


def _in_training(
    model: nn.Module, model_state: dict[str, PyTree[Array]], dropout_key: Key[Array, ""], freeze: Sequence[str]
) -> Apply:
    def apply(
        params: PyTree[Array], *inputs: Any, state: Any = None, key: Any = None, **options: Any
    ) -> tuple[PyTree[Array], dict[str, PyTree[Array]]]:
        with kept_statistics(freeze):
            return model.apply(
                {"params": stopped(params, freeze), **(model_state if state is None else state)},
                *inputs,
                train=True,
                rngs={"dropout": dropout_key if key is None else key},
                mutable=list(model_state),
                **options,
            )

    return apply


def _step_weight(loss: Ratio) -> Float[Array, ""]:
    """What a step counts among those that accumulate."""
    return loss.weight if loss.weight.ndim == 0 else jnp.any(loss.weight > 0).astype(jnp.float32)


def _key(state: TrainState, purpose: int, axis_name: str | None) -> Key[Array, ""]:
    """Another one on each device of a mapped axis."""
    key = step_key(state.key, state.step, purpose)
    return key if axis_name is None else jax.random.fold_in(key, jax.lax.axis_index(axis_name))


def _everywhere(tree: PyTree[Array], axis_name: str | None) -> PyTree[Array]:
    """The sum over the devices of a mapped axis."""
    return tree if axis_name is None else jax.lax.psum(tree, axis_name)


def _select(condition: Bool[Array, ""] | bool, new: PyTree[Array], old: PyTree[Array]) -> PyTree[Array]:
    if condition is True:  # known while tracing
        return new
    return jax.tree.map(lambda after, before: jnp.where(condition, after, before), new, old)
