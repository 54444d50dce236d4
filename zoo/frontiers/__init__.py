"""What networks do not understand yet: adversarial examples, and learning without forgetting. Lecture rows L97, L98."""

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

__all__ = [
    "NORMS",
    "average_accuracy",
    "backward_transfer",
    "distillation_loss",
    "fgsm",
    "fisher_diagonal",
    "forgetting",
    "forward_transfer",
    "pgd",
    "quadratic_penalty",
    "steepest",
]
