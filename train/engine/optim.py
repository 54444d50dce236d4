"""Optimisers and learning-rate schedules, all optax's, put together from a recipe. Lecture rows L11-L13, L18."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int, PyTree

from train.config import Optimizer, Schedule
from train.engine.transfer import frozen_mask
from zoo.names import unknown

_BLOCK = 2**12  # learning rates that are computed at once


def make_schedule(schedule: Schedule, peak: float, updates: int) -> optax.Schedule:
    """The learning rate as a function of the number of updates done.

    Args:
      schedule: its shape; times are fractions of `updates`.
      peak: the largest learning rate.
      updates: how many updates the whole run makes, at least 1.

    Raises:
      UnknownNameError: there is no such schedule.

    >>> rate = make_schedule(Schedule("step", milestones=(0.5,)), peak=1.0, updates=10)
    >>> [round(float(rate(update)), 3) for update in (0, 4, 5, 9)]
    [1.0, 1.0, 0.1, 0.1]
    """
    warmup = round(schedule.warmup * updates)
    match schedule.name:
        case "one_cycle":  # warm-up and annealing in one (Smith and Topin, 2018)
            return optax.cosine_onecycle_schedule(updates, peak, pct_start=schedule.warmup or 0.3)
        case "cosine":
            after = optax.cosine_decay_schedule(peak, max(updates - warmup, 1))
        case "step":
            factors: dict[int, float] = {}
            for milestone in schedule.milestones:  # of a short run several may round to one update
                at = round(milestone * updates) - warmup
                factors[at] = factors.get(at, 1.0) * schedule.factor
            after = optax.piecewise_constant_schedule(peak, factors)
        case "quadratic":
            after = optax.polynomial_schedule(peak, 0.0, 2, max(updates - warmup, 1))
        case "constant":
            after = optax.constant_schedule(peak)
        case name:
            raise unknown("schedule", name, ("constant", "step", "cosine", "quadratic", "one_cycle"))
    if not warmup:
        return after
    return optax.join_schedules([optax.linear_schedule(0.0, peak, warmup), after], [warmup])


class Rates:
    """The learning rate after each number of updates, by block: one by one costs milliseconds, all at once memory.

    Args:
      schedule: from `make_schedule`.
      count: how many numbers of updates there are, from 0 on.

    >>> rates = Rates(optax.linear_schedule(0.0, 1.0, 10**9), 10**9 + 1)
    >>> len(rates), float(rates[0]), float(rates[10**9])
    (1000000001, 0.0, 1.0)
    """

    def __init__(self, schedule: optax.Schedule, count: int) -> None:
        self._count, self._size = count, min(count, _BLOCK)
        self._compute = jax.jit(jax.vmap(schedule))
        self._read(0)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, update: int) -> np.float32:
        if not 0 <= update < self._count:
            raise IndexError(f"expected 0 to {self._count - 1} updates, got {update}")
        block, place = divmod(update, self._size)
        if block != self._block:
            self._read(block)
        return self._rates[place]

    def _read(self, block: int) -> None:
        first = block * self._size
        self._block, self._rates = block, np.asarray(self._compute(jnp.arange(first, first + self._size)))


NO_MATRICES = frozenset({"bias", "scale", "class_token", "position_embedding", "table"})
"""Names of parameters that are added, or scale what others give, however many axes they have."""


def is_matrix(path: tuple[Any, ...], leaf: Array) -> bool:
    """Whether a parameter is a matrix or a kernel, by its role: vectors, scales, tokens and positions are none."""
    return leaf.ndim > 1 and jax.tree_util.keystr(path[-1:], simple=True) not in NO_MATRICES


def decay_mask(params: PyTree) -> PyTree[bool]:
    """True for matrices and kernels, see `is_matrix`.

    As in Liu et al., 2022, A ConvNet for the 2020s, Liu et al., 2021, Swin Transformer, and timm's `no_weight_decay`:
    neither layer scale nor class token, position embedding or relative position table.
    """
    return jax.tree_util.tree_map_with_path(is_matrix, params)


def make_optimizer(
    config: Optimizer,
    schedule: optax.Schedule,
    adapt: Callable[[optax.GradientTransformation], optax.GradientTransformation] = lambda moves: moves,
) -> optax.GradientTransformation:
    """The gradient transformation that a recipe asks for: accumulate, clip, decay, move.

    Weight decay is coupled for sgd, adam and lars (added to the gradient, as in torch), decoupled for the
    others (Loshchilov and Hutter, 2019). LARS: You et al., 2017; LAMB: You et al., 2020; Muon: Jordan, 2024.

    Args:
      config: what the recipe says.
      schedule: from `make_schedule`.
      adapt: what becomes of the transformation before steps are accumulated for it.

    Raises:
      UnknownNameError: there is no such optimiser.
    """
    mask = None if config.decay_all else decay_mask
    if config.decay_only:
        mask = functools.partial(frozen_mask, patterns=config.decay_only)
    decay, momentum, nesterov = config.weight_decay, config.momentum, config.nesterov
    b1, b2 = config.b1, config.b2
    coupled = optax.add_decayed_weights(decay, mask) if decay else optax.identity()
    match config.name:
        case "sgd":
            moves = optax.chain(coupled, optax.sgd(schedule, momentum or None, nesterov))
        case "adam":
            moves = optax.chain(coupled, optax.adam(schedule, b1, b2, nesterov=nesterov))
        case "adamw":
            moves = optax.adamw(schedule, b1, b2, weight_decay=decay, mask=mask, nesterov=nesterov)
        case "lars":
            moves = optax.lars(
                schedule,
                weight_decay=decay,
                weight_decay_mask=mask or True,
                trust_ratio_mask=mask or True,
                momentum=momentum,
                nesterov=nesterov,
            )
        case "lamb":
            moves = optax.lamb(schedule, b1, b2, weight_decay=decay, mask=mask)
        case "muon":
            moves = optax.contrib.muon(
                schedule,
                beta=momentum,
                nesterov=nesterov,
                weight_decay=decay,
                weight_decay_mask=mask,
                adam_b1=b1,
                adam_b2=b2,
                adam_weight_decay=decay if config.decay_all else 0.0,  # adam moves the rest
                muon_weight_dimension_numbers=_muon_dimensions,
            )
        case name:
            raise unknown("optimizer", name, ("sgd", "adam", "adamw", "lars", "lamb", "muon"))
    if config.clip_norm is not None:
        moves = optax.chain(optax.clip_by_global_norm(config.clip_norm), moves)
    moves = adapt(moves)
    if config.accumulate > 1:
        moves = accumulated(moves, config.accumulate)
    return moves


class Accumulated(NamedTuple):
    """What steps gathered for an update that is still to come."""

    gathered: Int[Array, ""]
    """Steps since the last update."""
    weight: Float[Array, ""]
    """Of their losses, summed."""
    grads: PyTree[Array]
    """The gradient of the sum of their losses' totals."""
    inner: optax.OptState


