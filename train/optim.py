"""Optimisers and learning-rate schedules, all optax's, put together from a recipe. Lecture rows L11-L13, L18."""

import jax
import optax
from jaxtyping import PyTree

from train import recipe as recipes


def make_schedule(schedule: recipes.Schedule, peak: float, updates: int) -> optax.Schedule:
    """The learning rate as a function of the number of updates done.

    Args:
      schedule: its shape; times are fractions of `updates`.
      peak: the largest learning rate.
      updates: how many updates the whole run makes.
    """
    warmup = round(schedule.warmup * updates)
    rest = max(updates - warmup, 1)
    if schedule.name == "one_cycle":  # warm-up and annealing in one (Smith and Topin, 2018)
        return optax.cosine_onecycle_schedule(updates, peak, pct_start=schedule.warmup or 0.3)
    if schedule.name == "cosine":
        after = optax.cosine_decay_schedule(peak, rest)
    elif schedule.name == "step":
        at = {round(m * updates) - warmup: schedule.factor for m in schedule.milestones}
        after = optax.piecewise_constant_schedule(peak, at)
    else:
        after = optax.constant_schedule(peak)
    if not warmup:
        return after
    return optax.join_schedules([optax.linear_schedule(0.0, peak, warmup), after], [warmup])


def decay_mask(params: PyTree) -> PyTree[bool]:
    """True for matrices and kernels, False for biases and norm scales, which have one axis."""
    return jax.tree.map(lambda leaf: leaf.ndim > 1, params)


def make_optimizer(config: recipes.Optimizer, schedule: optax.Schedule) -> optax.GradientTransformation:
    """The gradient transformation that a recipe asks for: clip, decay, move, and accumulate."""
    mask = None if config.decay_all else decay_mask
    decay, momentum = config.weight_decay, config.momentum or None
    coupled = optax.add_decayed_weights(decay, mask) if decay else optax.identity()
    match config.name:
        case "sgd":
            moves = optax.chain(coupled, optax.sgd(schedule, momentum, config.nesterov))
        case "adam":
            moves = optax.chain(coupled, optax.adam(schedule, config.b1, config.b2, nesterov=config.nesterov))
        case "adamw":
            moves = optax.adamw(schedule, config.b1, config.b2, weight_decay=decay, mask=mask)
        case "lars":
            moves = optax.lars(
                schedule,
                weight_decay=decay,
                weight_decay_mask=mask or True,
                trust_ratio_mask=mask or True,
                momentum=config.momentum,
                nesterov=config.nesterov,
            )
        case "lamb":
            moves = optax.lamb(schedule, config.b1, config.b2, weight_decay=decay, mask=mask)
        case "muon":
            moves = optax.contrib.muon(
                schedule,
                beta=config.momentum,
                nesterov=config.nesterov,
                weight_decay=decay,
                weight_decay_mask=mask,
                muon_weight_dimension_numbers=_muon_dimensions,
            )
    if config.clip_norm is not None:
        moves = optax.chain(optax.clip_by_global_norm(config.clip_norm), moves)
    if config.accumulate > 1:
        moves = optax.MultiSteps(moves, config.accumulate).gradient_transformation()
    return moves


def _muon_dimensions(params: PyTree) -> PyTree:
    """Muon orthogonalises matrices; a kernel (height, width, in, out) is one of (height*width*in, out)."""
    from optax.contrib import MuonDimensionNumbers

    def dimensions(leaf: jax.Array) -> MuonDimensionNumbers | None:
        if leaf.ndim < 2:
            return None  # adam's part
        return MuonDimensionNumbers(tuple(range(leaf.ndim - 1)), leaf.ndim - 1)

    return jax.tree.map(dimensions, params)
