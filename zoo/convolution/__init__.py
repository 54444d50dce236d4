"""The convolution itself: borders, filters, sizes, receptive fields and pooling. Lecture rows L19-L36.

>>> import numpy as np
>>> from zoo.convolution import SHARPEN, cross_correlate
>>> cross_correlate(np.ones((4, 6)), SHARPEN, border="reflect").shape
(4, 6)
"""

from zoo.convolution.borders import BORDERS, Border, pad
from zoo.convolution.correlate import convolve, cross_correlate
from zoo.convolution.filter_maps import mosaic
from zoo.convolution.filters import BOX_BLUR, IDENTITY, SHARPEN, SHIFT_LEFT, impulse, moving_average
from zoo.convolution.geometry import ReceptiveField, Window, output_size, receptive_field, same_padding
from zoo.convolution.pooling import max_pool, max_pool_gradient, mean_pool
from zoo.convolution.sharing import ParameterCounts, dense_matrix, linear, parameter_counts

__all__ = [
    "BORDERS",
    "BOX_BLUR",
    "IDENTITY",
    "SHARPEN",
    "SHIFT_LEFT",
    "Border",
    "ParameterCounts",
    "ReceptiveField",
    "Window",
    "convolve",
    "cross_correlate",
    "dense_matrix",
    "impulse",
    "linear",
    "max_pool",
    "max_pool_gradient",
    "mean_pool",
    "mosaic",
    "moving_average",
    "output_size",
    "pad",
    "parameter_counts",
    "receptive_field",
    "same_padding",
]