def accumulated(moves: optax.GradientTransformation, steps: int) -> optax.GradientTransformationExtraArgs:
    """One update of `steps` steps: exactly that of one batch of all their examples.

    With `last` an update comes of the steps there are: those at the end of a run need not fill one.

    The loss of a step is a total over a weight, such as its number of positives. Steps of different weights do not
    count alike, as they would in a mean of their gradients (`optax.MultiSteps`): totals and weights are summed.
    Of a loss with several weights the steps do count alike, and an update is that of one batch where the steps' weights
    are alike too: to be exact would take a gradient a term.
    """
    moves = optax.with_extra_args_support(moves)

    def init(params: PyTree[Array]) -> Accumulated:
        zeros = jax.tree.map(jnp.zeros_like, params)
        return Accumulated(jnp.zeros((), jnp.int32), jnp.zeros((), jnp.float32), zeros, moves.init(params))

    def update(
        grads: PyTree[Array],
        state: Accumulated,
        params: PyTree[Array] | None = None,
        *,
        weight: Float[Array, ""] | float = 1.0,
        last: Bool[Array, ""] | bool = False,
        **extra: Any,
    ) -> tuple[PyTree[Array], Accumulated]:
        gathered, total_weight = state.gathered + 1, state.weight + weight
        totals = jax.tree.map(lambda total, grad: total + weight * grad, state.grads, grads)
        is_due = gathered == steps if last is False else (gathered == steps) | last

        def move() -> tuple[PyTree[Array], Accumulated]:
            means = jax.tree.map(lambda total: total / jnp.where(total_weight > 0, total_weight, 1), totals)
            updates, inner = moves.update(means, state.inner, params, weight=total_weight, **extra)
            zeros = jax.tree.map(jnp.zeros_like, totals)
            return updates, Accumulated(jnp.zeros_like(gathered), jnp.zeros_like(total_weight), zeros, inner)

        def wait() -> tuple[PyTree[Array], Accumulated]:
            zeros = jax.tree.map(jnp.zeros_like, grads)
            return zeros, Accumulated(gathered, total_weight, totals, state.inner)

        return jax.lax.cond(is_due, move, wait)

    return optax.GradientTransformationExtraArgs(init, update)


class Scaled(NamedTuple):
    """The state of a transformation whose updates are scaled."""

    factor: Float[Array, ""]
    """1, until `with_factor` says otherwise."""
    inner: optax.OptState


def scaled(moves: optax.GradientTransformation) -> optax.GradientTransformationExtraArgs:
    """A transformation whose updates are multiplied by a number in its state.

    Every optimiser of `make_optimizer` is linear in the learning rate, which it multiplies by last of all, or, with
    momentum behind it, from the first step on: made for a rate of 1, and scaled by 0.1, it moves as one of 0.1. As the
    number is an array, one program trains with many.
    """
    moves = optax.with_extra_args_support(moves)

    def init(params: PyTree[Array]) -> Scaled:
        return Scaled(jnp.ones((), jnp.float32), moves.init(params))

    def update(
        grads: PyTree[Array], state: Scaled, params: PyTree[Array] | None = None, **extra: Any
    ) -> tuple[PyTree[Array], Scaled]:
        updates, inner = moves.update(grads, state.inner, params, **extra)
        return optax.tree.scale(state.factor, updates), Scaled(state.factor, inner)

    return optax.GradientTransformationExtraArgs(init, update)


def with_factor(opt_state: Scaled, factor: float) -> Scaled:
    """The state with another factor."""
    return opt_state._replace(factor=jnp.full_like(opt_state.factor, factor))


def has_moved(opt_state: optax.OptState) -> Bool[Array, ""] | bool:
    """Whether the step that left this state moved the parameters; with `accumulate` few do."""
    opt_state = opt_state.inner if isinstance(opt_state, Scaled) else opt_state
    return opt_state.gathered == 0 if isinstance(opt_state, Accumulated) else True


def _muon_dimensions(params: PyTree) -> PyTree:
    """Muon orthogonalises matrices; a kernel (height, width, in, out) is one of (height*width*in, out)."""

    def dimensions(path: tuple[Any, ...], leaf: jax.Array) -> optax.contrib.MuonDimensionNumbers | None:
        if not is_matrix(path, leaf):
            return None  # adam's part
        return optax.contrib.MuonDimensionNumbers(tuple(range(leaf.ndim - 1)), leaf.ndim - 1)

    return jax.tree_util.tree_map_with_path(dimensions, params)
