"""What networks do not understand yet: adversarial examples. Lecture row L97."""

from zoo.frontiers.adversarial import NORMS, fgsm, pgd, steepest

__all__ = ["NORMS", "fgsm", "pgd", "steepest"]
