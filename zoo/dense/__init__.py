"""Dense prediction: a label or a value for every pixel."""

from zoo.dense.confusion import accuracy, confusion, intersection_over_union
from zoo.dense.fcn import FCN

__all__ = ["FCN", "accuracy", "confusion", "intersection_over_union"]
