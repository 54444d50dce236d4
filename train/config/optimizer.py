"""How a recipe moves parameters, and how far at which time."""

import dataclasses
import math
from typing import ClassVar, Literal

from train.config.base import Config


@dataclasses.dataclass(frozen=True)
class Optimizer(Config):
    """How parameters move."""

    section: ClassVar[str] = "optimizer"

    name: Literal["sgd", "adam", "adamw", "lars", "lamb", "muon"] = "sgd"
    """The optimiser, from optax."""
    learning_rate: float = 0.1
    """The peak learning rate; the schedule scales it."""
    momentum: float = 0.9
    """Momentum of sgd, lars and muon; 0 is none."""
    nesterov: bool = False
    """Nesterov's form of the momentum; lamb has none."""
    b1: float = 0.9
    """First-moment decay of adam, adamw, lamb and of what muon leaves to adam: all but matrices and kernels."""
    b2: float = 0.999
    """Second-moment decay of adam, adamw, lamb and of what muon leaves to adam: all but matrices and kernels."""
    weight_decay: float = 1e-4
    """Pull towards zero: decoupled for adamw, lamb and muon, added to the gradient for the others."""
    layer_decay: float = 1.0
    """Factor of the learning rate from each layer (stem, each block, head) to the one below; 1 moves all alike."""
    decay_all: bool = False
    """Decay all parameters; by default only matrices and kernels: no biases, norm parameters, layer scales, class
    tokens, position embeddings or tables of relative positions."""
    decay_only: tuple[str, ...] = ()
    """Decay these parameters alone, as shell patterns of their paths; the last pattern that fits decides, and ! leaves
    out: "layer1/*". By default see decay_all. Not for muon."""
    clip_norm: float | None = None
    """Largest global norm of the gradient."""
    accumulate: int = 1
    """Steps whose gradients make one update, which is that of one batch of all their examples; the last update of a run
    is made of the steps that are left."""
    ema: float | None = None
    """Decay, an update, of an exponential moving average of the parameters, evaluated beside them."""

    def ranges(self) -> dict[str, bool]:
        """See `Config`."""
        return {
            "learning_rate": 0 <= self.learning_rate < math.inf,
            "momentum": 0 <= self.momentum < 1,
            "b1": 0 <= self.b1 < 1,
            "b2": 0 <= self.b2 < 1,
            "weight_decay": 0 <= self.weight_decay < math.inf,
            "layer_decay": 0 < self.layer_decay <= 1,
            "decay_only": not self.decay_only or not (self.decay_all or self.name == "muon"),
            "accumulate": self.accumulate >= 1,
            "ema": self.ema is None or 0 <= self.ema < 1,
            "clip_norm": self.clip_norm is None or self.clip_norm > 0,
        }


@dataclasses.dataclass(frozen=True)
class Schedule(Config):
    """How the learning rate moves over the run; times are fractions of all updates."""

    section: ClassVar[str] = "schedule"

    name: Literal["constant", "step", "cosine", "quadratic", "one_cycle"] = "cosine"
    """constant, step (times `factor` at each milestone), cosine or quadratic (to zero), or one_cycle."""
    warmup: float = 0.0
    """Linear warm-up from zero over this fraction of the run; one_cycle rises from a 25th of the peak along a
    cosine, over 0.3 of the run where this is 0."""
    milestones: tuple[float, ...] = (0.5, 0.75)
    """Where `step` multiplies the learning rate."""
    factor: float = 0.1
    """What `step` multiplies it by."""

    def ranges(self) -> dict[str, bool]:
        """See `Config`."""
        return {
            "warmup": 0 <= self.warmup < 1,
            "milestones": all(0 < milestone < 1 for milestone in self.milestones),
            "factor": 0 <= self.factor < math.inf,
        }
