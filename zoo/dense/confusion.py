"""How well pixels are labelled: counts of true and predicted classes, and what follows from them.

Everingham et al., 2010, The Pascal Visual Object Classes Challenge, section 4.4: intersection over union a class.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int


def confusion(
    true: Int[Array, "*pixels"], predicted: Int[Array, "*pixels"], counted: Bool[Array, "*pixels"], num_classes: int
) -> Int[Array, "classes classes"]:
    """How many pixels of each true class (a row) are predicted as each class (a column), exactly.

    >>> confusion(jnp.array([0, 1, 1]), jnp.array([0, 0, 1]), jnp.array([True, True, True]), 2).tolist()
    [[1, 0], [1, 1]]
    """
    cells = num_classes**2
    true, predicted = (jnp.asarray(labels).astype(jnp.int32) for labels in (true, predicted))
    pair = jnp.where(counted, num_classes * true + predicted, cells)  # past the end, where it is dropped
    return jnp.zeros(cells, jnp.int32).at[pair.ravel()].add(1, mode="drop").reshape(num_classes, num_classes)


def intersection_over_union(counts: Float[np.ndarray, "*batch classes classes"]) -> Float[np.ndarray, "*batch classes"]:
    """Of each class, pixels that are it and predicted as it, over those that are either; nan where there are none.

    >>> intersection_over_union(np.array([[1, 0], [1, 1]]))
    array([0.5, 0.5])
    """
    both = np.diagonal(counts, axis1=-2, axis2=-1).astype(np.float64)
    either = counts.sum(axis=-1) + counts.sum(axis=-2) - both
    return np.divide(both, either, out=np.full(both.shape, np.nan), where=either > 0)


def accuracy(counts: Float[np.ndarray, "classes classes"]) -> float:
    """The share of pixels that are predicted right; nan of none.

    >>> accuracy(np.array([[1, 0], [1, 2]]))
    0.75
    """
    total = counts.sum()
    return float(np.trace(counts) / total) if total else float("nan")


def class_accuracies(counts: Float[np.ndarray, "classes classes"]) -> Float[np.ndarray, "classes"]:
    """Of each class, the share of its pixels that are predicted right; nan of one that has none.

    Their mean is the mean accuracy of Long et al., 2015, Fully Convolutional Networks, section 5.

    >>> class_accuracies(np.array([[1, 0], [1, 2]])).round(4)
    array([1.    , 0.6667])
    """
    true = counts.sum(axis=1).astype(np.float64)
    return np.divide(np.diagonal(counts), true, out=np.full(true.shape, np.nan), where=true > 0)


def frequency_weighted_iou(counts: Float[np.ndarray, "classes classes"]) -> float:
    """Intersection over union of each class, weighted by its share of the pixels; nan of none.

    Long et al., 2015, Fully Convolutional Networks, section 5.

    >>> round(frequency_weighted_iou(np.array([[1, 0], [1, 2]])), 4)  # 1/2 of a quarter, 2/3 of the rest
    0.625
    """
    total = counts.sum()
    if not total:
        return float("nan")
    return float(np.nansum(intersection_over_union(counts) * counts.sum(axis=1)) / total)
