"""What networks do not understand yet: attacks, networks against each other, forgetting, what answers rest on.

Lecture rows L97-L99.
"""

from zoo.frontiers.adversarial import NORMS, fgsm, pgd, steepest
from zoo.frontiers.fidelity import Nearest, PrecisionRecall, frechet_distance, nearest, precision_recall
from zoo.frontiers.gan import (
    DCGAN,
    Discriminator,
    Generator,
    Judged,
    discriminator_loss,
    minimax_loss,
    non_saturating_loss,
)
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
    "DCGAN",
    "NORMS",
    "Discriminator",
    "Effect",
    "Generator",
    "Judged",
    "Nearest",
    "PrecisionRecall",
    "average_accuracy",
    "backward_transfer",
    "discriminator_loss",
    "distillation_loss",
    "effect",
    "fgsm",
    "fisher_diagonal",
    "forgetting",
    "forward_transfer",
    "frechet_distance",
    "minimax_loss",
    "nearest",
    "non_saturating_loss",
    "occluded",
    "pgd",
    "precision_recall",
    "quadratic_penalty",
    "squares",
    "steepest",
]
