"""What a pixel of each class weighs so that rare classes count as much as common ones."""

import numpy as np

from train.config import RecipeError
from train.data.source import Source


def median_frequencies(source: Source, classes: int, ignore: int) -> tuple[float, ...]:
    """The median frequency of the classes over that of each; 0 of a class that there is none of.

    The frequency of a class is its share of the pixels of those images that have it. Eigen and Fergus, 2015, Predicting
    Depth, Surface Normals and Semantic Labels, section 4.3.2; Badrinarayanan et al., 2017, SegNet, section 3.1.

    Args:
      source: the training examples, whose label maps are all read once.
      classes: how many labels there are.
      ignore: the label of pixels that do not count.

    Raises:
      RecipeError: no pixel has a class.
    """
    own, beside = np.zeros(classes, np.int64), np.zeros(classes, np.int64)
    for row in range(len(source)):
        labels = np.asarray(source.peek(row, "label_map"))
        counts = np.bincount(labels[labels != ignore], minlength=classes)
        own += counts
        beside[counts > 0] += counts.sum()
    seen = own > 0
    if not seen.any():
        raise RecipeError(f"task.balanced: expected pixels with classes, found none in {source.name}")
    frequencies = own[seen] / beside[seen]
    weights = np.zeros(classes)
    weights[seen] = np.median(frequencies) / frequencies
    return tuple(map(float, weights))
