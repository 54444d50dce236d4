"""Hyperspherical prototype networks: classes as fixed unit vectors, far from each other. Lecture rows L80-L96."""

from zoo.hyperspheres.bounds import levenshtein_bound, lower_bound, rankin_bound, welch_bound
from zoo.hyperspheres.class_means import leave_one_out_logits, moving_means, prototypical_logits
from zoo.hyperspheres.globe import globe, globe_picture
from zoo.hyperspheres.heads import LearnedDirections, MovingPrototypes
from zoo.hyperspheres.losses import (
    classification_gradient,
    classification_loss,
    cosine,
    cosines,
    from_cosine,
    regression_loss,
    to_cosine,
)
from zoo.hyperspheres.margins import arcface, cosface, sphereface
from zoo.hyperspheres.retrieval import (
    average_precision,
    mean_average_precision,
    nearest_prototype,
    precision_at,
    rank,
    recall_at,
)
from zoo.hyperspheres.semantics import (
    prototypes_of_unseen,
    ranking_loss,
    sample_triplets,
    separate_with_semantics,
    triplets_held,
)
from zoo.hyperspheres.separation import (
    cross_polytope,
    largest_cosine,
    leaning_cross_polytope,
    max_separation,
    mean_of_largest_cosines,
    polygon,
    separate,
    simplex,
)
from zoo.hyperspheres.spaces import ClassSpace, JointSpace, ValueSpace
from zoo.hyperspheres.storage import load_prototypes, save_prototypes
from zoo.hyperspheres.taxonomy import CIFAR100_SUPERCLASSES, TAXONOMIES, taxonomy_of, taxonomy_similarity
from zoo.hyperspheres.vectors import load_vectors, reduce_dims, similarity

__all__ = [
    "CIFAR100_SUPERCLASSES",
    "TAXONOMIES",
    "ClassSpace",
    "JointSpace",
    "LearnedDirections",
    "MovingPrototypes",
    "ValueSpace",
    "arcface",
    "average_precision",
    "classification_gradient",
    "classification_loss",
    "cosface",
    "cosine",
    "cosines",
    "cross_polytope",
    "from_cosine",
    "globe",
    "globe_picture",
    "largest_cosine",
    "leaning_cross_polytope",
    "leave_one_out_logits",
    "levenshtein_bound",
    "load_prototypes",
    "load_vectors",
    "lower_bound",
    "max_separation",
    "mean_average_precision",
    "mean_of_largest_cosines",
    "moving_means",
    "nearest_prototype",
    "polygon",
    "precision_at",
    "prototypes_of_unseen",
    "prototypical_logits",
    "rank",
    "rankin_bound",
    "ranking_loss",
    "recall_at",
    "reduce_dims",
    "regression_loss",
    "sample_triplets",
    "save_prototypes",
    "separate",
    "separate_with_semantics",
    "similarity",
    "simplex",
    "sphereface",
    "taxonomy_of",
    "taxonomy_similarity",
    "to_cosine",
    "triplets_held",
    "welch_bound",
]
