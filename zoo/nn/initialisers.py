"""Initialisers that two or more chapters use.

He, Zhang, Ren and Sun, 2015, Delving Deep into Rectifiers. Lecture rows L39-L43.
"""

import jax

kaiming_fan_out = jax.nn.initializers.variance_scaling(2.0, "fan_out", "normal")
"""Normal with variance 2 / (window x output channels): keeps a gradient's size through convolution and ReLU."""

linear_uniform = jax.nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
"""Uniform in ±1/sqrt(inputs): what Torch gives a linear layer, and so what most published heads began from."""
