"""Hyperspherical prototype networks: classes as fixed unit vectors, far from each other. Lecture rows L80-L88."""

from zoo.hyperspheres.losses import (
    classification_gradient,
    classification_loss,
    cosine,
    cosines,
    from_cosine,
    regression_loss,
    to_cosine,
)
from zoo.hyperspheres.separation import (
    cross_polytope,
    largest_cosine,
    lower_bound,
    mean_of_largest_cosines,
    separate,
    simplex,
)

__all__ = [
    "classification_gradient",
    "classification_loss",
    "cosine",
    "cosines",
    "cross_polytope",
    "from_cosine",
    "largest_cosine",
    "lower_bound",
    "mean_of_largest_cosines",
    "regression_loss",
    "separate",
    "simplex",
    "to_cosine",
]
