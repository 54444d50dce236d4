"""What networks do not understand yet: attacks, learning without forgetting, what answers rest on.

Lecture rows L97-L99.
"""

from zoo.frontiers.adversarial import NORMS, fgsm, pgd, steepest
from zoo.frontiers.lifelong import (
    average_accuracy,
    backward_transfer,
    distillation_loss,
    fisher_diagonal,
    forgetting,
    forward_transfer,
    quadratic_penalty,
)
from zoo.frontiers.understanding import Effect, effect, occluded, squares

__all__ = [
    "NORMS",
    "Effect",
    "average_accuracy",
    "backward_transfer",
    "distillation_loss",
    "effect",
    "fgsm",
    "fisher_diagonal",
    "forgetting",
    "forward_transfer",
    "occluded",
    "pgd",
    "quadratic_penalty",
    "squares",
    "steepest",
]
